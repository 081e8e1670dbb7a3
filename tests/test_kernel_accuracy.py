"""Infinite-width kernels of every activation against multiple precision, on hard pairs of rows; the oracle itself."""

from itertools import product

import mpmath
import numpy as np
import pytest
from catalogue import EVERY
from kernel_oracle import kernels, reference, relative
from kernel_pairs import KINDS, RowPair, row_pairs

from underdetermined.activations import Activation, get_activation
from underdetermined.kernels import kernel_diagonal, nngp_kernel, ntk_kernel

TOLERANCE = 1e-12
DIGITS = 16
LIMITS = {"exp": 12.0}
PLAIN = RowPair("plain", np.array([0.3, -1.1, 0.6]), np.array([0.9, 0.2, 0.5]), 1.7, 0.4)
# One of each kind of user's function: smooth, with kinks that are declared, and with kinks to be found.
USERS = {
    "tanh": Activation("t", function=np.tanh, function_derivative=lambda t: 1 - np.tanh(t) ** 2),
    "shifted_relu(-0.7)": Activation(
        "s", function=lambda t: np.maximum(t - 0.7, 0), function_derivative=lambda t: 1.0 * (t > 0.7), kinks=(0.7,)
    ),
    "elu": Activation(
        "e",
        function=lambda t: np.where(t > 0, t, np.expm1(np.minimum(t, 0))),
        function_derivative=lambda t: np.exp(np.minimum(t, 0)),
    ),
}


def some_pairs(form, count):
    """Pairs for one activation, of other kinds than for the next one: together they are of all kinds."""
    first = sum(map(ord, form)) * 7 % len(KINDS)
    kinds = [*KINDS, *KINDS][first : first + len(KINDS)]
    return row_pairs(np.random.default_rng(first), count, kinds, LIMITS.get(form, np.inf))


def errors(activation, form, pair):
    """Largest errors of both kernels in a rectangular and a symmetric call, relative to the diagonal."""
    options = {"weight_scale": pair.weight_scale, "bias_scale": pair.bias_scale}
    expected = reference(form, pair.x, pair.z, **options, digits=DIGITS)
    both = np.stack([pair.x, pair.z])
    found = [
        (kernel(both[:1], both[1:], activation=activation, **options), kernel(both, activation=activation, **options))
        for kernel in (nngp_kernel, ntk_kernel)
    ]
    (nngp, nngp_square), (ntk, ntk_square) = found
    return [*expected.errors(nngp[0, 0], ntk[0, 0]), *expected.errors(nngp_square[0, 1], ntk_square[1, 0])]


@pytest.mark.parametrize("form", EVERY)
def test_kernels_against_multiple_precision(form):
    failed = {}
    for pair in some_pairs(form, 2):
        failed |= {str(pair): found for found in [errors(form, form, pair)] if not max(found) <= TOLERANCE}
    assert not failed


@pytest.mark.parametrize("form", EVERY)
def test_diagonals_against_multiple_precision(form):
    pair = next(some_pairs(form, 1))
    options = {"weight_scale": pair.weight_scale, "bias_scale": pair.bias_scale}
    expected = [float(value) for value in kernels(form, pair.x, pair.x, **options, digits=DIGITS)]
    for kind, kernel, value in zip(("nngp", "ntk"), (nngp_kernel, ntk_kernel), expected, strict=True):
        row = pair.x[np.newaxis]
        np.testing.assert_allclose(kernel_diagonal(row, activation=form, kind=kind, **options), value, rtol=TOLERANCE)
        np.testing.assert_allclose(kernel(row, activation=form, **options), value, rtol=TOLERANCE)


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        *product(("tanh", "elu"), ("random", "antipodal", "tiny", "steep wedge")),
        *product(("shifted_relu(-0.7)",), ("parallel", "coincident", "steep", "zero")),
    ],
)
def test_kernels_of_callables(form, kind):
    (pair,) = row_pairs(np.random.default_rng(3), 1, [kind], limit=100.0)
    assert max(errors(USERS[form], form, pair)) <= TOLERANCE


def legendre(cuts):
    """Nodes and weights of Gauss-Legendre rules on five parts of every interval between the cuts, row by row."""
    fifths = np.arange(5.0)[:, np.newaxis] / 5
    nodes, weights = np.polynomial.legendre.leggauss(24)
    places = (fifths + (1 + nodes) / 10).ravel()
    lengths = np.diff(cuts)[..., np.newaxis]
    points = (cuts[..., :-1, np.newaxis] + lengths * places).reshape(*cuts.shape[:-1], -1)
    shares = (lengths * np.tile(weights / 10, 5)).reshape(points.shape)
    return points, shares * np.exp(-(points**2) / 2) / np.sqrt(2 * np.pi)


def product_mean(f, kinks, left, right, both):
    """E[f(u) f(v)] by nested Gauss-Legendre rules in double precision, split where either factor has a kink."""
    ends, deviation, slope = [-11.0, 0.0, 11.0], np.sqrt(left), both / left
    width, kinks = np.sqrt(right - both * slope), np.array(kinks)
    g, outer = legendre(np.sort(np.concatenate([ends, kinks / deviation, kinks / slope / deviation])))
    mean = slope * deviation * g[:, np.newaxis]
    bent = np.clip((kinks - mean) / width, -11.0, 11.0)
    points, inner = legendre(np.sort(np.hstack([np.tile(ends, (g.size, 1)), bent])))
    return outer @ (f(deviation * g) * (inner * f(mean + width * points)).sum(axis=1))


@pytest.mark.parametrize("form", EVERY)
def test_oracle_against_nested_quadrature(form):
    activation, x, z = get_activation(form), PLAIN.x, PLAIN.z
    left, right, both = (PLAIN.weight_scale**2 * (a @ b) + PLAIN.bias_scale**2 for a, b in ((x, x), (z, z), (x, z)))
    means = [product_mean(f, activation.kinks, left, right, both) for f in (activation.value, activation.derivative)]
    expected = reference(form, x, z, PLAIN.weight_scale, PLAIN.bias_scale, digits=DIGITS)
    assert max(expected.errors(means[0], means[0] + (x @ z + 1) * means[1])) < 1e-13


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("relu", "random"),
        ("relu", "tiny and huge"),
        ("shifted_relu(-0.7)", "random"),
        ("shifted_relu(-0.7)", "parallel"),
        ("gelu", "huge"),
        ("gelu", "tiny and huge"),
        ("tanh", "parallel"),
        ("tanh", "huge"),
    ],
)
def test_oracle_has_thirty_digits(form, kind):
    (pair,) = row_pairs(np.random.default_rng(5), 1, [kind])
    rows = pair.x, pair.z, pair.weight_scale, pair.bias_scale
    expected, finer = reference(form, *rows), kernels(form, *rows, finer=1.2)
    with mpmath.workdps(40):
        values, scales = (expected.nngp, expected.ntk), (expected.nngp_scale, expected.ntk_scale)
        errors = [relative(abs(a - b), scale) for a, b, scale in zip(values, finer, scales, strict=True)]
    assert max(errors) < 1e-30
