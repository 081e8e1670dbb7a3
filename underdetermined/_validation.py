"""Checks of arrays, shapes, options and memory, with one wording for all errors.

Every message names the argument, the value found and the remedy.
"""

from __future__ import annotations

import os
import re
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.floating[Any]]

_MEMINFO = Path("/proc/meminfo")
_BLOCK = 256


def available_memory() -> int | None:
    """Bytes of memory that can be allocated now without swapping.

    Returns
    -------
    int or None
        ``MemAvailable`` of the kernel where there is one, else the free physical pages that the C library reports, else
        None: unknown.
    """
    try:
        match = re.search(r"^MemAvailable:\s+(\d+) kB", _MEMINFO.read_text(), re.MULTILINE)
        if match is not None:
            return 1024 * int(match.group(1))
    except OSError:
        pass
    try:
        # Not every system knows these names: AttributeError on Windows, ValueError on macOS.
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def check_memory(n_bytes: int, what: str) -> None:
    """Refuse an allocation that cannot fit, before it is attempted.

    Parameters
    ----------
    n_bytes : int
        Size of the allocation.
    what : str
        What the memory is for; the beginning of the message, such as ``"the 3000 x 3000 Gram matrix"``.

    Raises
    ------
    MemoryError
        If `n_bytes` exceeds the memory available now. Nothing is raised where that is unknown.
    """
    available = available_memory()
    if available is not None and n_bytes > available:
        raise MemoryError(
            f"{what} needs {n_bytes} bytes ({n_bytes / 2**30:.1f} GiB) and only {available} bytes "
            f"({available / 2**30:.1f} GiB) are available: use fewer rows or a smaller width, or an operator "
            "instead of the matrix, which the solvers 'lsmr' and 'cg' take"
        )


def check_finite(array: FloatArray, name: str) -> None:
    """Raise if an array holds NaN or infinite entries.

    Parameters
    ----------
    array : ndarray of any shape
        Array to look at; it is read once and nothing is allocated in the good case.
    name : str
        Name of the argument in the message.

    Raises
    ------
    ValueError
        Naming the first offending position and the number of offending entries.
    """
    # A sum is finite only if every entry is; the slow path also settles sums of finite entries that overflow.
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum(dtype=array.dtype)
    if np.isfinite(total):
        return
    bad = ~np.isfinite(array)
    count = int(np.count_nonzero(bad))
    if count == 0:
        return
    first = tuple(int(i) for i in np.argwhere(bad)[0])
    position = first[0] if len(first) == 1 else first
    raise ValueError(
        f"{name} has {count} NaN or infinite entries, the first is {array[first]} at index {position}: "
        "remove or impute them, or reduce the scale that made them overflow"
    )


def as_float(array: ArrayLike, name: str) -> FloatArray:
    """View or convert to a real floating-point array; float32 and float64 are kept, everything else becomes float64.

    Parameters
    ----------
    array : array_like
        Numbers; never written to.
    name : str
        Name of the argument in the message.

    Returns
    -------
    ndarray
        The same array where no conversion is needed.

    Raises
    ------
    TypeError
        If the entries are complex or not numbers.
    """
    result = np.asarray(array)
    if result.dtype == np.float64 or result.dtype == np.float32:
        return result
    if result.dtype.kind == "O" and hasattr(array, "shape") and result.shape != array.shape:
        kind = type(array).__name__
        remedy = f"{name}.toarray()" if hasattr(array, "toarray") else f"{name} @ np.eye({name}.shape[1])"
        raise TypeError(f"{name} is a {kind}, which has no dense entries: pass {remedy} if that fits in memory")
    if result.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {result.dtype}: pass real numbers (float64 or float32)")
    return result.astype(np.float64)


def check_matrix(matrix: ArrayLike, name: str) -> FloatArray:
    """Check that an argument is a finite, non-empty matrix of real numbers.

    Parameters
    ----------
    matrix : array_like of shape (n, m)
        Matrix to check; never copied when it is a float32 or float64 array already.
    name : str
        Name of the argument in the message.

    Returns
    -------
    ndarray of shape (n, m), float64 or float32

    Raises
    ------
    ValueError
        If it is not two-dimensional, is empty, or has NaN or infinite entries.
    """
    result = as_float(matrix, name)
    if result.ndim != 2:
        raise ValueError(f"{name} has {result.ndim} dimensions: pass a matrix of shape (n, m)")
    check_shape(result.shape, name)
    check_finite(result, name)
    return result


def check_symmetric(matrix: ArrayLike, name: str) -> FloatArray:
    """Check that an argument is a finite square matrix, symmetric up to n times the rounding of its own precision.

    Parameters
    ----------
    matrix : array_like of shape (n, n)
        Matrix to check; never copied when it is a float32 or float64 array already.
    name : str
        Name of the argument in the message.

    Returns
    -------
    ndarray of shape (n, n), float64 or float32

    Raises
    ------
    ValueError
        If it is not square, not finite or not symmetric; then the message has the largest difference and its place.
    """
    result = check_matrix(matrix, name)
    n = result.shape[0]
    if result.shape != (n, n):
        raise ValueError(f"{name} has shape {result.shape}: pass a square symmetric matrix")
    worst, place = 0.0, (0, 0)
    size = max(float(result.max()), -float(result.min()))
    # Square blocks: both they and their mirror images fit the cache.
    starts = range(0, n, _BLOCK)
    for top, left in ((top, left) for top in starts for left in starts if left >= top):
        rows, columns = slice(top, top + _BLOCK), slice(left, left + _BLOCK)
        with np.errstate(over="ignore"):
            difference = np.abs(result[rows, columns] - result[columns, rows].T)
        largest = float(difference.max())
        if largest > worst:
            row, column = np.unravel_index(int(difference.argmax()), difference.shape)
            worst, place = largest, (top + int(row), left + int(column))
    if worst > n * float(np.finfo(result.dtype).eps) * size:
        raise ValueError(
            f"{name} is not symmetric: its entries {place} and {place[::-1]} differ by {worst:.3g}, beside a largest one of "
            f"{size:.3g}; pass a symmetric matrix, such as ({name} + {name}.T) / 2 if that is what is meant"
        )
    return result


def check_shape(shape: tuple[int, ...], name: str) -> None:
    """Refuse a matrix without rows or without columns.

    Parameters
    ----------
    shape : tuple of two int
        Shape of the matrix.
    name : str
        Name of the argument in the message.

    Raises
    ------
    ValueError
        If either size is zero.
    """
    if len(shape) != 2 or min(shape) == 0:
        raise ValueError(f"{name} has shape {tuple(shape)}: at least one row and one column are needed")


def check_targets(targets: ArrayLike, n_rows: int, name: str = "targets") -> NDArray[np.float64]:
    """Targets as a finite float64 array of shape (n, k).

    Parameters
    ----------
    targets : array_like of shape (n,) or (n, k)
        One or several right-hand sides.
    n_rows : int
        Rows that the matrix has.
    name : str, default="targets"
        Name of the argument in the message.

    Returns
    -------
    ndarray of shape (n, k)

    Raises
    ------
    ValueError
        If the shape does not fit or an entry is not finite.
    """
    result = as_float(targets, name)
    if result.ndim == 1:
        result = result[:, np.newaxis]
    if result.ndim != 2 or result.shape[1] == 0:
        raise ValueError(f"{name} has shape {np.shape(targets)}: pass (n,) or (n, k) with k >= 1")
    if result.shape[0] != n_rows:
        raise ValueError(f"{name} has {result.shape[0]} rows and the matrix has {n_rows}: pass one target per row")
    check_finite(result, name)
    return np.asarray(result, dtype=np.float64)


def check_sample_weight(weight: ArrayLike, n_rows: int, name: str = "sample_weight") -> NDArray[np.float64]:
    """Weights of the rows as a finite, non-negative float64 vector that is not all zero.

    Parameters
    ----------
    weight : array_like of shape (n,) or a number
        One weight per row, or one for all rows.
    n_rows : int
        Rows that the matrix has.
    name : str, default="sample_weight"
        Name of the argument in the message.

    Returns
    -------
    ndarray of shape (n,)

    Raises
    ------
    ValueError
        If the shape does not fit, a weight is negative or not finite, or all weights are zero.
    """
    result = np.asarray(as_float(weight, name), dtype=np.float64)
    if result.ndim == 0:
        result = np.full(n_rows, result)
    if result.shape != (n_rows,):
        raise ValueError(f"{name} has shape {result.shape}: pass one weight per row, shape ({n_rows},)")
    check_finite(result, name)
    if result.min(initial=0.0) < 0.0:
        raise ValueError(f"{name} has the negative entry {result.min()}: weights must be >= 0")
    if not result.any():
        raise ValueError(f"{name} is zero for every row: at least one weight must be positive")
    return result


def check_number(value: Any, name: str, *, low: float = 0.0, high: float = np.inf, low_open: bool = False) -> float:
    """Check that an option is a finite real number in [low, high), or in (low, high) if `low_open`.

    Parameters
    ----------
    value : object
        Option to check.
    name : str
        Name of the argument in the message.
    low, high : float
        Range of the option.
    low_open : bool, default=False
        Whether `low` itself is refused.

    Returns
    -------
    float

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is out of range or not finite.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}={value!r} is not a number: pass a real number")
    number = float(value)
    too_low = number <= low if low_open else number < low
    if not np.isfinite(number) or too_low or number >= high:
        bracket = "(" if low_open else "["
        raise ValueError(f"{name}={value!r} is out of range: pass a finite number in {bracket}{low:g}, {high:g})")
    return number


def check_count(value: Any, name: str, *, low: int = 1) -> int:
    """Check that an option is an integer of at least `low`.

    Parameters
    ----------
    value : object
        Option to check.
    name : str
        Name of the argument in the message.
    low : int, default=1
        Smallest value.

    Returns
    -------
    int

    Raises
    ------
    TypeError
        If it is not an integer.
    ValueError
        If it is smaller than `low`.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name}={value!r} is not an integer: pass an integer of at least {low}")
    if value < low:
        raise ValueError(f"{name}={value!r} is out of range: pass an integer of at least {low}")
    return int(value)


def check_no_row_shift(row_shift: float, what: str) -> None:
    """Refuse a feature map with a row shift, where the formulas know nothing of one.

    Parameters
    ----------
    row_shift : float
        ``FeatureMap.row_shift``.
    what : str
        Who refuses it, the beginning of the message.

    Raises
    ------
    ValueError
        If it is not 0.
    """
    if row_shift:
        raise ValueError(f"{what} takes no row shift, and the feature map has row_shift={row_shift:g}: pass one with 0")
