"""The activations that have a name, the families that have parameters, and how text names either."""

import copyreg
import re
from collections.abc import Callable
from difflib import get_close_matches
from math import erfc, exp, inf, nextafter, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._activation import Activation

_HERMITE_LIMIT = 200


def _up(constant: float) -> float:
    """The constant plus two units in the last place, more than its own rounding took: bounds must stay bounds."""
    return nextafter(nextafter(constant, inf), inf) if constant else 0.0


def leaky_relu(slope: float = 0.01) -> Activation:
    """
    Leaky rectifier, max(t, 0) + slope min(t, 0).

    Parameters
    ----------
    slope : float, default=0.01
        Slope for t < 0; -1 gives the absolute value, 1 the identity.

    Returns
    -------
    Activation
    """
    slope = float(slope)
    return Activation(
        "leaky_relu",
        (slope,),
        even_degree=-1 if slope == 1 else None,
        odd_degree=-1 if slope == -1 else 1,
        homogeneous=1,
        lipschitz=max(1.0, abs(slope)),
        is_smooth=slope == 1,
        kinks=() if slope == 1 else (0.0,),
        curvature=0.0 if slope == 1 else None,
    )


def shifted_relu(c: float = 1.0) -> Activation:
    """
    Rectifier with its kink moved, max(t + c, 0).

    Parameters
    ----------
    c : float, default=1.0
        Shift; the kink is at -c. For c != 0 neither the even nor the odd part is a polynomial, so that a
        bias-free network has no antipodal flaw, as relu (c = 0) has.

    Returns
    -------
    Activation
    """
    c = float(c)
    return Activation(
        "shifted_relu",
        (c,),
        odd_degree=None if c else 1,
        homogeneous=None if c else 1,
        lipschitz=1.0,
        kinks=(0.0 - c,),
    )


def hermite(coefficients: ArrayLike) -> Activation:
    """
    Sum of Hermite polynomials, sum_k coefficients[k] h_k(t).

    Parameters
    ----------
    coefficients : array-like, shape (degree + 1,)
        At most 201 of them. h_k = He_k / sqrt(k!) are the normalised probabilists' Hermite polynomials.

    Returns
    -------
    Activation
        On the unit sphere with standard Gaussian weights its kernel is sum_k coefficients[k]^2 <x, z>^k.

    Raises
    ------
    ValueError
        If the coefficients are not a vector of at most 201 finite numbers.
    """
    array = np.atleast_1d(np.asarray(coefficients, dtype=np.float64))
    if array.ndim != 1 or array.size > _HERMITE_LIMIT + 1:
        limit = _HERMITE_LIMIT + 1
        raise ValueError(f"coefficients must be a vector of at most {limit} numbers, got shape {array.shape}")
    values = tuple(np.trim_zeros(array, "b").tolist()) or (0.0,)
    present = [k for k, value in enumerate(values) if value]
    even, odd = (max((k for k in present if k % 2 == parity), default=-1) for parity in (0, 1))
    return Activation(
        "hermite",
        values,
        even_degree=even,
        odd_degree=odd,
        homogeneous=max(even, odd, 0) if len(present) <= 1 and len(values) <= 2 else None,
        bound=abs(values[0]) if len(values) == 1 else None,
        lipschitz=sum(map(abs, values[1:])) if len(values) <= 2 else None,
        is_smooth=True,
        curvature=_up(sqrt(2) * sum(map(abs, values[2:]))) if len(values) <= 3 else None,
    )


def geometric_hermite(ratio: float = 0.5, degree: int = 10) -> Activation:
    """
    Designed activation: the Hermite sum with coefficients sqrt((1 - ratio) ratio^k).

    Parameters
    ----------
    ratio : float, default=0.5
        Strictly between 0 and 1. Slow decay (near 1) gives well-conditioned Gram matrices.
    degree : int, default=10
        From 0 to 200. A sum of this degree resolves only polynomials of this degree, whatever the width.

    Returns
    -------
    Activation
        On the unit sphere with standard Gaussian weights its kernel is
        (1 - ratio) sum_{k <= degree} (ratio <x, z>)^k.

    Raises
    ------
    ValueError
        If ratio or degree is out of range.
    """
    ratio, order = float(ratio), int(degree)
    if not 0 < ratio < 1:
        raise ValueError(f"ratio must lie strictly between 0 and 1, got {ratio}")
    if order < 0 or order != degree:
        raise ValueError(f"degree must be an integer >= 0, got {degree!r}")
    return hermite(np.sqrt((1.0 - ratio) * ratio ** np.arange(order + 1.0)))


# Largest slopes: gelu' = Phi(t) + t phi(t) peaks at sqrt(2), silu' at 2.399357..., where silu'' = 0.
_GELU_SLOPE = _up(0.5 * erfc(-1.0) + exp(-1.0) / sqrt(pi))
_SILU_SLOPE = _up(1.0998393201288669)
# Largest second derivatives: that of erf is where t^2 = 1/2, of sigmoid where exp(-t) = 2 + sqrt(3), of tanh at half that t.
_ERF_CURVATURE = _up(sqrt(8 / pi) * exp(-0.5))
_TANH_CURVATURE = _up(4 / sqrt(27))
_SIGMOID_CURVATURE = _up(1 / sqrt(108))

_CATALOGUE: dict[str, Activation] = {
    activation.name: activation
    for activation in (
        Activation("identity", (), -1, 1, homogeneous=1, lipschitz=1.0, is_smooth=True, curvature=0.0),
        Activation("relu", (), None, 1, homogeneous=1, lipschitz=1.0, kinks=(0.0,)),
        leaky_relu(),
        Activation("abs", (), None, -1, homogeneous=1, lipschitz=1.0, kinks=(0.0,)),
        Activation("step", (), 0, None, homogeneous=0, bound=1.0, kinks=(0.0,)),
        Activation("squared_relu", (), 2, None, homogeneous=2, kinks=(0.0,), curvature=2.0),
        shifted_relu(),
        Activation("erf", (), -1, None, bound=1.0, lipschitz=_up(2 / sqrt(pi)), is_smooth=True, curvature=_ERF_CURVATURE),
        Activation("tanh", (), -1, None, bound=1.0, lipschitz=1.0, is_smooth=True, curvature=_TANH_CURVATURE),
        Activation("sigmoid", (), 0, None, bound=1.0, lipschitz=0.25, is_smooth=True, curvature=_SIGMOID_CURVATURE),
        Activation("softplus", (), None, 1, lipschitz=1.0, is_smooth=True, curvature=0.25),
        Activation("silu", (), None, 1, lipschitz=_SILU_SLOPE, is_smooth=True, curvature=0.5),
        Activation("gelu", (), None, 1, lipschitz=_GELU_SLOPE, is_smooth=True, curvature=_up(sqrt(2 / pi))),
        Activation("elu", (), None, None, lipschitz=1.0, kinks=(0.0,), curvature=1.0),
        Activation("sin", (), -1, None, bound=1.0, lipschitz=1.0, is_smooth=True, curvature=1.0),
        Activation("cos", (), None, -1, bound=1.0, lipschitz=1.0, is_smooth=True, curvature=1.0),
        Activation(
            "sin_cos", (), None, None, bound=_up(sqrt(2)), lipschitz=_up(sqrt(2)), is_smooth=True, curvature=_up(sqrt(2))
        ),
        Activation("exp", (), None, None, is_smooth=True),
        Activation("gaussian", (), None, -1, bound=1.0, lipschitz=_up(exp(-0.5)), is_smooth=True, curvature=1.0),
        geometric_hermite(),
    )
}
_CONSTRUCTORS: dict[str, Callable[..., Activation]] = {
    "leaky_relu": leaky_relu,
    "shifted_relu": shifted_relu,
    "hermite": lambda *coefficients: hermite(coefficients),
    "geometric_hermite": geometric_hermite,
}
_FORM = re.compile(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*")


def names() -> tuple[str, ...]:
    """
    Names of the catalogue, all accepted by `get_activation`.

    Returns
    -------
    tuple of str
    """
    return tuple(_CATALOGUE)


def get_activation(activation: Any) -> Activation:
    """The `Activation` that a name, a callable or an `Activation` stands for.

    Parameters
    ----------
    activation : str, callable or Activation
        A catalogue name ("relu"), a name with parameters ("leaky_relu(0.1)", "shifted_relu(0.5)",
        "hermite(0, 1, 0.5)", "geometric_hermite(0.7, 12)"), a vectorised function of an array, or an
        `Activation`, which is returned as it is. Without parameters leaky_relu has slope 0.01,
        shifted_relu c = 1 and hermite is ``geometric_hermite(0.5, 10)``.

    Returns
    -------
    Activation

    Raises
    ------
    ValueError
        For a name that is not in the catalogue (the message lists the names), or wrong parameters.
    TypeError
        For anything else.
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        return _from_form(activation)
    if callable(activation):
        return Activation(getattr(activation, "__name__", type(activation).__name__), function=activation)
    kind = type(activation).__name__
    raise TypeError(f"activation must be a name, a callable or an Activation, got {kind}")


def _from_form(form: str) -> Activation:
    match = _FORM.fullmatch(form)
    name, arguments = match.groups() if match else (form, None)
    if name not in _CATALOGUE and name not in _CONSTRUCTORS:
        close = get_close_matches(name, [*_CATALOGUE, *_CONSTRUCTORS], 1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"unknown activation {form!r}.{hint} Known: {', '.join(names())}")
    if arguments is None and name in _CATALOGUE:
        return _CATALOGUE[name]
    if name not in _CONSTRUCTORS:
        raise ValueError(f"activation {name!r} takes no parameters, got {form!r}")
    try:
        values = [float(argument) for argument in (arguments or "").split(",") if argument.strip()]
        return _CONSTRUCTORS[name](*values)
    except (TypeError, ValueError) as error:
        raise ValueError(f"cannot read the parameters of activation {form!r}: {error}") from error


def _reduced(activation: Activation) -> tuple[Any, ...]:
    if activation == _CATALOGUE.get(activation.name):
        return get_activation, (activation.name,)
    return Activation, tuple(getattr(activation, label) for label in activation.__dataclass_fields__)


# A stored model then gets the facts of the release that loads it.
copyreg.pickle(Activation, _reduced)  # type: ignore[arg-type]
