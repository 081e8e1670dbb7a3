"""Fixtures that several test files share."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from underdetermined.activation_comparison import _compare
from underdetermined.cli import main


@pytest.fixture(scope="module")
def single_threaded_blas():
    """Keep BLAS from splitting small products: its threads wait for each other when the machine is busy."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def rng():
    """Return a generator with a fixed seed, new for every test."""
    return np.random.default_rng(20)


@pytest.fixture
def matrix_with_condition(rng):
    """Return a function that builds a matrix of norm one with log-spaced singular values, read-only."""

    def build(n, m, condition, order="C"):
        p = min(n, m)
        left = np.linalg.qr(rng.standard_normal((n, p)))[0]
        right = np.linalg.qr(rng.standard_normal((m, p)))[0]
        matrix = np.array((left * np.geomspace(1.0, 1.0 / condition, p)) @ right.T, order=order)
        matrix.flags.writeable = False
        return matrix

    return build


@pytest.fixture
def wide_system(rng, matrix_with_condition):
    """Return a function that builds a consistent wide system with a condition number: matrix (n, m), targets (n, k)."""

    def build(condition, n=20, m=50, k=1):
        matrix = matrix_with_condition(n, m, condition)
        targets = matrix @ rng.standard_normal((m, k))
        targets.flags.writeable = False
        return matrix, targets

    return build


@pytest.fixture(scope="module")
def data():
    """Read-only rows and smooth, noisy targets."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((80, 4))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(80)
    for array in (X, y):
        array.flags.writeable = False
    return X, y


@pytest.fixture
def few_activations(monkeypatch):
    """Compare two activations where none are named: a panel for each of twenty takes most of the time of a page."""
    monkeypatch.setattr(_compare, "names", lambda: ("relu", "tanh"))


@pytest.fixture
def run(capsys):
    """Return a function that runs a command line and gives its exit code, standard output and standard error."""

    def run_main(*words):
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run_main


@pytest.fixture(scope="module")
def write_points(tmp_path_factory):
    """Return a function that writes a CSV file with the columns height, x and y."""

    def write(height, inputs):
        path = tmp_path_factory.mktemp("data") / "points.csv"
        rows = np.column_stack([height, inputs])
        np.savetxt(path, rows, delimiter=",", header="height,x,y", comments="", fmt="%.17g")
        return path

    return write
