"""Newton's method on kinks: it ends certified, never rises, and nothing lower is beside what it certifies."""

import numpy as np
import pytest
from softmax_relu_kink_problems import FAMILIES, draw, lowest_nearby

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import SoftmaxReLUStatus
from underdetermined.softmax_relu.kinks.geometry import identify
from underdetermined.softmax_relu.kinks.manifold import manifold_newton
from underdetermined.softmax_relu.kinks.manifold_cg import manifold_newton_cg


@pytest.mark.parametrize("name", ["five shapes, squared", "five shapes, KL", "weights", "repeated rows", "labels"])
def test_every_problem_ends_certified_and_nothing_lower_is_nearby(name, rng):
    for index in range(6):
        objective, x = draw(name, index)
        values = [objective.value(x)]
        run = manifold_newton(objective, x, on_step=lambda _, value, values=values: values.append(value))
        assert run.certificate.is_certified
        assert run.is_converged
        assert np.diff(values).max() <= 1e-14 * values[0]
        assert run.value == pytest.approx(objective.value(run.x), rel=1e-12)
        assert lowest_nearby(objective, run.x, run.pinned, rng, samples=20) == 0.0


@pytest.mark.parametrize("name", list(FAMILIES))
def test_what_is_refused_says_why_and_what_is_certified_is_a_minimiser(name, rng):
    objective, x = draw(name, 1)
    run = manifold_newton(objective, x)
    lowest = lowest_nearby(objective, run.x, run.pinned, rng, samples=10, radii=(1e-9, 1e-7))
    assert run.certificate.reason
    assert lowest == 0.0 or not run.certificate.is_certified


def test_convergence_along_the_kinks_is_quadratic():
    objective, x = draw("five shapes, squared", 2)
    found = manifold_newton(objective, x)
    tangent = np.linalg.svd(objective.A1[found.pinned])[2][len(found.pinned) :]
    path = []
    start = found.x + 1e-3 * np.linalg.norm(found.x) * tangent.T @ np.ones(len(tangent)) / np.sqrt(len(tangent))
    manifold_newton(objective, start, found.pinned, on_step=lambda at, _: path.append(at))
    errors = [np.linalg.norm(at - found.x) / np.linalg.norm(found.x) for at in [start, *path]]
    assert len(path) <= 5
    assert errors[-1] < 1e-12
    assert all(after <= 1e4 * before**2 + 1e-12 for before, after in zip(errors, errors[1:], strict=False))


def test_wrong_pins_are_released():
    objective, x = draw("five shapes, squared", 1)
    wrong = np.arange(objective.n_parameters - 1)
    assert manifold_newton(objective, x, wrong).certificate.is_certified


def test_the_start_is_kept_and_limits_are_respected():
    objective, x = draw("five shapes, squared", 2)
    before = x.copy()
    run = manifold_newton(objective, x, max_iter=2)
    assert (run.reason, run.n_iter) == ("max_iter", 2)
    assert not run.certificate.is_certified
    np.testing.assert_array_equal(x, before)


def test_a_callback_may_stop():
    objective, x = draw("five shapes, squared", 2)

    def stop(x, value):
        raise StopIteration

    run = manifold_newton(objective, x, on_step=stop)
    assert (run.reason, run.n_iter) == ("stopped", 1)


def test_units_are_classified_by_the_smoothing():
    z, norms = np.array([-1.0, -0.3, 0.0, 0.39, 0.41, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    assert identify(z, 0.01, norms).tolist() == [1, 2, 3]


def test_a_problem_in_the_plane_has_its_known_minimum():
    objective = SoftmaxReLU([[1, 2], [3, -1]], [[1, -1], [0, 2]], [0.25, 0.75], reg=0.01)
    run = manifold_newton(objective, np.array([0.3, 0.2]))
    assert run.value == pytest.approx(0.0000683110887117969964459466001943, rel=1e-12)


def random_problem(seed, shape, size, reg, *, loss="squared", b=None):
    """A problem of shape (n, d, m), and its start."""
    rng = np.random.default_rng(seed)
    n, d, m = shape
    A1, A2, x = rng.normal(size=(n, d)), size * rng.normal(size=(m, n)), rng.normal(size=d)
    return SoftmaxReLU(A1, A2, rng.dirichlet(np.ones(m)) if b is None else b, loss=loss, reg=reg), x


@pytest.mark.parametrize("newton", [manifold_newton, manifold_newton_cg])
@pytest.mark.parametrize("seed", [115, 129, 176])
def test_kinks_beyond_which_curvature_grows_are_landed_on(newton, seed):
    run = newton(*random_problem(seed, (10, 6, 4), 5.0, 1e-5), max_iter=150)
    assert run.is_converged
    assert run.n_iter <= 100


@pytest.mark.parametrize("newton", [manifold_newton, manifold_newton_cg])
@pytest.mark.parametrize("seed", range(3))
def test_an_exact_fit_at_zero_is_global_under_a_penalty(newton, seed):
    run = newton(*random_problem(seed, (8, 4, 3), 3.0, 0.1, b=np.full(3, 1 / 3)), max_iter=100)
    assert run.certificate.status is SoftmaxReLUStatus.GLOBAL
    assert not run.x.any()


@pytest.mark.parametrize("newton", [manifold_newton, manifold_newton_cg])
@pytest.mark.parametrize("seed", [0, 1, 3, 4])
def test_steps_go_on_where_the_residual_hides_a_decrease(newton, seed):
    assert newton(*random_problem(seed, (10, 6, 9), 50.0, 1e-9, loss="kl", b=np.eye(9)[0])).is_converged


@pytest.mark.parametrize("seed", [9, 12, 41])
def test_nearly_equal_rows_do_not_hold_a_point(seed):
    objective, x = random_problem(seed, (12, 8, 3), 3.0, 1e-4)
    rows = objective.A1.copy()
    rows[1] = rows[0] + 1e-10 * np.random.default_rng(seed).normal(size=8)
    assert manifold_newton(SoftmaxReLU(rows, objective.A2, objective.b, reg=1e-4), x).is_converged
