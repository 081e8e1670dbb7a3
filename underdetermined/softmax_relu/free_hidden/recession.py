"""Rays along which shares vanish that the targets do not ask for: where a minimiser may fail to exist."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from underdetermined.softmax_relu.free_hidden.exact_fit import polish

FloatArray = NDArray[np.float64]

# Slacks of the program are 0 or 1 at its solution, as a ray may be scaled.
_HALF = 0.5
_PRECISION = 1e-9


def vanishing_shares(columns: FloatArray, wanted: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], FloatArray]:
    r"""Find all shares that some ray h + t u, u >= 0, sends to 0 while the shares that are wanted keep their proportions.

    A linear program, in u and the common growth tau of the logits that are wanted:

    .. math:: \max \sum_j s_j \quad\text{subject to}\quad (M u)_i = \tau \ (i \text{ wanted}), \qquad
              (M u)_j + s_j \le \tau, \quad 0 \le s_j \le 1.

    Parameters
    ----------
    columns : ndarray of shape (m, n)
        M: normalised columns of the output layer.
    wanted : ndarray of bool of shape (m,)
        Positive targets; not all True.

    Returns
    -------
    vanishing : ndarray of bool of shape (m,)
        Shares sent to 0. The sum of two rays is a ray, so that one ray serves all of them.
    ray : ndarray of shape (n,)
        u, which lowers their logits by at least 1/2 against the wanted ones for each unit of t; 0 where there is none.

    Notes
    -----
    The program has m rows and n + m columns. Its answer is trusted only where the ray, solved again by least squares on its
    support, keeps the wanted proportions.
    """
    m, n = columns.shape
    others = np.flatnonzero(~wanted)
    kept = np.flatnonzero(wanted)
    none = np.zeros(m, dtype=bool), np.zeros(n)
    slack = np.zeros((m, len(others)))
    slack[others, np.arange(len(others))] = 1.0
    growth = -np.ones((m, 1))
    rows = np.hstack([columns, slack, growth])
    cost = np.concatenate([np.zeros(n), -np.ones(len(others)), [0.0]])
    limits = [(0.0, None)] * n + [(0.0, 1.0)] * len(others) + [(None, None)]
    found = linprog(
        cost, A_eq=rows[kept], b_eq=np.zeros(len(kept)), A_ub=rows[others], b_ub=np.zeros(len(others)), bounds=limits
    )
    if found.x is None:
        return none
    lowered = others[found.x[n : n + len(others)] > _HALF]
    if len(lowered) == 0:
        return none
    ray = np.maximum(found.x[:n], 0.0)
    # Differences of logits to the first wanted one must be 0 for the wanted shares, and the program's for the others.
    relative = columns - columns[kept[0]]
    target = relative @ ray
    target[kept] = 0.0
    ray, miss = polish(relative, target, ray)
    change = relative @ ray
    size = float(np.abs(ray).sum())
    is_ray = np.abs(miss).max() <= _PRECISION * size and change[others].max() <= _PRECISION * size
    if not is_ray or change[lowered].max() > -_HALF:
        return none
    vanishing = np.zeros(m, dtype=bool)
    vanishing[lowered] = True
    return vanishing, ray
