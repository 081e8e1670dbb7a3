"""Checks of the arguments of softmax-ReLU objectives."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from underdetermined._validation import as_float, check_finite, check_matrix, check_number, check_shape
from underdetermined.objectives._softmax_relu_terms import LOSSES

FloatArray = NDArray[np.float64]

# How far the sum of a distribution may be from 1: far above the rounding of its entries, far below any mistake.
_SUM_TOLERANCE = {"float64": 1e-8, "float32": 1e-5}


def check_loss(loss: Any) -> str:
    """Check the name of the loss.

    Parameters
    ----------
    loss : object
        Option to check.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If it is neither "squared" nor "kl".
    """
    if loss not in LOSSES:
        raise ValueError(f"loss={loss!r} is unknown: pass {' or '.join(map(repr, LOSSES))}")
    return str(loss)


def check_hidden_matrix(matrix: Any, name: str) -> Any:
    """Check the matrix of the hidden layer.

    Parameters
    ----------
    matrix : array_like or sparse matrix of shape (n, d)
        Matrix to check.
    name : str
        Name of the argument in the message.

    Returns
    -------
    ndarray in C order or scipy.sparse.csr_array, float64

    Raises
    ------
    TypeError, ValueError
        If it is not a finite, non-empty real matrix.
    """
    if not sparse.issparse(matrix):
        return np.ascontiguousarray(check_matrix(matrix, name), dtype=np.float64)
    check_shape(matrix.shape, name)
    if matrix.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {matrix.dtype}: pass real numbers (float64 or float32)")
    result = sparse.csr_array(matrix, dtype=np.float64)
    if not result.has_canonical_format:
        result = result.copy()
        result.sum_duplicates()
    check_finite(result.data, name)
    return result


def check_output_matrix(matrix: Any, n_hidden: int, name: str, other: str) -> FloatArray:
    """Check the dense matrix of the output layer.

    Parameters
    ----------
    matrix : array_like of shape (m, n)
        Matrix to check.
    n_hidden : int
        n.
    name : str
        Name of the argument in the message.
    other : str
        What has n rows, in the message.

    Returns
    -------
    ndarray of shape (m, n), C order

    Raises
    ------
    TypeError, ValueError
        If it is sparse, not finite, empty, or does not have n columns.
    """
    result = np.ascontiguousarray(check_matrix(matrix, name), dtype=np.float64)
    if result.shape[1] != n_hidden:
        raise ValueError(f"{name} has {result.shape[1]} columns and {other}: pass one column for each hidden unit")
    return result


def check_distributions(targets: ArrayLike, n_outputs: int, loss: str, name: str, axis: int = 0) -> FloatArray:
    """Check the targets: finite, and for "kl" non-negative with sum 1, which is then made exact.

    Parameters
    ----------
    targets : array_like of shape (m,), (m, N), or (N, m) with axis 1
        b.
    n_outputs : int
        m.
    loss : {"squared", "kl"}
        Which loss.
    name : str
        Name of the argument in the message.
    axis : {0, 1}, default=0
        Along which a distribution lies.

    Returns
    -------
    ndarray of the same shape
        A new array in C order.

    Raises
    ------
    TypeError, ValueError
        If the shape does not fit, an entry is not finite, or a distribution is none.
    """
    given = as_float(targets, name)
    if given.ndim not in (1 + axis, 2) or given.size == 0 or given.shape[axis] != n_outputs:
        raise ValueError(
            f"{name} has shape {given.shape}: its axis {axis} must have one entry for each of {n_outputs} outputs, and no "
            "axis may be empty"
        )
    check_finite(given, name)
    tolerance = _SUM_TOLERANCE[given.dtype.name]
    result: FloatArray = np.array(given, dtype=np.float64, order="C")
    if loss != "kl":
        return result
    if result.min() < 0.0:
        raise ValueError(f"{name} has the negative entry {result.min()}: loss='kl' takes shares, which are >= 0")
    with np.errstate(over="ignore"):
        sums = result.sum(axis=axis, keepdims=True)
    off = np.abs(sums - 1.0)
    if not off.max() <= tolerance:
        worst = sums.flat[int(off.argmax())]
        divided = f"{name} / {name}.sum()" if result.ndim == 1 else f"{name} / {name}.sum(axis={axis}, keepdims=True)"
        raise ValueError(f"{name} sums to {worst:.17g}: loss='kl' takes shares that sum to 1; pass {divided}")
    result /= sums
    return result


def check_unit_weights(weights: Any, n_hidden: int) -> FloatArray | None:
    """Check the weights of the pre-activations in the penalty.

    Parameters
    ----------
    weights : array_like of shape (n,), a number or None
        w; its signs have no meaning.
    n_hidden : int
        n.

    Returns
    -------
    ndarray of shape (n,) or None

    Raises
    ------
    TypeError, ValueError
        If the shape does not fit or an entry, or its square, is not finite.
    """
    if weights is None:
        return None
    result: FloatArray = np.array(as_float(weights, "weights"), dtype=np.float64)
    if result.ndim == 0:
        result = np.full(n_hidden, float(result))
    if result.shape != (n_hidden,):
        raise ValueError(f"weights has shape {result.shape}: pass a number or one for each hidden unit, shape ({n_hidden},)")
    with np.errstate(over="ignore"):
        check_finite(result, "weights")
        check_finite(result * result, "weights ** 2")
    return result


def check_smoothing(smoothing: Any) -> float:
    """Check the smoothing of one problem.

    Parameters
    ----------
    smoothing : object
        mu.

    Returns
    -------
    float

    Raises
    ------
    TypeError, ValueError
        If it is not a finite number >= 0.
    """
    return check_number(smoothing, "smoothing")


def check_active(active: Any, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    """Check a mask of hidden units.

    Parameters
    ----------
    active : array_like of bool or None
        The mask.
    shape : tuple of int
        Shape that it must have.

    Returns
    -------
    ndarray of bool or None

    Raises
    ------
    TypeError, ValueError
        If it is not of type bool or not of this shape.
    """
    if active is None:
        return None
    mask = np.asarray(active)
    if mask.dtype != np.bool_:
        raise TypeError(f"active has dtype {mask.dtype}: pass a mask of type bool")
    if mask.shape != shape:
        raise ValueError(f"active has shape {mask.shape}: pass one entry for each hidden unit, shape {shape}")
    return mask


def check_vector(vector: ArrayLike, shape: tuple[int, ...], name: str) -> FloatArray:
    """Check the shape of parameters; their entries may be anything, as an optimiser may have overflowed.

    Parameters
    ----------
    vector : array_like
        Parameters.
    shape : tuple of int
        Shape that they must have.
    name : str
        Name of the argument in the message.

    Returns
    -------
    ndarray of this shape

    Raises
    ------
    ValueError
        If the shape is another one.
    """
    result: FloatArray = np.asarray(vector, dtype=np.float64)
    if result.shape != shape:
        raise ValueError(f"{name} has shape {result.shape}: pass {shape}")
    return result
