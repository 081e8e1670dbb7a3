"""What two halves of a sample of neurons say, against dense algebra and other samples."""

import numpy as np
import pytest
from width_problems import corner_problem, neurons

from underdetermined.bounds import WidthProblem, _clipping, min_width_leverage_sampled

HALF, MOST = 1000, 125


def first_half(problem):
    """The first half of a sample, and its whitened neurons."""
    white = np.hstack([tile for _, tile in _clipping._white_tiles(problem, 5, range(HALF))])
    return _clipping._First(problem, 5, HALF, MOST), white


def sample_problem():
    return WidthProblem.from_data(np.random.default_rng(0).standard_normal((12, 3)), activation="relu")


@pytest.mark.parametrize("count", [10, 60, 125])
def test_weakest_direction_is_that_of_the_clipped_neurons(count):
    first, white = first_half(sample_problem())
    leverage = (white**2).sum(axis=0)
    tau = np.sort(leverage)[-count - 1]
    left = (white * (tau / np.maximum(leverage, tau))) @ white.T
    expected = np.linalg.eigh(left)[1][:, 0]
    assert first.sorted[count] == pytest.approx(tau)
    assert abs(first.weakest(first.sorted[count], count) @ expected) == pytest.approx(1.0, abs=1e-9)
    # Not that of all the neurons, unclipped.
    assert abs(np.linalg.eigh(white @ white.T)[1][:, 0] @ expected) < 0.999


def test_a_threshold_one_error_off_is_taken_where_none_is_two_errors_off():
    first, _ = first_half(sample_problem())
    ends = {1.0: [], 2.0: []}
    for count in range(10, MOST + 1):
        tail = _clipping._scaled_tail(first.tail[:, :count], first.sorted[:count], first.sorted[count])
        eta, error = _clipping._loss(tail, HALF)
        for margin, values in ends.items():
            values.append(eta + margin * _clipping.QUANTILE * error)
    near, far = min(ends[1.0]), min(ends[2.0])
    assert near < far

    def chosen(limit):
        return first.choose(lambda tau, eta: tau if eta < limit else np.inf)

    assert chosen(0.99 * near) is None
    assert ends[1.0][chosen(0.5 * (near + far))[1] - 10] < 0.5 * (near + far)
    assert ends[2.0][chosen(1.2 * far)[1] - 10] < 1.2 * far


def test_the_cheapest_threshold_is_chosen():
    first, _ = first_half(sample_problem())
    assert first.choose(lambda tau, eta: tau) == (first.sorted[MOST], MOST)
    assert first.choose(lambda tau, eta: -tau) == (first.sorted[10], 10)


@pytest.mark.parametrize("activation", ["relu", "squared_relu", "step"])
def test_the_upper_end_of_a_condition_number_takes_the_fourth_moment(activation):
    problem = corner_problem(activation)
    bound = min_width_leverage_sampled(problem, target=3.0 * problem.largest / problem.smallest, failure_probability=0.1)
    features = neurons(problem, 200_000, seed=77)
    fourth = (np.einsum("ij,ij->j", features, features) / problem.spectrum.largest) ** 2
    # m >= E |a|^4 / (delta / 2 u^2 lambda_max^2), where the two ends of the spectrum cost the same.
    found = bound.width * 0.05 * bound.details["upper_excess"] ** 2
    assert found == pytest.approx(fourth.mean(), rel=0.1)


@pytest.mark.parametrize("activation", ["relu", "erf"])
def test_the_fourth_moment_comes_with_its_error(activation):
    problem = corner_problem(activation)
    features = neurons(problem, 200_000, seed=77)
    exact = np.mean((np.einsum("ij,ij->j", features, features) / problem.spectrum.largest) ** 2)
    # Of intervals of 95 % about means, 97.5 % end above the true value.
    found = [_clipping.clip_leverage(problem, 512, seed, lambda tau, eta: tau).square for seed in range(40)]
    assert np.count_nonzero(np.array(found) > exact) >= 32
