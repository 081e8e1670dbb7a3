"""The softmax-ReLU objective: tabulated values, derivatives by complex steps, and the structure of its Hessian."""

import mpmath
import numpy as np
import pytest
import softmax_relu_oracle as oracle
from scipy import sparse

from underdetermined.objectives import SoftmaxReLU

CURVATURES = ("exact", "clipped", "gauss-newton")
POINTS = {
    "P2": (oracle.P2, [0.5, 0.25]),
    "P3": (oracle.P3, [1.0, 0.5, 0.25]),
    "P4": (oracle.P4, [0.5, 0.25, 0.75, -0.5]),
}
# Evaluated with fifty digits: L, f_1, gradient, H_11, H_12, H_22, smallest eigenvalue, KL, and L_mu, d_1 L_mu at mu = 1/10.
TABLE = {
    "P2": (
        0.036067080442129759183679761268,
        0.0600866501740076220197234455949,
        [0.171609484897604711666002554195, -0.107255928061002944791251596372],
        (-0.799628379035472274744760231985, 0.499767736897170171715475144991, -0.312354835560731357322171965619),
        -1.1119832145962036320669321976,
        0.18713244438439027428845528267,
        0.0360670070383292257116878163085,
        0.171610081299265589232413581487,
    ),
    "P3": (
        0.122602838487689084180307004401,
        0.105564466612960216881653979469,
        [0.0696961721633198148826245537485, 0.0584673095536157744467114407638, 0.0472384469439117340107983277791],
        (0.0763748653903901780291854389031, -0.0120945414899911771888563939989, -0.0321778430533144968944431448445),
        -0.106482105010241833374360047791,
        0.487029190035798137000783343128,
        0.12158971645510095759992559847,
        0.0692179055386364823375695275091,
    ),
    "P4": (
        0.117087746357072064354699369802,
        0.215869989002856175127932456748,
        [
            0.109595826443199583602982199239,
            0.207355585716316827761810803238,
            0.0379221502960675679400791087322,
            0.059837608977049676218749495267,
        ],
        (0.168969559712545662727509122671, -0.0622590557013788791588909676343, -0.138128498955020236010543249399),
        -0.185513818507485674014045717261,
        0.803224729445048315142970935338,
        0.117019473789801377920338039012,
        0.109433756543218227157778135642,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_values_and_derivatives_are_those_of_fifty_digits(name):
    problem, x = POINTS[name]
    loss, first, gradient, entries, lowest, divergence, smooth, smooth_slope = TABLE[name]
    point = SoftmaxReLU(*problem).at(x)
    hessian = point.hessian()
    found = [point.value, point.fitted[0], *point.gradient, hessian[0, 0], hessian[0, 1], hessian[1, 1]]
    np.testing.assert_allclose(found, [loss, first, *gradient, *entries], rtol=1e-13)
    np.testing.assert_allclose(np.linalg.eigvalsh(hessian)[0], lowest, rtol=1e-13)
    softened = SoftmaxReLU(*problem).at(x, 0.1)
    np.testing.assert_allclose([softened.value, softened.gradient[0]], [smooth, smooth_slope], rtol=1e-13)
    np.testing.assert_allclose(SoftmaxReLU(*problem, loss="kl").value(x), divergence, rtol=1e-13)


# With reg = 1/100: the minimiser, its value, its active units, the pinned unit, its multiplier and its slope.
MINIMA = [
    (
        oracle.P2,
        [0.104461520775536525998858475176, -0.0522307603877682629994292375882],
        0.0000683110887117969964459466001943,
        [1],
        (0, 0.000074615371982526089999184625126, 0.000124358953304210149998641041877),
    ),
    (
        oracle.P4,
        [0.0457849430633392302892256378401, -0.0457849430633392302892256378401, 0.0, -0.0915698861266784605784512756803],
        0.0232827976193168487267464158867,
        [2],
        (0, 0.000457849430633392302892256378401, 0.037781532079882877128926777006),
    ),
]


@pytest.mark.parametrize(("problem", "x", "value", "active", "pinned"), MINIMA)
def test_tabulated_minima_on_a_kink_are_stationary(problem, x, value, active, pinned):
    unit, multiplier, slope = pinned
    objective = SoftmaxReLU(*problem, reg=0.01)
    mask = np.isin(np.arange(objective.n_hidden), active)
    point = objective.at(x, active=mask)
    np.testing.assert_allclose(point.value, value, rtol=1e-13)
    np.testing.assert_allclose(point.unit_slopes[unit], slope, rtol=1e-12)
    np.testing.assert_allclose(point.gradient, -multiplier * objective.rows([unit])[0], atol=1e-16)
    assert abs(point.z[unit]) < 1e-16


def test_the_smooth_tabulated_minimum_is_stationary():
    x = [0.156755502263136458373666078238, -0.139139209446424088371331862463, -0.435033921155984635116329803164]
    point = SoftmaxReLU(*oracle.P3, reg=0.01).at(x)
    np.testing.assert_allclose(point.value, 0.00130346976175115560655679098092, rtol=1e-13)
    np.testing.assert_allclose(point.gradient, 0.0, atol=1e-16)
    np.testing.assert_allclose(np.linalg.eigvalsh(point.hessian())[0], 0.01, rtol=1e-12)


def test_two_classes_attain_the_extreme_curvatures():
    lower = SoftmaxReLU([[1.0]], [[-1.0], [0.0]], [1.0, 0.0])
    upper = SoftmaxReLU([[1.0]], [[1.0], [0.0]], [1.0, 0.0])
    roots = (9.0 - np.sqrt(33.0)) / 24.0, (9.0 + np.sqrt(33.0)) / 24.0
    small = lower.at([-np.log(roots[0] / (1.0 - roots[0]))]).hessian()[0, 0]
    large = upper.at([np.log(roots[1] / (1.0 - roots[1]))]).hessian()[0, 0]
    constants = -0.120204403454683843876642200847, 0.154058570121350510543308867514
    np.testing.assert_allclose([small, large], constants, rtol=1e-13)


def test_a_concave_kink_and_the_least_value_beside_it():
    objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=1.0, loss="squared")
    x = [0.219946233006957515655845827017]
    np.testing.assert_allclose(objective.value(x), 0.222421527835076603218109426494, rtol=1e-13)
    np.testing.assert_allclose(objective.at(x).gradient, 0.0, atol=1e-16)
    assert objective.value([0.0]) == 0.25


def test_the_smallest_interpolant_of_the_first_problem_fits():
    first = 0.104629741777915208704309070183
    assert SoftmaxReLU(*oracle.P2, loss="kl").value([first, -first / 2.0]) < 1e-32


STAGES = (0.0, 1e-3, 0.1, 1.0)


@pytest.mark.parametrize("layer", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("smoothing", STAGES)
@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_derivatives_agree_with_complex_steps(loss, smoothing, layer):
    for seed in range(13):
        case = oracle.random_problem(seed)
        options = {"reg": case.reg, "weights": case.weights}
        arguments = (case.A1, case.A2, case.b)
        point = SoftmaxReLU(layer(case.A1), case.A2, case.b, loss=loss, **options).at(case.x, smoothing)
        gradient = oracle.complex_step(lambda x: oracle.value(*arguments, x, loss, smoothing, **options), case.x)  # noqa: B023
        hessian = oracle.complex_step(lambda x: oracle.gradient(*arguments, x, loss, smoothing, **options), case.x)  # noqa: B023
        size = np.abs(hessian).max() + np.abs(gradient).max()
        np.testing.assert_allclose(point.value, oracle.value(*arguments, case.x, loss, smoothing, **options), rtol=1e-13)
        np.testing.assert_allclose(point.gradient, gradient, atol=1e-13 * size)
        np.testing.assert_allclose(point.hessian(), hessian, atol=1e-13 * size)
        np.testing.assert_allclose(point.hessp(case.x), hessian @ case.x, atol=1e-12 * size)


@pytest.mark.parametrize("smoothing", STAGES)
@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_derivatives_agree_with_finite_differences(loss, smoothing):
    for seed in range(25):
        case = oracle.random_problem(seed + 1000)
        objective = SoftmaxReLU(case.A1, case.A2, case.b, loss=loss, reg=case.reg)
        point = objective.at(case.x, smoothing)
        # The steps stay in the cell, and are short beside the smoothing.
        reach = min(np.abs(point.z).min(), smoothing or np.inf)
        step = 1e-2 * reach / np.linalg.norm(point.z) * case.x
        points = [objective.at(case.x + factor * step, smoothing) for factor in (1.0, -1.0, 2.0, -2.0)]
        weights = np.array([8.0, -8.0, -1.0, 1.0]) / 12.0
        slope = weights @ [each.value for each in points]
        change = weights @ [each.gradient for each in points]
        sizes = np.linalg.norm(step) * np.linalg.norm(point.gradient), np.linalg.norm(step) * np.linalg.norm(point.hessian())
        assert abs(slope - point.gradient @ step) < 1e-6 * sizes[0] + 1e-15
        np.testing.assert_allclose(change, point.hessp(step), atol=1e-6 * sizes[1] + 1e-15)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_a_given_mask_extends_its_cell(loss, smoothing):
    for seed in range(10):
        case = oracle.random_problem(seed)
        mask = np.random.default_rng(seed).random(len(case.A1)) < 0.5
        arguments = (case.A1, case.A2, case.b)
        point = SoftmaxReLU(*arguments, loss=loss).at(case.x, smoothing, mask)
        gradient = oracle.complex_step(lambda x: oracle.value(*arguments, x, loss, active=mask), case.x)  # noqa: B023
        hessian = oracle.complex_step(lambda x: oracle.gradient(*arguments, x, loss, active=mask), case.x)  # noqa: B023
        np.testing.assert_allclose(point.gradient, gradient, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(point.hessian(), hessian, rtol=1e-12, atol=1e-13 * (1.0 + np.abs(hessian).max()))
        assert point.slopes.dtype == np.float64


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
@pytest.mark.parametrize("curvature", CURVATURES)
@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_the_hessian_is_made_of_weighted_rows(loss, curvature, smoothing):
    case = oracle.random_problem(7, sizes=(30, 20, 12))
    point = SoftmaxReLU(case.A1, case.A2, case.b, loss=loss, reg=0.3, weights=case.weights).at(case.x, smoothing)
    derivative = case.A2 * point.slopes @ case.A1
    np.testing.assert_allclose(point.centred_jacobian(), derivative - point.fitted @ derivative, atol=1e-13)
    rows = point.centred_jacobian()
    kinks = point.kink_weights(curvature)
    expected = rows.T * point.curvature_weights(curvature) @ rows + case.A1.T * kinks @ case.A1 + 0.3 * np.eye(12)
    size = np.abs(expected).max()
    hessian = point.hessian(curvature)
    np.testing.assert_allclose(hessian, expected, atol=1e-13 * size)
    np.testing.assert_array_equal(hessian, hessian.T)
    np.testing.assert_allclose(point.hessp(np.eye(12), curvature), expected, atol=1e-13 * size)


@pytest.mark.parametrize("columns", [1, 3, 12])
@pytest.mark.parametrize("sizes", [(30, 20, 12), (4, 20, 12)])
def test_a_basis_restricts_the_hessian(sizes, columns):
    case = oracle.random_problem(8, sizes=sizes)
    point = SoftmaxReLU(case.A1, case.A2, case.b, reg=0.3, weights=case.weights).at(case.x, 0.1)
    basis = np.random.default_rng(9).normal(size=(12, columns + 1))[:, :columns]
    hessian = point.hessian()
    restricted = point.hessian(basis=basis)
    np.testing.assert_allclose(restricted, basis.T @ hessian @ basis, atol=1e-11)
    np.testing.assert_array_equal(restricted, restricted.T)
    np.testing.assert_allclose(point.centred_jacobian(basis), point.centred_jacobian() @ basis, atol=1e-12)


def test_the_gauss_newton_matrix_is_that_of_the_residual():
    case = oracle.random_problem(10)
    point = SoftmaxReLU(case.A1, case.A2, case.b).at(case.x)
    f = point.fitted
    jacobian = (np.diag(f) - np.outer(f, f)) @ (case.A2 * point.slopes) @ case.A1
    np.testing.assert_allclose(point.hessian("gauss-newton"), jacobian.T @ jacobian, atol=1e-14)


def test_the_weights_of_the_curvatures():
    case = oracle.random_problem(16)
    squared, kl = (SoftmaxReLU(case.A1, case.A2, case.b, loss=loss).at(case.x) for loss in ("squared", "kl"))
    for curvature in CURVATURES:
        np.testing.assert_array_equal(kl.curvature_weights(curvature), kl.fitted)
    weights = squared.curvature_weights()
    # Their sum is |f|^2.
    assert weights.sum() == pytest.approx(np.sum(squared.fitted**2), rel=1e-13)
    np.testing.assert_array_equal(squared.curvature_weights("clipped"), np.maximum(weights, 0.0))
    np.testing.assert_array_equal(squared.curvature_weights("gauss-newton"), squared.fitted * squared.fitted)


def test_clipped_curvature_is_positive_and_no_smaller():
    for seed in range(20):
        case = oracle.random_problem(seed, sizes=(12, 8, 6))
        point = SoftmaxReLU(case.A1, case.A2, case.b).at(case.x, 0.1)
        clipped = point.hessian("clipped")
        tiny = 1e-13 * np.abs(clipped).max()
        assert np.linalg.eigvalsh(clipped)[0] >= -tiny
        assert np.linalg.eigvalsh(clipped - point.hessian())[0] >= -tiny


def test_slopes_keep_their_digits_where_the_fit_is_close():
    mpmath.mp.dps = 40
    rng = np.random.default_rng(11)
    A1, A2, x = rng.normal(size=(6, 4)), rng.normal(size=(5, 6)), rng.normal(size=4)
    logits = A2 @ np.maximum(A1 @ x, 0.0)
    b = oracle.softmax(logits) * (1.0 + 1e-5 * rng.normal(size=5))
    exact = [mpmath.mpf(float(y)) for y in logits]
    total = mpmath.fsum(mpmath.exp(y) for y in exact)
    f = [mpmath.exp(y) / total for y in exact]
    residual = [fi - mpmath.mpf(float(bi)) for fi, bi in zip(f, b, strict=True)]
    mean = mpmath.fdot(f, residual)
    slopes = [float(fi * (ci - mean)) for fi, ci in zip(f, residual, strict=True)]
    point = SoftmaxReLU(A1, A2, b).at(x)
    # Only f - b itself loses digits: the rounding of f beside a difference of 1e-5 f.
    np.testing.assert_allclose(point.unit_slopes, A2.T @ np.array(slopes), atol=1e-15 * np.abs(A2).max())
    np.testing.assert_allclose(point.value, float(mpmath.fdot(residual, residual) / 2), rtol=1e-9)


@pytest.mark.parametrize("distance", [1e-9, 1e-5, 1e-2, 0.4, 0.6])
def test_a_small_divergence_keeps_its_digits(distance):
    mpmath.mp.dps = 60
    b = np.array([0.2, 0.3, 0.5])
    y = [mpmath.log(mpmath.mpf(float(v))) for v in b]
    logits = np.array([float(v) for v in y]) + np.array([distance, 0.0, -distance])
    # The unit is y itself: A1 = identity scaled so that every unit is active.
    objective = SoftmaxReLU(np.eye(3), np.eye(3), b, loss="kl")
    shifted = logits + 3.0
    exact = [mpmath.mpf(float(v)) for v in shifted]
    total = mpmath.fsum(mpmath.exp(v) for v in exact)
    sums = mpmath.fsum(mpmath.mpf(float(v)) for v in b)
    shares = [mpmath.mpf(float(v)) / sums for v in b]
    expected = mpmath.fsum(share * mpmath.log(share * total / mpmath.exp(v)) for share, v in zip(shares, exact, strict=True))
    # Rounding of f, about 1e-16, beside differences of the size of the distance.
    np.testing.assert_allclose(objective.value(shifted), float(expected), rtol=1e-15 / distance + 1e-14)


def test_logits_of_a_hundred_thousand_do_no_harm():
    A1, A2 = np.eye(3), np.diag([1e5, 1e5, 1e5])
    x = [1.0, 0.5, 0.25]
    squared = SoftmaxReLU(A1, A2, [0.2, 0.3, 0.5]).at(x)
    assert squared.value == pytest.approx(0.5 * (0.64 + 0.09 + 0.25), rel=1e-15)
    np.testing.assert_array_equal(squared.gradient, 0.0)
    np.testing.assert_array_equal(squared.hessian(), 0.0)
    kl = SoftmaxReLU(A1, A2, [0.2, 0.3, 0.5], loss="kl").at(x)
    entropy = np.sum([share * np.log(share) for share in (0.2, 0.3, 0.5)])
    assert kl.value == pytest.approx(0.3 * 5e4 + 0.5 * 7.5e4 + entropy, rel=1e-14)
    np.testing.assert_allclose(kl.gradient, [8e4, -3e4, -5e4], rtol=1e-14)


def test_shares_of_zero_count_nothing():
    A1, A2, _ = oracle.P3
    b = np.array([0.0, 0.75, 0.25])
    point = SoftmaxReLU(A1, A2, b, loss="kl").at([1.0, 0.5, 0.25])
    f = oracle.softmax(A2 @ np.maximum(A1 @ [1.0, 0.5, 0.25], 0.0))
    assert point.value == pytest.approx(np.sum(b[1:] * np.log(b[1:] / f[1:])), rel=1e-14)
    # The logarithm of the fit is -inf where the share is 0.
    far = SoftmaxReLU([[1.0]], [[1e308], [-1e308]], [1.0, 0.0], loss="kl").at([1.0])
    assert far.value == 0.0
    assert not far.gradient.any()


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_the_limits_of_smoothing(loss):
    case = oracle.random_problem(12)
    objective = SoftmaxReLU(case.A1, case.A2, case.b, loss=loss)
    sharp, almost = objective.at(case.x), objective.at(case.x, 1e-300)
    assert sharp.value == almost.value
    np.testing.assert_array_equal(sharp.gradient, almost.gradient)
    np.testing.assert_array_equal(sharp.hessian(), almost.hessian())
    flat = objective.at(case.x, 1e6)
    np.testing.assert_allclose(flat.slopes, 0.5, atol=1e-5)
    assert objective.at(np.zeros(case.x.size), 1.0).slopes.tolist() == [0.5] * len(case.A1)
    assert not objective.at(np.zeros(case.x.size)).slopes.any()


def test_units_far_from_their_kink_may_be_left_out():
    case = oracle.random_problem(13, sizes=(40, 10, 8))
    arguments = (case.A1, case.A2, case.b)
    for smoothing in (1e-3, 1e-2, 3e-2):
        hessian = oracle.complex_step(lambda x: oracle.gradient(*arguments, x, "squared", smoothing), case.x)  # noqa: B023
        found = SoftmaxReLU(*arguments).at(case.x, smoothing).hessian()
        np.testing.assert_allclose(found, hessian, atol=1e-13 * np.abs(hessian).max())


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_the_loss_does_not_change_with_the_scales_of_units_and_the_mean_of_outputs(loss):
    case = oracle.random_problem(14)
    factors = np.random.default_rng(0).uniform(0.1, 10.0, len(case.A1))
    plain = SoftmaxReLU(case.A1, case.A2, case.b, loss=loss).at(case.x)
    moved = SoftmaxReLU(factors[:, None] * case.A1, (case.A2 + case.weights) / factors, case.b, loss=loss).at(case.x)
    np.testing.assert_allclose(moved.value, plain.value, rtol=1e-12)
    np.testing.assert_allclose(moved.hessian(), plain.hessian(), rtol=1e-9, atol=1e-12)


def test_penalties_are_told_apart():
    case = oracle.random_problem(15)
    point = SoftmaxReLU(case.A1, case.A2, case.b, reg=0.5, weights=case.weights).at(case.x)
    bare = SoftmaxReLU(case.A1, case.A2, case.b).at(case.x)
    expected = 0.25 * case.x @ case.x + 0.5 * np.sum((case.weights * (case.A1 @ case.x)) ** 2)
    assert point.loss == bare.value
    assert point.penalty == pytest.approx(expected, rel=1e-14)
    assert point.value == point.loss + point.penalty
    np.testing.assert_allclose(point.gradient - point.gradient_of_penalty, bare.gradient, atol=1e-13)
    assert bare.penalty == 0.0
    assert not bare.gradient_of_penalty.any()
