"""Many targets with the same layers: few are solved one by one, many as a batch."""

import numpy as np
import pytest
from scipy.special import log_softmax, rel_entr

from underdetermined.softmax_relu import softmax_relu_regression


def draw(n_problems):
    """Layers of 20 units, 8 outputs and 10 unknowns, targets, and a start."""
    rng = np.random.default_rng(8)
    A1, A2 = rng.normal(size=(20, 10)) / 3.0, rng.normal(size=(8, 20)) / 2.0
    return A1, A2, rng.dirichlet(np.ones(8), n_problems).T, rng.normal(size=10)


def value(A1, A2, b, x, loss):
    """Objective with reg = 0.01, by its definition."""
    f = np.exp(log_softmax(A2 @ np.maximum(A1 @ x, 0.0)))
    fit = rel_entr(b, f).sum() if loss == "kl" else 0.5 * np.sum((f - b) ** 2)
    return fit + 0.005 * x @ x


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("n_problems", [2, 16])
def test_results_are_stacked(loss, n_problems):
    A1, A2, targets, x0 = draw(n_problems)
    result = softmax_relu_regression(A1, A2, targets, loss=loss, reg=1e-2, x0=x0)
    assert result.x.shape == (10, n_problems)
    assert result.jac.shape == (10, n_problems)
    assert result.fitted.shape == (8, n_problems)
    assert result.fun.shape == result.status.shape == result.success.shape == (n_problems,)
    assert result.success.all()
    for j, column in enumerate(result.columns):
        np.testing.assert_array_equal(column.x, result.x[:, j])
        np.testing.assert_allclose(result.fun[j], value(A1, A2, targets[:, j], column.x, loss), rtol=1e-13)
        alone = softmax_relu_regression(A1, A2, targets[:, j], loss=loss, reg=1e-2, x0=column.x)
        assert alone.success
        assert alone.fun <= column.fun * (1.0 + 1e-14)


@pytest.mark.parametrize("options", [{}, {"hessian": "matrix-free"}, {"hessian": "sampled"}])
def test_few_targets_end_where_each_of_them_does(options):
    A1, A2, targets, _ = draw(3)
    starts = np.random.default_rng(1).normal(size=(10, 3)) * [1.0, 1e-3, 10.0]
    result = softmax_relu_regression(A1, A2, targets, reg=1e-2, x0=starts, options=options)
    for j, column in enumerate(result.columns[:2]):
        alone = softmax_relu_regression(A1, A2, targets[:, j], reg=1e-2, x0=starts[:, j], options=options)
        np.testing.assert_allclose(column.x, alone.x, rtol=1e-8, atol=1e-12)


def test_company_does_not_change_where_a_small_start_of_a_batch_ends():
    A1, A2, targets, x0 = draw(16)
    starts = np.repeat(1e-6 * x0[:, np.newaxis], 16, axis=1)
    small = softmax_relu_regression(A1, A2, targets, reg=1e-2, x0=starts)
    starts[:, 1:] *= 1e7
    mixed = softmax_relu_regression(A1, A2, targets, reg=1e-2, x0=starts)
    np.testing.assert_allclose(mixed.x[:, 0], small.x[:, 0], rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("n_problems", [2, 16])
def test_callbacks_see_all_problems(n_problems):
    A1, A2, targets, x0 = draw(n_problems)
    seen = []

    def look(intermediate_result):
        seen.append((intermediate_result.x, intermediate_result.fun))

    result = softmax_relu_regression(A1, A2, targets, reg=1e-2, x0=x0, callback=look)
    assert {(x.shape, fun.shape) for x, fun in seen} == {((10, n_problems), (n_problems,))}
    np.testing.assert_allclose(seen[-1][0], result.x, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(seen[-1][1], result.fun, rtol=1e-9)


@pytest.mark.parametrize("layer", [slice(None), slice(5)])
def test_a_callback_stops_a_loop_at_the_point_last_shown(layer):
    A1, A2, targets, x0 = draw(3)
    A1, A2 = A1[layer], A2[:, layer]
    plain = softmax_relu_regression(A1, A2, targets, reg=0.0, x0=x0)
    seen = []

    def stop(xk):
        # The first problem has ended once the second one moves.
        seen.append(xk)
        for _ in range(not np.array_equal(xk[:, 1], seen[0][:, 1])):
            raise StopIteration

    result = softmax_relu_regression(A1, A2, targets, reg=0.0, x0=x0, callback=stop)
    np.testing.assert_allclose(seen[-1][:, 0], result.x[:, 0], rtol=1e-12)
    assert result.status[0] == plain.status[0]
    assert result.status[1:].tolist() == [99, 99]
    np.testing.assert_allclose(result.x[:, 1], seen[-1][:, 1], rtol=1e-12)
    np.testing.assert_allclose(result.x[:, 2], seen[0][:, 2], rtol=1e-12)


@pytest.mark.parametrize(("targets", "most"), [(0, 30), (slice(None), 70)])
def test_small_starts_do_not_take_more_steps(targets, most):
    A1, A2, B, x0 = draw(16)
    result = softmax_relu_regression(A1, A2, B[:, targets], reg=1e-2, x0=1e-6 * x0)
    assert np.all(result.success)
    assert np.mean(result.nit) <= most
