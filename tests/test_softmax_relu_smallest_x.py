"""The shortest parameters with given hidden values or shares, against a general solver and closed forms."""

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import minimize

from underdetermined.softmax_relu import fit_in_cell, smallest_x
from underdetermined.softmax_relu.free_hidden.pivoting import pivot

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

P2 = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([[1.0, -1.0], [0.0, 2.0]]), np.array([0.25, 0.75])
P2_SHORTEST = np.array([2.0, -1.0]) * np.log(3.0) / 21.0


def shortest_by_slsqp(start, equations, right, sides):
    constraints = [
        {"type": "eq", "fun": lambda v: equations @ v - right, "jac": lambda v: equations},
        {"type": "ineq", "fun": lambda v: -sides @ v, "jac": lambda v: -sides},
    ]
    options = {"ftol": 1e-15, "maxiter": 500}
    found = minimize(lambda v: 0.5 * v @ v, start, jac=lambda v: v, method="SLSQP", constraints=constraints, options=options)
    return np.sqrt(2.0 * found.fun)


@pytest.mark.parametrize(("n", "d"), [(3, 3), (8, 8), (10, 20), (20, 20)])
@pytest.mark.parametrize("seed", range(4))
def test_x_is_the_shortest_with_its_hidden_values(n, d, seed):
    rng = np.random.default_rng([n, d, seed])
    A1, hidden = rng.standard_normal((n, d)), np.maximum(rng.standard_normal(n), 0.0)
    busy = hidden > 0.0
    x, plain = smallest_x(A1, hidden), np.linalg.pinv(A1) @ hidden
    assert np.maximum(A1 @ x, 0.0) == pytest.approx(hidden, abs=1e-13 * np.linalg.cond(A1))
    assert np.linalg.norm(x) <= np.linalg.norm(plain) * (1.0 + 1e-10)
    assert np.linalg.norm(x) == pytest.approx(shortest_by_slsqp(plain, A1[busy], hidden[busy], A1[~busy]), rel=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_the_optimality_conditions_hold(seed):
    rng = np.random.default_rng(seed)
    A1, hidden = rng.standard_normal((15, 25)), np.maximum(rng.standard_normal(15), 0.0)
    x = smallest_x(A1, hidden)
    multipliers = np.linalg.lstsq(A1.T, x)[0]
    idle, z = hidden == 0.0, A1 @ x
    assert A1.T @ multipliers == pytest.approx(x, abs=1e-13)
    assert multipliers[idle].max() <= 1e-13
    assert np.abs(multipliers[idle] * z[idle]).max() <= 1e-13


@pytest.mark.parametrize("condition", [1e4, 1e8, 1e12])
def test_ill_conditioned_rows_keep_their_hidden_values(condition, rng):
    left, right = np.linalg.qr(rng.standard_normal((20, 20)))[0], np.linalg.qr(rng.standard_normal((30, 20)))[0]
    A1 = (left * np.geomspace(1.0, 1.0 / condition, 20)) @ right.T
    hidden = np.maximum(rng.standard_normal(20), 0.0)
    x = smallest_x(A1, hidden)
    assert np.abs(np.maximum(A1 @ x, 0.0) - hidden).max() <= 1e-14 * np.linalg.norm(x)
    assert np.linalg.norm(x) <= np.linalg.norm(np.linalg.pinv(A1) @ hidden)


def test_rows_of_all_scales(rng):
    A1, hidden = rng.standard_normal((8, 12)), np.maximum(rng.standard_normal(8), 0.0)
    scales = 10.0 ** rng.uniform(-100, 100, 8)
    assert smallest_x(A1 * scales[:, np.newaxis], hidden * scales) == pytest.approx(smallest_x(A1, hidden), rel=1e-9)


def test_sparse_rows_give_the_same(rng):
    A1, hidden = rng.standard_normal((6, 40)) * (rng.random((6, 40)) < 0.3), np.maximum(rng.standard_normal(6), 0.0)
    assert smallest_x(sparse.csr_array(A1), hidden) == pytest.approx(smallest_x(A1, hidden), rel=1e-12)


def test_all_units_busy_or_idle(rng):
    A1 = rng.standard_normal((4, 6))
    assert smallest_x(A1, np.ones(4)) == pytest.approx(np.linalg.pinv(A1) @ np.ones(4), rel=1e-12)
    assert np.array_equal(smallest_x(A1, np.zeros(4)), np.zeros(6))


@pytest.mark.parametrize("active", [[True, True], [False, True]])
def test_the_shortest_fit_lies_on_a_kink(active):
    assert fit_in_cell(*P2, active) == pytest.approx(P2_SHORTEST, rel=1e-14)


def test_a_cell_without_a_fit():
    assert fit_in_cell(*P2, [False, False]) is None
    assert fit_in_cell(P2[0], P2[1], [0.75, 0.25], [False, True]) is None
    assert fit_in_cell(P2[0], P2[1], [1.0, 0.0], [True, True]) is None


@pytest.mark.parametrize("seed", range(6))
def test_fits_in_the_cell_of_a_known_fit(seed):
    rng = np.random.default_rng(seed)
    A1, A2, x = rng.standard_normal((9, 11)), rng.standard_normal((4, 9)), rng.standard_normal(11)
    logits = A2 @ np.maximum(A1 @ x, 0.0)
    b = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    active = A1 @ x > 0.0
    found = fit_in_cell(A1, A2, b, active)
    signs = np.where(active, -1.0, 1.0)[:, np.newaxis]
    layer = A2[:, active] @ A1[active]
    exact = layer - layer[0]
    assert np.where(active, np.minimum(A1 @ found, 0.0), np.maximum(A1 @ found, 0.0)) == pytest.approx(0.0, abs=1e-12)
    assert exact @ found == pytest.approx(np.log(b / b[0]), abs=1e-11)
    reference = shortest_by_slsqp(x, exact[1:], np.log(b / b[0])[1:], signs * A1)
    assert np.linalg.norm(found) == pytest.approx(reference, rel=1e-6)


def test_more_hidden_units_than_parameters():
    rng = np.random.default_rng(3)
    A1, A2, x = rng.standard_normal((30, 5)), rng.standard_normal((4, 30)), rng.standard_normal(5)
    logits = A2 @ np.maximum(A1 @ x, 0.0)
    b = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    found = fit_in_cell(A1, A2, b, A1 @ x > 0.0)
    assert np.linalg.norm(found) <= np.linalg.norm(x)
    refitted = np.exp(A2 @ np.maximum(A1 @ found, 0.0))
    assert refitted / refitted.sum() == pytest.approx(b, rel=1e-10)


@pytest.mark.parametrize("seed", range(10))
def test_pivoting_solves_quadratic_programs(seed):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((12, 9))
    hessian, slopes, start = root.T @ root, rng.standard_normal(9), np.maximum(rng.standard_normal(9), 0.0)
    found = pivot(hessian, 0.1, slopes, start)
    gradient = slopes + (hessian + 0.1 * np.eye(9)) @ (found - start)
    assert found.min() >= 0.0
    assert np.minimum(found, gradient) == pytest.approx(0.0, abs=1e-12)


def test_pivoting_refuses_an_indefinite_matrix():
    assert pivot(-np.eye(2), 0.5, np.array([-1.0, 1.0]), np.zeros(2)) is None


@pytest.mark.parametrize(
    ("A1", "hidden", "message"),
    [
        ([[1.0, 2.0], [2.0, 4.0]], [1.0, 0.0], "rank 1 and 2 rows"),
        ([[1.0, 2.0]], [-1.0], "negative entry"),
        ([[1.0, 2.0]], [np.inf], "hidden has 1 NaN or infinite"),
        ([[1.0, 2.0]], [1.0, 2.0], "hidden has 2 rows"),
        ([[1.0], [2.0]], [1.0, 2.0], "independent rows"),
    ],
)
def test_bad_arguments_are_named(A1, hidden, message):
    with pytest.raises(ValueError, match=message):
        smallest_x(A1, hidden)


def test_a_cell_is_a_mask_of_the_units():
    with pytest.raises(ValueError, match="active has shape"):
        fit_in_cell(*P2, [True])
    with pytest.raises(TypeError, match="bool"):
        fit_in_cell(*P2, [1, 0])
