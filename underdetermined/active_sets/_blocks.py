"""Blocks of neurons on a pool of threads that lasts for a training run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

from underdetermined.blocks import single_threaded_blas, slices, thread_count

# Blocks depend on the width alone, and outputs are summed block by block: any number of threads gives the same bits.
# Large ones, as each costs some microseconds of Python at every step.
_LENGTH, _FEWEST, _MOST = 2048, 8, 64

Run = Callable[[Callable[[Any], None], list[Any]], None]


def neuron_blocks(width: int) -> list[slice]:
    """Cut the neurons into blocks.

    Parameters
    ----------
    width : int
        Number of neurons.

    Returns
    -------
    list of slice
    """
    return slices(width, -(-width // min(max(width // _LENGTH, _FEWEST), _MOST)))


@contextmanager
def workers(n_jobs: int | None) -> Iterator[Run]:
    """Threads for many short rounds of tasks, with the BLAS held at one thread.

    Parameters
    ----------
    n_jobs : int or None
        As in `underdetermined.blocks.thread_count`.

    Yields
    ------
    callable
        ``run(task, blocks)`` calls ``task(block)`` for every block and returns when all have ended.
    """
    threads = thread_count(n_jobs)
    with single_threaded_blas(), ThreadPoolExecutor(max(threads - 1, 1), thread_name_prefix="underdetermined") as pool:

        def run(task: Callable[[Any], None], blocks: list[Any]) -> None:
            waiting, lock = list(reversed(blocks)), Lock()

            def work() -> None:
                while True:
                    with lock:
                        if not waiting:
                            return
                        block = waiting.pop()
                    task(block)

            helpers = [pool.submit(work) for _ in range(min(threads, len(blocks)) - 1)]
            work()
            for helper in helpers:
                helper.result()

        yield run
