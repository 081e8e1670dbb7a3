"""Certificates at kinks: against multiple-precision minimisers, brute force, and points built to have any multipliers."""

import json

import numpy as np
import pytest
from softmax_relu_kink_problems import plain

from underdetermined.objectives import SharedSoftmaxReLU, SoftmaxReLU
from underdetermined.softmax_relu import SoftmaxReLUStatus as Status
from underdetermined.softmax_relu import certify
from underdetermined.softmax_relu.kinks.curvature import ReducedCurvature
from underdetermined.softmax_relu.kinks.multipliers import bounded_least_squares, central_multipliers

P2 = ([[1, 2], [3, -1]], [[1, -1], [0, 2]], [0.25, 0.75])
P4 = (
    [[1, 1, 0, 0], [0, 1, -1, 0], [1, 0, 0, -1], [0, 2, 1, 1]],
    [[1, 0, -1, 2], [0, 1, 1, 0], [2, -1, 0, 1], [-1, 1, 0, 0]],
    [0.1, 0.2, 0.3, 0.4],
)
# Minimisers with penalty 0.01 in fifty digits: parameters, multiplier, slope and smallest reduced curvature.
P2_AT = [0.104461520775536525998858475176, -0.0522307603877682629994292375882]
P4_AT = [0.0457849430633392302892256378401, -0.0457849430633392302892256378401, 0.0, -0.0915698861266784605784512756803]


def built(rng, share, *, slope=1.0, reg=1e-3, repeats=((1.0, 1.0),), n=6, m=9, d=4):
    """A point on one kink with a multiplier of `share` times the slope r, built backwards: b is chosen so that it is there.

    `repeats` are factors of rows and of columns that share that kink; the slopes of all are multiples of `slope`.
    """
    k = len(repeats)
    normal = rng.standard_normal(d)
    x = rng.standard_normal(d)
    x -= normal * (normal @ x) / (normal @ normal)
    A1 = np.vstack([rng.standard_normal((n, d)), [t * normal for t, _ in repeats]])
    A2 = rng.standard_normal((m, n + k))
    A2[:, n:] = A2[:, n : n + 1] * [c for _, c in repeats]
    A1[:n] *= np.sign(A1[:n] @ x)[:, np.newaxis]
    h = np.maximum(A1 @ x, 0.0)
    h[n:] = 0.0
    f = np.exp(A2 @ h)
    f /= f.sum()
    # q sums to zero, has the slope r on the kink, and cancels the penalty with the multiplier.
    r = 1e-3 * slope
    rows = np.vstack([A1[:n].T @ A2[:, :n].T, A2[:, n], np.ones(m)])
    right = np.concatenate([-reg * x - share * r * repeats[0][0] * normal, [r, 0.0]])
    q = np.linalg.lstsq(rows, right, rcond=None)[0]
    return SoftmaxReLU(A1, A2, f - q, loss="kl", reg=reg), x


@pytest.mark.parametrize(
    ("problem", "x", "nu", "r", "curvature"),
    [
        (P2, P2_AT, 0.000074615371982526089999184625126, 0.000124358953304210149998641041877, 6.22799581784176),
        (P4, P4_AT, 0.000457849430633392302892256378401, 0.037781532079882877128926777006, 0.01),
    ],
)
def test_multipliers_agree_with_fifty_digits(problem, x, nu, r, curvature):
    found = certify(SoftmaxReLU(*problem, reg=0.01), x)
    assert found.status is Status.KINKS
    assert found.pinned.tolist() == [0]
    np.testing.assert_allclose(found.multipliers, [nu], rtol=1e-10)
    np.testing.assert_allclose(found.unit_slopes, [r], rtol=1e-10)
    assert found.curvature == pytest.approx(curvature, rel=1e-10)
    assert found.kkt_residual <= 0.1 * found.kkt_tolerance


@pytest.mark.parametrize("reg", [0.2, 1.0, 10.0, 1000.0])
def test_a_concave_kink_is_refused_for_every_penalty(reg):
    objective = SoftmaxReLU([[1.0], [-1.0]], [[1.0, 1.0], [0.0, 0.0]], [1.0, 0.0], reg=reg)
    found = certify(objective, [0.0])
    assert found.status is Status.LIMIT
    assert found.slope == pytest.approx(-0.25)
    assert objective.value(1e-4 * found.descent_direction) < objective.value([0.0])


@pytest.mark.parametrize(("share", "status"), [(-0.1, 5), (0.0, 1), (0.3, 1), (1.0, 1), (1.1, 5)])
def test_multipliers_must_lie_between_their_bounds_and_may_touch_them(rng, share, status):
    objective, x = built(rng, share)
    found = certify(objective, x, pinned=[6])
    assert found.status == status
    np.testing.assert_allclose(found.multipliers, np.clip(share, 0.0, 1.0) * found.unit_slopes, atol=1e-15)


def test_descent_directions_go_down_at_the_rate_given(rng):
    objective, x = built(rng, 1.2)
    found = certify(objective, x, pinned=[6])
    measured = (objective.value(x + 1e-7 * found.descent_direction) - objective.value(x)) / 1e-7
    assert measured == pytest.approx(found.slope, rel=1e-2)
    assert found.slope == pytest.approx(-found.kkt_residual)


def test_independent_concave_kinks_are_left(rng):
    objective, x = built(rng, 0.5, slope=-1.0)
    found = certify(objective, x, pinned=[6])
    assert found.status is Status.LIMIT
    assert found.slope < 0.0
    assert objective.value(x + 1e-6 * found.descent_direction) < objective.value(x)


@pytest.mark.parametrize("repeats", [((1.0, 1.0), (2.0, 0.5)), ((1.0, 1.0), (0.5, -0.4)), ((1.0, 1.0), (-1.0, 0.0))])
def test_kinks_that_coincide_act_as_one(rng, repeats):
    objective, x = built(rng, 0.4, repeats=repeats)
    found = certify(objective, x, pinned=[6])
    assert found.status is Status.KINKS
    np.testing.assert_allclose(
        objective.at(x, active=found.active).gradient + found.multipliers @ objective.A1[found.pinned], 0.0, atol=1e-14
    )


def test_opposite_kinks_whose_slopes_add_up_below_zero_are_refused(rng):
    objective, x = built(rng, 0.4, repeats=((1.0, 1.0), (-1.0, -2.0)))
    assert certify(objective, x, pinned=[6, 7]).status is Status.LIMIT


def test_the_apex_agrees_with_all_rays_of_the_kinks():
    found = []
    for seed in range(60):
        objective = plain(np.random.default_rng(seed), 5, 3, 2, 1e-2)
        certificate = certify(objective, np.zeros(2))
        # The derivative is linear between kinks: its sign is decided on their rays.
        rays = objective.A1[:, ::-1] * [1.0, -1.0]
        rays = np.vstack([rays, -rays])
        slopes = np.maximum(rays @ objective.A1.T, 0.0) @ objective.at(np.zeros(2)).unit_slopes
        assert certificate.is_certified == bool(slopes.min() > -1e-14)
        found.append(certificate.status)
    assert {Status.APEX, Status.LIMIT} == set(found)


def test_saddle_points_are_refused_with_a_direction():
    # By symmetry (1, 0) is stationary in the second parameter, along which the first output falls both ways, as it should.
    A1, A2 = [[1.0, 1.0], [1.0, -1.0]], [[0.0, 0.0], [1.0, -1.0], [-1.0, 1.0]]
    objective, x = SoftmaxReLU(A1, A2, [-5.0, 0.5, 0.5]), np.array([1.0, 0.0])
    found = certify(objective, x)
    assert found.status is Status.LIMIT
    assert found.slope == 0.0
    assert found.curvature < 0.0
    assert objective.value(x + 1e-3 * found.descent_direction) < objective.value(x)


def test_flat_directions_are_counted_and_no_obstacle(rng):
    rows = rng.standard_normal((3, 2)) @ rng.standard_normal((2, 5))
    x = rng.standard_normal(5)
    rows *= np.sign(rows @ x)[:, np.newaxis]
    A2 = rng.standard_normal((6, 3))
    f = np.exp(A2 @ (rows @ x))
    f /= f.sum()
    q = np.linalg.svd(np.vstack([A2.T, np.ones(6)]))[2][-1]
    found = certify(SoftmaxReLU(rows, A2, f - 1e-3 * q, loss="kl"), x)
    assert found.status is Status.SMOOTH
    assert found.n_flat == 3
    assert found.curvature > 0.0


def test_exact_fits_are_global_minimisers_and_penalties_undo_that(rng):
    A1, A2, x = rng.standard_normal((4, 3)), rng.standard_normal((5, 4)), rng.standard_normal(3)
    fitted = SoftmaxReLU(A1, A2, np.full(5, 0.2)).at(x).fitted
    assert certify(SoftmaxReLU(A1, A2, fitted), x).status is Status.GLOBAL
    assert certify(SoftmaxReLU(A1, A2, fitted, loss="kl"), x).status is Status.GLOBAL
    assert certify(SoftmaxReLU(A1, A2, fitted, reg=0.1), x).status is Status.LIMIT


def test_the_flat_cone_has_a_status_of_its_own(rng):
    A2, b = rng.standard_normal((3, 2)), np.array([0.2, 0.3, 0.5])
    assert certify(SoftmaxReLU([[1.0, 0.0], [0.0, 1.0]], A2, b), [-1.0, -2.0]).status is Status.FLAT
    assert certify(SoftmaxReLU([[1.0, 0.0], [0.0, 1.0]], A2, b, reg=0.1), [-1.0, -2.0]).status is Status.LIMIT


def test_units_that_are_named_but_not_at_their_kinks_are_not_certified(rng):
    objective, x = built(rng, 0.5)
    moved = x + 1e-6 * objective.A1[6]
    assert certify(objective, moved).kkt_residual > 1e-4
    named = certify(objective, moved, pinned=[6])
    assert not named.is_certified
    assert named.kkt_residual < 1e-4


def test_a_point_beside_the_apex_by_less_than_rounding_is_examined_as_the_apex():
    objective = plain(np.random.default_rng(3), 5, 3, 2, 1e-2)
    at = certify(objective, np.zeros(2))
    x = 1e-25 * np.random.default_rng(0).standard_normal(2)
    near = certify(objective, x)
    assert near.is_certified <= at.is_certified


def test_units_without_kinks_are_left_out(rng):
    A1, A2 = rng.standard_normal((8, 2)), np.tile(rng.standard_normal(8), (3, 1))
    found = certify(SoftmaxReLU(A1, A2, [0.2, 0.3, 0.5], reg=0.1), np.zeros(2))
    assert found.status is Status.SMOOTH
    assert found.pinned.size == 0


@pytest.mark.parametrize("shift", [0.0, 1e2, 1e4])
def test_shifts_of_the_outputs_change_no_verdict(shift):
    objective = SoftmaxReLU(P2[0], np.array(P2[1]) + shift * np.array([1.0, -2.0]), P2[2], reg=0.01)
    assert certify(objective, P2_AT, pinned=[0]).status is Status.KINKS


@pytest.mark.parametrize("size", [1e-150, 1e-6, 1e6, 1e100])
def test_verdicts_do_not_depend_on_units(size):
    objective = SoftmaxReLU(size * np.array(P2[0], float), np.array(P2[1]) / size, P2[2], reg=0.01)
    assert certify(objective, P2_AT, pinned=[0]).status is Status.KINKS


def test_ill_conditioned_curvature_keeps_its_sign(rng):
    A1 = rng.standard_normal((12, 4)) * np.geomspace(1.0, 1e-10, 4)
    x = rng.standard_normal(4) / np.geomspace(1.0, 1e-10, 4)
    A1 *= np.sign(A1 @ x)[:, np.newaxis]
    A2 = rng.standard_normal((20, 12))
    f = np.exp(0.1 * A2 @ (A1 @ x))
    f /= f.sum()
    q = np.linalg.svd(np.vstack([A2.T, np.ones(20)]))[2][-1]
    found = certify(SoftmaxReLU(A1, 0.1 * A2, f - 1e-3 * q, loss="kl"), x)
    assert (found.status, found.n_flat) == (Status.SMOOTH, 0)


def test_another_test_of_curvature_may_be_used(rng):
    objective, x = built(rng, 0.5)

    def undecided(point, units):
        assert units.tolist() == [6]
        return ReducedCurvature(1.0, 0, x)

    assert certify(objective, x, pinned=[6], curvature=undecided).status is Status.DEGENERATE


def test_shared_problems_are_certified(rng):
    Phi, A2, B = rng.standard_normal((6, 2)), rng.standard_normal((3, 4)), rng.dirichlet(np.ones(3), 6)
    objective = SharedSoftmaxReLU(Phi, A2, B, reg=1.0)
    found = certify(objective, np.zeros(8))
    assert found.pinned.size == 24
    assert found.is_certified or objective.value(1e-5 * found.descent_direction) < objective.value(np.zeros(8))


def test_dead_units_that_would_help_are_counted(rng):
    objective, x = built(rng, 0.5)
    point = objective.at(x)
    assert certify(objective, x).n_dead_profitable == int(((point.z < -1e-9) & (point.unit_slopes < 0.0)).sum())


def test_certificates_are_json_and_one_line(rng):
    objective, x = built(rng, 0.5)
    found = certify(objective, x)
    assert json.loads(json.dumps(found.to_dict()))["status"] == 1
    assert "\n" not in repr(found)
    assert json.loads(json.dumps(certify(objective, np.zeros(4)).to_dict(), allow_nan=False))["is_certified"] is False


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        ([0.0], {}, "x has shape"),
        ([0.0, np.nan], {}, "x has 1 NaN"),
        ([0.0, 1.0], {"pinned": [2]}, "pinned"),
        ([0.0, 1.0], {"pinned": [0.5]}, "pinned"),
        ([0.0, 1.0], {"tolerance": -1.0}, "tolerance"),
    ],
)
def test_bad_arguments_are_named(x, options, message):
    with pytest.raises(ValueError, match=message):
        certify(SoftmaxReLU(*P2), x, **options)


@pytest.mark.parametrize("seed", range(40))
def test_bounded_least_squares_is_optimal_to_rounding(seed):
    rng = np.random.default_rng(seed)
    k, d = rng.integers(1, 14, 2)
    rows = rng.standard_normal((k, d))
    rows[k // 2] = -rows[0]
    upper = rng.exponential(size=k) * (rng.random(k) > 0.1)
    gradient = [3.0 * rng.standard_normal(d), -(upper * np.clip(rng.standard_normal(k), 0, 1)) @ rows][seed % 2]
    values = bounded_least_squares(rows, gradient, upper)
    slope = rows @ (gradient + values @ rows)
    assert np.all((values >= 0.0) & (values <= upper))
    wrong = np.where(values <= 0.0, np.maximum(-slope, 0.0), np.abs(slope))
    wrong = np.where(values >= upper, np.minimum(wrong, np.maximum(slope, 0.0)), wrong)
    assert wrong.max() <= 1e-13 * (1.0 + np.linalg.norm(gradient))


def test_central_multipliers_stay_feasible_and_leave_bounds(rng):
    rows = np.array([[1.0, 0.0], [0.0, 1.0], [np.sqrt(0.5), np.sqrt(0.5)]])
    values, upper = np.array([0.0, 0.0, 0.5]), np.ones(3)
    relations = np.linalg.svd(rows.T)[2][2:].T
    moved = central_multipliers(values, relations, upper)
    np.testing.assert_allclose(moved @ rows, values @ rows, atol=1e-15)
    assert np.minimum(moved, upper - moved).min() > 0.1


@pytest.mark.parametrize(("loss", "status"), [("kl", Status.APEX), ("squared", Status.DEGENERATE)])
def test_many_kinks_without_slope_are_certified_where_no_cell_bends_down(loss, status):
    rng = np.random.default_rng(4)
    A2 = rng.standard_normal((12, 8))
    aside = np.linalg.svd(np.column_stack([A2, np.ones(12)]))[0][:, -1]
    b = np.full(12, 1 / 12) + 0.9 / 12 * aside / np.abs(aside).max() * (1.0 if loss == "kl" else 3.0)
    found = certify(SoftmaxReLU(rng.standard_normal((8, 2)), A2, b, loss=loss, reg=1e-3), np.zeros(2))
    assert found.status is status
