"""Softmax-ReLU regression: certified Newton for a softmax of a ReLU layer, its certificates and its constants."""

from underdetermined.softmax_relu._basin import basin_radius
from underdetermined.softmax_relu._bounds import convexifying_reg, convexifying_weights, hessian_lipschitz
from underdetermined.softmax_relu._psd import curvature_is_psd, curvature_range, gauss_newton_gap
from underdetermined.softmax_relu._sample_size import sample_size
from underdetermined.softmax_relu._sampling import sampled_hessian, sampled_newton

__all__ = [
    "basin_radius",
    "convexifying_reg",
    "convexifying_weights",
    "curvature_is_psd",
    "curvature_range",
    "gauss_newton_gap",
    "hessian_lipschitz",
    "sample_size",
    "sampled_hessian",
    "sampled_newton",
]
