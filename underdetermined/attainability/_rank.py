"""The attainable rank: rows into lines, lines into classes, classes into a space of targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._linalg import Array
from underdetermined._validation import check_matrix, check_number
from underdetermined.activations import get_activation
from underdetermined.attainability._explanation import explain
from underdetermined.attainability._lines import Labels, Lines, group_rows, near_coincidences
from underdetermined.attainability._parts import Parts, read_parts
from underdetermined.attainability._range import Range, attainable_range, classify
from underdetermined.attainability._result import Attainability, Group


def attainable_rank(
    X: ArrayLike, *, activation: Any, bias: bool = False, near_tolerance: float | None = None
) -> Attainability:
    r"""Find which targets a network can attain on given rows at any width: exact rank, null vectors, the rows responsible.

    The dimension of :math:`\{(f(x_1), \dots, f(x_n))\}` over all networks
    :math:`f(x) = \sum_j \alpha_j\, \sigma(\langle w_j, x\rangle + b_j)`, with :math:`b_j = 0` unless `bias`, of any width
    and with any parameters, trained ones included.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows. Integers and float32 are taken at face value, as float64.
    activation : str, callable or Activation
        What `get_activation` accepts. Only its facts (``even_degree``, ``odd_degree``, ``homogeneous``) and its values are
        used, never its name.
    bias : bool, default=False
        Whether every neuron has a bias, fixed at random or trained. An output intercept is another matter: it adds the
        constant to what can be attained.
    near_tolerance : float or None, default=None
        Rows that differ relatively, or by an angle, by at most this much without agreeing to rounding are listed in
        ``near``. None means 1e-8, and 1e-6 for float32 rows, which lie on one ray to about 1e-7 only. 0 lists none.

    Returns
    -------
    Attainability
        Rank, deficiency, null vectors, groups of rows, an explanation, and `is_attainable`.

    Raises
    ------
    TypeError
        If X is not numeric or `near_tolerance` is not a number.
    ValueError
        If X is not a finite, non-empty matrix, or the activation is not known.
    MemoryError
        If six copies of X, or the matrix of polynomials (below), do not fit.

    Notes
    -----
    "Agreeing to rounding" means a relative difference, or an angle, of at most 16 eps sqrt(d), so that 3 * x and 0.1 * x lie
    on the ray of x; equal and antipodal rows may differ by as much. Rows with 0 < angle below that count as one ray, since
    no computation could tell them apart. The rows must be real numbers that are not themselves the result of cancellation:
    after a centring, rows that were antipodal about the mean are so to about eps times the mean, and listed in ``near``.

    The rank of the polynomials is a numerical one, decided by the package's relative cut-off (times 8 (1 + degree) for the
    roundings of powers); it is exact for constants and where any distinct points are independent. The rest is exact.
    Where an activation is a polynomial of high degree, polynomials that are independent but worse conditioned than this
    count as dependent, as they would for any solver.

    Cost: O(n d + n log n), and for P antipodal pairs in question O(P d min(P, d)); for a polynomial activation
    O(P M min(P, M)) and 32 P M bytes with P distinct rows and M about twice the smaller of P and the dimension of the
    polynomials, or O(P^3) and 32 P^2 bytes where a Cholesky factor shows that P rows are independent.

    Everything refers to almost all weights: the value of ``step`` at its jump matters for zero rows only.

    References
    ----------
    :ref:`Which targets can never be fitted <theory-attainability>`, where the ranks are derived.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.attainability import attainable_rank
    >>> U = np.array([[1.0, 0.0], [0.6, 0.8], [-0.6, 0.8]])
    >>> X = np.vstack([U, -U])
    >>> result = attainable_rank(X, activation="gelu")
    >>> result
    Attainability(activation='gelu', bias=False, n_rows=6, rank=5, deficiency=1, groups=3, near=0)
    >>> [group.rows for group in result.groups]
    [(0, 3), (1, 4), (2, 5)]
    >>> result.is_attainable(X[:, 0]), result.is_attainable([1, 1, 1, 0, 0, 0])
    (True, False)
    >>> attainable_rank(X, activation="gelu", bias=True).deficiency
    0
    """
    rows = check_matrix(X, "X")
    matrix = np.asarray(rows, dtype=np.float64)
    default = 1e-6 if rows.dtype == np.float32 else 1e-8
    tolerance = default if near_tolerance is None else check_number(near_tolerance, "near_tolerance")
    chosen = get_activation(activation)
    parts = read_parts(chosen)
    if bias:
        parts = parts.with_bias()
    lines = group_rows(matrix)
    classes = classify(lines, parts)
    space = attainable_range(lines, parts, classes)
    groups = _responsible(lines, parts, space)
    near = _near(matrix, lines, parts, tolerance)
    text = explain(chosen, parts, bool(bias), space, groups, near)
    return Attainability(str(chosen), bool(bias), matrix.shape[0], space.rank, tuple(groups), tuple(near), text, space)


def _responsible(lines: Lines, parts: Parts, space: Range) -> list[Group]:
    """Rows that are tied together, by kind."""
    groups = []
    distinct = lines.distinct()
    dead = lines.is_zero & (parts.at_zero == 0.0)
    groups += _groups("duplicate", np.flatnonzero(~dead), distinct)
    if parts.homogeneous is not None and not parts.is_polynomial:
        key = 2 * lines.line + (lines.side < 0)
        present = np.flatnonzero(~lines.is_zero)
        rays = _groups("ray", present, key)
        groups += [group for group in rays if np.unique(distinct[list(group.rows)]).size > 1]
    mixed = space.mixed.tocoo()
    tied = space.involved[mixed.col]
    rows, column = mixed.row[tied], mixed.col[tied]
    if parts.is_polynomial:
        if rows.size:
            groups.append(Group("polynomial", tuple(np.sort(rows).tolist())))
    else:
        label = np.full(lines.side.size, -1, dtype=np.intp)
        label[rows] = column
        groups += _groups("antipodal", np.sort(rows[~lines.is_zero[rows]]), label)
        dead[rows[lines.is_zero[rows]]] = True
    if dead.any():
        groups.append(Group("zero", tuple(np.flatnonzero(dead).tolist())))
    return groups


def _near(matrix: Array, lines: Lines, parts: Parts, tolerance: float) -> list[Group]:
    """Rows that nearly coincide in a way that matters to the activation."""
    rays = parts.homogeneous is not None and not parts.is_polynomial
    found = near_coincidences(matrix, lines, tolerance, rays=rays, antipodal=parts.opposite is not None)
    same = "ray" if rays else "duplicate"
    return [Group("antipodal" if opposite else same, tuple(rows.tolist())) for opposite, rows in found]


def _groups(kind: str, rows: Array | Labels, label: Labels) -> list[Group]:
    """Rows that share a label, where there are two or more, in the order of their first rows."""
    order = rows[np.argsort(label[rows], kind="stable")]
    parts = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    chosen = sorted((part for part in parts if part.size > 1), key=lambda part: part[0])
    return [Group(kind, tuple(part.tolist())) for part in chosen]
