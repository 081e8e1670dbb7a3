"""Training both layers of a shallow network: how it is drawn, when convergence is proved, and how lazy it was.

>>> from underdetermined.joint import draw_network
>>> hidden, coef = draw_network(3, 4)
>>> hidden.activation.name, hidden.weights.shape, coef.shape
('tanh', (3, 4), (4, 1))
"""

from underdetermined.joint._draw import draw_network
from underdetermined.joint._laziness import laziness_report
from underdetermined.joint._laziness_result import LayerMovement, LazinessReport

__all__ = [
    "LayerMovement",
    "LazinessReport",
    "draw_network",
    "laziness_report",
]
