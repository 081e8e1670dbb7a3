"""Attainable ranks against two numerical ones, activation by activation: ``python -m benchmarks.attainability_ranks``.

Every configuration of duplicates, rays, antipodal pairs and zero rows is judged twice: by the singular values of a feature
matrix of 4000 neurons (rows turned by a random rotation, so that ties hold to rounding only), and by elimination in 60
digits with a few neurons (rows exact). The singular values decide only where there is a gap; the table counts the
configurations in which they do not, because independent smooth features can be closer than float64 resolves.
"""

import argparse
import sys
from pathlib import Path
from time import perf_counter

import numpy as np

from benchmarks.benchmarks.common import table
from underdetermined.activations import get_activation, names
from underdetermined.attainability import attainable_rank

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from attainability_oracle import exact_features, exact_rank, feature_matrix, random_rows, singular_values  # noqa: E402

KINKED = {"relu", "leaky_relu", "abs", "step", "squared_relu", "shifted_relu", "elu"}
# Singular values above the first number are there, below the second are rounding; between them nothing is decided.
PRESENT, ABSENT = 1e-10, 1e-13


def judge(X, activation, bias, rng):
    """Rank of the exact rows, of the turned ones, of 4000 neurons (None: undecided), in 60 digits; null-vector defect."""
    predicted = attainable_rank(X, activation=activation, bias=bias)
    turned = X @ np.linalg.qr(rng.standard_normal((X.shape[1], X.shape[1])))[0] * 2.0 ** rng.uniform(-20, 20)
    found = attainable_rank(turned, activation=activation, bias=bias)
    features = feature_matrix(turned, activation, rng, biases=bias)
    singular = singular_values(features)
    undecided = ((singular > ABSENT) & (singular < PRESENT)).any()
    rank = None if undecided else int((singular > PRESENT).sum())
    reach = np.linalg.norm(turned, axis=1).max() or 1.0
    raw = activation.value(turned @ rng.standard_normal((X.shape[1], 4000)) / reach + bias * rng.standard_normal(4000))
    defect = np.linalg.norm(found.null_vectors.T @ raw, axis=1).max(initial=0.0) / (np.linalg.norm(raw) or 1.0)
    width = 40 * len(X) if activation.name in KINKED else len(X) + 12
    exact = exact_rank(exact_features(X, activation, rng, width, biases=bias))[0]
    return predicted.rank, found.rank, rank, exact, defect


def main():
    """Print one line per activation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configurations", type=int, default=300)
    parser.add_argument("--activations", nargs="*", default=list(names()))
    parser.add_argument("--bias", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = []
    for name in options.activations:
        rng = np.random.default_rng(options.seed)
        activation = get_activation(name)
        start = perf_counter()
        cases = [random_rows(rng, (1, 2, 3, 5)[index % 4]) for index in range(options.configurations)]
        answers = [judge(X, activation, options.bias, rng) for X in cases]
        numerical = [(found, rank) for _, found, rank, _, _ in answers if rank is not None]
        rows.append(
            [
                name,
                f"{sum(answer[0] < len(X) for answer, X in zip(answers, cases, strict=True))}",
                f"{sum(found == rank for found, rank in numerical)} / {len(numerical)}",
                f"{len(answers) - len(numerical)}",
                f"{sum(found == exact for _, found, _, exact, _ in answers)} / {len(answers)}",
                f"{sum(found == predicted for predicted, found, _, _, _ in answers)} / {len(answers)}",
                f"{max(answer[4] for answer in answers):.1e}",
                f"{perf_counter() - start:.0f}",
            ]
        )
        print(*rows[-1], sep="  ", flush=True)
    header = ["activation", "deficient", "of 4000 neurons", "undecided", "in 60 digits", "rotated", "null vectors", "s"]
    table(f"attainable ranks on {options.configurations} configurations", header, rows)


if __name__ == "__main__":
    main()
