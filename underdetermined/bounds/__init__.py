"""Minimum width: how many hidden neurons suffice, and how many are needed."""

from underdetermined.bounds._bound import Assumption, WidthBound
from underdetermined.bounds._orders import growth_orders
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._sampled import min_width_leverage_sampled

__all__ = ["Assumption", "WidthBound", "WidthProblem", "growth_orders", "min_width_leverage_sampled"]
