"""Newton's method on kinks: it ends certified, never rises, and nothing lower is beside what it certifies."""

import numpy as np
import pytest
from softmax_relu_kink_problems import FAMILIES, draw, lowest_nearby

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu.kinks.geometry import identify
from underdetermined.softmax_relu.kinks.manifold import manifold_newton


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
    manifold_newton(objective, start, None, found.pinned, on_step=lambda at, _: path.append(at))
    errors = [np.linalg.norm(at - found.x) / np.linalg.norm(found.x) for at in [start, *path]]
    assert len(path) <= 5
    assert errors[-1] < 1e-12
    assert all(after <= 1e4 * before**2 + 1e-12 for before, after in zip(errors, errors[1:], strict=False))


def test_wrong_pins_are_released():
    objective, x = draw("five shapes, squared", 1)
    wrong = np.arange(objective.n_parameters - 1)
    assert manifold_newton(objective, x, None, wrong).certificate.is_certified


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
    pinned, active = identify(z, 0.01, norms)
    assert pinned.tolist() == [1, 2, 3]
    assert active.tolist() == [False, False, False, False, True, False]


def test_a_problem_in_the_plane_has_its_known_minimum():
    objective = SoftmaxReLU([[1, 2], [3, -1]], [[1, -1], [0, 2]], [0.25, 0.75], reg=0.01)
    run = manifold_newton(objective, np.array([0.3, 0.2]))
    assert run.value == pytest.approx(0.0000683110887117969964459466001943, rel=1e-12)
