"""Infinite-width kernels of rows that coincide, up to sign: the diagonal again, to the last digit."""

import numpy as np
import pytest

from underdetermined.kernels import nngp_kernel, ntk_kernel
from underdetermined.spectrum import Spectrum

KERNELS = pytest.mark.parametrize("kernel", [nngp_kernel, ntk_kernel])
WITHOUT_CLOSED_FORM = ["tanh", "softplus", "elu", "silu", "sigmoid", "shifted_relu(1)"]


@pytest.fixture
def X(rng):
    return rng.standard_normal((7, 3)) * np.geomspace(0.01, 30.0, 7)[:, np.newaxis]


@pytest.mark.parametrize(("kernel", "bias_scale"), [(nngp_kernel, 1.0), (ntk_kernel, 0.0)])
@pytest.mark.parametrize("form", WITHOUT_CLOSED_FORM)
def test_equal_rows(kernel, form, bias_scale, X):
    n = len(X)
    K = kernel(np.vstack([X, X]), activation=form, bias_scale=bias_scale)
    np.testing.assert_allclose(np.diag(K, n), np.diag(K)[:n], rtol=1e-15)
    both = kernel(X, X[::-1], activation=form, bias_scale=bias_scale)
    np.testing.assert_allclose(np.diag(both[:, ::-1]), np.diag(K)[:n], rtol=1e-15)


@KERNELS
@pytest.mark.parametrize(("form", "sign"), [("tanh", -1.0), ("hermite(0, 1, 0, 0.5)", -1.0), ("hermite(1, 0, 0.5)", 1.0)])
def test_opposite_rows_of_odd_and_even_functions(kernel, form, sign, X):
    K = kernel(np.vstack([X, -X]), activation=form)
    np.testing.assert_allclose(np.diag(K, len(X)), sign * np.diag(K)[: len(X)], rtol=1e-15)


@KERNELS
def test_a_weight_scale_whose_square_underflows_is_refused(kernel, X):
    with pytest.raises(ValueError, match="weight_scale=1e-160 is out of range: its square underflows"):
        kernel(X, weight_scale=1e-160)


@KERNELS
def test_opposite_rows_are_not_alike_with_biases(kernel, X):
    K = kernel(np.vstack([X, -X]), activation="tanh", bias_scale=0.5)
    assert (np.diag(K, len(X)) > -np.diag(K)[: len(X)]).all()


@pytest.mark.parametrize(("kind", "bias_scale"), [("nngp", 0.0), ("ntk", 1.0)])
@pytest.mark.parametrize("form", WITHOUT_CLOSED_FORM)
def test_duplicates_do_not_look_independent(kind, form, bias_scale, rng):
    for size in 10.0 ** rng.uniform(-2.0, 2.0, 10):
        row = size * rng.standard_normal((1, 2))
        spectrum = Spectrum.from_kernel(np.vstack([row, row]), activation=form, kind=kind, bias_scale=bias_scale)
        assert spectrum.rank == 1
