"""Plots of computed results; matplotlib is imported only when one is drawn."""

from underdetermined.displays._comparison import draw_comparison
from underdetermined.displays._leave_one_out import LeaveOneOutDisplay

__all__ = ["LeaveOneOutDisplay", "draw_comparison"]
