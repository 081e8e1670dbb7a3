"""One activation: what it computes, and the facts about it that the theory asks for."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy as np

from underdetermined._hermite import CLOSED_FORMS, quadrature
from underdetermined._kernels import DERIVATIVE, PAIR, VALUE

_PARAMETER_COUNT = {"leaky_relu": 1, "shifted_relu": 1, "hermite": 1}
_FLOATS = (np.dtype(np.float64), np.dtype(np.float32))


@dataclass(frozen=True)
class Activation:
    """One activation: its value, its derivative and its analytic facts.

    Catalogue activations come from `get_activation` and run in compiled in-place kernels. One built here with
    ``function`` (or by handing a callable to `get_activation`) runs in NumPy; of its facts only those that
    are given are known. Instances are immutable, compare by content and pickle; the catalogue ones by name.

    Parameters
    ----------
    name : str
        Catalogue name, or any name for a user's function.
    parameters : tuple of float, default=()
        slope of ``leaky_relu``, c of ``shifted_relu``, coefficients of ``hermite``; empty otherwise.
    even_degree, odd_degree : int or None, default=None
        Degree of the even part (f(t) + f(-t))/2 and of the odd part (f(t) - f(-t))/2 where that part is a
        polynomial; the zero polynomial has degree -1. None: not a polynomial, or not known. A single point
        (the value of ``step`` at 0) does not count. A part of finite degree is what bars a bias-free
        network from fitting some antipodal data.
    homogeneous : int or None, default=None
        The p with f(c t) = c**p f(t) for every c > 0, or None.
    bound : float or None, default=None
        sup |f|, or None where unbounded or not known.
    lipschitz : float or None, default=None
        Smallest global Lipschitz constant, or None where there is none or it is not known.
    is_smooth : bool, default=False
        Whether f is known to be infinitely differentiable everywhere.
    kinks : tuple of float, default=()
        Points where f is not smooth; quadratures split there.
    function, function_derivative : callable or None, default=None
        A user's vectorised f and f': a float array in, an array of floats of the same shape out.
    curvature : float or None, default=None
        Smallest global Lipschitz constant of f', sup |f''| where that exists, or None where there is none or it
        is not known. Those of the catalogue are rounded up where they have no finite expansion.

    Raises
    ------
    ValueError
        If the name is not in the catalogue and no function is given, the number of parameters is wrong, or a fact is
        not a finite number of its range.

    Notes
    -----
    At a kink ``derivative`` returns the derivative from the left (0 for ``abs`` and ``step``).
    """

    name: str
    parameters: tuple[float, ...] = ()
    even_degree: int | None = None
    odd_degree: int | None = None
    homogeneous: int | None = None
    bound: float | None = None
    lipschitz: float | None = None
    is_smooth: bool = False
    kinks: tuple[float, ...] = ()
    function: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)
    function_derivative: Callable[[np.ndarray], np.ndarray] | None = field(default=None, repr=False)
    curvature: float | None = None

    def __post_init__(self) -> None:
        if self.function is None and self.name not in VALUE:
            raise ValueError(f"activation {self.name!r} is not in the catalogue; pass function= to define it")
        for label in ("parameters", "kinks"):
            values = tuple(float(value) for value in getattr(self, label))
            if not all(map(isfinite, values)):
                raise ValueError(f"{label} of activation {self.name!r} must be finite, got {values}")
            object.__setattr__(self, label, values)
        for label in ("bound", "lipschitz", "curvature"):
            value = getattr(self, label)
            if value is not None and not 0 <= value < inf:
                raise ValueError(f"{label} of activation {self.name!r} is {value!r}: pass a finite number >= 0, or None")
        count, needed = len(self.parameters), _PARAMETER_COUNT.get(self.name, 0)
        if self.function is None and count != needed and (self.name != "hermite" or not count):
            raise ValueError(f"activation {self.name!r} needs {needed} parameters, got {self.parameters}")

    def __str__(self) -> str:
        """The form that `get_activation` reads back: ``name`` or ``name(parameter, ...)``."""
        return f"{self.name}({', '.join(map(repr, self.parameters))})" if self.parameters else self.name

    def value(self, z: Any) -> np.ndarray:
        """f(z), elementwise.

        Parameters
        ----------
        z : array-like of any shape
            float64 and float32 are kept, other real types become float64.

        Returns
        -------
        ndarray, shape of z
            A new C-contiguous array.
        """
        out = _new_array(z)
        self.apply(out)
        return out

    def derivative(self, z: Any) -> np.ndarray:
        """f'(z), elementwise; from the left at a kink.

        Parameters
        ----------
        z : array-like of any shape
            float64 and float32 are kept, other real types become float64.

        Returns
        -------
        ndarray, shape of z
            A new C-contiguous array.

        Raises
        ------
        ValueError
            For a user's function that came without ``function_derivative``.
        """
        out = _new_array(z)
        self.apply_derivative(out)
        return out

    def apply(self, z: np.ndarray, scale: float = 1.0) -> None:
        """Overwrite z with scale f(z), without a temporary array for catalogue activations.

        Parameters
        ----------
        z : ndarray of any shape, float64 or float32
            C-contiguous and writeable.
        scale : float, default=1.0
            Factor.

        Raises
        ------
        TypeError
            If z is not a float64 or float32 array.
        ValueError
            If z is not C-contiguous or not writeable.
        """
        _check_writeable(z, "apply", "value")
        if self.function is None:
            VALUE[self.name](z.reshape(-1), self._kernel_parameters, z.dtype.type(scale))
        else:
            np.multiply(_called(self.function, z, self.name), z.dtype.type(scale), out=z)

    def apply_derivative(self, z: np.ndarray, scale: float = 1.0) -> None:
        """Overwrite z with scale f'(z), without a temporary array for catalogue activations.

        Parameters
        ----------
        z : ndarray of any shape, float64 or float32
            C-contiguous and writeable.
        scale : float, default=1.0
            Factor.

        Raises
        ------
        TypeError
            If z is not a float64 or float32 array.
        ValueError
            If z is not C-contiguous or not writeable, or for a user's function that came without
            ``function_derivative``.
        """
        _check_writeable(z, "apply_derivative", "derivative")
        if self.function is None:
            DERIVATIVE[self.name](z.reshape(-1), self._kernel_parameters, z.dtype.type(scale))
        elif self.function_derivative is None:
            raise ValueError(
                f"activation {self.name!r} has no derivative; build it as "
                "Activation(name, function=f, function_derivative=df)"
            )
        else:
            np.multiply(_called(self.function_derivative, z, self.name), z.dtype.type(scale), out=z)

    def apply_with_derivative(self, z: np.ndarray, derivative: np.ndarray) -> None:
        """Overwrite z with f(z) and `derivative` with f'(z).

        Parameters
        ----------
        z : ndarray of any shape, float64 or float32
            C-contiguous and writeable.
        derivative : ndarray of the shape and dtype of z
            C-contiguous and writeable; its entries are not read. It must not share memory with z.

        Raises
        ------
        TypeError
            If an array is not a float64 or float32 array, or their dtypes differ.
        ValueError
            If an array is not C-contiguous or not writeable, their shapes differ, or for a user's function that came
            without ``function_derivative``.

        Notes
        -----
        exp, tanh, sigmoid, softplus, silu, elu, gelu, gaussian, sin, cos and sin_cos share work and take 0.55 to 0.75 of the
        time of the two alone; erf shares the pass; the others take two. Values keep an error of at most 4 units in the last
        place and derivatives one of at most 8, but neither is always equal to what `value` and `derivative` give.

        Examples
        --------
        >>> import numpy as np
        >>> from underdetermined.activations import get_activation
        >>> z, slope = np.array([-1.0, 0.0]), np.empty(2)
        >>> get_activation("elu").apply_with_derivative(z, slope)
        >>> z.round(4), slope.round(4)
        (array([-0.6321,  0.    ]), array([0.3679, 1.    ]))
        """
        _check_writeable(z, "apply_with_derivative", "value")
        _check_writeable(derivative, "apply_with_derivative", "derivative")
        if z.dtype != derivative.dtype:
            raise TypeError(f"z is {z.dtype} and derivative is {derivative.dtype}: pass arrays of one dtype")
        if z.shape != derivative.shape:
            raise ValueError(f"z has shape {z.shape} and derivative has {derivative.shape}: pass arrays of one shape")
        if self.function is None and self.name in PAIR:
            PAIR[self.name](z.reshape(-1), derivative.reshape(-1))
        else:
            derivative[...] = z
            self.apply_derivative(derivative)
            self.apply(z)

    def hermite_coefficients(self, degree: int, scale: float = 1.0) -> np.ndarray:
        """Coefficients a_k = E[f(scale g) h_k(g)], g ~ N(0, 1), for k = 0 ... degree.

        h_k = He_k / sqrt(k!) are the probabilists' Hermite polynomials, normalised, so that
        f(scale g) = sum_k a_k h_k(g) and sum_k a_k^2 = E f(scale g)^2.

        Parameters
        ----------
        degree : int
            Largest k, at least 0.
        scale : float, default=1.0
            Standard deviation of the argument, at least 0.

        Returns
        -------
        ndarray, shape (degree + 1,)
            Accurate to about 1e-14 of the root mean square of f; those that vanish by parity are exactly 0.

        Raises
        ------
        ValueError
            If degree or scale is out of range, or the expectation overflows.

        Notes
        -----
        Closed forms where they exist. tanh, sigmoid, softplus, silu, elu and users' functions go
        through quadrature, split at ``kinks``: cost O(degree^1.5) evaluations of f.
        """
        if not isinstance(degree, int | np.integer) or degree < 0:
            raise ValueError(f"degree must be an integer >= 0, got {degree!r}")
        if not (isfinite(scale) and scale >= 0):
            raise ValueError(f"scale must be finite and >= 0, got {scale!r}")
        degree, scale = int(degree), float(scale)
        with np.errstate(over="ignore", invalid="ignore"):
            if scale == 0.0:
                coefficients = np.zeros(degree + 1)
                coefficients[0] = self.value(0.0)
            elif self.function is None and self.name in CLOSED_FORMS:
                coefficients = CLOSED_FORMS[self.name](degree, scale, self.parameters)
            else:
                coefficients = quadrature(self.value, degree, scale, self.kinks)
        if not np.isfinite(coefficients).all():
            raise ValueError(f"E[f(scale g) h_k(g)] of {self} overflows at scale={scale}; use a smaller scale")
        for parity, limit in enumerate((self.even_degree, self.odd_degree)):
            if limit is not None:
                coefficients[limit + 2 if limit >= 0 else parity :: 2] = 0.0
        return coefficients

    @property
    def _kernel_parameters(self) -> np.ndarray:
        return np.array(self.parameters, dtype=np.float64)


def _new_array(z: Any) -> np.ndarray:
    array = np.asarray(z)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"an activation takes real numbers, got an array of dtype {array.dtype}")
    return np.array(array, dtype=array.dtype if array.dtype in _FLOATS else np.float64, order="C")


def _check_writeable(z: Any, method: str, allocating: str) -> None:
    if not isinstance(z, np.ndarray) or z.dtype not in _FLOATS:
        kind = z.dtype if isinstance(z, np.ndarray) else type(z).__name__
        raise TypeError(f"{method} overwrites a float64 or float32 array, got {kind}; use {allocating}(z) instead")
    if not (z.flags.c_contiguous and z.flags.writeable):
        raise ValueError(f"z must be C-contiguous and writeable, as {method} overwrites it; use {allocating}(z) instead")


def _called(function: Callable[[np.ndarray], np.ndarray], z: np.ndarray, name: str) -> np.ndarray:
    result = np.asarray(function(z))
    if result.shape != z.shape or result.dtype.kind != "f":
        raise ValueError(
            f"activation {name!r} must act elementwise and return floats: for an array of shape {z.shape} "
            f"it returned dtype {result.dtype} and shape {result.shape}"
        )
    return result
