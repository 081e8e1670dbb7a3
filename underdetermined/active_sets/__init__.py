"""Sparsely activated ReLU networks: their active pairs, and exact gradient descent whose cost follows them."""

from underdetermined.active_sets._draw import draw_network
from underdetermined.active_sets._pairs import ActivePairs, active_pairs
from underdetermined.active_sets._result import SparseTrajectory
from underdetermined.active_sets._tangent import largest_tangent_eigenvalue, tangent_operator
from underdetermined.active_sets._train import TrainingState, train_active_sets

__all__ = [
    "ActivePairs",
    "SparseTrajectory",
    "TrainingState",
    "active_pairs",
    "draw_network",
    "largest_tangent_eigenvalue",
    "tangent_operator",
    "train_active_sets",
]
