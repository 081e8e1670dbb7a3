"""LinearSystem validates; ReducedSystem removes weights, intercept and penalty, identically for every kind of matrix."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from tolerances import rounding

from underdetermined import _matrix
from underdetermined.gram import gram_matrix
from underdetermined.system import LinearSystem, ReducedSystem

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


class Tiled(LinearOperator):
    """An operator with both streams, whose arrays are reused and spoiled as the contract allows."""

    def __init__(self, array, tile=2):
        super().__init__(array.dtype, array.shape)
        self.array, self.tile = array, tile

    def _matvec(self, x):
        return self.array @ x

    def _rmatvec(self, x):
        return self.array.T @ x

    def _stream(self, axis):
        for start in range(0, self.shape[axis], self.tile):
            part = slice(start, min(start + self.tile, self.shape[axis]))
            block = np.array(self.array[:, part] if axis else self.array[part])
            yield part, block
            block[...] = np.nan

    def column_tiles(self):
        return self._stream(1)

    def row_tiles(self):
        return self._stream(0)


KINDS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "float32": lambda a: a.astype(np.float32),
    "sparse": sparse.coo_array,
    "operator": aslinearoperator,
    "tiled": Tiled,
}


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(_matrix, "TILE_ENTRIES", 1)
    monkeypatch.setattr(_matrix, "_MIN_TILE", 3)


def explicit(matrix, weight, fit_intercept, alpha):
    """Reduced matrix by its definition."""
    n, m = matrix.shape
    root = np.sqrt(weight)
    rows = root[:, np.newaxis] * matrix
    if fit_intercept:
        unit = root / np.linalg.norm(root)
        mirror = unit + np.eye(n)[0]
        rows = (rows - np.outer(mirror, mirror @ rows) * 2 / (mirror @ mirror))[1:]
    penalty = np.sqrt(alpha) * np.eye(min(rows.shape))[:, : min(rows.shape) * (alpha > 0)]
    return np.hstack([rows, penalty]) if len(rows) <= m else np.vstack([rows, penalty.T])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5, 9), (9, 5), (6, 6), (2, 1)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_every_view_of_the_reduced_matrix_agrees(kind, shape, weighted, fit_intercept, alpha, rng):
    array = rng.integers(-8, 9, shape) / 4.0
    weight = rng.integers(1, 4, shape[0]) if weighted else None
    system = LinearSystem(KINDS[kind](array), np.zeros(shape[0]), sample_weight=weight, fit_intercept=fit_intercept)
    reduced = ReducedSystem(system, alpha)
    expected = explicit(array, np.ones(shape[0]) if weight is None else weight, fit_intercept, alpha)
    short = expected if reduced.is_wide else expected.T
    atol = 20 * rounding(9) * max(1.0, np.abs(expected).max()) ** 2 * 9
    assert reduced.shape == expected.shape
    np.testing.assert_allclose(reduced.matmat(np.eye(expected.shape[1])), expected, atol=atol)
    np.testing.assert_allclose(reduced.rmatmat(np.eye(expected.shape[0])), expected.T, atol=atol)
    np.testing.assert_allclose(reduced.to_short_dense(), short.T, atol=atol)
    gram, growth = reduced.gram()
    np.testing.assert_allclose(np.tril(gram), np.tril(short @ short.T), atol=atol)
    assert growth >= 1.0
    np.testing.assert_allclose(np.tril(reduced.gram(dtype=np.float32)[0]), np.tril(gram), atol=1e-4 * np.abs(gram).max())
    np.testing.assert_allclose(reduced.gram_apply(np.eye(len(short))), short @ short.T, atol=atol)


def test_gram_argument_is_used_and_kept(rng):
    features = rng.standard_normal((5, 9))
    gram = gram_matrix(features)
    gram.flags.writeable = False
    system = LinearSystem(features, np.zeros(5), sample_weight=[1, 2, 0, 3, 1], fit_intercept=True, gram=gram)
    direct = LinearSystem(features, np.zeros(5), sample_weight=[1, 2, 0, 3, 1], fit_intercept=True)
    result, expected = (np.tril(ReducedSystem(s).gram()[0]) for s in (system, direct))
    np.testing.assert_allclose(result, expected, atol=100 * rounding(9) * gram.max())
    assert result.shape == (3, 3)


def test_growth_is_what_the_intercept_cancels(rng):
    features = rng.standard_normal((10, 30)) + 1e3
    centred = features - features.mean(axis=0)
    _, growth = ReducedSystem(LinearSystem(features, np.zeros(10), fit_intercept=True)).gram()
    assert growth == pytest.approx(np.sum(features**2) / np.sum(centred**2), rel=1e-6)
    assert ReducedSystem(LinearSystem(features, np.zeros(10))).gram()[1] == 1.0


def test_gram_of_a_tall_system_is_refused():
    with pytest.raises(ValueError, match=r"gram has shape \(3, 3\) and the system has only 2 columns: pass gram=None"):
        ReducedSystem(LinearSystem(np.ones((3, 2)), np.zeros(3), gram=np.eye(3)))


@pytest.mark.parametrize("kind", KINDS)
def test_zero_weight_is_an_absent_row(kind, rng):
    array, keep = rng.standard_normal((5, 3)).astype(np.float32).astype(float), [0, 1, 3]
    system = LinearSystem(KINDS[kind](array), np.arange(5), sample_weight=[1, 1, 0, 1, 0])
    assert system.shape == (3, 3)
    np.testing.assert_array_equal(system.targets[:, 0], keep)
    np.testing.assert_allclose(system.matrix.matmat(np.eye(3)), array[keep], rtol=1e-15)
    np.testing.assert_allclose(system.matrix.rmatmat(np.eye(3)), array[keep].T, rtol=1e-15)
    np.testing.assert_allclose(system.matrix.to_dense(), array[keep], rtol=1e-15)
    np.testing.assert_allclose(np.vstack([t.copy() for _, t in system.matrix.row_tiles()]), array[keep], rtol=1e-15)


def test_residual_and_shape(rng):
    matrix, targets = rng.standard_normal((4, 7)), rng.standard_normal((4, 2))
    system = LinearSystem(matrix, targets)
    coef, intercept = rng.standard_normal((7, 2)), np.array([1.0, 2.0])
    np.testing.assert_allclose(system.residual(coef, intercept), targets - intercept - matrix @ coef)
    assert system.is_underdetermined
    assert not LinearSystem(matrix.T, np.zeros(7)).is_underdetermined
    assert LinearSystem(np.ones((4, 3)), np.zeros(4), fit_intercept=True).is_underdetermined


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(matrix=np.ones((2, 3)), targets=[1.0]), "targets has 1 rows and the matrix has 2"),
        (dict(matrix=np.full((2, 3), np.nan), targets=[1.0, 2.0]), "A has 6 NaN or infinite entries"),
        (dict(matrix=sparse.csr_array([[np.inf, 1.0]]), targets=[1.0]), "A has 1 NaN or infinite entries"),
        (dict(matrix=np.ones((2, 0)), targets=[1.0, 2.0]), "A has shape .* at least one row and one column"),
        (dict(matrix=sparse.csr_array((0, 2)), targets=[]), "A has shape .* at least one row and one column"),
        (dict(matrix=np.ones(2), targets=[1.0, 2.0]), "A has 1 dimensions"),
        (dict(matrix=np.ones((2, 3)), targets=[1.0, 2.0], sample_weight=[1.0, -1.0]), "sample_weight has the negative"),
        (dict(matrix=np.ones((2, 3)), targets=[1.0, 2.0], sample_weight=[0.0, 0.0]), "sample_weight is zero for every row"),
        (dict(matrix=np.ones((2, 3)), targets=[1.0, 2.0], gram=np.eye(3)), "gram has shape"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        LinearSystem(**arguments)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, aslinearoperator])
def test_complex_is_refused(kind):
    with pytest.raises(TypeError, match="A has dtype complex128"):
        LinearSystem(kind(1j * np.eye(2)), [1.0, 2.0])


def test_operator_that_produces_nan():
    system = LinearSystem(aslinearoperator(np.full((2, 3), np.nan)), [1.0, 2.0])
    with pytest.raises(ValueError, match="the entries that the operator A produced has"):
        ReducedSystem(system).gram()


def test_infinite_alpha():
    with pytest.raises(ValueError, match="alpha=inf is out of range"):
        ReducedSystem(LinearSystem(np.eye(2), [1.0, 2.0]), np.inf)
