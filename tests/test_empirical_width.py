"""The smallest sufficient width by experiment, against exhaustive search with features drawn anew."""

import json

import numpy as np
import pytest
from width_oracle import features, holds, interval

from underdetermined.attainability import attainable_rank
from underdetermined.empirical_width import Criterion, EmpiricalWidth, clopper_pearson, empirical_minimum_width
from underdetermined.kernels import nngp_kernel

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch):
    """Cut sums over neurons so often that narrow networks have several parts."""
    monkeypatch.setattr("underdetermined.empirical_width._neurons._SHORTEST", 16)
    monkeypatch.setattr("underdetermined.empirical_width._neurons._LONGEST", 16)


SMALL = {"n_seeds": 12, "failure_probability": 0.25, "confidence": 0.8}
EVENTS = ["rank", "spectrum", "condition", "residual"]


def kernel_values(X, activation):
    """The positive eigenvalues of the kernel with biases of scale one, descending."""
    rank = attainable_rank(X, activation=activation, bias=True).rank
    kernel = nngp_kernel(X, activation=activation, weight_scale=X.shape[1] ** -0.5, bias_scale=1.0)
    return np.linalg.eigvalsh(kernel)[::-1][:rank]


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("activation", ["relu", "sin_cos"])
@pytest.mark.parametrize("has_copies", [False, True])
def test_against_fresh_features(event, activation, has_copies, rng):
    X = rng.standard_normal((7, 3))
    X[6] = X[5] if has_copies else X[6]
    values, targets = kernel_values(X, activation), X[:, 0] ** 2
    threshold = {"rank": 0.0, "spectrum": 0.4, "condition": 3 * values[0] / values[-1], "residual": 1e-6}[event]
    options = {
        "rank": {},
        "spectrum": {"epsilon": threshold},
        "condition": {"condition": threshold},
        "residual": {"rtol": threshold, "targets": targets},
    }[event]
    result = empirical_minimum_width(X, activation=activation, event=event, resolution=1e-9, **options, **SMALL)
    failures = {}
    for each in result.evaluations:
        drawn = [features(X, activation, each.width, 0, index) for index in range(12)]
        held = tuple(holds(event, A, values.size, threshold, values[-1], targets) for A in drawn)
        assert each.outcomes == held[: len(each.outcomes)]
        failures[each.width] = 12 - sum(held)
    # The neighbours of a crossing were tested, because the resolution is finer than one neuron; the rank needs no test.
    failures.setdefault(result.floor, 12)
    assert failures[result.width] <= result.criterion.allowed < failures[result.width - 1]
    assert failures[result.lower + 1] < result.criterion.decisive <= failures[result.lower]
    assert failures[result.upper] <= result.criterion.spare < failures[result.upper - 1]
    assert result.is_complete


@pytest.mark.parametrize("trials", [1, 7, 40])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_interval_is_that_of_scipy(trials, confidence):
    found = [clopper_pearson(s, trials, confidence=confidence) for s in range(trials + 1)]
    np.testing.assert_allclose(found, [interval(s, trials, confidence) for s in range(trials + 1)], rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("arguments", [(3, 2), (-1, 2), (0, 0)])
def test_interval_refuses_impossible_counts(arguments):
    with pytest.raises(ValueError, match="successes="):
        clopper_pearson(*arguments)


@pytest.mark.parametrize(("delta", "n_seeds"), [(0.1, 40), (0.5, 5), (0.01, 20), (0.29, 100), (0.9, 3)])
def test_criterion_follows_from_the_intervals(delta, n_seeds):
    limits = [interval(n_seeds - failures, n_seeds, 0.95) for failures in range(n_seeds + 1)]
    found = Criterion.build(delta, n_seeds, 0.95)
    assert [low >= 1 - delta for low, _ in limits] == [failures <= found.spare for failures in range(n_seeds + 1)]
    assert [high < 1 - delta for _, high in limits] == [failures >= found.decisive for failures in range(n_seeds + 1)]
    assert found.allowed == int(np.floor(delta * n_seeds + 1e-9))


def test_resolution_is_kept(rng):
    X = rng.standard_normal((30, 3))
    result = empirical_minimum_width(X, event="spectrum", n_seeds=15, resolution=0.05)
    for failures in (result.criterion.decisive, result.criterion.allowed + 1):
        low, high = result.bracket(failures)
        assert high - low <= max(1, 0.05 * low)


def test_generic_width_of_a_smooth_activation(rng):
    X = rng.standard_normal((10, 2))
    X[7:] = -X[:3]
    assert empirical_minimum_width(X, activation="erf", bias_scale=0.0, n_seeds=20).width == 7
    assert empirical_minimum_width(X, activation="erf", n_seeds=20).width == 10


def test_rank_that_the_gram_matrix_does_not_resolve():
    X = np.linspace(-1.0, 1.0, 6)[:, np.newaxis]
    assert empirical_minimum_width(X, activation="exp", n_seeds=20).width == 6


def stop_after(count):
    """A progress function that interrupts at line `count`."""
    lines = []

    def progress(line):
        lines.append(line)
        if len(lines) == count:
            raise KeyboardInterrupt

    return progress


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_interrupted_and_resumed_is_one_run(count, rng):
    X = rng.standard_normal((12, 3))
    whole = empirical_minimum_width(X, event="spectrum", **SMALL)
    part = empirical_minimum_width(X, event="spectrum", progress=stop_after(count), **SMALL)
    assert not part.is_complete
    assert not part.as_bound().is_applicable
    assert len(part.evaluations) == count
    stored = EmpiricalWidth.from_dict(json.loads(json.dumps(part.to_dict())))
    assert stored == part
    assert empirical_minimum_width(X, event="spectrum", previous=stored, **SMALL) == whole


class Counted:
    """An activation that counts its calls, and interrupts at one of them."""

    def __init__(self, limit=None):
        self.calls, self.limit = 0, limit

    def __call__(self, z):
        self.calls += 1
        if self.calls == self.limit:
            raise KeyboardInterrupt
        return np.sin(z) + np.cos(z)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupt_inside_a_network(n_jobs, rng):
    X = rng.standard_normal((6, 2))
    whole = empirical_minimum_width(X, activation=Counted(), event="spectrum", n_jobs=n_jobs, **SMALL)
    counted = Counted()
    empirical_minimum_width(X, activation=counted, event="spectrum", n_jobs=n_jobs, max_width=1, **SMALL)
    limit = counted.calls + 60
    part = empirical_minimum_width(X, activation=Counted(limit), event="spectrum", n_jobs=n_jobs, **SMALL)
    assert not part.is_complete
    assert 0 < len(part.evaluations) < len(whole.evaluations)
    rest = empirical_minimum_width(X, activation=Counted(), event="spectrum", previous=part, n_jobs=n_jobs, **SMALL)
    assert rest == whole


def test_what_is_known_is_not_run_again(rng):
    X = rng.standard_normal((6, 2))
    first, again, prepared = Counted(), Counted(), Counted()
    whole = empirical_minimum_width(X, activation=first, event="spectrum", **SMALL)
    assert empirical_minimum_width(X, activation=again, event="spectrum", previous=whole, **SMALL) == whole
    empirical_minimum_width(X, activation=prepared, event="spectrum", max_width=1, **SMALL)
    assert again.calls == prepared.calls < first.calls


@pytest.mark.parametrize(
    "coarse",
    [
        {"n_seeds": 5},
        {"n_seeds": 30},
        {"resolution": 0.3},
        {"failure_probability": 0.4},
        {"max_width": 20},
        {"confidence": 0.6},
    ],
)
def test_refinement_is_one_run(coarse, rng):
    X = rng.standard_normal((8, 3))
    previous = empirical_minimum_width(X, event="spectrum", **(SMALL | coarse))
    whole = empirical_minimum_width(X, event="spectrum", **SMALL)
    assert empirical_minimum_width(X, event="spectrum", previous=previous, **SMALL) == whole


@pytest.mark.parametrize("event", ["rank", "spectrum", "condition"])
def test_result_depends_neither_on_threads_nor_on_what_is_kept(event, rng, monkeypatch):
    X = rng.standard_normal((16, 3))
    condition = 4e3 if event == "condition" else None
    options = {"event": event, "condition": condition, "n_seeds": 10, "failure_probability": 0.3, "resolution": 0.01}
    first = empirical_minimum_width(X, n_jobs=1, **options)
    assert empirical_minimum_width(np.asfortranarray(X), n_jobs=3, **options) == first
    monkeypatch.setattr("underdetermined.empirical_width._search.KEPT_BYTES", 0)
    assert empirical_minimum_width(X, n_jobs=2, **options) == first


def test_interval_of_a_width_covers_what_was_not_run(rng):
    X = rng.standard_normal((10, 3))
    result = empirical_minimum_width(X, event="spectrum")
    short = next(each for each in result.evaluations if len(each.outcomes) < 40)
    low, high = result.interval(short.width)
    assert low == pytest.approx(interval(short.successes, 40, 0.95)[0])
    assert high == pytest.approx(interval(40 - short.failures, 40, 0.95)[1])
    assert high < 0.9
    with pytest.raises(ValueError, match="width=3 was not tested"):
        result.interval(3)


def test_unresolved_kernel_has_no_width_and_says_so():
    X = np.linspace(0.0, 1.0, 30)[:, np.newaxis]
    result = empirical_minimum_width(X, activation="exp", event="spectrum")
    assert (result.width, result.upper, result.is_resolved, result.evaluations) == (None, None, False, ())
    assert "not resolved" in result.as_bound().statement
    assert not result.as_bound().is_applicable


def test_the_largest_width_ends_the_search(rng):
    X = rng.standard_normal((10, 3))
    result = empirical_minimum_width(X, event="spectrum", epsilon=0.0, max_width=50)
    assert (result.width, result.evaluations[-1].width, result.is_complete) == (None, 50, True)
    assert "up to width 50" in result.statement
    assert empirical_minimum_width(X, max_width=5).evaluations == ()


def test_nothing_to_attain_needs_nothing():
    result = empirical_minimum_width(np.zeros((3, 2)), bias_scale=0.0, n_seeds=3)
    assert (result.attainable_rank, result.width) == (0, 1)


def test_as_bound(rng):
    X = rng.standard_normal((10, 3))
    result = empirical_minimum_width(X, event="spectrum")
    bound = result.as_bound()
    assert (bound.name, bound.kind, bound.role, bound.weights) == ("empirical", "empirical", "sufficient", "gaussian")
    assert (bound.width, bound.interval) == (result.width, (result.lower + 1, result.upper))
    assert bound.is_applicable
    assert f"At width {result.width}" in bound.statement
    few = empirical_minimum_width(X, n_seeds=4).as_bound()
    assert few.interval is None
    assert json.dumps(bound.to_dict())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"event": "luck"}, ValueError, "event='luck'"),
        ({"event": "condition"}, ValueError, "condition=None"),
        ({"condition": 10.0}, ValueError, "condition=10.0"),
        ({"event": "condition", "condition": 1.0}, ValueError, "condition=1.0"),
        ({"event": "residual"}, ValueError, "pass targets"),
        ({"targets": [1.0, 2.0]}, ValueError, "leave targets out"),
        ({"epsilon": 1.0, "event": "spectrum"}, ValueError, "epsilon=1.0"),
        ({"rtol": 0.0}, ValueError, "rtol=0.0"),
        ({"failure_probability": 0.0}, ValueError, "failure_probability=0.0"),
        ({"confidence": 1.0}, ValueError, "confidence=1.0"),
        ({"resolution": 0}, ValueError, "resolution=0"),
        ({"n_seeds": 0}, ValueError, "n_seeds=0"),
        ({"max_width": 2.0}, TypeError, "max_width=2.0"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"weight_scale": "large"}, ValueError, "weight_scale='large'"),
        ({"X": [[1.0], [np.inf]]}, ValueError, "X has"),
        ({"previous": {"width": 3}}, TypeError, "previous is a dict"),
    ],
)
def test_errors_name_argument_and_value(arguments, error, message):
    with pytest.raises(error, match=message):
        empirical_minimum_width(**({"X": [[1.0], [2.0]]} | arguments))


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"seed": 1}, "seed"),
        ({"event": "spectrum"}, "event"),
        ({"bias_scale": 0.5}, "bias_scale"),
        ({"X": [[1.0], [3.0]]}, "fingerprint"),
        ({"activation": "erf"}, "fingerprint"),
    ],
)
def test_previous_must_be_the_same_experiment(change, name):
    previous = empirical_minimum_width([[1.0], [2.0]], n_seeds=3)
    with pytest.raises(ValueError, match=f"previous has {name}"):
        empirical_minimum_width(**({"X": [[1.0], [2.0]], "previous": previous} | change))


def test_from_dict_names_what_is_missing():
    with pytest.raises(ValueError, match="data has no activation, event"):
        EmpiricalWidth.from_dict({})


def test_representation(rng):
    result = empirical_minimum_width(rng.standard_normal((4, 2)), activation="sin_cos", n_seeds=3)
    assert repr(result).startswith("EmpiricalWidth(event='rank', width=4, lower=3, upper=None, 1 widths tested, 3 seeds")
