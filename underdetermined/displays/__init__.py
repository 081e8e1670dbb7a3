"""Plots of computed results; matplotlib is imported only when one is drawn."""

from underdetermined.displays._comparison import draw_comparison
from underdetermined.displays._descent import DescentDisplay
from underdetermined.displays._leave_one_out import LeaveOneOutDisplay
from underdetermined.displays._spectrum import SpectrumDisplay, draw_spectra

__all__ = ["DescentDisplay", "LeaveOneOutDisplay", "SpectrumDisplay", "draw_comparison", "draw_spectra"]
