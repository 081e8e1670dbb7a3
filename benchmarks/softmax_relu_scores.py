"""Held-out log-loss of networks fitted to shares, beside others: ``python -m benchmarks.softmax_relu_scores``.

Three problems whose targets are shares of m classes:

* digits, wine: bags. An input is the mean of 8 (wine: 4) rows of the table, a target the frequencies of their classes. The
  classes of a bag are drawn from a random composition, Dirichlet with parameter 1/2. Bags for training and for testing are
  made of different rows of the table, so that no row is on both sides. Inputs of digits keep their units.
* choice: an aggregate choice model. Each of 300, or 3000, markets has 8 covariates; 3 segments of customers, whose sizes
  are a softmax of the covariates, choose among 6 alternatives with 4 attributes each, by a softmax of attributes times
  part-worths, which are positive parts of linear functions of the covariates. Targets are the shares among 30 choices.

Log-loss is the mean of -sum_k y_k log f_k on held-out rows, mean and standard deviation over splits; 0 is out of reach, and
the least possible one is that of the true shares where these are known. All models see inputs standardised by the training
rows, and all choose their penalty by the log-loss in three folds, the same for all. Classifiers of scikit-learn take a row
of shares as one row for each class, with the share as its weight. Seconds are those of the whole choice, and of one fit.
"""

import argparse
import warnings
from time import perf_counter

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.benchmarks.common import table
from underdetermined.estimators import SoftmaxReLURegressor

PROBLEMS = ("digits", "wine", "choice-300", "choice-3000")
# Seeds below this one have been looked at while defaults were chosen.
FIRST_SEED = 100
# No classifier is asked for the logarithm of less.
SMALLEST = 1e-12


def bags(rows, labels, n_classes, size, count, rng):
    """Mean inputs and class frequencies of some bags."""
    members = [np.flatnonzero(labels == label) for label in range(n_classes)]
    counts = np.array([rng.multinomial(size, rng.dirichlet(np.full(n_classes, 0.5))) for _ in range(count)])
    drawn = (np.concatenate([rng.choice(own, number) for own, number in zip(members, each, strict=True)]) for each in counts)
    return np.array([rows[which].mean(axis=0) for which in drawn]), counts / size


def bags_of(load, size, count, seed):
    """Bags for training and for testing, from different rows."""
    rows, labels = load(return_X_y=True)
    first, second, own, other = train_test_split(rows, labels, test_size=0.4, random_state=seed, stratify=labels)
    rng, n_classes = np.random.default_rng(seed), labels.max() + 1
    return *bags(first, own, n_classes, size, count, rng), *bags(second, other, n_classes, size, 1000, rng), None


def choices(count, seed, n_alternatives=6, n_covariates=8, n_segments=3, n_choices=30):
    """Markets for training and for testing, and the true shares of the latter."""
    rng = np.random.default_rng(seed)
    attributes = rng.standard_normal((n_alternatives, 4))
    worth = 2.0 * rng.standard_normal((n_segments, 4, n_covariates)) / np.sqrt(n_covariates)
    base = rng.standard_normal((n_segments, 4))
    sizes = 1.5 * rng.standard_normal((n_covariates, n_segments)) / np.sqrt(n_covariates)
    X = rng.standard_normal((count + 2000, n_covariates))
    part_worths = np.maximum(np.einsum("sac,nc->nsa", worth, X) + base, 0.0)
    shares = np.einsum("ns,nsk->nk", softmax(X @ sizes, axis=1), softmax(part_worths @ attributes.T, axis=2))
    Y = np.array([rng.multinomial(n_choices, each) for each in shares]) / n_choices
    return X[:count], Y[:count], X[count:], Y[count:], shares[count:]


def problem(name, seed, few):
    """Training inputs and targets, test inputs and targets, and the true test shares or None."""
    if name == "digits":
        return bags_of(load_digits, 8, 80 if few else 600, seed)
    if name == "wine":
        return bags_of(load_wine, 4, 60 if few else 200, seed)
    return choices(int(name.partition("-")[2]) // (5 if few else 1), seed)


class Repeated(BaseEstimator):
    """A classifier that learns shares: each row once for every class, with the share as its weight."""

    def __init__(self, classifier, alpha=1.0):
        self.classifier = classifier
        self.alpha = alpha

    def fit(self, X, y):
        """Fit the classifier with this penalty; logistic regression takes its inverse."""
        row, label = np.nonzero(y)
        own = {"C": 1.0 / self.alpha} if isinstance(self.classifier, LogisticRegression) else {"alpha": self.alpha}
        self.n_outputs_ = y.shape[1]
        self.classifier_ = clone(self.classifier).set_params(**own).fit(X[row], label, sample_weight=y[row, label])
        return self

    def predict(self, X):
        """Return shares, 0 for classes that no training row had."""
        shares = np.zeros((len(X), self.n_outputs_))
        shares[:, self.classifier_.classes_] = self.classifier_.predict_proba(X)
        return shares


class Mean(BaseEstimator):
    """The mean composition."""

    def fit(self, X, y):
        """Take the mean."""
        self.mean_ = y.mean(axis=0)
        return self

    def predict(self, X):
        """Return the mean for every row."""
        return np.tile(self.mean_, (len(X), 1))


def log_loss(Y, shares):
    """Mean of -sum y log f."""
    return float(-(Y * np.log(np.maximum(shares, SMALLEST))).sum(axis=1).mean())


def models(width, seed, few):
    """Name -> estimator, penalties to choose from."""

    def penalties(low, high, count):
        return list(np.logspace(low, high, 2 if few else count))

    own = {"width": width, "random_state": seed}
    size = {"hidden_layer_sizes": (width,), "random_state": seed, "max_iter": 20 if few else 500}
    return {
        "SoftmaxReLU, default": (SoftmaxReLURegressor(**own), []),
        "SoftmaxReLU, kl": (SoftmaxReLURegressor(**own), penalties(-4, -1, 7)),
        "SoftmaxReLU, squared": (SoftmaxReLURegressor(**own, loss="squared"), penalties(-5, -2, 7)),
        "MLP (Adam)": (Repeated(MLPClassifier(**size)), penalties(-3, 1, 5)),
        "MLP (L-BFGS)": (Repeated(MLPClassifier(**size, solver="lbfgs")), penalties(-1, 3, 5)),
        "Logistic regression": (Repeated(LogisticRegression(max_iter=2000)), penalties(-2, 2, 5)),
        "Mean composition": (Mean(), []),
    }


def run(model, grid, X, Y, X_test, Y_test, seed):
    """Test log-loss, seconds of the choice, seconds of one fit, what was chosen."""
    whole = make_pipeline(StandardScaler(), model)
    start, fit, chosen = perf_counter(), 0.0, ""
    if grid:
        name = f"{whole.steps[-1][0]}__alpha"
        folds = KFold(3, shuffle=True, random_state=seed)
        whole = GridSearchCV(whole, {name: grid}, cv=folds, scoring=lambda model, X, Y: -log_loss(Y, model.predict(X)))
    whole.fit(X, Y)
    seconds = perf_counter() - start
    fit = whole.refit_time_ if grid else seconds
    chosen = f"{whole.best_params_[name]:.1g}" if grid else ""
    return log_loss(Y_test, whole.predict(X_test)), seconds, fit, chosen


def compare(name, width, seeds, few, only):
    """Print the table of one problem."""
    found: dict[str, list] = {}
    for seed in seeds:
        X, Y, X_test, Y_test, truth = problem(name, seed, few)
        for label, (model, grid) in models(width, seed, few).items():
            if only in label:
                found.setdefault(label, []).append(run(model, grid, X, Y, X_test, Y_test, seed))
        if truth is not None:
            found.setdefault("True shares", []).append((log_loss(Y_test, truth), 0.0, 0.0, ""))
    rows = []
    for label, results in found.items():
        losses, seconds, fits, chosen = zip(*results, strict=True)
        times = [f"{np.mean(seconds):.2f}", f"{np.mean(fits):.2f}"]
        rows.append([label, f"{np.mean(losses):.4f}", f"{np.std(losses):.4f}", *times, " ".join(chosen).strip()])
    title = (
        f"{name}: {len(X)} training rows, {len(X_test)} test rows, {X.shape[1]} inputs, {Y.shape[1]} shares, width {width}"
    )
    table(title, ["model", "log-loss", "deviation", "seconds", "of one fit", "penalties chosen"], rows)


def main(arguments=None):
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problem", action="append", choices=PROBLEMS, help="one problem alone; may be repeated")
    parser.add_argument("--only", default="", help="models with this in their name")
    parser.add_argument("--width", type=int, default=100, help="hidden units of all networks")
    parser.add_argument("--splits", type=int, default=5, help="random splits, problems and networks")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED, help="of the first split; the others count on from it")
    parser.add_argument("--small", action="store_true", help="few rows, few units, one split")
    options = parser.parse_args(arguments)
    width, splits = (10, 1) if options.small else (options.width, options.splits)
    seeds = range(options.first_seed, options.first_seed + splits)
    with warnings.catch_warnings(), threadpool_limits(1):
        # Networks that are stopped early by max_iter are judged by their log-loss.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for name in options.problem or PROBLEMS:
            compare(name, width, seeds, options.small, options.only)


if __name__ == "__main__":
    main()
