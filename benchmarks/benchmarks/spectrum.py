"""Ends of a spectrum against all of it, and the forecast of gradient descent against running it."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.preprocessing import scale

from benchmarks.benchmarks.common import inputs
from underdetermined.descent import forecast_descent, optimal_learning_rate
from underdetermined.kernels import ntk_kernel
from underdetermined.lanczos import extreme_eigenvalues
from underdetermined.spectrum import Spectrum


def tangent_kernel(data, n):
    """Tangent kernel of relu with biases, of random rows or of digits, with its rows."""
    X = inputs(n, 20) if data == "random" else scale(load_digits().data)[:n]
    return ntk_kernel(X, activation="relu", weight_scale=X.shape[1] ** -0.5, bias_scale=1.0)


def contenders(gram):
    """The two extreme eigenvalues, by us and from all eigenvalues."""
    return {
        "extreme_eigenvalues": lambda: extreme_eigenvalues(gram),
        "numpy.linalg.eigvalsh": lambda: np.linalg.eigvalsh(gram)[[0, -1]],
    }


def extreme_errors(gram, found):
    """Relative errors of both ends, against eigvalsh."""
    smallest, *_, largest = np.linalg.eigvalsh(gram)
    return abs(found.smallest - smallest) / smallest, abs(found.largest - largest) / largest


def loop(gram, targets, learning_rate, steps):
    """Residual after so many steps of gradient descent on the last layer, step by step."""
    residual = targets.copy()
    for _ in range(steps):
        residual -= learning_rate * (gram @ residual)
    return residual


def forecasting(gram, steps):
    """Name -> function that returns the residual: the forecast, without and with its eigendecomposition, and the loop."""
    targets = np.random.default_rng(1).standard_normal((len(gram), 1))
    spectrum = Spectrum.from_gram(gram)
    rate = optimal_learning_rate(spectrum)
    return {
        "forecast, spectrum given": lambda: forecast_descent(spectrum, targets, learning_rate=rate).residual(steps),
        "spectrum and forecast": lambda: forecast_descent(
            Spectrum.from_gram(gram), targets, learning_rate=rate
        ).residual(steps),
        f"loop of {steps} steps": lambda: loop(gram, targets, rate, steps),
    }


class Extremes:
    """Largest and smallest eigenvalue of a tangent kernel."""

    param_names = ["n"]
    params = [[200, 5000]]

    def setup(self, n):
        """Compute the kernel."""
        self.gram = tangent_kernel("random", n)

    def time_extremes(self, n):
        """Our Lanczos steps and Cholesky factor."""
        extreme_eigenvalues(self.gram)

    def peakmem_extremes(self, n):
        """Bytes of the same, the kernel included."""
        extreme_eigenvalues(self.gram)

    def time_eigvalsh(self, n):
        """All eigenvalues."""
        np.linalg.eigvalsh(self.gram)

    def track_error(self, n):
        """Larger of the two relative errors."""
        return float(max(extreme_errors(self.gram, extreme_eigenvalues(self.gram))))


class Forecast:
    """Residual after a thousand steps."""

    param_names = ["n"]
    params = [[200, 2000]]

    def setup(self, n):
        """Compute the kernel and its spectrum."""
        self.calls = forecasting(tangent_kernel("random", n), 1000)

    def time_forecast(self, n):
        """From a spectrum."""
        self.calls["forecast, spectrum given"]()

    def time_spectrum_and_forecast(self, n):
        """From the kernel."""
        self.calls["spectrum and forecast"]()

    def time_loop(self, n):
        """Step by step."""
        self.calls["loop of 1000 steps"]()
