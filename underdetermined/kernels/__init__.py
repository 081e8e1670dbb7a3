"""Kernels of infinitely wide two-layer networks: of the random features, and of training both layers.

>>> import numpy as np
>>> from underdetermined.kernels import nngp_kernel
>>> nngp_kernel(np.eye(2), activation="relu").round(4)
array([[0.5   , 0.1592],
       [0.1592, 0.5   ]])
"""

from ._functions import kernel_diagonal, nngp_kernel, ntk_kernel

__all__ = ["kernel_diagonal", "nngp_kernel", "ntk_kernel"]
