"""The tangent matrix of a sparse network and what bounds it while masks change, from its active pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._kernels.pair_counts import classify, deviations, outer_products, row_blocks
from underdetermined._linalg import EPS, mirror_lower, rank_cutoff
from underdetermined._validation import check_finite, check_memory
from underdetermined.active_sets import active_pairs
from underdetermined.blocks import run_tiles, slices, thread_count
from underdetermined.objectives import SparseReLU

FloatArray = NDArray[np.float64]

_POWER_STEPS = 100


def tangent_matrix(objective: SparseReLU) -> FloatArray:
    """Tangent matrix H = J J' of a network with trained weights and biases, from its active pairs.

    ``H[(i, a), (j, b)] = sqrt(s_i s_j) (<x_i, x_j> + bias_scale**2) sum_r v_ra v_rb A_ir A_jr``, where A_ir is 1 where
    neuron r is active on sample i, v is the last layer times the scale of the features, and s the sample weights. A small
    step of gradient descent with learning rate eta takes the weighted residuals from rho to rho - eta H rho.

    Parameters
    ----------
    objective : SparseReLU
        Rows, weights and the network, with n rows and k outputs.

    Returns
    -------
    ndarray of shape (n k, n k)
        Exactly symmetric; row i k + a belongs to sample i and output a. Rows of weight zero are zero.

    Raises
    ------
    MemoryError
        If the matrix does not fit in memory.
    TypeError, ValueError
        If `objective` is no `SparseReLU`, the rows are so large that their inner products overflow, or the matrix overflows
        or underflows.

    Notes
    -----
    A neuron that is active on c samples costs ``(c k)**2`` additions, in all m (n Q)**2 where a share Q of the pairs is
    active, instead of the n**2 m of a product of masks; and n**2 d for the inner products. Where all |v_ra| are equal the
    sums are counts, and exact.

    References
    ----------
    :ref:`theory-sparse-certificate`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.objectives import SparseReLU
    >>> from underdetermined.sparsity import tangent_matrix
    >>> hidden = FeatureMap(np.array([[1.0, -1.0]]), np.zeros(2), "relu", 1.0)
    >>> tangent_matrix(SparseReLU([[1.0], [-0.5]], [0.0, 0.0], hidden, [[1.0], [2.0]]))
    array([[2., 0.],
           [0., 5.]])
    """
    problem = TangentProblem(objective)
    order = problem.n_rows * problem.n_outputs
    with np.errstate(over="ignore"):
        matrix = (problem.at_start * problem.rate_unit).reshape(order, order)
    check_finite(matrix, "the tangent matrix")
    return matrix


class TangentProblem:
    """A network and its rows, in units in which kernel, last layer and weights are at most one.

    Parameters
    ----------
    objective : SparseReLU
        Rows, targets, weights, hidden layer and last layer.
    """

    def __init__(self, objective: SparseReLU) -> None:
        if not isinstance(objective, SparseReLU):
            raise TypeError(f"objective is a {type(objective).__name__}: pass an underdetermined.objectives.SparseReLU")
        self.objective = objective
        self.X = objective.X
        self.n_rows, self.n_outputs = len(self.X), objective.coef.shape[1]
        order = self.n_rows * self.n_outputs
        check_memory(8 * (4 * order**2 + 5 * self.n_rows**2), f"the tangent matrix of order {order}")
        with np.errstate(over="ignore", invalid="ignore"):
            kernel = self.X @ self.X.T + float(objective.bias_scale) ** 2
        check_finite(kernel, "the matrix of inner products of the rows of X")
        values, self.weight = objective.output_weights, objective.sample_weight
        self.is_kept = self.weight > 0.0
        kernel_unit, value_unit, weight_unit = (_unit(part) for part in (kernel, values, self.weight))
        roots = np.sqrt(self.weight / weight_unit)
        self.values = np.ascontiguousarray(values / value_unit)
        self.norms = np.einsum("rk,rk->r", self.values, self.values)
        kernel /= kernel_unit
        self.squares = kernel**2 * (self.weight / weight_unit)
        self.speeds = np.sqrt(self.squares.sum(axis=1))
        self.kernel = kernel * np.outer(roots, roots)
        # Units of the tangent matrix, and of a path of the residual.
        with np.errstate(over="ignore", under="ignore"):
            self.rate_unit = float(np.square(value_unit) * kernel_unit * weight_unit)
        if not np.isfinite(self.rate_unit) or self.rate_unit < np.finfo(np.float64).tiny:
            raise ValueError(
                f"the tangent matrix has entries of about {self.rate_unit:.3g}, out of the range of float64: change the "
                "scale of X, of coef or of sample_weight"
            )
        self.path_unit = float(1.0 / (value_unit * kernel_unit * np.sqrt(weight_unit)))
        self.slack = self._rounding()
        self._margin = 0.0

    def _rounding(self) -> FloatArray:
        """How far the rounding of a pre-activation may move it, for each neuron."""
        weights, largest = self.objective.feature_map.weights, np.sqrt(np.einsum("ij,ij->i", self.X, self.X).max())
        norms = np.sqrt(np.einsum("ir,ir->r", weights, weights))
        return 2.0 * EPS * (self.X.shape[1] + 2) * (largest * norms + np.abs(self.objective.biases))

    @cached_property
    def active(self) -> Any:
        """Pairs that are active now."""
        return active_pairs(self.objective.feature_map, self.X)

    @cached_property
    def _start_sums(self) -> FloatArray:
        """Sum over neurons of v_ra v_rb A_ir A_jr."""
        n, k = self.n_rows, self.n_outputs
        pairs, sums = self.active, np.zeros((n, k, n, k))
        run_tiles(
            lambda rows: outer_products(rows.start, rows.stop, pairs.indptr, pairs.samples, self.values, sums),
            self._row_tiles(),
        )
        return mirror_lower(sums.reshape(n * k, n * k)).reshape(sums.shape)

    @property
    def at_start(self) -> FloatArray:
        """Tangent matrix H now, of shape (n, k, n, k), in its unit."""
        return self._start_sums * self.kernel[:, np.newaxis, :, np.newaxis]

    def eigenvalues(self, matrix: FloatArray) -> tuple[float, float]:
        """Smallest and largest eigenvalue on the rows of positive weight, in the unit; the smallest one rounded down."""
        order = int(self.is_kept.sum()) * self.n_outputs
        values = np.linalg.eigvalsh(matrix[self.is_kept][:, :, self.is_kept].reshape(order, order))
        return float(values[0] - rank_cutoff((order, order)) * values[-1]), float(values[-1])

    def interval(self, path: float) -> Interval:
        """What bounds the tangent matrix while the path of the residual, the sum of eta |rho|, is at most `path`."""
        radius = path / self.path_unit * np.sqrt(self.norms)
        pairs = self._pairs_within(radius)
        status = np.empty(len(pairs.samples), dtype=np.int8)

        def task(neurons: slice) -> None:
            classify(
                neurons.start, neurons.stop, pairs.indptr, pairs.samples, pairs.z, radius, self.slack, self.squares,
                self.speeds, status,
            )  # fmt: skip

        run_tiles(task, slices(len(radius), 1024))
        masks = _Masks(pairs, status)
        middle, width = self._between(masks)
        low, high = self.eigenvalues(middle)
        # Rounded up as the smallest one is rounded down: the largest step weighs both.
        high *= 1.0 + rank_cutoff((self.n_rows * self.n_outputs,) * 2)
        return Interval(self, path, pairs, status, low, high, self._norm_bound(masks, width))

    def _pairs_within(self, radius: FloatArray) -> Any:
        """All pairs that may become active; the list is kept, and grows in large steps."""
        largest = float((radius * self.speeds.max() + self.slack).max())
        if largest > self._margin or "_pairs" not in vars(self):
            self._margin = 4.0 * largest
            self._pairs = active_pairs(self.objective.feature_map, self.X, margin=self._margin)
        return self._pairs

    def _between(self, masks: _Masks) -> tuple[FloatArray, FloatArray]:
        """Middle of all tangent matrices between the masks, and the largest deviation from it, in norm for each two rows."""
        middle, width = self._start_sums.copy(), np.zeros((self.n_rows, self.n_rows))

        def task(rows: slice) -> None:
            deviations(
                rows.start, rows.stop, masks.indptr, masks.samples, masks.z, masks.status, masks.open_indptr,
                masks.open_pairs, self.values, self.norms, middle, width,
            )  # fmt: skip

        run_tiles(task, self._row_tiles())
        middle *= self.kernel[:, np.newaxis, :, np.newaxis]
        width *= np.abs(self.kernel)
        return middle, width

    def _row_tiles(self) -> list[slice]:
        # Every tile reads all pairs, so that there are no more of them than threads.
        return slices(self.n_rows, -(-self.n_rows // thread_count()))

    def _norm_bound(self, masks: _Masks, width: FloatArray) -> float:
        """Upper bound on the two-norm of any deviation from the middle."""
        vector = _positive_vector(width)
        if self.n_outputs == 1:
            ratios = width @ vector / vector
        else:
            weights = np.abs(self.kernel) * vector / vector[:, np.newaxis]
            blocks = np.zeros((self.n_rows, self.n_outputs, self.n_outputs))

            def task(rows: slice) -> None:
                row_blocks(
                    rows.start, rows.stop, masks.indptr, masks.samples, masks.status, masks.open_indptr,
                    masks.open_pairs, self.values, weights, blocks,
                )  # fmt: skip

            run_tiles(task, self._row_tiles())
            ratios = np.linalg.eigvalsh(blocks)[:, -1]
        return float(ratios.max()) * (1.0 + 4.0 * rank_cutoff(width.shape))


class _Masks:
    """Pairs with their status, and the list of those that are open: perhaps active, perhaps not."""

    def __init__(self, pairs: Any, status: NDArray[np.int8]) -> None:
        self.indptr, self.samples, self.z, self.status = pairs.indptr, pairs.samples, pairs.z, status
        self.open_pairs = np.flatnonzero(status == 1)
        self.open_indptr = np.searchsorted(self.open_pairs, pairs.indptr)


@dataclass(frozen=True, eq=False)
class Interval:
    """All tangent matrices that masks between two bounds can give; numbers in the units of the problem.

    Parameters
    ----------
    problem : TangentProblem
        What it belongs to.
    path : float
        The path of the residual, sum of eta |rho|, that it allows.
    pairs : ActivePairs
        Pairs that may be active, and more.
    status : ndarray of shape (nnz,)
        0, 1, 2: never, perhaps, always active.
    low, high : float
        Extreme eigenvalues of the middle of the interval.
    deviation : float
        Bound on the two-norm of the difference from the middle.
    """

    problem: TangentProblem
    path: float
    pairs: Any
    status: NDArray[np.int8]
    low: float
    high: float
    deviation: float

    @property
    def full_rate(self) -> float:
        """Rate of all steps up to `full_step`."""
        return (self.low - self.deviation) * self.problem.rate_unit

    @property
    def full_step(self) -> float:
        """Largest step for which the smallest eigenvalue of the middle decides the rate."""
        return 2.0 / ((max(self.low, 0.0) + self.high) * self.problem.rate_unit) if self.high > 0.0 else np.inf

    def rate(self, learning_rate: float | None) -> float:
        """Rate lambda with ``|rho|`` falling by 1 - eta lambda in every step of any eta up to the given one."""
        if learning_rate is None or learning_rate <= self.full_step:
            return self.full_rate
        return 2.0 / learning_rate - (self.high + self.deviation) * self.problem.rate_unit


def _unit(values: FloatArray) -> float:
    """Largest absolute entry, or 1 if there is none but zeros."""
    return float(np.abs(values).max()) or 1.0


def _positive_vector(matrix: FloatArray) -> FloatArray:
    """Positive vector u for which the largest (W u)_i / u_i is close to the largest eigenvalue of W >= 0."""
    vector = np.ones(len(matrix))
    for _ in range(_POWER_STEPS):
        image = matrix @ vector
        largest = (image / vector).max()
        if largest <= (1.0 + 1e-6) * (vector @ image) / (vector @ vector):
            break
        # The shift keeps entries positive and ends oscillations.
        vector = image + 0.5 * largest * vector
        vector /= vector.max()
        np.maximum(vector, 1e-100, out=vector)
    return vector
