"""Run every benchmark method once, with the first value of each parameter, which is the smallest size."""

import importlib
import inspect
import os
import pkgutil
import sys
from pathlib import Path
from time import perf_counter

os.environ["BENCHMARK_SMOKE"] = "1"
folder = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(folder))

import benchmarks.benchmarks  # noqa: E402

_PREFIXES = ("time_", "timeraw_", "peakmem_", "track_", "mem_")


def parameters(function, owner) -> list:
    """The first value of each parameter, asv's conventions."""
    params = getattr(function, "params", getattr(owner, "params", ()))
    if params and not isinstance(params[0], list | tuple):
        params = [params]
    return [values[0] for values in params]


def run(benchmark_class: type) -> int:
    """Run the methods of one class, each on a fresh instance; return how many there were."""
    names = [name for name in dir(benchmark_class) if name.startswith(_PREFIXES)]
    for name in names:
        instance = benchmark_class()
        method = getattr(instance, name)
        values = parameters(method, instance)
        if hasattr(instance, "setup_cache"):
            values = [instance.setup_cache(), *values]
        if hasattr(instance, "setup"):
            instance.setup(*values)
        start = perf_counter()
        method(*values)
        print(
            f"{benchmark_class.__module__}.{benchmark_class.__name__}.{name}{tuple(values)}: "
            f"{perf_counter() - start:.3f} s",
            flush=True,
        )
        if hasattr(instance, "teardown"):
            instance.teardown(*values)
    return len(names)


count = 0
for module_info in pkgutil.walk_packages(benchmarks.benchmarks.__path__, "benchmarks.benchmarks."):
    module = importlib.import_module(module_info.name)
    for _, member in inspect.getmembers(module, inspect.isclass):
        if member.__module__ == module.__name__:
            count += run(member)
if not count:
    sys.exit("no benchmark was found")
print(f"{count} benchmarks ran")
