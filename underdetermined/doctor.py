"""What decides speed on this machine: versions, BLAS, kernel cache, memory; with advice."""

import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg  # noqa: F401  (loads SciPy's own BLAS, so that it is reported too)
from joblib import cpu_count
from threadpoolctl import threadpool_info

from underdetermined._kernels import VALUE
from underdetermined._validation import available_memory

_PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "threadpoolctl", "joblib")
_NO_AVX512 = frozenset({"haswell", "zen", "excavator", "steamroller", "piledriver", "bulldozer"})
_NO_AVX2 = frozenset(
    {"prescott", "core2", "penryn", "dunnington", "atom", "nehalem", "sandybridge", "barcelona"}
)


@dataclass(frozen=True)
class Blas:
    """One linear-algebra library of this process.

    Parameters
    ----------
    name, version, architecture : str
        As the library reports them; the architecture is the processor it was tuned for at start.
    threads : int
        Threads it uses now.
    file : str
        Where it was loaded from.
    """

    name: str
    version: str
    architecture: str
    threads: int
    file: str


@dataclass(frozen=True)
class Diagnosis:
    """What `examine` found.

    Parameters
    ----------
    versions : dict of str to str
        Python, the operating system and the packages that matter.
    processor : str
        Model name of the processor.
    instructions : tuple of str
        Vector instructions that NumPy found.
    cores : int
        Cores that this process may use.
    memory : int or None
        Bytes available now, None where the system does not say.
    blas : tuple of Blas
        The libraries loaded.
    is_compiled : bool
        Whether kernels are compiled at all.
    cache : str
        Folder that keeps compiled kernels, empty when there is none.
    cache_writable : bool
        Whether a file can be written there.
    advice : tuple of str
        One sentence for each thing worth changing.
    """

    versions: dict[str, str]
    processor: str
    instructions: tuple[str, ...]
    cores: int
    memory: int | None
    blas: tuple[Blas, ...]
    is_compiled: bool
    cache: str
    cache_writable: bool
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as strings, numbers, lists and dictionaries.

        Returns
        -------
        dict
            Ready for `json.dumps`.
        """
        return asdict(self)


def examine() -> Diagnosis:
    """Look at this process and this machine; nothing is changed.

    Returns
    -------
    Diagnosis
        Facts and advice.

    Examples
    --------
    >>> from underdetermined.doctor import examine
    >>> examine().cores >= 1
    True
    """
    versions = {"python": platform.python_version(), "system": platform.platform(terse=True)}
    versions |= {package: version(package) for package in _PACKAGES}
    simd = np.show_config(mode="dicts").get("SIMD Extensions", {})
    instructions = (*simd.get("baseline", ()), *simd.get("found", ()))
    blas = tuple(
        Blas(
            str(library["internal_api"]),
            str(library["version"]),
            str(library.get("architecture", "unknown")),
            int(library["num_threads"]),
            str(library["filepath"]),
        )
        for library in threadpool_info()
        if library["user_api"] == "blas"
    )
    is_compiled, cache = _kernel_cache()
    writable = bool(cache) and _is_writable(Path(cache))
    cores = cpu_count()
    return Diagnosis(
        versions,
        _processor(),
        instructions,
        cores,
        available_memory(),
        blas,
        is_compiled,
        cache,
        writable,
        (*blas_advice(blas, instructions, cores), *_cache_advice(is_compiled, cache, writable)),
    )


def blas_advice(blas: Iterable[Blas], instructions: Iterable[str], cores: int) -> tuple[str, ...]:
    """Advice on the linear-algebra libraries.

    Parameters
    ----------
    blas : iterable of Blas
        The libraries loaded.
    instructions : iterable of str
        Vector instructions of the processor, by NumPy's names.
    cores : int
        Cores that this process may use.

    Returns
    -------
    tuple of str
        Empty when nothing is amiss.

    Notes
    -----
    OpenBLAS picks its kernels by processor model. A model newer than the library, or one hidden by a virtual
    machine, gets kernels for an older processor, at half the speed or less.
    """
    names = set(instructions)
    has_avx512 = "X86_V4" in names or any(name.startswith("AVX512") for name in names)
    has_avx2 = has_avx512 or bool({"X86_V3", "AVX2"} & names)
    advice = []
    for library in blas:
        architecture = library.architecture.lower()
        where = f"{library.name} {library.version} ({Path(library.file).name})"
        better = None
        if has_avx512 and architecture in _NO_AVX512 | _NO_AVX2:
            better = "SkylakeX"
        elif has_avx2 and architecture in _NO_AVX2:
            better = "Haswell"
        if better is not None and library.name == "openblas":
            advice.append(
                f"{where} took this processor for {library.architecture}, so vector instructions are unused; "
                f"set OPENBLAS_CORETYPE={better} before Python starts"
            )
        if library.threads == 1 and cores > 1:
            advice.append(
                f"{where} uses 1 thread on {cores} cores; unset OMP_NUM_THREADS and OPENBLAS_NUM_THREADS, "
                "unless the other cores are busy"
            )
        if library.threads > cores:
            advice.append(
                f"{where} uses {library.threads} threads on {cores} cores, which slows it down; "
                f"set OMP_NUM_THREADS={cores}"
            )
    return tuple(dict.fromkeys(advice))


def _cache_advice(is_compiled: bool, cache: str, writable: bool) -> tuple[str, ...]:
    if not is_compiled:
        return ("kernels are not compiled, so activations are slow; unset NUMBA_DISABLE_JIT",)
    if not writable:
        return (
            f"compiled kernels cannot be kept{f' in {cache}' if cache else ''}, so every process compiles them again; "
            "set NUMBA_CACHE_DIR to a folder that can be written",
        )
    return ()


def _kernel_cache() -> tuple[bool, str]:
    # A kernel that is plain Python, because compilation is disabled, keeps no statistics.
    statistics = getattr(next(iter(VALUE.values())), "stats", None)
    return statistics is not None, str(getattr(statistics, "cache_path", None) or "")


def _is_writable(folder: Path) -> bool:
    # The folder appears with the first kernel that is kept, so its nearest parent that exists decides.
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or os.environ.get("PROCESSOR_IDENTIFIER", "") or platform.machine()
