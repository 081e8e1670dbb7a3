"""Softmax-ReLU regression: certified Newton for a softmax of a ReLU layer, its certificates and its constants.

>>> from underdetermined.softmax_relu import softmax_relu_regression
>>> result = softmax_relu_regression([[2.0]], [[1.0], [-1.0]], [0.9, 0.1], reg=0.01, x0=[1.0])
>>> result.status, result.message.partition(";")[0]
(0, 'Certified local minimiser off the kinks')
"""

from underdetermined.softmax_relu._regression import softmax_relu_regression
from underdetermined.softmax_relu._status import SoftmaxReLUStatus
from underdetermined.softmax_relu.constants.basin import basin_radius
from underdetermined.softmax_relu.constants.bounds import convexifying_reg, convexifying_weights, hessian_lipschitz
from underdetermined.softmax_relu.constants.psd import curvature_is_psd, curvature_range, gauss_newton_gap
from underdetermined.softmax_relu.free_hidden.exact_fit import ExactFit, exact_fit, exact_fit_probability
from underdetermined.softmax_relu.free_hidden.smallest_x import fit_in_cell, smallest_x
from underdetermined.softmax_relu.free_hidden.solver import FreeHiddenSolution, has_free_hidden, solve_free_hidden
from underdetermined.softmax_relu.kinks.certificate import certify
from underdetermined.softmax_relu.kinks.kink_certificate import KinkCertificate
from underdetermined.softmax_relu.sampling.hessian import sampled_hessian
from underdetermined.softmax_relu.sampling.sample_size import sample_size

__all__ = [
    "ExactFit",
    "FreeHiddenSolution",
    "KinkCertificate",
    "SoftmaxReLUStatus",
    "basin_radius",
    "certify",
    "convexifying_reg",
    "convexifying_weights",
    "curvature_is_psd",
    "curvature_range",
    "exact_fit",
    "exact_fit_probability",
    "fit_in_cell",
    "gauss_newton_gap",
    "has_free_hidden",
    "hessian_lipschitz",
    "sample_size",
    "sampled_hessian",
    "smallest_x",
    "softmax_relu_regression",
    "solve_free_hidden",
]
