"""Compilation flags and the machine operations that the kernels need and Python lacks.

``fma(a, b, c)`` is the fused a*b + c with one rounding; ``bits(x)`` reads a float as the integer
of the same width and ``from_bits(i)`` is its inverse; ``power_of_two(t)`` is 2**k from t = k + 1.5 * 2**52
(2**23 in float32), the sum whose rounding made k an integer. ``like(x, c)`` is c in the type of x, and
``pick(x, double, single)`` is double for a float64 x, single for a float32 x, decided at compilation: with
them one text serves both dtypes. All vectorise. With compilation disabled (``NUMBA_DISABLE_JIT=1``) exact,
slow Python twins take their place, so that coverage and results do not depend on the compiler.
"""

from fractions import Fraction
from math import isfinite
from typing import Any

import numpy as np
from numba import config, njit, types
from numba.extending import intrinsic

_FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}


def _compiled(function: Any) -> Any:
    """Compile at the first call; keep the code on disk where some folder for it can be written."""
    try:
        return njit(cache=True, **_FLAGS)(function)
    except RuntimeError:  # numba found no such folder; every process compiles for itself
        return njit(**_FLAGS)(function)


inline = njit(inline="never", **_FLAGS)
inline_sum = njit(inline="never", fastmath={"reassoc"}, **_FLAGS)  # sums in any order, so that they vectorise

_INTEGER: dict[Any, Any] = {types.float64: types.int64, types.float32: types.int32}
_FLOAT: dict[Any, Any] = {integer: floating for floating, integer in _INTEGER.items()}


@intrinsic
def _fma(typingctx, a, b, c):
    if a not in _INTEGER or a != b or a != c:
        return None

    def codegen(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return a(a, a, a), codegen


@intrinsic
def _bits(typingctx, x):
    if x not in _INTEGER:
        return None

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return _INTEGER[x](x), codegen


@intrinsic
def _from_bits(typingctx, i):
    if i not in _FLOAT:
        return None

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(signature.return_type))

    return _FLOAT[i](i), codegen


@intrinsic
def _power_of_two(typingctx, t):
    if t not in _INTEGER:
        return None
    shift, bias = (52, 1023) if t == types.float64 else (23, 127)

    def codegen(context, builder, signature, arguments):
        integer = context.get_value_type(_INTEGER[t])
        biased = builder.add(builder.bitcast(arguments[0], integer), integer(bias))
        return builder.bitcast(builder.shl(biased, integer(shift)), context.get_value_type(t))

    return t(t), codegen


@intrinsic
def _like(typingctx, x, constant):
    def codegen(context, builder, signature, arguments):
        return context.cast(builder, arguments[1], signature.args[1], signature.return_type)

    return x(x, constant), codegen


@intrinsic
def _pick(typingctx, x, double, single):
    if x not in _INTEGER:
        return None
    chosen = 1 if x == types.float64 else 2

    def codegen(context, builder, signature, arguments):
        return arguments[chosen]

    return (double if chosen == 1 else single)(x, double, single), codegen


def _fma_exact(a, b, c):
    kind = np.float32 if isinstance(c, np.float32) else np.float64
    if not (isfinite(a) and isfinite(b) and isfinite(c)):
        return kind(a * b + c)
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if not exact:
        return kind(a * b + c)
    if kind is np.float32:  # round to odd in double first, so that the second rounding is harmless
        near = float(exact)
        if Fraction(near) != exact and not int(np.float64(near).view(np.int64)) & 1:
            near = float(np.nextafter(near, np.inf if exact > Fraction(near) else -np.inf))
        return np.float32(near)
    try:
        return kind(float(exact))
    except OverflowError:
        return kind(np.inf if exact > 0 else -np.inf)


def _typed(x):
    return x if isinstance(x, np.generic) else np.float64(x)  # a literal may have made x a plain float


def _bits_twin(x):
    x = _typed(x)
    return x.view(np.int64 if x.dtype == np.float64 else np.int32)


def _from_bits_twin(i):
    return i.view(np.float64 if i.dtype == np.int64 else np.float32)


def _power_of_two_twin(t):
    t = _typed(t)
    kind, shift, bias = (np.uint64, 52, 1023) if t.dtype == np.float64 else (np.uint32, 23, 127)
    shifted = (int(t.view(kind)) + bias) << shift
    return kind(shifted % 2 ** (8 * t.itemsize)).view(t.dtype)


def _like_twin(x, constant):
    return type(_typed(x))(constant)


def _pick_twin(x, double, single):
    return single if isinstance(x, np.float32) else double


kernel: Any
fma: Any
bits: Any
from_bits: Any
power_of_two: Any
like: Any
pick: Any
if config.DISABLE_JIT:  # type: ignore[attr-defined]
    kernel = np.errstate(all="ignore")  # as decorator: compiled code does not warn, so neither does the twin
    fma, bits, from_bits = _fma_exact, _bits_twin, _from_bits_twin
    power_of_two, like, pick = _power_of_two_twin, _like_twin, _pick_twin
else:
    kernel = _compiled
    fma, bits, from_bits = _fma, _bits, _from_bits
    power_of_two, like, pick = _power_of_two, _like, _pick
