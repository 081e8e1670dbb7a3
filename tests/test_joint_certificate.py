"""Certificates of joint training against plain gradient descent and Gauss-Newton steps, and cases known in closed form."""

from dataclasses import replace

import numpy as np
import pytest
from joint_certificate_runs import DIRECTIONS, Case, at_the_boundary, draw_case, newton, residual_in, train

from underdetermined import FeatureMap
from underdetermined.joint import PLPath, certify, draw_network
from underdetermined.objectives import TwoLayer
from underdetermined.optimize import gradient_descent

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


def wide_case(n=4, d=5, width=600, k=1, seed=3, layers="both", **options):
    rng = np.random.default_rng(seed)
    hidden, coef = draw_network(d, width, k, seed=seed, **options)
    return Case(rng.standard_normal((n, d)), hidden, coef, None, np.ones(n), layers)


def small(case, size=1e-3):
    return case.objective(np.full(case.outputs().shape, size))


@pytest.mark.parametrize("index", range(16))
def test_every_promise_is_kept_at_the_boundary(index):
    rng, found = np.random.default_rng([32, index]), None
    while found is None:
        case = draw_case(rng, widths=(40, 160))
        found = at_the_boundary(case, DIRECTIONS[index % 4], rng)
    residual, certificate = found
    assert certificate.is_certified
    assert train(case, residual, certificate, 40).broken == 0
    ratio, path = newton(case, residual, certificate)
    assert ratio <= 1.0
    assert path <= 1.0 + 1e-9


@pytest.mark.parametrize("relative_step", [0.03, 1.6])
@pytest.mark.parametrize("direction", ["smallest", "largest"])
def test_promises_are_kept_at_a_learning_rate(relative_step, direction, rng):
    case = wide_case(k=2, width=100, bias_scale=0.5)
    residual, certificate = at_the_boundary(case, direction, rng, share=0.999, relative_step=relative_step)
    assert certificate.learning_rate <= certificate.max_learning_rate
    for used in (None, certificate.learning_rate / 3.0):
        assert train(case, residual, certificate, 40, learning_rate=used).broken == 0


@pytest.mark.parametrize("layers", ["both", "hidden"])
def test_the_boundary_is_where_certificates_end(layers, rng):
    case = wide_case(layers=layers)
    residual, certificate = at_the_boundary(case, "random", rng)
    assert certificate.h > 0.999
    refused = certify(case.objective(1.001 * residual))
    assert not refused.is_certified
    assert not refused.is_newton_certified
    assert refused.h == pytest.approx(1.001, rel=1e-3)
    assert "train on from the residual" in refused.reason


def test_small_residuals_have_the_rate_of_linear_least_squares(rng):
    case = wide_case()
    values = np.linalg.svd(case.jacobian(), compute_uv=False)
    found = certify(case.objective(1e-6 * residual_in(case, "random", rng)))
    assert found.learning_rate == pytest.approx(values[0] ** -2, rel=1e-3)
    assert 1.0 - np.sqrt(1.0 - found.rate) == pytest.approx((values[-1] / values[0]) ** 2, rel=1e-3)
    assert found.distance == pytest.approx(1e-6 / values[-1], rel=1e-3)


@pytest.mark.parametrize("activation", ["tanh", "relu", "squared_relu", "abs"])
def test_the_last_layer_alone_is_linear_least_squares(activation, rng):
    case = wide_case(layers="last", activation=activation)
    objective = TwoLayer(case.X, rng.standard_normal((4, 1)), case.feature_map, case.coef, layers="last")
    values = np.linalg.svd(case.feature_map(case.X), compute_uv=False)
    found = certify(objective)
    assert (found.h, found.curvature) == (0.0, 0.0)
    assert found.pl_constant == pytest.approx(values[-1] ** 2, rel=1e-6)
    assert found.distance == pytest.approx(found.residual_norm / values[-1], rel=1e-6)
    assert found.n_newton_steps(1e-300) == 1


@pytest.mark.parametrize(("gap", "is_certified"), [(0.2499, True), (0.2501, False)])
def test_one_hidden_neuron_is_certified_up_to_half_of_the_exact_range(gap, is_certified):
    # f = v sin(w x) at w x = 0: sigma_0 = v x, beta = v x^2, so that |rho| < sigma_0^2 / (2 beta) = v / 2.
    hidden = FeatureMap([[0.0]], activation="sin", scale=1.0)
    found = certify(TwoLayer([[3.0]], [2.0 * gap * 2.0], hidden, [2.0], layers="hidden"))
    assert found.is_certified is is_certified
    assert found.h == pytest.approx(4.0 * gap, rel=1e-9)


@pytest.mark.parametrize("relative_step", [0.3, 1.0, 1.2, 1.7])
def test_a_residual_of_one_output_is_multiplied(relative_step):
    # To first order by 1 - theta, which large steps make negative: J = v x.
    hidden = FeatureMap([[0.0]], activation="sin", scale=1.0)
    objective = TwoLayer([[3.0]], [1e-9], hidden, [2.0], layers="hidden")
    found = certify(objective, learning_rate=relative_step / 36.0)
    assert found.is_certified
    assert found.rate == pytest.approx(1.0 - (1.0 - relative_step) ** 2, rel=1e-5)


@pytest.mark.parametrize("relative_step", [0.5, 1.3, 1.9])
def test_two_eigenvalues_are_promised_no_more_than_the_larger_allows(relative_step):
    # J J.T = diag(0.25, 0.16): the residual on the first row is multiplied by 1 - theta.
    hidden = FeatureMap([[0.0], [0.0]], activation="sin", scale=1.0)
    objective = TwoLayer(np.diag([0.5, 0.4]), [1e-9, 1e-9], hidden, [1.0], layers="hidden")
    found = certify(objective, learning_rate=relative_step / 0.25)
    slowest = max(abs(1.0 - relative_step), 1.0 - relative_step * 0.64)
    assert found.is_certified
    assert slowest - 1e-6 < np.sqrt(1.0 - found.rate) < 1.0


@pytest.mark.parametrize("seed", range(6))
def test_singular_values_enclose_those_of_the_jacobian(seed):
    case = draw_case(np.random.default_rng([5, seed]), widths=(100,))
    found = certify(small(case))
    values = np.linalg.svd(case.jacobian(), compute_uv=False)
    assert found.smallest_singular_value <= values[-1] <= found.smallest_singular_value * (1.0 + 1e-6) + 1e-5
    assert found.largest_singular_value * (1.0 - 1e-9) < values[0] < found.largest_singular_value


def test_rows_of_weight_zero_do_not_count():
    case = wide_case()
    case.X[2] = case.X[3]
    case.weight[2] = 0.0
    dropped = Case(np.delete(case.X, 2, 0), case.feature_map, case.coef, None, np.ones(3), "both")
    found, expected = certify(small(case)), certify(small(dropped))
    assert found.is_certified
    assert found.h == pytest.approx(expected.h, rel=1e-9)


def test_a_weight_is_a_factor_of_the_outputs():
    case = wide_case()
    residual = np.linspace(0.1, 0.3, 4)[:, np.newaxis]
    weighted = replace(case, weight=np.full(4, 2.0))
    scaled = replace(case, feature_map=replace(case.feature_map, scale=2.0**0.5))
    first, second = certify(weighted.objective(residual)), certify(scaled.objective(2.0**0.5 * residual))
    for name in ("h", "curvature", "smallest_singular_value", "distance", "rate", "newton_residuals"):
        assert getattr(first, name) == pytest.approx(getattr(second, name), rel=1e-9)


@pytest.mark.parametrize("init", ["lecun", "kernel"])
def test_networks_of_the_width_needed_are_certified(init):
    def objective(width):
        X = np.random.default_rng(5).standard_normal((4, 6))
        return TwoLayer(X, [0.5, -0.5, 0.3, 0.2], *draw_network(6, width, init=init, output="paired", activation="gelu"))

    needed = certify(objective(60)).width_needed
    assert not certify(objective(2 * round(needed / 6))).is_certified
    assert certify(objective(2 * round(2.0 * needed))).is_certified


@pytest.mark.parametrize("factor", [1e-60, 1e-3, 1e40])
def test_units_of_outputs_do_not_matter_to_the_hidden_layer(factor):
    case = wide_case(layers="hidden", width=4000)
    base = certify(small(case))
    scaled = certify(small(replace(case, coef=factor * case.coef), factor * 1e-3))
    assert scaled.is_certified
    assert scaled.h == pytest.approx(base.h, rel=1e-9)
    assert scaled.distance == pytest.approx(base.distance, rel=1e-9)


def test_certificates_are_issued_on_the_way():
    case = wide_case(width=60)
    objective = case.objective(residual_in(case, "equal", None) * 4.0)
    path = PLPath(objective, every=5)
    run = gradient_descent(objective, objective.initial(), learning_rate="auto", max_iter=400, tol=1e-20, callback=path)
    assert not path.is_certified[0]
    assert path.first_certified is not None
    assert path.is_certified[path.steps >= path.first_certified].all()
    np.testing.assert_allclose(path.losses, run.value[path.steps], rtol=1e-9, atol=1e-30)
    found = certify(objective, run.theta)
    hidden, coef, _ = objective.network(run.theta)
    again = replace(case, feature_map=hidden, coef=coef)
    assert train(again, again.outputs() - objective.targets, found, 100).broken == 0


def test_the_path_follows_the_tangent_matrix():
    case = wide_case(width=60, k=2)
    objective = small(case, 1.0)
    path = PLPath(objective, every=4)
    gradient_descent(objective, objective.initial(), learning_rate=1e-3, max_iter=12, tol=0.0, callback=path)
    values = np.linalg.svd(case.jacobian(), compute_uv=False)
    assert path.steps.tolist() == [0, 4, 8, 12]
    assert path.smallest[0] == pytest.approx(values[-1] ** 2, rel=1e-9)
    assert path.largest[0] == pytest.approx(values[0] ** 2, rel=1e-9)
    value, gradient = objective.value_and_gradient(objective.initial())
    assert path.losses[0] == pytest.approx(value)
    assert path.ratio[0] == pytest.approx(gradient @ gradient / (2.0 * value))
    assert ((path.smallest <= path.ratio) & (path.ratio <= path.largest)).all()
    assert path.certificates[0] == certify(objective)
    assert repr(path) == f"PLPath(4 looks, first certified at step {path.first_certified})"


@pytest.mark.filterwarnings("error")
def test_a_path_follows_activations_without_certificates():
    case = wide_case(activation="relu")
    objective = TwoLayer(case.X, np.ones(4), case.feature_map, case.coef)
    path = PLPath(objective, every=1)
    path(0, objective.initial())
    assert path.smallest[0] > 0.0
    assert path.first_certified is None
    assert "kink" in path.certificates[0].reason


def test_a_fitted_network_is_certified():
    case = wide_case()
    found = certify(small(case, 0.0))
    assert found.is_certified
    assert found.residual_norm < 1e-14
    assert 0.0 < found.h < 1e-6


@pytest.mark.parametrize("width", [60, 3000])
def test_threads_and_memory_layouts_do_not_matter(width):
    case = wide_case(width=width)
    base = certify(small(case))
    threads = replace(case, feature_map=replace(case.feature_map, n_jobs=3))
    assert certify(small(threads)) == base
    layout = replace(case, X=np.asfortranarray(case.X))
    assert certify(small(layout)).h == pytest.approx(base.h, rel=1e-12)
