"""Kernels of infinitely wide two-layer networks: of the random features, and of training both layers or the first.

>>> import numpy as np
>>> from underdetermined.kernels import nngp_kernel
>>> nngp_kernel(np.eye(2), activation="relu").round(4)
array([[0.5   , 0.1592],
       [0.1592, 0.5   ]])
"""

from ._bias import bias_nngp, bias_ntk
from ._exponential import exponential_ntk
from ._functions import kernel_diagonal, nngp_kernel, ntk_kernel
from ._orthant import orthant_probability
from ._positive import gaussian_kernel, softmax_kernel
from ._positive_variance import positive_feature_variance

__all__ = [
    "bias_nngp",
    "bias_ntk",
    "exponential_ntk",
    "gaussian_kernel",
    "kernel_diagonal",
    "nngp_kernel",
    "ntk_kernel",
    "orthant_probability",
    "positive_feature_variance",
    "softmax_kernel",
]
