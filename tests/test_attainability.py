"""Attainable ranks against numerical ranks, exact arithmetic and exact integer grouping; null vectors against networks."""

import json
import pickle
from fractions import Fraction
from math import comb, gcd

import mpmath
import numpy as np
import pytest
from attainability_oracle import definition, exact_features, exact_rank, feature_matrix, random_rows, singular_values
from catalogue import CATALOGUE, EVERY
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from underdetermined.activations import Activation
from underdetermined.attainability import Group, attainable_rank
from underdetermined.attainability._parts import read_parts

PLANE = np.array([[1.0, 0.0], [0.6, 0.8], [-0.6, 0.8]])
THREE_PAIRS = np.vstack([PLANE, -PLANE])
# What three antipodal pairs in the plane allow, from the table of the theory page.
RANK_OF_THREE_PAIRS = {
    **dict.fromkeys(["relu", "leaky_relu", "gelu", "silu", "softplus"], 3 + 2),
    **dict.fromkeys(["sigmoid", "step"], 3 + 1),
    **dict.fromkeys(["tanh", "erf", "sin", "cos", "gaussian", "abs"], 3),
    **dict.fromkeys(["squared_relu", "sin_cos", "exp", "shifted_relu", "elu", "hermite"], 6),
    "identity": 2,
}
KINKED = {"relu", "leaky_relu", "abs", "step", "squared_relu", "shifted_relu", "elu"}
pytestmark = pytest.mark.usefixtures("single_threaded_blas")


def rank(X, activation, **options):
    return attainable_rank(X, activation=activation, **options).rank


def kinds(result):
    return [(group.kind, group.rows) for group in result.groups]


def trained_outputs(X, activation, bias, rng, steps=30):
    """Outputs of a network of 20 neurons after gradient steps on all its parameters towards random targets."""
    d, width = X.shape[1], 20
    W, b = rng.standard_normal((d, width)), bias * rng.standard_normal(width)
    a, y = rng.standard_normal(width) / width, rng.standard_normal(len(X))
    outputs = []
    for _ in range(steps):
        z = X @ W + b
        features = activation.value(z)
        residual = features @ a - y
        outputs.append(features @ a)
        back = residual[:, np.newaxis] * activation.derivative(z) * a
        rate = 0.1 / (1.0 + np.linalg.norm(features) ** 2 + np.linalg.norm(back) ** 2)
        a, W, b = a - rate * features.T @ residual, W - rate * X.T @ back, b - bias * rate * back.sum(axis=0)
    return np.array(outputs).T


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("bias", [False, True])
def test_rank_is_that_of_four_thousand_neurons(name, bias):
    rng = np.random.default_rng([sum(map(ord, name)), bias])
    compared = 0
    for d in (1, 2, 3, 5):
        X = random_rows(rng, d)
        # A rotation rounds: ties then hold only as rounding leaves them.
        X = 3.7 * X @ np.linalg.qr(rng.standard_normal((d, d)))[0]
        singular = singular_values(feature_matrix(X, EVERY[name], rng, biases=bias))
        decided = not ((singular > 1e-13) & (singular < 1e-10)).any()
        compared += decided
        assert not decided or rank(X, EVERY[name], bias=bias) == (singular > 1e-10).sum()
    assert compared >= 2


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"hermite"}))
def test_rank_is_that_of_exact_arithmetic(name):
    rng = np.random.default_rng(sum(map(ord, name)))
    for d in (1, 2, 3):
        X = random_rows(rng, d)[:8]
        width = 30 * len(X) if EVERY[name].name in KINKED else len(X) + 8
        exact, last, following = exact_rank(exact_features(X, EVERY[name], rng, width))
        assert last > 1e-30 > 1e-45 > following
        assert rank(X, EVERY[name]) == exact


@pytest.mark.parametrize("name", CATALOGUE)
def test_three_antipodal_pairs_in_the_plane(name):
    assert rank(THREE_PAIRS, name) == RANK_OF_THREE_PAIRS[name]
    assert rank(THREE_PAIRS, name, bias=True) == (3 if name == "identity" else 6)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("bias", [False, True])
def test_null_vectors_annihilate_networks_random_and_trained(name, bias):
    rng = np.random.default_rng(5)
    for d in (1, 2, 5):
        X = random_rows(rng, d)
        result = attainable_rank(X, activation=EVERY[name], bias=bias)
        null = result.null_vectors
        assert null.shape == (len(X), result.deficiency) and result.rank + result.deficiency == result.n_rows
        np.testing.assert_allclose(null.T @ null, np.eye(result.deficiency), atol=1e-14)
        z = X @ rng.standard_normal((d, 300)) + bias * rng.standard_normal(300)
        for outputs in (EVERY[name].value(z), trained_outputs(X, EVERY[name], bias, rng)):
            assert np.abs(null.T @ outputs).max(initial=0.0) <= 1e-13 * max(np.linalg.norm(outputs), 1.0)
            assert result.is_attainable(outputs)


@pytest.mark.parametrize("name", EVERY)
def test_polynomial_parts_are_those_of_the_function(name):
    parts, exact = read_parts(EVERY[name]), definition(EVERY[name])
    with mpmath.workdps(40):
        for t in (mpmath.mpf(1) / 3, mpmath.mpf("1.7"), mpmath.mpf(4)):
            for part, sign in ((parts.even, 1), (parts.odd, -1)):
                value = (exact(t) + sign * exact(-t)) / 2
                claimed = value if part is None else sum(c * t**k for k, c in part.items())
                assert abs(claimed - value) <= 1e-13 * (1 + sum(abs(c) * t**k for k, c in (part or {}).items()))
        assert abs(parts.at_zero - exact(mpmath.mpf(0))) <= 1e-15
    assert all(k % 2 == 0 for k in parts.even or {}) and all(k % 2 for k in parts.odd or {})


@pytest.mark.parametrize("name", EVERY)
def test_parts_said_not_to_be_polynomials_are_not(name):
    parts, exact = read_parts(EVERY[name]), definition(EVERY[name])
    with mpmath.workdps(60):
        for sign in [s for s, part in ((1, parts.even), (-1, parts.odd)) if part is None]:
            # The divided difference over 12 points of both signs kills every polynomial of degree ten or less.
            nodes = [s * mpmath.mpf(k) / 2 for k in range(1, 7) for s in (1, -1)]
            weights = [1 / mpmath.fprod(x - z for z in nodes if z != x) for x in nodes]
            terms = [w * (exact(x) + sign * exact(-x)) for w, x in zip(weights, nodes, strict=True)]
            odd = [w * x * (exact(x) + sign * exact(-x)) for w, x in zip(weights, nodes, strict=True)]
            assert max(abs(mpmath.fsum(terms)), abs(mpmath.fsum(odd))) > mpmath.mpf(10) ** -20


def exact_classes(X):
    """Primitive integer vectors of the rows, up to sign, with their signed multiples."""
    found = []
    for row in X.astype(int).tolist():
        factor = gcd(*row)
        lead = next((value for value in row if value), 0)
        factor *= -1 if lead < 0 else 1
        found.append((tuple(value // factor for value in row), factor) if factor else None)
    return found


def rational_rank(rows):
    matrix, found = [[Fraction(value) for value in row] for row in rows], 0
    for column in range(len(matrix[0]) if matrix else 0):
        pivot = next((r for r in range(found, len(matrix)) if matrix[r][column]), None)
        if pivot is None:
            continue
        matrix[found], matrix[pivot] = matrix[pivot], matrix[found]
        for r in range(found + 1, len(matrix)):
            factor = matrix[r][column] / matrix[found][column]
            matrix[r] = [a - factor * b for a, b in zip(matrix[r], matrix[found], strict=True)]
        found += 1
    return found


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(-2, 2)))
def test_rank_is_that_of_exact_integer_grouping(X):
    lines = exact_classes(X)
    points = {point for point in lines if point}
    zero = None in lines
    both = sorted({line for line, factor in points if factor > 0} & {line for line, factor in points if factor < 0})
    pairs = sorted((line, abs(factor)) for line, factor in points if factor > 0 and (line, -factor) in points)
    radii = {(line, abs(factor)) for line, factor in points}
    n_lines = len({line for line, _ in points})
    squares = [[a * b for a in line for b in line] for line in both]
    assert rank(X, "relu") == n_lines + rational_rank(both)
    assert rank(X, "squared_relu") == n_lines + rational_rank(squares)
    assert rank(X, "gelu") == len(radii) + rational_rank([line for line, _ in pairs])
    assert rank(X, "softplus") == len(radii) + rational_rank([line for line, _ in pairs]) + zero
    assert rank(X, "sigmoid") == len(radii) + bool(pairs or zero)
    assert rank(X, "step") == n_lines + bool(both)
    assert rank(X, "tanh") == len(radii)
    assert rank(X, "cos") == len(radii) + zero
    assert rank(X, "exp") == rank(X, "relu", bias=True) == len(points) + zero
    assert rank(X, "identity") == rational_rank(X.tolist())
    assert rank(X, "identity", bias=True) == rational_rank([[1, *row] for row in X.tolist()])


@settings(max_examples=15, deadline=None)
@example(seed=682, name="relu", bias=False)
@given(seed=st.integers(0, 10**6), name=st.sampled_from(list(EVERY)), bias=st.booleans())
def test_rank_does_not_depend_on_the_order_the_layout_or_a_linear_map(seed, name, bias):
    rng = np.random.default_rng(seed)
    X = random_rows(rng, d := (1, 2, 3, 5)[seed % 4])
    expected = rank(X, EVERY[name], bias=bias)
    order = rng.permutation(len(X))
    units = 10.0 ** rng.integers(-9, 10, d)
    for other in (X[order], np.asfortranarray(X), -X, X * units, 1e150 * X, X[:, ::-1], np.vstack([X, X[:2]])):
        assert rank(other, EVERY[name], bias=bias) == expected
    null, moved = (attainable_rank(Z, activation=EVERY[name], bias=bias).null_vectors for Z in (X, X[order]))
    np.testing.assert_allclose(moved @ moved.T, (null @ null.T)[np.ix_(order, order)], atol=1e-10)


@pytest.mark.parametrize("factor", [3.0, 0.1, 1 / 3, np.pi, 7e-5, 1e200, 1e-200])
@pytest.mark.parametrize("d", [1, 2, 30, 400])
def test_multiples_stay_on_their_ray(rng, factor, d):
    X = rng.standard_normal((12, d))
    both = min(d, 12)
    rays = attainable_rank(np.vstack([X, factor * X]), activation="relu")
    assert rays.rank == (2 if d == 1 else 12) and {group.kind for group in rays.groups} == {"ray"}
    lines = attainable_rank(np.vstack([X, -factor * X]), activation="relu")
    assert lines.rank == (2 if d == 1 else 12 + both) and not lines.near
    assert rank(np.vstack([X, factor * X]), "tanh") == 24


def test_rows_at_the_ends_of_the_floating_range():
    X = np.array([[1.7e308, 1.7e308], [1e-200, 1e-200], [5e-324, 5e-324], [-1e300, -1e300], [-0.0, 0.0]])
    assert kinds(attainable_rank(X, activation="relu")) == [("ray", (0, 1, 2)), ("zero", (4,))]
    assert rank([[1e300], [-1e-300]], "relu") == rank([[1e-300], [-1e300]], "squared_relu") == 2
    assert rank(X, "tanh") == 4
    assert rank(X, "cos") == rank(X, "exp", bias=True) == 5
    assert np.isfinite(attainable_rank(X, activation="relu").null_vectors).all()


def test_integers_and_single_precision_are_taken_at_face_value():
    X = np.array([[1, 2], [2, 4], [-3, -6], [1, 0]])
    for dtype in (np.int8, np.int64, np.float32, np.float64):
        assert kinds(attainable_rank(X.astype(dtype), activation="abs")) == [("ray", (0, 1)), ("antipodal", (0, 1, 2))]
    assert rank([[0.1, 1.0], np.array([0.1, 1.0], dtype=np.float32)], "relu") == 2
    single = np.outer([1.0, 1.7, -0.3], np.arange(0.3, 0.9, 0.1)).astype(np.float32)
    assert attainable_rank(single, activation="relu").near == (Group("antipodal", (0, 1, 2)),)
    assert attainable_rank(single.astype(float), activation="relu").near == ()


def test_only_rows_of_a_relation_are_named():
    U = np.array([[1.0, 0, 0], [1, 1, 0], [1, -2, 0], [1, 1, 1], [0, 0, 1]])
    result = attainable_rank(np.vstack([U[:4], -2.5 * U]), activation="silu")
    assert result.deficiency == 0
    result = attainable_rank(np.vstack([U, -2.5 * U, U[-1:]]), activation="relu")
    pairs = [("antipodal", (k, k + 5)) for k in range(4)]
    assert kinds(result) == [("duplicate", (4, 10)), *pairs, ("antipodal", (4, 9, 10))]
    result = attainable_rank(np.vstack([U[[0, 1, 2, 4]], -U[[0, 1, 2, 4]]]), activation="relu")
    assert kinds(result) == [("antipodal", (k, k + 4)) for k in range(3)]


@pytest.mark.parametrize(("d", "degree"), [(1, 4), (1, 12), (2, 3), (2, 10), (3, 4), (4, 3)])
def test_polynomials_have_the_dimension_of_their_space(rng, d, degree):
    X = rng.standard_normal((400, d)) * 10.0 ** rng.uniform(-1, 1, (400, 1))
    activation = f"geometric_hermite(0.6, {degree})"
    assert rank(X, activation) == rank(X + 1e4, activation, bias=True) == comb(d + degree, degree)
    single = Activation("power", homogeneous=degree, function=lambda t: t**degree)
    assert rank(X, single) == comb(d + degree - 1, degree)
    assert rank(X, single, bias=True) == comb(d + degree, degree)
    assert rank(X[: degree + 1], activation) == degree + 1


def test_many_rows_are_independent_where_the_polynomials_are_more(rng):
    X = rng.standard_normal((300, 6))
    result = attainable_rank(np.vstack([X, X[:5]]), activation="hermite")
    assert (result.rank, result.null_vectors.shape) == (300, (305, 5))
    np.testing.assert_allclose(result.null_vectors.T @ np.vstack([X, X[:5]]), 0.0, atol=1e-14)
    assert result.is_attainable(np.arange(305.0) * (np.arange(305) % 300 > 4))
    # No conditioning stands in the way of as many points as there are degrees.
    places = np.concatenate([1e-6 * np.arange(6.0), np.arange(1.0, 8.0)])
    line = np.outer(places, [3.0, -1.0])
    assert rank(np.vstack([line[:10], [[1.0, 1.0]]]), "hermite") == 11
    assert rank(line, "hermite") == rank(line, "hermite", bias=True) == 11
    # Fifteen points of a conic: the 15 quartics see a space of 15 - 6 dimensions there.
    angle = np.arange(15.0)
    circle = np.column_stack([2 * np.cos(angle), np.sin(angle)]) + 0.5
    assert rank(circle, "geometric_hermite(0.5, 4)") == 9


def test_missing_degrees_are_found_by_cancellation(rng):
    X = rng.standard_normal((60, 2))
    # h_2 + h_0 / sqrt(2) is t^2 / sqrt(2): the constant cancels to rounding, and with it what zero rows could have.
    assert rank(X, f"hermite({0.5**0.5!r}, 0, 1)") == 3
    assert rank(X, "hermite(0, 0, 1)") == 1 + 3
    # Monomials 1, t and t^3 at three points of sum zero: a vanishing minor that no count of monomials shows.
    assert rank([[1.0], [2.0], [-3.0]], "hermite(1, 1, 0, 1)") == 2
    assert rank([[1.0], [2.0], [-3.5]], "hermite(1, 1, 0, 1)") == 3


def test_null_vectors_of_rows_of_many_sizes(rng):
    U = rng.standard_normal((12, 3))
    X = np.vstack([U * np.logspace(-8, 8, 12)[:, np.newaxis], -U])
    result = attainable_rank(X, activation="relu")
    assert (result.deficiency, len(result.groups)) == (9, 12)
    for size in (1e-8, 1.0, 1e8):
        outputs = np.maximum(X @ rng.standard_normal((3, 200)) * size, 0.0)
        assert np.abs(result.null_vectors.T @ outputs).max() <= 1e-13 * np.linalg.norm(outputs)


def test_the_constant_of_zero_rows_is_weighed_against_that_of_pairs(rng):
    X = np.vstack([THREE_PAIRS, np.zeros((3, 2))])
    jump = Activation("jump", homogeneous=0, function=lambda t: np.where(t >= 0, 3.0, 1.0))
    for activation in (jump, CATALOGUE["sigmoid"]):
        result = attainable_rank(X, activation=activation)
        outputs = activation.value(X @ rng.standard_normal((2, 50)))
        assert result.deficiency == 5
        np.testing.assert_allclose(result.null_vectors.T @ outputs, 0.0, atol=1e-13)


def test_planted_groups_among_many_rows(rng):
    X = rng.standard_normal((30000, 2))
    X[1::3] = -0.3 * X[::3]
    X[2::30] = 7.0 * X[::30]
    result = attainable_rank(X, activation="relu")
    assert result.rank == 10000 + 9000 + 2
    assert [g.rows for g in result.groups if g.kind == "ray"] == [(k, k + 2) for k in range(0, 30000, 30)]
    assert result.is_attainable(np.maximum(X @ rng.standard_normal((2, 5)), 0.0))


def test_result_does_not_depend_on_the_process(rng):
    X = random_rows(rng, 3)
    first, second = (attainable_rank(X, activation="hermite(0, 1, 0, 1)") for _ in range(2))
    np.testing.assert_array_equal(first.null_vectors, second.null_vectors)
    copy = pickle.loads(pickle.dumps(first))
    assert json.loads(json.dumps(copy.to_dict())) == first.to_dict()
    np.testing.assert_array_equal(copy.null_vectors, first.null_vectors)
