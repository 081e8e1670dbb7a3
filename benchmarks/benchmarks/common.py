"""Sizes, test problems and the timer that all benchmarks share."""

import os
from collections.abc import Callable
from time import perf_counter, sleep

import numpy as np

from underdetermined import FeatureMap
from underdetermined.weights import sample_gaussian

SETTLE = 0.1
SMOKE = bool(os.environ.get("BENCHMARK_SMOKE"))


def inputs(n: int, d: int, dtype: str = "float64", seed: int = 0) -> np.ndarray:
    """Standard Gaussian rows."""
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


def layer(d: int, width: int, activation: str, dtype: str = "float64") -> FeatureMap:
    """A bias-free hidden layer with pre-activations of unit variance on `inputs`."""
    weights, _ = sample_gaussian(d, width, seed=0)
    return FeatureMap((weights / np.sqrt(d)).astype(dtype), activation=activation)


def interpolation_problem(n: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Features whose Gram matrix has a condition number of about 1e5 when width is 4 n = 12000, and noisy targets."""
    X = inputs(n, 24)
    y = np.sin(X[:, 0]) + 0.1 * np.random.default_rng(1).standard_normal(n)
    return layer(24, width, "relu")(X), y


def side_by_side(contenders: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Run all contenders in turn, several rounds, after one call each; return the least seconds of each.

    OpenBLAS threads go on spinning for some tens of milliseconds after a product, and would slow down whatever
    comes next by up to half a core: each call waits until they sleep.
    """
    best: dict[str, float] = {}
    for call in contenders.values():
        call()
    for _ in range(repeats):
        for name, call in contenders.items():
            sleep(SETTLE)
            start = perf_counter()
            call()
            best[name] = min(best.get(name, np.inf), perf_counter() - start)
    return best


def table(title: str, header: list[str], rows: list[list[str]]) -> None:
    """Print an aligned table."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    print(f"\n{title}")
    for row in [header, ["-" * width for width in widths], *rows]:
        first, *rest = (
            cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *rest]), flush=True)
