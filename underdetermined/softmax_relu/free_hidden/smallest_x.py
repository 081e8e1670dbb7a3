"""The shortest parameters with given hidden values or a given composition: least-distance problems."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.optimize import nnls

from underdetermined._linalg import EPS, rank_cutoff, vector_norm
from underdetermined._validation import check_memory, check_targets
from underdetermined.objectives._softmax_relu_checks import (
    check_active,
    check_distributions,
    check_hidden_matrix,
    check_output_matrix,
)
from underdetermined.softmax_relu.free_hidden.pivoting import pivot
from underdetermined.solution import Solution
from underdetermined.solvers import solve

__all__ = ["fit_in_cell", "smallest_x"]

FloatArray = NDArray[np.float64]

_SAFETY = 64.0
_PIVOTS = 50


def normalised_rows(A1: Any) -> tuple[Any, FloatArray]:
    """Rows of A1 divided by their norms.

    Parameters
    ----------
    A1 : ndarray or sparse array of shape (n, d)
        Hidden layer.

    Returns
    -------
    rows : same type and shape
        Unit rows; a row 0 stays.
    norms : ndarray of shape (n,)
        What they were divided by; 1 for a row 0.
    """
    if sparse.issparse(A1):
        largest = np.asarray(abs(A1).max(axis=1).todense()).ravel()
        scale = np.where(largest > 0.0, largest, 1.0)
        rows = sparse.csr_array(sparse.diags_array(1.0 / scale) @ A1)
        norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
        norms[norms == 0.0] = 1.0
        return sparse.csr_array(sparse.diags_array(1.0 / norms) @ rows), norms * scale
    largest = np.abs(A1).max(axis=1)
    scale = np.where(largest > 0.0, largest, 1.0)
    rows = A1 / scale[:, np.newaxis]
    norms = np.linalg.norm(rows, axis=1)
    norms[norms == 0.0] = 1.0
    return rows / norms[:, np.newaxis], norms * scale


def lift(A1: Any, z: FloatArray) -> tuple[FloatArray, Solution]:
    """Shortest x with A1 x = z, as the package solves every under-determined system; rows are normalised first.

    Parameters
    ----------
    A1 : ndarray or sparse array of shape (n, d)
        Hidden layer.
    z : ndarray of shape (n,)
        Pre-activations.

    Returns
    -------
    x : ndarray of shape (d,)
        Its smallest solution, or least-squares solution where A1 has dependent rows.
    solution : Solution
        With the rank and the condition number of the normalised rows.
    """
    rows, norms = normalised_rows(A1)
    solution = solve(rows, z / norms)
    return solution.coef[:, 0], solution


def smallest_x(A1: Any, hidden: ArrayLike) -> FloatArray:
    r"""Shortest x with given hidden values, relu(A1 x) = h.

    .. math:: \min |x| \quad\text{subject to}\quad A_1[S]\,x = h_S, \qquad A_1[I]\,x \le 0,

    where S are the units with h > 0 and I the others, which may have any pre-activation <= 0.

    Parameters
    ----------
    A1 : array_like or sparse matrix of shape (n, d)
        Hidden layer with linearly independent rows.
    hidden : array_like of shape (n,)
        h >= 0.

    Returns
    -------
    ndarray of shape (d,)
        Never longer than ``pinv(A1) @ hidden``, which is what remains where rounding spoils the rest.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, shapes do not fit, h has a negative entry, or the rows of A1 depend on each other.

    Notes
    -----
    x = pinv(A1) z, and the multipliers of the inequalities solve a non-negative least-squares problem. The positive ones
    say which pre-activations are 0; x is computed again from them and the optimality conditions are checked. The cost is
    O(n^2 d) and that of the active-set method. See :ref:`theory-softmax-relu-free`.

    Examples
    --------
    >>> from underdetermined.softmax_relu import smallest_x
    >>> smallest_x([[1.0, 0.0], [-1.0, 1.0]], [1.0, 0.0])
    array([1., 0.])
    """
    matrix = check_hidden_matrix(A1, "A1")
    values = check_targets(hidden, matrix.shape[0], "hidden")[:, 0]
    if values.min() < 0.0:
        raise ValueError(f"hidden has the negative entry {values.min()}: pass values of a ReLU, which are >= 0")
    plain, solution = lift(matrix, values)
    if solution.rank < matrix.shape[0]:
        raise ValueError(
            f"A1 has rank {solution.rank} and {matrix.shape[0]} rows: pass independent rows, so that any h is possible"
        )
    return shorten(matrix, values, plain)


def shorten(A1: Any, hidden: FloatArray, x: FloatArray) -> FloatArray:
    """Compute what `smallest_x` returns from ``x = pinv(A1) @ hidden``.

    Parameters
    ----------
    A1 : ndarray or sparse array of shape (n, d)
        Independent rows.
    hidden : ndarray of shape (n,)
        h >= 0.
    x : ndarray of shape (d,)
        Fallback.

    Returns
    -------
    ndarray of shape (d,)
    """
    idle = np.flatnonzero(hidden <= 0.0)
    busy = np.flatnonzero(hidden > 0.0)
    if len(idle) == 0 or len(busy) == 0:
        return x
    rows, norms = normalised_rows(A1)
    values = hidden / norms
    inside, outside = _dense(rows[busy]), _dense(rows[idle])
    pinned = _pinned(inside, outside, outside @ solve(inside, values[busy]).coef[:, 0])
    found = None
    if pinned is not None:
        held = np.concatenate([busy, idle[pinned]])
        found = solve(rows[held], values[held]).coef[:, 0]
    if found is None or not _is_shorter(rows, values, found, x):
        found = least_distance(inside, values[busy], outside)
    return x if found is None or not _is_shorter(rows, values, found, x) else found


def _pinned(inside: FloatArray, outside: FloatArray, slack: FloatArray) -> NDArray[np.bool_] | None:
    """Which pre-activations outside are 0 at the shortest x: those with a positive multiplier of the dual problem."""
    basis = np.linalg.qr(inside.T)[0]
    free = outside - (outside @ basis) @ basis.T
    multipliers = pivot(free @ free.T, 0.0, -slack, np.zeros(len(outside)))
    return None if multipliers is None else multipliers > 0.0


def _is_shorter(rows: Any, values: FloatArray, found: FloatArray, x: FloatArray) -> bool:
    """Whether a point is no longer than x, and has its hidden values as exactly as x."""

    def miss(point: FloatArray) -> float:
        return float(np.abs(np.maximum(rows @ point, 0.0) - values).max())

    allowed = max(4.0 * miss(x), _SAFETY * EPS * float(values.max()))
    return vector_norm(found) <= vector_norm(x) and miss(found) <= allowed


def fit_in_cell(A1: Any, A2: ArrayLike, b: ArrayLike, active: ArrayLike) -> FloatArray | None:
    r"""Shortest x that fits a composition exactly with given active units, or None.

    Within the closed cell where the units `active` have A1 x >= 0 and the others A1 x <= 0 the logits are K x with
    K = A2[:, active] A1[active], so that a fit is a linear system, under-determined as a rule:

    .. math:: \min |x| \quad\text{subject to}\quad (K - 1 \bar k^T)\,x = \log b - \overline{\log b}, \qquad
              \pm A_1 x \ge 0,

    with the mean row k of K. No condition on the rank of A1 is needed.

    Parameters
    ----------
    A1 : array_like or sparse matrix of shape (n, d)
        Hidden layer.
    A2 : array_like of shape (m, n)
        Output layer.
    b : array_like of shape (m,)
        Shares, >= 0 with sum 1.
    active : array_like of bool of shape (n,)
        The cell.

    Returns
    -------
    ndarray of shape (d,) or None
        None where b has a zero, or the closed cell has no exact fit (up to rounding).

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite or shapes do not fit.

    Notes
    -----
    Cost O(n m d + (m + n) d^2). See :ref:`theory-softmax-relu-free`.

    Examples
    --------
    The smallest fit of this instance lies on a kink: the first unit has pre-activation 0.

    >>> import numpy as np
    >>> from underdetermined.softmax_relu import fit_in_cell
    >>> A1, A2 = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0, -1.0], [0.0, 2.0]])
    >>> fit_in_cell(A1, A2, [0.25, 0.75], [True, True]) * 21.0 / np.log(3.0)
    array([ 2., -1.])
    """
    matrix = check_hidden_matrix(A1, "A1")
    n = matrix.shape[0]
    outer = check_output_matrix(A2, n, "A2", f"A1 has {n} rows")
    target = check_distributions(b, outer.shape[0], "kl", "b")
    if target.ndim != 1:
        raise ValueError(f"b has shape {target.shape}: pass one composition of shape ({outer.shape[0]},)")
    mask = np.asarray(check_active(active, (n,)))
    if target.min() <= 0.0:
        return None
    rows = _dense(normalised_rows(matrix)[0])
    logits = (outer[:, mask] - outer[:, mask].mean(axis=0)) @ _dense(matrix)[mask]
    right = np.log(target)
    right -= right.mean()
    sizes = np.abs(logits).max(axis=1)
    sizes[sizes == 0.0] = 1.0
    return least_distance(logits / sizes[:, np.newaxis], right / sizes, np.where(mask, -1.0, 1.0)[:, np.newaxis] * rows)


def least_distance(equations: FloatArray, right: FloatArray, sides: FloatArray) -> FloatArray | None:
    """Shortest x with equations x = right and sides x <= 0, or None where none was found.

    Parameters
    ----------
    equations : ndarray of shape (k, d)
        Rows of similar size; they may depend on each other.
    right : ndarray of shape (k,)
        Right-hand sides.
    sides : ndarray of shape (l, d)
        Unit rows, or 0.

    Returns
    -------
    ndarray of shape (d,) or None

    Notes
    -----
    With x = x0 + N s, where x0 is the shortest solution of the equations and N spans their null space, this is
    min |s| under C s <= c, whose dual is one non-negative least-squares problem: with u the solution of
    min |[C^T; c^T] u + e|, where e is the last unit vector, and w its residual, s = w_1..k / w_k+1 up to the sign.
    """
    n_rows, n_unknowns = len(equations) + len(sides), equations.shape[1]
    if n_unknowns > n_rows:
        # The shortest x lies in the span of the rows.
        span = np.linalg.qr(np.vstack([equations, sides]).T)[0]
        found = least_distance(equations @ span, right, sides @ span)
        return None if found is None else span @ found
    left, values, right_vectors = np.linalg.svd(equations, full_matrices=True)
    cutoff = rank_cutoff(equations.shape) * float(values[0]) if len(values) else 0.0
    rank = int(np.count_nonzero(values > cutoff))
    x0 = right_vectors[:rank].T @ ((left[:, :rank].T @ right) / values[:rank])
    x0 += right_vectors[:rank].T @ ((left[:, :rank].T @ (right - equations @ x0)) / values[:rank])
    magnitude = float((np.abs(equations) @ np.abs(x0) + np.abs(right)).max(initial=0.0))
    if np.abs(equations @ x0 - right).max(initial=0.0) > _SAFETY * equations.shape[1] * EPS * magnitude:
        return None
    basis = right_vectors[rank:].T
    size = vector_norm(x0)
    if size == 0.0:
        return x0
    slack = sides @ x0 / size
    tolerance = _SAFETY * equations.shape[1] * EPS
    if slack.max(initial=0.0) <= tolerance:
        return x0
    inner = sides @ basis
    # What the equations determine cannot be changed: such a side holds or there is no point.
    inner[np.linalg.norm(inner, axis=1) <= tolerance] = 0.0
    step = _shortest_inside(inner, -slack, tolerance)
    return None if step is None else x0 + size * (basis @ step)


def _shortest_inside(sides: FloatArray, bounds: FloatArray, tolerance: float) -> FloatArray | None:
    """Shortest s with sides s <= bounds: the dual's active set, then pivoting until the conditions hold to rounding."""
    stacked = np.vstack([sides.T, bounds])
    unit = np.zeros(len(stacked))
    unit[-1] = -1.0
    try:
        multipliers = nnls(stacked, unit)[0]
    except RuntimeError:
        multipliers = np.where(bounds < 0.0, 1.0, 0.0)
    active = np.flatnonzero(multipliers > 0.0)
    best: FloatArray | None = None
    for _ in range(_PIVOTS):
        part = sides[active]
        step = np.linalg.lstsq(part, bounds[active])[0]
        step += np.linalg.lstsq(part, bounds[active] - part @ step)[0]
        pressure = -np.linalg.lstsq(part.T, step)[0]
        violation = sides @ step - bounds
        allowed = tolerance * (1.0 + float(np.linalg.norm(step)))
        if violation.max(initial=0.0) <= allowed and (best is None or vector_norm(step) < vector_norm(best)):
            best = np.asarray(step, dtype=np.float64)
        keep = pressure >= -tolerance * (1.0 + float(np.abs(pressure).max(initial=0.0)))
        entering = np.setdiff1d(np.flatnonzero(violation > allowed), active)
        if keep.all() and len(entering) == 0:
            break
        # One unit at a time: exchanging many at once may cycle.
        if len(entering):
            active = np.append(active[keep], entering[np.argmax(violation[entering])])
        else:
            active = np.delete(active, int(np.argmin(pressure)))
    return best


def _dense(rows: Any) -> FloatArray:
    if not sparse.issparse(rows):
        return np.asarray(rows, dtype=np.float64)
    check_memory(8 * rows.shape[0] * rows.shape[1], f"a dense copy of {rows.shape[0]} x {rows.shape[1]} rows of A1")
    return np.asarray(rows.toarray(), dtype=np.float64)
