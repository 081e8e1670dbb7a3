"""Measured spectra of random networks, against features drawn anew for every width and seed."""

import json

import numpy as np
import pytest
from width_oracle import features, gram_eigenvalues, numerical_rank, training_residual

from underdetermined.attainability import attainable_rank
from underdetermined.empirical_width import measure_widths
from underdetermined.kernels import nngp_kernel

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

# A sum over neurons of twelve rows is cut at multiples of 2048.
WIDTHS = [1, 5, 12, 13, 300, 2047, 2048, 2049, 5000]


def rows(kind, rng):
    """Twelve rows: in general position, with copies, with antipodal pairs, or on a line."""
    X = rng.standard_normal((12, 3))
    X[6:] = {"generic": X[6:], "copies": X[:6], "antipodal": -X[:6], "line": X[6:]}[kind]
    return X[:, :1] if kind == "line" else X


@pytest.mark.parametrize(
    ("kind", "activation", "bias_scale", "weight_scale"),
    [
        ("generic", "relu", 1.0, "auto"),
        ("generic", "sin_cos", 0.5, 2.0),
        ("generic", "exp", 1.0, "auto"),
        ("copies", "gelu", 1.0, "auto"),
        ("antipodal", "relu", 0.0, 1.5),
        ("antipodal", "erf", 0.0, "auto"),
        ("line", "abs", 1.0, "auto"),
    ],
)
def test_against_fresh_features(kind, activation, bias_scale, weight_scale, rng):
    X, targets = rows(kind, rng), rng.standard_normal((12, 2))
    scales = {"weight_scale": weight_scale, "bias_scale": bias_scale}
    found = measure_widths(X, WIDTHS, activation=activation, targets=targets, n_seeds=3, seed=4, **scales)
    attainability = attainable_rank(X, activation=activation, bias=bias_scale > 0)
    rank, left = attainability.rank, attainability.unattainable_part(targets)
    scale = found.weight_scale
    limits = np.linalg.eigvalsh(nngp_kernel(X, activation=activation, weight_scale=scale, bias_scale=bias_scale))[::-1]
    assert found.attainable_rank == rank
    assert found.kernel_smallest == pytest.approx(limits[rank - 1], rel=1e-6)
    assert found.kernel_condition == pytest.approx(limits[0] / limits[rank - 1], rel=1e-6)
    for place, width in enumerate(WIDTHS):
        for index in range(3):
            A = features(X, activation, width, 4, index, weight_scale=scale, bias_scale=bias_scale)
            values = gram_eigenvalues(A, rank)
            full = numerical_rank(A) == rank
            assert found.rank[place, index] == numerical_rank(A)
            assert found.smallest[place, index] == pytest.approx(full * values[-1] / found.kernel_smallest, rel=1e-4, abs=0)
            assert found.condition[place, index] == pytest.approx(values[0] / values[-1] if full else np.inf, rel=1e-4)
            expected = training_residual(A, targets - left) * np.linalg.norm(targets - left) / np.linalg.norm(targets)
            assert found.residual[place, index] == pytest.approx(expected, rel=1e-6, abs=1e-11)


def test_limit_of_wide_networks(rng):
    X = rng.standard_normal((6, 3))
    found = measure_widths(X, [40000], activation="sin_cos", n_seeds=4)
    assert np.abs(found.smallest - 1.0).max() < 0.1
    assert found.condition[0] == pytest.approx(found.kernel_condition, rel=0.1)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_result_depends_neither_on_threads_nor_on_layout(n_jobs, rng):
    X = rng.standard_normal((20, 4))
    first = measure_widths(X, [10, 300, 900], targets=X[:, 0], n_seeds=5)
    second = measure_widths(np.asfortranarray(X), [900, 300, 10, 300], targets=X[:, 0], n_seeds=5, n_jobs=n_jobs)
    for name in ("widths", "rank", "smallest", "condition", "residual"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_more_seeds_and_widths_extend_a_measurement(rng):
    X = rng.standard_normal((9, 2))
    small = measure_widths(X, [9, 600], n_seeds=2)
    large = measure_widths(X, [3, 9, 500, 600], n_seeds=4)
    np.testing.assert_array_equal(small.smallest, large.smallest[[1, 3], :2])


def test_experiments_of_neighbouring_seeds_share_no_network(rng):
    X = rng.standard_normal((5, 2))
    values = np.concatenate([measure_widths(X, [50], n_seeds=6, seed=seed).smallest.ravel() for seed in range(3)])
    assert np.unique(values).size == values.size


def test_unresolved_kernel():
    X = np.linspace(0.0, 1.0, 30)[:, np.newaxis]
    found = measure_widths(X, [30, 200], activation="exp", n_seeds=2)
    assert np.isnan(found.kernel_smallest)
    assert np.isnan(found.smallest).all()
    assert np.isinf(found.condition).all()
    assert (found.rank < 30).all()
    assert json.loads(json.dumps(found.to_dict()))["smallest"] == [[None, None], [None, None]]


def test_nothing_can_be_attained():
    found = measure_widths(np.zeros((3, 2)), [4], bias_scale=0.0, n_seeds=2)
    assert found.attainable_rank == 0
    assert (found.rank == 0).all()


def test_scales_from_tiny_to_huge(rng):
    X = rng.standard_normal((8, 3))
    plain = measure_widths(X, [20, 300], weight_scale=1.0, bias_scale=0.0, n_seeds=2)
    for factor in (2.0**-200, 2.0**200):
        scaled = measure_widths(X * factor, [20, 300], weight_scale=1.0, bias_scale=0.0, n_seeds=2)
        np.testing.assert_allclose(scaled.condition, plain.condition, rtol=1e-8)
        np.testing.assert_array_equal(scaled.rank, plain.rank)


def test_integers_float32_and_one_row():
    integers = np.array([[1, 2], [3, 5], [-2, 4]])
    first, second = (measure_widths(X, [7], n_seeds=2) for X in (integers, integers.astype(np.float32)))
    np.testing.assert_array_equal(first.smallest, second.smallest)
    one = measure_widths([[2.0, 1.0]], [1, 2], n_seeds=2)
    assert one.widths.tolist() == [1, 2]
    assert (one.condition[one.rank == 1] == 1.0).all()


def test_progress_and_representation(rng):
    lines = []
    found = measure_widths(rng.standard_normal((4, 2)), [3, 5], n_seeds=3, progress=lines.append)
    assert lines[-1] == "network 3 of 3 measured at 2 widths"
    assert repr(found).startswith("WidthMeasurement(activation='relu', n_rows=4, attainable_rank=4, 2 widths from 3 to 5")
    assert set(found.to_dict()) == set(vars(found))
    assert found.to_dict()["residual"] is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"widths": []}, ValueError, "widths is empty"),
        ({"widths": [3, 0]}, ValueError, "widths=0"),
        ({"widths": [2.5]}, TypeError, "widths=2.5"),
        ({"n_seeds": 0}, ValueError, "n_seeds=0"),
        ({"n_seeds": True}, TypeError, "n_seeds=True"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"targets": [0.0, 0.0]}, ValueError, "targets are all zero"),
        ({"targets": [1.0, np.nan]}, ValueError, "targets"),
        ({"targets": [1.0]}, ValueError, "targets"),
        ({"X": [[np.nan]]}, ValueError, "X has"),
        ({"X": np.empty((0, 2))}, ValueError, "X has shape"),
        ({"X": [[1e200], [2.0]], "activation": "exp"}, OverflowError, "overflows"),
        ({"activation": "no such"}, ValueError, "no such"),
        ({"n_jobs": 0}, ValueError, "n_jobs=0"),
    ],
)
def test_errors_name_argument_and_value(arguments, error, message):
    with pytest.raises(error, match=message):
        measure_widths(**({"X": [[1.0], [2.0]], "widths": [3]} | arguments))


def test_too_much_memory_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr("underdetermined._validation.available_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match="bytes"):
        measure_widths(np.eye(9), [3])


def test_eigenvalues_that_the_gram_matrix_does_not_resolve():
    X = np.linspace(-1.0, 1.0, 6)[:, np.newaxis]
    found = measure_widths(X, [6, 8], activation="exp", n_seeds=40)
    assert (found.rank == 6).all()
    assert found.condition[1].max() > 1e13
    for place, width in enumerate([6, 8]):
        last = [gram_eigenvalues(features(X, "exp", width, 0, index), 6)[-1] for index in range(40)]
        np.testing.assert_allclose(found.smallest[place] * found.kernel_smallest, last, rtol=1e-3)
