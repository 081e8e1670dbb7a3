"""All widths side by side: the recommendation, what is said about the data, and hostile input."""

import json

import numpy as np
import pytest

from underdetermined import Activation
from underdetermined.bounds import Assumption, WidthBound, WidthProblem, minimum_width
from underdetermined.bounds._recommend import recommend
from underdetermined.bounds._tails import read_target

NAMES = [
    "necessary",
    "parameter_count",
    "numerical_rank",
    "generic",
    "leverage_sampled",
    "truncated",
    "leverage",
    "chernoff",
    "importance",
    "du_2019",
    "exponential_2023",
    "subquadratic_2021",
    "last_layer",
]
DIRECTIONS = np.array([[1.0, 0.0], [0.6, 0.8], [-0.6, 0.8]])
FEW = {"n_samples": 2048}


def rows(n=20, d=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


def made(name, width, kind="theorem", role="sufficient", weights="gaussian", is_met=True):
    assumptions = (Assumption("made up", is_met),)
    return WidthBound(name, width, kind, role, weights, f"{name} says so.", "nowhere", assumptions)


def chosen(*bounds, X=None, target="rank", **options):
    problem = WidthProblem.from_data(rows() if X is None else X, **options)
    always = [made("necessary", 20, role="necessary"), made("numerical_rank", 18, kind="estimate", role="numerical")]
    return recommend([*always, *bounds], problem, read_target(target, 0.5, 0.1))


def test_every_result_is_there_once():
    assert [bound.name for bound in minimum_width(rows(), **FEW).bounds] == NAMES


@pytest.mark.parametrize("name", ["relu", "erf", "exp", "step", np.arctan])
@pytest.mark.parametrize("target", ["rank", "spectrum", 1e9])
def test_necessary_widths_are_below_sufficient_ones(name, target):
    found = minimum_width(rows(8), activation=name, target=target, **FEW)
    known = {bound.name: bound.width for bound in found.bounds if bound.width is not None}
    assert known["necessary"] == found.problem.rank == 8
    assert all(bound.width >= 8 for bound in found.bounds if bound.role == "sufficient" and bound.width is not None)
    assert known.get("chernoff", np.inf) >= known.get("leverage", 0)
    assert found.recommended in found.bounds


def test_theorem_is_taken_up_to_twice_the_estimate():
    theorem, estimate = made("leverage", 200), made("leverage_sampled", 100, kind="estimate")
    bound, reason = chosen(made("chernoff", 500), theorem, estimate)
    assert bound is theorem
    assert "leverage_sampled" in reason


def test_estimate_is_taken_where_theorems_are_wider():
    bound, reason = chosen(made("leverage", 201), made("leverage_sampled", 100, kind="estimate"))
    assert bound.name == "leverage_sampled"
    assert "201 (leverage), is 2.01 times as large" in reason
    assert "not guaranteed" in reason


def test_neurons_drawn_by_leverage_are_recommended_where_random_ones_are_out_of_reach():
    by_leverage = made("importance", 100, weights="leverage")
    bound, reason = chosen(made("truncated", 100_000), by_leverage)
    assert bound is by_leverage
    assert "100000 neurons (truncated)" in reason and "sampler='leverage'" in reason
    bound, reason = chosen(made("truncated", 99_999), by_leverage)
    assert bound.name == "truncated"
    assert "need only 100 (importance)" in reason


@pytest.mark.parametrize(
    "unusable",
    [
        made("leverage", 30, is_met=False),
        made("leverage", 30, is_met=None),
        made("leverage", None),
        made("importance", 30, weights="leverage"),
        made("parameter_count", 30, role="necessary"),
        made("du_2019", 30, kind="order", role="order"),
    ],
)
def test_what_does_not_apply_is_never_recommended(unusable):
    assert chosen(unusable, made("chernoff", 400))[0].name == "chernoff"
    assert chosen(unusable)[0].name == "necessary"


def test_leverage_weights_are_mentioned_where_they_save_much():
    sampled = made("leverage_sampled", 1000, kind="estimate")
    assert "only 300 (importance)" in chosen(sampled, made("importance", 300, weights="leverage"))[1]
    assert "importance" not in chosen(sampled, made("importance", 400, weights="leverage"))[1]


def test_measured_width_is_recommended_once_it_is_known():
    found = minimum_width(rows(), **FEW)
    measured = WidthBound("empirical", 60, "empirical", "sufficient", "gaussian", "Measured.", "here", interval=(50, 60))
    more = found.with_bound(measured)
    assert more.recommended is measured
    assert "50 to 60" in more.reason
    assert found.recommended.name == "leverage_sampled"
    again = more.with_bound(measured)
    assert [bound.name for bound in again.bounds] == [*NAMES, "empirical"]


def test_analytic_activation_needs_the_rank_only():
    found = minimum_width(rows(), activation="tanh", **FEW)
    assert (found.recommended.name, found.recommended.width) == ("generic", 20)
    assert "ill-conditioned" in found.reason
    assert minimum_width(rows(), activation="tanh", target="spectrum").recommended.name == "leverage_sampled"


def test_condition_number_below_that_of_the_kernel():
    found = minimum_width(rows(), target=2.0, **FEW)
    assert found.recommended.name == "necessary"
    assert "infinitely wide network has the condition number" in found.reason
    assert all(bound.width is None for bound in found.bounds if bound.role == "sufficient")


@pytest.mark.parametrize("activation", ["erf", "sin_cos", "tanh"])
def test_no_width_is_computed_from_noise(activation):
    found = minimum_width(np.linspace(-1.0, 1.0, 30)[:, np.newaxis], activation=activation, **FEW)
    assert not found.problem.is_resolved
    assert found.recommended.name == "numerical_rank"
    assert found.recommended.width == found.problem.numerical_rank < 30
    assert all(found.bound(name).width is None for name in ("leverage_sampled", "truncated", "leverage", "chernoff"))
    assert any("rank-deficient" in note for note in found.notes)
    assert any("lie on one line" in note for note in found.notes)


def test_rows_of_very_different_size_are_named():
    X = np.vstack([rows(20), 12.0 * np.ones((1, 3))])
    found = minimum_width(X, activation="exp", **FEW)
    assert not found.problem.is_resolved
    assert any("on row 20" in note and "bounded activation" in note for note in found.notes)


@pytest.mark.parametrize(
    ("X", "options", "rank", "words"),
    [
        (np.vstack([rows(), rows()[:2]]), {}, 20, ["(0, 20), (1, 21)", "equal"]),
        (np.vstack([DIRECTIONS, -DIRECTIONS]), {"bias_scale": 0.0}, 5, ["(0, 3), (1, 4), (2, 5)", "relu(t) - relu(-t) = t"]),
        (np.vstack([rows(), 2.0 * rows()[:1]]), {"bias_scale": 0.0}, 20, ["(0, 20)", "one ray"]),
        (np.vstack([rows(), np.zeros((1, 3))]), {"bias_scale": 0.0}, 20, ["Row 20 is zero"]),
        (np.linspace(-1.0, 1.0, 9)[:, np.newaxis], {"bias_scale": 0.0}, 2, ["one ray"]),
    ],
)
def test_unattainable_rows_are_named_and_left_out(X, options, rank, words):
    found = minimum_width(X, **options, **FEW)
    assert found.bound("necessary").width == found.problem.rank == rank
    assert rank < found.recommended.width < 100 * rank
    text = " ".join(found.notes)
    assert f"Of {len(X)} dimensions of targets only {rank} can be attained" in text
    assert all(word in text for word in words)


def test_ties_are_gone_with_a_bias():
    assert minimum_width(np.vstack([DIRECTIONS, -DIRECTIONS]), **FEW).notes == ()


def test_rows_that_nearly_coincide_are_named():
    found = minimum_width(np.vstack([rows(), rows()[:1] + 1e-9]), **FEW)
    assert any("nearly coincide: (0, 20)" in note for note in found.notes)


def test_rows_of_the_smallest_eigenvalue_are_named():
    X = rows(30, 4)
    X[17] = X[5] + 0.01
    found = minimum_width(X, **FEW)
    assert any("belongs to rows (5, 17)" in note for note in found.notes)


def test_every_feature_zero():
    found = minimum_width(np.zeros((4, 2)), bias_scale=0.0)
    assert found.recommended.name == "necessary"
    assert "nothing but zero" in found.reason
    assert found.to_dict()["lambda"] is None


def test_one_row():
    found = minimum_width([[1.0, 2.0]], **FEW)
    assert found.bound("necessary").width == 1
    assert 1 < found.recommended.width < 20


def test_callable_gets_an_estimate_and_declared_facts_get_theorems():
    bare = minimum_width(rows(), activation=np.arctan, target="spectrum")
    assert bare.recommended.name == "leverage_sampled"
    assert "no theorem gives a width" in bare.reason
    assert all(bare.bound(name).width is None for name in ("chernoff", "leverage", "truncated"))
    known = Activation("arctan", function=np.arctan, bound=np.pi / 2, lipschitz=1.0)
    told = minimum_width(rows(), activation=known, target="spectrum")
    assert all(told.bound(name).is_applicable for name in ("chernoff", "leverage", "truncated"))
    assert told.recommended.width == bare.recommended.width


def test_kind_of_numbers_and_memory_order_do_not_matter():
    whole = np.random.default_rng(1).integers(-5, 6, (15, 4))
    expected = minimum_width(whole.astype(float), **FEW).to_dict()
    for same in (whole, whole.tolist(), whole.astype(np.float32), np.asfortranarray(whole, dtype=float)):
        assert minimum_width(same, **FEW).to_dict() == expected


def test_dictionary_is_plain():
    found = minimum_width(rows(), activation="exp", target=np.float64(1e9), failure_probability=np.float64(0.2), **FEW)
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["recommended"] == found.recommended.name
    assert told["attainable_rank"] == 20
    assert [bound["name"] for bound in told["bounds"]] == NAMES


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(KeyError, match="necessary, parameter_count"):
        minimum_width(rows(3), **FEW).bound("widest")


@pytest.mark.parametrize(
    ("X", "options", "error", "words"),
    [
        (np.empty((0, 3)), {}, ValueError, "X has shape"),
        (np.zeros(3), {}, ValueError, "X has 1 dimensions"),
        ([[1.0, np.nan]], {}, ValueError, "X has 1 NaN"),
        ([["a"]], {}, TypeError, "X has dtype"),
        (rows(3), {"target": "cond"}, ValueError, "target='cond'"),
        (rows(3), {"target": True}, TypeError, "target=True"),
        (rows(3), {"target": 0.5}, ValueError, "target=0.5"),
        (rows(3), {"epsilon": 1.0}, ValueError, "epsilon=1.0"),
        (rows(3), {"failure_probability": 0.0}, ValueError, "failure_probability=0.0"),
        (rows(3), {"weight_scale": 0.0}, ValueError, "weight_scale=0.0"),
        (rows(3), {"bias_scale": -1.0}, ValueError, "bias_scale=-1.0"),
        (rows(3), {"activation": "relv"}, ValueError, "relv"),
        (rows(3), {"n_samples": 10}, ValueError, "n_samples=10"),
        (100.0 * rows(3), {"activation": "exp"}, OverflowError, "overflows"),
    ],
)
def test_refused(X, options, error, words):
    with pytest.raises(error, match=words):
        minimum_width(X, **options)
