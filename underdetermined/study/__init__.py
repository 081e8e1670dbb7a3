"""Everything that a report on a table shows, computed: data, attainability, spectra, descent, widths and scores."""

from underdetermined.study._data import ColumnSummary, DataSummary, summarise_table
from underdetermined.study._descent import DescentRun, run_descent
from underdetermined.study._findings import findings
from underdetermined.study._prepare import prepare_table
from underdetermined.study._result import SECTIONS, Study
from underdetermined.study._snippets import Snippet
from underdetermined.study._study import KERNEL_MAX_ROWS, SCORE_MAX_ROWS, study
from underdetermined.study._width import EPSILON, FAILURE_PROBABILITY, WidthStudy, study_width

__all__ = [
    "EPSILON",
    "FAILURE_PROBABILITY",
    "KERNEL_MAX_ROWS",
    "SCORE_MAX_ROWS",
    "SECTIONS",
    "ColumnSummary",
    "DataSummary",
    "DescentRun",
    "Snippet",
    "Study",
    "WidthStudy",
    "findings",
    "prepare_table",
    "run_descent",
    "study",
    "study_width",
    "summarise_table",
]
