"""From a start to a certified point: stages, kinks, escapes, and what happens where they fail."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from softmax_relu_kink_problems import SHAPES, draw, lowest_nearby, shape
from softmax_relu_oracle import P2, P3, P4

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import SoftmaxReLUStatus, certify
from underdetermined.softmax_relu._options import SolverOptions
from underdetermined.softmax_relu.kinks.majoriser import majoriser_descent
from underdetermined.softmax_relu.kinks.manifold import manifold_newton
from underdetermined.softmax_relu.newton.newton_cg import newton_cg
from underdetermined.softmax_relu.newton.trust_region import trust_region_newton
from underdetermined.softmax_relu.stages.continuation import continuation

# Without a penalty the fit may improve for ever, until all slopes are lost in rounding.
UNDECIDED = (SoftmaxReLUStatus.FLAT, SoftmaxReLUStatus.DEGENERATE)
# Minima of the loss with |x|^2 / 200, to 15 of the 30 digits that multiple precision gave, and the pinned units.
OPTIMA = {
    "P2": (P2, 0.0000683110887117969964459466, [0], [0.104461520775536525998858, -0.0522307603877682629994292]),
    "P3": (
        P3,
        0.00130346976175115560655679,
        [],
        [0.156755502263136458373666, -0.139139209446424088371332, -0.435033921155984635116330],
    ),
    "P4": (
        P4,
        0.0232827976193168487267464,
        [0],
        [0.0457849430633392302892256, -0.0457849430633392302892256, 0.0, -0.0915698861266784605784513],
    ),
}


@pytest.mark.parametrize("name", list(OPTIMA))
def test_minima_known_to_30_digits(name):
    problem, value, pinned, x = OPTIMA[name]
    objective = SoftmaxReLU(*problem, reg=0.01)
    ends = [continuation(objective, np.random.default_rng(seed).standard_normal(len(x))) for seed in range(5)]
    for run in ends:
        assert run.certificate.is_certified
        assert run.certificate.pinned.tolist() == pinned
        assert abs(run.value / value - 1.0) < 1e-13
        assert np.abs(run.x - x).max() < 1e-12


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_random_problems_end_at_certified_minima_not_above_the_start(loss):
    for index in range(15):
        rng = np.random.default_rng([21, index])
        objective = shape(rng, index, loss=loss)
        start = rng.standard_normal(objective.n_parameters)
        run = continuation(objective, start)
        assert run.certificate.is_certified
        assert run.value == objective.value(run.x) <= objective.value(start)
        assert certify(objective, run.x, pinned=run.certificate.pinned).is_certified
        assert lowest_nearby(objective, run.x, run.certificate.pinned, rng, samples=10) == 0.0
        assert not (run.stopped or run.is_exhausted)
        assert run.n_hessian <= 200


@pytest.mark.parametrize(
    "family", ["weights", "repeated rows", "two outputs", "labels", "one parameter", "targets off the simplex"]
)
def test_families_of_problems_are_certified(family):
    for index in range(6):
        objective, start = draw(family, index)
        run = continuation(objective, start)
        assert run.certificate.is_certified or run.certificate.status in UNDECIDED
        assert run.value <= objective.value(start)


def baseline(index):
    """One of the problems on which general solvers stall."""
    d, n, m = [(10, 20, 10), (50, 80, 30), (100, 60, 40)][index]
    rng = np.random.default_rng(100 + index)
    A1, A2 = rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=(m, n)) * 2.0 / np.sqrt(n)
    b, start = rng.dirichlet(np.ones(m)), rng.normal(size=d)
    return SoftmaxReLU(A1, A2, b, reg=1e-4), start


@pytest.mark.parametrize(("index", "best_elsewhere"), [(0, 4.118e-3), (1, 3.710e-3), (2, 5.285e-3)])
def test_general_solvers_stall_above(index, best_elsewhere):
    objective, start = baseline(index)
    run = continuation(objective, start)
    assert run.certificate.is_certified
    assert run.value < best_elsewhere
    assert run.n_hessian < 60


def test_the_same_start_leads_to_the_same_bits():
    objective, start = baseline(1)
    first, second = continuation(objective, start), continuation(objective, start)
    assert np.array_equal(first.x, second.x)
    assert first.n_value == second.n_value


def test_a_minimum_is_kept():
    objective, start = baseline(0)
    run = continuation(objective, start)
    again = continuation(objective, run.x)
    assert again.certificate.is_certified
    assert again.value <= run.value * (1.0 + 1e-14)


def test_saturated_starts_lead_where_others_do():
    for index in range(len(SHAPES)):
        rng = np.random.default_rng([31, index])
        objective, start = shape(rng, index), rng.standard_normal(SHAPES[index][2])
        run = continuation(objective, 1e6 * start)
        assert run.certificate.is_certified
        assert run.value < objective.value(np.zeros_like(start))


@pytest.mark.parametrize("start", [[0.0], [-1.0], [1e-300]])
def test_a_concave_kink_is_left(start):
    # Without smoothing 0 is a local maximum with a positive second derivative on both sides.
    objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=1.0)
    run = continuation(objective, np.array(start))
    assert run.certificate.is_certified
    assert abs(abs(run.x[0]) - 0.219946233006957515655845827017) < 1e-12
    assert abs(run.value - 0.222421527835076603218109426494) < 1e-15


def test_the_flat_cone_is_left_through_its_apex():
    objective = SoftmaxReLU(np.eye(2), [[1.0, 0.0], [0.0, 1.0]], [0.3, 0.7])
    run = continuation(objective, np.array([-1e3, -1e3]), options=SolverOptions(smoothing=0.0))
    assert run.certificate.is_certified
    assert run.n_escapes > 0
    assert run.value < 1e-20


def test_a_flat_loss_ends_honestly():
    # Both outputs have the same row: no unit changes the fit.
    objective = SoftmaxReLU(np.eye(2), np.ones((2, 2)), [0.3, 0.7])
    run = continuation(objective, np.array([-1.0, -1.0]))
    assert not run.certificate.is_certified
    assert run.certificate.descent_direction is None


@pytest.mark.parametrize("smoothing", [0.0, 0.01, 0.3, 3.0])
def test_any_first_smoothing_ends_certified(smoothing):
    objective, start = baseline(0)
    run = continuation(objective, start, options=SolverOptions(smoothing=smoothing))
    assert run.certificate.is_certified
    assert (run.n_stages > 0) == (smoothing > 0.0)


def test_steps_are_counted_and_limited():
    objective, start = baseline(1)
    shown = []
    full = continuation(objective, start, on_step=lambda x, value: shown.append(x))
    assert len(shown) == full.n_iter
    assert full.n_gradient >= full.n_iter
    for limit in (0, 1, 7, full.n_iter - 1):
        run = continuation(objective, start, options=SolverOptions(maxiter=limit))
        assert run.n_iter <= limit
        assert run.is_exhausted
        assert not run.certificate.is_certified
        assert run.value <= objective.value(start)


def test_a_callback_ends_the_run_at_the_point_it_was_shown():
    objective, start = baseline(0)
    for last in (1, 5, 9):
        shown, more = [], iter(range(last - 1))

        def show(x, value, shown=shown, more=more):
            shown.append(x)
            next(more)

        run = continuation(objective, start, on_step=show)
        assert run.stopped
        assert len(shown) == last
        assert np.array_equal(run.x, shown[-1])


def test_secants_take_the_place_of_tangents():
    objective, start = baseline(0)

    def without_inverse(*args, **options):
        return replace(trust_region_newton(*args, **options), solve=None)

    run = continuation(objective, start, newton=without_inverse)
    assert run.certificate.is_certified
    assert np.isclose(run.value, continuation(objective, start).value, rtol=1e-12)


def test_other_step_functions_end_at_the_same_point():
    objective, start = baseline(0)
    expected = continuation(objective, start)
    for newton in (newton_cg, partial(trust_region_newton, curvature="clipped")):
        run = continuation(objective, start, newton=newton)
        assert run.certificate.is_certified
        assert np.isclose(run.value, expected.value, rtol=1e-12)


def no_stages(*args, max_iter, **options):
    """A solver of smooth stages that makes no step."""
    return trust_region_newton(*args, max_iter=0, **options)


def no_steps(*args, max_iter, **options):
    """A solver on kinks that makes no step."""
    return manifold_newton(*args, max_iter=0, **options)


def test_the_fallback_is_reached_where_all_steps_fail():
    rng = np.random.default_rng(12)
    objective = shape(rng, 2)
    minimum = continuation(objective, rng.standard_normal(10)).x
    start = minimum + 0.05 * np.linalg.norm(minimum) * rng.standard_normal(10)
    assert objective.value(start) < objective.value(np.zeros(10))
    calls = []

    def fallback(*args, **options):
        calls.append(args[1])
        return majoriser_descent(*args, **options)

    broken = {"newton": no_stages, "manifold": no_steps}
    alone = continuation(objective, start, **broken, fallback=None)
    assert not alone.certificate.is_certified
    run = continuation(objective, start, **broken, fallback=fallback)
    assert len(calls) == 1
    assert objective.value(calls[0]) == alone.value <= objective.value(start)
    assert run.value < alone.value

    def manifold(*args, **options):
        return (manifold_newton if calls else no_steps)(*args, **options)

    calls.clear()
    mended = continuation(objective, start, newton=no_stages, manifold=manifold, fallback=fallback)
    assert len(calls) == 1
    assert mended.certificate.is_certified
    assert mended.value <= run.value
