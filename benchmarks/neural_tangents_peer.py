"""Tangent kernels of neural-tangents on demand, for `benchmarks.compare --neural-tangents PYTHON`.

PYTHON is an interpreter with neural-tangents 0.6.5, the last release, which needs an environment of its own::

    pip install "neural-tangents==0.6.5" "jax==0.4.23" "jaxlib==0.4.23" "numpy<2" "scipy<1.13"

The script imports nothing of the package. Its argument is a folder with the inputs; each line of its input names a library,
an activation and "time" or "write"; it answers every line when the kernel is there. Its network has the parametrisation
"ntk", which divides the products of the inputs by their number d: on rows sqrt(d) times as long it has the kernel that
`ntk_kernel` gives for the rows themselves with a weight scale of one.
"""

import json
import sys
from pathlib import Path

import jax
import neural_tangents
import numpy as np
from closed_forms import IN_NUMPY
from neural_tangents import stax

SAMPLE = 50
LAYERS = {
    "relu": stax.Relu,
    "erf": stax.Erf,
    "sin_cos": lambda: stax.Sin(a=2**0.5, b=1.0, c=np.pi / 4),
    "gelu": stax.Gelu,
}


def compiled(activation):
    """The kernel function of one activation, compiled on first use."""
    dense = {"W_std": 1.0, "b_std": None, "parameterization": "ntk"}
    kernel = stax.serial(stax.Dense(1, **dense), LAYERS[activation](), stax.Dense(1, **dense))[2]
    return jax.jit(lambda X: kernel(X, None, "ntk"))


def main(folder):
    """Answer the lines of standard input until it closes."""
    jax.config.update("jax_enable_x64", True)
    X = np.load(folder / "inputs.npz")["X"]
    longer = jax.numpy.asarray(np.sqrt(X.shape[1]) * X)
    kernels = {name: compiled(name) for name in LAYERS}
    versions = f"neural-tangents {neural_tangents.__version__}, JAX {jax.__version__}, NumPy {np.__version__}"
    print(json.dumps({"versions": versions}), flush=True)
    for line in sys.stdin:
        library, activation, what = json.loads(line)
        if what == "write":
            np.savez(folder / "kernel.npz", kernel=np.asarray(kernels[activation](longer[:SAMPLE])))
        elif library == "numpy":
            IN_NUMPY[activation](X)
        else:
            kernels[activation](longer).block_until_ready()
        print(json.dumps({"done": activation}), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
