"""Tasks over tiles: every tile once, errors raised, the BLAS given back."""

from concurrent.futures import ThreadPoolExecutor
from threading import get_ident

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from underdetermined.blocks import run_tiles, scratch, single_threaded_blas, slices, thread_count


def blas_threads():
    np.ones((2, 2)) @ np.ones((2, 2))
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.mark.parametrize("n_jobs", [None, 1, 2, 5, -1])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_every_tile_is_run_once(n_jobs, count):
    seen = np.zeros(count, dtype=int)

    def task(tile):
        seen[tile] += 1

    run_tiles(task, range(count), n_jobs=n_jobs)
    np.testing.assert_array_equal(seen, 1)


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_error_in_a_task_is_raised_and_the_blas_restored(n_jobs):
    before = blas_threads()

    def task(tile):
        raise ArithmeticError(f"tile {tile}")

    with pytest.raises(ArithmeticError, match="tile"):
        run_tiles(task, range(10), n_jobs=n_jobs)
    assert blas_threads() == before


def test_blas_is_single_threaded_inside_and_only_inside():
    before = blas_threads()
    with single_threaded_blas():
        with single_threaded_blas():
            assert set(blas_threads()) == {1}
        assert set(blas_threads()) == {1}
    assert blas_threads() == before


def test_overlapping_holds_give_the_blas_back():
    before = blas_threads()
    first, second = single_threaded_blas(), single_threaded_blas()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set(blas_threads()) == {1}
    second.__exit__(None, None, None)
    assert blas_threads() == before


def test_default_thread_count_is_the_blas_count_even_inside():
    outside = thread_count()
    with single_threaded_blas():
        assert thread_count() == outside
    assert outside == max(blas_threads())


def test_runs_from_several_threads_at_once():
    totals = np.zeros(4)

    def work(place):
        values = np.zeros(50)
        run_tiles(lambda i: values.__setitem__(i, i), range(50), n_jobs=2)
        totals[place] = values.sum()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    np.testing.assert_array_equal(totals, np.arange(50).sum())


def test_one_tile_runs_here():
    seen = []
    run_tiles(lambda _: seen.append(get_ident()), ["only"], n_jobs=4)
    assert seen == [get_ident()]


def test_negative_counts_leave_cores_free_but_never_all():
    assert thread_count(-1) >= 1
    assert thread_count(-(10**6)) == 1


def test_no_threads_is_an_error():
    with pytest.raises(ValueError, match="n_jobs=0"):
        thread_count(0)


@pytest.mark.parametrize("tiles", [1, 3])
@pytest.mark.parametrize(("n_jobs", "error"), [(0, ValueError), (1.5, TypeError), ("all", TypeError), (True, TypeError)])
def test_wrong_numbers_of_threads_are_refused_for_any_number_of_tiles(n_jobs, error, tiles):
    with pytest.raises(error, match=f"n_jobs={n_jobs!r}"):
        run_tiles(lambda _: None, range(tiles), n_jobs=n_jobs)


@pytest.mark.parametrize(("total", "size"), [(0, 3), (1, 3), (3, 3), (10, 3)])
def test_slices_cover(total, size):
    pieces = slices(total, size)
    assert [i for piece in pieces for i in range(total)[piece]] == list(range(total))
    assert all(0 < piece.stop - piece.start <= size for piece in pieces)


def test_scratch_belongs_to_the_thread():
    mine = scratch((3, 4), np.dtype(np.float64))
    with ThreadPoolExecutor(1) as pool:
        theirs = pool.submit(scratch, (3, 4), np.dtype(np.float64)).result()
    assert not np.shares_memory(mine, theirs)
    assert np.shares_memory(mine, scratch((2, 2), np.dtype(np.float32)))
    assert mine.shape == (3, 4) and mine.flags.c_contiguous and mine.dtype == np.float64
