"""The tangent matrix of the hidden layer as an operator on the active pairs, and its largest eigenvalue."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator

from underdetermined._kernels import active_set
from underdetermined.active_sets._blocks import neuron_blocks
from underdetermined.active_sets._pairs import active_pairs
from underdetermined.blocks import run_tiles
from underdetermined.lanczos import extreme_eigenvalues
from underdetermined.objectives.sparse_relu import SparseReLU

FloatArray = NDArray[np.float64]


def tangent_operator(objective: SparseReLU, *, n_jobs: int | None = None) -> LinearOperator:
    """Tangent matrix H at the start of an objective, without forming it.

    H_(ia)(jb) = sqrt(s_i s_j) (<x_i, x_j> + sigma^2) sum_r v_ra v_rb A_ir A_jr, with A_ir = 1 where z_ir > 0 and else 0: a
    small step of length eta changes the weighted residual by -eta H times it.

    Parameters
    ----------
    objective : SparseReLU
        Loss and network.
    n_jobs : int or None, default=None
        Threads, as in `underdetermined.blocks.thread_count`.

    Returns
    -------
    LinearOperator of shape (n k, n k)
        Symmetric and positive semi-definite; entry (i, a) of a vector is at i k + a.

    Notes
    -----
    A product costs 4 d flops for each active pair; the pairs are found once, with 2 n d m flops, and kept in 12 bytes each.
    Rows of weight zero give zeros.

    References
    ----------
    :ref:`theory-sparse-relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.active_sets import tangent_operator
    >>> from underdetermined.objectives import SparseReLU
    >>> hidden = FeatureMap([[1.0, -1.0]], [-1.0, -1.0], scale=1.0)
    >>> tangent_operator(SparseReLU([[2.0], [3.0]], [0.0, 0.0], hidden, [3.0, 1.0])) @ np.array([1.0, 0.0])
    array([45., 63.])
    """
    pairs = active_pairs(objective.feature_map, objective.X, n_jobs=n_jobs)
    rows, last, sigma = objective.X, np.ascontiguousarray(objective.output_weights), objective.bias_scale
    shape = objective.targets.shape
    root = np.sqrt(objective.sample_weight)[:, np.newaxis]
    blocks = neuron_blocks(len(last))
    outputs = np.empty((len(blocks), *shape))

    def product(vector: FloatArray) -> FloatArray:
        weighted = root * np.reshape(vector, shape).astype(np.float64)

        def task(place: int) -> None:
            block = blocks[place]
            outputs[place] = 0.0
            active_set.tangent_product(
                rows, sigma, last[block], pairs.indptr, pairs.samples, block.start, weighted, outputs[place],
                np.empty(rows.shape[1]),
            )  # fmt: skip

        run_tiles(task, range(len(blocks)), n_jobs=n_jobs)
        return (root * outputs.sum(axis=0)).ravel()

    size = shape[0] * shape[1]
    return LinearOperator((size, size), matvec=product, rmatvec=product, dtype=np.float64)


def largest_tangent_eigenvalue(objective: SparseReLU, *, n_jobs: int | None = None) -> float:
    """Largest eigenvalue of the tangent matrix at the start of an objective.

    Parameters
    ----------
    objective : SparseReLU
        Loss and network.
    n_jobs : int or None, default=None
        Threads, as in `underdetermined.blocks.thread_count`.

    Returns
    -------
    float
        The same for any number of threads; 0 if no row of positive weight has an active neuron.

    Notes
    -----
    Lanczos steps with `tangent_operator`, usually 10 to 30, to a relative error of at most 1e-3.

    References
    ----------
    :ref:`theory-sparse-relu`.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.active_sets import largest_tangent_eigenvalue
    >>> from underdetermined.objectives import SparseReLU
    >>> hidden = FeatureMap([[1.0]], [-1.0], scale=1.0)
    >>> round(largest_tangent_eigenvalue(SparseReLU([[2.0]], [0.0], hidden, [3.0])), 9)
    45.0
    """
    operator = tangent_operator(objective, n_jobs=n_jobs)
    return extreme_eigenvalues(operator, tol=1e-3, max_iter=20).largest
