"""Steps in free hidden values: saddle points, indefinite models, what proves a minimum, and the quadratic program inside."""

import numpy as np
import pytest
from scipy.optimize import nnls

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import SoftmaxReLUStatus, solve_free_hidden
from underdetermined.softmax_relu.free_hidden.newton import _Model, _State, minimise_hidden
from underdetermined.softmax_relu.free_hidden.pivoting import pivot

ALONG = np.array([0.0, 1.0, -1.0]) / np.sqrt(2.0)


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum()


@pytest.mark.parametrize("share", [0.8, 2.0 / 3.0 + 1e-3])
def test_saddle_points_are_left(share):
    # By symmetry logits 0 are stationary along (0, 1, -1); with b = (1 - 2 c, c, c) the curvature is (2/3 - c) / 3.
    b = np.array([1.0 - 2.0 * share, share, share])
    found = minimise_hidden(np.column_stack([ALONG, -ALONG]), b, "squared", np.ones(2))
    # Beyond the saddle the loss falls towards that of a vertex.
    vertex = 0.5 * np.sum((np.array([0.0, 1.0, 0.0]) - b) ** 2)
    assert vertex < 0.5 * np.sum((1.0 / 3.0 - b) ** 2)
    assert found.found.value == pytest.approx(vertex, rel=1e-6)


def test_a_unit_of_slope_zero_counts_for_the_curvature():
    objective = SoftmaxReLU([[1.0]], [[0.0], [1.0], [-1.0]], [-0.6, 0.8, 0.8])
    at_zero, elsewhere = solve_free_hidden(objective, n_starts=0), solve_free_hidden(objective, n_starts=2)
    assert np.array_equal(at_zero.hidden, [0.0])
    # The ratio is f + (f - b) - f.(f - b) on the shares that move.
    assert at_zero.curvature == pytest.approx(2.0 / 3.0 - 0.8)
    assert at_zero.status is SoftmaxReLUStatus.DEGENERATE
    assert elsewhere.value < at_zero.value - 1e-2


def test_steps_that_raise_the_loss_are_refused():
    # Along (1, -1) / sqrt(2) the divergence from (0.6, 0.4) is least at h = log(1.5) / sqrt(2) = 0.287.
    column, b = np.array([[1.0], [-1.0]]) / np.sqrt(2.0), np.array([0.6, 0.4])
    before, near, far = (_State(column, b, "kl", np.array([h])) for h in (0.0, 0.3, 0.7))
    assert near.improves(before)
    assert far.found.value > before.found.value
    assert not far.improves(before)


@pytest.mark.parametrize(("hidden", "expected"), [(1e-17, 0.0), (1e-3, 1e-3)])
def test_units_positive_by_rounding_alone_are_zero(hidden, expected):
    # The slope at 0 is 0.2 / sqrt(2) > 0.
    column = np.array([[1.0], [-1.0]]) / np.sqrt(2.0)
    found = minimise_hidden(column, np.array([0.4, 0.6]), "kl", np.array([hidden]), max_iter=0)
    assert found.hidden.tolist() == [expected]
    assert found.is_stationary == (expected == 0.0)


def test_where_the_model_falls_both_ways_its_positive_part_makes_the_step():
    b, hidden, damping = np.array([-0.6, 0.8, 0.8]), np.array([0.3]), 1e-3
    f = softmax(0.3 * ALONG)
    q = f * (f - b - f @ (f - b))
    p = f * f + q
    square = (ALONG - f @ ALONG) ** 2
    assert p.min() < 0.0 < p.max()
    assert p @ square < -damping
    step = _Model(_State(ALONG[:, np.newaxis], b, "squared", hidden)).minimiser(damping)
    expected = max(0.3 - (ALONG @ q) / (np.maximum(p, 0.0) @ square + damping), 0.0)
    assert step == pytest.approx([expected], rel=1e-12)


@pytest.mark.parametrize("size", [1.0, 1e-5, 1e-12])
@pytest.mark.parametrize("seed", range(5))
def test_quadratic_programs_of_any_size_have_the_solution_of_least_squares(size, seed):
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((9, 6))
    slopes, hidden = rng.standard_normal(6), np.maximum(rng.standard_normal(6), 0.0)
    hessian, damping = root.T @ root, 0.1
    lower = np.linalg.cholesky(hessian + damping * np.eye(6))
    expected = nnls(lower.T, lower.T @ hidden - np.linalg.solve(lower, slopes))[0]
    assert 0 < np.count_nonzero(expected == 0.0) < 6
    found = pivot(hessian, damping, size * slopes, size * hidden)
    assert found.min() >= 0.0
    assert found / size == pytest.approx(expected, rel=1e-10, abs=1e-12)


def test_a_divergence_that_is_not_yet_least_is_not_called_so():
    rng = np.random.default_rng(3)
    A1, A2 = rng.standard_normal((8, 10)), rng.standard_normal((12, 8))
    objective = SoftmaxReLU(A1, A2, rng.dirichlet(np.ones(12)), loss="kl")
    runs = [solve_free_hidden(objective, max_iter=limit) for limit in range(10)]
    assert [run.is_global for run in runs] == [run.gap <= 1e-9 for run in runs]
    assert any(1e-8 < run.gap < 5e-5 for run in runs)
    assert runs[-1].is_global
