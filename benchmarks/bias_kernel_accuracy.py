"""Kernels of ReLU layers with a constant bias against multiple precision.

``python -m benchmarks.bias_kernel_accuracy [--pairs 1000] [--seed 0]``

The first table has 46 reference values, computed with forty digits, and what the package makes of them. The second has
random pairs of rows of all the kinds in ``tests/orthant_oracle.py``: biases from 0 to 6, correlations to within 1e-9 of 1
and -1, equal and unequal norms. An error is relative to the entry itself, and divided by 1 + E: 2 E is the squared distance
from the origin of the region where both rows are active, and rounding of E alone makes such an error of exp(-E). Errors
beyond 1e-13 are printed below, and make the exit code 1.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from mpmath import mp

from benchmarks.benchmarks.common import table
from underdetermined.kernels import bias_nngp, bias_ntk, orthant_probability

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from orthant_oracle import ANGLES, DIGITS, MATRICES, NORMS, ROWS, SCALARS, bias_pairs, form_labels  # noqa: E402

TOLERANCE = 1e-13
MATRIX_TOLERANCE = 3e-12  # the smallest eigenvalue of a matrix has the error of its largest


def scalar(name, h, k, rho):
    """L or M of the package; M as a kernel entry of two rows in the plane."""
    if name == "L":
        return float(orthant_probability(h, k, rho))
    rows = np.array([[1.0, 0.0], [rho, np.sqrt((1.0 - rho) * (1.0 + rho))]]) / np.maximum([[h], [k]], 1e-9)
    return bias_nngp(rows, bias=float(max(h, k) > 0.0))[0, 1] / np.linalg.norm(rows, axis=1).prod()


def matrix_quantity(quantity, name, bias):
    """An eigenvalue of a kernel, or the inverse form of alternating labels."""
    what, _, kernel = quantity.rpartition(" of ")
    matrix = {"ntk": bias_ntk, "nngp": bias_nngp}[kernel](ROWS[name], bias=bias)
    y = form_labels(len(matrix))
    if what == "inverse form":
        return float(y @ np.linalg.solve(matrix, y))
    return float(np.linalg.eigvalsh(matrix)[{"smallest": 0, "largest": -1}[what]])


def compare_values():
    """Print the reference values; whether all agree."""
    rows, is_accurate = [], True
    for name, h, k, rho, text in SCALARS:
        got = scalar(name, h, k, rho)
        size = 1.0 + max(h, k) ** 2 / (1.0 + min(rho, 0.0))  # of the order of 1 + E
        error = abs(got / float(text) - 1.0) / size
        is_accurate &= error <= TOLERANCE
        rows.append([name, f"h={h}, k={k}, rho={rho}", text, f"{got:.16e}", f"{error:.1e}"])
    for quantity, name, bias, text in MATRICES:
        got = matrix_quantity(quantity, name, bias)
        error = abs(got / float(text) - 1.0)
        is_accurate &= error <= MATRIX_TOLERANCE
        rows.append([quantity, f"{name}, B={bias}", text, f"{got:.16e}", f"{error:.1e}"])
    table(f"{len(rows)} reference values", ["quantity", "case", "reference", "computed", "error"], rows)
    return is_accurate


def pair_errors(pairs):
    """Errors of both kernels for some pairs, each the worst of a rectangular call and of a symmetric one."""
    found = []
    with mp.workdps(DIGITS):
        for pair in pairs:
            x, z, both = pair.x[np.newaxis], pair.z[np.newaxis], np.vstack([pair.x, pair.z])
            rate = {"bias": pair.bias, "bias_scale": pair.bias_scale}
            alone = bias_ntk(x, z, **rate)[0, 0], bias_nngp(x, z, bias=pair.bias)[0, 0]
            square = bias_ntk(both, **rate)[1, 0], bias_nngp(both, bias=pair.bias)[1, 0]
            *exact, exponent = pair.reference()
            errors = pair.errors(alone, exact, exponent), pair.errors(square, exact, exponent)
            found.append([float(e) for e in np.max(errors, axis=0)])
    return found


def compare_pairs(count, seed):
    """Print the largest errors by kind of pair; whether all are below the tolerance."""
    pairs = list(bias_pairs(np.random.default_rng(seed), count))
    errors, failures = defaultdict(list), []
    for pair, found in zip(pairs, pair_errors(pairs), strict=True):
        errors[pair.kind].append(found)
        if not max(found) <= TOLERANCE:
            failures.append(f"{pair}: errors {found[0]:.1e} and {found[1]:.1e}")
    rows = [
        [kind, str(len(found)), *(f"{e:.1e}" for e in (*np.median(found, axis=0), *np.max(found, axis=0)))]
        for kind, found in sorted(errors.items())
    ]
    header = ["pairs", "count", "ntk, median", "nngp", "ntk, largest", "nngp"]
    table(f"error of {count} pairs ({len(ANGLES) * len(NORMS)} kinds), in units of 1 + E", header, rows)
    worst = np.max([each for found in errors.values() for each in found], axis=0)
    print(f"\nlargest errors {worst[0]:.1e} (ntk) and {worst[1]:.1e} (nngp); {len(failures)} pairs beyond {TOLERANCE:.0e}")
    print(*failures, sep="\n")
    return not failures


def main():
    """Print both tables; exit with 1 if an error is beyond its tolerance."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=1000, help="random pairs of rows")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    are_values_right = compare_values()
    is_accurate = compare_pairs(options.pairs, options.seed)
    sys.exit(0 if are_values_right and is_accurate else 1)


if __name__ == "__main__":
    main()
