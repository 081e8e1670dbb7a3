"""Gauss-Newton where it cannot interpolate: contradictions, rounding, overflow and bad arguments."""

import numpy as np
import pytest
from residual_objectives import Residual, exponentials, linear, powers
from test_optimize import Quartic

from underdetermined.exponential import draw_network
from underdetermined.objectives import Exponential
from underdetermined.optimize import gauss_newton
from underdetermined.solution import Status


def repeated(rng, shift, **options):
    """A wide network with two rows twice, the second time with targets moved by `shift`, and the unavoidable loss."""
    first = exponentials(rng)
    rows, targets = np.r_[first.X, first.X[:2]], np.r_[first.targets, first.targets[:2] + shift]
    objective = Exponential(rows, targets, first.feature_map, first.coef, **options)
    return objective, 2 * 0.5 * 2 * (shift / 2) ** 2


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_equal_rows_with_unequal_targets_end_at_the_floor(rng, solver):
    objective, floor = repeated(rng, 0.2)
    run = gauss_newton(objective, objective.initial(), solver=solver)
    assert run.status is Status.INCONSISTENT
    assert run.value[-1] == pytest.approx(floor, rel=1e-9)
    assert run.n_iter < 60


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_equal_rows_with_equal_targets_are_no_obstacle(rng, solver):
    objective, _ = repeated(rng, 0.0)
    run = gauss_newton(objective, objective.initial(), loss_tol=1e-20, solver=solver)
    assert run.status is Status.CONVERGED


def test_a_zero_row_keeps_its_loss(rng):
    first = exponentials(rng)
    objective = Exponential(np.r_[first.X, np.zeros((1, 3))], np.r_[first.targets, [[0.5]]], first.feature_map, first.coef)
    run = gauss_newton(objective, objective.initial())
    assert run.status is Status.INCONSISTENT
    assert run.value[-1] == pytest.approx(0.125, rel=1e-9)


@pytest.mark.parametrize("width", [1, 2])
def test_tiny_networks_stop_where_the_gradient_vanishes(rng, width):
    objective = exponentials(rng, n=40, width=width, symmetric=False, size=1.0)
    run = gauss_newton(objective, objective.initial(), max_iter=300)
    assert run.status is Status.LEAST_SQUARES
    assert run.gradient_norm[-1] <= 1e-5 * run.gradient_norm[0]


def test_a_contradiction_of_a_linear_problem_is_named(rng):
    row = rng.standard_normal((1, 6))
    run = gauss_newton(linear(np.r_[row, row], np.array([1.0, 3.0])), np.zeros(6))
    assert run.status is Status.INCONSISTENT
    np.testing.assert_allclose(row @ run.theta, 2.0)
    assert run.value[-1] == pytest.approx(1.0)


def test_a_jacobian_that_vanishes_with_the_residual_is_no_trap():
    run = gauss_newton(powers(), [0.9, -0.7], max_iter=200, loss_tol=1e-16)
    assert run.status is Status.CONVERGED


@pytest.mark.parametrize("factor", [1e-310, 1e-150, 1e-8, 1e8, 1e150])
def test_targets_of_any_size_end_silently(rng, factor):
    objective = exponentials(rng, size=factor)
    run = gauss_newton(objective, objective.initial(), max_iter=50)
    assert np.isfinite(run.value).all()
    assert np.isfinite(run.theta).all()
    assert (np.diff(run.value) < 0.0).all()


@pytest.mark.parametrize("factor", [1e-3, 10.0, 60.0])
def test_rows_of_any_length_end_silently(rng, factor):
    first = exponentials(rng, n=6, width=50)
    objective = Exponential(factor * first.X, first.targets, first.feature_map, first.coef)
    run = gauss_newton(objective, objective.initial(), max_iter=30)
    assert np.isfinite(run.value).all()
    assert (np.diff(run.value) < 0.0).all()


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize("options", [dict(damping=1e300), dict(sample_weight=1e200), dict(sample_weight=1e-300)])
def test_units_and_a_first_damping_do_not_matter(rng, options, solver):
    weight = np.full(12, options.get("sample_weight", 1.0))
    objective = exponentials(rng, sample_weight=weight)
    run = gauss_newton(objective, objective.initial(), damping=options.get("damping", "auto"), loss_tol=1e-6, solver=solver)
    assert run.status is Status.CONVERGED


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize("factor", [1e-170, 1e-320])
def test_rows_without_a_gram_matrix_end_at_once(rng, factor, solver):
    first = exponentials(rng)
    objective = Exponential(factor * first.X, first.targets, first.feature_map, first.coef)
    run = gauss_newton(objective, objective.initial(), solver=solver)
    assert (run.status, run.n_iter) == (Status.INCONSISTENT, 0)


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_a_huge_penalty_keeps_the_start(rng, solver):
    objective = exponentials(rng)
    run = gauss_newton(objective, objective.initial(), alpha=1e200, solver=solver)
    assert run.status is Status.REGULARIZED
    np.testing.assert_array_equal(run.theta, objective.initial())


def test_rounding_that_hides_every_decrease_is_said(rng):
    hidden, coef = draw_network(3, 50, seed=1)
    objective = Exponential(20.0 * rng.standard_normal((4, 3)), np.ones(4), hidden, coef)
    run = gauss_newton(objective, objective.initial())
    assert run.status in (Status.ILL_CONDITIONED, Status.EXACT)
    assert run.n_iter < 100


def test_steps_that_overflow_are_rejected():
    def function(theta):
        return np.array([np.exp(theta[0]) - 1e6])

    objective = Residual(function, lambda theta: np.array([[np.exp(theta[0])]]), 1)
    run = gauss_newton(objective, [0.0], damping=0.0)
    assert run.n_rejected > 0
    assert run.theta[0] == pytest.approx(np.log(1e6), rel=1e-14)


def test_a_start_at_the_solution_stays(rng):
    objective = exponentials(rng)
    solved = Exponential(objective.X, np.zeros((12, 1)), objective.feature_map, objective.coef)
    run = gauss_newton(solved, solved.initial())
    assert (run.status, run.n_iter) == (Status.CONVERGED, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(alpha=-1.0), "alpha=-1.0 is out of range"),
        (dict(damping=-1.0), "damping=-1.0 is out of range"),
        (dict(damping="none"), "damping='none': pass a number of at least 0, or 'auto'"),
        (dict(solver="qr"), "solver='qr' is unknown: choose one of 'auto', 'direct', 'cg'"),
        (dict(max_iter=-1), "max_iter=-1 is not a number of steps"),
        (dict(tol=-1.0), "tol=-1.0 is out of range"),
        (dict(loss_tol=np.nan), "loss_tol=nan is out of range"),
        (dict(theta=np.zeros(3)), r"theta has shape \(3,\): pass all parameters"),
        (dict(theta=[np.nan, 0.0]), "theta has 1 NaN or infinite"),
        (dict(theta=[1e120, 0.0]), "the loss or its Jacobian is not finite at theta: start from smaller parameters"),
    ],
)
def test_bad_arguments(arguments, message):
    arguments = dict(theta=[0.9, -0.7]) | arguments
    with pytest.raises(ValueError, match=message):
        gauss_newton(powers(), arguments.pop("theta"), **arguments)


def test_an_objective_without_jacobian_is_refused():
    with pytest.raises(TypeError, match="gauss_newton needs objective.linearize, which Quartic does not have: use gradient"):
        gauss_newton(Quartic(), np.zeros(2))


def nearly_equal_rows(gap):
    """Three pairs of rows that are closer than the tangent kernel can tell, with unequal targets."""
    hidden, coef = draw_network(3, 40)
    return Exponential(np.r_[np.eye(3), np.eye(3) + gap], np.arange(6.0) - 2.0, hidden, coef)


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize(("gap", "status"), [(1e-6, Status.MAX_ITER), (0.0, Status.INCONSISTENT)])
def test_a_singular_tangent_kernel_is_named_with_its_remedies(gap, status, solver):
    objective = nearly_equal_rows(gap)
    run = gauss_newton(objective, objective.initial(), max_iter=20, solver=solver)
    assert run.status is status
    linearization = objective.linearize(run.theta)
    values, vectors = np.linalg.eigh(linearization.gram())
    residual = vectors.T @ linearization.residual
    share = np.linalg.norm(residual / (1.0 + 1e8 * values / values[-1])) / np.linalg.norm(residual)
    assert run.weak_share == pytest.approx(share, abs=1e-3)
    assert share > 0.9
    assert f"{share:.0%} of the residual" in run.advice
    assert all(remedy in run.advice for remedy in ("enlarge the rows", "weight_scale", "widen", "merge rows", "alpha"))


def test_the_share_along_weak_eigenvalues_of_a_linear_problem():
    problem = linear(np.diag([1.0, 1e-4]), np.array([3.0, 4.0]))
    run = gauss_newton(problem, [3.0 + 3e-3, 0.0], damping=1e30, max_iter=1)
    # The squares of the singular values are a factor of 1e8 apart, where half of the residual counts as weak.
    assert run.weak_share == pytest.approx(0.5, abs=1e-6)


def test_what_is_not_asked_for_is_not_a_number(rng):
    objective = exponentials(rng)
    start = objective.initial()
    for options in (dict(loss_tol=1e-6), dict(max_iter=0), dict(alpha=1.0, max_iter=1)):
        run = gauss_newton(objective, start, **options)
        assert np.isnan(run.weak_share)
        assert "eigenvalues" not in run.advice


def test_early_ends_are_not_blamed_on_the_kernel(rng):
    objective = exponentials(rng)
    run = gauss_newton(objective, objective.initial(), max_iter=1)
    assert 0.0 <= run.weak_share < 0.1
    assert "raise max_iter" in run.advice


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize(
    "options", [dict(alpha=1.7e308), dict(damping=1.7e308, max_iter=5), dict(alpha=1e308, damping=1e308)]
)
def test_the_largest_numbers_overflow_nowhere(rng, options, solver):
    objective = exponentials(rng, k=2)
    run = gauss_newton(objective, objective.initial(), solver=solver, **options)
    assert np.isfinite(run.theta).all()
    assert (np.diff(run.value) <= 0.0).all()


@pytest.mark.parametrize("tol", [0.0, 1e-3])
def test_a_gradient_that_is_zero_is_no_goal_by_itself(rng, tol):
    first = exponentials(rng)
    objective = Exponential(np.zeros((2, 3)), np.ones(2), first.feature_map, first.coef)
    run = gauss_newton(objective, objective.initial(), tol=tol)
    assert run.status is {0.0: Status.INCONSISTENT, 1e-3: Status.CONVERGED}[tol]
    solved = Exponential(first.X, np.zeros(12), first.feature_map, first.coef)
    assert gauss_newton(solved, solved.initial(), tol=tol).status is Status.CONVERGED
