"""Every method against gelsd, 60-digit solutions and identities, over shapes, targets, penalties and memory orders."""

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import gelsd, relative
from scipy import sparse
from scipy.sparse.linalg import aslinearoperator
from scipy.sparse.linalg import lsmr as scipy_lsmr
from sklearn.linear_model import Ridge
from tolerances import backward_stable, iterative

from underdetermined import _matrix
from underdetermined.gram import gram_matrix
from underdetermined.solution import Status
from underdetermined.solvers import SOLVERS, orthogonal, select_method, solve
from underdetermined.solvers import iterative as iterative_module
from underdetermined.system import LinearSystem

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

METHODS = ["auto", *SOLVERS]
DIRECT = ["auto", "cholesky", "cholesky_qr", "qr", "svd", "mixed"]
SHAPES = [(6, 15), (15, 6), (8, 8), (1, 5), (5, 1), (1, 1)]
TOL = 1e-12


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize("order", ["C", "F"])
def test_solution(method, shape, k, alpha, order, matrix_with_condition, rng):
    matrix, targets = matrix_with_condition(*shape, 30.0, order), rng.standard_normal((shape[0], k))
    solution = solve(matrix, targets, method=method, alpha=alpha, tol=TOL)
    expected, _ = reference.ridge(matrix, targets, alpha=alpha)
    assert solution.coef.shape == (shape[1], k)
    assert relative(solution.coef, expected) <= iterative(30.0**2, TOL)
    residual = np.linalg.norm(targets - matrix @ solution.coef, axis=0)
    np.testing.assert_allclose(solution.residual_norm, residual, atol=1e-12)
    np.testing.assert_allclose(solution.coef_norm, np.linalg.norm(solution.coef, axis=0), rtol=1e-14)
    np.testing.assert_array_equal(solution.intercept, np.zeros(k))
    assert solution.status.is_success
    assert solution.rank == min(shape)
    assert solution.n_iter >= 1
    assert solution.method == {"auto": "cholesky"}.get(method, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(6, 15), (15, 6), (8, 8), (9, 8), (2, 5)])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_weights_and_intercept(method, shape, alpha, matrix_with_condition, rng):
    # A large offset, which an intercept removes.
    matrix, targets = matrix_with_condition(*shape, 5.0) + 1.0, rng.standard_normal((shape[0], 2)) + 10.0
    weight = rng.integers(1, 4, shape[0])
    solution = solve(matrix, targets, method=method, alpha=alpha, tol=TOL, sample_weight=weight, fit_intercept=True)
    coef, intercept = reference.ridge(matrix, targets, alpha=alpha, sample_weight=weight, fit_intercept=True)
    np.testing.assert_allclose(solution.coef, coef, atol=1e-8 * np.linalg.norm(coef))
    np.testing.assert_allclose(solution.intercept, intercept, atol=1e-8 * np.linalg.norm(coef))
    residual = np.sqrt(weight)[:, np.newaxis] * (targets - solution.intercept - matrix @ solution.coef)
    np.testing.assert_allclose(solution.residual_norm, np.linalg.norm(residual, axis=0), atol=1e-10)
    copies = np.repeat(np.arange(shape[0]), weight)
    repeated = solve(matrix[copies], targets[copies], alpha=alpha, fit_intercept=True)
    np.testing.assert_allclose(solution.coef, repeated.coef, atol=1e-8 * np.linalg.norm(coef))


# ------------------------------------------------------------------------------------------------ rank deficiency

DEFICIENT = {
    "repeated rows": lambda a: np.vstack([a, a[:2]]),
    "repeated neurons": lambda a: np.hstack([a[:, :4], a[:, :4]]),
    "zero rows": lambda a: np.vstack([a, np.zeros((2, a.shape[1]))]),
    "zero columns": lambda a: np.hstack([a[:, :4], np.zeros((len(a), 9))]),
    "constant": lambda a: np.ones(a.shape),
    "zero": lambda a: np.zeros(a.shape),
    "rank two, tall": lambda a: a.T[:, :2] @ a[:2, :8],
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("case", DEFICIENT)
@pytest.mark.parametrize("consistent", [True, False])
def test_rank_deficient_equalsgelsd(method, case, consistent, rng):
    matrix = DEFICIENT[case](rng.standard_normal((8, 12)))
    noise = {True: 0.0, False: 1.0}[consistent]
    targets = matrix @ rng.standard_normal((matrix.shape[1], 2)) + noise * rng.standard_normal((len(matrix), 2))
    solution = solve(matrix, targets, method=method, tol=1e-13)
    coef, _, rank, _ = np.linalg.lstsq(matrix, targets, rcond=None)
    np.testing.assert_allclose(solution.coef, coef, atol=1e-9 * max(1.0, np.linalg.norm(coef)))
    assert solution.rank in (rank, min(matrix.shape) if solution.method in ("cg", "lsmr") else rank)
    assert solution.status.is_success


@pytest.mark.parametrize("method", DIRECT)
def test_rank_deficient_statuses(method, rng):
    matrix = rng.standard_normal((5, 12))[[0, 1, 2, 3, 4, 0]]
    targets = np.arange(6.0)
    assert solve(matrix, targets, method=method).status is Status.INCONSISTENT
    targets[5] = targets[0]
    solution = solve(matrix, targets, method=method)
    assert solution.status is Status.RANK_DEFICIENT
    assert (solution.rank, solution.method) == (5, "svd")
    assert solve(matrix[:, :3], targets, method=method).status is Status.LEAST_SQUARES
    assert solve(matrix[:, [0, 0]], targets, method=method).status is Status.RANK_DEFICIENT
    zero = solve(np.zeros((3, 5)), [0.0, 0.0, 0.0], method=method)
    assert (zero.rank, zero.status, np.abs(zero.coef).max()) == (0, Status.RANK_DEFICIENT, 0.0)
    assert solve(np.zeros((3, 5)), [1.0, 0.0, 0.0], method=method).status is Status.INCONSISTENT
    penalised = solve(matrix, targets, method=method, alpha=1.0)
    assert penalised.status is Status.REGULARIZED


@pytest.mark.parametrize("method", DIRECT)
@pytest.mark.parametrize("shape", [(8, 20), (20, 8)])
@pytest.mark.parametrize("rcond", [0.5, 1e-2, 1e-5, 1e-11])
def test_rcond_truncates_asgelsd(method, shape, rcond, matrix_with_condition, rng):
    matrix, targets = matrix_with_condition(*shape, 1e4), rng.standard_normal((shape[0], 1))
    solution = solve(matrix, targets, method=method, rcond=rcond)
    coef, _, rank, _ = np.linalg.lstsq(matrix, targets, rcond=rcond)
    assert solution.rank == rank
    assert relative(solution.coef, coef) <= 1e-10


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e150, 1e200])
def test_scales_whose_gram_overflows(scale, rng):
    matrix, coef = rng.standard_normal((5, 9)), None
    targets = rng.standard_normal((5, 1))
    coef = gelsd(matrix, targets)
    with np.errstate(over="ignore", invalid="ignore"):
        solution = solve(scale * matrix, targets)
    assert relative(solution.coef * scale, coef) <= 1e-12


@pytest.mark.parametrize("offset", [1e3, 1e6, 1e7, 1e9])
def test_offset_that_cancels_is_not_trusted(offset, rng):
    """An intercept removes an offset from the Gram, and twice its digits with it; the features lose them once."""
    matrix, targets = rng.standard_normal((10, 30)) + offset, rng.standard_normal((10, 1))
    solution = solve(matrix, targets, fit_intercept=True)
    centred = matrix - matrix.mean(axis=0)
    assert relative(solution.coef, gelsd(centred, targets - targets.mean(), 1e-3)) <= backward_stable(10.0 * offset)
    assert solution.rank == 9


# --------------------------------------------------------------------------------------------------------- status


def test_escalation_names_the_rung_that_answered(wide_system):
    for method, condition, rung in (
        ("cholesky", 1e9, "cholesky_qr"),
        ("cholesky_qr", 3e12, "qr"),
        ("mixed", 1e5, "cholesky"),
        ("mixed", 1e9, "cholesky_qr"),
        ("cg", 1e10, "qr"),
    ):
        solution = solve(*wide_system(condition), method=method, rcond=0.0)
        assert solution.method == rung
        assert solution.status in (Status.ESCALATED, Status.ILL_CONDITIONED)
    assert solve(*wide_system(1e9), method="cholesky").status is Status.ESCALATED


def test_auto_climbs_the_ladder(wide_system):
    rungs = {1e2: "cholesky", 1e6: "cholesky", 1e9: "cholesky_qr", 1e11: "cholesky_qr", 1e13: "qr"}
    for condition, rung in rungs.items():
        solution = solve(*wide_system(condition), rcond=0.0)
        assert solution.method == rung
        assert solution.method == select_method(condition, (20, 50), rcond=0.0)
        assert 0.3 * condition <= solution.condition <= 1.1 * condition
    assert select_method(np.inf, (20, 50)) == "qr"
    assert select_method(100.0, (20, 50), rcond=1e-2) == "qr"


def test_exact_and_least_squares(wide_system):
    matrix, targets = wide_system(10.0)
    assert solve(matrix, targets).status is Status.EXACT
    assert solve(matrix.T, np.ones(50)).status is Status.LEAST_SQUARES


def test_one_row_and_an_intercept():
    for method in METHODS:
        solution = solve([[1.0, 2.0]], [[3.0, 4.0]], method=method, fit_intercept=True)
        np.testing.assert_array_equal(solution.coef, np.zeros((2, 2)))
        np.testing.assert_allclose(solution.intercept, [3.0, 4.0])
        assert solution.status in (Status.EXACT, Status.CONVERGED)


# ----------------------------------------------------------------------------------------------- inputs and streams

KINDS = {
    "float32": lambda a: a.astype(np.float32),
    "csr": sparse.csr_array,
    "coo matrix": sparse.coo_matrix,
    "operator": aslinearoperator,
    "strided": lambda a: np.repeat(a, 2, axis=0)[::2],
    "list": lambda a: a.tolist(),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(7, 20), (20, 7)])
def test_kinds_of_matrix(method, kind, shape, matrix_with_condition, rng, monkeypatch):
    monkeypatch.setattr(_matrix, "TILE_ENTRIES", 1)
    monkeypatch.setattr(_matrix, "_MIN_TILE", 3)
    monkeypatch.setattr(orthogonal, "_SMALL_BYTES", 0)
    matrix = matrix_with_condition(*shape, 20.0).astype(np.float32).astype(np.float64)
    targets = rng.standard_normal((shape[0], 2))
    weight = rng.uniform(0.5, 2.0, shape[0])
    options = dict(method=method, tol=TOL, sample_weight=weight, fit_intercept=True)
    solution, expected = solve(KINDS[kind](matrix), targets, **options), solve(matrix, targets, **options)
    np.testing.assert_allclose(solution.coef, expected.coef, atol=1e-8 * expected.coef_norm.max())
    np.testing.assert_allclose(solution.intercept, expected.intercept, atol=1e-8 * expected.coef_norm.max())
    assert solution.method == expected.method


@pytest.mark.parametrize("shape", [(20, 50), (50, 20)])
@pytest.mark.parametrize("condition", [1e9, 1e12])
def test_streamed_rungs_are_as_accurate(shape, condition, matrix_with_condition, rng, monkeypatch):
    monkeypatch.setattr(_matrix, "TILE_ENTRIES", 1)
    monkeypatch.setattr(_matrix, "_MIN_TILE", 7)
    monkeypatch.setattr(orthogonal, "_SMALL_BYTES", 0)
    matrix = matrix_with_condition(*shape, condition)
    targets = matrix @ rng.standard_normal((shape[1], 2))
    expected = reference.minimum_norm(matrix, targets)
    best = relative(gelsd(matrix, targets), expected)
    for method in ("cholesky_qr", "qr", "svd"):
        assert relative(solve(aslinearoperator(matrix), targets, method=method).coef, expected) <= 10 * best


def test_rank_deficient_stream(rng, monkeypatch):
    monkeypatch.setattr(orthogonal, "_SMALL_BYTES", 0)
    matrix, targets = rng.standard_normal((10, 90))[[*range(10), 3]], rng.standard_normal((11, 1))
    solution = solve(aslinearoperator(matrix), targets)
    assert relative(solution.coef, gelsd(matrix, targets)) <= 1e-11
    assert (solution.method, solution.status) == ("svd", Status.INCONSISTENT)


@pytest.mark.parametrize("shape", [(30, 60), (60, 30)])
def test_cg_without_room_for_the_gram(shape, matrix_with_condition, rng, monkeypatch):
    monkeypatch.setattr(iterative_module, "available_memory", lambda: 0)
    matrix, targets = matrix_with_condition(*shape, 10.0), rng.standard_normal((shape[0], 2))
    solution = solve(matrix, targets, method="cg", tol=TOL)
    assert solution.method == "cg"
    assert relative(solution.coef, gelsd(matrix, targets)) <= iterative(100.0, TOL)
    repeated = np.vstack([matrix, matrix])[: shape[1]]
    assert solve(repeated, np.arange(len(repeated)), method="cg").method in ("cg", "lsmr")


def test_system_with_gram(rng):
    matrix, targets = rng.standard_normal((10, 40)), rng.standard_normal((10, 2))
    gram = gram_matrix(matrix)
    before = gram.copy()
    for method in METHODS:
        system = LinearSystem(matrix, targets, fit_intercept=True, gram=gram)
        expected = solve(matrix, targets, method=method, fit_intercept=True, tol=TOL)
        solution = solve(system, method=method, tol=TOL)
        np.testing.assert_allclose(solution.coef, expected.coef, atol=1e-10)
        np.testing.assert_array_equal(gram, before)


@pytest.mark.parametrize("method", METHODS)
def test_inputs_are_not_written(method, matrix_with_condition, rng):
    for shape in ((5, 12), (12, 5)):
        matrix, targets = matrix_with_condition(*shape, 10.0), rng.standard_normal((shape[0], 1))
        targets.flags.writeable = False
        weight = np.ones(shape[0])
        weight.flags.writeable = False
        before = matrix.copy()
        solve(matrix, targets, method=method, sample_weight=weight, fit_intercept=True)
        np.testing.assert_array_equal(matrix, before)


# ---------------------------------------------------------------------------------------------------- identities


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.3]), st.booleans())
@settings(max_examples=40, deadline=None)
def test_normal_equations_and_row_space(n, m, seed, alpha, fit_intercept):
    rng = np.random.default_rng(seed)
    matrix, targets = rng.standard_normal((n, m)), rng.standard_normal((n, 2))
    solution = solve(matrix, targets, alpha=alpha, fit_intercept=fit_intercept)
    mean = matrix.mean(axis=0) * fit_intercept
    residual = targets - solution.intercept - matrix @ solution.coef
    scale = 1e-10 * max(1.0, solution.coef_norm.max()) * solution.condition
    np.testing.assert_allclose((matrix - mean).T @ residual, alpha * solution.coef, atol=scale)
    null = np.eye(m) - np.linalg.pinv(matrix - mean) @ (matrix - mean)
    np.testing.assert_allclose(null @ solution.coef, 0.0, atol=scale)


@given(st.sampled_from(METHODS), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_permuting_neurons_permutes_coefficients(method, seed):
    rng = np.random.default_rng(seed)
    matrix, targets, order = rng.standard_normal((5, 12)), rng.standard_normal(5), rng.permutation(12)
    one, other = (solve(a, targets, method=method, tol=TOL).coef for a in (matrix, matrix[:, order]))
    np.testing.assert_allclose(one[order], other, atol=1e-9 * np.linalg.norm(one))


@pytest.mark.parametrize("method", METHODS)
def test_same_input_same_answer(method, wide_system):
    matrix, targets = wide_system(100.0)
    np.testing.assert_array_equal(*(solve(matrix, targets, method=method).coef for _ in range(2)))


def test_other_libraries(wide_system):
    matrix, targets = wide_system(20.0)
    ridge = Ridge(alpha=0.5, solver="svd").fit(matrix, targets[:, 0])
    ours = solve(matrix, targets, alpha=0.5, fit_intercept=True)
    np.testing.assert_allclose(ours.coef[:, 0], ridge.coef_, atol=1e-12)
    np.testing.assert_allclose(ours.intercept[0], ridge.intercept_, atol=1e-12)
    theirs = scipy_lsmr(matrix, targets[:, 0], atol=1e-13, btol=1e-13, maxiter=1000)[0]
    np.testing.assert_allclose(solve(matrix, targets).coef[:, 0], theirs, atol=1e-9)


# --------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (dict(method="lu"), ValueError, "method='lu' is unknown: choose 'auto' or one of 'cholesky'"),
        (dict(alpha=-1.0), ValueError, "alpha=-1.0 is out of range"),
        (dict(alpha=np.inf), ValueError, "alpha=inf is out of range"),
        (dict(alpha="x"), TypeError, "alpha='x' is not a number"),
        (dict(rcond=1.0), ValueError, "rcond=1.0 is out of range"),
        (dict(rcond=-1e-3), ValueError, "rcond=-0.001 is out of range"),
        (dict(tol=0.0), ValueError, "tol=0.0 is out of range"),
        (dict(max_iter=0), ValueError, "max_iter=0 is out of range"),
        (dict(max_iter=1.5), ValueError, "max_iter=1.5 is out of range"),
        (dict(max_iter=True), ValueError, "max_iter=True is out of range"),
        (dict(y=None), ValueError, "y is missing"),
        (dict(y=[1.0, np.nan]), ValueError, "targets has 1 NaN"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        solve(**{"A": np.eye(2), "y": [1.0, 2.0], **options})


def test_system_takes_no_second_targets():
    with pytest.raises(ValueError, match="belong to the LinearSystem"):
        solve(LinearSystem(np.eye(2), [1.0, 2.0]), [1.0, 2.0])


@pytest.mark.parametrize("method", ["auto", "cholesky", "cholesky_qr", "mixed"])
def test_gram_that_cannot_fit(method):
    huge = aslinearoperator(sparse.eye_array(2**22, format="csr"))
    with pytest.raises(MemoryError, match=r"Gram matrix needs \d+ bytes .* GiB.* operator"):
        solve(huge, np.ones(2**22), method=method)


@pytest.mark.parametrize("method", ["qr", "svd"])
def test_factor_that_cannot_fit(method):
    huge = aslinearoperator(sparse.eye_array(2**22, format="csr"))
    with pytest.raises(MemoryError, match=r"needs \d+ bytes"):
        solve(huge, np.ones(2**22), method=method)


@pytest.mark.parametrize("method", ["cg", "lsmr"])
def test_matrix_free_methods_need_no_gram(method, monkeypatch):
    n = 2**12
    monkeypatch.setattr(iterative_module, "available_memory", lambda: 8 * n * n)
    monkeypatch.setattr(_matrix, "check_memory", lambda n_bytes, what: pytest.fail(f"{what} was wanted"))
    matrix = aslinearoperator(sparse.diags_array(np.linspace(1.0, 2.0, n), format="csr"))
    solution = solve(matrix, np.ones(n), method=method, tol=1e-6)
    np.testing.assert_allclose(solution.coef[:, 0], 1.0 / np.linspace(1.0, 2.0, n), rtol=1e-4)
