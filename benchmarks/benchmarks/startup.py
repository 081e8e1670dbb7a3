"""What the first minute costs: import, first call with a cold and a warm kernel cache, peak memory of a huge width."""

import os
import subprocess
import sys
import tempfile

from benchmarks.benchmarks.common import SMOKE

IMPORT_SKLEARN = "import sklearn.linear_model, sklearn.kernel_approximation"
IMPORT = "import underdetermined"
FIRST_CALL = """
from time import perf_counter
import numpy as np, underdetermined
X = np.random.default_rng(0).standard_normal((100, 5))
start = perf_counter()
underdetermined.RandomFeatureRegressor(random_state=0, activation={activation!r}).fit(X, X[:, 0]).predict(X)
print(perf_counter() - start)
"""
HUGE_WIDTH = """
import resource
from time import perf_counter
import numpy as np, underdetermined
rng = np.random.default_rng(0)
X = rng.standard_normal(({n}, 10))
y = np.sin(X[:, 0]) * X[:, 1] + 0.1 * rng.standard_normal({n})
start = perf_counter()
network = underdetermined.RandomFeatureRegressor({width}, alpha=0, random_state=0).fit(X, y)
fitted = perf_counter() - start
residual = np.linalg.norm(network.predict(X) - y) / np.linalg.norm(y)
print(fitted, residual, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, network.solution_.method,
      network.condition_)
"""


def run(code: str, cache: str | None = None) -> str:
    """Run code in a new process and return what it prints."""
    environment = {**os.environ, **({"NUMBA_CACHE_DIR": cache} if cache else {})}
    return subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True).stdout


def huge_width(n: int, width: int) -> dict[str, str | float]:
    """Fit and predict at this width in a new process."""
    seconds, residual, peak, method, condition = run(HUGE_WIDTH.format(n=n, width=width)).split()
    return {
        "seconds": float(seconds),
        "residual": float(residual),
        "peak": float(peak),
        "method": method,
        "condition": float(condition),
    }


class Startup:
    """Seconds and bytes in new processes."""

    timeout = 600

    def time_import(self):
        """Import of the package."""
        run(IMPORT)

    def track_first_call_cold(self):
        """First fit and predict, nothing in the kernel cache."""
        with tempfile.TemporaryDirectory() as cache:
            return float(run(FIRST_CALL.format(activation="relu"), cache))

    def track_first_call_warm(self):
        """The same in the second process."""
        with tempfile.TemporaryDirectory() as cache:
            run(FIRST_CALL.format(activation="relu"), cache)
            return float(run(FIRST_CALL.format(activation="relu"), cache))

    def track_peak_of_a_huge_width(self):
        """Peak bytes of a process that fits a million neurons to 2000 rows."""
        return huge_width(*((50, 2000) if SMOKE else (2000, 1_000_000)))["peak"]
