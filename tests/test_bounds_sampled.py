"""The width estimated from sampled leverages, against enumeration, other samples and networks of that width."""

import tracemalloc

import mpmath
import numpy as np
import pytest
from scipy.special import erf

from underdetermined import FeatureMap
from underdetermined.blocks import single_threaded_blas
from underdetermined.bounds import WidthProblem, _clipping, min_width_leverage_sampled
from underdetermined.bounds._sampled import sample_size
from underdetermined.weights import sample_gaussian


def rows(n=20, d=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def kept_fraction(problem, width, seed):
    """Smallest eigenvalue of the whitened Gram matrix of a network: what it keeps of the kernel."""
    weights, biases = sample_gaussian(problem.inputs.shape[1], width, seed=seed)
    layer = FeatureMap(problem.weight_scale * weights, problem.bias_scale * biases, problem.activation)
    white = problem.whitening.T @ layer(problem.inputs)
    return np.linalg.eigvalsh(white @ white.T)[0]


def condition(problem, width, seed):
    weights, biases = sample_gaussian(problem.inputs.shape[1], width, seed=seed)
    layer = FeatureMap(problem.weight_scale * weights, problem.bias_scale * biases, problem.activation)
    return np.linalg.cond(layer(problem.inputs)) ** 2


@pytest.mark.parametrize(("target", "epsilon"), [("rank", 0.5), ("spectrum", 0.5), ("spectrum", 0.9)])
def test_width_follows_from_its_details(target, epsilon):
    problem = WidthProblem.from_data(rows())
    bound = min_width_leverage_sampled(problem, target=target, epsilon=epsilon, failure_probability=0.05)
    tau, eta = mpmath.mpf(bound.details["tau"]), mpmath.mpf(bound.details["eta"])
    kept = mpmath.mpf(1) - bound.details["epsilon"]
    x = 1 - kept / (1 - eta)
    rate = x + (mpmath.log(1 - x) * (1 - x) if kept else 0)
    assert bound.width == mpmath.ceil(tau * mpmath.log(20 / mpmath.mpf("0.05")) / ((1 - eta) * rate))
    assert bound.interval[0] <= bound.interval[1] == bound.width
    assert bound.kind == "estimate"
    assert bound.is_applicable


@pytest.mark.parametrize("angle", [0.2, 1.0, 2.0])
def test_loss_agrees_with_enumeration(angle):
    # Two unit vectors and the step: a neuron shows one of four columns, with known probabilities.
    problem = WidthProblem.from_data([[1.0, 0.0], [np.cos(angle), np.sin(angle)]], activation="step", bias_scale=0.0)
    columns = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    chances = np.array([np.pi - angle, angle, angle]) / (2.0 * np.pi)
    inverse = np.linalg.inv((columns * chances) @ columns.T)
    leverage = np.einsum("ij,ik,kj->j", columns, inverse, columns)
    inside = 0
    for seed in range(40):
        bound = min_width_leverage_sampled(problem, n_samples=4096, seed=seed)
        clipped = 1.0 - bound.details["tau"] / np.maximum(leverage, bound.details["tau"])
        exact = np.linalg.eigvals(inverse @ (columns * chances * clipped) @ columns.T).real.max()
        inside += bound.details["eta_low"] - 1e-9 <= exact <= bound.details["eta_high"] + 1e-9
        assert bound.details["largest_leverage"] == pytest.approx(leverage.max(), rel=1e-9)
    # 38 on average if the interval has its 95 %.
    assert inside >= 34


@pytest.mark.parametrize(
    ("name", "function"),
    [("relu", lambda z: np.maximum(z, 0.0)), ("erf", erf), ("sin_cos", lambda z: np.sin(z) + np.cos(z))],
)
def test_loss_agrees_with_another_sample(name, function):
    problem = WidthProblem.from_data(rows(12), activation=name)
    rng = np.random.default_rng(7)
    draws = 100_000
    inputs = np.hstack([problem.weight_scale * problem.inputs, np.ones((12, 1))])
    features = function(inputs @ rng.standard_normal((4, draws)))
    leverage = np.einsum("ij,ij->j", features, np.linalg.solve(features @ features.T / draws, features))
    bound = min_width_leverage_sampled(problem, n_samples=16_384)
    clipped = 1.0 - bound.details["tau"] / np.maximum(leverage, bound.details["tau"])
    white = problem.whitening.T @ features
    loss = np.linalg.eigvalsh((white * clipped) @ white.T / draws)[-1]
    assert loss > 0.01
    assert bound.details["eta_low"] - 0.02 < loss < bound.details["eta_high"] + 0.02


@pytest.mark.parametrize(
    ("target", "epsilon", "kept"), [("rank", 0.5, 1e-6), ("spectrum", 0.9, 0.1), ("spectrum", 0.5, 0.5)]
)
@pytest.mark.parametrize("activation", ["relu", "step", "gelu", "tanh"])
def test_networks_of_the_estimated_width_keep_the_promise(activation, target, epsilon, kept):
    problem = WidthProblem.from_data(rows(seed=3), activation=activation)
    bound = min_width_leverage_sampled(problem, target=target, epsilon=epsilon)
    fractions = [kept_fraction(problem, bound.width, seed) for seed in range(20)]
    # At most one in ten may fail; five of twenty would be a rare accident.
    assert np.count_nonzero(np.array(fractions) < kept) < 5
    # Not vacuous: nineteen neurons, or a fortieth, are not enough.
    assert kept_fraction(problem, {"rank": 19}.get(target, bound.width // 40), 0) < kept


def test_what_is_kept_and_what_is_clipped_off_add_up():
    white = rows(3, 50)
    leverage = (white**2).sum(axis=0)
    tau = float(np.median(leverage))
    kept, tail = _clipping._kept(leverage, tau), _clipping._scaled_tail(white, leverage, tau)
    assert tail.shape == (3, 25)
    np.testing.assert_allclose((white * kept) @ white.T + tail @ tail.T, white @ white.T, rtol=1e-12, atol=1e-12)
    assert np.max(kept * leverage) == pytest.approx(tau)
    loss, error = _clipping._loss(tail, 50)
    values, vectors = np.linalg.eigh(tail @ tail.T / 50)
    along = np.zeros(50)
    along[:25] = (vectors[:, -1] @ tail) ** 2
    assert loss == pytest.approx(values[-1])
    assert error == pytest.approx(along.std() / 50**0.5)


def test_condition_number_is_kept():
    problem = WidthProblem.from_data(rows())
    kappa = 3.0 * problem.largest / problem.smallest
    bound = min_width_leverage_sampled(problem, target=kappa)
    assert 20 < bound.width < 20_000
    assert sum(condition(problem, bound.width, seed) > kappa for seed in range(10)) < 4


def test_condition_number_of_the_kernel_cannot_be_promised():
    problem = WidthProblem.from_data(rows())
    bound = min_width_leverage_sampled(problem, target=0.5 * problem.largest / problem.smallest)
    assert bound.width is None
    assert bound.kind == "estimate"
    assert "condition number" in bound.statement


@pytest.mark.parametrize("shift", [1e-2, 3e-3, 1e-3, 1e-5])
def test_what_no_neuron_of_the_sample_shows_is_noticed(shift):
    # The step tells two almost parallel rows apart by the rare neuron between them, which the sample may not contain.
    X = rows(10)
    twin = X[0] + shift * np.linalg.norm(X[0]) * np.array([0.0, 1.0, -1.0])
    cosine = twin @ X[0] / np.linalg.norm(twin) / np.linalg.norm(X[0])
    chance = np.arccos(cosine) / np.pi
    problem = WidthProblem.from_data(np.vstack([X, twin]), activation="step", bias_scale=0.0)
    bounds = [min_width_leverage_sampled(problem, n_samples=8192, seed=seed) for seed in range(6)]
    assert all(bound.width is None or (1.0 - chance) ** bound.width < 0.1 for bound in bounds)


@pytest.mark.parametrize("bias_scale", [0.1, 0.3, 0.34, 0.4])
@pytest.mark.parametrize("target", ["rank", "spectrum"])
def test_neurons_that_are_mostly_silent_are_not_clipped_at_zero(bias_scale, target):
    # On rows of zeros a neuron is active if its bias exceeds 1: never seen, or by a few of the sample alone.
    problem = WidthProblem.from_data(np.zeros((3, 2)), activation="shifted_relu(-1)", bias_scale=bias_scale)
    active = 0.5 * mpmath.erfc(1.0 / (bias_scale * mpmath.sqrt(2)))
    bounds = [min_width_leverage_sampled(problem, target=target, n_samples=8192, seed=seed) for seed in range(4)]
    assert all(bound.width is None or (1 - active) ** bound.width < 0.1 for bound in bounds)


def test_heavy_tail_gives_no_width():
    bound = min_width_leverage_sampled(WidthProblem.from_data(rows(60), activation="exp"), target="spectrum", n_samples=8192)
    assert bound.width is None
    assert "rare neurons" in bound.statement
    assert "n_samples" in bound.statement


def test_unresolved_kernel_gives_no_width():
    problem = WidthProblem.from_data(np.linspace(0.0, 1.0, 30)[:, np.newaxis], activation="sin_cos")
    bound = min_width_leverage_sampled(problem)
    assert bound.width is None
    assert "not resolved" in bound.statement
    assert not bound.is_applicable


def test_nothing_to_fit():
    assert min_width_leverage_sampled(WidthProblem.from_data(np.zeros((3, 2)), bias_scale=0.0)).width == 1


def test_seed_decides():
    problem = WidthProblem.from_data(rows())
    first, again, other = (min_width_leverage_sampled(problem, n_samples=4096, seed=seed) for seed in (1, 1, 2))
    assert first.to_dict() == again.to_dict()
    assert first.details["tau"] != other.details["tau"]


@pytest.mark.parametrize("tile", [100, 4096])
def test_tiles_and_threads_do_not_matter(monkeypatch, tile):
    problem = WidthProblem.from_data(rows())
    expected = min_width_leverage_sampled(problem, n_samples=2000)
    monkeypatch.setattr(_clipping, "TILE", tile)
    with single_threaded_blas():
        bound = min_width_leverage_sampled(problem, n_samples=2000)
    assert bound.width == expected.width
    assert bound.details == pytest.approx(expected.details, rel=1e-9)


def test_repeated_rows_change_nothing():
    # The leverage is a property of the space of attainable targets.
    X = rows()
    bounds = [
        min_width_leverage_sampled(WidthProblem.from_data(data), n_samples=8192, target="spectrum")
        for data in (X, np.vstack([X, X[:7], X[:3]]))
    ]
    assert bounds[0].width == bounds[1].width
    assert bounds[0].details["eta"] == pytest.approx(bounds[1].details["eta"], rel=1e-6)


@pytest.mark.parametrize("activation", ["relu", "squared_relu"])
def test_scale_of_homogeneous_features_changes_nothing(activation):
    widths = set()
    for factor in (1.0, 1e-3, 1e5, 1e-65, 1e70):
        problem = WidthProblem.from_data(factor * rows(8), activation=activation, bias_scale=0.0)
        target = 3.0 * problem.largest / problem.smallest
        widths.add(min_width_leverage_sampled(problem, target=target, n_samples=8192).width)
    assert len(widths) == 1


def test_more_neurons_narrow_the_interval():
    problem = WidthProblem.from_data(rows(), activation="erf")
    few, many = (min_width_leverage_sampled(problem, n_samples=n, target="spectrum").interval for n in (8192, 131_072))
    assert many[1] - many[0] < 0.5 * (few[1] - few[0])


def test_sample_is_streamed():
    problem = WidthProblem.from_data(rows(40))
    n_samples = 2**15
    # Computed before, so that only the sample is counted.
    assert problem.whitening.shape == (40, 40)
    tracemalloc.start()
    min_width_leverage_sampled(problem, n_samples=n_samples)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * 8 * 40 * n_samples


def test_sample_size_grows_with_the_rows_and_its_cost_stays_affordable():
    sizes = [sample_size(n) for n in (1, 10, 100, 400, 1000, 3000)]
    assert sizes[:3] == [8192, 20480, 204800]
    assert sizes[3] == 2**34 // 400**2
    assert sizes[4:] == [64_000, 192_000]


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"n_samples": 511}, ValueError, "n_samples=511"),
        ({"n_samples": 1e4}, TypeError, "n_samples=10000.0"),
        ({"n_samples": True}, TypeError, "n_samples=True"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"seed": "a"}, TypeError, "seed='a'"),
        ({"target": "width"}, ValueError, "target='width'"),
        ({"target": 1.0}, ValueError, "target=1.0"),
        ({"epsilon": 0.0}, ValueError, "epsilon=0.0"),
        ({"failure_probability": 1.0}, ValueError, "failure_probability=1.0"),
    ],
)
def test_refused(options, error, words):
    with pytest.raises(error, match=words):
        min_width_leverage_sampled(WidthProblem.from_data(rows()), **options)
