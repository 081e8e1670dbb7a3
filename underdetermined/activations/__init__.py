"""The activations: what each one computes, and the facts about it that the theory asks for.

>>> from underdetermined.activations import get_activation
>>> get_activation("relu").value([-1.0, 2.0])
array([0., 2.])
>>> get_activation("shifted_relu(0.5)").kinks
(-0.5,)
"""

from ._activation import Activation
from ._catalogue import geometric_hermite, get_activation, hermite, leaky_relu, names, shifted_relu

__all__ = [
    "Activation",
    "geometric_hermite",
    "get_activation",
    "hermite",
    "leaky_relu",
    "names",
    "shifted_relu",
]
