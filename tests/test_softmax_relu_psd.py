"""The sign and the range of the curvature of softmax losses in the logits, against eigenvalues."""

import mpmath
import numpy as np
import pytest
from scipy.linalg import eigvalsh
from softmax_relu_problems import WORST_SHARE, draw_problem, draw_targets, logit_hessian

from underdetermined.softmax_relu import curvature_is_psd, curvature_range, gauss_newton_gap

KINDS = ("composition", "vertex", "any")


def draw_fit(rng, kind="composition"):
    m = int(rng.integers(2, 7))
    f = np.maximum(rng.dirichlet(np.ones(m) * rng.choice([0.3, 1.0, 3.0])), 1e-4)
    return f / f.sum(), draw_targets(rng, m, kind)


def decisions(n_cases, draw_weights):
    """Smallest eigenvalues, relative to the largest, and what the test says."""
    rng = np.random.default_rng(0)
    smallest, answers = [], []
    for case in range(n_cases):
        f, b = draw_fit(rng, KINDS[case % 3])
        weights = draw_weights(rng, f, b)
        values = np.linalg.eigvalsh(logit_hessian(f, b) + np.diag(weights**2))
        smallest.append(values[0] / np.abs(values).max())
        answers.append(curvature_is_psd(f, b, weights))
    return np.array(smallest), np.array(answers)


def some_weights(rng, f, b):
    """Weights of the size of the negative curvature, some of them 0."""
    scale = np.sqrt(np.abs(np.linalg.eigvalsh(logit_hessian(f, b))[0]))
    return rng.uniform(0.0, 1.5, len(f)) * scale * (rng.random(len(f)) < rng.choice([0.5, 1.0]))


@pytest.mark.parametrize("draw_weights", [lambda rng, f, b: np.zeros(len(f)), some_weights], ids=["alone", "weighted"])
def test_the_sign_is_that_of_the_smallest_eigenvalue(draw_weights):
    smallest, answers = decisions(1500, draw_weights)
    # Without weights, and with many of them zero, constants are a null vector: an eigenvalue of 0 is no negative one.
    clear = (smallest < -1e-9) | (smallest > -1e-13)
    assert np.count_nonzero(clear) > 1450
    assert np.array_equal(answers[clear], smallest[clear] > -1e-13)
    assert 0.1 < answers.mean() < 0.9


@pytest.mark.parametrize(
    ("kind", "expected"), [("vertex", {(0, True), (1, False), (1, True)}), ("any", {(2, False), (3, False)})]
)
def test_one_negative_weight_can_be_outweighed_but_never_two(kind, expected):
    rng = np.random.default_rng(1)
    found = set()
    for _ in range(1000):
        f, b = draw_fit(rng, kind)
        c = f - b
        found.add((int(np.count_nonzero(f + c - f @ c < 0.0)), curvature_is_psd(f, b)))
    assert expected <= found
    assert not {(0, False), (2, True), (3, True)} & found


def test_weights_at_the_border_of_what_is_needed():
    f, b = np.array([WORST_SHARE, 1.0 - WORST_SHARE]), np.array([1.0, 0.0])
    needed = np.sqrt(-np.linalg.eigvalsh(logit_hessian(f, b))[0])
    assert needed == pytest.approx(np.sqrt(2.0 * 0.120204403454683843876642200847), rel=1e-12)
    assert curvature_is_psd(f, b, np.full(2, needed * (1.0 + 1e-9)))
    assert not curvature_is_psd(f, b, np.full(2, needed * (1.0 - 1e-9)))


def test_logits_without_mass_count_for_nothing():
    f, b = np.array([0.2, 0.8]), np.array([1.0, 0.0])
    wide = (np.array([0.2, 0.0, 0.8]), np.array([1.0, -3.0, 0.0]))
    gamma, upper = curvature_range(*wide)
    assert np.linalg.eigvalsh(logit_hessian(*wide))[0] < 0.0
    assert curvature_is_psd(*wide) is curvature_is_psd(f, b) is False
    assert (gamma, upper) == pytest.approx(curvature_range(f, b))
    assert curvature_is_psd(*wide, [0.5, 0.0, 0.5])
    assert not curvature_is_psd(*wide, [0.4, 1e9, 0.4])
    # The entry without mass has g = -3, and all others fit.
    fitted = ([0.5, 0.0, 0.5], [0.5, 3.0, 0.5])
    assert curvature_is_psd(*fitted) and curvature_range(*fitted)[0] == 0.0 and gauss_newton_gap(*fitted) == 0.0


@pytest.mark.parametrize("others", [(0.0, 0.0, 0.0), (0.5, 0.0, 0.0), (0.25, 0.0, 1.0), (0.75, 0.0, 0.0), (2.0, 2.0, 2.0)])
def test_a_diagonal_entry_of_exactly_zero(others):
    f, b = np.full(4, 0.25), np.array([2.5, 2.5, 0.0, 0.0])
    # p = (-1/4, -1/4, 3/8, 3/8): with the first weight, 1/2, the first entry of p + w^2 is 0.
    weights = np.array([0.5, *others])
    smallest = np.linalg.eigvalsh(logit_hessian(f, b) + np.diag(weights**2))[0]
    assert abs(smallest) > 1e-3 or abs(smallest) < 1e-15
    assert curvature_is_psd(f, b, weights) == (smallest > -1e-15)


@pytest.mark.parametrize("kind", KINDS)
def test_the_range_bounds_the_curvature(kind):
    rng = np.random.default_rng(2)
    used = []
    for _ in range(500):
        f, b = draw_fit(rng, kind)
        gamma, upper = curvature_range(f, b)
        P, B = np.diag(f) - np.outer(f, f), logit_hessian(f, b)
        rounding = 1e-15 * (1.0 + np.ptp(b))
        assert np.linalg.eigvalsh(B + gamma * P)[0] >= -rounding
        assert np.linalg.eigvalsh(upper * P - B)[0] >= -rounding
        relative = eigvalsh((B + B.T) / 2.0, P + np.outer(f, f) + 1e-12 * np.eye(len(f)))
        used.append(max(-relative[0] / max(gamma, 1e-300), relative[-1] / max(upper, 1e-300)))
        assert gamma <= 1.0 + np.ptp(b)
        assert kind == "any" or (gamma <= 2.0 and upper <= 9.0 / 8.0)
    # Two classes attain it.
    assert max(used) > 0.99


def test_the_gap_bounds_what_gauss_newton_misses():
    rng = np.random.default_rng(3)
    used = []
    for case in range(300):
        objective, x = draw_problem(rng, kind=KINDS[case % 3], wide=True)
        # Logits of moderate range: beyond, the Gauss-Newton matrix is below the rounding of its rows.
        point = objective.at(3.0 * x / max(np.ptp(objective.A2 @ objective.at(x).hidden), 3.0))
        gap = gauss_newton_gap(point.fitted, objective.b)
        exact, gauss_newton = point.hessian(), point.hessian("gauss-newton")
        # p is a difference of numbers of the size of f.
        rounding = (1.0 + np.ptp(objective.b)) * float(point.fitted @ np.sum(point.centred_jacobian() ** 2, axis=1))
        rounding = 1e-14 * (rounding + gap * np.linalg.norm(gauss_newton))
        assert np.linalg.eigvalsh((1.0 + gap) * gauss_newton - exact)[0] >= -rounding
        assert np.linalg.eigvalsh(exact - (1.0 - gap) * gauss_newton)[0] >= -rounding
        difference = np.linalg.norm(exact - gauss_newton, 2)
        used.append(difference / max(gap * np.linalg.norm(gauss_newton, 2), 1e-300))
    assert max(used) > 0.5


def test_the_gap_shrinks_with_the_residual_and_matches_many_digits():
    f, b = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.6, 0.3])
    gaps = [gauss_newton_gap(f, f + share * (b - f)) for share in (1.0, 0.1, 0.01)]
    assert gaps == pytest.approx([gaps[0], 0.1 * gaps[0], 0.01 * gaps[0]], rel=1e-12)
    with mpmath.workdps(40):
        fs, bs = [mpmath.mpf(float(v)) for v in f], [mpmath.mpf(float(v)) for v in b]
        c = [p - q for p, q in zip(fs, bs, strict=True)]
        s = sum(p * q for p, q in zip(fs, c, strict=True))
        expected = max(abs(q - s) / p for p, q in zip(fs, c, strict=True))
    assert gaps[0] == pytest.approx(float(expected), rel=1e-14)


@pytest.mark.parametrize("function", [curvature_is_psd, curvature_range, gauss_newton_gap])
@pytest.mark.parametrize(
    ("f", "b", "error", "message"),
    [
        ([0.5, 0.6], [0.5, 0.5], ValueError, "f has smallest entry"),
        ([1.5, -0.5], [0.5, 0.5], ValueError, "f has smallest entry"),
        ([0.5, 0.5], [1.0], ValueError, "b has shape"),
        ([], [], ValueError, "f has shape"),
        ([[1.0]], [[1.0]], ValueError, "f has shape"),
        ([np.nan, 1.0], [0.5, 0.5], ValueError, "f has 1 NaN"),
        ([0.5, 0.5], [np.inf, 0.5], ValueError, "b has 1 NaN"),
        (["a", "b"], [0.5, 0.5], TypeError, "f has dtype"),
    ],
)
def test_hostile_input_is_refused(function, f, b, error, message):
    with pytest.raises(error, match=message):
        function(f, b)


def test_weights_are_checked_and_one_class_is_flat():
    with pytest.raises(ValueError, match="weights has shape"):
        curvature_is_psd([0.5, 0.5], [0.5, 0.5], [1.0])
    with pytest.raises(ValueError, match="weights"):
        curvature_is_psd([0.5, 0.5], [0.5, 0.5], [np.nan, 1.0])
    assert curvature_is_psd([1], [3])
    assert gauss_newton_gap(np.float32([0.2, 0.8]), [0, 1]) > 0.0
