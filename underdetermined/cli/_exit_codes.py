"""What the exit code of the command says."""

SUCCESS, NOT_COMPLETE, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

EXIT_CODES = """\
exit codes:
  0    done
  1    done, but a solver stopped before the accuracy it promises, training
       failed (see the notes), or a section of the report is missing
  2    the command line or the data cannot be used; the message says why
  130  interrupted
"""
