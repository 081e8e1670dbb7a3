"""Errors of kernels in units of the last place, and the points where the tests look for them."""

import mpmath
import numpy as np

DTYPES = (np.float64, np.float32)
DIGITS = 50
# |z| from which an exponential of z, or of z**2 / 2, has vanished.
EXPONENTIAL_TAIL = {np.float64: 760.0, np.float32: 112.0}
GAUSSIAN_TAIL = {np.float64: 39.0, np.float32: 14.7}


def applied(kernel, points):
    """The kernel on a copy of the points."""
    z = points.copy()
    kernel(z, np.zeros(0), z.dtype.type(1))
    return z


def spacing(exact, dtype):
    """Unit in the last place of the dtype at an mpmath number; the smallest denormal near 0."""
    info = np.finfo(dtype)
    return mpmath.mpf(2) ** (max(mpmath.frexp(exact)[1] - 1, int(info.minexp)) - info.nmant)


def worst_ulp(kernel, function, points):
    """Largest error of the kernel against an mpmath function."""
    with mpmath.workdps(DIGITS):
        exact = [mpmath.mpf(function(mpmath.mpf(float(x)))) for x in points]
        pairs = zip(applied(kernel, points), exact, strict=True)
        return max(float(abs(mpmath.mpf(float(got)) - value) / spacing(value, points.dtype)) for got, value in pairs)


def everywhere(dtype, rng):
    """Both signs of every size from the smallest denormal to the largest number, most of them where f bends."""
    info = np.finfo(dtype)
    sizes = np.concatenate(
        [
            np.exp2(rng.uniform(-12, 3, 100)),
            np.exp2(rng.uniform(np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)), 60)),
            rng.uniform(0, EXPONENTIAL_TAIL[dtype], 60),
            rng.uniform(0, GAUSSIAN_TAIL[dtype], 60),
            # Edges of ranges: rounding to 1, clamps, halves of log 2, ends of the normal and the denormal range.
            [0, 5.8635, 5.93, 6, 3.92, 4, 9.01, 18.7, 19.07, 22, 36.7, 37.5, 44, 0.34657, 0.34658, 1.0397],
            [708.3964, 709.78, 745.13, 745.14, 751.9, 87.33655, 88.72, 103.27, 103.98, 107.5, 38.56, 27.23, 14.2, 13.2],
            [float(info.smallest_subnormal), float(info.tiny), float(info.eps)],
        ]
    )
    points = np.concatenate([rng.uniform(-8, 8, 200), sizes, -sizes])
    return points.astype(dtype)


def around(center, dtype, rng):
    """Points at every relative distance from a number, among them its 20 nearest neighbours."""
    distances = 10 ** rng.uniform(-17, -0.5, 60) * rng.choice([-1.0, 1.0], 60)
    steps = np.arange(-10, 11) * float(np.spacing(dtype(center)))
    return (center + np.concatenate([distances, steps])).astype(dtype)
