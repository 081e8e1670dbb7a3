"""Better neurons than random ones: leverage scores, neurons drawn by them, and neurons chosen out of a wide layer."""

from underdetermined.neurons._leverage import leverage_scores
from underdetermined.neurons._sample import sample_leverage
from underdetermined.neurons._select import select_neurons

__all__ = ["leverage_scores", "sample_leverage", "select_neurons"]
