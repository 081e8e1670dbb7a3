"""One self-contained HTML page from a study; no numerics."""

from underdetermined.report._page import report_html

__all__ = ["report_html"]
