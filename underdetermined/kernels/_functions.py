"""The functions of `underdetermined.kernels`."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from underdetermined.activations import Activation

from ._problem import Problem

_KINDS = ("nngp", "ntk")

Callback = Callable[[np.ndarray], np.ndarray]


def nngp_kernel(
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    activation: str | Activation | Callback = "relu",
    weight_scale: float = 1.0,
    bias_scale: float = 0.0,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Kernel of infinitely many random features, ``K[i, j] = E[f(<w, x_i> + b) f(<w, z_j> + b)]``.

    w has independent entries of law N(0, weight_scale**2) and b has law N(0, bias_scale**2). It is the mean of the Gram
    matrix of random features with ``scale=1/sqrt(width)``, and the limit of that matrix as the width grows.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    activation : str, callable or Activation, default="relu"
        f, as `get_activation` takes it.
    weight_scale : float, default=1.0
        Standard deviation of the hidden weights, positive.
    bias_scale : float, default=0.0
        Standard deviation of the biases, at least 0; 0 means no biases.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError
        If X or Z is sparse, or not made of real numbers.
    ValueError
        If X or Z is not a finite matrix, their widths differ, an option is out of range, or a user's activation cannot be
        integrated to double precision.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If a diagonal entry overflows; the message names the row and its norm.

    Notes
    -----
    The error is below 1e-12 ``sqrt(K(x, x) K(z, z))``, also for nearly parallel and antipodal rows and for tiny and huge
    norms. The diagonal of a symmetric kernel comes from a formula of its own.

    Closed forms serve identity, relu, leaky_relu, abs, step, squared_relu, erf, gelu, gaussian, sin, cos, sin_cos and exp:
    the products ``X @ Z.T``, n n' d multiplications, and a few nanoseconds per entry. All others take Mehler's expansion,
    with as many terms as its error bound asks for at each entry, 0.1 to 2 microseconds; rows that need the longest hold
    16 KiB of coefficients. What is left, correlations beyond 0.98 at kinks or at norms above about 5, takes a quadrature per
    entry: 30 to 90 microseconds for elu and shifted_relu; for the others 0.05 to 0.2 milliseconds where dozens of entries of
    a block share a table of inner integrals, which takes 5 to 60 milliseconds and a few MB at most. Without a table it is
    some tenths of a millisecond for a callable with kinks and 2 to 7 milliseconds for steep functions such as tanh at norms
    of 100 to 1e6. Undeclared kinks of a callable are searched.

    References
    ----------
    .. [1] Y. Cho and L. Saul, "Kernel methods for deep learning", NeurIPS 2009.
    .. [2] C. Williams, "Computing with infinite networks", NeurIPS 1996.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import nngp_kernel
    >>> X = np.array([[1.0, 0.0], [-1.0, 0.0]])
    >>> nngp_kernel(X, activation="tanh").round(6)
    array([[ 0.394294, -0.394294],
           [-0.394294,  0.394294]])
    >>> nngp_kernel(X, np.ones((1, 2)), activation=np.tanh).round(6)
    array([[ 0.302825],
           [-0.302825]])
    """
    return Problem(X, Z, activation, "nngp", weight_scale, bias_scale).matrix(n_jobs)


def ntk_kernel(
    X: ArrayLike,
    Z: ArrayLike | None = None,
    *,
    activation: str | Activation | Callback = "relu",
    weight_scale: float = 1.0,
    bias_scale: float = 0.0,
    coef_scale: float = 1.0,
    trained_biases: bool | None = None,
    n_jobs: int | None = None,
) -> np.ndarray:
    """Tangent kernel of an infinitely wide two-layer network, ``K[i, j] + c**2 (<x_i, z_j> + 1[trained_biases]) K'[i, j]``.

    K is the `nngp_kernel` and K' the same expectation with f' in the place of f. The network is
    ``sum_j a_j f(<w_j, x> + b_j) / sqrt(width)`` with a_j of standard deviation c = `coef_scale`; both layers are trained.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows; float32 is accepted and everything is computed in float64.
    Z : array_like of shape (n', d) or None, default=None
        Other rows; None means X, and then the result is exactly symmetric.
    activation : str, callable or Activation, default="relu"
        f, as `get_activation` takes it. A callable needs its derivative:
        ``Activation(name, function=f, function_derivative=df)``.
    weight_scale : float, default=1.0
        Standard deviation of the hidden weights, positive.
    bias_scale : float, default=0.0
        Standard deviation of the biases, at least 0; 0 means that they begin at zero, if they are trained.
    coef_scale : float, default=1.0
        Standard deviation c of the last layer, at least 0: the weight of the hidden layer in the kernel.
    trained_biases : bool or None, default=None
        Whether the biases are trained; None means if `bias_scale` is positive.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores.

    Returns
    -------
    ndarray of shape (n, n'), float64
        The kernel.

    Raises
    ------
    TypeError
        If X or Z is sparse, or not made of real numbers, or `trained_biases` is not a truth value.
    ValueError
        If X or Z is not a finite matrix, their widths differ, an option is out of range, or a user's activation has no
        derivative or cannot be integrated to double precision.
    MemoryError
        If the kernel cannot fit in memory.
    OverflowError
        If a diagonal entry overflows; the message names the row and its norm.

    Notes
    -----
    Cost and accuracy as for `nngp_kernel`, K and K' each with an error below 1e-12 of the geometric mean of their own
    diagonal entries. Without closed form, or with one of the last two options, the cost is twice that of `nngp_kernel`. The
    derivative of ``step`` vanishes almost everywhere, so its tangent kernel is K. A row of zeros counts as being at random
    on one side of a kink at 0; without trained biases that does not matter.

    References
    ----------
    :ref:`theory-joint-training` for `coef_scale`.

    .. [1] A. Jacot, F. Gabriel and C. Hongler, "Neural tangent kernel: convergence and generalization in neural networks",
       NeurIPS 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import ntk_kernel
    >>> ntk_kernel(np.array([[1.0, 0.0], [0.0, 1.0]]), activation="relu").round(4)
    array([[1.    , 0.1592],
           [0.1592, 1.    ]])
    """
    return Problem(X, Z, activation, "ntk", weight_scale, bias_scale, coef_scale, trained_biases).matrix(n_jobs)


def kernel_diagonal(
    X: ArrayLike,
    *,
    activation: str | Activation | Callback = "relu",
    kind: str = "nngp",
    weight_scale: float = 1.0,
    bias_scale: float = 0.0,
    coef_scale: float = 1.0,
    trained_biases: bool | None = None,
) -> np.ndarray:
    """Diagonal of a symmetric kernel: ``E f(u)**2``, for the NTK plus ``c**2 (|x|**2 + 1[trained_biases]) E f'(u)**2``.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows.
    activation : str, callable or Activation, default="relu"
        f, as `get_activation` takes it.
    kind : {"nngp", "ntk"}, default="nngp"
        Which kernel.
    weight_scale : float, default=1.0
        Standard deviation of the hidden weights, positive.
    bias_scale : float, default=0.0
        Standard deviation of the biases, at least 0.
    coef_scale : float, default=1.0
        Standard deviation c of the last layer, at least 0; for the NTK.
    trained_biases : bool or None, default=None
        Whether the biases are trained; None means if `bias_scale` is positive. For the NTK.

    Returns
    -------
    ndarray of shape (n,), float64
        The diagonal, bit for bit that of `nngp_kernel` or `ntk_kernel` of X.

    Raises
    ------
    ValueError
        If `kind` is neither, or as in `ntk_kernel`.
    OverflowError
        If an entry overflows.

    Notes
    -----
    Cost O(n d); closed forms or, for the other activations, one quadrature per row.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.kernels import kernel_diagonal
    >>> kernel_diagonal(np.array([[3.0, 4.0]]), activation="relu", kind="ntk")
    array([25.])
    """
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} is unknown: pass one of {', '.join(map(repr, _KINDS))}")
    return Problem(X, None, activation, kind, weight_scale, bias_scale, coef_scale, trained_biases).diagonal()
