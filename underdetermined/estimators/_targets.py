"""Targets in units of their own: centred, of variance one, so that training does not depend on the user's units."""

from dataclasses import replace

import numpy as np

from underdetermined.estimators._rows import Rows, merge_rows

__all__ = ["standardized_rows"]


def standardized_rows(
    inputs: np.ndarray, targets: np.ndarray, weight: np.ndarray | None, *, shared_unit: bool
) -> tuple[Rows, np.ndarray, np.ndarray]:
    """Merge equal rows, subtract the mean target and divide by the standard deviation.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        Finite inputs.
    targets : ndarray of shape (n, k)
        Finite targets.
    weight : ndarray of shape (n,) or None
        Non-negative sample weights; None means one each.
    shared_unit : bool
        Whether all columns have one unit, the root of their mean variance, so that they keep their proportions.

    Returns
    -------
    rows : Rows
        Distinct rows with ``(targets - mean) / unit``.
    mean : ndarray of shape (k,)
        Weighted means.
    unit : ndarray of shape (k,)
        Weighted standard deviations; one where the targets are constant.
    """
    # By powers of two, which is exact: squares of the targets could overflow.
    largest = np.abs(targets).max(axis=None if shared_unit else 0, initial=0.0)
    exponent = np.broadcast_to(np.frexp(largest)[1], targets.shape[1:])
    rows = merge_rows(inputs, np.ldexp(targets, -exponent), weight)
    mean = np.average(rows.targets, axis=0, weights=rows.weight)
    centred = rows.targets - mean
    variance = (rows.weight @ centred**2 + rows.scatter.sum(axis=0)) / rows.weight.sum()
    if shared_unit:
        variance = np.full_like(variance, variance.mean())
    # The mean of equal numbers is off by rounding, which is no variation to be enlarged.
    constant = np.sqrt(variance) <= len(centred) * np.finfo(np.float64).eps * np.abs(rows.targets).max(axis=0)
    unit = np.where(constant, 1.0, np.sqrt(variance))
    rows = replace(rows, targets=np.where(constant, 0.0, centred / unit), scatter=rows.scatter / unit**2)
    return rows, np.ldexp(mean, exponent), np.ldexp(unit, np.where(constant, 0, exponent))
