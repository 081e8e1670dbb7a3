"""Minimum width: how many hidden neurons suffice, and how many are needed."""

from ._bound import Assumption, WidthBound
from ._problem import WidthProblem

__all__ = ["Assumption", "WidthBound", "WidthProblem"]
