"""The radius from which Newton's method is proved to converge: it does, at the proved rates, exact Hessians or not."""

import numpy as np
import pytest
from scipy.linalg import null_space
from softmax_relu_problems import softmax

from underdetermined.objectives import SoftmaxReLU, SoftmaxReLUBatch
from underdetermined.softmax_relu import basin_radius, hessian_lipschitz

CASES = {
    "squared": {},
    "far targets": {"residual": 1.0},
    "kl": {"loss": "kl"},
    "pinned": {"n_pinned": 2},
    "pinned kl": {"n_pinned": 1, "loss": "kl"},
}


def find_minimisers(count, *, loss="squared", residual=0.05, n_pinned=0):
    """Problems whose targets make a given point a minimiser that pins the first units."""
    found, seed = [], 0
    while len(found) < count:
        rng = np.random.default_rng([7, seed])
        seed += 1
        A1, A2 = rng.normal(size=(6, 4)), rng.normal(size=(7, 6))
        basis = np.linalg.svd(A1[:n_pinned])[2][n_pinned:].T
        x = basis @ rng.normal(size=4 - n_pinned)
        active = (A1 @ x > 0.0) & (np.arange(6) >= n_pinned)
        f = softmax(A2[:, active] @ (A1 @ x)[active])
        # The slopes in the logits depend on the residual c linearly, so that c solves a linear system.
        slopes = np.eye(7) if loss == "kl" else np.diag(f) - np.outer(f, f)
        system = np.vstack([basis.T @ A1[active].T @ A2[:, active].T @ slopes, np.ones(7)])
        c = np.linalg.pinv(system) @ np.append(-0.02 * basis.T @ x, 0.0)
        free = null_space(system)
        c += residual * f.min() * free @ rng.normal(size=free.shape[1])
        b = {"squared": f - c, "kl": np.maximum(f - c, 0.0) / np.maximum(f - c, 0.0).sum()}[loss]
        objective = SoftmaxReLU(A1, A2, b, loss=loss, reg=0.02)
        point = objective.at(x, active=active)
        lowest = np.linalg.eigvalsh(point.hessian(basis=basis))[0]
        is_minimiser = np.linalg.norm(basis.T @ point.gradient) < 1e-13 and lowest > 1e-3
        found += [(objective, x, active, basis)] * bool(is_minimiser)
    return found


def newton_step(objective, x, active, basis, distort=lambda hessian: hessian):
    point = objective.at(x, active=active)
    return basis @ np.linalg.solve(distort(point.hessian(basis=basis)), basis.T @ point.gradient)


@pytest.mark.parametrize("name", CASES)
def test_newton_converges_from_the_radius(name):
    pinned = range(CASES[name].get("n_pinned", 0))
    rng = np.random.default_rng(0)
    used = []
    for objective, best, active, basis in find_minimisers(4, **CASES[name]):
        radius = basin_radius(objective, best, pinned=pinned)
        lowest = np.linalg.eigvalsh(objective.at(best, active=active).hessian(basis=basis))[0]
        inside = SoftmaxReLU(objective.A1 @ basis, objective.A2, objective.b, loss=objective.loss)
        inside.A1[: len(pinned)] = 0.0
        lipschitz = hessian_lipschitz(inside, basis.T @ best)
        assert 0.0 < radius <= 2.0 * lowest / (3.0 * lipschitz) * (1.0 + 1e-9)
        for _ in range(15):
            error = basis @ rng.normal(size=basis.shape[1])
            error *= 0.98 * radius / np.linalg.norm(error)
            for _ in range(5):
                x = best + error
                assert np.array_equal(objective.hidden(x)[len(pinned) :] > 0.0, active[len(pinned) :])
                before = np.linalg.norm(error)
                error = error - newton_step(objective, x, active, basis)
                bound = lipschitz * before**2 / (2.0 * (lowest - lipschitz * before))
                assert np.linalg.norm(error) <= min(bound * (1.0 + 1e-6), before) + 1e-13 / lowest
                used.append(min(np.linalg.norm(error), 1.0) / bound * (before > 1e-5))
            assert np.linalg.norm(error) < 1e-9
    assert max(used) > 1e-5


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 0.45])
def test_approximate_hessians_shrink_errors_in_their_norm(epsilon):
    rng = np.random.default_rng(1)
    for objective, best, active, basis in find_minimisers(3):
        radius = basin_radius(objective, best, epsilon=epsilon)
        assert radius < basin_radius(objective, best)
        root = np.linalg.cholesky(objective.at(best).hessian()).T

        def distort(hessian):
            rotation = np.linalg.qr(rng.normal(size=hessian.shape))[0]
            factor = np.linalg.cholesky(hessian)
            return factor @ (np.eye(4) + rotation * rng.choice([-epsilon, epsilon], 4) @ rotation.T) @ factor.T

        for _ in range(10):
            error = rng.normal(size=4)
            error *= 0.98 * radius / np.linalg.norm(error)
            for _ in range(6):
                before = np.linalg.norm(root @ error)
                error = error - newton_step(objective, best + error, active, basis, distort)
                assert np.linalg.norm(root @ error) <= before + 1e-12


def test_a_problem_in_one_dimension():
    minimiser = 0.219946233006957515655845827017
    objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=1.0)
    lowest, lipschitz = objective.at([minimiser]).hessian()[0, 0], hessian_lipschitz(objective, [minimiser])
    assert 2.0 * lowest / (3.0 * lipschitz) > minimiser
    assert basin_radius(objective, [minimiser]) == pytest.approx(minimiser, rel=1e-12)
    # Seen from farther off the kink, the ball has to stay inside the one around the minimiser.
    aside = basin_radius(objective, [1.001 * minimiser])
    assert 0.997 * minimiser < aside <= 0.999 * minimiser
    far = SoftmaxReLU([[100.0], [-1.0]], [[0.01, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=1.0)
    assert basin_radius(far, [minimiser]) == pytest.approx(minimiser, rel=1e-12)


def test_nothing_is_promised_where_nothing_is_proved():
    objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=1.0)
    assert basin_radius(objective, [0.0]) == 0.0
    assert basin_radius(objective, [3.0]) == 0.0
    flat = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0])
    assert basin_radius(flat, [1.0]) == 0.0
    # Both units at their kinks leave no direction; without slopes nothing bounds the radius.
    assert basin_radius(objective, [0.0], pinned=[0, 1]) == np.inf
    assert basin_radius(SoftmaxReLU([[0.0]], [[1.0], [2.0]], [0.5, 0.5], reg=1.0), [0.0]) == np.inf


def test_a_gradient_that_is_not_zero_reduces_the_radius():
    rng = np.random.default_rng(2)
    for objective, best, active, basis in find_minimisers(3):
        radius = basin_radius(objective, best)
        for share in (1e-3, 0.1, 0.3):
            error = rng.normal(size=4)
            error *= share * radius / np.linalg.norm(error)
            around = basin_radius(objective, best + error)
            # The ball around the other point lies in the one around the minimiser.
            assert 0.0 <= around <= (1.0 - share) * radius * (1.0 + 1e-9)
        assert basin_radius(objective, best + 1e-6 * radius * basis[0]) == pytest.approx(radius, rel=1e-3)
        assert active.any()


def test_hostile_input_is_refused():
    objective = SoftmaxReLU(np.eye(2), np.eye(2), [0.5, 0.5], reg=1.0)
    with pytest.raises(TypeError, match="pass an underdetermined.objectives.SoftmaxReLU"):
        basin_radius(SoftmaxReLUBatch(np.eye(2), np.eye(2), np.full((2, 1), 0.5)), [1.0, 1.0])
    with pytest.raises(ValueError, match="epsilon"):
        basin_radius(objective, [1.0, 1.0], epsilon=0.5)
    with pytest.raises(ValueError, match="x has 1 NaN"):
        basin_radius(objective, [np.nan, 1.0])
    with pytest.raises(ValueError, match="x has shape"):
        basin_radius(objective, [1.0])
    with pytest.raises(ValueError, match="pinned"):
        basin_radius(objective, [1.0, 1.0], pinned=[5])
