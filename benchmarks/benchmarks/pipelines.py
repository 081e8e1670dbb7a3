"""From data to predictions: the estimators against what a scikit-learn user would pick."""

from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline

from benchmarks.benchmarks.common import inputs
from underdetermined import RandomFeatureRegressor


def problem(n):
    """Smooth targets of eight inputs."""
    X = inputs(n, 8)
    return X, X[:, 0] * X[:, 1] + abs(X[:, 2])


def contenders(X, y, width):
    """Name -> function that fits on X, y and predicts X; the penalty is given, so that the same work is done."""

    def run(model):
        return lambda: model.fit(X, y).predict(X)

    sampler = RBFSampler(gamma=1 / 16, n_components=width, random_state=0)
    return {
        "RandomFeatureRegressor(alpha=0)": run(RandomFeatureRegressor(width, alpha=0, random_state=0)),
        "RandomFeatureRegressor(alpha=1e-3)": run(RandomFeatureRegressor(width, alpha=1e-3, random_state=0)),
        'RandomFeatureRegressor(alpha="loo")': run(RandomFeatureRegressor(width, random_state=0)),
        "RBFSampler | Ridge": run(make_pipeline(sampler, Ridge(1e-3))),
        "RBFSampler | LinearRegression": run(make_pipeline(sampler, LinearRegression())),
    }


class Fit:
    """Fit and predict."""

    param_names = ["n", "alpha"]
    params = [[200, 3000], [0, "loo"]]

    def setup(self, n, alpha):
        """Fit once, to compile the kernel, and keep the network for predictions."""
        self.X, self.y = problem(n)
        self.network = RandomFeatureRegressor(2 * n, alpha=alpha, random_state=0).fit(self.X, self.y)

    def time_fit(self, n, alpha):
        """Seconds of a fit."""
        self.network.fit(self.X, self.y)

    def peakmem_fit(self, n, alpha):
        """Bytes of a fit."""
        self.network.fit(self.X, self.y)

    def time_predict(self, n, alpha):
        """Seconds of the predictions for all training rows."""
        self.network.predict(self.X)
