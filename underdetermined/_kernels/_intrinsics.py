"""Compilation flags and the three machine operations that the kernels need and Python lacks.

``fma(a, b, c)`` is the fused a*b + c with one rounding; ``bits(x)`` reads a float as the integer
of the same width and ``from_bits(i)`` is its inverse. All three vectorise. With compilation disabled
(``NUMBA_DISABLE_JIT=1``) exact, slow Python twins take their place, so that coverage and results do
not depend on the compiler.
"""

from fractions import Fraction
from math import isfinite
from typing import Any

import numpy as np
from numba import config, njit, types
from numba.extending import intrinsic

_FLAGS: dict[str, Any] = {"nogil": True, "error_model": "numpy"}

kernel = njit(cache=True, **_FLAGS)
inline = njit(inline="never", **_FLAGS)

_INTEGER = {types.float64: types.int64, types.float32: types.int32}
_FLOAT = {integer: floating for floating, integer in _INTEGER.items()}


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


def _fma_exact(a, b, c):
    kind = type(c)
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


def _bits_twin(x):
    return x.view(np.int64 if x.dtype == np.float64 else np.int32)


def _from_bits_twin(i):
    return i.view(np.float64 if i.dtype == np.int64 else np.float32)


if config.DISABLE_JIT:
    kernel = np.errstate(all="ignore")  # as decorator: compiled code does not warn, so neither does the twin
    fma, bits, from_bits = _fma_exact, _bits_twin, _from_bits_twin
else:
    fma, bits, from_bits = _fma, _bits, _from_bits
