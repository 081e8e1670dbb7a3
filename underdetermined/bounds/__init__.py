"""Minimum width: how many hidden neurons suffice, and how many are needed.

>>> import numpy as np
>>> from underdetermined.bounds import minimum_width
>>> found = minimum_width(np.eye(8), target="spectrum")
>>> found.recommended.name, found.bound("necessary").width
('leverage_sampled', 8)
"""

from underdetermined.bounds._bound import Assumption, WidthBound
from underdetermined.bounds._minimum import minimum_width
from underdetermined.bounds._necessary import (
    min_width_generic,
    min_width_necessary,
    min_width_numerical,
    min_width_parameters,
)
from underdetermined.bounds._orders import growth_orders
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._result import MinimumWidth
from underdetermined.bounds._sampled import min_width_leverage_sampled
from underdetermined.bounds._theorems import min_width_chernoff, min_width_importance, min_width_leverage
from underdetermined.bounds._truncation import min_width_truncated

__all__ = [
    "Assumption",
    "MinimumWidth",
    "WidthBound",
    "WidthProblem",
    "growth_orders",
    "min_width_chernoff",
    "min_width_generic",
    "min_width_importance",
    "min_width_leverage",
    "min_width_leverage_sampled",
    "min_width_necessary",
    "min_width_numerical",
    "min_width_parameters",
    "min_width_truncated",
    "minimum_width",
]
