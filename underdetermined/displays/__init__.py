"""Plots of computed results; matplotlib is imported only when one is drawn."""

from underdetermined.displays._comparison import draw_comparison
from underdetermined.displays._descent import DescentDisplay
from underdetermined.displays._leave_one_out import LeaveOneOutDisplay
from underdetermined.displays._sparsity import SparsityDisplay
from underdetermined.displays._spectrum import SpectrumDisplay, draw_spectra
from underdetermined.displays._width import WidthDisplay

__all__ = [
    "DescentDisplay",
    "LeaveOneOutDisplay",
    "SparsityDisplay",
    "SpectrumDisplay",
    "WidthDisplay",
    "draw_comparison",
    "draw_spectra",
]
