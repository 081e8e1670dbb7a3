"""Expectations without a closed form: pieces of an activation, Hermite coefficients by row, quadrature of parallel pairs."""

from itertools import cycle

import mpmath
import numpy as np
import pytest
from catalogue import EVERY
from scipy import special, stats

from underdetermined import _expectation
from underdetermined._expectation import DEGREES, DIAGONALS, SMOOTHED, Expectation
from underdetermined._expectation._average import average
from underdetermined._expectation._conditional import conditional_expectation
from underdetermined._expectation._pieces import find_pieces, gauss_legendre
from underdetermined._expectation._rows import Rows
from underdetermined._expectation._table import Table
from underdetermined._kernels import smoothing
from underdetermined.activations import get_activation

SCALES = np.array([0.0, 1e-150, 1e-8, 0.05, 1.0, 2.7, 30.0, 1e4, 1e100])
QUANTISE = lambda t: np.round(2 * t) / 2  # noqa: E731
KINKED = {
    "ramp": (lambda t: np.maximum(t - 0.3, 0), [0.3]),
    "clip": (lambda t: np.clip(t, -1, np.pi), [-1, np.pi]),
    "jump": (lambda t: np.where(t > 1 / 3, 1.0, 0.0), [1 / 3]),
    "abs": (np.abs, [0]),
    "bend": (lambda t: np.maximum(t - 2, 0) ** 2, [2]),
}


def pieces(function, reach, kinks=()):
    return find_pieces(function, reach, 1e-17, kinks, "f")


def test_gauss_legendre_rule():
    nodes, weights, to_legendre = gauss_legendre(12)
    moments = [weights @ nodes**k for k in range(24)]
    np.testing.assert_allclose(moments, [(1 + (-1) ** k) / (k + 1) for k in range(24)], atol=1e-15)
    values = np.polynomial.legendre.legval(nodes, [1.0, 2.0, 0.0, -3.0])
    np.testing.assert_allclose(values @ to_legendre, [1, 2, 0, -3, *np.zeros(8)], atol=1e-14)


@pytest.mark.parametrize("name", KINKED)
@pytest.mark.parametrize("reach", [7.0, 12.345, 1e5])
def test_kinks_are_found(name, reach):
    function, kinks = KINKED[name]
    found = pieces(function, reach)
    np.testing.assert_allclose(found.kinks, kinks, rtol=1e-6, atol=0)
    assert found.edges.size < 80


@pytest.mark.parametrize("distance", 10.0 ** -np.arange(1, 12))
@pytest.mark.parametrize("side", [-1, 1])
def test_kinks_next_to_the_edge_of_a_panel_are_found(distance, side):
    kink = 2.0 * (1 + side * distance)
    for function in (lambda t: np.maximum(t - kink, 0), lambda t: np.where(t > kink, 1.0, 0.5)):
        np.testing.assert_allclose(pieces(function, 16.0).kinks, [kink], rtol=1e-9)


def test_smooth_functions_have_no_kinks_and_merge():
    for function in (np.tanh, lambda t: np.tanh(100 * (t - 1)), lambda t: 1 + np.exp(-50 * (t - 3) ** 2)):
        assert pieces(function, 40.0).kinks.size == 0
    np.testing.assert_array_equal(pieces(lambda t: 2 * t + 1, 1e4).edges, [-1e4, 0, 1e4])


def test_many_jumps_are_found():
    np.testing.assert_allclose(pieces(QUANTISE, 10.0).kinks, np.arange(-9.75, 10, 0.5))


@pytest.mark.parametrize(
    "function",
    [
        lambda t: np.random.default_rng(0).standard_normal(t.shape),
        lambda t: np.sin(1e6 * t),
        lambda t: np.tanh(t.astype(np.float32)).astype(float),
    ],
    ids=["noise", "fast", "single"],
)
def test_what_cannot_be_resolved_is_refused(function):
    with pytest.raises(ValueError, match="activation 'f' cannot be integrated"):
        pieces(function, 20.0)


@pytest.mark.parametrize("name", sorted(DIAGONALS))
def test_diagonals_equal_quadrature(name):
    activation = get_activation(name)
    scales = SCALES[((SCALES == 0) | (SCALES > 1e-100)) & ({"exp": 10.0, "squared_relu": 1e50}.get(name, 1e200) > SCALES)]
    scales = scales[(scales < 1e3) | (name not in {"sin", "cos", "sin_cos"})]
    closed = DIAGONALS[name](scales**2, activation.parameters)
    for function, expected in zip((activation.value, activation.derivative), closed, strict=True):
        found = Expectation(function, scales, activation.kinks, name).squares
        np.testing.assert_allclose(found[1:], expected[1:], rtol=3e-14, atol=1e-300)
    np.testing.assert_allclose(closed[0][0], activation.value(np.zeros(1))[0] ** 2, atol=0)


@pytest.mark.parametrize("form", EVERY)
def test_coefficients_equal_those_of_the_activation(form):
    activation = EVERY[form]
    scales = np.array([0.0, 1e-8, 0.4, 1.0, 3.3])
    rows = Rows(activation.value, scales, activation.kinks, form)
    found = rows.coefficients(np.array([3, 1, 4, 0, 2]), 100) * rows.norms[[3, 1, 4, 0, 2], None]
    expected = np.stack([activation.hermite_coefficients(100, scales[i]) for i in (3, 1, 4, 0, 2)])
    norms = rows.norms[[3, 1, 4, 0, 2], None]
    np.testing.assert_allclose(found / np.maximum(norms, 1e-300), expected / np.maximum(norms, 1e-300), atol=4e-14)


def test_kinks_anywhere_in_a_panel(rng):
    scales = np.exp(rng.uniform(-3, 4, 300))
    rows = Rows(get_activation("shifted_relu").value, scales, (-1.0,), "shifted_relu")
    t = 1 / scales
    expected = scales**2 * ((1 + t * t) * special.ndtr(t) + t * stats.norm.pdf(t))
    np.testing.assert_allclose(rows.norms**2, expected, rtol=2e-14)


@pytest.mark.parametrize("name", sorted(SMOOTHED))
@pytest.mark.parametrize("order", [0, 1])
def test_closed_averages_equal_quadrature(name, order):
    activation = get_activation(name)
    function = (activation.value, activation.derivative)[order]
    nodes, weights, _ = gauss_legendre(40)
    for m in (-30.0, -3.0, -0.2, 0.0, 1.0, 40.0):
        for w in (0.03, 1.0, 7.0):
            kink = np.clip((activation.kinks[0] - m) / w, -9.0, 9.0)
            cuts = np.unique(np.concatenate([np.arange(-9.0, 10.0), [kink]]))
            half = 0.5 * np.diff(cuts)[:, None]
            points = cuts[:-1, None] + half * (1 + nodes)
            expected = np.sum(function(m + w * points) * stats.norm.pdf(points) * half * weights)
            found = SMOOTHED[name][order](np.array([m]), np.array([w]), activation.parameters)[0]
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-15 * max(1.0, abs(m), w))


@pytest.mark.parametrize("sine", [0.2, 1e-3, 1e-9, 1e-17, 0.0])
@pytest.mark.parametrize("sign", [1, -1])
def test_parallel_pairs_of_step_and_relu(sine, sign):
    angle = np.arcsin(sine)
    r = sign * np.cos(angle)
    theta = angle if sign > 0 else np.pi - angle
    step = (np.pi - theta) / (2 * np.pi)
    relu = (np.sin(angle) + (np.pi - theta) * r) / (2 * np.pi)
    for function, expected in ((lambda t: 1.0 * (t > 0), step), (lambda t: np.maximum(t, 0), relu)):
        for scales in ((1.0, 1.0), (1e-8, 1e6), (3.0, 0.2)):
            rows = Rows(function, np.array(scales), (0.0,), "f")
            pair = [np.array([value]) for value in (*scales, -12.0, 12.0, *rows.norms, r, sine)]
            found = conditional_expectation(rows.pieces, pair[:2], pair[2:4], pair[4:6], *pair[6:])
            np.testing.assert_allclose(0.5 * found, expected, atol=1e-15)


def test_expansion_and_quadrature_agree(rng):
    activation = get_activation("elu")
    scales = np.exp(rng.uniform(-2, 3, 60))
    expectation = Expectation(activation.value, scales, activation.kinks, "elu")
    expectation.extend(np.arange(60), DEGREES[1])
    r = rng.uniform(0.85, 0.98, 30) * rng.choice([-1, 1], 30)
    left, right = np.arange(30), np.arange(30, 60)
    found = expectation.pairs(r, np.sqrt(1 - r * r), left, right, is_last=False)
    norms = expectation.rows.norms[left] * expectation.rows.norms[right]
    by_quadrature = expectation._by_quadrature(r, np.sqrt(1 - r * r), left, right, None)
    np.testing.assert_allclose(found / norms, by_quadrature, atol=3e-14)


def test_threshold_far_out_in_the_tail():
    # max(t - 0.7, 0) at a standard deviation of 0.05: all happens 14 deviations from the mean.
    expectation = Expectation(lambda t: np.maximum(t - 0.7, 0), np.array([0.05]), (0.7,), "f")
    with mpmath.workdps(30):
        s = mpmath.mpf(0.05)
        t = mpmath.mpf(0.7) / s
        exact = s**2 * ((1 + t * t) * mpmath.ncdf(-t) - t * mpmath.npdf(t))
    np.testing.assert_allclose(expectation.squares[0], float(exact), rtol=1e-12)


STEEP = {
    "tanh": np.tanh,
    "softplus": get_activation("softplus").value,
    "silu slope": get_activation("silu").derivative,
    "bump": lambda t: np.exp(-8 * t * t),
    "steep": lambda t: np.tanh(20 * (t - 1)),
    **{name: KINKED[name][0] for name in ("ramp", "clip", "jump")},
}


def test_averages_equal_closed_forms(rng):
    nodes, weights, _ = gauss_legendre(26)
    centres = 0.5 + np.arange(60)[:, None]
    points, weighted = (centres + 0.5 * nodes).ravel(), np.tile(0.5 * weights, 60)
    mean, spread = rng.uniform(-20, 20, 200), rng.uniform(1, 2, 200)
    found, work = np.empty(200), np.empty(points.size)
    smoothing.averages(points, weighted, mean, spread, 8.75, work, found)
    np.testing.assert_allclose(found, special.ndtr(mean / spread), rtol=0, atol=2e-15)
    smoothing.averages(points, weighted * points, mean, spread, 8.75, work, found)
    expected = mean * special.ndtr(mean / spread) + spread * stats.norm.pdf(mean / spread)
    np.testing.assert_allclose(found, expected, rtol=0, atol=4e-14)


def test_lookup_equals_chebyshev_sums(rng):
    edges, least = np.array([-3.0, -1.0, 0.0, 0.25, 7.0]), 0.125
    coefficients = rng.standard_normal((4, 6, 5))
    mean, spread = rng.uniform(-3, 7, 100), np.repeat(rng.uniform(0.125, 0.25, 10), 10)
    mean[::10] = [-3, -1, 0, 0.25, 7, -1, 0, -4, 8, np.nan]
    found = np.empty(100)
    smoothing.lookup(mean, spread, least, edges, coefficients, np.empty(6), np.empty(5), found)
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(found)), [70, 80, 90])
    inside = np.flatnonzero(~np.isnan(found) & ~np.isin(mean, edges))
    p = np.searchsorted(edges, mean[inside]) - 1
    x = 2 * (mean[inside] - edges[p]) / (edges[p + 1] - edges[p]) - 1
    y = 2 * spread[inside] / least - 3
    each = zip(y, x, coefficients[p], strict=True)
    expected = [np.polynomial.chebyshev.chebval2d(*point) for point in each]
    np.testing.assert_allclose(found[inside], expected, atol=1e-13)


@pytest.mark.parametrize("name", STEEP)
@pytest.mark.parametrize("least", [2.0**-10, 0.125, 0.5, 4.0, 64.0])
def test_tables_equal_quadrature(name, least, rng):
    f = pieces(STEEP[name], 4000.0)
    table = Table(f, least, 0.3)
    spread = least * rng.uniform(1, 2, 600)
    bend = rng.choice(np.append(f.bends, 0.0), 600)
    spots = np.where(np.arange(600) % 2, bend + spread * rng.uniform(-12, 12, 600), 10 ** rng.uniform(-4, 3, 600))
    mean = spots * rng.choice([-1, 1], 600)
    error = (table(mean, spread) - average(f, mean, spread)) / np.maximum(np.maximum(1, spread), np.abs(mean))
    np.testing.assert_allclose(error, 0, atol=3e-14)


def test_a_table_knows_what_it_does_not_resolve():
    growing, waves = pieces(np.exp, 60.0), pieces(lambda t: np.sin(40 * t), 400.0)
    mean, spread = np.linspace(1, 30, 300), np.full(300, 2.5)
    expected = average(growing, mean, spread)
    found = Table(growing, 2.0, 1.0)(mean, spread)
    resolved = ~np.isnan(found)
    np.testing.assert_allclose(found[resolved], expected[resolved], rtol=1e-12)
    assert not resolved.all()
    narrow = 2.0**-12
    assert np.isnan(Table(waves, narrow, 1.0)(mean, narrow * spread / 2)).all()


@pytest.mark.parametrize(("name", "norms"), list(zip(STEEP, cycle([(1.0, 30.0), (1e3, 1e6)]), strict=False)))
def test_many_parallel_pairs_share_tables(name, norms, rng, monkeypatch):
    monkeypatch.setattr(_expectation, "_MANY", 4)
    scales = np.exp(rng.uniform(*np.log(norms), 20))
    sine = 10 ** rng.uniform(-1.5, -0.8, 40)
    correlation = np.sqrt(1 - sine**2) * rng.choice([-1, 1], 40)
    left, right = rng.integers(0, 20, (2, 40))
    expectation = Expectation(STEEP[name], scales, (), name)
    expectation.extend(np.arange(20), 32)
    pairs = correlation, sine, left, right
    units = expectation.rows.norms[left] * expectation.rows.norms[right]
    expected = expectation._by_quadrature(*pairs, None)
    found = expectation.pairs(*pairs, is_last=True) / units
    assert expectation._tables
    np.testing.assert_allclose(found, expected, atol=3e-14)
    monkeypatch.setattr(Table, "__call__", lambda self, mean, spread: np.full(mean.size, np.nan))
    np.testing.assert_allclose(expectation.pairs(*pairs, is_last=True) / units, expected, atol=3e-14)


def test_the_same_row_twice_needs_no_average():
    expectation = Expectation(np.tanh, np.array([3.0, 50.0]), (), "tanh")
    found = expectation._groups(np.arange(2), np.zeros(2), np.arange(2), np.arange(2))
    chosen, smoothed = [(group, how) for group, how in found if group.size][0]
    np.testing.assert_array_equal(chosen, [0, 1])
    np.testing.assert_array_equal(smoothed(np.array([0.3]), np.zeros(1)), np.tanh([0.3]))
