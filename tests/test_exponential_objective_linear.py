"""The linearised loss of a network of exponentials: Jacobian, tiles, Gram matrix, largest exponents."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from exponential_oracle import paired, problem, weighted_residual

from underdetermined import FeatureMap, LinearSystem, gram_matrix, solve
from underdetermined.objectives import Exponential, _exponential_jacobian, _exponential_tiles

KINDS = [
    {},
    {"n_outputs": 3, "weighted": True, "row_shift": 0.4},
    {"n": 270, "d": 2, "width": 20, "uneven": True},
    {"n": 6, "d": 2, "width": 540},
    {"n": 1, "d": 3, "width": 1},
]


def jacobian_of(objective):
    """J column by column, each by a complex step."""
    weights = objective.feature_map.weights
    columns = []
    for place in np.ndindex(weights.shape):
        moved = weights.astype(complex)
        moved[place] += 1e-30j
        columns.append(weighted_residual(objective, moved).imag.ravel() / 1e-30)
    return np.column_stack(columns)


@pytest.fixture(params=["kept", "computed again", "small tiles"])
def tiling(request, monkeypatch):
    """Three ways to hold exponentials."""
    settings = {"kept": {}, "computed again": {"KEPT": 1}, "small tiles": {"ROWS": 7, "NEURONS": (11, 11), "KEPT": 1}}
    for name, value in {"CACHED": 600, **settings[request.param]}.items():
        monkeypatch.setattr(_exponential_tiles, name, value)
    monkeypatch.setattr(_exponential_jacobian, "TILE_ENTRIES", 5000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.usefixtures("tiling")
def test_every_face_of_the_jacobian_is_that_of_a_complex_step(kind):
    objective = problem(**kind)
    known, line = jacobian_of(objective), objective.linearize(objective.initial())
    atol, rng = 1e-12 * np.abs(known).max(), np.random.default_rng(5)
    q, p = line.jacobian.shape
    assert (q, p) == known.shape
    right, left = rng.standard_normal((p, 2)), rng.standard_normal((q, 2))
    np.testing.assert_allclose(line.jacobian @ right, known @ right, rtol=0, atol=p * atol)
    np.testing.assert_allclose(line.jacobian.T @ left, known.T @ left, rtol=0, atol=q * atol)
    np.testing.assert_allclose(line.jacobian @ right[:, 0], known @ right[:, 0], rtol=0, atol=p * atol)
    np.testing.assert_allclose(line.jacobian.T @ left[:, 0], known.T @ left[:, 0], rtol=0, atol=q * atol)
    by_columns, by_rows = np.full((q, p), np.nan), np.full((q, p), np.nan)
    for part, tile in line.jacobian.column_tiles():
        by_columns[:, part] = tile
    end = 0
    for part, tile in line.jacobian.row_tiles():
        assert part.start == end
        by_rows[part], end = tile, part.stop
    np.testing.assert_allclose(by_columns, known, rtol=0, atol=atol)
    np.testing.assert_allclose(by_rows, known, rtol=0, atol=atol)
    gram = line.gram()
    np.testing.assert_allclose(gram, known @ known.T, rtol=0, atol=p * 1e-12 * np.abs(gram).max())
    np.testing.assert_array_equal(gram, gram.T)
    assert line.gram() is not gram


@pytest.mark.usefixtures("tiling")
def test_a_linearization_stays_when_theta_is_overwritten():
    objective = problem()
    theta = objective.initial()
    line, left = objective.linearize(theta), np.arange(30.0)
    before = line.jacobian.T @ left
    theta *= 2.0
    np.testing.assert_array_equal(line.jacobian.T @ left, before)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_the_gradient_is_the_transposed_jacobian_times_the_residual(n_outputs):
    objective = problem(n_outputs=n_outputs, weighted=True, n=400, width=1100)
    theta = objective.initial()
    line, (value, gradient) = objective.linearize(theta), objective.value_and_gradient(theta)
    assert 0.5 * line.residual @ line.residual == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(line.jacobian.T @ line.residual, gradient, rtol=0, atol=1e-12 * np.abs(gradient).max())


@pytest.mark.parametrize("n_outputs", [1, 2])
def test_kept_and_computed_exponentials_are_the_same(n_outputs, monkeypatch):
    def products():
        objective = problem(n=300, d=3, width=900, n_outputs=n_outputs, weighted=True)
        line = objective.linearize(objective.initial())
        return line.jacobian @ objective.initial(), line.jacobian.T @ line.residual, line.gram()

    kept = products()
    monkeypatch.setattr("underdetermined.objectives.exponential.ExponentialTiles", Forgetful)
    for again, known in zip(products(), kept, strict=True):
        np.testing.assert_array_equal(again, known)


class Forgetful(_exponential_tiles.ExponentialTiles):
    """Tiles that are never kept."""

    def __init__(self, *arguments, keeps):
        super().__init__(*arguments, keeps=False)
        assert keeps


def test_solvers_of_the_package_take_the_jacobian():
    objective = paired(n=25, width=200)
    line = objective.linearize(objective.initial())
    gram = line.gram()
    step = np.linalg.lstsq(jacobian_of(objective), -line.residual, rcond=None)[0]
    for method in ("cholesky", "lsmr"):
        found = solve(LinearSystem(line.jacobian, -line.residual, gram=gram), method=method, tol=1e-13)
        np.testing.assert_allclose(found.coef.ravel(), step, rtol=0, atol=1e-8 * np.abs(step).max())
    np.testing.assert_allclose(gram_matrix(line.jacobian), gram, rtol=0, atol=1e-12 * gram.max())


def test_to_first_order_the_residual_moves_along_the_jacobian():
    objective = problem(weighted=True, n_outputs=2)
    theta = objective.initial()
    line, direction = objective.linearize(theta), np.random.default_rng(6).standard_normal(theta.size)
    step = 1e-6
    ahead, behind = (objective.linearize(theta + sign * step * direction).residual for sign in (1.0, -1.0))
    np.testing.assert_allclose((ahead - behind) / (2 * step), line.jacobian @ direction, rtol=1e-7, atol=1e-8)


def test_a_gram_matrix_that_cannot_fit_is_refused(monkeypatch):
    line = problem(n_outputs=2).linearize(problem(n_outputs=2).initial())
    monkeypatch.setattr("underdetermined._validation.available_memory", lambda: 10)
    with pytest.raises(MemoryError, match="60 x 60 Gram matrix needs .* bytes"):
        line.gram()


@pytest.mark.parametrize("row_shift", [0.0, 0.5])
def test_largest_exponents_are_those_of_all_pairs(row_shift):
    objective = problem(n=300, width=1100, row_shift=row_shift)
    shift = row_shift * np.sum(objective.X**2, axis=1, keepdims=True)
    exponents = objective.X @ objective.feature_map.weights - shift
    found = objective.largest_exponent(objective.initial())
    np.testing.assert_allclose(found, (exponents.max(), exponents.min()), rtol=1e-13)


@pytest.mark.parametrize(
    ("row", "weight", "expected"),
    [
        ([1e3, 1.0], [[1e3, 0.0], [0.0, -1.0]], (1e6, -1.0)),
        ([1e200, 0.0], [[1e100, -1e50], [0.0, 0.0]], (1e300, -1e250)),
        ([1e200, 0.0], [[1e200, 0.0], [0.0, 0.0]], (np.inf, 0.0)),
        ([2.0**1023, 2.0**1023], [[2.0**1023, -(2.0**1023)], [2.0**1023, 2.0**1023]], (np.inf, 0.0)),
        ([1e-320, 0.0], [[1.0, -1.0], [0.0, 0.0]], (1e-320, -1e-320)),
        ([0.0, 0.0], [[1e308, -1e308], [1e308, 1e308]], (0.0, 0.0)),
    ],
)
def test_largest_exponents_of_huge_numbers(row, weight, expected):
    objective = Exponential([row], [0.0], FeatureMap(weight, activation="exp"), [1.0, 1.0])
    assert objective.largest_exponent(objective.initial()) == pytest.approx(expected, rel=1e-14, abs=0.0)


@pytest.mark.usefixtures("tiling")
def test_products_of_several_threads_do_not_mix(rng):
    objective = problem(n=60, d=4, width=300, n_outputs=2)
    jacobian = objective.linearize(objective.initial()).jacobian
    right, left = rng.standard_normal((12, jacobian.shape[1])), rng.standard_normal((12, jacobian.shape[0]))
    with ThreadPoolExecutor(4) as pool:
        for product, vectors in ((jacobian.matvec, right), (jacobian.rmatvec, left)):
            expected = [product(vector) for vector in vectors]
            for found, known in zip(pool.map(product, vectors), expected, strict=True):
                np.testing.assert_allclose(found, known, rtol=1e-12, atol=1e-12 * np.abs(known).max())
