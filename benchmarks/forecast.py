"""Training runs beside their forecasts: ``python -m benchmarks.forecast [--small]``.

The last layer alone obeys its forecast to rounding; with both layers trained the forecast is an approximation, whose error
falls with the width.
"""

import argparse
from dataclasses import replace
from time import perf_counter

import numpy as np
from sklearn.datasets import load_diabetes

from benchmarks.benchmarks.common import table
from underdetermined import FeatureMap
from underdetermined.descent import forecast_descent
from underdetermined.gram import ntk_matrix
from underdetermined.kernels import ntk_kernel
from underdetermined.objectives import LeastSquares, TwoLayer
from underdetermined.optimize import METHODS, gradient_descent
from underdetermined.spectrum import Spectrum
from underdetermined.weights import sample_gaussian

BIAS_SCALE = 0.5


def standardised(values):
    """Zero mean and unit variance for every column."""
    return (values - values.mean(axis=0)) / values.std(axis=0)


def data_sets(small):
    """Inputs and targets: real ones, and random ones with two outputs."""
    X, y = load_diabetes(return_X_y=True)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((30 if small else 200, 5))
    targets = np.column_stack([np.sin(inputs[:, 0]), rng.standard_normal(len(inputs))])
    rows = slice(0, 40 if small else None)
    return {"diabetes": (standardised(X)[rows], standardised(y)[rows]), "random": (inputs, targets)}


def hidden_layer(n_inputs, width, activation, seed):
    """Gaussian weights of variance 1 / n_inputs, and biases."""
    weights, biases = sample_gaussian(n_inputs, width, seed=seed)
    return FeatureMap(weights / np.sqrt(n_inputs), BIAS_SCALE * biases, activation=activation)


def last_layer(small):
    """Difference between run and forecast of the last layer, relative to the largest residual so far and to the last one.

    The best pair of heavy ball puts the largest eigenvalue on a double root: its part of the residual first grows by about
    the root of the condition number, and rounding of that eigenvalue counts as often as the square of the number of steps. A
    rate below it has neither.
    """
    checkpoints = (10, 100) if small else (10, 100, 1000, 10000)
    rows = []
    for name, (X, y) in data_sets(small).items():
        for activation in ("relu", "tanh"):
            features = hidden_layer(X.shape[1], 2 * len(X), activation, seed=0)(X)
            objective, spectrum = LeastSquares(features, y), Spectrum.from_gram(features @ features.T)
            for method, share in (*((name, 1.0) for name in METHODS), ("heavy_ball", 0.9)):
                best = forecast_descent(spectrum, y, method=method)
                forecast = replace(best, learning_rate=share * best.learning_rate)
                kept = {}

                def keep(step, theta, kept=kept):
                    if step in checkpoints:
                        kept[step] = theta

                gradient_descent(
                    objective,
                    np.zeros(objective.n_parameters),
                    learning_rate=forecast.learning_rate,
                    momentum=forecast.momentum,
                    method=method,
                    max_iter=checkpoints[-1],
                    callback=keep,
                )
                sizes = forecast.relative_residual(np.arange(checkpoints[-1] + 1))
                errors = [
                    np.linalg.norm(objective.residual(kept[step]) - forecast.residual(step)) / forecast.initial_norm
                    for step in checkpoints
                ]
                cells = [f"{error / sizes[: step + 1].max():.1e}" for error, step in zip(errors, checkpoints, strict=True)]
                last = [f"{errors[-1] / sizes[-1]:.1e}", f"{sizes.max():.0f}", f"{sizes[-1]:.1e}"]
                label = f"{name}, {activation}, {method}" + (f", {share} of the rate" if share < 1.0 else "")
                rows.append([label, f"{spectrum.condition:.1e}", *cells, *last])
    header = ["data, activation, method", "condition", *(f"{step} steps" for step in checkpoints)]
    header += ["of |r_t|", "max |r|", "last |r|"]
    table("last layer: |run - forecast| relative to the largest residual so far; |r| relative to |r_0|", header, rows)


def full_network(small):
    """Largest error of the forecast loss curve of both layers, relative to the residual at step 0, by width."""
    widths, seeds, n_steps = ((64, 256), 2, 20) if small else ((256, 1024, 4096, 16384), 3, 200)
    X, y = data_sets(small)["diabetes"]
    X, y = X[:100], y[:100]
    for activation in ("relu", "erf", "gelu"):
        weight_scale = X.shape[1] ** -0.5
        limit = Spectrum.from_gram(ntk_kernel(X, activation=activation, weight_scale=weight_scale, bias_scale=BIAS_SCALE))
        rate, rows, errors = 1.0 / limit.largest, [], []
        for width in widths:
            start, found = perf_counter(), []
            for seed in range(seeds):
                layer = hidden_layer(X.shape[1], width, activation, seed)
                coef = np.random.default_rng(seed).choice([-1.0, 1.0], width)
                objective = TwoLayer(X, y, layer, coef)
                theta = objective.initial()
                run = gradient_descent(objective, theta, learning_rate=rate, max_iter=n_steps)
                found.append(
                    [
                        forecast_descent(
                            spectrum, objective.residual(theta), learning_rate=rate, is_exact=False
                        ).measured_error(run.value)
                        for spectrum in (Spectrum.from_gram(ntk_matrix(layer, X, coef)), limit)
                    ]
                )
            errors.append(np.mean(found, axis=0))
            spread = np.std(found, axis=0)
            cells = [f"{mean:.1e} +- {deviation:.0e}" for mean, deviation in zip(errors[-1], spread, strict=True)]
            rows.append([str(width), *cells, f"{perf_counter() - start:.1f}"])
        slopes = np.polyfit(np.log(widths), np.log(errors), 1)[0]
        rows.append(["fitted slope", *(f"{slope:.2f}" for slope in slopes), ""])
        left = np.sqrt(run.value[-1] / run.value[0])
        title = f"both layers, {activation}, {len(X)} rows of diabetes, {n_steps} steps to {left:.2f} |r_0|, {seeds} seeds"
        table(title, ["width", "forecast of its own tangent kernel", "of infinite width", "s"], rows)


def main():
    """Parse the command line and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="toy sizes, to see that it runs")
    arguments = parser.parse_args()
    last_layer(arguments.small)
    full_network(arguments.small)


if __name__ == "__main__":
    main()
