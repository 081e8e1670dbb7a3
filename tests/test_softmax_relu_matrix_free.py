"""Newton steps, kinks and certificates from products with the Hessian, against dense linear algebra and known minimisers."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import null_space

from underdetermined.objectives import SharedSoftmaxReLU, SoftmaxReLU
from underdetermined.softmax_relu.kinks.certificate import certify
from underdetermined.softmax_relu.kinks.face import Face, follow
from underdetermined.softmax_relu.kinks.manifold_cg import manifold_newton_cg
from underdetermined.softmax_relu.kinks.null_space import NullSpace
from underdetermined.softmax_relu.kinks.projected_curvature import certify_by_products, projected_curvature
from underdetermined.softmax_relu.newton.cg_subproblem import KinkPreconditioner, kink_preconditioner, truncated_cg
from underdetermined.softmax_relu.newton.newton_cg import newton_cg
from underdetermined.softmax_relu.stages.continuation import continuation

MATRIX_FREE = {"newton": newton_cg, "manifold": manifold_newton_cg, "certificate": certify_by_products}


def draw(n, m, d, seed, **options):
    """A random problem and a start."""
    rng = np.random.default_rng(seed)
    A1, A2 = rng.standard_normal((n, d)) / np.sqrt(d), 2.0 * rng.standard_normal((m, n)) / np.sqrt(n)
    options = {"reg": 1e-3, **options}
    return SoftmaxReLU(A1, A2, rng.dirichlet(np.ones(m)), **options), rng.standard_normal(d)


def sparse_twin(problem):
    return SoftmaxReLU(sparse.csr_array(problem.A1), problem.A2, problem.b, loss=problem.loss, reg=problem.reg)


def quadratic(seed, size=12, lowest=0.1):
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
    hessian = (basis * np.linspace(lowest, 3.0, size)) @ basis.T
    return rng.standard_normal(size), hessian


SOLVE_ALL = {"forcing": 1e-13, "floor": 0.0, "max_products": 100}


def test_the_model_is_minimised_where_the_radius_allows():
    gradient, hessian = quadratic(0)
    found = truncated_cg(gradient, hessian.__matmul__, 1e3, **SOLVE_ALL)
    exact = -np.linalg.solve(hessian, gradient)
    assert np.allclose(found.step, exact, atol=1e-10)
    assert found.promised == pytest.approx(-0.5 * gradient @ exact)
    assert found.n_products <= 13
    assert not found.is_on_boundary


@pytest.mark.parametrize("lowest", [0.1, -1.0])
@pytest.mark.parametrize("radius", [0.01, 0.3])
def test_a_step_to_the_boundary_has_the_length_of_the_radius_and_keeps_its_promise(lowest, radius):
    gradient, hessian = quadratic(1, lowest=lowest)
    rows = np.random.default_rng(2).standard_normal((4, 12))
    metric = KinkPreconditioner(rows, np.array([1.0, 2.0, 3.0, 4.0]), 0.5)
    found = truncated_cg(gradient, hessian.__matmul__, radius, metric=metric, **SOLVE_ALL)
    dense = np.eye(12) + (rows.T * np.array([2.0, 4.0, 6.0, 8.0])) @ rows
    assert found.is_on_boundary
    assert np.sqrt(found.step @ dense @ found.step) == pytest.approx(radius)
    assert found.length == pytest.approx(radius)
    assert found.promised == pytest.approx(-(gradient @ found.step + 0.5 * found.step @ hessian @ found.step))
    # The first step alone, along the preconditioned gradient, is no better.
    first = truncated_cg(gradient, hessian.__matmul__, radius, metric=metric, forcing=0.0, floor=0.0, max_products=1)
    assert found.promised >= first.promised > 0.0


def test_without_a_radius_negative_curvature_ends_the_iteration():
    gradient, hessian = quadratic(3, lowest=-3.0)
    found = truncated_cg(gradient, hessian.__matmul__, np.inf, **SOLVE_ALL)
    assert np.isfinite(found.step).all()
    assert found.promised >= 0.0


@pytest.mark.parametrize("n_rows", [3, 30])
@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_the_preconditioner_is_the_inverse_of_its_matrix(n_rows, convert):
    rng = np.random.default_rng(4)
    rows, weights, vector = rng.standard_normal((n_rows, 8)), rng.uniform(1.0, 9.0, n_rows), rng.standard_normal(8)
    dense = np.eye(8) + rows.T @ np.diag(weights / 0.7) @ rows
    assert np.allclose(KinkPreconditioner(convert(rows), weights, 0.7).solve(vector), np.linalg.solve(dense, vector))


def test_only_units_that_bend_the_objective_are_preconditioned():
    problem, _ = draw(20, 5, 6, 5)
    assert kink_preconditioner(problem, None, 1.0) is None
    assert kink_preconditioner(problem, np.full(20, 1e-9), 1.0) is None
    weights = np.where(np.arange(20) < 2, 50.0, 1e-9)
    vector = np.random.default_rng(6).standard_normal(6)
    dense = np.eye(6) + 50.0 * problem.A1[:2].T @ problem.A1[:2]
    assert np.allclose(kink_preconditioner(problem, weights, 1.0).solve(vector), np.linalg.solve(dense, vector))


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_projections_and_multipliers_are_those_of_dense_least_squares(convert):
    rng = np.random.default_rng(7)
    rows = rng.standard_normal((5, 9)) * np.array([[1e-6], [1.0], [1.0], [1e6], [1.0]])
    rows = np.vstack([rows, rows[1] - 2.0 * rows[2], np.zeros(9)])
    space = NullSpace(convert(rows), np.linalg.norm(rows, axis=1))
    basis, vector = null_space(rows[:5] / np.linalg.norm(rows[:5], axis=1)[:, np.newaxis]), rng.standard_normal(9)
    assert space.rank == 5
    assert np.allclose(space.project(vector), basis @ (basis.T @ vector), atol=1e-13)
    residual = vector + rows.T @ space.multipliers(vector)
    assert np.allclose(residual, space.project(vector), atol=1e-13)


def test_kinks_that_span_everything_leave_nothing_and_no_kinks_leave_all():
    rows = np.random.default_rng(8).standard_normal((7, 4))
    assert not NullSpace(rows, np.linalg.norm(rows, axis=1)).project(np.ones(4)).any()
    assert (NullSpace(rows[:0], np.zeros(0)).project(np.ones(4)) == 1.0).all()


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("smoothing", [1.0, 1e-2, 1e-4])
def test_smooth_stages_end_at_a_stationary_point_and_never_rise(loss, smoothing):
    problem, x0 = draw(40, 12, 15, 9, loss=loss)
    values = []
    run = newton_cg(problem, x0, smoothing=smoothing, gtol=1e-9, on_step=lambda x, value: values.append(value))
    assert run.is_converged
    assert run.reason == "converged"
    assert run.n_iter == len(values)
    assert np.linalg.norm(run.point.gradient) <= 1e-9
    assert (np.diff([problem.value(x0, smoothing), *values]) <= 1e-14).all()
    assert np.linalg.eigvalsh(run.point.hessian())[0] > 0.0
    right = np.random.default_rng(10).standard_normal(15)
    exact = np.linalg.solve(run.point.hessian(), right)
    assert np.linalg.norm(run.solve(right) - exact) <= 0.3 * np.linalg.norm(exact)
    twin = newton_cg(sparse_twin(problem), x0, smoothing=smoothing, gtol=1e-9)
    assert twin.point.value == pytest.approx(run.point.value, rel=1e-9)


def test_the_units_near_their_kinks_are_what_makes_small_smoothings_cheap(monkeypatch):
    problem, x0 = draw(200, 60, 100, 11, reg=1e-4)
    start = newton_cg(problem, x0, smoothing=1e-2, gtol=1e-7).x
    run = newton_cg(problem, start, smoothing=1e-4, gtol=1e-9)
    monkeypatch.setattr("underdetermined.softmax_relu.newton.newton_cg.kink_preconditioner", lambda *_: None)
    plain = newton_cg(problem, start, smoothing=1e-4, gtol=1e-9)
    assert run.is_converged
    assert 2 * run.n_products < plain.n_products


def test_shared_layers_are_trained_by_the_same_steps():
    rng = np.random.default_rng(12)
    targets = rng.dirichlet(np.ones(3), size=30)
    problem = SharedSoftmaxReLU(rng.standard_normal((30, 4)), rng.standard_normal((3, 6)), targets, reg=0.1)
    run = newton_cg(problem, rng.standard_normal(24), smoothing=0.1, gtol=1e-9)
    assert run.is_converged
    assert np.linalg.norm(problem.at(run.x, 0.1).gradient) <= 1e-9


def test_a_stage_stops_where_it_is_told_to():
    problem, x0 = draw(20, 6, 8, 13)
    shown = []

    def stop(x, value):
        shown.append(value)
        raise StopIteration

    assert newton_cg(problem, x0, smoothing=0.1, gtol=0.0, max_iter=3).reason == "max_iter"
    run = newton_cg(problem, x0, smoothing=0.1, gtol=0.0, on_step=stop)
    assert (run.reason, run.n_iter, len(shown)) == ("stopped", 1, 1)
    assert newton_cg(problem, x0, smoothing=0.1, gtol=1e-8).x is not x0
    constant = SoftmaxReLU([[1.0]], [[1.0]], [1.0])
    assert newton_cg(constant, [1.0], smoothing=0.1, gtol=0.0).is_converged


@pytest.mark.parametrize(
    ("slopes", "bend", "expected"),
    [
        ([3.0, 0.5], 0.0, (0.25, 1.0, [], [0])),
        ([-1.0, 0.5], 0.0, (1.0, 6.0, [0, 1], [])),
        ([-1.0, 2.0], 0.0, (0.5, 3.0, [0], [1])),
        ([0.0, 0.0], 6.0, (2.0 / 3.0, 4.0 / 3.0, [0, 1], [])),
        ([0.0, 0.0], 100.0, (0.04, 0.08, [], [])),
    ],
)
def test_a_step_ends_where_the_model_turns_at_a_kink_or_between_two(slopes, bend, expected):
    # Along the step of length 4 the kinks are at 1/4 and 1/2, and the slope begins with -4.
    problem = SoftmaxReLU([[1.0], [-1.0]], np.eye(2), [0.5, 0.5])
    face = Face.of(problem, np.array([False, True]), np.zeros(0, dtype=np.intp))
    point = SimpleNamespace(
        x=np.zeros(1), z=np.array([-1.0, 2.0]), gradient=np.array([-1.0]), unit_slopes=np.array(slopes)
    )
    ray = follow(face, point, np.array([4.0]), 4.0 - 0.5 * bend)
    assert (ray.length, ray.promised) == pytest.approx(expected[:2])
    assert (ray.crossed.tolist(), ray.held.tolist()) == expected[2:]


@pytest.mark.parametrize("pinned", [None, [0], [1], [0, 1]])
def test_the_smallest_oracle_is_reached_whichever_units_are_pinned_first(pinned):
    problem = SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75], reg=0.01)
    run = manifold_newton_cg(problem, [0.1, -0.04], pinned)
    assert run.reason == "certified"
    assert run.value == pytest.approx(0.0000683110887117969964459466, rel=1e-12)
    assert np.allclose(run.x, [0.104461520775536525998858475, -0.0522307603877682629994], rtol=1e-12)
    assert run.certificate.pinned.tolist() == [0]
    assert run.certificate.multipliers == pytest.approx([0.000074615371982526089999], rel=1e-9)


def test_a_strict_local_maximum_at_a_kink_is_left():
    problem = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=1.0)
    run = manifold_newton_cg(problem, [0.0], [0, 1])
    assert run.reason == "certified"
    assert abs(run.x[0]) == pytest.approx(0.219946233006957515655845827, rel=1e-12)
    assert run.value == pytest.approx(0.222421527835076603218109426, rel=1e-12)


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("seed", range(4))
def test_a_wrong_guess_of_the_pinned_units_is_mended_and_certified_by_dense_means(loss, seed):
    problem, x0 = draw(60, 20, 30, seed, loss=loss)
    start = newton_cg(problem, x0, smoothing=0.02, gtol=1e-4).x
    z = problem.hidden(start)
    guess = np.argsort(np.abs(z))[: (5, 12)[seed % 2]]
    values = []
    run = manifold_newton_cg(problem, start, guess, on_step=lambda x, value: values.append(value))
    assert run.reason == "certified"
    assert (np.diff(values) <= 1e-15).all()
    judged = certify(problem, run.x, pinned=run.pinned)
    assert judged.is_certified
    assert problem.value(run.x) == pytest.approx(run.value, rel=1e-12)
    rng = np.random.default_rng(seed)
    for length in 10.0 ** rng.uniform(-6.0, -3.0, 20):
        direction = rng.standard_normal(30)
        assert problem.value(run.x + length * direction / np.linalg.norm(direction)) >= run.value - 1e-15


def test_repeated_rows_are_pinned_together():
    base, x0 = draw(30, 10, 15, 20)
    problem = SoftmaxReLU(np.vstack([base.A1, base.A1]), np.hstack([base.A2, base.A2]), base.b, reg=1e-3)
    run = continuation(problem, x0, **MATRIX_FREE)
    assert run.certificate.is_certified
    pinned = set(run.certificate.pinned.tolist())
    assert pinned
    assert pinned == {(unit + 30) % 60 for unit in pinned}


@pytest.mark.parametrize("seed", range(5))
def test_curvature_from_products_agrees_with_eigenvalues(seed):
    problem, x0 = draw(40, 15, 20, 30 + seed, reg=(0.0, 1e-3, 1e-2, 0.1, 1.0)[seed])
    mask = problem.hidden(x0) > 0.0
    units = np.arange(seed)
    point = problem.at(x0, active=mask)
    found = projected_curvature(point, units)
    basis = null_space(problem.A1[:seed]) if seed else np.eye(20)
    eigenvalues = np.linalg.eigvalsh(basis.T @ point.hessian() @ basis)
    assert found.sign == np.sign(eigenvalues[0])
    assert eigenvalues[0] - 1e-12 <= found.value
    rayleigh = found.direction @ point.hessp(found.direction)
    assert np.sign(rayleigh) == found.sign
    assert np.abs(problem.A1[:seed] @ found.direction).max(initial=0.0) < 1e-12


def test_a_convex_loss_with_a_penalty_needs_no_product():
    problem, x0 = draw(20, 8, 6, 40, loss="kl", reg=0.25)
    point = problem.at(x0)
    lowest = np.linalg.eigvalsh(point.hessian())[0]
    point.hessp = None
    found = projected_curvature(point, np.zeros(0, dtype=np.intp))
    assert found.sign == 1
    assert found.value == 0.25 <= lowest + 1e-12


def test_a_vertex_has_no_curvature_to_look_at():
    problem, _ = draw(20, 8, 4, 41)
    assert projected_curvature(problem.at(np.zeros(4)), np.arange(6)).value == np.inf


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_a_sparse_problem_is_certified_like_a_dense_one(loss):
    rng = np.random.default_rng(50)
    A1 = sparse.random_array((120, 30), density=0.2, random_state=rng, data_sampler=rng.standard_normal, format="csr")
    A2, b = 0.2 * rng.standard_normal((40, 120)), rng.dirichlet(np.ones(40))
    problem = SoftmaxReLU(A1, A2, b, loss=loss, reg={"squared": 1e-5, "kl": 1e-3}[loss])
    run = continuation(problem, rng.standard_normal(30), **MATRIX_FREE)
    assert run.n_hessian == 0
    assert run.certificate.is_certified
    dense = SoftmaxReLU(A1.toarray(), A2, b, loss=loss, reg=problem.reg)
    judged = certify(dense, run.x, pinned=run.certificate.pinned)
    assert judged.status == run.certificate.status
    assert np.array_equal(judged.pinned, run.certificate.pinned)
