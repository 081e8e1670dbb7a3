"""Minimum width: how many hidden neurons suffice, and how many are needed; bounds on the smallest eigenvalue of a kernel.

>>> import numpy as np
>>> from underdetermined.bounds import minimum_width
>>> found = minimum_width(np.eye(8), target="spectrum")
>>> found.recommended.name, found.bound("necessary").width
('leverage_sampled', 8)
"""

from underdetermined.bounds._bound import Assumption, WidthBound
from underdetermined.bounds._eigenvalue_bound import EigenvalueBound
from underdetermined.bounds._eigenvalue_discs import eigenvalue_gershgorin, eigenvalue_shifted
from underdetermined.bounds._eigenvalue_hermite import eigenvalue_hermite
from underdetermined.bounds._eigenvalue_jump import eigenvalue_jump, eigenvalue_separation
from underdetermined.bounds._eigenvalue_problem import EigenvalueProblem
from underdetermined.bounds._eigenvalue_products import eigenvalue_schur, eigenvalue_trace, eigenvalue_upper
from underdetermined.bounds._eigenvalues import EigenvalueBounds, smallest_eigenvalue_bounds
from underdetermined.bounds._exponential_eigenvalues import exponential_eigenvalue_bounds
from underdetermined.bounds._exponential_width import exponential_gram_width
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
    "EigenvalueBound",
    "EigenvalueBounds",
    "EigenvalueProblem",
    "MinimumWidth",
    "WidthBound",
    "WidthProblem",
    "eigenvalue_gershgorin",
    "eigenvalue_hermite",
    "eigenvalue_jump",
    "eigenvalue_schur",
    "eigenvalue_separation",
    "eigenvalue_shifted",
    "eigenvalue_trace",
    "eigenvalue_upper",
    "exponential_eigenvalue_bounds",
    "exponential_gram_width",
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
    "smallest_eigenvalue_bounds",
]
