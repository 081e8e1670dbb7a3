"""The convex majoriser: it lies above, its minimiser goes down as promised, and the rate is kept."""

import numpy as np
import pytest
from softmax_relu_kink_problems import draw, plain

from underdetermined.softmax_relu.kinks.majoriser import majoriser_curvature, majoriser_descent, majoriser_step
from underdetermined.softmax_relu.kinks.manifold import manifold_newton

FAMILIES = ["five shapes, squared", "five shapes, KL", "weights", "targets off the simplex"]


@pytest.mark.parametrize("name", FAMILIES)
def test_the_majoriser_lies_above_at_every_length(name, rng):
    for index in range(4):
        objective, x = draw(name, index)
        point, tau = objective.at(x), majoriser_curvature(objective)
        hinges = point.unit_slopes >= 0.0
        for length in 10.0 ** rng.uniform(-4.0, 1.0, 60):
            u = length * rng.standard_normal(len(x))
            moved = np.maximum(point.z + objective.A1 @ u, 0.0) - np.maximum(point.z, 0.0)
            moved = np.where(hinges, moved, (point.z > 0.0) * (objective.A1 @ u))
            top = point.unit_slopes @ moved + point.gradient_of_penalty @ u + 0.5 * tau * (u @ u)
            assert objective.value(x + u) - point.value <= top + 1e-13 * (1.0 + abs(top))


@pytest.mark.parametrize("name", FAMILIES)
def test_steps_minimise_it(name, rng):
    objective, x = draw(name, 1)
    point, tau = objective.at(x), majoriser_curvature(objective)
    found = majoriser_step(objective, point, tau)
    hinges = point.unit_slopes > 0.0

    def model(u):
        moved = np.maximum(point.z + objective.A1 @ u, 0.0) - np.maximum(point.z, 0.0)
        moved = np.where(hinges, moved, (point.z > 0.0) * (objective.A1 @ u))
        return point.unit_slopes @ moved + point.gradient_of_penalty @ u + 0.5 * tau * (u @ u)

    assert found.change == pytest.approx(model(found.step), rel=1e-9)
    assert found.change <= -0.5 * tau * found.step @ found.step * (1.0 - 1e-6)
    others = found.step + np.linalg.norm(found.step) * 1e-2 * rng.standard_normal((200, len(x)))
    assert min(model(u) for u in others) >= found.change


@pytest.mark.parametrize("name", FAMILIES)
def test_the_rate_is_kept_with_the_constant(name):
    objective, x = draw(name, 3)
    tau, values, points = majoriser_curvature(objective), [objective.value(x)], [x]

    def note(at, value):
        values.append(value)
        points.append(at)

    run = majoriser_descent(objective, x, curvature=tau, max_iter=25, rtol=0.0, on_step=note)
    smallest = tau * min(np.linalg.norm(step) for step in np.diff(points, axis=0))
    assert (run.reason, run.n_iter) == ("max_iter", 25)
    assert np.diff(values).max() < 0.0
    assert smallest <= np.sqrt(2.0 * tau * (values[0] - values[-1]) / 25) * (1.0 + 1e-6)


def test_looking_for_the_curvature_is_faster_and_leads_to_a_certified_point():
    objective, x = draw("five shapes, squared", 1)
    values = [objective.value(x)]
    run = majoriser_descent(objective, x, on_step=lambda _, value: values.append(value))
    assert np.diff(values).max() < 0.0
    assert run.value < majoriser_descent(objective, x, curvature=majoriser_curvature(objective), max_iter=run.n_iter).value
    end = manifold_newton(objective, run.x, run.pinned)
    assert end.certificate.is_certified
    assert end.value <= run.value


@pytest.mark.parametrize("loss", ["simplex", "any", "kl"])
def test_the_curvature_of_the_loss_stays_below_its_bound(loss, rng):
    # Largest v.T B v over the range of v squared, in random and extreme cases, against G / 4.
    worst = 0.0
    for _ in range(3000):
        m = int(rng.integers(2, 6))
        f = rng.dirichlet(np.full(m, 10.0 ** rng.uniform(-1.5, 1.0)))
        b = {"any": rng.standard_normal(m), "simplex": np.eye(m)[rng.integers(m)], "kl": f}[loss]
        v = rng.choice((0.0, 1.0), m) if rng.random() < 0.7 else rng.random(m)
        c = f - b
        p = f if loss == "kl" else f * (f + c - f @ c)
        bound = {"any": 0.75 + np.ptp(b), "simplex": 9.0 / 8.0, "kl": 1.0}[loss]
        worst = max(worst, p @ (v - f @ v) ** 2 / (0.25 * bound * max(np.ptp(v), 1e-9) ** 2))
    assert 0.3 < worst <= 1.0


def test_a_callback_may_stop_and_the_start_is_kept():
    objective = plain(np.random.default_rng(0), 6, 4, 3, 1e-2)
    x = np.ones(3)

    def stop(x, value):
        raise StopIteration

    assert majoriser_descent(objective, x, on_step=stop).reason == "stopped"
    np.testing.assert_array_equal(x, 1.0)
