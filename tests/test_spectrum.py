"""Spectra of Gram matrices with known eigenvalues, what counts as resolved, and targets in eigenvectors."""

import json

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import EPS

from underdetermined import FeatureMap, _validation, gram_matrix
from underdetermined.kernels import nngp_kernel, ntk_kernel
from underdetermined.spectrum import Spectrum


@pytest.fixture
def gram_with(rng):
    """Return a function that builds a symmetric matrix with given eigenvalues."""

    def build(eigenvalues):
        n = len(eigenvalues)
        basis = np.linalg.qr(rng.standard_normal((n, n)))[0]
        gram = (basis * eigenvalues) @ basis.T
        return (gram + gram.T) / 2

    return build


@pytest.mark.parametrize("eigenvectors", [True, False])
@pytest.mark.parametrize("condition", [1e0, 1e3, 1e6])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_known_spectrum(n, condition, eigenvectors, matrix_with_condition):
    features = matrix_with_condition(n, n + 5, condition)
    spectrum = Spectrum.from_gram(features @ features.T, eigenvectors=eigenvectors)
    expected = np.geomspace(1.0, 1.0 / condition, n) ** 2
    np.testing.assert_allclose(spectrum.eigenvalues, expected, rtol=0, atol=10 * n * EPS)
    assert spectrum.n_rows == n
    assert spectrum.largest == spectrum.eigenvalues[0]
    assert spectrum.is_resolved
    assert spectrum.smallest == spectrum.eigenvalues[-1]
    assert spectrum.condition == spectrum.largest / spectrum.smallest
    assert spectrum.trace == pytest.approx(expected.sum(), rel=1e-13)


def test_against_high_precision(rng):
    features = rng.standard_normal((6, 6))
    gram = features @ features.T
    with mpmath.workdps(40):
        exact = sorted(map(float, mpmath.eigsy(mpmath.matrix(gram.tolist()), eigvals_only=True)), reverse=True)
    np.testing.assert_allclose(Spectrum.from_gram(gram).eigenvalues, exact, rtol=0, atol=6 * EPS * exact[0])


@given(st.integers(1, 12), st.integers(1, 12), st.floats(-250.0, 250.0), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_eigenvectors_rank_and_scale(n, rank, exponent, seed):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, rank))
    scale = 10.0**exponent
    gram = features @ features.T
    gram = scale * (gram + gram.T) / 2
    spectrum = Spectrum.from_gram(gram)
    vectors, values = spectrum.eigenvectors, spectrum.eigenvalues
    assert (np.diff(values) <= 0).all()
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(n), atol=1e-13)
    np.testing.assert_allclose((vectors * (values / scale)) @ vectors.T, gram / scale, atol=1e-13 * values[0] / scale)
    assert np.count_nonzero(spectrum.resolved) == spectrum.rank
    # Entropies of higher order are smaller, and none exceeds the logarithm of the rank.
    ranks = [1.0, spectrum.effective_rank, spectrum.entropy_rank, spectrum.rank]
    assert np.diff(ranks).min() >= -1e-9


def test_what_is_not_resolved_is_no_number(gram_with):
    eigenvalues = np.array([4.0, 2.0, 1.0, 1e-17, 0.0])
    spectrum = Spectrum.from_gram(gram_with(eigenvalues))
    assert spectrum.cutoff == pytest.approx(5 * EPS * 4.0)
    assert (spectrum.rank, spectrum.is_resolved) == (3, False)
    assert np.isnan(spectrum.smallest)
    assert spectrum.condition == np.inf
    np.testing.assert_array_equal(spectrum.resolved[3:], 0.0)
    np.testing.assert_array_equal(spectrum.resolved[:3], spectrum.eigenvalues[:3])
    assert repr(spectrum) == "Spectrum(largest=4, smallest=nan, condition=inf, 3 of 5 resolved)"
    stored = json.loads(json.dumps(spectrum.to_dict(), allow_nan=False))
    assert (stored["rank"], stored["smallest"], stored["condition"]) == (3, None, None)


def test_cutoff_is_the_one_of_the_package():
    just_above, at = 1.0 + 2 * EPS, 1.0
    values = np.array([1.0, 4 * EPS * just_above, 4 * EPS * at, 0.0])
    spectrum = Spectrum(values)
    assert spectrum.rank == 2
    np.testing.assert_array_equal(spectrum.resolved, [*values[:2], 0.0, 0.0])


def test_effective_ranks():
    flat = Spectrum.from_gram(3.0 * np.eye(7))
    assert flat.effective_rank == pytest.approx(7.0)
    assert flat.entropy_rank == pytest.approx(7.0)
    two = Spectrum(np.array([3.0, 1.0, 0.0]))
    assert two.effective_rank == pytest.approx(4.0 / 3.0)
    assert two.entropy_rank == pytest.approx(float(mpmath.mpf(4) ** 1 / mpmath.mpf(3) ** 0.75), rel=1e-14)


@pytest.mark.parametrize(
    ("gram", "rank"),
    [
        (np.zeros((3, 3)), 0),
        ([[0.0]], 0),
        ([[2]], 1),
        (np.ones((4, 4)), 1),
        (np.diag([1.0, 0.0, 2.0]), 2),
        (np.eye(3) * 1e-300, 3),
    ],
)
def test_degenerate_matrices(gram, rank):
    spectrum = Spectrum.from_gram(gram)
    assert spectrum.rank == rank
    assert spectrum.effective_rank == pytest.approx(spectrum.resolved.sum() / max(spectrum.largest, 1e-300))
    assert spectrum.entropy_rank <= rank + 1e-12
    json.dumps(spectrum.to_dict(), allow_nan=False)


def test_duplicated_rows_and_zero_rows(rng):
    rows = rng.standard_normal((6, 3))
    X = np.vstack([rows, rows[:2], np.zeros((1, 3))])
    layer = FeatureMap(rng.standard_normal((3, 500)), None, "relu")
    spectrum = Spectrum.from_features(layer, X)
    assert spectrum.rank == 6
    np.testing.assert_array_equal(spectrum.eigenvalues, Spectrum.from_gram(gram_matrix(layer.operator(X))).eigenvalues)
    # What no network attains has no part along resolved eigenvectors.
    unattainable = np.zeros((9, 2))
    unattainable[[0, 6], 0] = 1.0, -1.0
    unattainable[8, 1] = 1.0
    assert spectrum.energy(unattainable)[:6].sum() < 1e-20


@pytest.mark.parametrize(("kind", "kernel"), [("nngp", nngp_kernel), ("ntk", ntk_kernel)])
def test_from_kernel(kind, kernel, rng):
    options = {"activation": "gelu", "weight_scale": 0.7, "bias_scale": 0.3}
    X = rng.standard_normal((15, 3))
    spectrum = Spectrum.from_kernel(X, kind=kind, **options)
    expected = Spectrum.from_gram(kernel(X, **options))
    np.testing.assert_allclose(spectrum.eigenvalues, expected.eigenvalues, rtol=0, atol=1e-14 * expected.largest)
    assert Spectrum.from_kernel(X, kind=kind, **options, eigenvectors=False).eigenvectors is None
    assert spectrum.is_resolved


def test_three_antipodal_pairs_in_the_plane():
    """The flaw of relu without biases: six rows, rank 3 + 2; a bias mends it."""
    angles = np.array([0.0, 0.5, 1.3])
    half = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    X = np.vstack([half, -half])
    assert Spectrum.from_kernel(X, activation="relu").rank == 5
    assert Spectrum.from_kernel(X, activation="sin_cos").rank == 6
    assert Spectrum.from_kernel(X, activation="relu", bias_scale=1.0).rank == 6


def test_unknown_kernel():
    with pytest.raises(ValueError, match="kind='rbf' is not a kernel: pass one of 'nngp', 'ntk'"):
        Spectrum.from_kernel(np.eye(2), kind="rbf")


def test_project_and_energy(gram_with, rng):
    gram = gram_with(np.geomspace(1.0, 1e-4, 12))
    spectrum = Spectrum.from_gram(gram)
    targets = rng.standard_normal((12, 3))
    coefficients = spectrum.project(targets)
    np.testing.assert_allclose(spectrum.eigenvectors @ coefficients, targets, atol=1e-13)
    images = spectrum.eigenvalues[:, np.newaxis] * coefficients
    np.testing.assert_allclose(images, spectrum.project(gram @ targets), atol=1e-13)
    energy = spectrum.energy(targets)
    np.testing.assert_allclose(energy, (coefficients**2).sum(axis=1) / (targets**2).sum(), rtol=1e-12)
    assert energy.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(spectrum.energy(1e200 * targets), energy, rtol=1e-12)
    np.testing.assert_allclose(spectrum.energy(1e-200 * targets), energy, rtol=1e-12)
    np.testing.assert_array_equal(spectrum.project(targets[:, 0]).shape, (12, 1))
    alone = spectrum.energy(spectrum.eigenvectors[:, 4])
    np.testing.assert_allclose(alone, np.eye(12)[4], atol=1e-14)


def test_wrong_targets(gram_with):
    spectrum = Spectrum.from_gram(gram_with([3.0, 2.0, 1.0]))
    for method in (spectrum.project, spectrum.energy):
        with pytest.raises(ValueError, match="targets has 4 rows and the matrix has 3"):
            method(np.ones(4))
        with pytest.raises(ValueError, match="targets has 1 NaN"):
            method([1.0, np.nan, 0.0])
    with pytest.raises(ValueError, match="targets are all zero"):
        spectrum.energy(np.zeros(3))
    with pytest.raises(ValueError, match="no eigenvectors: build it with eigenvectors=True"):
        Spectrum.from_gram(np.eye(3), eigenvectors=False).project(np.ones(3))


@pytest.mark.parametrize(
    ("gram", "message"),
    [
        (np.ones((2, 3)), r"gram has shape \(2, 3\): pass a square symmetric matrix"),
        (np.ones(3), "gram has 1 dimensions"),
        (np.empty((0, 0)), r"gram has shape \(0, 0\)"),
        ([[1.0, np.nan], [np.nan, 1.0]], "gram has 2 NaN or infinite entries"),
        ([[1.0, 2.0], [2.5, 9.0]], r"entries \(0, 1\) and \(1, 0\) differ by 0.5, beside a largest one of 9"),
        ([[1.0, 2.0], [2.0, 1.0]], "gram has the eigenvalue -1 beside a largest one of 3: it is not positive semi-definite"),
        (-np.eye(2), "gram has the eigenvalue -1 beside a largest one of -1"),
        (np.diag([1.0, -1e-10]), "gram has the eigenvalue -1e-10 beside"),
    ],
)
def test_what_is_no_gram_matrix(gram, message):
    with pytest.raises(ValueError, match=message):
        Spectrum.from_gram(gram)


def test_complex_matrix():
    with pytest.raises(TypeError, match="gram has dtype complex128"):
        Spectrum.from_gram(np.eye(2) + 0j)


def test_asymmetry_far_from_the_diagonal(rng):
    gram = np.eye(600)
    gram[3, 590] = 1e-6
    with pytest.raises(ValueError, match=r"entries \(3, 590\) and \(590, 3\) differ by 1e-06"):
        Spectrum.from_gram(gram)


def test_rounding_is_forgiven():
    asymmetric = np.eye(3)
    asymmetric[0, 2] = EPS
    np.testing.assert_array_equal(Spectrum.from_gram(asymmetric).eigenvalues, np.ones(3))
    assert Spectrum.from_gram(np.diag([1.0, -50 * EPS])).rank == 1


@pytest.mark.parametrize("form", [np.asfortranarray, lambda a: a.tolist(), lambda a: np.repeat(a, 2, axis=1)[:, ::2]])
def test_forms(form, gram_with):
    gram = gram_with([3.0, 2.0, 1.0])
    np.testing.assert_array_equal(Spectrum.from_gram(form(gram)).eigenvalues, Spectrum.from_gram(gram).eigenvalues)


def test_integers_and_float32():
    assert Spectrum.from_gram(np.array([[2, 1], [1, 2]])).condition == pytest.approx(3.0)
    spectrum = Spectrum.from_gram(np.array([[2, 1], [1, 2]], dtype=np.float32))
    assert spectrum.eigenvalues.dtype == np.float64
    assert spectrum.condition == pytest.approx(3.0)


def test_input_is_not_written(gram_with):
    gram = np.asfortranarray(gram_with([3.0, 2.0, 1.0]))
    gram.flags.writeable = False
    Spectrum.from_gram(gram)
    Spectrum.from_gram(gram, eigenvectors=False)


def test_memory_is_checked(monkeypatch):
    monkeypatch.setattr(_validation, "available_memory", lambda: 3000)
    with pytest.raises(MemoryError, match="eigendecomposition of the 10 x 10 Gram matrix needs 3200 bytes"):
        Spectrum.from_gram(np.eye(10))
    Spectrum.from_gram(np.eye(10), eigenvectors=False)


def test_constructor():
    with pytest.raises(ValueError, match="not in descending order"):
        Spectrum(np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"eigenvalues have shape \(0,\)"):
        Spectrum(np.empty(0))
    with pytest.raises(ValueError, match="eigenvalues has 1 NaN"):
        Spectrum(np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match=r"eigenvectors have shape \(2, 3\)"):
        Spectrum(np.array([2.0, 1.0]), np.ones((2, 3)))


def test_near_overflow():
    spectrum = Spectrum.from_gram(np.diag([1.5e308, 1.5e308]))
    assert spectrum.trace == np.inf
    assert spectrum.effective_rank == 2.0
    json.dumps(spectrum.to_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="gram has .* too large|gram has an eigenvalue that overflows: scale it down"):
        Spectrum.from_gram(np.full((4, 4), 1.7e308))
