"""The space that polynomials of given degrees span on given points."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb

import numpy as np
from scipy.linalg import svd

from underdetermined._linalg import EPS, Array, cholesky_in_place, rank_cutoff
from underdetermined._validation import check_memory

_SEED = 11
_SPARE = 8
# Lengths enter as powers of two; beyond this range they would leave float64 when squared.
_LARGEST_EXPONENT = 500.0


def polynomial_range(directions: Array, log_length: Array, degrees: Iterable[int]) -> tuple[Array | None, Array]:
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
    basis : ndarray of shape (P, r) or None
        Orthonormal columns; r is the rank. None where the points are independent, so that the space is everything.
    scale : ndarray of shape (P,)
        Base-two logarithms.

    Raises
    ------
    MemoryError
        If the P x M matrix of values does not fit, M being about twice the smaller of P and the dimension of the space.

    Notes
    -----
    Values of x -> <w, x>^k for random w span those of all homogeneous polynomials of degree k; no tensor is formed. The
    numerical rank then depends on conditioning, which is why the points are first brought to an orthonormal frame and
    why, where the degrees allow it, Chebyshev polynomials replace powers. One degree alone is homogeneous, so that
    lengths go into the scale and the rank does not depend on them. Where the space is large enough for all points, a
    Cholesky factor of the P x P kernel sum_k <x, z>^k that exists with room for rounding proves independence at less cost.
    """
    wanted = sorted(degrees)
    n = log_length.size
    if not wanted or not n:
        return np.zeros((n, 0)), np.zeros(n)
    top = wanted[-1]
    if not top:
        return np.full((n, 1), n**-0.5), np.zeros(n)
    every = len(wanted) == top + 1
    if every and n <= top + 1:
        # Any top + 1 distinct points are independent for the polynomials of degree top.
        return None, np.zeros(n)
    at_origin = np.isneginf(log_length)
    length = np.where(at_origin, 0.0, log_length)
    if len(wanted) == 1:
        scale, points = top * length, directions
    else:
        reach = 0.0 if at_origin.all() else log_length.max()
        scale, points = np.zeros(n), directions * np.exp2(length - reach)[:, np.newaxis]
    if every:
        points = points - points.mean(axis=0)
    left, singular, _ = svd(points, full_matrices=False, check_finite=False)
    d = _rank(singular, points.shape, 1)
    # The frame stretches rounding errors by as much as it stretches the points.
    condition = min(singular[0] / singular[d - 1], 1e6) if d else 1.0
    points = left[:, :d]
    if wanted == [1]:
        return points, _bounded(scale)
    norm = np.linalg.norm(points, axis=1)
    norm[norm == 0.0] = 1.0
    if len(wanted) == 1:
        scale = scale + top * np.log2(norm)
        points = points / norm[:, np.newaxis]
    dimension = sum(comb(d + k - 1, k) if d else int(k == 0) for k in wanted)
    if n <= dimension and _are_independent(points / np.median(norm) if len(wanted) > 1 else points, wanted):
        return None, np.zeros(n)
    values = _values(points if len(wanted) == 1 else points / norm.max(), wanted, dimension)
    size = np.linalg.norm(values, axis=1)
    size[size == 0.0] = 1.0
    left, singular, _ = svd(values / size[:, np.newaxis], full_matrices=False, overwrite_a=True, check_finite=False)
    # On a line, distinct points are independent up to the degree, however ill-conditioned they are.
    rank = min(n, top + 1) if every and d == 1 else _rank(singular, values.shape, top, condition)
    return left[:, :rank], _bounded(scale + np.log2(size))


def _are_independent(points: Array, degrees: list[int]) -> bool:
    """Whether a kernel proves that the polynomials reach every target on the points; False: not decided."""
    n = points.shape[0]
    check_memory(32 * n * n, f"the {n} x {n} kernel of polynomials of degree {degrees[-1]}")
    products = np.asfortranarray(points @ points.T)
    kernel = np.zeros((n, n), order="F")
    power = np.ones((n, n), order="F")
    for k in range(degrees[-1] + 1):
        if k in degrees:
            kernel += power
        power *= products
    root = np.sqrt(kernel.diagonal())
    if not (np.isfinite(root).all() and root.all()):
        return False
    kernel /= np.outer(root, root)
    kernel[np.diag_indices(n)] -= 100.0 * (1.0 + degrees[-1]) * n * EPS
    return cholesky_in_place(kernel) is not None


def _values(points: Array, degrees: list[int], dimension: int) -> Array:
    """Random polynomials: sums of one ridge polynomial in a random direction for every degree, enough to span the space."""
    n, d = points.shape
    count = 2 * min(n, dimension) + _SPARE
    check_memory(32 * n * count, f"the {n} x {count} matrix of polynomials of degree {degrees[-1]}")
    # With every lower degree of the same parity present, T_k spans with them what t^k does, and is far better conditioned.
    closed = all(k < 2 or k - 2 in degrees for k in degrees)
    rng = np.random.default_rng(_SEED)
    values = np.zeros((n, count))
    for k in degrees:
        probes = rng.standard_normal((d, count))
        probes /= np.maximum(np.linalg.norm(probes, axis=0), np.finfo(np.float64).tiny)
        products = np.clip(points @ probes, -1.0, 1.0)
        block = np.cos(k * np.arccos(products)) if closed else products**k
        norm = np.linalg.norm(block, axis=0)
        # On a line all probes are alike up to sign; random factors keep the degrees apart.
        values += block * (rng.standard_normal(count) / np.where(norm > 0.0, norm, 1.0))
    return values


def _rank(singular: Array, shape: tuple[int, ...], degree: int, condition: float = 1.0) -> int:
    """Numerical rank; powers and directions carry a few roundings more than the entries of a given matrix."""
    cutoff = 8.0 * condition * (1.0 + degree) * rank_cutoff(shape) * singular.max(initial=0.0)
    return int(np.count_nonzero(singular > cutoff))


def _bounded(scale: Array) -> Array:
    """The scale relative to its largest entry, kept within the range of float64."""
    return np.maximum(scale - scale.max(), -_LARGEST_EXPONENT)
