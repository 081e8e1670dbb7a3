"""Training rows with repeats merged: what an estimator has seen, in the smallest equivalent form.

A row that occurs more than once makes the Gram matrix singular at every width, yet least squares needs only
its weight, the mean of its targets and their scatter about that mean. Merging therefore loses nothing,
makes the system smaller, and gives sample weights their meaning: weight k is the row repeated k times.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse, vstack

__all__ = ["Rows", "group_rows", "merge_rows"]


@dataclass(frozen=True)
class Rows:
    """Rows with weights, mean targets and scatter.

    Parameters
    ----------
    inputs : {ndarray, CSR array} of shape (n, d)
        Distinct rows, in the order in which they were first seen.
    targets : ndarray of shape (n, k)
        Weighted mean of the targets of each row.
    weight : ndarray of shape (n,)
        Sum of the sample weights of each row, positive.
    scatter : ndarray of shape (n, k)
        Weighted sum of squares of the targets of each row about their mean.
    """

    inputs: Any
    targets: np.ndarray
    weight: np.ndarray
    scatter: np.ndarray

    @property
    def n_rows(self) -> int:
        """Number of distinct rows."""
        return self.inputs.shape[0]

    def append(self, other: "Rows") -> "Rows":
        """Merge these rows and `other`; these stay first, in their order."""
        sparse = issparse(self.inputs) or issparse(other.inputs)
        inputs = vstack([self.inputs, other.inputs], format="csr") if sparse else np.vstack([self.inputs, other.inputs])
        parts = ((getattr(self, name), getattr(other, name)) for name in ("targets", "weight", "scatter"))
        return _merge(inputs, *map(np.concatenate, parts))


def merge_rows(inputs: Any, targets: np.ndarray, weight: np.ndarray | None) -> Rows:
    """Drop rows of weight zero and merge equal ones.

    Parameters
    ----------
    inputs : {ndarray, CSR array} of shape (n, d)
        Finite inputs.
    targets : ndarray of shape (n, k)
        Finite targets.
    weight : ndarray of shape (n,) or None
        Non-negative sample weights; None means one each.

    Returns
    -------
    Rows
        At most n rows.

    Notes
    -----
    Cost O(n d log n) for the comparison of rows.
    """
    targets = np.asarray(targets, dtype=np.float64)
    weight = np.ones(len(targets)) if weight is None else np.asarray(weight, dtype=np.float64)
    if not weight.all():
        kept = np.flatnonzero(weight)
        inputs, targets, weight = inputs[kept], targets[kept], weight[kept]
    return _merge(inputs, targets, weight, np.zeros_like(targets))


def _merge(inputs: Any, targets: np.ndarray, weight: np.ndarray, scatter: np.ndarray) -> Rows:
    first, group = group_rows(inputs)
    if len(first) == len(weight):
        return Rows(inputs, targets, weight, scatter)
    total = np.bincount(group, weight)

    def grouped(values: np.ndarray) -> np.ndarray:
        return np.stack([np.bincount(group, column, len(first)) for column in values.T], axis=1)

    mean = grouped(weight[:, None] * targets) / total[:, None]
    spread = grouped(scatter + weight[:, None] * (targets - mean[group]) ** 2)
    return Rows(inputs[first], mean, total, spread)


def group_rows(inputs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the place of the first of each set of equal rows, ascending, and the set of each row."""
    if issparse(inputs):
        keys = np.unique([_sparse_key(inputs, i) for i in range(inputs.shape[0])], return_inverse=True)[1]
    else:
        plain = np.ascontiguousarray(inputs) + inputs.dtype.type(0)  # -0.0 and 0.0 are one value
        keys = plain.view(np.dtype((np.void, plain.itemsize * plain.shape[1]))).ravel()
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[group.ravel()]


def _sparse_key(inputs: Any, row: int) -> str:
    part = slice(*inputs.indptr[row : row + 2])
    entries = zip(inputs.indices[part].tolist(), inputs.data[part].tolist(), strict=True)
    return repr(sorted(entry for entry in entries if entry[1]))
