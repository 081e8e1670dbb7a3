"""Eigenvalues of the tangent matrix of a two-layer network, and the residual beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import eigvalsh

from underdetermined._linalg import vector_norm
from underdetermined._validation import check_memory
from underdetermined.objectives import TwoLayer

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TangentSpectrum:
    """What J J.T and rho are at one vector of parameters, on rows of positive weight.

    Parameters
    ----------
    values : ndarray of shape (q,)
        Eigenvalues of J J.T, increasing; nan where they overflow.
    trace : float
        Their sum, from the matrix.
    residual_norm : float
        |rho|.
    ratio : float
        ``|J.T rho|^2 / |rho|^2``; nan for a residual of zero.
    """

    values: FloatArray
    trace: float
    residual_norm: float
    ratio: float


def on_positive_rows(objective: TwoLayer) -> TwoLayer:
    """Leave out the rows of weight zero.

    Parameters
    ----------
    objective : TwoLayer
        The loss.

    Returns
    -------
    TwoLayer
    """
    kept = objective.sample_weight > 0.0
    if kept.all():
        return objective
    return replace(
        objective, X=objective.X[kept], targets=objective.targets[kept], sample_weight=objective.sample_weight[kept]
    )


def tangent_spectrum(objective: TwoLayer, parameters: FloatArray) -> TangentSpectrum:
    """Decompose the tangent matrix.

    Parameters
    ----------
    objective : TwoLayer
        The loss, with rows of positive weight alone.
    parameters : ndarray of shape (p,)
        Parameters.

    Returns
    -------
    TangentSpectrum

    Raises
    ------
    MemoryError
        If the tangent matrix does not fit in memory.
    """
    order = objective.targets.size
    check_memory(8 * 2 * order**2, f"the tangent matrix of {len(objective.X)} rows and {objective.targets.shape[1]} outputs")
    linearization = objective.linearize(parameters)
    with np.errstate(over="ignore", invalid="ignore"):
        norm = vector_norm(linearization.residual)
        unit = linearization.residual / norm
        gram = linearization.gram()
        trace = float(np.einsum("ii->", gram))
        ratio = float(unit @ (gram @ unit))
    is_finite = bool(np.isfinite(gram).all())
    values = eigvalsh(gram, check_finite=False, overwrite_a=True) if is_finite else np.full(order, np.nan)
    return TangentSpectrum(values, trace, norm, ratio)
