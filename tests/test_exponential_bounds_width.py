"""Width for half of the smallest eigenvalue: its parts against slow definitions and simulation, and whether it is enough."""

import json

import numpy as np
import pytest
from eigenvalue_oracle import lengthened, rows_of
from scipy.special import ndtr

from underdetermined.bounds import _exponential_moment as moment
from underdetermined.bounds import exponential_gram_width
from underdetermined.bounds._exponential_problem import ExponentialProblem
from underdetermined.kernels import exponential_ntk

THREE = np.array([[0.5, 0.0], [0.25, 0.5], [-0.5, 0.25]])
# Rows, columns, norm and decades over which norms spread; each is cheap to simulate.
CASES = [(1, 3, 0.5, 0.0), (3, 4, 0.4, 0.0), (6, 2, 0.8, 0.3), (5, 8, 1.0, 0.0), (16, 8, 0.5, 0.5)]


def rows(rng, n, d, length, decades):
    return length * lengthened(rows_of("sphere", rng, n=n, d=d), rng, decades)[:n]


def inverse_root(matrix):
    values, vectors = np.linalg.eigh(matrix)
    return vectors / np.sqrt(values) @ vectors.T


def slow_second_moment(X, scale):
    """All pairs k, l of the two shares of a neuron that meet."""
    H, G = exponential_ntk(X, weight_scale=scale), X @ X.T
    inverse = np.linalg.inv(H)
    pairs = X[:, np.newaxis] + X
    sums = ((pairs[:, :, np.newaxis, np.newaxis] + pairs) ** 2).sum(axis=-1)
    second = np.einsum("ik,kl,lj,ijkl->ij", G, inverse, G, np.exp(scale**2 * sums / 2.0))
    root = inverse_root(H)
    return np.linalg.eigvalsh(root @ second @ root)[-1]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("scale", [1.0, 0.6])
def test_the_second_moment_is_a_sum_over_four_rows(rng, case, scale):
    X = rows(rng, *case)
    found = moment.relative_second_moment(ExponentialProblem.from_data(X, weight_scale=scale))
    assert found == pytest.approx(slow_second_moment(X, scale), rel=1e-7, abs=0.0)


def test_the_second_moment_is_that_of_simulated_neurons(rng):
    X = 0.3 * rng.standard_normal((4, 3))
    root = inverse_root(exponential_ntk(X))
    means = []
    for _ in range(20):
        E = np.exp(X @ rng.standard_normal((3, 20_000)))
        shares = root @ (X @ X.T * E.T[:, :, np.newaxis] * E.T[:, np.newaxis]) @ root
        means.append(np.einsum("rij,rjk->ik", shares, shares, optimize=True) / 20_000)
    values, vectors = np.linalg.eigh(np.mean(means, axis=0))
    along = np.array([vectors[:, -1] @ mean @ vectors[:, -1] for mean in means])
    found = moment.relative_second_moment(ExponentialProblem.from_data(X))
    # The eigenvector fits the sample, so that the sample lies above along it.
    assert abs(values[-1] - found) <= 6.0 * along.std() / np.sqrt(20.0)


def test_one_row_has_the_moment_of_a_lognormal_variable():
    bound = exponential_gram_width([[0.3, 0.4]], weight_scale=1.2, failure_probability=0.05)
    assert bound.details["second_moment"] == pytest.approx(np.exp(1.2**2), rel=1e-7, abs=0.0)
    expected = 8.0 * (np.exp(1.2**2) - 5.0 / 6.0) * np.log(20.0)
    assert bound.width == int(np.ceil(expected))


@pytest.mark.parametrize("case", CASES)
def test_the_bound_for_many_rows_is_above_the_second_moment(rng, case, monkeypatch):
    problem = ExponentialProblem.from_data(rows(rng, *case))
    exact = moment.relative_second_moment(problem)
    monkeypatch.setattr(moment, "_EXACT_ROWS", 0)
    assert exact <= moment.relative_second_moment(problem) * (1.0 + 1e-12) <= 100.0 * exact


@pytest.mark.parametrize("scale", [1.0, 1.5])
def test_the_truncated_width_is_a_minimum_over_thresholds(rng, scale):
    X = rows(rng, 5, 4, 0.5, 0.0)
    G, squares = X @ X.T, (X**2).sum(axis=1)
    smallest = np.linalg.eigvalsh(exponential_ntk(X, weight_scale=scale))[0]
    costs = []
    for B in np.linspace(0.2, 12.0, 1500):
        chances = ndtr((2.0 * scale**2 * G - B) / (scale * np.sqrt(squares)))
        lost = (squares * np.exp(2.0 * scale**2 * squares) * chances.sum(axis=1)).sum() / smallest
        kept = 0.5 / (1.0 - min(lost, 0.499))
        rate = 1.0 - kept + kept * np.log(kept)
        width = np.exp(2.0 * B) * np.linalg.norm(X, 2) ** 2 / smallest / (1.0 - lost) / rate
        costs.append(np.where(lost < 0.499, width, np.inf))
    bound = exponential_gram_width(X, weight_scale=scale)
    expected = min(costs) * np.log(50.0)
    assert expected * (1.0 - 1e-3) - 1.0 <= bound.details["width_truncated"] <= 1.1 * expected


def test_what_truncation_loses_is_below_its_bound(rng):
    X = rows(rng, 4, 3, 0.6, 0.0)
    found = exponential_gram_width(X).details
    E = np.exp(X @ rng.standard_normal((3, 400_000)))
    lost = ((X**2).sum(axis=1) @ E**2) * (E.max(axis=0) > np.exp(found["threshold"]))
    error = lost.std() / np.sqrt(lost.size)
    assert 0.2 * found["eta"] <= (lost.mean() + 5.0 * error) / found["lambda"]
    assert (lost.mean() - 5.0 * error) / found["lambda"] <= found["eta"]


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ((1, 3, 0.5, 0.0), "width_second_moment"),
        ((3, 4, 0.4, 0.0), "width_second_moment"),
        ((16, 8, 0.5, 0.0), "width_second_moment"),
        ((1, 3, 0.5, 0.0), "width_truncated"),
        ((3, 4, 0.4, 0.0), "width_truncated"),
    ],
)
def test_the_width_is_enough(rng, case, name):
    X = rows(rng, *case)
    details = exponential_gram_width(X).details
    m, d = int(details[name]), X.shape[1]
    values = []
    for _ in range(30):
        E = np.exp(X @ rng.standard_normal((d, m)))
        values.append(np.linalg.eigvalsh(X @ X.T * (E @ E.T) / m)[0])
    # The chance of three failures where each has that of 0.1 at most is far from small: in truth there is none.
    assert sum(value < 0.5 * details["lambda"] for value in values) <= 3


def test_the_width_is_within_two_decades_of_what_is_needed(rng):
    X = rows(rng, 8, 4, 0.5, 0.0)
    bound = exponential_gram_width(X)
    m = bound.width // 100
    values = []
    for _ in range(60):
        E = np.exp(X @ rng.standard_normal((4, m)))
        values.append(np.linalg.eigvalsh(X @ X.T * (E @ E.T) / m)[0])
    assert sum(value < 0.5 * bound.details["lambda"] for value in values) > 12


def test_the_smaller_width_is_taken(rng):
    short, long = (exponential_gram_width(rows(rng, 3, 8, length, 0.0)) for length in (0.5, 8.0))
    assert short.width == short.details["width_second_moment"] < short.details["width_truncated"]
    assert long.width == long.details["width_truncated"] < long.details["width_second_moment"]
    assert "second moment of a neuron" in short.statement and "neurons with products beyond" in long.statement
    assert "Bernstein" in short.reference and "Chernoff" in long.reference


def test_pairs_of_neurons_count_twice():
    one, two = (exponential_gram_width(THREE, symmetric=symmetric) for symmetric in (False, True))
    assert two.width == 2 * one.width and two.details["width_truncated"] == 2.0 * one.details["width_truncated"]
    assert "in pairs of equal weights" in two.statement


def test_rarer_failures_take_more_neurons():
    widths = [exponential_gram_width(THREE, failure_probability=delta).width for delta in (0.5, 0.1, 1e-6)]
    assert widths == sorted(widths)
    assert widths[2] / widths[0] == pytest.approx(np.log(3e6) / np.log(6.0), rel=0.02)


def test_weight_scale_is_a_scale_of_the_rows():
    one, other = exponential_gram_width(THREE, weight_scale=0.5), exponential_gram_width(0.5 * THREE)
    assert one.width == other.width
    assert one.details["lambda"] == pytest.approx(4.0 * other.details["lambda"], rel=1e-9)


def test_it_is_a_width_bound():
    bound = exponential_gram_width(THREE)
    assert bound.is_applicable and (bound.kind, bound.role, bound.weights) == ("theorem", "sufficient", "gaussian")
    assert json.loads(json.dumps(bound.to_dict()))["width"] == bound.width
    assert bound.details["lambda"] == pytest.approx(0.16768856012922351, rel=1e-9, abs=0.0)


@pytest.mark.parametrize(
    ("X", "reason"),
    [
        ([[1.0, 2.0], [1.0, 2.0]], "No width, because rows 0 and 1 are equal."),
        ([[1.0, 2.0], [0.0, 0.0]], "No width, because row 1 of norm 0 has the kernel entry 0."),
        ([[1.0, 2.0], [1.0, 2.0 + 1e-9]], "is lost in rounding errors up to"),
        (np.diag([17.8, 0.1]), "the rows of norm 17.8 need more than 1.8e308 neurons; scale X down"),
    ],
)
def test_no_width_says_why(X, reason):
    bound = exponential_gram_width(X)
    assert bound.width is None and reason in bound.statement
    assert json.loads(json.dumps(bound.to_dict()))["width"] is None


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (THREE, {"failure_probability": 0.0}, ValueError, "failure_probability=0.0 is out of range"),
        (THREE, {"failure_probability": 1.0}, ValueError, "failure_probability=1.0 is out of range"),
        (THREE, {"symmetric": 1}, TypeError, "symmetric=1 is not a truth value"),
        (THREE, {"weight_scale": 0}, ValueError, "weight_scale=0 is out of range"),
        (np.full((2, 2), np.inf), {}, ValueError, "NaN or infinite"),
        (1e3 * THREE, {}, OverflowError, "multiply the rows by"),
    ],
)
def test_hostile_input_is_refused(X, options, error, message):
    with pytest.raises(error, match=message):
        exponential_gram_width(X, **options)
