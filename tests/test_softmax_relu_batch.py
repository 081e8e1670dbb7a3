"""Many problems solved together, against each of them alone."""

import numpy as np
import pytest
from scipy import sparse

from underdetermined.objectives import SoftmaxReLUBatch
from underdetermined.softmax_relu._options import SolverOptions
from underdetermined.softmax_relu._status import SoftmaxReLUStatus
from underdetermined.softmax_relu.kinks.certificate import certify
from underdetermined.softmax_relu.newton.batch_cg import BatchMetric, batch_cg
from underdetermined.softmax_relu.newton.cg_subproblem import kink_preconditioner, truncated_cg
from underdetermined.softmax_relu.stages.batch import solve_batch
from underdetermined.softmax_relu.stages.continuation import continuation


def draw(n, m, d, n_problems, seed, **options):
    """Random problems with the same layers, and starts."""
    rng = np.random.default_rng(seed)
    A1, A2 = rng.standard_normal((n, d)) / np.sqrt(d), 2.0 * rng.standard_normal((m, n)) / np.sqrt(n)
    options = {"reg": 1e-3, **options}
    batch = SoftmaxReLUBatch(A1, A2, rng.dirichlet(np.ones(m), size=n_problems).T, **options)
    return batch, rng.standard_normal((d, n_problems))


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("smoothing", [0.5, 1e-3])
def test_steps_of_a_batch_are_those_of_its_problems(loss, smoothing):
    batch, X = draw(40, 12, 15, 9, 0, loss=loss)
    widths = smoothing * np.linspace(0.5, 2.0, 9)
    point = batch.at(X, widths)
    radius, scale = np.geomspace(1e-3, 1e3, 9), np.linspace(0.01, 0.1, 9)
    curvatures = point.kink_weights("clipped")
    metric = BatchMetric(batch.A1, batch.A1 @ batch.A1.T, curvatures, scale)
    stops = {"forcing": np.geomspace(0.5, 1e-3, 9), "floor": np.zeros(9)}
    found = batch_cg(batch, point, radius, max_products=25, metric=metric, **stops)
    for j in range(9):
        one = batch.column(j).at(X[:, j], widths[j])
        alone = truncated_cg(
            one.gradient,
            one.hessp,
            radius[j],
            forcing=stops["forcing"][j],
            floor=0.0,
            max_products=25,
            metric=kink_preconditioner(batch.column(j), curvatures[:, j], scale[j]),
        )
        assert np.allclose(found.step[:, j], alone.step, rtol=1e-6, atol=1e-9 * np.abs(alone.step).max())
        assert found.n_products[j] == alone.n_products
        assert found.is_on_boundary[j] == alone.is_on_boundary
        assert found.length[j] == pytest.approx(alone.length, rel=1e-8)
        assert found.promised[j] == pytest.approx(alone.promised, rel=1e-8)
        assert found.scale[j] == pytest.approx(alone.scale, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_every_problem_has_a_preconditioner_of_its_own(convert):
    rng = np.random.default_rng(1)
    A1, vectors = rng.standard_normal((20, 7)), rng.standard_normal((7, 3))
    curvatures = rng.uniform(1.0, 5.0, (20, 4)) * (rng.random((20, 4)) < [0.0, 0.1, 0.5, 1.0])
    scale = np.array([1.0, 2.0, 0.5, 1.0])
    columns = np.array([0, 2, 3])
    solved = BatchMetric(convert(A1), A1 @ A1.T, curvatures, scale).solve(vectors, columns)
    for vector, result, j in zip(vectors.T, solved.T, columns, strict=True):
        dense = np.eye(7) + (A1.T * (curvatures[:, j] / scale[j])) @ A1
        assert np.allclose(result, np.linalg.solve(dense, vector))


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("shape", [(20, 8, 10), (10, 8, 30)])
def test_every_problem_ends_at_a_certified_minimiser(loss, shape):
    batch, X0 = draw(*shape, 8, 2, loss=loss)
    start = X0.copy()
    runs = solve_batch(batch, X0)
    assert np.array_equal(X0, start)
    rng = np.random.default_rng(3)
    for j, run in enumerate(runs):
        problem = batch.column(j)
        judged = certify(problem, run.x, pinned=run.certificate.pinned)
        assert run.certificate.is_certified
        assert judged.is_certified
        assert run.value == pytest.approx(problem.value(run.x), rel=1e-12)
        assert run.value <= problem.value(X0[:, j])
        assert run.n_products > 0
        for length in 10.0 ** rng.uniform(-6.0, -3.0, 5):
            direction = rng.standard_normal(shape[2])
            assert problem.value(run.x + length * direction / np.linalg.norm(direction)) >= run.value - 1e-15


@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_minima_are_as_low_as_those_of_single_runs_on_average(factor):
    batch, X0 = draw(20, 8, 10, 16, 4, loss="kl")
    runs = solve_batch(batch, factor * X0)
    together = np.array([run.value for run in runs])
    alone = np.array([continuation(batch.column(j), factor * X0[:, j]).value for j in range(16)])
    # Different paths end in different basins, on both sides.
    assert (together <= alone + 1e-10).sum() >= 8
    assert np.exp(np.mean(np.log(together / alone))) <= 1.05
    assert np.mean([run.n_iter for run in runs]) <= 80.0
    assert np.mean([run.n_products for run in runs]) <= 320.0


def test_near_a_minimiser_a_batch_ends_where_single_runs_do():
    batch, X0 = draw(30, 10, 12, 6, 5)
    ends = np.column_stack([run.x for run in solve_batch(batch, X0)])
    options = SolverOptions(smoothing=1e-6)
    again = solve_batch(batch, ends + 1e-7, options=options)
    for j, run in enumerate(again):
        assert run.value == pytest.approx(batch.column(j).value(ends[:, j]), rel=1e-10)
        assert np.allclose(run.x, ends[:, j], atol=1e-8)


def test_neither_order_nor_company_changes_a_result():
    batch, X0 = draw(20, 8, 10, 8, 6)
    order = np.random.default_rng(7).permutation(8)
    runs, permuted = solve_batch(batch, X0), solve_batch(batch.select(order), X0[:, order])
    for j, run in zip(order, permuted, strict=True):
        assert run.value == pytest.approx(runs[j].value, rel=1e-9)
    single = solve_batch(batch.select([3]), np.asfortranarray(X0[:, [3]]))[0]
    assert single.value == pytest.approx(runs[3].value, rel=1e-9)


def test_a_sparse_layer_and_unit_weights_are_taken_too():
    dense, X0 = draw(20, 8, 10, 5, 8, weights=0.05)
    twin = SoftmaxReLUBatch(sparse.csr_array(dense.A1), dense.A2, dense.B, reg=dense.reg, weights=0.05)
    for run, other in zip(solve_batch(dense, X0), solve_batch(twin, X0), strict=True):
        assert run.certificate.is_certified
        assert other.certificate.is_certified
        assert other.value == pytest.approx(run.value, rel=1e-8)


def test_starts_of_very_different_sizes_and_at_zero_are_taken():
    batch, X0 = draw(20, 8, 6, 4, 9)
    runs = solve_batch(batch, X0 * [0.0, 1e-6, 1.0, 1e6])
    assert all(run.certificate.is_certified for run in runs)


def test_the_number_of_steps_is_that_of_each_problem():
    batch, X0 = draw(20, 8, 10, 3, 10)
    for run, x0 in zip(solve_batch(batch, X0, options=SolverOptions(maxiter=0)), X0.T, strict=True):
        assert np.array_equal(run.x, x0)
        assert run.is_exhausted
        assert not run.certificate.is_certified
    for run in solve_batch(batch, X0, options=SolverOptions(maxiter=7)):
        assert run.n_iter <= 7


def test_a_callback_sees_all_problems_and_may_stop_them():
    batch, X0 = draw(20, 8, 10, 3, 11)
    seen = []

    def look(X, values):
        seen.append((X, values))

    runs = solve_batch(batch, X0, on_step=look)
    assert {X.shape for X, _ in seen} == {(10, 3)}
    assert np.array_equal(seen[-1][0], np.column_stack([run.x for run in runs]))
    assert np.array_equal(seen[-1][1], [run.value for run in runs])

    def stop(X, values):
        raise StopIteration

    stopped = solve_batch(batch, X0, on_step=stop)
    assert all(run.stopped for run in stopped)
    assert all(run.certificate.status == SoftmaxReLUStatus.LIMIT for run in stopped)
    assert np.array_equal(np.column_stack([run.x for run in stopped]), seen[0][0])
