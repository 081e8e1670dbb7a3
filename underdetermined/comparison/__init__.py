"""Networks beside scikit-learn's Ridge and MLP: the same data, the same folds, one result."""

from underdetermined.comparison._compare import Comparison, Fit, compare

__all__ = ["Comparison", "Fit", "compare"]
