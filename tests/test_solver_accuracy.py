"""Accuracy of every method: against 60-digit solutions and the error of gelsd, over condition numbers and penalties."""

import numpy as np
import pytest
import reference
from reference import gelsd, relative
from tolerances import EPS, backward_stable, iterative, least_squares

from underdetermined.solution import Status
from underdetermined.solvers import solve

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

DIRECT = ["auto", "cholesky", "cholesky_qr", "qr", "svd", "mixed"]


@pytest.mark.parametrize("condition", [1e2, 1e6, 1e8, 1e9, 1e10, 1e12])
@pytest.mark.parametrize("method", DIRECT)
def test_minimum_norm_error_is_that_ofgelsd(condition, method, wide_system):
    matrix, targets = wide_system(condition)
    expected = reference.minimum_norm(matrix, targets)
    error, best = (relative(c, expected) for c in (solve(matrix, targets, method=method).coef, gelsd(matrix, targets)))
    assert error <= 10 * best
    assert error <= backward_stable(condition)


@pytest.mark.parametrize("method", DIRECT)
@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
def test_beyond_the_default_cutoff(method, shape, matrix_with_condition, rng):
    """At 1e14 the default cut-off truncates; with rcond=0 all digits that are left must be there."""
    matrix = matrix_with_condition(*shape, 1e14)
    targets = matrix @ rng.standard_normal((shape[1], 1))
    expected = reference.minimum_norm(matrix, targets)
    solution = solve(matrix, targets, method=method, rcond=0.0)
    assert relative(solution.coef, expected) <= max(10 * relative(gelsd(matrix, targets, 0.0), expected), 1e-2)
    assert solution.status is Status.ILL_CONDITIONED
    truncated = solve(matrix, targets, method=method)
    assert truncated.rank < 20
    assert truncated.status is Status.RANK_DEFICIENT
    assert truncated.rank == np.linalg.lstsq(matrix, targets, rcond=None)[2]


@pytest.mark.parametrize("condition", [1e2, 1e6, 1e8, 1e12])
@pytest.mark.parametrize("method", DIRECT)
@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_least_squares_error(condition, method, noise, matrix_with_condition, rng):
    matrix = matrix_with_condition(50, 20, condition)
    targets = matrix @ rng.standard_normal((20, 1)) + noise * rng.standard_normal((50, 1))
    expected = reference.minimum_norm(matrix, targets)
    solution = solve(matrix, targets, method=method)
    residual = np.linalg.norm(targets - matrix @ expected)
    assert relative(solution.coef, expected) <= least_squares(condition, residual, 1.0, np.linalg.norm(expected))
    # The median over orders of the columns: a single run of gelsd may be lucky.
    orders = [rng.permutation(20) for _ in range(7)]
    typical = np.median([relative(gelsd(matrix[:, order], targets), expected[order]) for order in orders])
    assert relative(solution.coef, expected) <= 10 * typical


@pytest.mark.parametrize("method", DIRECT)
@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
@pytest.mark.parametrize("alpha", [1e-300, 1e-20, 1e-12, 1.0, 1e300])
def test_small_and_large_penalties(method, shape, alpha, matrix_with_condition, rng):
    """The penalised system is a system with sqrt(alpha) I appended, and as accurate as gelsd on that."""
    matrix = matrix_with_condition(*shape, 1e8)
    targets = matrix @ rng.standard_normal((shape[1], 1))
    solution = solve(matrix, targets, method=method, alpha=alpha)
    n, m = shape
    rows = np.vstack([matrix, np.sqrt(alpha) * np.eye(m)])
    wide = np.hstack([matrix, np.sqrt(alpha) * np.eye(n)])
    augmented, right = (wide, targets) if n <= m else (rows, np.vstack([targets, np.zeros((m, 1))]))
    expected = reference.minimum_norm(augmented, right, digits=700 if alpha > 1e200 else 80)[:m]
    best = relative(gelsd(augmented, right)[:m], expected)
    condition = np.sqrt((1.0 + alpha) / (1e-16 + alpha))
    assert relative(solution.coef, expected) <= max(10 * best, backward_stable(1.0))
    assert relative(solution.coef, expected) <= backward_stable(condition)


def test_residual_of_interpolation_is_rounding(wide_system):
    for condition in (1e2, 1e6, 1e9, 1e11):
        matrix, targets = wide_system(condition)
        for method in DIRECT:
            solution = solve(matrix, targets, method=method)
            assert solution.residual_norm[0] <= 100 * EPS * solution.coef_norm[0], (condition, method)


@pytest.mark.parametrize("method", ["cg", "lsmr"])
def test_tolerance_of_iterations(method, matrix_with_condition, rng):
    matrix = matrix_with_condition(80, 160, 50.0)
    targets = rng.standard_normal((80, 2))
    expected = gelsd(matrix, targets)
    steps = []
    for tol in (1e-3, 1e-6, 1e-9):
        solution = solve(matrix, targets, method=method, tol=tol)
        assert relative(solution.coef, expected) <= iterative(50.0, tol)
        assert np.all(
            solution.residual_norm <= tol * (solution.coef_norm * 2 * np.sqrt(200) + np.linalg.norm(targets, axis=0))
        )
        assert solution.status is Status.CONVERGED
        steps.append(solution.n_iter)
    assert steps == sorted(steps)


@pytest.mark.parametrize("method", ["cg", "lsmr"])
@pytest.mark.parametrize("shape", [(150, 250), (250, 150)])
def test_iteration_limit(method, shape, matrix_with_condition, rng):
    matrix = matrix_with_condition(*shape, 1e4)
    solution = solve(matrix, rng.standard_normal(shape[0]), method=method, max_iter=2)
    assert solution.status is Status.MAX_ITER
    assert solution.n_iter == 2
    assert np.isfinite(solution.coef).all()


@pytest.mark.parametrize("shape", [(150, 250), (250, 150)])
def test_nystrom_helps(shape, matrix_with_condition, rng):
    """A spectrum whose leading part is flattened takes fewer iterations than unpreconditioned LSMR."""
    p = min(shape)
    left, right = (np.linalg.qr(rng.standard_normal((size, p)))[0] for size in shape)
    matrix = (left * np.r_[np.geomspace(1e4, 1.0, 30), np.ones(p - 30)]) @ right.T
    targets = rng.standard_normal(shape[0])
    counts = {method: solve(matrix, targets, method=method, tol=1e-8).n_iter for method in ("cg", "lsmr")}
    assert counts["cg"] < 0.3 * counts["lsmr"]
