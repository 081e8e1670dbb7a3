"""What `attainable_rank` returns and refuses: verdicts on targets, words, near-coincidences, users' functions, bad input."""

import numpy as np
import pytest
from catalogue import EVERY

from underdetermined import RandomFeatureRegressor, _validation
from underdetermined.activations import Activation
from underdetermined.attainability import Group, attainable_rank

PLANE = np.array([[1.0, 0.0], [0.6, 0.8], [-0.6, 0.8]])
THREE_PAIRS = np.vstack([PLANE, -PLANE])
TIED = np.array([[1, 2], [1, 2], [2, 4], [-1, -2], [-3, 1], [3, -1], [1, 1], [-1, -1], [0, 0]]) / 2.0


@pytest.mark.parametrize("name", EVERY)
def test_unattainable_part_is_the_residual_of_the_widest_network(rng, name):
    result = attainable_rank(TIED, activation=EVERY[name])
    features = EVERY[name].value(TIED @ rng.standard_normal((2, 3000)) * 2.0 ** rng.uniform(-2, 2, 3000))
    features = features / np.maximum(np.abs(features).max(axis=0), 1e-300)
    y = rng.standard_normal((9, 4))
    best = y - features @ np.linalg.lstsq(features, y, rcond=1e-13)[0]
    np.testing.assert_allclose(result.unattainable_part(y), best, atol=1e-8)
    null = result.null_vectors
    np.testing.assert_allclose(result.unattainable_part(y), null @ (null.T @ y), atol=1e-14)
    assert result.is_attainable(y - best, rtol=1e-7)
    assert result.is_attainable(y) == (result.deficiency == 0)


def test_verdict_agrees_with_an_estimator(rng):
    result = attainable_rank(THREE_PAIRS, activation="gelu")
    for y in (rng.standard_normal(6), THREE_PAIRS[:, 1], np.ones(6)):
        network = RandomFeatureRegressor(
            4000, activation="gelu", bias_scale=0.0, fit_intercept=False, alpha=1e-12, random_state=0
        ).fit(THREE_PAIRS, y)
        rest = y - network.predict(THREE_PAIRS)
        np.testing.assert_allclose(rest, result.unattainable_part(y), atol=1e-6)
        assert result.is_attainable(y) == (np.linalg.norm(rest) < 1e-6)


def test_verdict_is_relative_and_column_by_column():
    result = attainable_rank([[1.0], [2.0]], activation="relu")
    good, bad = np.array([1.0, 2.0]), np.array([2.0, -1.0])
    for size in (1e-300, 1.0, 1e300):
        assert result.is_attainable(size * good) and not result.is_attainable(size * bad)
        np.testing.assert_allclose(result.unattainable_part(size * bad), size * bad, rtol=1e-14)
    assert result.is_attainable(good + 1e-8 * bad, rtol=2e-8) and not result.is_attainable(good + 1e-8 * bad)
    assert not result.is_attainable(np.column_stack([1e9 * good, bad]))
    assert result.is_attainable(np.zeros((2, 3)))
    assert result.is_attainable([1, 2])
    assert result.unattainable_part(np.ones((2, 3))).shape == (2, 3)


@pytest.mark.parametrize(
    ("activation", "bias", "words"),
    [
        ("relu", False, ["Rank 5 of 6", "(0, 3), (1, 4), (2, 5)", "relu(t) - relu(-t) = t ", "linear function", "A bias"]),
        ("leaky_relu(0.5)", False, ["leaky_relu(0.5)(t) - leaky_relu(0.5)(-t) = 1.5 t ", "dimension 2"]),
        ("sigmoid", False, ["Rank 4 of 6", "2 independent", "sigmoid(t) + sigmoid(-t) = 1 ", "one constant"]),
        ("tanh", False, ["Rank 3 of 6", "tanh(-t) = -tanh(t)"]),
        ("cos", False, ["cos(-t) = cos(t)"]),
        ("identity", False, ["polynomial", "degrees of its monomials: 1", "not a polynomial has no such limit"]),
        ("identity", True, ["degrees of its monomials: 0, 1", "with biases"]),
        ("squared_relu", False, ["Rank 6 of 6", "every target", "nothing about conditioning"]),
        ("relu", True, ["Rank 6 of 6", "with biases"]),
    ],
)
def test_explanation_names_the_rows_the_identity_and_the_remedy(activation, bias, words):
    text = attainable_rank(THREE_PAIRS, activation=activation, bias=bias).explanation
    assert [word for word in words if word.lower() not in text.lower()] == []
    assert "\n" not in text


def test_explanation_of_duplicates_rays_and_zero_rows():
    X = np.array([[1.0, 0.0], [1.0, 0.0], [3.0, 0.0], [0.0, 0.0], [0.0, 1.0]])
    relu = attainable_rank(X, activation="relu")
    assert relu.groups == (Group("duplicate", (0, 1)), Group("ray", (0, 1, 2)), Group("zero", (3,)))
    for word in ("Rows (0, 1) are equal", "merge equal rows", "(0, 1, 2) lie on one ray", "Row 3 is zero"):
        assert word in relu.explanation
    squared = attainable_rank(X, activation="squared_relu")
    assert "squared_relu(c t) = c^2 squared_relu(t)" in squared.explanation
    sigmoid = attainable_rank(np.vstack([THREE_PAIRS[[0, 3]], np.zeros((1, 2))]), activation="sigmoid")
    assert sigmoid.groups == (Group("antipodal", (0, 1)), Group("zero", (2,)))
    assert "1 pair and the zero rows" in sigmoid.explanation
    many = attainable_rank(np.repeat(np.arange(1.0, 6.0), 9)[:, np.newaxis], activation="exp")
    assert "(0, 1, 2, 3, 4, 5, ... 9 in all)" in many.explanation and "and 2 more" in many.explanation


def test_representation_and_dictionary():
    result = attainable_rank(THREE_PAIRS, activation="relu")
    assert repr(result) == (
        "Attainability(activation='relu', bias=False, n_rows=6, rank=5, deficiency=1, groups=3, near=0)"
    )
    listed = result.to_dict()
    assert listed["groups"][0] == {"kind": "antipodal", "rows": [0, 3]} and listed["deficiency"] == 1
    assert set(listed) == {"activation", "bias", "n_rows", "rank", "deficiency", "groups", "near", "explanation"}


@pytest.mark.parametrize("distance", [1e-12, 1e-9])
def test_near_coincidences_are_listed_apart(distance):
    x, z, other = np.array([1.0, 2.0, -1.0]), np.array([0.5, 0.0, 3.0]), np.array([7.0, 1.0, 1.0])
    moved = x + distance * np.array([1.0, 0.0, 1.0])
    duplicate = np.vstack([x, other, moved, z])
    for activation, bias in (("exp", False), ("relu", True), ("tanh", False), ("gelu", False)):
        result = attainable_rank(duplicate, activation=activation, bias=bias)
        assert (result.rank, result.groups, result.near) == (4, (), (Group("duplicate", (0, 2)),))
        assert "(0, 2)" in result.explanation
    opposite = np.vstack([x, other, -moved, z])
    assert attainable_rank(opposite, activation="tanh").near == (Group("antipodal", (0, 2)),)
    assert attainable_rank(opposite, activation="exp").near == ()
    ray = np.vstack([x, other, 5.0 * moved, z])
    assert attainable_rank(ray, activation="relu").near == (Group("ray", (0, 2)),)
    assert attainable_rank(ray, activation="gelu").near == ()
    assert attainable_rank(ray, activation="relu", near_tolerance=distance / 10).near == ()
    wide = np.hstack([ray, np.arange(4.0)[:, np.newaxis] * np.ones((4, 60))])
    wide[2, 3:] = 5.0 * wide[0, 3:]
    assert attainable_rank(wide, activation="abs").near == (Group("ray", (0, 2)),)


def test_ties_to_rounding_are_not_near():
    assert attainable_rank(np.vstack([THREE_PAIRS, 0.1 * THREE_PAIRS]), activation="relu").near == ()
    near = attainable_rank(np.vstack([THREE_PAIRS[[0, 3]], [[1.0, 1e-10]]]), activation="relu").near
    assert near == (Group("antipodal", (0, 1, 2)),)
    crowd = 1e5 + np.random.default_rng(0).standard_normal((5000, 2))
    crowd[1] = crowd[0] * (1 + 3e-10) + [1e-5, 0.0]
    assert {0, 1} <= {row for group in attainable_rank(crowd, activation="relu").near for row in group.rows}


def test_functions_of_a_user_count_by_the_facts_they_bring():
    def cubed(t):
        return np.maximum(t, 0.0) ** 3

    def cubes(t):
        return t**3 - 2 * t

    bare = attainable_rank(THREE_PAIRS, activation=cubed)
    assert bare.rank == 6 and "may be smaller" in bare.explanation
    rays = np.vstack([THREE_PAIRS, 3 * THREE_PAIRS])
    assert attainable_rank(rays, activation=cubed).rank == 12
    assert attainable_rank(rays, activation=Activation("cubed", homogeneous=3, function=cubed)).rank == 3 + 3
    known = Activation("cubes", even_degree=-1, odd_degree=3, function=cubes)
    grid = np.random.default_rng(0).standard_normal((20, 2))
    assert attainable_rank(grid, activation=known).rank == 2 + 4
    assert "may be smaller" not in attainable_rank(grid, activation=known).explanation
    for power, dimension in ((3, 4), (4, 5), (6, 7)):
        degrees = (power, -1) if power % 2 == 0 else (-1, power)
        monomial = Activation("monomial", (), *degrees, function=lambda t, power=power: t**power)
        assert attainable_rank(grid, activation=monomial).rank == dimension
    assert attainable_rank(np.zeros((2, 2)), activation=np.tanh).rank == 0
    assert attainable_rank(THREE_PAIRS, activation=Activation("odd", even_degree=-1, function=np.arctan)).rank == 3
    jump = Activation("jump", homogeneous=0, function=lambda t: (t >= 0).astype(float))
    assert attainable_rank(np.vstack([THREE_PAIRS, np.zeros((1, 2))]), activation=jump).rank == 4
    with pytest.raises(ValueError, match="activation 'log' is -inf at 0"), np.errstate(all="ignore"):
        attainable_rank(THREE_PAIRS, activation=np.log)


@pytest.mark.parametrize(
    ("X", "error", "words"),
    [
        ([[np.nan, 1.0]], ValueError, "X has 1 NaN"),
        ([[np.inf], [1.0]], ValueError, "X has 1 NaN or infinite"),
        ([1.0, 2.0], ValueError, "X has 1 dimensions"),
        (np.zeros((0, 2)), ValueError, "at least one row"),
        ([[1j]], TypeError, "X has dtype complex128"),
        ([["a"]], TypeError, "X has dtype"),
    ],
)
def test_bad_rows_are_refused(X, error, words):
    with pytest.raises(error, match=words):
        attainable_rank(X, activation="relu")


def test_bad_options_are_refused():
    with pytest.raises(ValueError, match="unknown activation 'rleu'"):
        attainable_rank([[1.0]], activation="rleu")
    with pytest.raises(ValueError, match="near_tolerance=-1"):
        attainable_rank([[1.0]], activation="relu", near_tolerance=-1)
    result = attainable_rank([[1.0], [2.0]], activation="relu")
    with pytest.raises(ValueError, match="y has 3 rows and the matrix has 2"):
        result.is_attainable([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="y has 1 NaN"):
        result.unattainable_part([1.0, np.nan])
    with pytest.raises(ValueError, match="rtol=-1"):
        result.is_attainable([1.0, 2.0], rtol=-1)


def test_null_vectors_that_do_not_fit_are_refused_and_not_needed(monkeypatch):
    result = attainable_rank(np.ones((50000, 1)), activation="relu")
    monkeypatch.setattr(_validation, "available_memory", lambda: 10**9)
    with pytest.raises(MemoryError, match="50000 x 49999 matrix of null vectors .* needs 19999600000 bytes"):
        result.null_vectors  # noqa: B018
    assert result.is_attainable(np.ones(50000)) and not result.is_attainable(np.arange(50000.0))
    with pytest.raises(MemoryError, match="the grouping of 100 rows of 300000 inputs needs 1440000000 bytes"):
        attainable_rank(np.zeros((100, 300000)), activation="relu")
    rows = np.random.default_rng(0).standard_normal((20000, 4))
    with pytest.raises(MemoryError, match="20000 x 20000 kernel of polynomials of degree 30"):
        attainable_rank(rows, activation="geometric_hermite(0.5, 30)")
    with pytest.raises(MemoryError, match="20000 x 2010 matrix of polynomials of degree 10"):
        attainable_rank(rows, activation="hermite")
