"""Parts of the methods on kinks, each on a case whose answer is known: rays, faces, certificates, curvature, stages."""

from types import SimpleNamespace

import numpy as np
import pytest

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import SoftmaxReLUStatus as Status
from underdetermined.softmax_relu import certify
from underdetermined.softmax_relu._options import SolverOptions
from underdetermined.softmax_relu.kinks.face import Face, follow, release
from underdetermined.softmax_relu.kinks.multipliers import _descend
from underdetermined.softmax_relu.kinks.null_space import NullSpace
from underdetermined.softmax_relu.kinks.projected_curvature import certify_by_products, projected_curvature
from underdetermined.softmax_relu.kinks.rounding import rounding
from underdetermined.softmax_relu.kinks.walk import walk
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


@pytest.mark.parametrize(
    ("gradient", "expected"), [([-0.5, 0.0], None), ([-1.5, 0.0], [True]), ([0.5, 0.0], [False])]
)
def test_a_kink_is_released_to_the_side_its_multiplier_points_to(gradient, expected):
    problem = SoftmaxReLU([[2.0, 0.0]], [[0.0], [1.0]], [0.5, 0.5])
    face = Face.of(problem, np.zeros(1, dtype=bool), np.array([0]))
    # The multiplier is -g / 2, and its bounds are 0 and 1/2.
    point = SimpleNamespace(gradient=np.array(gradient), unit_slopes=np.array([0.5]))
    found = release(face, point, 1e-9)
    assert (None if found is None else found.active.tolist()) == expected
    assert found is None or found.pinned.size == 0


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
    return SimpleNamespace(objective=objective, x=np.zeros(size), hessp=lambda v: values[:, np.newaxis] * v.reshape(size, -1))


@pytest.mark.parametrize(("lowest", "sign"), [(-1e-3, -1), (1e-3, 1)])
def test_a_positive_bound_from_above_proves_nothing(lowest, sign):
    values = np.append(lowest, np.linspace(0.01, 1.0, 399))
    point = diagonal(values)
    product = point.hessp
    point.hessp = lambda v: product(v).reshape(v.shape)
    found = projected_curvature(point, NONE)
    assert found.sign == sign
    assert abs(found.value) <= 2e-3


def stationary(rows, output, x, slopes, far, loss="squared", reg=0.0):
    """A problem whose units have the given slopes at x, with `far` added to the logit slopes where no unit feels it."""
    rows, output, x = np.array(rows), np.array(output), np.array(x)
    f = np.exp(output @ np.maximum(rows @ x, 0.0))
    f /= f.sum()
    conditions = np.vstack([output.T, np.ones(len(f))])
    q = np.linalg.lstsq(conditions, np.append(slopes, 0.0), rcond=None)[0]
    q = q + far - np.linalg.pinv(conditions) @ (conditions @ far)
    return SoftmaxReLU(rows, output, f - (q if loss == "kl" else q / f), loss=loss, reg=reg)


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
    direction = [0.0, 0.0] if bend > 0.0 else found.descent_direction * turn
    # On the other side of the kink the objective has a slope.
    assert direction[0] >= 0.0
    assert problem.value(x + 1e-4 * np.multiply(direction, turn)) < problem.value(x) or bend > 0.0


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
            x=x, value=value(x), gradient=gradient(x), hessian=lambda *_: np.eye(1), hessp=lambda v, *_: v, slopes=np.ones(1)
        )

    return SimpleNamespace(at=at, A1=np.ones((1, 1)), reg=0.0, n_hidden=1, n_parameters=1, row_norms=np.ones(1))


def test_steps_that_rounding_hides_must_halve_the_gradient():
    stuck = parabola(lambda x: 1.0, lambda x: np.array([1e-8]))
    run = trust_region_newton(stuck, np.zeros(1), gtol=1e-12, max_iter=5)
    assert (run.reason, run.n_iter) == ("rounding", 0)
    falling = parabola(lambda x: 1.0, lambda x: 1e-8 + 0.9 * x)
    assert trust_region_newton(falling, np.zeros(1), gtol=1e-12, max_iter=50).reason == "converged"


@pytest.mark.parametrize(("fall", "radius"), [(0.05, 0.25), (0.2, 1.0), (0.45, 1.0)])
def test_a_step_that_brings_little_is_taken_and_shrinks_the_radius(fall, radius):
    # The model promises 1/2 for a step of length 1.
    objective = parabola(lambda x: float(fall * x[0]), lambda x: np.ones(1))
    run = trust_region_newton(objective, np.zeros(1), gtol=1e-12, max_iter=1)
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
