"""``underdetermined doctor``: what decides speed on this machine."""

import argparse
import json

from underdetermined.cli._exit_codes import SUCCESS
from underdetermined.doctor import examine
from underdetermined.text import format_diagnosis


def add_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    doctor = commands.add_parser(
        "doctor",
        help="print versions, BLAS, kernel cache and memory, with advice",
        description="Print what decides speed on this machine, with advice where something is amiss.",
    )
    doctor.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    doctor.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    diagnosis = examine()
    print(json.dumps(diagnosis.to_dict(), indent=2) if options.json else format_diagnosis(diagnosis))
    return SUCCESS
