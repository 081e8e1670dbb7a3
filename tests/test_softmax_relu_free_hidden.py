"""Softmax-ReLU regression with independent hidden rows: global minima, their proofs, and where there is no minimiser."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import SoftmaxReLUStatus, exact_fit, has_free_hidden, solve_free_hidden

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

SHAPES = [(4, 6, 5), (12, 10, 12), (20, 12, 30), (20, 40, 25)]
CERTIFIED = {SoftmaxReLUStatus.SMOOTH, SoftmaxReLUStatus.KINKS, SoftmaxReLUStatus.APEX, SoftmaxReLUStatus.GLOBAL}


def draw(seed, n, m, d, loss="kl", zeros=0, scale=2.0):
    rng = np.random.default_rng([n, m, d, seed])
    b = np.where(np.arange(m) < zeros, 0.0, rng.dirichlet(np.ones(m)))
    A1, A2 = rng.standard_normal((n, d)) / np.sqrt(d), scale * rng.standard_normal((m, n)) / np.sqrt(n)
    return SoftmaxReLU(A1, A2, b / b.sum(), loss=loss)


def in_hidden(objective, hidden):
    """Loss and gradient as functions of h, by plain formulas."""
    logits = objective.A2 @ hidden
    f = np.exp(logits - logits.max())
    f /= f.sum()
    b, c = objective.b, f - objective.b
    kept = b > 0.0
    if objective.loss == "kl":
        return np.sum(b[kept] * np.log(b[kept] / f[kept])), objective.A2.T @ c
    return 0.5 * c @ c, objective.A2.T @ (f * (c - f @ c))


def by_projection(objective, start):
    """Bound-constrained minimum in h by a general solver."""
    options = {"ftol": 1e-16, "gtol": 1e-11, "maxiter": 5000, "maxfun": 20000}
    bounds = [(0.0, None)] * len(start)
    return minimize(partial(in_hidden, objective), start, jac=True, method="L-BFGS-B", bounds=bounds, options=options).fun


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
@pytest.mark.parametrize("zeros", [0, 2])
@pytest.mark.parametrize("seed", range(3))
def test_a_divergence_reaches_its_global_minimum(n, m, d, zeros, seed):
    objective = draw(seed, n, m, d, zeros=zeros)
    found = solve_free_hidden(objective)
    reference = by_projection(objective, np.full(n, 0.1))
    assert found.value <= reference + 1e-12
    assert found.bound <= reference + 1e-14
    assert found.gap <= 1e-12
    assert found.value == pytest.approx(objective.value(found.x), abs=1e-15)
    assert np.maximum(objective.A1 @ found.x, 0.0) == pytest.approx(found.hidden, rel=1e-8, abs=1e-8 * found.hidden.max())


@pytest.mark.parametrize(("n", "m", "d"), SHAPES)
@pytest.mark.parametrize("loss", ["kl", "squared"])
def test_the_conditions_hold_by_plain_formulas(n, m, d, loss):
    objective = draw(11, n, m, d, loss)
    found = solve_free_hidden(objective)
    value, gradient = in_hidden(objective, found.hidden)
    assert found.value == pytest.approx(value, abs=1e-14)
    assert found.unit_slopes == pytest.approx(gradient, abs=1e-13)
    assert gradient.min() >= -1e-12
    assert np.abs(gradient[found.hidden > 0.0]).max(initial=0.0) <= 1e-12
    assert np.abs(found.kkt_vector).max() <= 1e-12
    assert found.status in CERTIFIED


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_is_below_every_divergence(seed):
    objective = draw(seed, 6, 10, 8)
    found = solve_free_hidden(objective)
    rng = np.random.default_rng(seed)
    near = [np.maximum(found.hidden + s * rng.standard_normal(6), 0.0) for s in 10.0 ** -np.arange(8.0)]
    assert min(in_hidden(objective, h)[0] for h in near) >= found.bound


@pytest.mark.parametrize("loss", ["kl", "squared"])
@pytest.mark.parametrize("seed", range(6))
def test_exact_fits_are_taken(loss, seed):
    objective = draw(seed, 24, 6, 30, loss)
    found = solve_free_hidden(objective)
    assert exact_fit(objective.A2, objective.b).exists
    assert found.is_global
    assert found.value <= 1e-24
    assert objective.at(found.x).fitted == pytest.approx(objective.b, rel=1e-11)


def test_the_known_interpolant():
    objective = SoftmaxReLU([[1.0, 2.0], [3.0, -1.0]], [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75])
    found = solve_free_hidden(objective)
    assert found.x == pytest.approx(np.array([2.0, -1.0]) * np.log(3.0) / 21.0, rel=1e-14)
    assert "status=GLOBAL" in repr(found)


@pytest.mark.parametrize(("n", "m", "d"), [(4, 6, 5), (12, 10, 12), (20, 40, 25)])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_near_a_certified_point_is_lower(n, m, d, seed):
    objective = draw(seed + 20, n, m, d, "squared")
    found = solve_free_hidden(objective)
    rng = np.random.default_rng(seed)
    near = [found.x + s * rng.standard_normal(d) * np.linalg.norm(found.x) for s in 10.0 ** -rng.uniform(2, 7, 60)]
    assert found.status in CERTIFIED
    assert min(objective.value(x) for x in near) >= found.value - 1e-15


@pytest.mark.parametrize("seed", range(4))
def test_the_result_is_not_above_the_start(seed):
    objective = draw(seed, 12, 16, 14, "squared")
    x0 = np.random.default_rng(seed).standard_normal(14)
    reference = by_projection(objective, np.maximum(objective.A1 @ x0, 0.0))
    assert solve_free_hidden(objective, x0=x0, n_starts=0).value <= min(objective.value(x0), reference + 1e-12)


def test_more_starts_are_never_worse():
    objective = draw(2, 15, 20, 20, "squared", scale=8.0)
    values = [solve_free_hidden(objective, n_starts=k).value for k in (0, 2, 6)]
    assert np.diff(values).max() <= 1e-15


@pytest.mark.parametrize("loss", ["kl", "squared"])
def test_a_vertex_is_approached_and_not_reached(loss):
    found = solve_free_hidden(SoftmaxReLU(np.eye(2), np.eye(2), [1.0, 0.0], loss=loss))
    assert found.status is SoftmaxReLUStatus.DEGENERATE
    assert not found.is_attained
    assert found.bound == 0.0
    assert found.value <= 1e-16
    assert "no minimiser exists: 1 shares" in found.reason


def test_the_infimum_is_that_without_the_vanishing_shares():
    # The first unit removes the third share; the others have their best fit at h_2 = 0, with divergence log(2) - H(b).
    A2 = np.array([[0.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    found = solve_free_hidden(SoftmaxReLU(np.eye(2), A2, [0.7, 0.3, 0.0], loss="kl"))
    expected = np.log(2.0) + 0.7 * np.log(0.7) + 0.3 * np.log(0.3)
    assert not found.is_attained
    assert found.bound == pytest.approx(expected, rel=1e-14)
    assert found.value == pytest.approx(expected, rel=1e-14)


def test_a_share_of_zero_that_no_unit_lowers():
    found = solve_free_hidden(SoftmaxReLU([[2.0]], [[0.0], [1.0]], [1.0, 0.0], loss="kl"))
    assert found.is_attained
    assert found.is_global
    assert found.value == pytest.approx(np.log(2.0), rel=1e-14)
    assert np.array_equal(found.x, [0.0])


@pytest.mark.parametrize("total", [0.6, 1.3])
def test_targets_off_the_simplex(total):
    objective = draw(1, 20, 5, 25, "squared")
    b = objective.b - 0.2 + total / 5.0
    found = solve_free_hidden(SoftmaxReLU(objective.A1, objective.A2, b))
    assert found.is_global
    assert found.value == pytest.approx(0.1 * (total - 1.0) ** 2, rel=1e-12)


def test_a_layer_without_effect():
    found = solve_free_hidden(SoftmaxReLU(np.eye(2), np.ones((3, 2)), [0.2, 0.3, 0.5]))
    assert found.is_global
    assert found.gap == 0.0
    assert "constant" in found.reason


@pytest.mark.parametrize("loss", ["kl", "squared"])
def test_norms_may_move_between_the_layers(loss):
    objective = draw(5, 10, 12, 14, loss)
    scales = 10.0 ** np.random.default_rng(0).uniform(-2, 2, 10)
    moved = SoftmaxReLU(objective.A1 * scales[:, np.newaxis], objective.A2 / scales, objective.b, loss=loss)
    first, second = solve_free_hidden(objective, n_starts=0), solve_free_hidden(moved, n_starts=0)
    assert second.x == pytest.approx(first.x, rel=1e-8, abs=1e-8)
    assert second.value == pytest.approx(first.value, rel=1e-11)


def test_layout_and_sparsity_change_nothing():
    objective = draw(6, 10, 12, 14)
    turned = SoftmaxReLU(np.asfortranarray(objective.A1), np.asfortranarray(objective.A2), objective.b, loss="kl")
    stored = SoftmaxReLU(sparse.csr_array(objective.A1), objective.A2, objective.b, loss="kl")
    found = solve_free_hidden(objective)
    assert np.array_equal(solve_free_hidden(turned).x, found.x)
    assert solve_free_hidden(stored).x == pytest.approx(found.x, rel=1e-10)


def test_an_ill_conditioned_layer_is_reported():
    rng = np.random.default_rng(3)
    left, right = np.linalg.qr(rng.standard_normal((8, 8)))[0], np.linalg.qr(rng.standard_normal((9, 8)))[0]
    A1 = (left * np.geomspace(1.0, 1e-12, 8)) @ right.T
    objective = SoftmaxReLU(A1, 1e6 * rng.standard_normal((5, 8)), rng.dirichlet(np.ones(5)), loss="kl")
    found = solve_free_hidden(objective)
    miss = np.abs(np.maximum(A1 @ found.x, 0.0) - found.hidden).max() / found.hidden.max()
    assert found.lift_residual == pytest.approx(miss, rel=1e-12)
    assert found.value == pytest.approx(objective.value(found.x), rel=1e-12)
    assert found.is_global == (found.gap <= 1e-9)


def test_equal_rows_share_their_targets():
    # Rows 0 and 3 are equal, so that the best shares are the means; the targets are tiny.
    A2 = np.random.default_rng(8).standard_normal((4, 8))
    A2[3] = A2[0]
    b = np.array([1.7e-7, 1.0 - 2.75e-5 - 1.7e-7, 8e-7, 2.67e-5])
    b /= b.sum()
    mean = 0.5 * (b[0] + b[3])
    found = solve_free_hidden(SoftmaxReLU(np.eye(8), A2, b, loss="kl"))
    assert found.is_global
    assert found.value == pytest.approx(b[0] * np.log(b[0] / mean) + b[3] * np.log(b[3] / mean), rel=1e-9)


def test_logits_of_any_size():
    objective = draw(7, 12, 10, 15)
    large = SoftmaxReLU(objective.A1, 1e5 * objective.A2, objective.b, loss="kl")
    assert solve_free_hidden(large).value == pytest.approx(solve_free_hidden(objective).value, rel=1e-12)
    assert solve_free_hidden(large, x0=np.ones(15)).is_global


def test_which_problems_have_free_hidden_values(rng):
    objective = draw(0, 4, 6, 5)
    assert has_free_hidden(objective)
    assert has_free_hidden(replace_layer(objective, objective.A1 * 10.0 ** np.arange(-80.0, 80.0, 40.0)[:, np.newaxis]))
    for layer in (np.ones((4, 5)), objective.A1[:, :3], np.vstack([objective.A1[:3], np.zeros(5)])):
        assert not has_free_hidden(replace_layer(objective, layer))
    for penalty in ({"reg": 1e-3}, {"weights": 1.0}):
        assert not has_free_hidden(SoftmaxReLU(objective.A1, objective.A2, objective.b, **penalty))


def replace_layer(objective, A1):
    return SoftmaxReLU(A1, objective.A2, objective.b, loss=objective.loss)


def test_other_problems_are_refused():
    with pytest.raises(ValueError, match="use softmax_relu_regression"):
        solve_free_hidden(SoftmaxReLU(np.ones((2, 3)), np.eye(2), [0.5, 0.5]))
    with pytest.raises(ValueError, match="n_starts"):
        solve_free_hidden(draw(0, 4, 6, 5), n_starts=-1)


def test_results_are_frozen():
    found = solve_free_hidden(draw(0, 4, 6, 5))
    assert replace(found, value=1.0).gap == 1.0 - found.bound


@pytest.mark.parametrize("loss_targets", ["simplex", "anywhere"])
def test_the_third_derivative_is_bounded_by_the_variance(loss_targets):
    # |D^3 L[u, w, w]| <= (10 + 5 max|b|) R(u) V_f(w): what certifies local minimisers rests on it.
    worst = 0.0
    for seed in range(200):
        rng = np.random.default_rng([seed, 33])
        m = int(rng.integers(2, 7))
        y, u, w = rng.standard_normal((3, m)) * np.array([[rng.choice([0.3, 1.0, 2.0])], [1.0], [1.0]])
        b = {"simplex": rng.dirichlet(np.full(m, 0.3)), "anywhere": 2.0 * rng.standard_normal(m)}[loss_targets]
        third = (curvature(y + 1e-4 * u, b, w) - curvature(y - 1e-4 * u, b, w)) / 2e-4
        f = np.exp(y) / np.exp(y).sum()
        worst = max(worst, abs(third) / ((10.0 + 5.0 * np.abs(b).max()) * np.ptp(u) * (f @ (w - f @ w) ** 2)))
    assert 0.02 < worst < 1.0


def curvature(y, b, w):
    """Second derivative of |softmax(y) - b|^2 / 2 along w, by the formula of a signed variance."""
    f = np.exp(y) / np.exp(y).sum()
    c = f - b
    return (f * (f + c - f @ c)) @ (w - f @ w) ** 2
