"""Training both layers of a shallow network: how it is drawn, when convergence is proved, and how lazy it was.

>>> from underdetermined.joint import draw_network
>>> hidden, coef = draw_network(3, 4)
>>> hidden.activation.name, hidden.weights.shape, coef.shape
('tanh', (3, 4), (4, 1))
"""

from underdetermined.joint._a_priori import APrioriCertificate, certify_a_priori
from underdetermined.joint._certificate import JointCertificate
from underdetermined.joint._certify import certify
from underdetermined.joint._curvature import curvature_bound
from underdetermined.joint._draw import draw_network
from underdetermined.joint._laziness import laziness_report
from underdetermined.joint._laziness_result import LayerMovement, LazinessReport
from underdetermined.joint._pl_path import PLPath
from underdetermined.joint._population import population_tangent

__all__ = [
    "APrioriCertificate",
    "JointCertificate",
    "LayerMovement",
    "LazinessReport",
    "PLPath",
    "certify",
    "certify_a_priori",
    "curvature_bound",
    "draw_network",
    "laziness_report",
    "population_tangent",
]
