"""Features against the bare matrix product, NumPy, scikit-learn's RBFSampler and, if it is there, torch."""

from importlib.util import find_spec

import numpy as np
from scipy.special import erf, expit, ndtr
from sklearn.kernel_approximation import RBFSampler

from benchmarks.benchmarks.common import inputs, layer
from underdetermined import activations

IN_NUMPY = {
    "relu": lambda z: np.maximum(z, 0),
    "exp": np.exp,
    "tanh": np.tanh,
    "sigmoid": expit,
    "sin": np.sin,
    "cos": np.cos,
    "sin_cos": lambda z: np.sin(z) + np.cos(z),
    "erf": erf,
    "gelu": lambda z: z * ndtr(z),
    "silu": lambda z: z * expit(z),
    "softplus": lambda z: np.logaddexp(0, z),
}


def contenders(n, d, width, dtype="float64", names=tuple(IN_NUMPY), others=True):
    """The bare product, our features for each activation, and what else computes them."""
    X = inputs(n, d, dtype)
    maps = {name: layer(d, width, name, dtype) for name in names}
    weights, out = maps[names[0]].weights, np.empty((n, width), dtype)
    calls = {"numpy.matmul": lambda: np.matmul(X, weights, out=out)}
    calls |= {name: (lambda hidden=hidden: hidden(X, out=out)) for name, hidden in maps.items()}
    if others:
        sampler = RBFSampler(n_components=width, random_state=0).fit(X)
        calls["RBFSampler (cos)"] = lambda: sampler.transform(X)
        calls |= {f"NumPy {name}": (lambda f=IN_NUMPY[name]: f(X @ weights)) for name in ("relu", "cos", "gelu")}
        if find_spec("torch"):
            calls |= _in_torch(X, weights)
    return calls


def _in_torch(X, weights):
    import torch

    X, weights = torch.from_numpy(X), torch.from_numpy(weights)
    forms = {"relu": torch.relu, "cos": torch.cos, "gelu": torch.nn.functional.gelu}
    return {f"torch {name}": (lambda f=f: f(X @ weights)) for name, f in forms.items()}


class Features:
    """Time of the features of all rows."""

    param_names = ["n", "d", "width", "activation", "dtype"]
    params = [[200, 8000], [64, 784], [300, 4000], list(activations.names()), ["float64", "float32"]]

    def setup(self, n, d, width, activation, dtype):
        """Draw the layer and compile its kernel."""
        self.X, self.layer = inputs(n, d, dtype), layer(d, width, activation, dtype)
        self.out = self.layer(self.X)

    def time_features(self, n, d, width, activation, dtype):
        """Features into a given array."""
        self.layer(self.X, out=self.out)

    def time_matmul(self, n, d, width, activation, dtype):
        """The floor: the bare product into a given array."""
        np.matmul(self.X, self.layer.weights, out=self.out)

    def time_operator(self, n, d, width, activation, dtype):
        """Product of the features with one vector, without the features."""
        self.layer.operator(self.X).matvec(np.ones(width, dtype))
