"""Neurons chosen out of a wide layer so that what it spans is kept."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve

from underdetermined._matrix import as_matrix
from underdetermined._validation import check_memory
from underdetermined.blocks import single_threaded_blas
from underdetermined.neurons._row_space import row_space_tiles

FloatArray = NDArray[np.float64]
Indices = NDArray[np.intp]

# A swap must lower the squared norm of the inverse by this share: there is an end, and rounding cannot go round in circles.
LEAST_GAIN = 1e-3


def select_neurons(features: Any, width: int | None = None) -> Indices:
    """Choose columns (neurons) that span what all of them span, and that are far from dependent.

    With V.T an orthonormal basis of the row space of A, a last layer c of all neurons and one of the chosen neurons S,
    ``V_S.T c_S = V.T c``, give the same training predictions. The choice keeps ``|(V_S.T)^+|_F`` small, the average
    factor by which the norm of the last layer grows.

    Parameters
    ----------
    features : array_like, sparse matrix or LinearOperator of shape (n, m)
        Features A, such as ``feature_map.operator(X)``. Entries in float32 are taken as exact.
    width : int or None, default=None
        Number of columns, 1 to m; None is the numerical rank of A, which keeps all training predictions.

    Returns
    -------
    ndarray of int, shape (width,)
        Different columns, in the order of choice; empty if A is zero and `width` is None.

    Raises
    ------
    TypeError, ValueError
        If the features are not a finite, non-empty real matrix, or `width` is out of range.
    MemoryError
        If a basis of the row space cannot fit; the message has the number of bytes.

    Notes
    -----
    Column-pivoted QR of V.T, then the best swap of a chosen and another column for as long as one lowers the squared norm by
    0.1 %. Beyond the rank, each further column is the one that lowers it most, and zero columns come last. Below the rank,
    what A does matters more than what it spans, and the choice is the first pivots of A itself. Singular values up to
    ``max(n, m) eps s_max`` count as zero. Ties are broken by rounding, but not by the number of threads.

    Cost O(n^2 m), and about 20 n m flops for each swap, usually fewer than n / 20 of them, and 4 n m for each column beyond
    the rank; memory 6 n m numbers.

    ``python -m benchmarks.prune`` compares ways to choose: geometric means over two data sets, four activations, five splits
    and at most 300 rows, with three neurons a row to choose from, relative to what all neurons have:

    ============================================  =========  ==========  =========  =========
    choice                                        condition  last layer  test rmse  alpha = 0
    ============================================  =========  ==========  =========  =========
    first pivots of A                             4.6        5.1         1.12       4.4
    first pivots of V.T                           3.2        4.7         1.10       3.5
    and swaps to the largest ``|det V_S|``        2.8        4.3         1.09       3.4
    and swaps to the smallest inverse, as here    2.5        4.0         1.06       3.0
    ============================================  =========  ==========  =========  =========

    The penalty is that of leave-one-out, and 0 in the last column: a pruned interpolating network predicts far worse than
    the wide one, though better than one of as many random neurons. With a penalty, as many random neurons that are fitted
    themselves predict about as well as pruned ones; what pruning adds is the same answers on the training rows.

    References
    ----------
    :ref:`theory-minimum-width`.

    Examples
    --------
    >>> from underdetermined.neurons import select_neurons
    >>> select_neurons([[1.0, 2.0, 0.0, 3.0], [0.0, 0.0, 0.0, 4.0]]).tolist()
    [3, 1]
    """
    matrix = as_matrix(features, "features")
    n, m = matrix.shape
    if width is not None and (isinstance(width, bool) or not isinstance(width, int | np.integer) or not 1 <= width <= m):
        raise ValueError(f"width={width!r}: pass an integer of 1 ... {m}, or None for the numerical rank")
    check_memory(48 * min(n, m) * m, f"choosing among the columns of a {n} x {m} matrix")
    with single_threaded_blas():  # rounding decides between neurons that are nearly alike
        basis = np.hstack([tile for _, tile in row_space_tiles(matrix)])
        rank = len(basis)
        count = rank if width is None else int(width)
        if not rank:
            return np.arange(count)
        if count < rank:
            return _pivots(matrix.to_dense())[:count]
        chosen = _swap(basis, _pivots(basis)[:rank])
        return chosen if count == rank else _extend(basis, chosen, count)


def _pivots(array: FloatArray) -> Indices:
    """Columns in the order of a column-pivoted QR factorisation."""
    return qr(array, mode="r", pivoting=True, check_finite=False)[1].astype(np.intp)


def _swap(basis: FloatArray, chosen: Indices) -> Indices:
    """Swap chosen columns for others while that lowers the squared Frobenius norm of the inverse of their matrix.

    With B = (V_S.T)^-1 V.T, that square is the trace of G = B B.T. A swap of the i-th chosen column for column j subtracts
    u = (B_j - e_i) / B_ij times row i, from the inverse and from B alike.
    """
    chosen, best, lowest = chosen.copy(), chosen, np.inf
    ratios = solve(basis[:, chosen], basis, check_finite=False)
    gram = ratios @ ratios.T
    product = gram @ ratios
    while True:
        norms = np.einsum("ij,ij->j", ratios, ratios)
        total = float(norms.sum())
        if not total < (1.0 - LEAST_GAIN) * lowest:
            return best
        best, lowest = chosen.copy(), total
        with np.errstate(all="ignore"):
            change = (np.diagonal(gram)[:, np.newaxis] * (norms + 1.0) / ratios - 2.0 * product) / ratios
        change[~np.isfinite(change)] = np.inf
        out, into = np.unravel_index(change.argmin(), change.shape)
        step, row, column = ratios[:, into].copy(), ratios[out].copy(), gram[:, out].copy()
        step[out] -= 1.0
        step /= row[into]
        ratios -= np.outer(step, row)
        rest = column - column[out] * step
        product -= np.column_stack([gram @ step, step, rest]) @ np.vstack([row, column @ ratios, step @ ratios])
        gram -= np.outer(step, column) + np.outer(rest, step)
        chosen[out] = into


def _extend(basis: FloatArray, chosen: Indices, width: int) -> Indices:
    """Add columns, each the one that lowers the trace of C = (V_S.T V_S)^-1 most: by |C v_j|^2 / (1 + v_j.T C v_j)."""
    found = chosen.tolist()
    inverse = np.linalg.inv(basis[:, chosen])
    inverse = inverse.T @ inverse
    images = inverse @ basis
    scores, norms = np.einsum("ij,ij->j", basis, images), np.einsum("ij,ij->j", images, images)
    del images
    while len(found) < width:
        gain = norms / (1.0 + scores)
        gain[found] = -1.0
        best = int(gain.argmax())
        found.append(best)
        image, growth = inverse @ basis[:, best], 1.0 + scores[best]
        along, twice = np.vstack([image, inverse @ image]) @ basis
        norms += along / growth * (along / growth * (image @ image) - 2.0 * twice)
        scores -= along**2 / growth
        inverse -= np.outer(image, image / growth)
    return np.array(found, dtype=np.intp)
