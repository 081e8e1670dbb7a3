"""Test scores of networks with both layers trained, beside others: ``python -m benchmarks.two_layer_scores --data FOLDER``.

Regression on the diabetes data of scikit-learn and, where a folder with ``concrete.csv.gz``, ``airfoil.csv.gz`` and
``elevators.csv.gz`` is given (no header, the last column is the target), on these; of the last, 4000 rows. A quarter of the
rows is for testing. Every model chooses its penalty, and KernelRidge the width of its kernel too, by three folds of the
rest, the same folds for all; RandomFeatureRegressor does so by leave-one-out errors, which is its default. Networks are also
fitted with early stopping at the default penalty. Scores are R2 on the test rows, mean and standard deviation over splits;
seconds are those of the whole choice. Inputs and targets are standardised, and both networks have the same width.

Classification of digits with default parameters and one width: accuracy on a quarter of the rows, and seconds of fit and
prediction.
"""

import argparse
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.benchmarks.common import table
from underdetermined import RandomFeatureClassifier, RandomFeatureRegressor
from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor

FILES = ("concrete", "airfoil", "elevators")
MOST_ROWS = 4000


def problems(folder, names):
    """Yield name, inputs and targets."""
    for name in names:
        if name == "diabetes":
            yield name, *load_diabetes(return_X_y=True)
        else:
            rows = np.loadtxt(folder / f"{name}.csv.gz", delimiter=",")
            rows = rows[np.random.default_rng(0).permutation(len(rows))[:MOST_ROWS]]
            yield name, rows[:, :-1], rows[:, -1]


def regressors(width, seed, few):
    """Name -> estimator, parameters to choose from."""

    def powers(low, high, step):
        """Powers of ten."""
        return [10.0**power for power in range(low, high + 1, high - low if few else step)]

    most = 20 if few else 500
    sizes = {"hidden_layer_sizes": (width,), "random_state": seed}
    two = {"width": width, "random_state": seed}
    return {
        "TwoLayer, tanh, default": (TwoLayerRegressor(**two), {}),
        "TwoLayer, gelu, default": (TwoLayerRegressor(**two, activation="gelu"), {}),
        "TwoLayer, tanh": (TwoLayerRegressor(**two), {"alpha": powers(-5, 1, 1)}),
        "TwoLayer, gelu": (TwoLayerRegressor(**two, activation="gelu"), {"alpha": powers(-5, 1, 1)}),
        "TwoLayer, tanh, early stopping": (TwoLayerRegressor(**two, early_stopping=True), {}),
        "MLP (Adam, relu)": (MLPRegressor(**sizes, max_iter=most), {"alpha": powers(-4, 2, 2)}),
        "MLP (L-BFGS, tanh)": (
            MLPRegressor(**sizes, solver="lbfgs", activation="tanh", max_iter=2 * most), {"alpha": powers(-2, 2, 2)},
        ),
        "MLP (Adam, relu), early stopping": (MLPRegressor(**sizes, early_stopping=True, max_iter=most), {}),
        "Ridge": (Ridge(), {"alpha": powers(-4, 4, 1)}),
        "KernelRidge (Gaussian)": (
            KernelRidge(kernel="rbf"), {"alpha": powers(-5, 1, 1), "gamma": powers(-4, 0, 1)},
        ),
        "RandomFeatureRegressor": (RandomFeatureRegressor(random_state=seed), {}),
    }  # fmt: skip


def score_regressor(model, grid, X, y, X_test, y_test, seed):
    """Test score, what was chosen, seconds."""
    pipeline = make_pipeline(StandardScaler(), model)
    step = pipeline.steps[-1][0]
    whole = TransformedTargetRegressor(pipeline, transformer=StandardScaler())
    start = perf_counter()
    if grid:
        named = {f"regressor__{step}__{name}": values for name, values in grid.items()}
        whole = GridSearchCV(whole, named, cv=KFold(3, shuffle=True, random_state=seed))
    whole.fit(X, y)
    seconds = perf_counter() - start
    chosen = " ".join(
        f"{name.rpartition('__')[2]}={value:.3g}" for name, value in getattr(whole, "best_params_", {}).items()
    )
    return whole.score(X_test, y_test), chosen, seconds


def regression(folder, names, width, splits, few, only):
    """Print a table for each problem."""
    for name, X, y in problems(folder, names):
        if few:
            X, y = X[:120], y[:120]
        found = {}
        for seed in range(splits):
            X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=seed)
            for label, (model, grid) in regressors(width, seed, few).items():
                if only in label:
                    result = score_regressor(model, grid, X_train, y_train, X_test, y_test, seed)
                    found.setdefault(label, []).append(result)
        rows = []
        for label, results in found.items():
            scores, chosen, seconds = zip(*results, strict=True)
            cells = [f"{np.mean(scores):.4f}", f"{np.std(scores):.4f}", chosen[0], f"{np.mean(seconds):.1f}"]
            rows.append([label, *cells])
        title = f"{name}: {len(X_train)} training rows, {len(X_test)} test rows, {X.shape[1]} inputs, width {width}"
        table(title, ["model", "R2", "deviation", "chosen first", "seconds"], rows)


def classification(width, splits, few, only):
    """Print the table for digits."""
    X, y = load_digits(return_X_y=True)
    if few:
        X, y = X[:200], y[:200]
    most = 20 if few else 200
    models = {
        "TwoLayerClassifier": lambda seed: TwoLayerClassifier(width, random_state=seed),
        "TwoLayerClassifier, gelu": lambda seed: TwoLayerClassifier(width, activation="gelu", random_state=seed),
        "MLPClassifier (Adam)": lambda seed: MLPClassifier((width,), random_state=seed, max_iter=most),
        "MLPClassifier (L-BFGS)": lambda seed: MLPClassifier((width,), solver="lbfgs", random_state=seed, max_iter=most),
        "RandomFeatureClassifier": lambda seed: RandomFeatureClassifier(random_state=seed),
    }
    rows = []
    for label, build in models.items():
        if only not in label:
            continue
        scores, seconds = [], []
        for seed in range(splits):
            X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
            pipeline = make_pipeline(StandardScaler(), build(seed))
            start = perf_counter()
            scores.append(pipeline.fit(X_train, y_train).score(X_test, y_test))
            seconds.append(perf_counter() - start)
        rows.append([label, f"{np.mean(scores):.4f}", f"{np.std(scores):.4f}", f"{np.mean(seconds):.2f}"])
    title = f"digits: {len(X_train)} training images, {len(X_test)} test images, width {width}"
    table(title, ["model", "accuracy", "deviation", "seconds"], rows)


def main(arguments=None):
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with concrete.csv.gz, airfoil.csv.gz and elevators.csv.gz")
    parser.add_argument("--problem", action="append", help="one problem alone; may be repeated")
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--width", type=int, default=512, help="neurons of both networks")
    parser.add_argument("--splits", type=int, default=3, help="random splits into training and test rows")
    parser.add_argument("--small", action="store_true", help="few rows, few neurons, one split")
    options = parser.parse_args(arguments)
    width, splits = (16, 1) if options.small else (options.width, options.splits)
    known = ("diabetes", *(FILES if options.data else ()), "digits")
    chosen = options.problem or known
    if unknown := set(chosen) - set(known):
        parser.error(f"no problem {sorted(unknown)}; choose from {', '.join(known)}, with --data for files")
    with warnings.catch_warnings(), threadpool_limits(1):
        # Networks that are stopped early by max_iter are judged by their scores.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression(options.data, [name for name in chosen if name != "digits"], width, splits, options.small, options.only)
        if "digits" in chosen:
            classification(width, splits, options.small, options.only)


if __name__ == "__main__":
    main()
