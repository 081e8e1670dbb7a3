"""Infinite-width tangent kernels against the bare product, NumPy's closed forms, torch and neural-tangents."""

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks import closed_forms
from benchmarks.benchmarks.common import inputs
from underdetermined.kernels import ntk_kernel

NAMES = tuple(closed_forms.IN_NUMPY)
PEER = Path(__file__).resolve().parents[1] / "neural_tangents_peer.py"


def rows(n, d):
    """Gaussian rows with squared norms of about one, so that a weight scale of one is the usual initialisation."""
    return inputs(n, d) / np.sqrt(d)


def contenders(n, d, names=NAMES, others=True):
    """The bare product, our kernel for each activation, and what else computes it."""
    X, out = rows(n, d), np.empty((n, n))
    calls = {"numpy.matmul": lambda: np.matmul(X, X.T, out=out)}
    calls |= {name: (lambda name=name: ntk_kernel(X, activation=name)) for name in names}
    if others:
        calls |= {f"NumPy {name}": (lambda name=name: closed_forms.IN_NUMPY[name](X)) for name in names}
        if find_spec("torch"):
            calls |= _in_torch(X, names)
    return calls


def _in_torch(X, names):
    import torch

    X = torch.from_numpy(X)
    forms = closed_forms.expressions(torch)
    return {f"torch {name}": (lambda name=name: forms[name](X)) for name in names}


class Peer:
    """neural-tangents in another interpreter, which computes on demand: it needs a JAX that no longer goes with NumPy 2."""

    def __init__(self, python, n, d, folder):
        self.X, self.file = rows(n, d), Path(folder) / "kernel.npz"
        np.savez(Path(folder) / "inputs.npz", X=self.X)
        arguments = [python, str(PEER), str(folder)]
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.versions = self._read()["versions"]

    def ask(self, library, activation, what="time"):
        """Have the kernel of all rows computed, or that of the first rows written."""
        print(json.dumps([library, activation, what]), file=self.process.stdin, flush=True)
        self._read()

    def difference(self, activation):
        """Largest difference from our kernel on the first rows, relative to its largest entry."""
        self.ask("neural-tangents", activation, "write")
        with np.load(self.file) as stored:
            theirs = stored["kernel"]
        ours = ntk_kernel(self.X[: len(theirs)], activation=activation)
        return abs(theirs - ours).max() / abs(ours).max()

    def contenders(self):
        """neural-tangents and the NumPy of its interpreter for each activation."""
        libraries = {"neural-tangents": "neural-tangents", "its NumPy": "numpy"}
        return {
            f"{label} {name}": (lambda library=library, name=name: self.ask(library, name))
            for label, library in libraries.items()
            for name in NAMES
        }

    def close(self):
        """End the other process."""
        self.process.stdin.close()
        self.process.wait()

    def _read(self):
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                return json.loads(line)
        raise RuntimeError(f"{PEER.name} ended early, with exit status {self.process.wait()}")


class TangentKernel:
    """Time and memory of the tangent kernel of all rows."""

    param_names = ["n", "activation"]
    params = [[200, 5000], list(NAMES)]

    def setup(self, n, activation):
        """Draw the rows and compile the kernel."""
        self.X = rows(n, 20)
        self.out = ntk_kernel(self.X, activation=activation)

    def time_kernel(self, n, activation):
        """Our kernel."""
        ntk_kernel(self.X, activation=activation)

    def peakmem_kernel(self, n, activation):
        """Bytes of our kernel."""
        ntk_kernel(self.X, activation=activation)

    def time_numpy(self, n, activation):
        """The closed form in NumPy."""
        closed_forms.IN_NUMPY[activation](self.X)

    def time_matmul(self, n, activation):
        """The floor: the bare product into a given array."""
        np.matmul(self.X, self.X.T, out=self.out)

    def track_difference(self, n, activation):
        """Largest difference between the two, relative to the largest entry."""
        expected = closed_forms.IN_NUMPY[activation](self.X)
        return float(abs(self.out - expected).max() / abs(expected).max())
