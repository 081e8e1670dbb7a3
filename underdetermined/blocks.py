"""Tasks over tiles of a matrix, on threads that each use a single-threaded BLAS.

Two pools of threads that take turns on small tiles, one in the BLAS and one of our own, spend their time
waking each other. So there is one pool here, and the BLAS is held at one thread while it runs.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from threading import Lock, local
from typing import Any, TypeVar

import numpy as np
from joblib import cpu_count
from threadpoolctl import ThreadpoolController

__all__ = ["run_tiles", "scratch", "single_threaded_blas", "slices", "thread_count"]

Tile = TypeVar("Tile")


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    return ThreadpoolController().select(user_api="blas")


class _Limit:
    """The hold on the BLAS, shared by all callers: the first one in sets it, the last one out lifts it."""

    lock = Lock()
    holders = 0
    limiter: Any = None
    threads = 1


def _blas_threads() -> int:
    threads = [library["num_threads"] for library in _blas().info()]
    return max(threads) if threads else cpu_count()


@contextmanager
def single_threaded_blas():
    """Hold every BLAS of this process at one thread; safe to nest and to enter from several threads.

    Yields
    ------
    None
        The hold lasts until the last of its holders has left.
    """
    with _Limit.lock:
        if _Limit.holders == 0:
            _Limit.threads = _blas_threads()
            _Limit.limiter = _blas().limit(limits=1)
        _Limit.holders += 1
    try:
        yield
    finally:
        with _Limit.lock:
            _Limit.holders -= 1
            if _Limit.holders == 0:
                _Limit.limiter.restore_original_limits()


def thread_count(n_jobs: int | None = None) -> int:
    """Return the number of threads to use.

    Parameters
    ----------
    n_jobs : int or None, default=None
        None takes as many threads as the BLAS would (so one inside a joblib worker, which is given one);
        a positive number is taken as it is; -1 means all cores, -2 all but one, and so on.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    TypeError, ValueError
        If `n_jobs` is not an integer, or 0.

    Examples
    --------
    >>> from underdetermined.blocks import thread_count
    >>> thread_count(3)
    3
    """
    _check_jobs(n_jobs)
    if n_jobs is None:
        with _Limit.lock:
            return _Limit.threads if _Limit.holders else _blas_threads()
    return n_jobs if n_jobs > 0 else max(1, cpu_count() + 1 + n_jobs)


def _check_jobs(n_jobs: object) -> None:
    if n_jobs is None:
        return
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer):
        raise TypeError(f"n_jobs={n_jobs!r} is not an integer: pass None, a positive number, or -1 for all cores.")
    if n_jobs == 0:
        raise ValueError("n_jobs=0 means no thread at all; pass None, a positive number, or -1 for all cores.")


def run_tiles(task: Callable[[Tile], object], tiles: Iterable[Tile], *, n_jobs: int | None = None) -> None:
    """Call ``task(tile)`` once for every tile, on `n_jobs` threads.

    Tiles must be independent: each task writes to a place of its own, so that the result cannot depend on
    the order. An error in any task is raised here, after the running tasks have ended.

    Parameters
    ----------
    task : callable
        Called with one tile; its result is dropped.
    tiles : iterable
        What `task` is called with. A single tile is run in the calling thread with the BLAS as it is.
    n_jobs : int or None, default=None
        As in `thread_count`.

    Examples
    --------
    >>> from underdetermined.blocks import run_tiles
    >>> squares = [0] * 4
    >>> run_tiles(lambda i: squares.__setitem__(i, i * i), range(4), n_jobs=2)
    >>> squares
    [0, 1, 4, 9]
    """
    _check_jobs(n_jobs)
    tiles = iter(tiles)
    first = list(islice(tiles, 2))
    if len(first) < 2:
        for tile in first:
            task(tile)
        return
    lock = Lock()

    def work() -> None:
        while True:
            with lock:
                tile = first.pop(0) if first else next(tiles, None)
            if tile is None:
                return
            task(tile)

    threads = thread_count(n_jobs)
    with single_threaded_blas():
        if threads == 1:
            work()
            return
        with ThreadPoolExecutor(threads - 1, thread_name_prefix="underdetermined") as pool:
            helpers = [pool.submit(work) for _ in range(threads - 1)]
            work()
            for helper in helpers:
                helper.result()


def slices(total: int, size: int) -> list[slice]:
    """Cut ``range(total)`` into consecutive slices of `size`, the last one shorter.

    Parameters
    ----------
    total : int
        End of the range.
    size : int
        Length of a slice, at least 1.

    Returns
    -------
    list of slice
        They cover the range in order.

    Examples
    --------
    >>> from underdetermined.blocks import slices
    >>> slices(5, 2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + size, total)) for start in range(0, total, size)]


_memory = local()


def scratch(shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Return this thread's working memory in a shape.

    Parameters
    ----------
    shape : tuple of two int
        Shape asked for.
    dtype : dtype
        Its dtype.

    Returns
    -------
    ndarray of shape `shape`
        C-contiguous, not initialised; the next call on this thread returns the same memory.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.blocks import scratch
    >>> scratch((2, 3), np.dtype(np.float32)).shape
    (2, 3)
    """
    n_bytes = shape[0] * shape[1] * dtype.itemsize
    buffer = getattr(_memory, "buffer", None)
    if buffer is None or buffer.size < n_bytes:
        _memory.buffer = buffer = np.empty(n_bytes, np.uint8)
    return buffer[:n_bytes].view(dtype).reshape(shape)
