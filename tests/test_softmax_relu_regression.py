"""Minimisers that the solver finds, against multiple-precision values, SciPy and definitions."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from underdetermined.softmax_relu import SoftmaxReLUStatus, softmax_relu_regression
from underdetermined.softmax_relu._result import Ending, Work, best_ending

# Problems with their minimisers of the squared loss and reg = 0.01, by mpmath with 50 digits.
ORACLE = [
    (
        [[1, 2], [3, -1]],
        [[1, -1], [0, 2]],
        [1 / 4, 3 / 4],
        [0.104461520775536525998858475176, -0.0522307603877682629994292375882],
        0.0000683110887117969964459466001943,
        ([1], [0], [0.000074615371982526089999184625126]),
    ),
    (
        [[1, 0, -1], [2, 1, 0], [0, -1, 1]],
        [[1, 0, 1], [0, 1, -1], [-1, 1, 0]],
        [1 / 2, 1 / 3, 1 / 6],
        [0.156755502263136458373666078238, -0.139139209446424088371331862463, -0.435033921155984635116329803164],
        0.00130346976175115560655679098092,
        ([0, 1], [], []),
    ),
    (
        [[1, 1, 0, 0], [0, 1, -1, 0], [1, 0, 0, -1], [0, 2, 1, 1]],
        [[1, 0, -1, 2], [0, 1, 1, 0], [2, -1, 0, 1], [-1, 1, 0, 0]],
        [0.1, 0.2, 0.3, 0.4],
        [0.0457849430633392302892256378401, -0.0457849430633392302892256378401, 0, -0.0915698861266784605784512756803],
        0.0232827976193168487267464158867,
        ([2], [0], [0.000457849430633392302892256378401]),
    ),
]


def random_problem(n, m, d, seed):
    """Gaussian layers and a composition."""
    rng = np.random.default_rng(seed)
    A1, A2 = rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=(m, n)) * 2.0 / np.sqrt(n)
    return A1, A2, rng.dirichlet(np.ones(m)), rng.normal(size=d)


def objective(A1, A2, b, x, reg, loss="squared"):
    """The definition."""
    y = A2 @ np.maximum(A1 @ x, 0.0)
    fit = 0.5 * np.sum((softmax(y) - b) ** 2) if loss == "squared" else np.sum(b * (np.log(b) - log_softmax(y)))
    return fit + 0.5 * reg * x @ x


@pytest.mark.parametrize(("A1", "A2", "b", "x", "fun", "kinks"), ORACLE)
def test_minimisers_in_fifty_digits(A1, A2, b, x, fun, kinks):
    result = softmax_relu_regression(A1, A2, b, reg=0.01, n_starts=12, random_state=0)
    active, pinned, multipliers = kinks
    np.testing.assert_allclose(result.x, x, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(result.fun, fun, rtol=1e-13)
    np.testing.assert_array_equal(np.flatnonzero(result.active), active)
    np.testing.assert_array_equal(result.pinned, pinned)
    np.testing.assert_allclose(result.multipliers, multipliers, rtol=1e-10)
    assert result.success


@pytest.mark.parametrize(("reg", "x"), [(0.2, 0.7205), (1.0, 0.219946233006957515655845827017), (10.0, 0.0247)])
def test_a_strict_maximum_between_two_minima_is_left(reg, x):
    result = softmax_relu_regression([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=reg, x0=[1e-3])
    assert result.status == 0
    np.testing.assert_allclose(abs(result.x[0]), x, rtol=2e-3)


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("hessian", ["dense", "matrix-free", "sampled"])
@pytest.mark.parametrize("shape", [(20, 10, 10), (40, 12, 15), (30, 20, 60)])
def test_fields_agree_with_their_definitions(shape, hessian, loss):
    A1, A2, b, x0 = random_problem(*shape, 7)
    reg = 1e-3
    result = softmax_relu_regression(A1, A2, b, loss=loss, reg=reg, x0=x0, options={"hessian": hessian})
    x, z = result.x, A1 @ result.x
    fitted = softmax(A2 @ np.maximum(z, 0.0))
    assert result.success
    assert result.status in (0, 1)
    np.testing.assert_allclose(result.fun, objective(A1, A2, b, x, reg, loss), rtol=1e-12)
    np.testing.assert_allclose(result.loss, result.fun - 0.5 * reg * x @ x, rtol=1e-10)
    np.testing.assert_allclose(result.fitted, fitted, rtol=1e-12)
    np.testing.assert_allclose(result.hidden, np.maximum(z, 0.0), atol=1e-13)
    assert np.abs(z[result.pinned]).max(initial=0.0) < 1e-13
    np.testing.assert_array_equal(result.active, np.where(np.isin(np.arange(len(z)), result.pinned), False, z > 0))
    c = fitted - b
    q = fitted * (c - fitted @ c) if loss == "squared" else c
    r = A2.T @ q
    vector = A1.T @ (r * result.active) + reg * x + A1[result.pinned].T @ result.multipliers
    np.testing.assert_allclose(result.jac, vector, atol=1e-14)
    np.testing.assert_allclose(np.linalg.norm(vector), result.kkt_residual, atol=1e-14)
    assert np.linalg.norm(vector) < 1e-13
    assert (result.multipliers > 0.0).all()
    assert (result.multipliers < r[result.pinned]).all()
    assert result.n_dead_profitable == np.sum((z < -1e-12) & (r < 0.0))
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(60, len(x))) * 10.0 ** rng.uniform(-7, -4, (60, 1))
    assert min(objective(A1, A2, b, x + step, reg, loss) for step in steps) >= result.fun - 1e-15


def test_no_solver_of_scipy_goes_lower_from_the_same_start():
    A1, A2, b, x0 = random_problem(20, 10, 10, 100)
    result = softmax_relu_regression(A1, A2, b, reg=1e-4, x0=x0)
    other = minimize(lambda x: objective(A1, A2, b, x, 1e-4), x0, method="L-BFGS-B")
    assert result.success
    assert result.fun < other.fun


def test_kl_with_independent_rows_reaches_the_global_minimum():
    A1, A2, b, _ = random_problem(6, 9, 8, 3)
    result = softmax_relu_regression(A1, A2, b, loss="kl")
    convex = minimize(
        lambda h: -(b @ log_softmax(A2 @ h)),
        np.ones(6),
        jac=lambda h: A2.T @ (softmax(A2 @ h) - b),
        bounds=[(0.0, None)] * 6,
        method="L-BFGS-B",
        options={"ftol": 1e-15, "gtol": 1e-12},
    )
    assert (result.status, result.global_optimum) == (3, True)
    np.testing.assert_allclose(result.fun, convex.fun + b @ np.log(b), rtol=1e-9)
    np.testing.assert_allclose(result.hidden, convex.x, atol=1e-5)
    np.testing.assert_allclose(A1.T @ np.linalg.pinv(A1.T) @ result.x, result.x, atol=1e-12)


def test_exact_fits_are_global_and_the_shortest():
    result = softmax_relu_regression([[1, 2], [3, -1]], [[1, -1], [0, 2]], [0.25, 0.75])
    assert result.status == 3
    assert result.fun < 1e-30
    np.testing.assert_allclose(
        result.x, [0.104629741777915208704309070183, -0.104629741777915208704309070183 / 2], rtol=1e-14
    )


def test_rows_that_depend_on_each_other_count_once():
    A1, A2, b, x0 = random_problem(12, 6, 5, 9)
    split = np.vstack([A1, 2.0 * A1[:3], np.zeros((2, 5))])
    # Each of the first three units is shared with its copy.
    output = np.hstack([A2, np.zeros((6, 5))])
    output[:, :3] *= 0.5
    output[:, 12:15] = 0.25 * A2[:, :3]
    plain = softmax_relu_regression(A1, A2, b, reg=1e-2, x0=x0)
    shared = softmax_relu_regression(split, output, b, reg=1e-2, x0=x0)
    assert plain.success
    assert shared.success
    np.testing.assert_allclose(shared.x, plain.x, atol=1e-12)
    again = np.isin(plain.pinned, [0, 1, 2])
    assert len(shared.pinned) == len(plain.pinned) + again.sum()


@pytest.mark.parametrize("reg", [0.0, 1e-3])
def test_directions_outside_the_rows_stay_zero(reg):
    A1, A2, b, x0 = random_problem(15, 6, 40, 2)
    A1 = np.vstack([A1, A1[:10] + A1[5:15]])
    A2 = np.hstack([A2, A2[:, :10]])
    result = softmax_relu_regression(A1, A2, b, reg=reg, x0=x0)
    _, values, rows = np.linalg.svd(A1)
    outside = rows[int(np.sum(values > 1e-10)) :]
    assert result.success
    np.testing.assert_allclose(outside @ result.x, 0.0, atol=1e-12 * np.linalg.norm(result.x))
    np.testing.assert_allclose(result.jac, 0.0, atol=1e-13)


def test_scales_of_units_do_not_matter():
    A1, A2, b, x0 = random_problem(20, 8, 8, 4)
    factors = 2.0 ** np.arange(-10, 10)
    plain = softmax_relu_regression(A1, A2, b, reg=1e-3, x0=x0)
    scaled = softmax_relu_regression(A1 * factors[:, np.newaxis], A2 / factors, b, reg=1e-3, x0=x0)
    np.testing.assert_array_equal(scaled.pinned, plain.pinned)
    np.testing.assert_allclose(scaled.x, plain.x, atol=1e-12)
    np.testing.assert_allclose(scaled.multipliers, plain.multipliers / factors[plain.pinned], rtol=1e-6)


def test_what_all_logits_share_does_not_matter():
    A1, A2, b, x0 = random_problem(20, 8, 8, 4)
    A2 = np.round(A2 * 2.0**20) / 2.0**20
    plain = softmax_relu_regression(A1, A2, b, reg=1e-3, x0=x0)
    shifted = softmax_relu_regression(A1, A2 + 2.0**25, b, reg=1e-3, x0=x0)
    assert shifted.success
    np.testing.assert_array_equal(shifted.pinned, plain.pinned)
    np.testing.assert_allclose(shifted.x, plain.x, atol=1e-12)
    assert shifted.certificate.kkt_tolerance < 2.0 * plain.certificate.kkt_tolerance


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_units_that_change_no_fit_leave_the_penalty_alone(loss):
    result = softmax_relu_regression(
        np.eye(2), [[1.0, 2.0]] * 3, [0.2, 0.3, 0.5], loss=loss, reg=0.1, weights=1.0, x0=[1, 2]
    )
    assert (result.status, result.nit) == (3, 0)
    np.testing.assert_array_equal(result.x, 0.0)


def test_the_lowest_end_counts_and_a_certified_one_among_equals():
    def ending(value, status):
        return Ending(SimpleNamespace(value=value), None, status, Work())

    low, high = ending(1.0, SoftmaxReLUStatus.LIMIT), ending(2.0, SoftmaxReLUStatus.KINKS)
    same = ending(1.0 + 1e-15, SoftmaxReLUStatus.SMOOTH)
    assert best_ending([high, low]) is low
    assert best_ending([low, high, same]) is same


@pytest.mark.parametrize(("first", "second"), [(1e-250, 1.0), (1.0, 1e-250), (1e150, 1.0), (1e150, 1e-150)])
def test_extreme_scales_neither_fail_nor_warn(first, second):
    A1, A2, b, _ = random_problem(10, 5, 6, 3)
    result = softmax_relu_regression(first * A1, second * A2, b, reg=1e-3, random_state=0)
    assert np.isfinite(result.x).all()
    assert np.isfinite(result.fun)
    huge = softmax_relu_regression(A1, A2, b, reg=1e-3, x0=np.full(6, 1e300))
    assert huge.success


def test_weights_penalise_pre_activations():
    A1, A2, b, x0 = random_problem(20, 8, 8, 5)
    weights = np.linspace(0.0, 0.1, 20)
    result = softmax_relu_regression(A1, A2, b, weights=weights, x0=x0)
    z = A1 @ result.x
    assert result.success
    np.testing.assert_allclose(result.fun, result.loss + 0.5 * np.sum((weights * z) ** 2), rtol=1e-13)
    np.testing.assert_allclose(result.jac, 0.0, atol=1e-13)


def test_more_starts_include_those_of_fewer():
    A1, A2, b, x0 = random_problem(30, 10, 12, 6)
    results = [softmax_relu_regression(A1, A2, b, reg=1e-3, n_starts=k, random_state=3, x0=x0) for k in (1, 2, 4)]
    values = [[start["fun"] for start in result.starts] for result in results]
    assert values[0] == values[2][:1]
    assert values[1] == values[2][:2]
    assert [result.fun for result in results] == [min(each) for each in values]
    assert len(set(values[2])) > 1
    again = softmax_relu_regression(A1, A2, b, reg=1e-3, n_starts=4, random_state=3, x0=x0)
    np.testing.assert_array_equal(again.x, results[2].x)


def test_large_sparse_layers_take_products_alone(monkeypatch):
    monkeypatch.setattr("underdetermined.softmax_relu._regression._DENSE_ENTRIES", 0)
    rng = np.random.default_rng(5)
    A1 = sparse.random_array((300, 60), density=0.1, random_state=rng, data_sampler=rng.standard_normal, format="csr")
    A2, b = rng.normal(size=(40, 300)) / 10.0, rng.dirichlet(np.ones(40))
    result = softmax_relu_regression(A1, A2, b, loss="kl", reg=1e-2, random_state=0)
    assert result.success
    assert len(result.pinned) > 0
    dense = softmax_relu_regression(A1.toarray(), A2, b, loss="kl", reg=1e-2, random_state=0, options={"hessian": "dense"})
    assert abs(result.fun - dense.fun) < 0.1 * dense.fun


@pytest.mark.parametrize("factor", [1e-5, 1e5])
@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("given", [True, False])
def test_logits_of_a_hundred_thousand_and_its_inverse(loss, given, factor):
    A1, A2, b, x0 = random_problem(20, 8, 10, 11)
    start = {"x0": x0} if given else {"random_state": 0}
    # The penalty is that of a problem of scale one.
    result = softmax_relu_regression(A1, factor * A2, b, loss=loss, reg=1e-3 * factor**2, **start)
    assert result.success
    assert result.nhev < 500
