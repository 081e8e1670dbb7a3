"""Residual and gradient of a network of exponentials with few inputs and one output, in compiled loops."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from underdetermined._kernels import exponential_step
from underdetermined.blocks import run_tiles, scratch, slices

FloatArray = NDArray[np.float64]

# Beyond this many inputs the products of the BLAS are faster.
MOST_INPUTS = 4
# Rows whose exponentials are kept at a time; groups of rows, and entries of the gradients of all of them together.
_ROWS, _GROUPS, _ENTRIES = 16, 16, 2**22


def thin_pass(
    inputs: FloatArray,
    shift: FloatArray | None,
    targets: FloatArray,
    sample_weight: FloatArray,
    weights: FloatArray,
    last: FloatArray,
    *,
    is_paired: bool,
    with_gradient: bool,
    n_jobs: int | None,
) -> tuple[FloatArray, FloatArray]:
    """Residual f(X) - y and, if asked for, gradient, group by group of rows.

    The groups depend on the sizes alone and are summed in order, so that no bit depends on the number of threads.

    Parameters
    ----------
    inputs : ndarray of shape (n, d)
        X.
    shift : ndarray of shape (n,) or None
        What is subtracted from all pre-activations of a row.
    targets, sample_weight : ndarray of shape (n,)
        y and s.
    weights : ndarray of shape (d, m)
        W.
    last : ndarray of shape (m,)
        v.
    is_paired : bool
        Whether the second half of the neurons repeats the first with opposite v.
    with_gradient : bool
        Whether the gradient is asked for.
    n_jobs : int or None
        Threads.

    Returns
    -------
    residual : ndarray of shape (n,)
        Not weighted.
    gradient : ndarray of shape (d, m)
        Zeros if it is not asked for.
    """
    (n, d), m = inputs.shape, len(last)
    # Copies: the loops would be compiled anew for every mixture of strided and read-only arguments.
    inputs, targets, sample_weight, weights, last = map(np.array, (inputs, targets, sample_weight, weights, last))
    shift = np.zeros(n) if shift is None else np.array(shift)
    count = max(2, min(_GROUPS, _ENTRIES // (d * m)))
    groups = slices(n, max(4 * _ROWS, -(-n // count)))
    residual, parts = np.empty(n), np.zeros((len(groups), d if with_gradient else 0, m))

    def task(index: int) -> None:
        rows = groups[index]
        exponential_step.step(
            inputs[rows],
            shift[rows],
            targets[rows],
            sample_weight[rows],
            weights,
            last,
            m // 2 if is_paired else 0,
            scratch((min(_ROWS, rows.stop - rows.start), m), np.dtype(np.float64)),
            residual[rows],
            parts[index],
        )

    run_tiles(task, range(len(groups)), n_jobs=n_jobs)
    with np.errstate(over="ignore", invalid="ignore"):
        return residual, parts.sum(axis=0) * last if with_gradient else np.zeros((d, m))
