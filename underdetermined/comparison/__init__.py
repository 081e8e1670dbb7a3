"""Networks beside scikit-learn's Ridge and MLP: the same data, the same folds, one result."""

from underdetermined.comparison._compare import Comparison, Fit, compare
from underdetermined.comparison._exponential import ExponentialComparison, compare_exponential
from underdetermined.comparison._sparse import SparseComparison, compare_sparse
from underdetermined.comparison._trial import TrialOptions
from underdetermined.comparison._two_layer import TwoLayerComparison, compare_two_layer

__all__ = [
    "Comparison",
    "ExponentialComparison",
    "Fit",
    "SparseComparison",
    "TrialOptions",
    "TwoLayerComparison",
    "compare",
    "compare_exponential",
    "compare_sparse",
    "compare_two_layer",
]
