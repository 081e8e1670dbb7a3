"""Tangent matrices and the sums behind certificates, against definitions with n x m arrays."""

import numpy as np
import pytest
from certificate_runs import dense_tangent, draw_case

from underdetermined._kernels.pair_counts import deviations, outer_products, row_blocks
from underdetermined.active_sets import draw_network
from underdetermined.kernels import bias_ntk
from underdetermined.objectives import SparseReLU
from underdetermined.sparsity import tangent_matrix
from underdetermined.sparsity._tangent import TangentProblem, _positive_vector

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


@pytest.mark.parametrize("index", range(10))
def test_tangent_matrix_matches_the_definition(index):
    case = draw_case(np.random.default_rng([7, index]), widths=(30, 300))
    expected = dense_tangent(case)
    found = tangent_matrix(case.objective(np.zeros(case.outputs.shape)))
    assert np.abs(found - expected).max() <= 1e-13 * np.abs(expected).max()
    assert (found == found.T).all()


@pytest.mark.parametrize("index", range(4))
def test_tangent_matrix_is_that_of_the_gradients(index):
    # With a residual of one in one place the gradient of the loss is a row of the Jacobian times the weight of its sample.
    case = draw_case(np.random.default_rng([8, index]), widths=(60,))
    n, k = case.outputs.shape
    rows = []
    for place in range(n * k):
        residual = np.zeros(n * k)
        residual[place] = 1.0
        objective = case.objective(residual.reshape(n, k))
        rows.append(objective.gradient(objective.initial()))
    roots = np.repeat(np.sqrt(case.weight), k)
    jacobian = np.array(rows) / np.where(roots > 0.0, roots, 1.0)[:, None]
    found = tangent_matrix(case.objective(np.zeros((n, k))))
    np.testing.assert_allclose(found, jacobian @ jacobian.T, rtol=1e-9, atol=1e-9 * np.abs(found).max())


def test_average_tangent_matrix_is_the_limit_kernel(rng):
    X = rng.standard_normal((4, 3))
    found = []
    for seed in range(100):
        hidden, coef = draw_network(3, 400, bias=1.0, symmetric=False, seed=seed)
        found.append(tangent_matrix(SparseReLU(X, np.zeros(4), hidden, coef, bias_scale=0.5)))
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert np.abs((np.mean(found, axis=0) - bias_ntk(X, bias=1.0, bias_scale=0.5)) / error).max() < 4.5


def test_counts_are_exact():
    hidden, coef = draw_network(3, 50000, 2, bias=0.5, seed=1)
    X = np.eye(3)
    A = X @ hidden.weights + hidden.biases > 0.0
    counts = np.einsum("ir,jr,ra,rb->iajb", A.astype(int), A.astype(int), coef.astype(int), coef.astype(int), optimize=True)
    problem = TangentProblem(SparseReLU(X, np.zeros((3, 2)), hidden, coef))
    assert (problem._start_sums == counts).all()


def reference(pairs, status, values, kernel):
    """Middle, width and block sums by loops over neurons, with dense masks."""
    n, (m, k) = len(kernel), values.shape
    shape = (m, n)
    neurons = np.repeat(np.arange(m), np.diff(pairs.indptr))
    P, N, A = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    P[neurons, pairs.samples] = status > 0
    N[neurons, pairs.samples] = status == 2
    A[neurons, pairs.samples] = pairs.z > 0.0
    middle, width, blocks = np.zeros((n, k, n, k)), np.zeros((n, n)), np.zeros((n, k, k))
    for r in range(m):
        outer = np.outer(values[r], values[r])
        half = (np.outer(P[r], P[r]) - np.outer(N[r], N[r])) / 2.0
        change = (np.outer(P[r], P[r]) + np.outer(N[r], N[r])) / 2.0 - np.outer(A[r], A[r])
        middle += np.einsum("ij,ab->iajb", change, outer)
        width += half * np.trace(outer)
        blocks += np.einsum("i,ab->iab", (half * kernel).sum(axis=1), outer)
    return middle, width, blocks


@pytest.mark.parametrize("tile", [2, 5, 100])
@pytest.mark.parametrize("k", [1, 3])
def test_sums_over_open_pairs_match_loops(k, tile, rng):
    hidden, values = draw_network(4, 60, k, bias=0.3)
    values = values * rng.uniform(0.5, 1.0, (60, 1))
    X = rng.standard_normal((9, 4))
    problem = TangentProblem(SparseReLU(X, np.zeros((9, k)), hidden, values))
    pairs = problem._pairs_within(np.full(60, 0.5))
    # Always only where active now, never only where inactive.
    status = np.where(rng.random(len(pairs.z)) < 0.3, 1, np.where(pairs.z > 0.0, 2, 0)).astype(np.int8)
    open_pairs = np.flatnonzero(status == 1)
    open_indptr = np.searchsorted(open_pairs, pairs.indptr)
    norms, kernel = (values**2).sum(axis=1), rng.uniform(0.1, 1.0, (9, 9))
    middle, width, blocks = np.zeros((9, k, 9, k)), np.zeros((9, 9)), np.zeros((9, k, k))
    for start in range(0, 9, tile):
        common = (start, min(start + tile, 9), pairs.indptr, pairs.samples)
        deviations(*common, pairs.z, status, open_indptr, open_pairs, values, norms, middle, width)
        row_blocks(*common, status, open_indptr, open_pairs, values, kernel, blocks)
    for found, expected in zip((middle, width, blocks), reference(pairs, status, values, kernel), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-13)


@pytest.mark.parametrize("tile", [1, 4])
def test_sums_do_not_depend_on_tiles(tile, rng):
    hidden, _ = draw_network(4, 300, bias=0.3)
    values = rng.standard_normal((300, 2))
    problem = TangentProblem(SparseReLU(rng.standard_normal((9, 4)), np.zeros((9, 2)), hidden, values))
    pairs, whole, parts = problem.active, np.zeros((9, 2, 9, 2)), np.zeros((9, 2, 9, 2))
    outer_products(0, 9, pairs.indptr, pairs.samples, values, whole)
    for start in range(0, 9, tile):
        outer_products(start, min(start + tile, 9), pairs.indptr, pairs.samples, values, parts)
    assert (whole == parts).all()


@pytest.mark.parametrize(
    "matrix",
    [
        np.ones((4, 4)),
        np.diag([1.0, 2.0, 0.0, 3.0]),
        np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.5]]),
        np.zeros((3, 3)),
        np.abs(np.random.default_rng(3).standard_normal((30, 30))),
    ],
)
def test_quotients_of_the_positive_vector_bound_the_norm(matrix):
    matrix = matrix + matrix.T
    vector = _positive_vector(matrix)
    assert vector.min() > 0.0
    largest = (matrix @ vector / vector).max()
    assert largest == pytest.approx(np.linalg.norm(matrix, 2), rel=1e-4, abs=0.0)
    assert largest >= np.linalg.norm(matrix, 2) * (1.0 - 1e-14)


def test_bounds_with_outputs_are_below_bounds_in_norm(rng):
    hidden, coef = draw_network(5, 1000, 4, bias=0.5)
    X = rng.standard_normal((6, 5))
    problem = TangentProblem(SparseReLU(X, np.zeros((6, 4)), hidden, coef))
    interval = problem.interval(0.2 * problem.path_unit)
    pairs, status = interval.pairs, interval.status
    weighted = np.abs(problem.kernel)
    _, width, _ = reference(pairs, status, problem.values, weighted)
    assert interval.deviation < 0.5 * np.linalg.norm(width * weighted, 2)


def test_deviations_from_the_middle_stay_below_the_bound(rng):
    # Any slopes and masks between the bounds, also the extreme ones.
    hidden, coef = draw_network(5, 600, 2, bias=0.5)
    X = rng.standard_normal((6, 5))
    problem = TangentProblem(SparseReLU(X, np.zeros((6, 2)), hidden, coef, sample_weight=rng.uniform(0.1, 2.0, 6)))
    interval = problem.interval(0.05 * problem.path_unit)
    pairs, status = interval.pairs, interval.status
    middle = problem._start_sums + reference(pairs, status, problem.values, problem.kernel)[0]
    neurons, largest = np.repeat(np.arange(600), np.diff(pairs.indptr)), 0.0
    for trial in range(40):
        slopes, active = np.zeros((6, 600)), np.zeros((6, 600))
        for mask, drawn in ((slopes, rng.random(len(status))), (active, rng.random(len(status)).round())):
            drawn *= trial % 4 + 1 > 4.0 * rng.random()
            mask[pairs.samples, neurons] = np.where(status == 2, 1.0, drawn) * (status > 0)
        sums = np.einsum("ir,jr,ra,rb->iajb", slopes, active, problem.values, problem.values, optimize=True)
        change = ((sums - middle) * problem.kernel[:, None, :, None]).reshape(12, 12)
        largest = max(largest, np.linalg.norm(change, 2))
    assert 0.05 * interval.deviation < largest <= interval.deviation
