"""Errors name the argument, the value and the remedy."""

import numpy as np
import pytest
from scipy.sparse import eye_array
from scipy.sparse.linalg import aslinearoperator

from underdetermined import _validation
from underdetermined._validation import (
    as_float,
    available_memory,
    check_finite,
    check_matrix,
    check_memory,
    check_number,
    check_sample_weight,
    check_symmetric,
    check_targets,
)


def test_memory_error_has_bytes_and_remedy():
    with pytest.raises(MemoryError, match=r"the Gram needs 1152921504606846976 bytes \(1073741824\.0 GiB\).*fewer rows"):
        check_memory(2**60, "the Gram")
    check_memory(1, "nothing")


def test_available_memory_is_positive():
    assert available_memory() > 2**20


@pytest.mark.parametrize("missing", ["meminfo", "both"])
def test_memory_without_proc(missing, monkeypatch, tmp_path):
    monkeypatch.setattr(_validation, "_MEMINFO", tmp_path / "absent")
    page = {"meminfo": lambda name: 1024, "both": lambda name: (_ for _ in ()).throw(ValueError(name))}[missing]
    monkeypatch.setattr(_validation.os, "sysconf", page, raising=False)
    assert available_memory() == {"meminfo": 1024**2, "both": None}[missing]
    with {"meminfo": pytest.raises(MemoryError, match="bytes"), "both": _nothing()}[missing]:
        check_memory(2**60, "x")


class _nothing:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


@pytest.mark.parametrize(
    ("matrix", "remedy"),
    [(eye_array(3, format="csr"), r"A\.toarray\(\)"), (aslinearoperator(np.eye(3)), r"A @ np\.eye\(A\.shape\[1\]\)")],
    ids=["sparse", "operator"],
)
def test_matrices_without_entries_are_named(matrix, remedy):
    with pytest.raises(TypeError, match=f"A is a {type(matrix).__name__}, which has no dense entries: pass {remedy}"):
        check_matrix(matrix, "A")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(bad):
    array = np.zeros((3, 4))
    array[1, 2] = bad
    with pytest.raises(ValueError, match=r"A has 1 NaN or infinite entries, the first is .* at index \(1, 2\): remove"):
        check_finite(array, "A")
    with pytest.raises(ValueError, match=r"at index 1"):
        check_finite(np.array([0.0, bad]), "y")


def test_sum_that_overflows_is_finite():
    check_finite(np.full(10, 1.7e308), "A")
    check_finite(np.full(10, 3e38, dtype=np.float32), "A")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_are_not_copied(dtype):
    array = np.ones((2, 3), dtype=dtype, order="F")
    assert check_matrix(array, "A") is array


def test_conversions():
    assert as_float([1, 2], "y").dtype == np.float64
    assert as_float(np.array([True]), "y").dtype == np.float64
    for bad in (np.array([1j]), np.array(["a"]), np.array([object()])):
        with pytest.raises(TypeError, match="y has dtype .*pass real numbers"):
            as_float(bad, "y")


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty_matrix(shape):
    with pytest.raises(ValueError, match=r"A has shape .*at least one row and one column"):
        check_matrix(np.zeros(shape), "A")


def test_matrix_dimensions():
    with pytest.raises(ValueError, match="A has 1 dimensions"):
        check_matrix(np.zeros(3), "A")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("place", [(0, 1), (1, 0), (3, 599), (599, 3), (300, 10)])
def test_symmetric(place, dtype):
    matrix = np.eye(600, dtype=dtype)
    assert check_symmetric(matrix, "K") is matrix
    matrix[place] = 300 * np.finfo(dtype).eps
    check_symmetric(matrix, "K")
    matrix[place] = 0.5
    low, high = sorted(place)
    with pytest.raises(ValueError, match=rf"K is not symmetric: its entries \({low}, {high}\) and .* differ by 0.5"):
        check_symmetric(matrix, "K")


def test_targets():
    assert check_targets([1, 2, 3], 3).shape == (3, 1)
    assert check_targets(np.ones((3, 2), dtype=np.float32), 3).dtype == np.float64
    with pytest.raises(ValueError, match="targets has 2 rows and the matrix has 3"):
        check_targets([1.0, 2.0], 3)
    with pytest.raises(ValueError, match=r"targets has shape \(3, 0\)"):
        check_targets(np.zeros((3, 0)), 3)
    with pytest.raises(ValueError, match=r"targets has shape \(1, 1, 3\)"):
        check_targets(np.zeros((1, 1, 3)), 3)
    with pytest.raises(ValueError, match="targets has 1 NaN"):
        check_targets([1.0, np.nan, 2.0], 3)


def test_sample_weight():
    np.testing.assert_array_equal(check_sample_weight([1, 0, 2], 3), [1.0, 0.0, 2.0])
    np.testing.assert_array_equal(check_sample_weight(2.0, 3), [2.0, 2.0, 2.0])
    wrong = {(1.0, -2.0, 1.0): "negative entry -2.0", (0, 0, 0): "zero for every row", (1, 2): r"shape \(2,\)"}
    for bad, message in wrong.items():
        with pytest.raises(ValueError, match=message):
            check_sample_weight(bad, 3)


@pytest.mark.parametrize("value", [-1.0, np.nan, np.inf, 1.0])
def test_number_out_of_range(value):
    with pytest.raises(ValueError, match=r"rcond=.* is out of range: pass a finite number in \[0, 1\)"):
        check_number(value, "rcond", high=1.0)


def test_number():
    assert check_number(0, "alpha") == 0.0
    assert check_number(np.float32(0.5), "alpha") == 0.5
    with pytest.raises(ValueError, match=r"\(0, 1\)"):
        check_number(0.0, "tol", high=1.0, low_open=True)
    for bad in ("1", None, True, 1j):
        with pytest.raises(TypeError, match="alpha=.* is not a number"):
            check_number(bad, "alpha")
