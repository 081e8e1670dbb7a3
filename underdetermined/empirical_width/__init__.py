"""Minimum width by experiment: random networks, nested by seed, whose Gram matrices are measured at many widths."""

from underdetermined.empirical_width._criterion import Criterion, Evaluation
from underdetermined.empirical_width._growth import fit_exponent, width_growth
from underdetermined.empirical_width._growth_result import Exponent, WidthGrowth
from underdetermined.empirical_width._interval import clopper_pearson
from underdetermined.empirical_width._measure import measure_widths
from underdetermined.empirical_width._measurement import WidthMeasurement
from underdetermined.empirical_width._result import EmpiricalWidth
from underdetermined.empirical_width._search import empirical_minimum_width

__all__ = [
    "Criterion",
    "EmpiricalWidth",
    "Evaluation",
    "Exponent",
    "WidthGrowth",
    "WidthMeasurement",
    "clopper_pearson",
    "empirical_minimum_width",
    "fit_exponent",
    "measure_widths",
    "width_growth",
]
