"""Certificates of exponential networks against plain gradient descent, slow definitions, and cases known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
from exponential_certificate_runs import (
    DIRECTIONS,
    Case,
    at_the_boundary,
    draw_case,
    draw_rows,
    repeated,
    residual_in,
    train,
)

from underdetermined import FeatureMap
from underdetermined.exponential import certify, draw_network
from underdetermined.objectives import Exponential

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


def wide_case(n=5, d=6, width=4000, seed=3, n_outputs=1, scale=None, symmetric=True):
    rng = np.random.default_rng(seed)
    hidden, coef = draw_network(d, width, n_outputs, scale=scale, symmetric=symmetric, seed=seed)
    return Case(draw_rows("norms", n, d, rng), hidden, coef, np.ones(n))


def small(case, size=1e-3):
    return case.objective(np.full(case.outputs.shape, size))


@pytest.mark.parametrize("index", range(24))
def test_every_promise_is_kept_at_the_boundary(index):
    rng = np.random.default_rng([31, index])
    found = None
    while found is None:
        case = draw_case(rng, widths=(200, 1000))
        found = at_the_boundary(case, DIRECTIONS[index % 4], rng)
    residual, certificate = found
    assert certificate.h > 0.99
    assert train(case, residual, certificate, 150).broken == 0


@pytest.mark.parametrize("relative_step", [0.03, 0.5, 1.2, 1.6, 1.9])
@pytest.mark.parametrize("direction", ["smallest", "largest"])
def test_promises_are_kept_at_a_learning_rate(relative_step, direction, rng):
    case = wide_case(n_outputs=2)
    residual, certificate = at_the_boundary(case, direction, rng, relative_step=relative_step)
    assert certificate.learning_rate <= certificate.max_learning_rate
    for used in (None, certificate.learning_rate / 3.0):
        assert train(case, residual, certificate, 100, learning_rate=used).broken == 0


def test_the_boundary_is_where_certificates_end(rng):
    case = wide_case()
    assert at_the_boundary(case, "random", rng)[1].is_certified
    unit = residual_in(case, "random", rng)
    slope = certify(case.objective(1e-3 * unit)).h / 1e-3
    refused = certify(case.objective(1.001 / slope * unit))
    assert not refused.is_certified
    assert refused.h == pytest.approx(1.001)
    assert "train on from the residual" in refused.reason


def test_small_residuals_have_the_rate_of_linear_least_squares(rng):
    case = wide_case()
    values = np.linalg.svd(case.jacobian, compute_uv=False)
    found = certify(case.objective(1e-5 * residual_in(case, "random", rng)))
    assert found.learning_rate == pytest.approx(values[0] ** -2, rel=1e-3)
    assert 1.0 - np.sqrt(1.0 - found.rate) == pytest.approx((values[-1] / values[0]) ** 2, rel=1e-3)
    assert found.distance == pytest.approx(1e-5 / values[-1], rel=1e-3)


@pytest.mark.parametrize(("gap", "is_certified"), [(0.333, True), (0.334, False), (-0.333, True), (-0.334, False)])
def test_one_neuron_is_certified_within_a_third_of_its_output(gap, is_certified):
    # alpha = beta = v E x^2 and sigma = v E x. Descent works up to a gap of 1, where the output would have to be 0.
    found = certify(one_neuron(gap))
    assert found.is_certified is is_certified
    assert found.h == pytest.approx(3.0 * abs(gap), rel=1e-9)


def one_neuron(gap):
    """f = v exp(w x) at v exp(w x) = 1.3 exp(0.35), where it is to be smaller by a share."""
    hidden = FeatureMap([[0.7]], activation="exp", scale=1.3)
    return Exponential([[0.5]], [1.3 * np.exp(0.35) * (1.0 - gap)], hidden, [1.0])


def test_the_certificate_of_one_neuron_in_closed_form():
    found, share = certify(one_neuron(0.2)), 0.4 ** (1.0 / 3.0)
    assert found.drift == pytest.approx(-np.log(share), rel=1e-9)
    assert found.distance == pytest.approx((1.0 - share**2) / (2.0 * 0.5), rel=1e-9)
    assert found.neuron_distance == pytest.approx(-np.log(share) / 0.5, rel=1e-9)
    assert np.sqrt(1.0 - found.rate) == pytest.approx(1.0 - (share / (2.0 - share)) ** 2, rel=1e-9)


@pytest.mark.parametrize("relative_step", [0.3, 1.0, 1.2, 1.7])
def test_a_residual_of_one_output_is_multiplied(relative_step):
    # To first order by 1 - theta, which large steps make negative.
    rate = relative_step / certify(one_neuron(1e-9)).largest_singular_value ** 2
    found = certify(one_neuron(1e-9), learning_rate=rate)
    assert found.rate == pytest.approx(1.0 - (1.0 - relative_step) ** 2, rel=1e-5)


@pytest.mark.parametrize("relative_step", [0.5, 1.3, 1.7, 1.9])
def test_two_eigenvalues_are_promised_no_more_than_the_larger_allows(relative_step):
    # J J.T = diag(0.25, 0.16): the residual on the first row is multiplied by 1 - theta.
    hidden = FeatureMap([[0.0], [0.0]], activation="exp", scale=1.0)
    objective = Exponential(np.diag([0.5, 0.4]), [1.0 + 1e-9, 1.0], hidden, [1.0])
    found = certify(objective, learning_rate=relative_step / 0.25)
    assert found.is_certified
    slowest = max(abs(1.0 - relative_step), 1.0 - relative_step * 0.64)
    assert slowest - 1e-6 < np.sqrt(1.0 - found.rate) < 1.0


@pytest.mark.parametrize("seed", range(6))
def test_singular_values_enclose_those_of_the_jacobian(seed):
    case = draw_case(np.random.default_rng([5, seed]), widths=(300,))
    found = certify(small(case))
    values = np.linalg.svd(case.jacobian, compute_uv=False)
    assert found.smallest_singular_value < values[-1] < found.smallest_singular_value * (1.0 + 1e-6)
    assert found.largest_singular_value * (1.0 - 1e-9) < values[0] < found.largest_singular_value


@pytest.mark.parametrize("scale", [None, 1.0])
def test_the_width_needed_is_that_of_repeated_neurons(scale):
    case = wide_case(width=100, scale=scale)
    widths, ratios = [], []
    for times in (1, 4, 50):
        wide = repeated(case, times, 1.0 if scale else (100 * times) ** -0.5)
        found = certify(wide.objective(np.full((5, 1), 0.3)))
        widths.append(found.width_needed)
        ratios.append(found.h)
    np.testing.assert_allclose(widths, widths[0], rtol=1e-7)
    exponent = 1.0 if scale else 0.5
    np.testing.assert_allclose(ratios, ratios[0] / np.array([1.0, 4.0, 50.0]) ** exponent, rtol=1e-7)


@pytest.mark.parametrize("size", [0.1, 10.0, 1e3])
def test_the_width_needed_at_scale_one_knows_that_outputs_grow(size):
    # Outputs whose square grows like the width, exactly: the root of the equation of the extrapolation.
    case = wide_case(width=100, scale=1.0, symmetric=False)
    objective = replace(case.objective(case.outputs), targets=np.full((5, 1), size))
    found = certify(objective)
    ratio = found.width_needed / 100
    random, fixed = np.linalg.norm(case.outputs) ** 2, 5.0 * size**2
    assert found.h**2 * (fixed + random * ratio) / ((fixed + random) * ratio**2) == pytest.approx(1.0)


@pytest.mark.parametrize(("factor", "is_certified"), [(1.01, True), (0.99, False)])
def test_networks_of_the_width_needed_are_certified(factor, is_certified):
    case = wide_case(width=20)
    residual = np.full((5, 1), 0.2)
    times = round(factor * certify(case.objective(residual)).width_needed / 20)
    wide = repeated(case, times, (20 * times) ** -0.5)
    assert certify(wide.objective(residual)).is_certified is is_certified


def test_a_row_shift_is_a_weight():
    case = wide_case()
    shifted = replace(case, feature_map=replace(case.feature_map, row_shift=0.7))
    weighted = replace(case, weight=np.exp(-1.4 * np.sum(case.X**2, axis=1)))
    residual = np.linspace(0.1, 0.3, 5)[:, np.newaxis]
    first = certify(shifted.objective(residual))
    second = certify(weighted.objective(residual / np.sqrt(weighted.weight)[:, None]))
    for name in ("h", "growth", "curvature", "smallest_singular_value", "distance", "neuron_distance"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), rel=1e-9)


def test_rows_of_weight_zero_do_not_count():
    case = wide_case()
    case.X[2] = case.X[3]
    case.weight[2] = 0.0
    dropped = Case(np.delete(case.X, 2, 0), case.feature_map, case.coef, np.ones(4))
    found, expected = certify(small(case)), certify(small(dropped))
    assert found.is_certified
    assert found.h == pytest.approx(expected.h, rel=1e-9)
    assert found.neuron_distance == pytest.approx(expected.neuron_distance, rel=1e-9)


@pytest.mark.parametrize("factor", [1e-60, 1e-3, 1e40])
def test_units_of_the_targets_do_not_matter(factor):
    case = wide_case()
    base = certify(small(case))
    scaled = certify(small(replace(case, coef=factor * case.coef), factor * 1e-3))
    assert scaled.is_certified
    assert scaled.h == pytest.approx(base.h, rel=1e-9)
    assert scaled.distance == pytest.approx(base.distance, rel=1e-9)


def test_certificates_are_issued_on_the_way():
    case = wide_case(width=200)
    objective = case.objective(residual_in(case, "equal", None))
    theta = objective.initial()
    assert not certify(objective).is_certified
    for _ in range(300):
        theta = theta - 0.2 * objective.gradient(theta)
    found = certify(objective, theta)
    assert found.is_certified
    assert found.residual_norm == pytest.approx(np.linalg.norm(objective.residual(theta)), rel=1e-12)
    again = replace(case, feature_map=objective.network(theta))
    assert train(again, again.outputs - objective.targets, found, 100).broken == 0


def test_a_fitted_network_is_certified():
    case = wide_case()
    objective = case.objective(0.0 * case.outputs)
    found = certify(replace(objective, targets=np.zeros((5, 1))))
    assert found.is_certified
    assert found.residual_norm == 0.0 == found.loss_bound(0)
    assert 0.0 < found.h < 1e-6


@pytest.mark.parametrize("width", [7, 300, 5000])
def test_threads_and_memory_layouts_do_not_matter(width):
    case = wide_case(width=width, symmetric=False)
    base = certify(small(case))
    threads = replace(case, feature_map=replace(case.feature_map, n_jobs=3))
    assert certify(small(threads)) == base
    layout = replace(case, X=np.asfortranarray(case.X))
    assert certify(small(layout)).h == pytest.approx(base.h, rel=1e-12)


def test_the_order_of_neurons_does_not_matter():
    case = wide_case(width=3000, symmetric=False)
    order = np.random.default_rng(0).permutation(3000)
    mixed = replace(case, feature_map=case.feature_map.take(order), coef=case.coef[order])
    assert certify(small(mixed)).h == pytest.approx(certify(small(case)).h, rel=1e-9)
