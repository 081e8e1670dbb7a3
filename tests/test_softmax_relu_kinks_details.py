"""Parts of the methods on kinks, each on a case whose answer is known: rays, faces, certificates, curvature, stages."""

from types import SimpleNamespace

import numpy as np
import pytest
from softmax_relu_kink_problems import draw

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import SoftmaxReLUStatus as Status
from underdetermined.softmax_relu import certify
from underdetermined.softmax_relu._options import SolverOptions
from underdetermined.softmax_relu.kinks.curvature import reduced_curvature
from underdetermined.softmax_relu.kinks.face import Face, follow, release
from underdetermined.softmax_relu.kinks.geometry import group_kinks
from underdetermined.softmax_relu.kinks.manifold import manifold_newton
from underdetermined.softmax_relu.kinks.manifold_cg import manifold_newton_cg
from underdetermined.softmax_relu.kinks.multipliers import _descend
from underdetermined.softmax_relu.kinks.null_space import NullSpace
from underdetermined.softmax_relu.kinks.projected_curvature import projected_curvature
from underdetermined.softmax_relu.kinks.rounding import rounding
from underdetermined.softmax_relu.kinks.walk import walk
from underdetermined.softmax_relu.newton.cg_subproblem import KinkPreconditioner, truncated_cg
from underdetermined.softmax_relu.newton.newton_cg import newton_cg
from underdetermined.softmax_relu.newton.trust_region import trust_region_newton
from underdetermined.softmax_relu.stages.continuation import continuation

NONE = np.zeros(0, dtype=np.intp)


@pytest.mark.parametrize(
    ("slopes", "bend", "expected"),
    [
        ([3.0, 0.5], 0.0, (0.25, 1.0, [0])),
        ([0.5, 1.0], 0.0, (0.5, 1.5, [1])),
        ([0.75, 0.125], 0.0, (1.0, 1.5, [])),
        ([0.5, 0.0], 4.0, (0.5, 1.0, [])),
        ([0.75, 0.0], 4.0, (0.25, 0.875, [0])),
        ([-1.0, 0.5], 0.0, (1.0, 6.0, [])),
    ],
)
def test_a_ray_ends_where_the_model_turns(slopes, bend, expected):
    # The slope begins with -4; the kinks at 1/4 and 1/2 raise it by 4 r.
    found = walk(np.array([-1.0, 2.0]), np.array([4.0, -4.0]), np.array(slopes), -4.0, bend, 1.0)
    assert found[:2] == pytest.approx(expected[:2])
    assert found[2].tolist() == expected[2]


def test_kinks_reached_together_hold_together():
    problem = SoftmaxReLU([[1.0], [2.0], [1.0]], np.eye(3), [0.2, 0.3, 0.5])
    face = Face.of(problem, np.zeros(3, dtype=bool), NONE)
    point = SimpleNamespace(
        x=np.array([-1.0]), z=np.array([-1.0, -2.0, -1.0]), gradient=np.array([-1.0]), unit_slopes=np.array([3.0, 0.0, 3.0])
    )
    ray = follow(face, point, np.array([4.0]), 4.0)
    assert (ray.length, ray.promised) == pytest.approx((0.25, 1.0))
    assert ray.held.tolist() == [0, 1, 2]
    assert ray.crossed.size == 0


def test_a_ray_may_end_at_its_first_kink():
    problem = SoftmaxReLU([[1.0], [-1.0]], np.eye(2), [0.5, 0.5])
    face = Face.of(problem, np.array([False, True]), NONE)
    point = SimpleNamespace(
        x=np.zeros(1), z=np.array([-1.0, 2.0]), gradient=np.array([-1.0]), unit_slopes=np.array([-1.0, 0.5])
    )
    whole, first = (follow(face, point, np.array([4.0]), 4.0, is_first=is_first) for is_first in (False, True))
    assert (whole.length, whole.crossed.tolist()) == (1.0, [0, 1])
    assert (first.length, first.promised) == pytest.approx((0.25, 1.0))
    assert (first.crossed.tolist(), first.held.tolist()) == ([], [0])


@pytest.mark.parametrize(("gradient", "expected"), [([-0.5, 0.0], None), ([-1.5, 0.0], True), ([0.5, 0.0], False)])
def test_a_kink_is_released_to_the_side_its_multiplier_points_to(gradient, expected):
    problem = SoftmaxReLU([[2.0, 0.0]], [[0.0], [1.0]], [0.5, 0.5])
    face = Face.of(problem, np.zeros(1, dtype=bool), np.array([0]))
    # The multiplier is -g / 2, and its bounds are 0 and 1/2.
    point = SimpleNamespace(gradient=np.array(gradient), unit_slopes=np.array([0.5]))
    found = release(face, point, 1e-9)
    assert getattr(found, "active", None) == expected
    assert getattr(found, "pinned", NONE).size == 0


def test_rows_at_an_angle_of_1e_4_are_independent():
    rows = np.array([[1.0, 0.0, 0.0], [1.0, 1e-4, 0.0], [1.0, 1e-9, 0.0]])
    space = NullSpace(rows, np.linalg.norm(rows, axis=1))
    assert space.rank == 2
    assert space.project(np.array([1.0, 2.0, 3.0])) == pytest.approx([0.0, 0.0, 3.0], abs=1e-7)


def diagonal(values):
    """A point with a diagonal Hessian and no kinks."""
    size = len(values)
    objective = SimpleNamespace(
        rows=lambda units: np.zeros((len(units), size)), row_norms=np.zeros(0), loss="squared", reg=0.0, n_hidden=0
    )
    return SimpleNamespace(objective=objective, x=np.zeros(size), hessp=lambda v: (values * v.T).T)


@pytest.mark.parametrize(("lowest", "sign"), [(-1e-3, -1), (1e-3, 1)])
def test_a_positive_bound_from_above_proves_nothing(lowest, sign):
    values = np.append(lowest, np.linspace(0.01, 1.0, 399))
    point = diagonal(values)
    found = projected_curvature(point, NONE)
    assert found.sign == sign
    assert abs(found.value) <= 2e-3


def stationary(rows, output, x, slopes, far, loss="squared", **penalties):
    """A problem whose units have the given slopes at x, with `far` added to the logit slopes where no unit feels it."""
    rows, output, x = np.array(rows), np.array(output), np.array(x)
    f = np.exp(output @ np.maximum(rows @ x, 0.0))
    f /= f.sum()
    conditions = np.vstack([output.T, np.ones(len(f))])
    q = np.linalg.lstsq(conditions, np.append(slopes, 0.0), rcond=None)[0]
    q = q + far - np.linalg.pinv(conditions) @ (conditions @ far)
    return SoftmaxReLU(rows, output, f - q / {"kl": 1.0, "squared": f}[loss], loss=loss, **penalties)


# Columns of integers, and slopes of logits, which give both signs of curvature behind the kink of unit 0.
OUTPUT = [[2.0, 1.0, 2.0], [0.0, 0.0, 0.0], [-2.0, 1.0, -1.0], [2.0, -1.0, 0.0], [0.0, -1.0, -2.0], [1.0, -1.0, -1.0]]
FAR = np.array([2.0, -2.0, 1.0, 1.0, 2.0, -2.0])


@pytest.mark.parametrize("turn", [[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
@pytest.mark.parametrize("bend", [-1.0, 1.0])
def test_a_multiplier_at_its_upper_bound_does_not_hide_the_active_side(turn, bend):
    # Unit 0 is at its kink with multiplier r: behind it the objective has no slope, and bends up or down.
    x = np.array([0.0, 1.0]) * turn
    problem = stationary(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) * turn, OUTPUT, x, [0.1, 0.1, -0.1], bend * FAR)
    point = problem.at(x, active=np.ones(3, dtype=bool))
    assert point.gradient == pytest.approx([0.0, 0.0], abs=1e-13)
    assert point.hessian()[1, 1] > 0.0
    assert np.sign(np.linalg.eigvalsh(point.hessian())[0]) == bend
    found = certify(problem, x)
    assert found.pinned.tolist() == [0]
    assert found.multipliers == pytest.approx([0.1])
    assert found.is_certified == (bend > 0.0)
    # On the other side of the kink the objective has a slope.
    direction = {-1.0: found.descent_direction, 1.0: None}[bend]
    assert direction is None or direction[0] * turn[0] > 0.0
    assert direction is None or problem.value(x + 1e-4 * direction) < problem.value(x)


@pytest.mark.parametrize(
    ("matrix", "offset"),
    [
        ([[1.0, 2.0, -3.0], [2.0, 0.0, 0.0], [1.0, -1.0, 3.0]], [-4.0, -2.0, -1.0]),
        ([[-3.0, -2.0, 2.0], [0.0, -1.0, -3.0], [1.0, 1.0, -2.0]], [3.0, -3.0, 3.0]),
        ([[0.0, 3.0, 3.0], [0.0, -2.0, -3.0], [-3.0, -1.0, 0.0]], [3.0, 4.0, -4.0]),
    ],
)
def test_multipliers_stop_at_the_first_bound_so_that_residuals_never_rise(matrix, offset):
    matrix, start = np.array(matrix), np.full(3, 0.5)
    values, free = _descend(matrix, np.array(offset), np.ones(3), start, np.ones(3, dtype=bool))
    assert values.min() >= 0.0
    assert values.max() <= 1.0
    assert np.linalg.norm(offset + matrix @ values) < np.linalg.norm(offset + matrix @ start)
    assert not (free & ((values == 0.0) | (values == 1.0))).any()


@pytest.mark.parametrize(("distance", "status"), [(1e-14, Status.KINKS), (1e-10, Status.SMOOTH), (1e-4, Status.SMOOTH)])
def test_points_off_a_kink_by_more_than_rounding_are_not_said_to_be_on_it(distance, status):
    # Units 0 and 1 share a row and nearly cancel, so that rounding of the gradient moves the minimiser by about 1e-7.
    first, second, third = np.array([1.0, -1, 0, 0]), np.array([1.0, 1, -2, 0]), np.array([0.0, 0, 1, -1])
    output = np.column_stack([first, -first + 1e-4 * second, third])
    rows, x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([distance, 1.0])
    problem = stationary(rows, output, x, [0.02, -0.02, -0.04], np.zeros(4), loss="kl", weights=[0.0, 0.0, 0.2])
    found = certify(problem, x)
    assert found.status is status
    assert found.pinned.tolist() == {Status.KINKS: [0, 1], Status.SMOOTH: []}[status]


def test_a_concave_kink_is_refused_however_flat():
    output = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    x = np.array([0.0, 1.0])
    problem = stationary(np.eye(2), output, x, [-1e-9, -0.01], np.zeros(4), loss="kl", reg=0.01)
    found = certify(problem, x)
    assert found.status is Status.LIMIT
    assert found.slope == pytest.approx(-1e-9, rel=1e-3)
    assert found.descent_direction == pytest.approx([1.0, 0.0], abs=1e-12)


def test_a_decrease_that_a_small_residual_hides_is_told():
    # Only the penalty sees the second parameter: going to 0 lowers the objective by reg x^2 / 2, at a slope of reg x.
    rows, x = np.array([[1.0, 0.0]]), np.array([1.0, 100.0])
    far = 1e-3 * np.array([1.0, 1.0, -2.0])
    problem = stationary(rows, [[0.5], [-0.5], [0.0]], x, [-1e-17], far, loss="kl", reg=1e-17)
    found = certify(problem, x)
    assert found.status is Status.DEGENERATE
    assert "may hide a decrease of 5e-14" in found.reason


def test_an_indefinite_curvature_that_rounding_hides_is_not_called_positive():
    # The Hessian is diag(1, -1e-18).
    point = SimpleNamespace(
        hessian=lambda basis: np.diag([1.0, -1e-18]),
        centred_jacobian=lambda tangent: np.diag([1.0, 1e-9]) @ tangent,
        curvature_weights=lambda: np.array([1.0, -1.0]),
        kink_weights=lambda: None,
        objective=SimpleNamespace(reg=0.0),
    )
    assert reduced_curvature(point, np.eye(2)).sign == 0
    point.curvature_weights = lambda: np.array([1.0, 1.0])
    found = reduced_curvature(point, np.eye(2))
    assert (found.sign, found.n_flat) == (1, 0)
    assert found.value == pytest.approx(1e-18)


@pytest.mark.parametrize(("angle", "count"), [(0.0, 1), (2e-16, 1), (1e-12, 2), (1e-8, 2)])
def test_kinks_coincide_up_to_rounding_only(angle, count):
    rows = np.array([[1.0, 0.0], [-1.0, angle]])
    groups = group_kinks(rows, np.ones(2), np.array([2.0, 3.0]))
    assert len(groups.rows) == count
    assert groups.slopes.sum() == 5.0


@pytest.mark.parametrize("newton", [manifold_newton, manifold_newton_cg])
@pytest.mark.parametrize("excess", [1e-3, 1e-5, 1e-7])
def test_kinks_are_left_though_rounding_hides_the_decrease(newton, excess):
    # Behind its kink unit 0 lowers the objective at a rate of 0.01 excess: by the square of that over twice the curvature.
    output = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
    rows, x = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0.0, 1.0])
    problem = stationary(rows, output, x, [-0.01 * excess, -0.01], np.zeros(4), loss="kl", reg=0.01)
    run = newton(problem, x, np.array([0]))
    assert run.is_converged
    assert run.pinned.size == 0
    assert run.x[0] > 0.0


@pytest.mark.parametrize(
    ("newton", "index"), [(manifold_newton, 7), (manifold_newton, 25), (manifold_newton_cg, 18), (manifold_newton_cg, 28)]
)
def test_rows_equal_to_many_digits_neither_hold_a_point_nor_hide_a_decrease(newton, index):
    # Landing without a visible decrease, units that a direction moves by 1e-10, and residuals that must fall to rounding.
    assert newton(*draw("nearly repeated rows", index)).is_converged


def test_products_of_numbers_that_underflow_end_quietly():
    metric = KinkPreconditioner(np.array([[1.0, 0.0]]), np.array([1e8]), 0.5)
    found = truncated_cg(
        np.array([1e-155, 0.0]), lambda v: 1e9 * v, 1.0, metric=metric, forcing=0.1, floor=0.0, max_products=9
    )
    assert found.step == pytest.approx([-1e-164, 0.0], rel=1e-6)


def test_the_curvature_beside_a_kink_without_slope_is_that_of_its_lower_side():
    # On the active side the Hessian gains sum of p v^2 = 2 (f_0^2 - 0.1) along the first parameter.
    x, far = np.array([0.0, 1.0]), 0.1 * np.array([-1.0, -1.0, 1.0, 1.0])
    output = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    found = certify(stationary(np.eye(2), output, x, [0.0, -0.2], far, reg=0.2), x)
    share = 1.0 / (2.0 + np.exp(1.0) + np.exp(-1.0))
    assert found.status is Status.KINKS
    assert found.curvature == pytest.approx(0.2 + 2.0 * (share**2 - 0.1), rel=1e-12)


def test_points_beside_a_minimiser_by_more_than_rounding_are_refused():
    problem = SoftmaxReLU([[1, 2], [3, -1]], [[1, -1], [0, 2]], [0.25, 0.75], reg=0.01)
    x = np.array([0.104461520775536525998858475176, -0.0522307603877682629994292375882])
    assert certify(problem, x * (1.0 + 1e-15), pinned=[0]).is_certified
    assert certify(problem, x * (1.0 + 1e-11), pinned=[0]).status is Status.LIMIT


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_the_rounding_of_an_objective_is_neither_missed_nor_exaggerated(loss):
    rng = np.random.default_rng(5)
    A1, A2, b = rng.standard_normal((12, 4)), rng.standard_normal((8, 12)), rng.dirichlet(np.ones(8))
    problem = SoftmaxReLU(A1, A2, b, loss=loss)
    shares = []
    for x in rng.standard_normal((20, 4)):
        logits = A2.astype(np.longdouble) @ np.maximum(A1.astype(np.longdouble) @ x.astype(np.longdouble), 0)
        f = np.exp(logits - logits.max())
        f /= f.sum()
        b_long = problem.b.astype(np.longdouble)
        exact = {"squared": ((f - b_long) ** 2).sum() / 2, "kl": (b_long * np.log(b_long / f)).sum()}[loss]
        error = abs(float(problem.value(x) - exact))
        shares.append(error / rounding(problem.at(x), np.zeros(12, dtype=bool)).value)
    assert 1e-2 < max(shares) < 1.0


@pytest.mark.parametrize(("size", "status"), [(1e-12, Status.SMOOTH), (1e-15, Status.GLOBAL)])
def test_a_fit_is_exact_to_rounding_only(size, status):
    rng = np.random.default_rng(6)
    rows, output, x = rng.standard_normal((3, 2)), 0.5 * rng.standard_normal((6, 3)), rng.standard_normal(2)
    rows *= np.sign(rows @ x)[:, np.newaxis]
    problem = stationary(rows, output, x, np.zeros(3), size * rng.standard_normal(6), loss="kl")
    assert certify(problem, x).status is status


def parabola(value, gradient):
    """|u|^2 / 2 plus something that the model does not know."""

    def at(x, smoothing=0.0):
        return SimpleNamespace(
            x=x,
            value=value(x),
            gradient=gradient(x),
            hessian=lambda *_: np.eye(1),
            hessp=lambda v, curvature: v,
            kink_weights=lambda *_: None,
        )

    return SimpleNamespace(at=at)


@pytest.mark.parametrize("newton", [trust_region_newton, newton_cg])
def test_steps_that_rounding_hides_must_halve_the_gradient(newton):
    stuck = parabola(lambda x: 1.0, lambda x: np.array([1e-8]))
    run = newton(stuck, np.zeros(1), smoothing=0.1, gtol=1e-12, max_iter=5)
    assert (run.reason, run.n_iter) == ("rounding", 0)
    falling = parabola(lambda x: 1.0, lambda x: 1e-8 + 0.9 * x)
    assert newton(falling, np.zeros(1), smoothing=0.1, gtol=1e-12, max_iter=50).reason == "converged"


@pytest.mark.parametrize("newton", [trust_region_newton, newton_cg])
@pytest.mark.parametrize(("fall", "radius"), [(0.05, 0.25), (0.2, 1.0), (0.3, 1.0)])
def test_a_step_that_brings_little_is_taken_and_shrinks_the_radius(newton, fall, radius):
    # The model promises 1/2 for a step of length 1.
    objective = parabola(lambda x: float(fall * x[0]), lambda x: np.ones(1))
    run = newton(objective, np.zeros(1), smoothing=0.1, gtol=1e-12, max_iter=1)
    assert run.x == pytest.approx([-1.0])
    assert run.radius == pytest.approx(radius)


def test_no_result_is_above_the_start_though_it_be_certified():
    problem = SoftmaxReLU([[1, 2], [3, -1]], [[1, -1], [0, 2]], [0.25, 0.75], reg=0.01)
    high, start = np.array([5.0, 5.0]), np.array([0.3, 0.2])
    certified = certify(problem, [0.104461520775536525998858475176, -0.0522307603877682629994292375882])
    assert certified.is_certified

    def manifold(objective, x, pinned, **options):
        return SimpleNamespace(
            x=high, certificate=certified, pinned=NONE, n_iter=0, n_value=0, n_hessian=0, n_products=0, reason="certified"
        )

    run = continuation(problem, start, manifold=manifold, fallback=None)
    assert run.value <= problem.value(start) < problem.value(high)


def test_a_stage_gives_up_after_200_steps():
    problem = SoftmaxReLU([[1, 2], [3, -1]], [[1, -1], [0, 2]], [0.25, 0.75], reg=0.01)
    limits = []

    def newton(*args, max_iter, **options):
        limits.append(max_iter)
        return trust_region_newton(*args, max_iter=max_iter, **options)

    continuation(problem, np.array([0.3, 0.2]), newton=newton, options=SolverOptions(maxiter=5000))
    assert set(limits) == {200}


def test_beside_a_concave_kink_that_rounding_cannot_exclude_nothing_is_certified():
    # Off its kink the second unit matters to the penalty alone, whose gradient there is 1e-19; on it, it lowers the loss.
    problem = SoftmaxReLU(np.eye(2), [[1, 0], [0, 1], [0, 0]], [0.5, 0.3, 0.2], loss="kl", reg=1e-10)
    found = certify(problem, [np.log(2.0) * (1.0 - 4e-10), -1e-9])
    assert (int(found.status), found.slope) == (5, pytest.approx(0.25 - 0.3, abs=1e-9))
    np.testing.assert_allclose(found.descent_direction, [0.0, 1.0], atol=1e-9)
