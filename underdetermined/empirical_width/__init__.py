"""Minimum width by experiment: random networks, nested by seed, whose Gram matrices are measured at many widths."""

from underdetermined.empirical_width._bootstrap import bootstrap_exponent
from underdetermined.empirical_width._criterion import Criterion, Evaluation
from underdetermined.empirical_width._growth import fit_exponent, width_growth
from underdetermined.empirical_width._growth_result import Exponent, WidthGrowth
from underdetermined.empirical_width._interval import clopper_pearson
from underdetermined.empirical_width._measure import measure_widths
from underdetermined.empirical_width._measurement import WidthMeasurement
from underdetermined.empirical_width._result import EmpiricalWidth
from underdetermined.empirical_width._search import empirical_minimum_width
from underdetermined.empirical_width._trainable import minimum_trainable_width
from underdetermined.empirical_width._trainable_growth import trainable_width_growth
from underdetermined.empirical_width._trainable_growth_result import TrainableWidthGrowth
from underdetermined.empirical_width._trainable_result import TrainableWidth, Training

__all__ = [
    "Criterion",
    "EmpiricalWidth",
    "Evaluation",
    "Exponent",
    "TrainableWidth",
    "TrainableWidthGrowth",
    "Training",
    "WidthGrowth",
    "WidthMeasurement",
    "bootstrap_exponent",
    "clopper_pearson",
    "empirical_minimum_width",
    "fit_exponent",
    "measure_widths",
    "minimum_trainable_width",
    "trainable_width_growth",
    "width_growth",
]
