"""Spectra without a full eigendecomposition: extreme eigenvalues with error bounds, and the spectral density."""

from underdetermined.lanczos._density import SpectralDensity, spectral_density
from underdetermined.lanczos._extremes import ExtremeEigenvalues, extreme_eigenvalues

__all__ = ["ExtremeEigenvalues", "SpectralDensity", "extreme_eigenvalues", "spectral_density"]
