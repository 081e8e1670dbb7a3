"""Networks of exponentials: drawing them, what is proved of their training, how their Gram matrix concentrates, safety.

>>> from underdetermined.exponential import draw_network
>>> hidden, coef = draw_network(3, 4, scale=1.0)
>>> hidden.activation.name, hidden.weights.shape, coef.shape
('exp', (3, 4), (4, 1))
"""

from underdetermined.exponential._certificate import ExponentialCertificate
from underdetermined.exponential._certify import certify
from underdetermined.exponential._concentration import concentration_report
from underdetermined.exponential._concentration_result import ConcentrationReport
from underdetermined.exponential._draw import draw_network
from underdetermined.exponential._predict import log_predict
from underdetermined.exponential._safety import ExponentRange, check_exponents

__all__ = [
    "ConcentrationReport",
    "ExponentRange",
    "ExponentialCertificate",
    "certify",
    "check_exponents",
    "concentration_report",
    "draw_network",
    "log_predict",
]
