"""The two kernels that have positive random features, exactly."""

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.activations import get_activation
from underdetermined.blocks import run_tiles, slices

from ._functions import nngp_kernel

_LARGEST_EXPONENT = float(np.log(np.finfo(np.float64).max))
_ADVICE = "scale the inputs down (for example with StandardScaler) or lower weight_scale"
_ROW_ENTRIES = 2**16  # of a slab that is exponentiated while it is in cache


def gaussian_kernel(X: ArrayLike, Z: ArrayLike | None = None, *, weight_scale: float = 1.0) -> np.ndarray:
    """Gaussian kernel, ``K[i, j] = exp(-weight_scale^2 |x_i - z_j|^2 / 2)``.

    It is the mean of products of the positive features ``exp(<w, x> - t^2 |x|^2)`` with w ~ N(0, t^2 I), t = weight_scale.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric, with ones on its diagonal.
    weight_scale : float, default=1.0
        Standard deviation t of the weights, positive: the inverse of the length scale.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel, between 0 and 1.

    Raises
    ------
    TypeError
        If X or Z is sparse, or not made of real numbers.
    ValueError
        If X or Z is not a finite matrix, their widths differ, or the scale is out of range.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If the squared norm of a row overflows.

    Notes
    -----
    n n' d multiplications and as many exponentials as entries. Rows that are near each other are subtracted before they are
    squared, so that the error stays below 1e-12 however long they are. No sampling error: where n is some thousands, this
    is cheaper than features that are accurate.

    References
    ----------
    :ref:`theory-positive-features`.

    Examples
    --------
    >>> from underdetermined.kernels import gaussian_kernel
    >>> gaussian_kernel([[0.0], [1.0]], weight_scale=2.0).round(6)
    array([[1.      , 0.135335],
           [0.135335, 1.      ]])
    """
    # sin z + cos z has this kernel as well, and it has a compiled form.
    try:
        return nngp_kernel(X, Z, activation="sin_cos", weight_scale=weight_scale)
    except OverflowError:
        norm = max(_largest_norm(np.asarray(rows, dtype=np.float64)) for rows in (X, X if Z is None else Z))
        raise OverflowError(
            f"the squared distances of the Gaussian kernel overflow float64: weight_scale={weight_scale:g}, and the longest "
            f"row has norm {norm:.3g}; {_ADVICE}."
        ) from None


def softmax_kernel(X: ArrayLike, Z: ArrayLike | None = None, *, weight_scale: float = 1.0) -> np.ndarray:
    """Softmax kernel, ``K[i, j] = exp(weight_scale^2 <x_i, z_j>)``.

    It is the mean of products of the positive features ``exp(<w, x> - t^2 |x|^2 / 2)`` with w ~ N(0, t^2 I) and
    t = weight_scale. The weights of softmax attention are its rows over their sums.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    weight_scale : float, default=1.0
        Standard deviation t of the weights, positive.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError
        If X or Z is sparse, or not made of real numbers.
    ValueError
        If X or Z is not a finite matrix, their widths differ, or the scale is out of range.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If an entry overflows, or products of the longest rows do; the message has the numbers.

    Notes
    -----
    n n' d multiplications and as many exponentials as entries. The rounding of an exponent of size e is a relative error of
    about e times the machine epsilon.

    References
    ----------
    :ref:`theory-positive-features`.

    Examples
    --------
    >>> from underdetermined.kernels import softmax_kernel
    >>> softmax_kernel([[0.0], [1.0]], [[-1.0], [2.0]]).round(6)
    array([[1.      , 1.      ],
           [0.367879, 7.389056]])
    """
    scale = check_number(weight_scale, "weight_scale", low_open=True)
    left = np.array(check_matrix(X, "X"), dtype=np.float64, order="C")
    right = left if Z is None else np.array(check_matrix(Z, "Z"), dtype=np.float64, order="C")
    if left.shape[1] != right.shape[1]:
        raise ValueError(f"X has {left.shape[1]} columns and Z has {right.shape[1]}: they must have the same")
    check_memory(8 * len(left) * len(right), f"the {len(left)} x {len(right)} softmax kernel")
    with np.errstate(over="ignore"):
        left *= scale
        if Z is not None:
            right *= scale
    _refuse_products(left, right, scale)
    kernel = left @ right.T
    _refuse_exponents(kernel, left, right, scale)
    exponential = get_activation("exp").apply
    rows = slices(len(kernel), max(1, _ROW_ENTRIES // len(right)))
    run_tiles(lambda part: exponential(kernel[part]), rows)
    return kernel


def _refuse_products(left: np.ndarray, right: np.ndarray, scale: float) -> None:
    """Raise if products of entries may overflow: their sum may then be anything."""
    sizes = [_largest_norm(rows) for rows in (left, right)]
    if not np.isfinite(sizes[0] * sizes[1]):
        raise OverflowError(
            f"the softmax kernel overflows float64: weight_scale={scale:g}, and the longest rows of X and Z have norms of "
            f"{sizes[0] / scale:.3g} and {sizes[1] / scale:.3g}; {_ADVICE}."
        )


def _refuse_exponents(exponents: np.ndarray, left: np.ndarray, right: np.ndarray, scale: float) -> None:
    """Raise for the largest exponent if its exponential overflows."""
    i, j = (int(index) for index in np.unravel_index(exponents.argmax(), exponents.shape))
    if exponents[i, j] > _LARGEST_EXPONENT:
        norms = [_largest_norm(rows) / scale for rows in (left[[i]], right[[j]])]
        raise OverflowError(
            f"the softmax kernel overflows float64: weight_scale**2 <x, z> is {exponents[i, j]:.5g} > "
            f"{_LARGEST_EXPONENT:.5g} for row {i} of X and row {j} of Z, of norms {norms[0]:.3g} and {norms[1]:.3g}; "
            f"{_ADVICE}."
        )


def _largest_norm(rows: np.ndarray) -> float:
    """Largest Euclidean norm of a row, whose square may overflow."""
    peak = float(np.abs(rows).max())
    return peak * float(np.linalg.norm(rows / peak, axis=1).max()) if 0.0 < peak < np.inf else peak
