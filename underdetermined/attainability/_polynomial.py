"""The space that polynomials of given degrees span on given points."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb

import numpy as np
from scipy.linalg import svd

from underdetermined._linalg import Array, rank_cutoff
from underdetermined._validation import check_memory

_SEED = 11
_SPARE = 8
# Lengths enter as powers of two; beyond this range they would leave float64 when squared.
_LARGEST_EXPONENT = 500.0


def polynomial_range(directions: Array, log_length: Array, degrees: Iterable[int]) -> tuple[Array, Array]:
    """Orthonormal basis of the values that polynomials take at points, after a scaling of the points.

    The polynomials are the sums of homogeneous polynomials of the given degrees; their values at the points are
    range(diag(2^scale) basis).

    Parameters
    ----------
    directions : ndarray of shape (P, d)
        Unit vectors u_a; zero where the point is the origin.
    log_length : ndarray of shape (P,)
        Base-two logarithms of the lengths t_a of the points t_a u_a; -inf at the origin.
    degrees : iterable of int
        Degrees, without repetition.

    Returns
    -------
    basis : ndarray of shape (P, r)
        Orthonormal columns; r is the rank.
    scale : ndarray of shape (P,)
        Base-two logarithms.

    Raises
    ------
    MemoryError
        If the P x M matrix of values does not fit, M being about twice the dimension of the space, at most 2 P per degree.

    Notes
    -----
    Values of x -> <w, x>^k for random w span those of all homogeneous polynomials of degree k; no tensor is formed. The
    numerical rank then depends on conditioning, which is why the points are first brought to an orthonormal frame and
    why, where the degrees allow it, Chebyshev polynomials replace powers. One degree alone is homogeneous, so that
    lengths go into the scale and the rank does not depend on them.
    """
    wanted = sorted(degrees)
    n = log_length.size
    if not wanted or not n:
        return np.zeros((n, 0)), np.zeros(n)
    top = wanted[-1]
    every = len(wanted) == top + 1
    if not top:
        return np.full((n, 1), n**-0.5), np.zeros(n)
    at_origin = np.isneginf(log_length)
    length = np.where(at_origin, 0.0, log_length)
    reach = 0.0 if at_origin.all() else log_length.max()
    if every and n <= top + 1:
        # Any top + 1 distinct points are independent for the polynomials of degree top.
        return np.eye(n), np.zeros(n)
    if len(wanted) == 1:
        scale = top * length
        points = directions.copy()
    else:
        scale = np.zeros(n)
        points = directions * np.exp2(length - reach)[:, np.newaxis]
    if every:
        points = points - points.mean(axis=0)
    left, singular, _ = svd(points, full_matrices=False, check_finite=False)
    rank = _rank(singular, points.shape, 1)
    if wanted == [1]:
        return left[:, :rank], _bounded(scale)
    points = left[:, :rank]
    norm = np.linalg.norm(points, axis=1)
    if len(wanted) == 1:
        scale = scale + top * np.log2(np.where(norm > 0.0, norm, 1.0))
        points = points / np.where(norm > 0.0, norm, 1.0)[:, np.newaxis]
    else:
        points = points / max(norm.max(), np.finfo(np.float64).tiny)
    values = _values(points, wanted)
    size = np.linalg.norm(values, axis=1)
    size[size == 0.0] = 1.0
    left, singular, _ = svd(values / size[:, np.newaxis], full_matrices=False, overwrite_a=True, check_finite=False)
    # On a line, distinct points are independent up to the degree, however ill-conditioned they are.
    rank = min(n, top + 1) if every and rank == 1 else _rank(singular, values.shape, top)
    return left[:, :rank], _bounded(scale + np.log2(size))


def _values(points: Array, degrees: list[int]) -> Array:
    """Ridge polynomials in random unit directions, enough of each degree to span it."""
    n, d = points.shape
    counts = [1 if d <= 1 else 2 * min(n, comb(d + k - 1, k)) + _SPARE for k in degrees]
    check_memory(24 * n * sum(counts), f"the {n} x {sum(counts)} matrix of polynomials of degree {degrees[-1]}")
    # With every lower degree of the same parity present, T_k spans with them what t^k does, and is far better conditioned.
    closed = all(k < 2 or k - 2 in degrees for k in degrees)
    rng = np.random.default_rng(_SEED)
    blocks = []
    for k, count in zip(degrees, counts, strict=True):
        probes = rng.standard_normal((d, count))
        probes /= np.maximum(np.linalg.norm(probes, axis=0), np.finfo(np.float64).tiny)
        products = np.clip(points @ probes, -1.0, 1.0)
        block = np.cos(k * np.arccos(products)) if closed else products**k
        norm = np.linalg.norm(block, axis=0)
        blocks.append(block / np.where(norm > 0.0, norm, 1.0))
    return np.hstack(blocks)


def _rank(singular: Array, shape: tuple[int, ...], degree: int) -> int:
    """Numerical rank; powers and directions carry a few roundings more than the entries of a given matrix."""
    cutoff = 8.0 * (1.0 + degree) * rank_cutoff(shape) * singular.max(initial=0.0)
    return int(np.count_nonzero(singular > cutoff))


def _bounded(scale: Array) -> Array:
    """The scale relative to its largest entry, kept within the range of float64."""
    return np.maximum(scale - scale.max(), -_LARGEST_EXPONENT)
