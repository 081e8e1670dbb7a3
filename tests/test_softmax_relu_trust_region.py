"""The trust-region subproblem and the exact trust-region Newton method on smoothed objectives."""

import numpy as np
import pytest
from scipy.optimize import minimize
from softmax_relu_kink_problems import SHAPES, shape

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu.newton.newton_cg import newton_cg
from underdetermined.softmax_relu.newton.subproblem import Subproblem, subproblem
from underdetermined.softmax_relu.newton.trust_region import trust_region_newton

EPS = np.finfo(float).eps


def random_model(seed):
    """A quadratic model with eigenvalues of all signs and sizes, some of them equal, and a gradient of any size."""
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 12))
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    values = rng.standard_normal(d) * 10.0 ** rng.uniform(-6.0, 6.0, (1, d)[seed % 2])
    values = (values, np.round(values), np.abs(values))[seed % 3]
    gradient = rng.standard_normal(d) * 10.0 ** rng.uniform(-8.0, 4.0)
    lowest = rotation[:, np.argmin(values)]
    # Half of the gradients have nothing along the lowest eigenvector: the hard case.
    gradient -= (seed // 3 % 2) * (lowest @ gradient) * lowest
    hessian = (rotation * values) @ rotation.T
    return gradient * (seed % 17 > 0), 0.5 * (hessian + hessian.T), 10.0 ** rng.uniform(-4.0, 4.0)


def test_subproblem_meets_the_conditions_of_a_global_minimum():
    for seed in range(500):
        gradient, hessian, radius = random_model(seed)
        found = subproblem(gradient, hessian, radius)
        length, size = np.linalg.norm(found.step), np.linalg.norm(hessian, 2) + 1e-300
        residual = hessian @ found.step + found.multiplier * found.step + gradient
        assert length <= radius * (1.0 + 1e-9)
        assert np.linalg.norm(residual) <= 1e-9 * (size * length + np.linalg.norm(gradient))
        assert np.linalg.eigvalsh(hessian)[0] + found.multiplier >= -1e-13 * size
        # A multiplier above rounding goes with a step to the boundary.
        assert min(found.multiplier / size - 1e-13, abs(length / radius - 1.0) - 1e-5) <= 0.0


def test_subproblem_is_lowest_among_all_steps_in_the_plane():
    angles, shares = np.meshgrid(np.linspace(0.0, 2.0 * np.pi, 721), np.linspace(0.0, 1.0, 101))
    disc = np.stack([(shares * np.cos(angles)).ravel(), (shares * np.sin(angles)).ravel()])
    rng = np.random.default_rng(5)
    for _ in range(40):
        matrix, gradient, radius = rng.standard_normal((2, 2)), rng.standard_normal(2), rng.uniform(0.1, 3.0)
        hessian = matrix + matrix.T
        steps = radius * disc
        model = gradient @ steps + 0.5 * np.einsum("ij,ij->j", steps, hessian @ steps)
        found = subproblem(gradient, hessian, radius)
        scale = np.abs(model).max()
        assert -model.min() - 1e-12 * scale <= found.decrease <= -model.min() + 1e-3 * scale


def test_hard_cases_go_along_the_lowest_eigenvector():
    found = subproblem(np.array([0.0, 1.0]), np.diag([-1.0, 1.0]), 2.0)
    assert found.on_boundary
    assert np.allclose(np.abs(found.step), [np.sqrt(4.0 - 0.25), 0.5])
    assert np.isclose(found.multiplier, 1.0)
    # Without any gradient the model is -|u|^2 / 2 along the first axis.
    assert np.isclose(subproblem(np.zeros(2), np.diag([-1.0, 1.0]), 2.0).decrease, 2.0)
    # A trace of a gradient decides the side.
    assert subproblem(np.array([1e-14, 1.0]), np.diag([-1.0, 1.0]), 2.0).step[0] < -1.9
    assert np.allclose(subproblem(np.array([3.0]), np.array([[-2.0]]), 0.5).step, [-0.5])


def test_zero_gradient_and_positive_curvature_stay():
    found = subproblem(np.zeros(3), np.eye(3), 1.0)
    assert not found.step.any()
    assert found.decrease == 0.0


def test_steps_of_ill_conditioned_models_keep_their_promise():
    rng = np.random.default_rng(7)
    rotation = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    for lowest in (1e-14, -1e-14, 0.0):
        hessian = (rotation * np.append(lowest, np.geomspace(1e-6, 1.0, 7))) @ rotation.T
        gradient = rng.standard_normal(8)
        found = subproblem(gradient, 0.5 * (hessian + hessian.T), 1e3)
        expected = -(gradient @ found.step + 0.5 * found.step @ (hessian @ found.step))
        assert np.isclose(found.decrease, expected)
        assert np.isclose(np.linalg.norm(found.step), 1e3)
        # The bound of a linear model: nothing falls faster than |g| radius, plus the negative curvature.
        assert 0.0 < found.decrease <= 1e3 * np.linalg.norm(gradient) + 1e-8


@pytest.mark.parametrize("scale", [1e-290, 1e-160, 1e160, 1e290])
def test_models_of_any_size_have_the_same_step(scale):
    rng = np.random.default_rng(13)
    matrix, gradient = rng.standard_normal((20, 20)), rng.standard_normal(20)
    hessian = matrix + matrix.T
    expected, found = subproblem(gradient, hessian, 0.5), subproblem(scale * gradient, scale * hessian, 0.5)
    assert np.allclose(found.step, expected.step, rtol=0.0, atol=1e-12)
    assert np.isclose(found.decrease / scale, expected.decrease)


def test_a_second_radius_reuses_the_factors():
    for seed in range(60):
        gradient, hessian, radius = random_model(seed)
        model = Subproblem(gradient, hessian)
        model.solve(radius)
        again, fresh = model.solve(0.25 * radius), Subproblem(gradient, hessian).solve(0.25 * radius)
        assert again.decrease == fresh.decrease
        assert again.decrease >= 0.0


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("smoothing", [1.0, 0.1, 1e-3])
def test_stages_end_at_minimisers(loss, smoothing):
    for index in range(len(SHAPES)):
        rng = np.random.default_rng([11, index])
        objective = shape(rng, index, loss=loss)
        steps = []
        start = rng.standard_normal(objective.n_parameters)
        run = trust_region_newton(
            objective, start, smoothing=smoothing, gtol=1e-9, on_step=lambda *step, into=steps: into.append(step)
        )
        values = [value for _, value in steps]
        assert run.is_converged
        assert run.reason == "converged"
        assert np.linalg.norm(objective.at(run.x, smoothing).gradient) <= 1e-9
        assert np.linalg.eigvalsh(objective.at(run.x, smoothing).hessian())[0] >= -1e-9
        assert np.diff(values).max(initial=0.0) <= 4.0 * EPS * values[0]
        assert run.n_iter == len(values)
        assert run.n_hessian == run.n_iter + 1 <= run.n_value


def test_convex_stage_agrees_with_scipy():
    # All units active: the KL loss is convex in x, and there is one minimum.
    rng = np.random.default_rng(3)
    A1, A2, b = np.abs(rng.standard_normal((6, 4))), rng.standard_normal((5, 6)), rng.dirichlet(np.ones(5))
    objective = SoftmaxReLU(A1, A2, b, reg=0.1, loss="kl")
    start = np.full(4, 0.5)
    expected = minimize(
        lambda x: objective.value(x, 1e-3),
        start,
        jac=lambda x: objective.at(x, 1e-3).gradient,
        method="BFGS",
        options={"gtol": 1e-9},
    )
    run = trust_region_newton(objective, start, smoothing=1e-3, gtol=1e-10)
    assert run.point.value <= expected.fun + 1e-13


def test_saddle_points_are_left():
    # At 0 the gradient vanishes by symmetry, and both sides go down.
    objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=0.2)
    assert np.abs(objective.at(np.zeros(1), 0.01).gradient).max() < 1e-15
    run = trust_region_newton(objective, np.zeros(1), smoothing=0.001, gtol=1e-10)
    assert run.is_converged
    assert abs(abs(run.x[0]) - 0.7205) < 1e-3


@pytest.mark.parametrize("curvature", ["exact", "clipped", "gauss-newton", lambda point: point.hessian("clipped")])
def test_every_curvature_reaches_a_stationary_point(curvature):
    rng = np.random.default_rng(2)
    objective = shape(rng, 2)
    run = trust_region_newton(
        objective, rng.standard_normal(10), smoothing=0.1, gtol=1e-6, curvature=curvature, max_iter=2000
    )
    assert run.is_converged
    assert np.linalg.norm(run.point.gradient) <= 1e-6


def test_products_end_where_matrices_do():
    rng = np.random.default_rng(4)
    objective, start = shape(rng, 2), rng.standard_normal(10)
    dense, free = (method(objective, start, smoothing=2.0, gtol=1e-11) for method in (trust_region_newton, newton_cg))
    assert np.allclose(dense.x, free.x, atol=1e-8)


def test_the_last_hessian_can_be_inverted():
    rng = np.random.default_rng(6)
    objective = shape(rng, 0)
    run = trust_region_newton(objective, rng.standard_normal(2), smoothing=0.1, gtol=1e-8)
    right = rng.standard_normal(2)
    assert np.allclose(objective.at(run.x, 0.1).hessian() @ run.solve(right), right)


def test_runs_end_where_they_are_told_to():
    rng = np.random.default_rng(8)
    objective, start = shape(rng, 2), rng.standard_normal(10)
    shown = []

    def stop_at_third(x, value):
        shown.append((x, value))
        raise_at_third[len(shown)]()

    def stop():
        raise StopIteration

    raise_at_third = {1: lambda: None, 2: lambda: None, 3: stop}
    run = trust_region_newton(objective, start, smoothing=0.01, gtol=0.0, on_step=stop_at_third)
    assert run.reason == "stopped"
    assert run.n_iter == 3
    assert np.array_equal(run.x, shown[-1][0])
    assert run.point.value == shown[-1][1]
    none = trust_region_newton(objective, start, smoothing=0.01, gtol=1e-9, max_iter=0)
    assert none.reason == "max_iter"
    assert np.array_equal(none.x, start)
    assert trust_region_newton(objective, none.x, smoothing=0.01, gtol=1e-9, max_iter=5).n_iter == 5


def test_rounding_ends_a_run_without_tolerance():
    rng = np.random.default_rng(9)
    objective = shape(rng, 1)
    run = trust_region_newton(objective, rng.standard_normal(3), smoothing=0.1, gtol=0.0)
    assert run.reason == "rounding"
    assert np.linalg.norm(run.point.gradient) < 1e-14


def test_a_flat_region_is_stationary():
    objective = SoftmaxReLU(np.eye(2), np.eye(2), [0.3, 0.7])
    run = trust_region_newton(objective, np.array([-1.0, -2.0]), smoothing=0.0, gtol=0.0)
    assert run.is_converged
    assert run.solve is None
    assert run.n_iter == 0


def test_overflow_is_reported():
    objective = SoftmaxReLU(np.eye(2), np.eye(2), [0.3, 0.7], reg=1e-3)
    run = trust_region_newton(
        objective, np.ones(2), smoothing=1e-3, gtol=1e-8, curvature=lambda point: np.full((2, 2), np.inf)
    )
    assert run.reason == "not finite"
    assert not run.is_converged


def test_no_step_is_longer_than_the_largest_radius():
    rng = np.random.default_rng(10)
    objective, points = shape(rng, 2), [rng.standard_normal(10)]
    options = {"smoothing": 0.1, "gtol": 1e-6, "radius": 5.0, "max_radius": 0.05}
    run = trust_region_newton(objective, points[0], **options, on_step=lambda x, value: points.append(x))
    assert run.n_iter == len(points) - 1 > 10
    assert np.linalg.norm(np.diff(points, axis=0), axis=1).max() <= 0.05 * (1.0 + 1e-9)
