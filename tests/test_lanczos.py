"""Extreme eigenvalues within their bounds, and spectral densities within their stated errors."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from tolerances import EPS

from underdetermined import FeatureMap, _validation, gram_matrix
from underdetermined.gram import gram_operator, ntk_matrix, ntk_operator
from underdetermined.lanczos import SpectralDensity, extreme_eigenvalues, spectral_density
from underdetermined.spectrum import Spectrum

FORMS = {"array": np.asarray, "operator": aslinearoperator}

# Spectra by name: the order and a seeded generator to eigenvalues.
SPECTRA = {
    "geometric": lambda n, rng: np.geomspace(1.0, 10.0 ** -rng.uniform(0.0, 9.0), n),
    "uniform": lambda n, rng: rng.uniform(0.5, 1.0, n),
    "one far away": lambda n, rng: np.r_[rng.uniform(1e-3, 1e-2, n - 1), 1.0],
    "pairs": lambda n, rng: np.repeat(rng.uniform(0.1, 1.0, n), 2)[:n],
    "tight pairs": lambda n, rng: np.repeat(rng.uniform(0.1, 1.0, n), 2)[:n] * (1.0 + 10.0 ** -rng.uniform(3.0, 12.0, n)),
    "clusters": lambda n, rng: rng.choice([1.0, 0.3, 1e-4], n) * (1.0 + 1e-7 * rng.standard_normal(n)),
    "singular": lambda n, rng: np.where(rng.random(n) < 0.5, 0.0, rng.uniform(0.1, 1.0, n)),
    "flat": lambda n, rng: np.ones(n),
}


def symmetric(eigenvalues, rng):
    """Return a matrix with these eigenvalues, and the eigenvalues that it has after rounding."""
    n = len(eigenvalues)
    basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
    gram = (basis * eigenvalues) @ basis.T
    gram = (gram + gram.T) / 2
    return gram, np.linalg.eigvalsh(gram)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SPECTRA)
@given(st.integers(1, 60), st.sampled_from([1e-1, 1e-4, 1e-8]), st.integers(1, 80), st.integers(0, 2**32 - 1))
@settings(max_examples=12, deadline=None)
def test_bounds_hold(name, form, n, tol, max_iter, seed):
    rng = np.random.default_rng(seed)
    gram, exact = symmetric(SPECTRA[name](n, rng), rng)
    found = extreme_eigenvalues(FORMS[form](gram), tol=tol, max_iter=max_iter, seed=seed % 1000)
    # The oracle has errors of its own.
    slack = 10 * EPS * exact[-1]
    assert abs(found.largest - exact[-1]) <= found.largest_error + slack
    # The smallest one, or zero where it is not resolved, lies that near.
    assert abs(np.nan_to_num(found.smallest) - exact[0]) <= found.smallest_error + slack
    # A residual is computed from differences, with the rounding of a product, n eps lambda_max in either.
    assert np.abs(found.largest - exact).min() <= found.largest_residual + n * slack
    distance = np.abs(np.nan_to_num(found.smallest, nan=exact[0]) - exact).min()
    assert distance <= np.nan_to_num(found.smallest_residual) + n * slack


@pytest.mark.parametrize("name", sorted(set(SPECTRA) - {"singular"}))
@given(st.integers(2, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=10, deadline=None)
def test_bounds_are_not_vacuous(name, n, seed):
    rng = np.random.default_rng(seed)
    gram, exact = symmetric(SPECTRA[name](n, rng), rng)
    found = extreme_eigenvalues(gram, seed=seed % 1000)
    assert found.method == "cholesky"
    assert found.largest_error <= 2e-8 * exact[-1]
    assert found.smallest_error <= 2e-8 * exact[0] + 2 * (n + 20) * EPS * exact[-1]
    assert found.is_resolved
    assert found.condition == pytest.approx(exact[-1] / exact[0], rel=1e-5)


def test_residual_alone_is_no_bound():
    """Two close eigenvalues: a vector that is nearly the wrong eigenvector has a small residual and a larger error."""
    gram = np.diag([1.0 + 1e-3, 1.0, 0.5, 0.2])
    vector = np.array([0.1, 1.0, 0.0, 0.0])
    vector /= np.linalg.norm(vector)
    value = vector @ gram @ vector
    assert np.linalg.norm(gram @ vector - value * vector) < 0.2 * (1.0 + 1e-3 - value)


@pytest.mark.parametrize("gap", [1e-3, 1e-6, 1e-10, 0.0])
def test_hidden_eigenvalue(gap):
    """Starting vectors that hardly see the largest eigenvalue do not fool the bound."""
    exact = np.r_[np.linspace(0.1, 1.0, 50), 1.0 + gap]
    for seed in range(15):
        found = extreme_eigenvalues(aslinearoperator(np.diag(exact)), tol=1e-2, seed=seed)
        assert 0.0 <= 1.0 + gap - found.largest + 1e-14 <= found.largest_error


@pytest.mark.parametrize("form", FORMS)
def test_kernel_of_features(form, rng):
    X = rng.standard_normal((150, 4))
    layer = FeatureMap(rng.standard_normal((4, 2000)), rng.standard_normal(2000), "relu")
    gram = gram_matrix(layer.operator(X))
    exact = np.linalg.eigvalsh(gram)
    found = extreme_eigenvalues(FORMS[form](gram), max_iter=150)
    assert found.largest == pytest.approx(exact[-1], rel=1e-12)
    assert found.smallest == pytest.approx(exact[0], rel=1e-6)
    spectrum = Spectrum.from_gram(gram)
    assert found.cutoff == pytest.approx(spectrum.cutoff)
    assert found.is_resolved
    assert found.condition == pytest.approx(spectrum.condition, rel=1e-6)


@pytest.mark.parametrize(("operator", "matrix"), [(gram_operator, None), (ntk_operator, ntk_matrix)])
def test_operators_without_a_matrix(operator, matrix, rng):
    X = rng.standard_normal((80, 3))
    layer = FeatureMap(rng.standard_normal((3, 300)), rng.standard_normal(300), "relu")
    dense = (matrix or (lambda layer, X: gram_matrix(layer.operator(X))))(layer, X)
    found = extreme_eigenvalues(operator(layer, X))
    exact = np.linalg.eigvalsh(dense)
    assert found.method == "lanczos"
    assert abs(found.largest - exact[-1]) <= found.largest_error
    assert abs(found.smallest - exact[0]) <= found.smallest_error


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("scale", [1e-290, 1e-150, 1e150, 1e290])
def test_scale(form, scale, rng):
    gram, _ = symmetric(np.geomspace(1.0, 1e-3, 20), rng)
    plain, scaled = extreme_eigenvalues(FORMS[form](gram)), extreme_eigenvalues(FORMS[form](scale * gram))
    assert scaled.largest / scale == pytest.approx(plain.largest, rel=1e-12)
    assert scaled.smallest / scale == pytest.approx(plain.smallest, rel=1e-9)
    assert scaled.smallest_error / scale == pytest.approx(plain.smallest_error, rel=0.1)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("gram", "largest", "smallest"),
    [
        ([[2.0]], 2.0, 2.0),
        ([[0.0]], 0.0, np.nan),
        (np.zeros((4, 4)), 0.0, np.nan),
        (np.ones((5, 5)), 5.0, np.nan),
        (np.eye(6), 1.0, 1.0),
        (np.diag([3.0, 1e-17]), 3.0, np.nan),
        (np.diag([3, 1]), 3.0, 1.0),
        (np.diag([3.0, 1.0]).astype(np.float32), 3.0, 1.0),
    ],
)
def test_small_and_degenerate_matrices(gram, largest, smallest, form):
    found = extreme_eigenvalues(FORMS[form](np.asarray(gram)))
    np.testing.assert_allclose([found.largest, found.smallest], [largest, smallest], rtol=1e-13)
    assert found.is_resolved == np.isfinite(smallest)
    assert found.smallest_error <= found.cutoff + 30 * EPS * largest
    json.dumps(found.to_dict(), allow_nan=False)
    assert found.to_dict()["is_resolved"] == found.is_resolved


def test_too_few_steps_are_admitted(rng):
    gram, exact = symmetric(np.geomspace(1.0, 1e-6, 200), rng)
    found = extreme_eigenvalues(aslinearoperator(gram), max_iter=20)
    assert not found.is_resolved
    assert found.condition == np.inf
    assert exact[0] <= found.smallest_error
    assert found.n_iter == (20, 20)
    assert found.to_dict()["smallest"] is None


def test_rank_deficient_operators_end_early(rng):
    features = rng.standard_normal((300, 12))
    found = extreme_eigenvalues(aslinearoperator(features @ features.T))
    assert not found.is_resolved
    assert found.n_iter[0] <= 14
    assert found.smallest_error <= 3 * found.cutoff


def test_seeds_and_layouts(rng):
    gram, _ = symmetric(np.geomspace(1.0, 1e-4, 40), rng)
    first = extreme_eigenvalues(gram)
    assert extreme_eigenvalues(gram) == first
    for form in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2], lambda a: a.tolist()):
        other = extreme_eigenvalues(form(gram))
        assert (other.largest, other.smallest, other.n_iter) == (first.largest, first.smallest, first.n_iter)
    assert extreme_eigenvalues(gram, seed=1) != first
    assert extreme_eigenvalues(sparse.csr_array(gram)).smallest == pytest.approx(first.smallest, rel=1e-8)
    frozen = gram.copy()
    frozen.flags.writeable = False
    extreme_eigenvalues(frozen)


@pytest.mark.parametrize("function", [extreme_eigenvalues, spectral_density])
@pytest.mark.parametrize(
    ("gram", "message"),
    [
        (np.ones((2, 3)), r"gram has shape \(2, 3\)"),
        (aslinearoperator(np.ones((2, 3))), r"gram has shape \(2, 3\)"),
        ([[1.0, 2.0], [3.0, 9.0]], "gram is not symmetric"),
        (aslinearoperator(np.triu(np.ones((9, 9)))), "the operator is not symmetric"),
        ([[1.0, np.inf], [np.inf, 1.0]], "gram has 2 NaN or infinite entries"),
        (LinearOperator((3, 3), matvec=lambda v: v * np.nan, dtype=float), "the operator gram produced has .* NaN"),
    ],
)
def test_what_is_no_gram_matrix(function, gram, message):
    with pytest.raises(ValueError, match=message):
        function(gram)


@pytest.mark.parametrize("form", FORMS)
def test_indefinite_matrices(form):
    for gram in (np.diag([1.0, 0.5, -0.1]), -np.eye(3)):
        with pytest.raises(ValueError, match="not positive semi-definite, so not a Gram matrix"):
            extreme_eigenvalues(FORMS[form](gram))


def test_float32_matrices_are_judged_by_their_own_rounding(rng):
    features = rng.standard_normal((50, 7))
    gram = (features @ features.T).astype(np.float32)
    found, exact = extreme_eigenvalues(gram), np.linalg.eigvalsh(gram.astype(np.float64))
    assert exact[0] < -1000 * 50 * EPS * exact[-1]
    assert not found.is_resolved
    assert abs(found.largest - exact[-1]) <= found.largest_error


@pytest.mark.parametrize("gram", [[[2.0]], [[3.0]], np.eye(20), 0.1 * np.eye(7)])
def test_condition_of_equal_eigenvalues_is_not_below_one(gram):
    assert 1.0 <= extreme_eigenvalues(gram).condition < 1.0 + 1e-14


def test_huge_matrices_have_a_density():
    density = spectral_density(1e300 * np.diag([1.0, 2.0, 3.0]), n_probes=5)
    expected = spectral_density(np.diag([1.0, 2.0, 3.0]), n_probes=5)
    assert density.trace_error == pytest.approx(1e300 * expected.trace_error, rel=1e-12)
    assert "trace=" in repr(density)


def test_wrong_options(monkeypatch):
    for name, value in (("tol", -1.0), ("tol", 1.0), ("max_iter", 0), ("seed", -1)):
        with pytest.raises(ValueError, match=f"{name}={value!r} is out of range"):
            extreme_eigenvalues(np.eye(2), **{name: value})
    for name, value in (("n_probes", 1), ("n_steps", 0)):
        with pytest.raises(ValueError, match=f"{name}={value!r} is out of range"):
            spectral_density(np.eye(2), **{name: value})
    for name, value in (("max_iter", 2.5), ("seed", None)):
        with pytest.raises(TypeError, match=f"{name}={value!r} is not an integer"):
            extreme_eigenvalues(np.eye(2), **{name: value})
    with pytest.raises(TypeError, match="n_steps=True is not an integer"):
        spectral_density(np.eye(2), n_steps=True)
    monkeypatch.setattr(_validation, "available_memory", lambda: 100)
    with pytest.raises(MemoryError, match="Cholesky factor of the 9 x 9 Gram matrix needs 648 bytes"):
        extreme_eigenvalues(np.eye(9))
    with pytest.raises(MemoryError, match="the Lanczos basis of 10 x 9 vectors of length 9 needs 6480 bytes"):
        spectral_density(np.eye(9))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SPECTRA)
def test_density_is_near_the_spectrum(name, form, rng):
    gram, exact = symmetric(SPECTRA[name](300, rng), rng)
    density = spectral_density(FORMS[form](gram), n_probes=8, n_steps=40)
    near = np.concatenate([exact - 1e-9, exact + 1e-9, np.linspace(-0.1, 1.1, 500)])
    counted = np.searchsorted(exact, near, side="right") / 300
    # A fraction has a standard deviation over probes of at most 1 / sqrt(2 n n_probes).
    sampling = 5.0 / np.sqrt(2 * 300 * 8)
    error = np.abs(density.cumulative(near) - counted)
    assert (error <= density.quadrature_error(near) + sampling).all()
    assert (density.standard_error(near) <= density.quadrature_error(near) + sampling).all()
    for power in (1, 2):
        value, standard_error = density.trace_of(lambda x, power=power: x**power)
        assert abs(value - (exact**power).sum()) <= 5 * standard_error + 1e-12 * value
    assert (density.trace, density.trace_error) == density.trace_of(lambda x: x)
    assert density.trace_of(np.ones_like)[0] == pytest.approx(300.0)


def test_density_is_exact_for_low_moments(rng):
    """Gauss quadrature: probe by probe v.T K^p v, for p below twice the number of steps."""
    gram, _ = symmetric(rng.uniform(0.0, 1.0, 50), rng)
    density = spectral_density(gram, n_probes=3, n_steps=4, seed=7)
    probes = np.random.Generator(np.random.Philox(7)).standard_normal((3, 50)).T
    probes /= np.linalg.norm(probes, axis=0)
    moments = [np.einsum("ij,ij->j", probes, np.linalg.matrix_power(gram, p) @ probes) for p in range(8)]
    seen = [(density.weights * density.nodes**p).sum(axis=1) for p in range(8)]
    np.testing.assert_allclose(seen, moments, rtol=1e-12)


def test_cumulative_by_hand():
    density = SpectralDensity(np.array([[1.0, 2.0], [1.0, 4.0]]), np.array([[0.25, 0.75], [0.5, 0.5]]), 4)
    np.testing.assert_array_equal(density.cumulative([0.5, 1.0, 2.0, 3.0, 4.0]), [0.0, 0.375, 0.75, 0.75, 1.0])
    np.testing.assert_array_equal(density.quadrature_error([0.5, 1.0, 2.0, 4.0]), [0.375, 0.625, 0.625, 0.625])
    np.testing.assert_allclose(density.standard_error([0.5, 1.0, 2.0, 4.0]), [0.0, 0.125, 0.25, 0.0])
    assert density.trace_of(lambda x: x) == pytest.approx((8.5, 1.5))
    assert density.cutoff == 16 * EPS


def test_more_steps_and_probes_help(rng):
    gram, exact = symmetric(np.geomspace(1.0, 1e-2, 400), rng)
    counted = np.arange(1, 401) / 400

    def distance(**options):
        return np.abs(spectral_density(gram, **options).cumulative(exact) - counted).max()

    assert distance(n_probes=10, n_steps=80) < 0.5 * distance(n_probes=10, n_steps=5)
    errors = [spectral_density(gram, n_probes=k, n_steps=20).trace_error for k in (4, 400)]
    assert errors[1] < 0.3 * errors[0]


def test_unresolved_fraction(rng):
    features = rng.standard_normal((120, 30))
    density = spectral_density(features @ features.T / 30, n_probes=20, n_steps=60)
    assert density.cumulative(density.cutoff) == pytest.approx(0.75, abs=0.05)
    few = spectral_density(features @ features.T / 30, n_probes=20, n_steps=5)
    assert abs(few.cumulative(few.cutoff) - 0.75) <= few.quadrature_error(few.cutoff) + 0.05
    with pytest.raises(ValueError, match="the function is not finite at the node"):
        density.trace_of(lambda x: np.log(np.maximum(x, 0.0), where=x > 1e-10, out=np.full_like(x, np.nan)))


def test_density_on_a_log_scale(rng):
    gram, exact = symmetric(np.geomspace(1.0, 1e-3, 300), rng)
    density = spectral_density(gram, n_probes=10)
    grid = np.geomspace(1e-7, 1e4, 4001)
    values = density.density(grid, width=0.3)
    assert (values >= 0.0).all()
    assert np.trapezoid(values, np.log(grid)) == pytest.approx(1.0, abs=1e-6)
    # A geometric sequence is flat: one eigenvalue in every step of log(1000) / 299.
    inside = (grid > 0.02) & (grid < 0.3)
    np.testing.assert_allclose(values[inside], 1.0 / np.log(1000.0), rtol=0.2)
    for bad in ([0.0, 1.0], [-1.0], [np.nan]):
        with pytest.raises(ValueError, match="not positive and finite"):
            density.density(bad)
    with pytest.raises(ValueError, match="width=0.0 is out of range"):
        density.density(grid, width=0.0)


def test_density_of_operators_is_deterministic(rng):
    X = rng.standard_normal((90, 3))
    layer = FeatureMap(rng.standard_normal((3, 200)), None, "tanh")
    first = spectral_density(gram_operator(layer, X), n_probes=4, n_steps=20)
    again = spectral_density(gram_operator(layer, X), n_probes=4, n_steps=20)
    np.testing.assert_array_equal(first.nodes, again.nodes)
    dense = spectral_density(gram_matrix(layer.operator(X)), n_probes=4, n_steps=5)
    few = spectral_density(gram_operator(layer, X), n_probes=4, n_steps=5)
    np.testing.assert_allclose(few.nodes, dense.nodes, rtol=1e-9)
    assert repr(first).startswith("SpectralDensity(n_rows=90, n_probes=4, n_steps=20, trace=")
    assert json.loads(json.dumps(first.to_dict(), allow_nan=False))["n_rows"] == 90
    assert np.ndim(first.cumulative(0.5)) == 0
    assert first.cumulative([[0.1, 0.2]]).shape == (1, 2)
