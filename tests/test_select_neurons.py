"""Chosen neurons: what they must span, how far from dependent they are, and matrices that are hard to choose from."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.linalg import qr
from scipy.sparse.linalg import aslinearoperator
from sklearn.datasets import load_diabetes
from threadpoolctl import threadpool_info, threadpool_limits

from underdetermined import FeatureMap
from underdetermined.neurons import select_neurons
from underdetermined.weights import sample_gaussian


def row_basis(A):
    """Orthonormal rows that span those of A."""
    _, singular, right = np.linalg.svd(A, full_matrices=False)
    return right[singular > max(A.shape) * np.finfo(float).eps * singular[0]]


def growth(A, chosen):
    """Frobenius norm of the pseudo-inverse of the chosen columns of a row basis."""
    return np.linalg.norm(np.linalg.pinv(row_basis(A)[:, chosen]))


def layer_of(X, width, activation="relu", seed=0):
    weights, biases = sample_gaussian(X.shape[1], width, seed=seed)
    return FeatureMap(weights * X.shape[1] ** -0.5, biases, activation)


@pytest.fixture(scope="module")
def diabetes():
    X = load_diabetes().data[:100]
    return (X - X.mean(axis=0)) / X.std(axis=0)


@pytest.mark.parametrize("activation", ["relu", "erf", "sin_cos", "gelu", "exp"])
@pytest.mark.parametrize("ratio", [1.2, 3])
def test_chosen_neurons_beat_random_ones_and_plain_pivots(diabetes, activation, ratio):
    A = layer_of(diabetes, int(ratio * 100), activation)(diabetes)
    chosen = select_neurons(A)
    assert chosen.shape == (100,) and len(set(chosen.tolist())) == 100
    assert growth(A, chosen) <= growth(A, qr(A, pivoting=True, mode="r")[1][:100])
    assert growth(A, chosen) <= growth(A, qr(row_basis(A), pivoting=True, mode="r")[1][:100])
    rng = np.random.default_rng(0)
    random = [np.linalg.cond(A[:, rng.choice(A.shape[1], 100, replace=False)]) for _ in range(20)]
    condition = np.linalg.cond(A[:, chosen])
    assert condition < min(random)
    assert condition <= np.linalg.cond(A) * np.linalg.cond(row_basis(A)[:, chosen]) * (1 + 1e-6)
    assert condition < 20 * np.linalg.cond(A)


def test_small_choices_are_close_to_the_best(rng):
    ratios = []
    for _ in range(40):
        A = rng.standard_normal((3, 9))
        best = min(growth(A, list(some)) for some in combinations(range(9), 3))
        ratios.append(growth(A, select_neurons(A)) / best)
    assert np.min(ratios) >= 1 - 1e-12
    assert np.median(ratios) < 1 + 1e-6 and np.max(ratios) < 1.3


@pytest.mark.parametrize("seed", range(6))
def test_no_single_swap_helps(seed):
    basis = row_basis(np.random.default_rng(seed).standard_normal((15, 60)))
    chosen = select_neurons(basis)
    reached = np.linalg.norm(np.linalg.inv(basis[:, chosen])) ** 2
    for place in range(15):
        for other in np.setdiff1d(np.arange(60), chosen):
            swapped = chosen.copy()
            swapped[place] = other
            assert np.linalg.norm(np.linalg.pinv(basis[:, swapped])) ** 2 >= reached * (1 - 1.1e-3)


@pytest.mark.parametrize("seed", range(8))
def test_each_further_neuron_is_the_best_one(seed):
    A = np.random.default_rng(seed).standard_normal((5, 16))
    chosen = select_neurons(A, 16).tolist()
    assert chosen[:5] == select_neurons(A).tolist()
    for count in range(5, 15):
        rest = np.setdiff1d(np.arange(16), chosen[:count])
        norms = [growth(A, [*chosen[:count], other]) for other in rest]
        assert rest[int(np.argmin(norms))] == chosen[count]


@pytest.mark.parametrize("condition", [1.0, 1e3, 1e6, 1e9, 1e12])
@pytest.mark.parametrize("shape", [(20, 60), (60, 20), (20, 20)])
def test_ill_conditioned_features_keep_their_rank(rng, matrix_with_condition, condition, shape):
    A = matrix_with_condition(*shape, condition)
    chosen = select_neurons(A)
    assert len(set(chosen.tolist())) == 20
    coef = np.linalg.lstsq(A[:, chosen], A @ rng.standard_normal(shape[1]), rcond=None)[0]
    assert np.isfinite(coef).all()
    assert growth(A, chosen) < 60
    assert np.linalg.cond(A[:, chosen]) < 60 * condition


@pytest.mark.parametrize("activation", ["relu", "erf", "exp"])
def test_training_predictions_are_kept(diabetes, activation):
    layer = layer_of(diabetes, 300, activation)
    A = layer(diabetes)
    predictions = A @ np.linalg.lstsq(A, np.sin(np.arange(100.0)), rcond=None)[0]
    pruned = layer.take(select_neurons(layer.operator(diabetes)))(diabetes)
    coef = np.linalg.solve(pruned, predictions)
    np.testing.assert_allclose(pruned @ coef, predictions, rtol=0, atol=1e-10)


@pytest.mark.parametrize("width", [None, 3, 7, 8, 12, 30])
def test_deficient_features(rng, width):
    """Rank 8; columns 3 and 4 are equal, 5 is zero, 6 is a multiple of 7."""
    A = rng.standard_normal((15, 8)) @ rng.standard_normal((8, 30))
    A[:, 4], A[:, 5], A[:, 6] = A[:, 3], 0.0, -2.0 * A[:, 7]
    chosen = select_neurons(A, width)
    count = {None: 8}.get(width, width)
    assert len(set(chosen.tolist())) == len(chosen) == count
    assert np.linalg.matrix_rank(A[:, chosen]) == min(count, 8)
    assert not {5} & set(chosen[:29].tolist())
    kept = set(chosen[:8].tolist())
    assert not {3, 4} <= kept and not {6, 7} <= kept


def test_below_the_rank_what_the_features_do_counts(diabetes):
    A = layer_of(diabetes, 300, "erf")(diabetes)
    chosen = select_neurons(A, 25)

    def lost(columns):
        basis = np.linalg.qr(A[:, columns])[0]
        return np.linalg.norm(A - basis @ (basis.T @ A))

    random = np.random.default_rng(0)
    assert lost(chosen) < min(lost(random.choice(300, 25, replace=False)) for _ in range(20))
    assert lost(chosen) < 3 * np.sqrt((np.linalg.svd(A, compute_uv=False)[25:] ** 2).sum())
    np.testing.assert_array_equal(select_neurons(A, 10), chosen[:10])


def test_features_of_rank_zero_or_one():
    assert select_neurons(np.zeros((3, 5))).tolist() == []
    assert select_neurons(np.zeros((3, 5)), 2).tolist() == [0, 1]
    assert select_neurons([[0.0, 2.0, -3.0]]).tolist() == [2]
    assert select_neurons([[0.0, 2.0, -3.0]], 3).tolist() == [2, 1, 0]
    assert select_neurons([[4], [5]]).tolist() == [0]
    assert select_neurons(np.ones((4, 6))).size == 1


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e200])
@pytest.mark.parametrize("width", [None, 3, 9])
def test_extreme_scales(size, width):
    A = np.random.default_rng(1).integers(-5, 6, (5, 12)).astype(float)
    np.testing.assert_array_equal(np.sort(select_neurons(size * A, width)), np.sort(select_neurons(A, width)))


@pytest.mark.parametrize("width", [None, 4, 15])
def test_every_form_gives_the_same_choice(rng, width):
    A = rng.standard_normal((10, 40))
    expected = select_neurons(A, width)
    for form in (np.asfortranarray(A), A.tolist(), sparse.csr_array(A), aslinearoperator(A)):
        np.testing.assert_array_equal(select_neurons(form, width), expected)
    single = A.astype(np.float32)
    np.testing.assert_array_equal(select_neurons(single, width), select_neurons(single.astype(np.float64), width))
    A.flags.writeable = False
    np.testing.assert_array_equal(select_neurons(A[:, ::-1], width), 39 - expected)


def test_the_number_of_threads_cannot_change_the_choice():
    """Rounding decides between neurons that are nearly alike, and it is that of a single thread."""
    X = np.random.default_rng(2).standard_normal((60, 2))
    seen = set()

    def activation(z):
        seen.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return np.tanh(z)

    choices = []
    for threads in (1, 3):
        with threadpool_limits(threads):
            choices.append(select_neurons(layer_of(X, 150, activation).operator(X)))
    np.testing.assert_array_equal(*choices)
    assert seen == {1}


@given(st.integers(1, 9), st.integers(1, 12), st.integers(0, 9), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_any_matrix_of_small_integers(n, m, inner, seed):
    rng = np.random.default_rng(seed)
    A = (rng.integers(-2, 3, (n, inner)) @ rng.integers(-1, 2, (inner, m))).astype(float)
    rank = np.linalg.matrix_rank(A)
    chosen = select_neurons(A)
    assert len(chosen) == rank
    # The oldest NumPy knows no rank of a matrix without columns.
    assert np.linalg.matrix_rank(np.hstack([A[:, chosen], np.zeros((n, 1))])) == rank
    for width in range(1, m + 1):
        chosen = select_neurons(A, width)
        assert len(set(chosen.tolist())) == width
        assert np.linalg.matrix_rank(A[:, chosen]) == min(width, rank)


@pytest.mark.parametrize(
    ("features", "width", "error", "message"),
    [
        (np.ones((2, 3)), 0, ValueError, r"width=0: pass an integer of 1 \.\.\. 3, or None for the numerical rank"),
        (np.ones((2, 3)), 4, ValueError, "width=4"),
        (np.ones((2, 3)), True, ValueError, "width=True"),
        (np.ones((2, 3)), 2.0, ValueError, r"width=2\.0"),
        ([[np.inf, 1.0]], None, ValueError, "features has 1 NaN or infinite entries"),
        (np.empty((3, 0)), None, ValueError, "at least one row and one column"),
        (np.ones(3), None, ValueError, "features has 1 dimensions"),
        (
            FeatureMap(np.ones((1, 10**6))).operator(np.zeros((10**5, 1))),
            None,
            MemoryError,
            "choosing among the columns of a 100000 x 1000000 matrix needs 4800000000000 bytes",
        ),
    ],
)
def test_choices_that_are_refused(features, width, error, message):
    with pytest.raises(error, match=message):
        select_neurons(features, width)
