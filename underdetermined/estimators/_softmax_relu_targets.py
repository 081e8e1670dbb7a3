"""Targets of softmax-ReLU networks and their weights: compositions, or labels as compositions with one share."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from scipy.special import rel_entr, xlogy
from sklearn.utils import column_or_1d
from sklearn.utils.multiclass import type_of_target

from underdetermined._compat import check_sample_weight

__all__ = ["as_shares", "comparable_shares", "deviance_explained", "proportions"]

# How far the shares of a row may be from a sum of 1: above the rounding of their dtype, below any mistake.
SUM_TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float16): 1e-2}
DOUBLE_TOLERANCE = 1e-8


def as_shares(y: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Turn targets into shares.

    Parameters
    ----------
    y : ndarray of shape (n,), (n, 1) or (n, m)
        Labels, or m >= 2 shares in each row.

    Returns
    -------
    shares : ndarray of shape (n, m)
        Non-negative rows, float64, each with sum 1 up to rounding.
    classes : ndarray of shape (m,) or None
        Sorted labels; None for shares.

    Raises
    ------
    TypeError
        If shares are sparse or no real numbers.
    ValueError
        If a share is negative or not finite, the shares of a row do not add up to 1, or labels are fractions or all equal.
    """
    if issparse(y):
        raise TypeError("y is sparse: pass y.toarray()")
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        return _checked(y), None
    labels = column_or_1d(y, warn=True)
    if type_of_target(labels, input_name="y") not in ("binary", "multiclass"):
        raise ValueError(
            f"y has one dimension and holds numbers such as {labels[0]} that are no labels (Unknown label type: "
            "continuous): pass labels, or shares of shape (n_samples, n_outputs) with rows that add up to 1"
        )
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError(f"y has 1 class, {str(classes[0])!r}: pass labels of at least two classes")
    return _shares_of_labels(labels, classes), classes


def comparable_shares(y: Any, classes: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """Turn targets into shares that predictions can be compared with.

    Parameters
    ----------
    y : array-like of shape (n,), (n, 1) or (n, m)
        Labels or shares.
    classes : ndarray of shape (m,) or None
        Sorted labels of the training data; None for shares.
    shape : tuple of int
        Shape of the predictions.

    Returns
    -------
    ndarray of shape (n, m)

    Raises
    ------
    ValueError
        If a label is unknown, there are labels where shares were learned, or shapes differ.
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        shares = as_shares(y)[0]
    elif classes is None:
        raise ValueError(f"y has shape {y.shape}: pass {shape[1]} shares in each row, as in fit")
    else:
        shares = _shares_of_labels(y, classes)
    if shares.shape != shape:
        raise ValueError(f"y has shape {shares.shape} and predictions have {shape}: pass one row for each")
    return shares


def deviance_explained(logs: np.ndarray, shares: np.ndarray, weight: np.ndarray | None) -> float:
    """Share of the deviance of targets from their mean that predictions explain.

    Parameters
    ----------
    logs : ndarray of shape (n, m)
        Logarithms of the predicted shares.
    shares : ndarray of shape (n, m)
        Targets.
    weight : ndarray of shape (n,) or None
        Weights of the rows.

    Returns
    -------
    float
        Where all targets are equal, 1 for an exact prediction, else 0.
    """
    weight = np.ones(len(logs)) if weight is None else weight
    mean = np.average(shares, axis=0, weights=weight)
    missed = float(weight @ (xlogy(shares, shares) - shares * logs).sum(axis=1))
    deviance = float(weight @ rel_entr(shares, mean).sum(axis=1))
    rounding = shares.size * np.finfo(np.float64).eps * float(weight.sum())
    if deviance <= rounding:
        return 1.0 if missed <= rounding else 0.0
    return 1.0 - missed / deviance


def proportions(sample_weight: Any, rows: np.ndarray) -> np.ndarray | None:
    """Sample weights in units of the largest: only their proportions count, and their sum could overflow.

    Parameters
    ----------
    sample_weight : array-like of shape (n,), number or None
        Weights.
    rows : ndarray of shape (n, k)
        What they weigh.

    Returns
    -------
    ndarray of shape (n,) or None
        None for none.

    Raises
    ------
    ValueError
        If a weight is negative or not finite, or all are zero.
    """
    if sample_weight is None:
        return None
    weight = check_sample_weight(sample_weight, rows, dtype=np.float64, ensure_non_negative=True)
    return weight / weight.max()


def _shares_of_labels(labels: Any, classes: np.ndarray) -> np.ndarray:
    """Give each label the whole share of its class."""
    labels = column_or_1d(labels, warn=True)
    columns = labels[:, np.newaxis] == classes
    unknown = labels[~columns.any(axis=1)]
    if len(unknown):
        raise ValueError(f"y has the label {str(unknown[0])!r}, which the training data did not have: leave such rows out")
    return columns.astype(np.float64)


def _checked(y: np.ndarray) -> np.ndarray:
    if y.dtype.kind not in "fiubO":
        raise TypeError(f"y has dtype {y.dtype}: pass shares as real numbers, or labels in one dimension")
    shares = y.astype(np.float64)
    low = np.unravel_index(np.argmin(shares), shares.shape)
    if not shares[low] >= 0.0:
        raise ValueError(
            f"y has the share {shares[low]} at index {tuple(map(int, low))}: pass shares that are >= 0, without NaN; other "
            "numbers are for TwoLayerRegressor"
        )
    total = shares.sum(axis=1)
    worst = int(np.argmax(np.abs(total - 1.0)))
    if not abs(total[worst] - 1.0) <= SUM_TOLERANCE.get(y.dtype, DOUBLE_TOLERANCE):
        raise ValueError(
            f"the shares of row {worst} of y add up to {total[worst]:.9g}: pass y / y.sum(axis=1, keepdims=True) if they "
            "are parts of a whole; other numbers are for TwoLayerRegressor"
        )
    return shares / total[:, np.newaxis]
