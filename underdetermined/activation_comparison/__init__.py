"""Activations compared on the same rows by their spectra, before anything is trained."""

from underdetermined.activation_comparison._compare import compare_activations
from underdetermined.activation_comparison._result import ActivationComparison, ActivationRow
from underdetermined.activation_comparison._table import compare_on_table

__all__ = ["ActivationComparison", "ActivationRow", "compare_activations", "compare_on_table"]
