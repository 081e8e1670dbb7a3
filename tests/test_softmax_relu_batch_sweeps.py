"""Single sweeps over a batch of problems: what each of them promises, whatever the problems end at."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from underdetermined.objectives import SoftmaxReLUBatch
from underdetermined.softmax_relu._options import SolverOptions
from underdetermined.softmax_relu.kinks.manifold import manifold_newton
from underdetermined.softmax_relu.newton.batch_cg import BatchMetric
from underdetermined.softmax_relu.stages import batch as stage
from underdetermined.softmax_relu.stages.batch import solve_batch


def draw(n_problems=8, seed=0, **options):
    rng = np.random.default_rng(seed)
    A1, A2 = rng.standard_normal((20, 10)) / np.sqrt(10), 2.0 * rng.standard_normal((8, 20)) / np.sqrt(20)
    targets = rng.dirichlet(np.ones(8), size=n_problems).T
    return SoftmaxReLUBatch(A1, A2, targets, reg=1e-3, **options), rng.standard_normal((10, n_problems))


def prepared(batch, X, smoothing=0.3, **options):
    """The state of a batch before its first sweep."""
    first = smoothing * np.abs(batch.hidden(X)).max(axis=0)
    return stage._Batch(batch, X.copy(), SolverOptions(**options), first, None)


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_within_a_stage_no_step_rises_and_radii_follow_the_model(loss):
    batch, X = draw(loss=loss)
    state = prepared(batch, 10.0 * X, initial_trust_radius=1e3)
    live, rejected, doubled = np.arange(8), 0, 0
    for _ in range(12):
        start, mu, radius = state.X.copy(), state.smoothing.copy(), state.radius.copy()
        left = state._sweep(live)
        same = live[state.smoothing[live] == mu[live]]
        before, after = batch.value(start, mu), batch.value(state.X, mu)
        assert np.all(after[same] <= before[same] * (1.0 + 1e-14))
        np.testing.assert_allclose(state.values[same], after[same], rtol=1e-14)
        stays = same[np.all(state.X[:, same] == start[:, same], axis=0)]
        assert np.all(state.radius[stays] <= 0.26 * radius[stays])
        rejected += len(stays)
        doubled += np.count_nonzero(state.radius == 2.0 * radius)
        live = left
    assert rejected > 0
    assert doubled > 0


def test_the_next_stage_starts_no_higher_than_where_the_last_ended():
    batch, X = draw()
    state = prepared(batch, X, smoothing=3.0)
    X, mu = state.X.copy(), state.smoothing.copy()
    point = batch.at(X, mu)
    state.scale, state.radius = np.full(8, 0.1), np.zeros(8)
    metric = BatchMetric(batch.A1, state.gram, point.kink_weights("clipped"), state.scale)
    ended = np.arange(8) != 7
    state._advance(np.arange(8), ended, point, metric)
    np.testing.assert_allclose(state.smoothing, np.where(ended, 0.4, 1.0) * mu, rtol=1e-15)
    np.testing.assert_array_equal(state.n_stages, ended)
    np.testing.assert_array_equal(state.radius > 0.0, ended)
    # A guess that is higher is not taken.
    change = batch.value(state.X, state.smoothing) - batch.value(X, state.smoothing)
    moved = np.any(state.X != X, axis=0)
    assert np.all(change[moved] < 0.0)
    assert 0 < np.count_nonzero(moved) < 7
    assert not moved[7]


def test_a_step_that_promises_nothing_but_rounding_ends_a_stage():
    batch, X = draw()
    state = prepared(batch, X)
    state.radius[:] = 1e-30
    mu = state.smoothing.copy()
    state._sweep(np.arange(8))
    np.testing.assert_allclose(state.smoothing, 0.4 * mu, rtol=1e-15)


def test_a_quarter_of_the_steps_is_smoothed():
    batch, X = draw()
    state = prepared(batch, X, maxiter=16)
    live = np.arange(8)
    for _ in range(40):
        live = state._sweep(live) if live.size else live
    assert live.size == 0
    assert state.n_iter.max() == 4


def test_steps_on_kinks_are_those_that_are_left():
    batch, X = draw(3)
    state = prepared(batch, X, maxiter=9)
    state.n_iter[:] = 7
    runs = [state._settle(j) for j in range(3)]
    assert {run.n_iter for run in runs} == {9}
    assert all(run.is_exhausted for run in runs)


def test_company_does_not_change_the_first_sweep():
    batch, X = draw()
    X *= np.geomspace(1.0, 1e4, 8)
    seen = []

    def look(points, values):
        seen.append(points)
        raise StopIteration

    solve_batch(batch, X, on_step=look)
    for j in range(8):
        solve_batch(batch.select([j]), X[:, [j]], on_step=look)
    np.testing.assert_allclose(np.hstack(seen[1:]), seen[0], rtol=1e-8)


@pytest.mark.parametrize(("rise", "is_certified", "is_kept"), [(1.0, True, False), (-1.0, True, True), (-1.0, False, False)])
def test_an_end_above_the_start_or_without_a_certificate_is_replaced(monkeypatch, rise, is_certified, is_kept):
    """Steps on kinks that end where they should not, and are counted."""
    batch, X = draw(2)
    state = prepared(batch, X, maxiter=500)
    start = float(batch.value(X)[1])
    certificate = SimpleNamespace(is_certified=is_certified)
    counts = {"n_iter": 100, "n_value": 1, "n_hessian": 2, "n_products": 3, "reason": "max_iter"}

    def steps(objective, x, pinned, *, max_iter):
        return SimpleNamespace(x=x, value=start + rise, certificate=certificate, **counts)

    monkeypatch.setattr(stage, "manifold_newton", steps)
    run = state._settle(1)
    assert (run.certificate is certificate) == is_kept
    assert run.certificate.is_certified
    assert run.value <= start
    assert run.is_exhausted == is_kept
    assert (run.n_iter == 100) == is_kept
    assert run.n_iter >= 100
    np.testing.assert_array_equal(state.X[:, 1], run.x)


def test_the_lower_end_of_two_is_kept(monkeypatch):
    """Neither has a certificate; the one found first is the lower one, then the other."""
    batch, X = draw(1)
    state = prepared(batch, X)
    found = state._again(0, state._settle(0))
    for shift, is_first in ((-1.0, True), (1e-9, False)):
        first = replace(found, value=found.value + shift, x=np.full(10, 7.0))
        monkeypatch.setattr(stage, "continuation", lambda *_, **__: found)
        assert (state._again(0, first).x[0] == 7.0) == is_first


def test_units_within_a_few_of_the_last_smoothings_are_pinned(monkeypatch):
    batch, X = draw(2)
    state, seen = prepared(batch, X, smoothing=0.01), []
    widths = 10.0 * state.smoothing
    state.smoothing *= 0.4

    def steps(objective, x, pinned, **options):
        seen.append(pinned)
        return manifold_newton(objective, x, pinned, **options)

    monkeypatch.setattr(stage, "manifold_newton", steps)
    for j in range(2):
        z = batch.A1 @ state.X[:, j]
        state._settle(j)
        np.testing.assert_array_equal(seen[-1], np.flatnonzero(np.abs(z) <= widths[j] * (1.0 + 1e-12)))
        assert 0 < len(seen[-1]) < 20
