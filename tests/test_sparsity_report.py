"""The report on sparsity against simulation, elementary values and definitions."""

import json
from math import log, sqrt

import mpmath
import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import binom

from underdetermined.active_sets import active_pairs, draw_network
from underdetermined.kernels import bias_ntk
from underdetermined.objectives import SparseReLU
from underdetermined.sparsity import certify, complexity_measure, prune_everywhere, sparsity_report, tangent_matrix
from underdetermined.sparsity._concentration import Concentration

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


@pytest.fixture
def rows(rng):
    return rng.standard_normal((6, 3)) * np.geomspace(0.5, 2.0, 6)[:, None]


def test_activity_is_the_normal_tail(rows):
    report = sparsity_report(rows, 1.5, 100)
    np.testing.assert_allclose(report.activity, ndtr(-1.5 / np.linalg.norm(rows, axis=1)), rtol=1e-13)
    assert report.mean_activity == pytest.approx(report.activity.mean())
    assert report.active_flops == pytest.approx(report.mean_activity * 4 * 6 * 3 * 100)


@pytest.mark.parametrize("symmetric", [False, True])
def test_numbers_of_active_and_live_neurons_hold_in_simulation(symmetric, rows):
    report = sparsity_report(rows, 1.5, 400, symmetric=symmetric)
    failures, live, idle, everywhere = 0, [], 0, []
    for seed in range(200):
        hidden, coef = draw_network(3, 400, bias=1.5, symmetric=symmetric, seed=seed)
        pairs = active_pairs(hidden, rows)
        failures += bool(((pairs.per_sample < report.fewest_active) | (pairs.per_sample > report.most_active)).any())
        live.append((pairs.per_neuron > 0).sum())
        idle += bool((pairs.per_sample == 0).any())
        everywhere.append(1.0 - len(prune_everywhere(hidden, coef, np.linalg.norm(rows, axis=1).max())[2]) / 400)
    assert binom.sf(failures - 1, 200, 0.1) > 1e-3
    assert np.mean(live) <= report.live_bound
    assert binom.sf(idle - 1, 200, report.idle_probability) > 1e-3
    error = np.std(everywhere) / sqrt(200)
    assert abs(np.mean(everywhere) - report.prunable_everywhere) < 4.0 * error


def test_idle_rows_are_expected_where_thresholds_are_high(rng):
    X = np.eye(5)
    report, idle = sparsity_report(X, 2.0, 40, symmetric=False), 0
    for seed in range(300):
        hidden, _ = draw_network(5, 40, bias=2.0, symmetric=False, seed=seed)
        idle += bool((active_pairs(hidden, X).per_sample == 0).any())
    assert report.idle_probability == pytest.approx(min(1.0, 5 * (1 - ndtr(-2.0)) ** 40))
    assert binom.sf(idle - 1, 300, report.idle_probability) > 1e-3


def test_eigenvalues_are_those_of_the_kernel(rows):
    report = sparsity_report(rows, 1.0, 100, bias_scale=0.5)
    values = np.linalg.eigvalsh(bias_ntk(rows, bias=1.0, bias_scale=0.5))
    assert (report.smallest_eigenvalue, report.largest_eigenvalue) == pytest.approx((values[0], values[-1]))
    assert report.condition == pytest.approx(values[-1] / values[0])


def test_orthonormal_rows_have_the_closed_form():
    q = ndtr(-2.0)
    report = sparsity_report(np.eye(5), 2.0, 100)
    assert report.smallest_eigenvalue == pytest.approx(2 * q - q * q, rel=1e-12, abs=0.0)
    assert report.largest_eigenvalue == pytest.approx(2 * q + 4 * q * q, rel=1e-12, abs=0.0)


def test_concentration_holds_in_simulation():
    X = np.eye(3)
    report = sparsity_report(X, 0.5, 60, symmetric=False, failure_probability=0.3)
    limit, smallest, distance = bias_ntk(X, bias=0.5), [], []
    for seed in range(300):
        hidden, coef = draw_network(3, 60, bias=0.5, symmetric=False, seed=seed)
        found = tangent_matrix(SparseReLU(X, np.zeros(3), hidden, coef))
        smallest.append(np.linalg.eigvalsh(found)[0])
        distance.append(np.linalg.norm(found - limit, 2))
    assert 0.0 < report.halving_probability < 1.0
    assert np.mean(np.array(smallest) <= 0.5 * report.smallest_eigenvalue) <= report.halving_probability
    assert np.mean(np.array(distance) > report.deviation) <= 0.3


def test_concentration_inverts_its_own_bounds():
    found = Concentration(7, 500, 0.2, 1.5, 9.0)
    t, level = found.deviation(0.05), 0.05
    assert 14 * np.exp(-500 * t * t / 2 / (9.0 * 1.5 + 9.0 * t / 3)) == pytest.approx(level)
    assert found.halving_probability() == pytest.approx(min(1.0, 7 * np.exp(-500 * 0.2 / 9.0 * (0.5 + 0.5 * log(0.5)))))
    draws = found.draws_for_half(0.05)
    assert Concentration(7, draws, 0.2, 1.5, 9.0).halving_probability() == pytest.approx(0.05)


def test_width_before_drawing_matches_bisection():
    rng = np.random.default_rng(4)
    X = rng.standard_normal((8, 8))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    report = sparsity_report(X, 1.0, 100, symmetric=False, targets=2.0 * np.ones(8))
    K = X @ X.T + 1.0
    share = report.smallest_eigenvalue / (16.0 * np.linalg.eigvalsh(np.abs(K))[-1])
    low, high = 0.0, 1.0
    for _ in range(80):
        tau = (low + high) / 2.0
        low, high = (tau, high) if ndtr(1 + tau) - ndtr(1 - tau) < share else (low, tau)
    expected = 4.0 * (K**2).sum(axis=1).max() * 32.0 / (tau * report.smallest_eigenvalue) ** 2
    assert report.residual_norm == pytest.approx(sqrt(32.0))
    assert report.width_before_drawing == pytest.approx(expected, rel=1e-6, abs=0.0)


def test_a_symmetric_start_needs_twice_the_width(rows):
    # A residual of next to nothing leaves the width to the number of draws.
    targets = 1e-12 * np.ones(6)
    one, two = (sparsity_report(rows, 1.0, m, symmetric=m == 800, targets=targets) for m in (400, 800))
    for name in ("width_for_half", "width_before_drawing", "fewest_active", "most_active"):
        np.testing.assert_allclose(getattr(two, name), 2.0 * getattr(one, name), rtol=1e-12)
    for name in ("idle_probability", "halving_probability", "doubling_probability", "deviation"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-12, abs=0.0)


def test_the_width_before_drawing_certifies_every_draw():
    # A residual so small that the width is one that can be drawn.
    X, y = np.eye(3), 3e-4 * np.ones(3)
    width = int(sparsity_report(X, 0.5, 2, targets=y).width_before_drawing / 2 + 1) * 2
    assert 1000 < width < 100000
    for seed in range(3):
        hidden, coef = draw_network(3, width, bias=0.5, seed=seed)
        found = certify(SparseReLU(X, y, hidden, coef))
        assert found.is_certified
        assert found.rate > 0.5 * sparsity_report(X, 0.5, 2).smallest_eigenvalue


@pytest.mark.parametrize("bias_scale", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("bias", [0.0, 1.0, 30.0])
def test_complexity_measure_matches_many_digits(bias, bias_scale):
    # Orthogonal rows of different norms: the orthant probability is a product of tails.
    norms, y = [1, 2, 3], [1.0, -2.0, 0.5]
    with mpmath.workdps(500):
        q = [mpmath.erfc(mpmath.mpf(bias) / r / mpmath.sqrt(2)) / 2 for r in norms]
        square = mpmath.mpf(bias_scale) ** 2
        H = mpmath.matrix([[square * a * b for a in q] for b in q])
        for i in range(3):
            H[i, i] = (norms[i] ** 2 + square) * q[i]
        energy = (mpmath.matrix(y).T * mpmath.lu_solve(H, mpmath.matrix(y)))[0]
        expected = float(2 * mpmath.sqrt(sum(H[i, i] for i in range(3)) * energy) / 3)
    found = complexity_measure(np.diag(norms), y, bias=bias, bias_scale=bias_scale)
    assert found == pytest.approx(expected, rel=1e-12, abs=0.0)


def test_complexity_of_unit_rows_has_the_form_of_the_theory(rng):
    X = rng.standard_normal((12, 4))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = rng.standard_normal((12, 2))
    energy = np.einsum("ik,ik->k", y, np.linalg.solve(bias_ntk(X, bias=1.0), y))
    found = complexity_measure(X, y, bias=1.0)
    np.testing.assert_allclose(found, np.sqrt(8.0 * ndtr(-1.0) * energy / 12), rtol=1e-10)
    assert sparsity_report(X, 1.0, 10, targets=y).complexity == pytest.approx(found)


def test_complexity_tends_to_twice_the_size_of_the_labels(rng):
    X = rng.standard_normal((20, 5))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    y = rng.choice([-1.0, 1.0], 20)
    assert complexity_measure(X, y, bias=60.0) == pytest.approx(2.0, rel=1e-3, abs=0.0)


@pytest.mark.parametrize(
    ("X", "options", "words"),
    [
        ([[1.0, 2.0], [1.0, 2.0], [3.0, 1.0]], {}, "merge rows"),
        ([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0]], {}, "1 rows are never active, the first is row 1"),
        (np.vstack([np.eye(2), -np.eye(2), [[1.0, 1.0]], [[-1.0, -1.0]]]), {"bias_scale": 0.0}, "train the biases"),
    ],
)
def test_infinite_complexities_are_explained(X, options, words):
    y = np.arange(1.0, len(X) + 1.0)
    with pytest.warns(RuntimeWarning, match=words):
        assert complexity_measure(X, y, bias=0.0, **options) == np.inf


def test_overflow_of_the_complexity_is_explained():
    with pytest.warns(RuntimeWarning, match="rows of very different norm"):
        found = complexity_measure([[1.0, 0.0], [0.0, 1e-3]], [[1.0, 1.0], [0.0, 1.0]], bias=2.0)
    assert np.isfinite(found[0])
    assert found[1] == np.inf


def test_equal_rows_leave_no_width_and_no_condition():
    report = sparsity_report([[1.0, 2.0], [1.0, 2.0]], 1.0, 100)
    assert report.smallest_eigenvalue == 0.0
    assert report.condition == report.width_for_half == report.width_before_drawing == np.inf
    assert report.halving_probability == 1.0


@pytest.mark.parametrize("bias", [6.0, 30.0])
def test_thresholds_far_out_keep_their_digits(bias):
    with mpmath.workdps(300):
        q = mpmath.erfc(bias / mpmath.sqrt(2)) / 2
        smallest = 2 * q - q * q
        share = smallest / (16 * 4)
        start = share / mpmath.npdf(bias) / 2
        tau = mpmath.findroot(lambda t: mpmath.ncdf(t - bias) - mpmath.ncdf(-t - bias) - share, start)
        expected = 4 * 6 * 3 / (tau * smallest) ** 2
    report = sparsity_report(np.eye(3), bias, 100, symmetric=False)
    assert mpmath.almosteq(mpmath.mpf(report.smallest_eigenvalue), smallest, rel_eps=1e-12)
    assert report.width_before_drawing == pytest.approx(float(min(expected, mpmath.inf)), rel=1e-6, abs=0.0)


@pytest.mark.parametrize("size", [1e-200, 1e-160, 1e150])
def test_rows_of_any_size_are_reported(size):
    report = sparsity_report([[size]], 0.0, 100)
    assert report.activity[0] == 0.5
    assert report.largest_eigenvalue == pytest.approx(0.5 * (size * size + 1.0))
    assert report.prunable_everywhere == 0.0


@pytest.mark.parametrize(("size", "bias"), [(1e-200, 1.0), (5e-324, 1.0), (1.0, 1e300)])
def test_thresholds_beyond_all_numbers_leave_nothing_active(size, bias):
    report = sparsity_report([[size]], bias, 10)
    assert report.activity[0] == report.most_active[0] == 0.0
    assert report.prunable_everywhere == report.idle_probability == 1.0


def test_the_largest_width_and_large_targets_are_reported():
    report = sparsity_report(np.eye(2), 1.0, 2**53, targets=[3e200, 4e200])
    assert report.residual_norm == pytest.approx(5e200)
    assert report.width_before_drawing == np.inf
    assert report.most_active.max() == pytest.approx(ndtr(-1.0) * 2**53, rel=1e-6, abs=0.0)


def test_one_row_and_a_row_of_zeros_are_reported():
    assert sparsity_report([[3.0]], 1.0, 10).condition == pytest.approx(1.0)
    report = sparsity_report([[0.0, 0.0], [1.0, 0.0]], 1.0, 10)
    assert report.activity[0] == 0.0 == report.most_active[0]
    assert report.idle_probability == 1.0


@pytest.mark.parametrize("targets", [None, np.arange(6.0), np.arange(48.0).reshape(6, 8)])
def test_text_fits_and_the_dictionary_is_plain(targets, rows):
    report = sparsity_report(0.3 * rows, 2.0, 4096, targets=targets, bias_scale=1e-3)
    lines = str(report).splitlines()
    assert max(map(len, lines)) <= 100
    assert ("targets" in lines) == (targets is not None)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False)) == report.to_dict()
    assert repr(report).startswith("<SparsityReport: 6 rows, bias 2, width 4096, ")
    titles, entries = 4 + (targets is not None), sum(line.startswith("  ") for line in lines)
    html = report._repr_html_()
    assert html.count("<tr>") == html.count("</tr>") == titles + entries


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"width": 7}, ValueError, "width=7 is odd"),
        ({"width": 0}, ValueError, "width=0"),
        ({"bias": -1.0}, ValueError, "bias=-1.0"),
        ({"bias_scale": np.nan}, ValueError, "bias_scale"),
        ({"bias_scale": 1e200}, ValueError, "bias_scale"),
        ({"width": 2**54}, ValueError, "beyond 9007199254740992"),
        ({"symmetric": "no"}, TypeError, "symmetric='no' is not a truth value"),
        ({"failure_probability": 0.0}, ValueError, "failure_probability"),
        ({"targets": np.zeros(3)}, ValueError, "targets has 3 rows"),
        ({"X": [[np.inf]]}, ValueError, "X has 1 NaN or infinite"),
        ({"X": [[1e200]]}, ValueError, "inner products of the rows of X"),
    ],
)
def test_bad_arguments_are_refused(change, error, words):
    with pytest.raises(error, match=words):
        sparsity_report(**({"X": np.eye(2), "bias": 1.0, "width": 10} | change))
