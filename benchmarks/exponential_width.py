"""Certified widths of networks of exponentials by number of rows: ``python -m benchmarks.exponential_width [--small]``.

Rows have norm 1/2, either with correlations of 1/2, so that the smallest eigenvalue lambda of the expected Gram matrix
does not depend on n, or with random directions in 20 dimensions, where it falls with n. Targets are +-1. The threshold of
a seed is found by bisection over networks that contain each other, from the width that the certificate itself asks for.
The first table has geometric means over seeds. The second fits threshold = c n^p, raw and after factors of what is
proved have been divided out:

    m >= C |X|^2 x_max^2 e^(2 B) |rho|^2 / lambda^2   (scale 1 / sqrt(m)),
    m >= C |X| x_max e^B |rho| / lambda               (scale 1),

B the largest exponent of the drawn network and lambda the smallest eigenvalue of its Gram matrix. With |X|^2 <= n x_max^2
and |rho|^2 ~ n the first is n^(2 + o(1)). With scale 1 and a plain start |rho|^2 grows like n m, so that the second becomes
the first; a symmetric start leaves n^(1 + o(1)). As e^B bounds b / |X|, b = max_r |diag(exp(X w_r)) X|, that is divided out
as well, beside e^B.
"""

import argparse
import sys
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from benchmarks.benchmarks.common import table
from underdetermined.exponential import certify, draw_network
from underdetermined.objectives import Exponential

NORM, CORRELATION, DIMENSION = 0.5, 0.5, 20
SMALL_SIZES = (2, 4, 8)
FIRST, PRECISION = 64, 1.02
RESAMPLES = 2000


def equicorrelated(n, seed):
    """Rows of one norm, each pair at the same angle."""
    return NORM * np.linalg.cholesky(np.full((n, n), CORRELATION) + (1.0 - CORRELATION) * np.eye(n))


def sphere(n, seed):
    """Random rows of one norm."""
    rows = np.random.default_rng([seed, n]).standard_normal((n, DIMENSION))
    return NORM * rows / np.linalg.norm(rows, axis=1, keepdims=True)


# Widths of a million end the second list.
FAMILIES = {"equicorrelated": (equicorrelated, (4, 8, 16, 32)), "sphere": (sphere, (4, 6, 8, 12, 16))}
STARTS = {
    "symmetric, scale 1/sqrt(m)": (True, None),
    "plain, scale 1/sqrt(m)": (False, None),
    "symmetric, scale 1": (True, 1.0),
    "plain, scale 1": (False, 1.0),
}


@dataclass(frozen=True)
class Threshold:
    """The least width found to be certified, and what the certificate depends on there."""

    width: int
    exponent: float
    growth: float
    eigenvalue: float
    extrapolated: float


class Trial:
    """Certificates of networks of one seed at every width."""

    def __init__(self, family, start, n, seed):
        """Draw the rows and the targets."""
        self.symmetric, self.scale = STARTS[start]
        self.X, self.seed = FAMILIES[family][0](n, seed), seed
        self.y = np.random.default_rng([seed, n, 1]).choice([-1.0, 1.0], n)
        self.network = None

    def objective(self, width):
        """The network of this width, cut out of the widest one drawn so far."""
        half = width // 2 if self.symmetric else width
        if self.network is None or self.network[0].width < half:
            self.network = draw_network(self.X.shape[1], 2 * half, symmetric=False, seed=self.seed)
        layer, coef = self.network
        weights, coef = layer.weights[:, :half], coef[:half]
        if self.symmetric:
            weights, coef = np.hstack([weights, weights]), np.vstack([coef, -coef])
        scale = width**-0.5 if self.scale is None else self.scale
        return Exponential(self.X, self.y, type(layer)(weights, activation="exp", scale=scale), coef)

    def certificate(self, width):
        """The certificate at the start."""
        return certify(self.objective(width))

    def threshold(self):
        """Follow the certificate's own extrapolation until it is bracketed, and bisect."""
        width, found = FIRST, self.certificate(FIRST)
        while found.width_needed == np.inf:
            width *= 2
            found = self.certificate(width)
        extrapolated, low, high = found.width_needed, 2, width
        while not found.is_certified:
            low, width = width, even(np.clip(1.02 * found.width_needed, 1.2 * width, 4.0 * width))
            found = self.certificate(width)
            high = width
        while high > PRECISION * low + 2:
            width = even(np.sqrt(low * high))
            low, high = (low, width) if self.certificate(width).is_certified else (width, high)
        objective, found = self.objective(high), self.certificate(high)
        eigenvalue = found.smallest_singular_value**2 / (high if self.scale else 1)
        exponent = objective.largest_exponent(objective.initial())[0]
        # What a certificate says of one neuron: its distance is that of the exponents, over alpha, times |v_r| b.
        block = found.neuron_distance * found.growth / found.drift / float(objective.feature_map.scale)
        return Threshold(high, exponent, block / np.linalg.norm(self.X, 2), eigenvalue, extrapolated)


def even(width):
    """The even number next to a width."""
    return max(2, 2 * round(width / 2))


def slope(sizes, logs):
    """Slope of the least-squares line through all seeds."""
    return float(np.polyfit(np.log(sizes), logs.mean(axis=1), 1)[0])


def exponent_text(sizes, logs, seed):
    """Exponent with the interval of 95 % of the fits to seeds drawn again."""
    rng = np.random.default_rng(seed)
    count = logs.shape[1]
    drawn = [slope(sizes, np.array([row[rng.integers(count, size=count)] for row in logs])) for _ in range(RESAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{slope(sizes, logs):.2f} [{low:.2f}, {high:.2f}]"


def measure(options):
    """Print thresholds and exponents."""
    exponents = []
    for family in options.families:
        sizes = options.sizes or (SMALL_SIZES if options.small else FAMILIES[family][1])
        thresholds = []
        for start in STARTS:
            begin = perf_counter()
            found = [[Trial(family, start, n, seed).threshold() for seed in range(options.seeds)] for n in sizes]
            widths, reach, growth, values, ahead = (
                np.array([[getattr(each, name) for each in row] for row in found], dtype=float)
                for name in ("width", "exponent", "growth", "eigenvalue", "extrapolated")
            )
            raw, growth, values = np.log(widths), np.log(growth), np.log(values)
            off = np.exp(np.abs(np.log(ahead) - raw))
            ends = [f"{np.exp(values[place].mean()):.3g}" for place in (0, -1)]
            means = [f"{np.exp(row.mean()):.3g}" for row in raw]
            thresholds.append([start, *means, *ends, f"{np.median(off):.1f} {off.max():.1f}"])
            power = 1.0 if STARTS[start] == (True, 1.0) else 2.0
            fits = (raw, raw - power * reach, raw - power * growth, raw + power * (values - growth))
            exponents.append([f"{family}, {start}", *(exponent_text(sizes, logs, 0) for logs in fits), f"{power:g} + o(1)"])
            print(f"{family}, {start}: {perf_counter() - begin:.0f} s", file=sys.stderr)
        head = ["start", *(f"n = {n}" for n in sizes), f"lambda, n = {sizes[0]}", f"n = {sizes[-1]}", "extrapolation off by"]
        table(f"{family} rows: certified width, geometric mean of {options.seeds} seeds", head, thresholds)
    head = ["exponent of n, 95 % by bootstrap", "raw", "without e^B", "without b / |X|", "nor lambda", "proved"]
    table("growth of the certified width", head, exponents)


def main():
    """Parse the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that it runs")
    parser.add_argument("--sizes", type=int, nargs="*", help="numbers of rows")
    parser.add_argument("--families", nargs="*", default=list(FAMILIES), choices=list(FAMILIES))
    parser.add_argument("--seeds", type=int, help="networks for each number of rows")
    options = parser.parse_args()
    options.seeds = options.seeds or (2 if options.small else 8)
    with threadpool_limits(1):
        measure(options)


if __name__ == "__main__":
    main()
