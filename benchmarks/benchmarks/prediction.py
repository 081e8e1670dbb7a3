"""Default estimators on real data: every parameter but the seed left alone, inputs standardised."""

import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn import datasets
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.kernel_approximation import RBFSampler
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from underdetermined import RandomFeatureClassifier, RandomFeatureRegressor

EMBEDDED = ("diabetes", "breast_cancer", "wine", "digits")


def regressors():
    """Name -> estimator."""
    return {
        "RandomFeatureRegressor": RandomFeatureRegressor(random_state=0),
        "RandomFeatureRegressor(alpha=0)": RandomFeatureRegressor(alpha=0, random_state=0),
        "RidgeCV": RidgeCV(),
        "RBFSampler | RidgeCV": make_pipeline(RBFSampler(random_state=0), RidgeCV()),
        "KernelRidge(rbf)": KernelRidge(kernel="rbf"),
        "MLPRegressor": MLPRegressor(random_state=0),
        "HistGradientBoosting": HistGradientBoostingRegressor(random_state=0),
    }


def classifiers():
    """Name -> estimator."""
    return {
        "RandomFeatureClassifier": RandomFeatureClassifier(random_state=0),
        "RandomFeatureClassifier(alpha=0)": RandomFeatureClassifier(alpha=0, random_state=0),
        "RidgeClassifierCV": RidgeClassifierCV(),
        "RBFSampler | RidgeClassifierCV": make_pipeline(RBFSampler(random_state=0), RidgeClassifierCV()),
        "MLPClassifier": MLPClassifier(random_state=0),
        "HistGradientBoosting": HistGradientBoostingClassifier(random_state=0),
    }


def scores(files, n_train):
    """Yield (title, rows of name, test score, seconds) for files and for the data sets of scikit-learn."""
    for path in files:
        table = np.loadtxt(path, delimiter=",")
        yield _race(Path(path).name, table[:, :-1], table[:, -1], regressors(), n_train)
    for name in EMBEDDED:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        yield _race(name, X, y, regressors() if name == "diabetes" else classifiers(), n_train)


def _race(title, X, y, models, n_train):
    size = min(n_train, int(0.75 * len(X)))
    X_train, X_test, y_train, y_test = train_test_split(X, y, train_size=size, random_state=0)
    rows = []
    for name, model in models.items():
        pipeline = make_pipeline(StandardScaler(), model)
        start = perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            score = pipeline.fit(X_train, y_train).score(X_test, y_test)
        rows.append([name, f"{score:.3f}", f"{perf_counter() - start:.2f}"])
    return f"{title}: {size} training rows, {len(X_test)} test rows", rows


class Defaults:
    """Test score of the default estimators."""

    param_names = ["dataset"]
    params = [["wine", "diabetes", "breast_cancer", "digits"]]

    def track_score(self, dataset):
        """R2 or accuracy."""
        X, y = getattr(datasets, f"load_{dataset}")(return_X_y=True)
        models = regressors() if dataset == "diabetes" else classifiers()
        name = next(iter(models))
        return float(_race(dataset, X, y, {name: models[name]}, 3000)[1][0][1])
