"""Constants of softmax-ReLU objectives: never exceeded by what they bound, and not vacuous."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_array
from softmax_relu_problems import draw_problem, draw_targets, logit_hessian, softmax, third_derivative, worst_problem

from underdetermined.objectives import SoftmaxReLU, SoftmaxReLUBatch
from underdetermined.softmax_relu import basin_radius, convexifying_reg, convexifying_weights, hessian_lipschitz
from underdetermined.softmax_relu.constants.losses import diameter, logit_constants, lower_curvature

CASES = [
    {"loss": "squared", "kind": "composition"},
    {"loss": "squared", "kind": "vertex"},
    {"loss": "squared", "kind": "any"},
    {"loss": "kl", "kind": "composition"},
    {"loss": "kl", "kind": "vertex"},
]


def name(case):
    return "-".join(case.values())


def ratios(f, b, v, w, loss):
    """What the constants bound, as multiples of powers of ranges: slope, lower, product, third."""
    m = len(f)
    objective = SoftmaxReLU(np.eye(m), np.eye(m), b, loss=loss)
    constants = logit_constants(objective)
    c = f - objective.b
    q = c if loss == "kl" else f * (c - f @ c)
    B = logit_hessian(f, objective.b, loss)
    first, second = np.ptp(v), np.ptp(w)
    return np.array([
        abs(q @ v) / (first * constants.slope),
        -(v @ B @ v) / (first**2 * max(constants.lower, 1e-14)),
        abs(v @ B @ w) / (first * second * constants.product),
        abs(third_derivative(f, objective.b, v, loss)) / (first**3 * constants.third),
        -(v @ B @ v) / (first**2 * max(lower_curvature(objective, f), 1e-14)),
    ])  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=name)
def test_constants_in_the_logits_hold(case):
    rng = np.random.default_rng(0)
    found = []
    for _ in range(400):
        m = int(rng.integers(2, 7))
        f = np.maximum(rng.dirichlet(np.ones(m) * rng.choice([0.3, 1.0, 3.0])), 1e-9)
        v = np.append([0.0, 1.0], rng.choice([0.0, 1.0, rng.random()], m - 2))
        found.append(ratios(f / f.sum(), draw_targets(rng, m, case["kind"]), v, rng.normal(size=m), case["loss"]))
    assert np.max(found) <= 1.0 + 1e-9
    attained = {"kl": (0.9, -np.inf, 0.9, 0.9, -np.inf), "squared": (0.4, 0.2, 0.2, 0.1, 0.95)}[case["loss"]]
    assert np.all(np.max(found, axis=0) > attained)


@pytest.mark.parametrize("which", range(4), ids=["slope", "lower", "product", "third"])
def test_an_optimiser_finds_nothing_beyond_the_constants(which):
    rng = np.random.default_rng(1)
    for m in (2, 3, 5):

        def found(t, m=m):
            v, w = np.sin(t[2 * m : 3 * m]), np.sin(t[3 * m :])
            return -ratios(softmax(t[:m]), softmax(3.0 * t[m : 2 * m]), v, w, "squared")[which]

        best = minimize(found, rng.normal(size=4 * m), method="Nelder-Mead", options={"maxfev": 600})
        assert 0.1 < -best.fun < 1.0


def test_the_constants_of_the_squared_loss_for_hard_labels():
    objective = SoftmaxReLU(np.eye(2), np.eye(2), [1.0, 0.0])
    assert logit_constants(objective) == pytest.approx((0.5, 3 / 8, 0.5, 0.75 + 0.5 + 1.0 / (6.0 * np.sqrt(3.0))))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("case", CASES, ids=name)
def test_weights_lift_the_hessian(case, smoothing):
    rng = np.random.default_rng(2)
    for _ in range(60):
        objective, x = draw_problem(rng, **case)
        check_penalties(objective, x, smoothing, floor=rng.choice([0.0, 0.05]))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_weights_lift_the_worst_hessians(smoothing):
    rng = np.random.default_rng(3)
    for _ in range(60):
        objective, x = worst_problem(rng)
        check_penalties(objective, x, smoothing, floor=0.01)


def check_penalties(objective, x, smoothing, floor):
    """Penalties for this point, and for all, which are no smaller."""
    hessian = objective.at(x, smoothing).hessian()
    lowest, rounding = np.linalg.eigvalsh(hessian)[0], 1e-12 * (1.0 + np.abs(hessian).max())
    options = {"floor": floor, "smoothing": smoothing}
    here, anywhere = convexifying_weights(objective, x, **options), convexifying_weights(objective, **options)
    for weights in (here, anywhere):
        lifted = SoftmaxReLU(objective.A1, objective.A2, objective.b, loss=objective.loss, weights=weights)
        assert np.linalg.eigvalsh(lifted.at(x, smoothing).hessian())[0] >= floor - rounding
    reg, largest = convexifying_reg(objective, x, **options), convexifying_reg(objective, **options)
    assert lowest + reg >= floor - rounding
    assert np.all(here <= anywhere * (1.0 + 1e-12))
    assert reg <= largest * (1.0 + 1e-12)


def test_penalties_are_not_vacuous():
    rng = np.random.default_rng(4)
    everywhere, here = [], []
    for _ in range(60):
        objective, x = worst_problem(rng)
        needed = -np.linalg.eigvalsh(objective.at(x).hessian())[0]
        # A1 is orthogonal, so that weights and a penalty on x are the same.
        everywhere += [convexifying_reg(objective) / needed, convexifying_weights(objective).max() ** 2 / needed]
        here += [convexifying_reg(objective, x) / needed, convexifying_weights(objective, x).max() ** 2 / needed]
    assert np.allclose(everywhere, 0.375 / 0.120204403454683843876642200847, rtol=1e-9)
    assert np.all((np.array(here) >= 1.0) & (np.array(here) < 1.4))


def test_a_positive_definite_hessian_leaves_a_concave_kink():
    layers = [[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0]
    for factor in (1.0, 10.0, 1000.0):
        reg = factor * convexifying_reg(SoftmaxReLU(*layers), floor=0.01)
        objective = SoftmaxReLU(*layers, reg=reg)
        points = np.linspace(1e-4, 2.0, 200)
        assert min(objective.at([point]).hessian()[0, 0] for point in np.append(points, -points)) >= 0.01
        best = minimize(lambda x, objective=objective: objective.value(x), [0.2 / reg], method="Nelder-Mead").x
        assert objective.value(best) == objective.value(-best) < objective.value([0.0])


def test_the_smoothed_objective_is_convex_with_its_weights():
    rng = np.random.default_rng(5)
    for case in CASES:
        objective, _ = draw_problem(rng, **case)
        weights = convexifying_weights(objective, smoothing=0.1)
        convex = SoftmaxReLU(objective.A1, objective.A2, objective.b, loss=objective.loss, weights=weights)
        for _ in range(60):
            x, y = rng.normal(size=(2, objective.n_parameters)) * 10.0 ** rng.uniform(-2, 1)
            ends = convex.value(x, 0.1), convex.value(y, 0.1)
            assert convex.value((x + y) / 2.0, 0.1) <= np.mean(ends) * (1.0 + 1e-14)


@pytest.mark.parametrize("case", CASES, ids=name)
def test_hessians_change_no_faster_than_their_lipschitz_constants(case):
    rng = np.random.default_rng(6)
    used = []
    for _ in range(70):
        objective, x = draw_problem(rng, wide=True, **case)
        direction = rng.normal(size=x.size)
        direction /= np.linalg.norm(direction)
        step = 0.9 * rng.random() * np.min(np.abs(objective.hidden(x)) / objective.row_norms)
        inside, anywhere = hessian_lipschitz(objective, x), hessian_lipschitz(objective)
        change = objective.at(x + step * direction).hessian() - objective.at(x).hessian()
        seen = np.linalg.norm(change, 2) / step
        assert seen <= inside * (1.0 + 1e-9) + 1e-12 / step
        assert inside <= anywhere * (1.0 + 1e-12)
        used.append(seen / anywhere)
        mu = rng.choice([0.1, 0.5, 2.0])
        change = objective.at(x + 1e-3 * mu * direction, mu).hessian() - objective.at(x, mu).hessian()
        assert np.linalg.norm(change, 2) / (1e-3 * mu) <= hessian_lipschitz(objective, smoothing=mu)
    assert max(used) > 0.01


def test_there_is_no_lipschitz_constant_across_a_kink():
    rng = np.random.default_rng(7)
    objective, x = draw_problem(rng)
    normal = objective.A1[0] / objective.row_norms[0]
    x -= normal * (normal @ x)
    quotients = []
    for distance in (1e-2, 1e-5, 1e-8):
        sides = [objective.at(x + side * distance * normal).hessian() for side in (1.0, -1.0)]
        quotients.append(np.linalg.norm(sides[0] - sides[1], 2) / (2.0 * distance * hessian_lipschitz(objective)))
    assert quotients[2] > 1.0 and quotients[2] > 1e3 * quotients[0]


def test_layers_may_be_sparse_and_outputs_shifted():
    rng = np.random.default_rng(8)
    A1, A2, b = rng.normal(size=(9, 4)), rng.normal(size=(700, 9)), rng.dirichlet(np.ones(700))
    x = rng.normal(size=4)
    plain, other = SoftmaxReLU(A1, A2, b), SoftmaxReLU(csr_array(A1), A2 + 1e3 * rng.normal(size=9), b)
    for function in (convexifying_weights, convexifying_reg, hessian_lipschitz):
        for point in (None, x):
            assert np.allclose(function(plain, point), function(other, point), rtol=1e-9)


def test_diameters():
    rng = np.random.default_rng(9)
    rows = rng.normal(size=(1100, 3)) * 1e170
    distances = np.linalg.norm((rows[:, np.newaxis] - rows[np.newaxis]) / 1e170, axis=2)
    assert diameter(rows) == pytest.approx(1e170 * distances.max(), rel=1e-14)
    assert diameter(1e8 + 1e-3 * np.eye(3)) == pytest.approx(1e-3 * np.sqrt(2.0), rel=1e-4)
    assert diameter(np.full((5, 2), 0.1)) <= 1e-16
    assert diameter(np.ones((1, 2))) == 0.0


def test_hostile_input_is_refused():
    rng = np.random.default_rng(10)
    A1, A2, b = rng.normal(size=(3, 5)), rng.normal(size=(4, 3)), np.full(4, 0.25)
    objective = SoftmaxReLU(A1, A2, b)
    with pytest.raises(ValueError, match="dependent columns"):
        convexifying_weights(objective, floor=0.1)
    assert convexifying_weights(objective).shape == (3,)
    for function in (convexifying_weights, convexifying_reg, hessian_lipschitz):
        with pytest.raises(TypeError, match="pass an underdetermined.objectives.SoftmaxReLU"):
            function(SoftmaxReLUBatch(A1, A2, b[:, np.newaxis]))
        with pytest.raises(ValueError, match="smoothing"):
            function(objective, smoothing=-1.0)
        with pytest.raises(ValueError, match="x has 1 NaN"):
            function(objective, [np.nan, 0.0, 0.0, 0.0, 0.0])
        with pytest.raises(ValueError, match="x has shape"):
            function(objective, [0.0])
    for function in (convexifying_weights, convexifying_reg):
        with pytest.raises(ValueError, match="floor"):
            function(objective, floor=-1.0)
    with pytest.raises(ValueError, match="there are no cells"):
        hessian_lipschitz(objective, np.zeros(5), smoothing=0.1)


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("scale", [1e120, 1e200])
def test_what_overflows_is_infinite(loss, scale):
    rng = np.random.default_rng(11)
    objective = SoftmaxReLU(rng.normal(size=(4, 3)), scale * rng.normal(size=(5, 4)), np.full(5, 0.2), loss=loss)
    x = np.full(3, 1.0 / scale)
    for function in (convexifying_weights, convexifying_reg):
        for options in ({}, {"x": x}, {"smoothing": 0.1}, {"smoothing": 1e-300}):
            assert np.all(np.asarray(function(objective, **options)) >= 0.0)
    assert hessian_lipschitz(objective) == hessian_lipschitz(objective, smoothing=1e-200) == np.inf
    assert hessian_lipschitz(objective, x) == np.inf
    assert basin_radius(objective, x) == 0.0


@pytest.mark.parametrize("smoothing", [1e-3, 0.1, 0.5])
def test_the_constant_of_one_smoothed_unit_in_closed_form(smoothing):
    """Two classes and one unit: each term of the third derivative at its largest, and the sum is not exceeded."""
    objective = SoftmaxReLU([[1.0]], [[1.0], [0.0]], [0.0, 1.0], loss="kl")
    root = 6.0 * np.sqrt(3.0)
    expected = 1.0 / root + 3.0 * 0.25 / (4.0 * smoothing) + 1.0 / (root * smoothing**2)
    constant = hessian_lipschitz(objective, smoothing=smoothing)
    assert constant == pytest.approx(expected, rel=1e-12)
    grid = smoothing * np.linspace(-8.0, 8.0, 401)
    hessians = np.array([objective.at([z], smoothing).hessian()[0, 0] for z in grid])
    found = np.abs(np.diff(hessians) / np.diff(grid)).max() / constant
    assert 0.2 < found <= 1.0
