"""The certificate against trajectories of plain gradient descent, a slow definition, and cases where it is tight."""

import numpy as np
import pytest
from certificate_runs import DIRECTIONS, Case, at_the_radius, dense_tangent, draw_case, draw_rows, train

from underdetermined import FeatureMap
from underdetermined.active_sets import draw_network
from underdetermined.objectives import SparseReLU
from underdetermined.sparsity import certify

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


def wide_case(n=6, d=6, width=4000, bias=1.0, seed=3, n_outputs=1):
    rng = np.random.default_rng(seed)
    hidden, coef = draw_network(d, width, n_outputs, bias=bias, seed=seed)
    return Case(draw_rows("sphere", n, d, rng), hidden, coef, np.ones(n), 1.0)


def slow_interval(case, path):
    """Masks and matrices of the theorem for a budget, n x m arrays throughout, one output."""
    Z = case.X @ case.feature_map.weights + case.feature_map.biases
    K = case.X @ case.X.T + case.bias_scale**2
    v = np.abs(case.last[:, 0])
    possible = np.ones(Z.shape, dtype=bool)
    for _ in range(20):
        tau = path * v * np.sqrt((K**2 * case.weight) @ possible)
        possible = Z + tau > 0.0
    always = Z - tau > 0.0
    P, N = possible * v, always * v
    weighted = K * np.sqrt(np.outer(case.weight, case.weight))
    return always, possible, weighted * (P @ P.T + N @ N.T) / 2.0, np.abs(weighted) * (P @ P.T - N @ N.T) / 2.0


def rate_of_the_note(case, path):
    """The rate lambda_min(H) - |E| - |U| with three matrices, for signs over sqrt(m) and one output."""
    Z = case.X @ case.feature_map.weights + case.feature_map.biases
    always, possible, _, _ = slow_interval(case, path)
    P, N, width = possible * 1.0, always * 1.0, Z.shape[1]
    K = np.abs(case.X @ case.X.T + 1.0) / width
    E, U = K * (P @ P.T - N @ N.T), K * ((P - N) @ P.T)
    return np.linalg.eigvalsh(dense_tangent(case))[0] - np.linalg.norm(E, 2) - np.linalg.norm(U, 2)


@pytest.mark.parametrize("index", range(24))
def test_every_promise_is_kept_at_the_radius(index):
    rng = np.random.default_rng([31, index])
    found = None
    while found is None:
        case = draw_case(rng, widths=(200, 1000))
        found = at_the_radius(case, DIRECTIONS[index % 4], rng)
    residual, certificate = found
    assert certificate.is_certified
    run = train(case, residual, certificate, 150)
    assert (run.rates, run.masks, run.paths) == (0, 0, 0)


@pytest.mark.parametrize("factor", [0.01, 0.5, 1.05])
def test_promises_are_kept_at_a_learning_rate(factor, rng):
    case = wide_case(n_outputs=2)
    eta = factor * certify(case.objective(np.zeros((6, 2)))).max_learning_rate
    residual, certificate = at_the_radius(case, "largest", rng, learning_rate=eta)
    assert certificate.is_certified
    assert certificate.learning_rate == eta <= certificate.max_learning_rate
    for used in (eta, eta / 3.0):
        run = train(case, residual, certificate, 100, learning_rate=used)
        assert (run.rates, run.masks, run.paths) == (0, 0, 0)


def test_masks_do_change_at_the_radius(rng):
    case = wide_case(width=400)
    residual, certificate = at_the_radius(case, "smallest", rng)
    assert train(case, residual, certificate, 100).flips > 0


def test_larger_learning_rates_give_lower_rates():
    objective = wide_case().objective(np.full((6, 1), 1e-3))
    free = certify(objective)
    slower = certify(objective, learning_rate=1.1 * free.max_learning_rate)
    assert 0.0 < slower.rate < free.rate
    assert slower.radius < free.radius


def test_a_learning_rate_beyond_all_is_refused_with_a_reason():
    found = certify(wide_case().objective(np.full((6, 1), 1e-3)), learning_rate=1e3)
    assert not found.is_certified
    assert found.radius == 0.0
    assert "learning_rate=1e+03" in found.reason


@pytest.mark.parametrize("distance", [1e-3, 0.3, 40.0])
def test_one_neuron_is_tight(distance):
    # Its output is its pre-activation; a residual beyond it asks for an output below zero, which no step can reach.
    hidden = FeatureMap([[1.0]], [distance - 1.0], "relu", 1.0)
    objective = SparseReLU([[1.0]], [0.0], hidden, [1.0], bias_scale=0.0)
    found = certify(objective)
    assert 0.9 * distance < found.radius <= distance * (1.0 + 1e-12)
    assert found.rate == pytest.approx(1.0)


@pytest.mark.parametrize("weight", [np.ones(6), np.array([0.2, 2.0, 1.0, 1.5, 0.7, 1.1])])
def test_rate_and_masks_match_the_definition(weight):
    case = wide_case()
    case.weight = weight
    found = certify(case.objective(np.full((6, 1), 10.0)))
    always, possible, middle, width = slow_interval(case, found.budget)
    assert (found.masks()[0].toarray() == always).all()
    assert (found.masks()[1].toarray() == possible).all()
    assert (always != possible).any()
    values = np.linalg.eigvalsh(middle)
    assert found.rate == pytest.approx(values[0] - np.linalg.norm(width, 2), rel=1e-4, abs=0.0)
    assert found.rate <= values[0] - np.linalg.norm(width, 2)
    assert found.max_learning_rate == pytest.approx(2.0 / (values[0] + values[-1]))
    assert found.radius == pytest.approx(found.rate * found.budget)
    assert found.always_active == pytest.approx(always.mean())
    assert found.possibly_active == pytest.approx(possible.mean())


@pytest.mark.parametrize("bias", [0.0, 1.0])
def test_radius_exceeds_that_of_three_matrices(bias):
    case = wide_case(bias=bias)
    found = certify(case.objective(np.zeros((6, 1))))
    best = max(path * rate_of_the_note(case, path) for path in np.geomspace(1e-3, 10.0, 40))
    assert found.radius > 2.0 * best > 0.0


def test_radius_is_close_to_the_best_of_a_fine_grid():
    case = wide_case()
    radius = certify(case.objective(np.zeros((6, 1)))).radius
    found = []
    for path in np.geomspace(1e-2, 10.0, 200):
        _, _, middle, width = slow_interval(case, path)
        found.append(path * (np.linalg.eigvalsh(middle)[0] - np.linalg.norm(width, 2)))
    assert 0.97 * max(found) < radius < 1.02 * max(found)


def test_smaller_residuals_have_higher_rates_and_narrower_masks(rng):
    case = wide_case()
    wide = at_the_radius(case, "random", rng)[1]
    narrow = at_the_radius(case, "random", rng, share=0.1)[1]
    assert wide.rate < narrow.rate <= narrow.smallest_eigenvalue
    assert wide.always_active < narrow.always_active <= narrow.possibly_active < wide.possibly_active
    assert narrow.budget < 0.2 * wide.budget


@pytest.mark.parametrize("factor", [1e-60, 1e-6, 1e30])
def test_units_of_the_targets_do_not_matter(factor):
    case = wide_case()
    base = certify(case.objective(np.full((6, 1), 1e-3)))
    case.coef = factor * case.coef
    scaled = certify(case.objective(np.full((6, 1), factor * 1e-3)))
    assert scaled.is_certified and base.is_certified
    assert scaled.radius == pytest.approx(factor * base.radius, rel=1e-6, abs=0.0)
    assert scaled.rate == pytest.approx(factor**2 * base.rate, rel=1e-6, abs=0.0)


def test_certificates_restart():
    case = wide_case()
    rng = np.random.default_rng(5)
    residual, first = at_the_radius(case, "random", rng)
    objective = case.objective(residual)
    theta = objective.initial()
    for _ in range(5):
        theta = theta - first.learning_rate * objective.gradient(theta)
    later = SparseReLU(case.X, objective.targets, objective.network(theta), case.coef)
    second = certify(later)
    assert second.is_certified
    assert second.residual_norm < first.residual_norm
    assert second.rate > first.rate


def test_rows_of_weight_zero_are_followed_but_not_fitted(rng):
    case = wide_case()
    case.weight = np.array([1.0, 1.0, 0.0, 1.0, 1.0, 1.0])
    case.X[2] = case.X[3]
    residual, certificate = at_the_radius(case, "random", rng)
    assert certificate.is_certified
    assert train(case, residual, certificate, 60).masks == 0
    assert certificate.masks()[1].toarray()[2].any()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda X: X[[0, 0, 1]], "merge equal rows"),
        (lambda X: np.array([[1.0, 0.0], [1e-9, 0.0], [0.0, 1.0]]), "1 rows have no active neuron, the first is row 1"),
    ],
)
def test_singular_tangent_matrices_are_explained(change, words):
    hidden, coef = draw_network(2, 200, bias=1.0)
    found = certify(SparseReLU(change(np.eye(2)), np.zeros(3), hidden, coef))
    assert not found.is_certified
    assert found.radius == 0.0 == found.smallest_eigenvalue
    assert words in found.reason
    assert found.n_steps(0.5) == np.inf == found.loss_bound(3)


def test_residuals_beyond_the_radius_are_not_certified():
    found = certify(wide_case().objective(np.full((6, 1), 10.0)))
    assert not found.is_certified
    assert "exceeds the radius" in found.reason


def test_the_radius_is_where_certificates_end(rng):
    case = wide_case()
    assert at_the_radius(case, "random", rng)[1].is_certified
    assert not at_the_radius(case, "random", rng, share=1.001)[1].is_certified


def test_the_budget_is_as_small_as_the_residual_allows(rng):
    found = at_the_radius(wide_case(), "random", rng, share=0.3)[1]
    assert found.residual_norm <= found.budget * found.rate <= 1.02 * found.residual_norm


def test_loss_and_steps_follow_from_the_rate():
    found = certify(wide_case().objective(np.full((6, 1), 1e-3)))
    factor = 1.0 - found.learning_rate * found.rate
    assert found.loss_bound(0) == pytest.approx(0.5 * 6e-6)
    assert found.loss_bound(7) == pytest.approx(0.5 * 6e-6 * factor**14)
    steps = found.n_steps(1e-3)
    assert factor**steps <= 1e-3 < factor ** (steps - 1)


def test_the_dictionary_has_no_masks_and_no_infinities():
    found = certify(wide_case().objective(np.zeros((6, 1)))).to_dict()
    assert found["is_certified"] is True
    assert {type(value) for value in found.values()} <= {bool, str, float}


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_bad_learning_rates_are_refused(value):
    with pytest.raises(ValueError, match="learning_rate"):
        certify(wide_case(width=20).objective(np.zeros((6, 1))), learning_rate=value)


def test_bad_arguments_of_a_certificate_are_refused():
    found = certify(wide_case().objective(np.zeros((6, 1))))
    with pytest.raises(ValueError, match="tol=1.5"):
        found.n_steps(1.5)
    with pytest.raises(ValueError, match="step=-1"):
        found.loss_bound(-1)


@pytest.mark.parametrize("learning_rate", [1e-320, 5e-324])
def test_a_learning_rate_too_small_to_count_takes_for_ever(learning_rate):
    case = wide_case()
    found = certify(case.objective(np.zeros((6, 1))), learning_rate=learning_rate)
    assert found.is_certified
    assert found.n_steps(0.5) == np.inf


def test_only_an_objective_is_certified():
    with pytest.raises(TypeError, match="objective is a ndarray"):
        certify(np.eye(2))


@pytest.mark.parametrize("factor", [1e-170, 1e170])
def test_tangent_matrices_out_of_range_are_refused(factor):
    case = wide_case(width=100)
    case.coef = factor * case.coef
    with pytest.raises(ValueError, match="out of the range of float64"):
        certify(case.objective(np.zeros((6, 1))))


def test_overflow_is_named():
    hidden, coef = draw_network(2, 20, bias=0.0)
    with pytest.raises(ValueError, match="inner products of the rows of X"):
        certify(SparseReLU(1e200 * np.eye(2), np.zeros(2), hidden, coef))
