"""How lazy a run was: against complex steps of the formula, measured tables, and runs of which the answer is known."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from underdetermined import FeatureMap
from underdetermined.joint import draw_network, laziness_report
from underdetermined.objectives import Exponential, TwoLayer
from underdetermined.optimize import gauss_newton, gradient_descent

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

N, D, M = 6, 3, 5
PARTS = {
    "both": ["hidden weights", "hidden biases", "output weights", "output bias"],
    "hidden": ["hidden weights", "hidden biases"],
    "last": ["output weights", "output bias"],
}


def problem(k=1, layers="both", seed=0, **options):
    """A tanh network with all biases and a scale for each neuron, and parameters at which training may have ended."""
    rng = np.random.default_rng(seed)
    hidden = FeatureMap(
        rng.standard_normal((D, M)), rng.standard_normal(M), activation="tanh", scale=rng.uniform(0.5, 2.0, M)
    )
    objective = TwoLayer(
        rng.standard_normal((N, D)), rng.standard_normal((N, k)), hidden, rng.standard_normal((M, k)),
        intercept=rng.standard_normal(k), layers=layers, **options,
    )  # fmt: skip
    return objective, objective.initial() + 0.3 * rng.standard_normal(objective.n_parameters)


def parts(objective, names):
    """Places of layers in the vector of parameters."""
    k = objective.targets.shape[1]
    sizes = {"hidden weights": D * M, "hidden biases": M, "output weights": M * k, "output bias": k}
    ends = np.cumsum([sizes[name] for name in names])
    return {name: slice(end - sizes[name], end) for name, end in zip(names, ends, strict=True)}


def outputs(objective, theta, names):
    """The formula, for complex parameters too: weighted outputs, row by row."""
    k, layer = objective.targets.shape[1], objective.feature_map
    values = {
        "hidden weights": layer.weights, "hidden biases": layer.biases,
        "output weights": objective.coef, "output bias": objective.intercept,
    } | {name: theta[part] for name, part in parts(objective, names).items()}  # fmt: skip
    weights, coef = values["hidden weights"].reshape(D, M), values["output weights"].reshape(M, k)
    features = layer.scale * np.tanh(objective.X @ weights + values["hidden biases"])
    return (np.sqrt(objective.sample_weight)[:, np.newaxis] * (features @ coef + values["output bias"])).ravel()


def jacobian(objective, theta, names):
    """Complex steps: exact to rounding."""
    return np.stack([outputs(objective, theta + 1e-30j * unit, names).imag / 1e-30 for unit in np.eye(theta.size)], axis=1)


def cosine(first, second):
    return (first * second).sum() / np.linalg.norm(first) / np.linalg.norm(second)


@pytest.mark.parametrize("weight", [None, "random"])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("layers", PARTS)
def test_report_is_what_the_formulas_say(layers, k, weight):
    sample_weight = {None: None, "random": np.random.default_rng(9).uniform(0.5, 3.0, N)}[weight]
    objective, end = problem(k, layers, sample_weight=sample_weight)
    start, names = objective.initial(), PARTS[layers]
    report = laziness_report(objective, end)

    before, after = (jacobian(objective, theta, names) for theta in (start, end))
    change = outputs(objective, end, names) - outputs(objective, start, names)
    delta = end - start
    error = np.linalg.norm(change - before @ delta) / np.linalg.norm(change)
    assert report.linearization_error == pytest.approx(error, rel=1e-10, abs=1e-13)
    shares = [before[:, part] @ delta[part] @ change / (change @ change) for part in parts(objective, names).values()]
    assert [each.name for each in report.movements] == names
    np.testing.assert_allclose([each.share for each in report.movements], shares, rtol=1e-10, atol=1e-13)
    assert report.higher_order == pytest.approx(1.0 - sum(shares), abs=1e-12)

    kernels = before @ before.T, after @ after.T
    assert report.kernel_alignment == pytest.approx(cosine(*kernels), rel=1e-12)
    root = np.sqrt(objective.sample_weight)
    centre = np.kron(np.eye(N) - np.outer(root, root) / (root @ root), np.eye(k))
    centred = cosine(*(centre @ kernel @ centre for kernel in kernels))
    assert report.centred_alignment == pytest.approx(centred, rel=1e-11)
    assert report.kernel_rows == report.n_rows == N
    assert report.distance == pytest.approx(np.linalg.norm(delta), rel=1e-13)


def test_movements_are_relative_to_the_start():
    objective, end = problem(2)
    start, names = objective.initial(), PARTS["both"]
    report = laziness_report(objective, end)
    delta = end - start
    neurons = {"hidden weights": (D, M), "hidden biases": (1, M), "output weights": (M, 2), "output bias": (1, 2)}
    axes = {"hidden weights": 0, "hidden biases": 0, "output weights": 1, "output bias": 1}
    for each, part in zip(report.movements, parts(objective, names).values(), strict=True):
        moved, first = (
            np.linalg.norm(vector[part].reshape(neurons[each.name]), axis=axes[each.name]) for vector in (delta, start)
        )
        assert each.relative == pytest.approx(np.linalg.norm(moved) / np.linalg.norm(first), rel=1e-12)
        assert each.largest == pytest.approx(moved.max() / np.sqrt((first**2).mean()), rel=1e-12)


def test_weights_count_rows():
    objective, end = problem()
    heavy = replace(objective, sample_weight=[2.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    rows = [0, 0, 1, 2, 3, 4]
    twice = replace(objective, X=objective.X[rows], targets=objective.targets[rows])
    left, right = laziness_report(heavy, end), laziness_report(twice, end)
    for name in ("linearization_error", "kernel_alignment", "centred_alignment", "relative_loss", "higher_order"):
        assert getattr(left, name) == pytest.approx(getattr(right, name), rel=1e-11)
    assert left.n_rows == 5


# Section "Lazy or feature learning" of the theory page: gelu, product of the deviations of He, loss down to 1e-4.
MEASURED = {
    0.02: (0.00007, 0.35, 1.0000, 0.000),
    0.1: (0.002, 0.34, 1.0000, 0.001),
    0.5: (0.027, 0.24, 0.9999, 0.008),
    2.5: (0.10, 0.041, 0.9997, 0.016),
    12.5: (0.18, 0.003, 0.9998, 0.035),
}


def lazy_run(ratio, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((20, 10))
    X *= np.sqrt(10) / np.linalg.norm(X, axis=1, keepdims=True)
    # Deviations of product 2 / sqrt(d m), in units of those of He.
    inner, outer = np.sqrt([2 / 3000**0.5 / ratio, 2 / 3000**0.5 * ratio]) / np.sqrt([2 / 10, 2 / 300])
    options = {"activation": "gelu", "init": "he", "weight_scale": inner, "coef_scale": outer}
    hidden, coef = draw_network(10, 300, **options, seed=seed)
    objective = TwoLayer(X, np.sign(rng.standard_normal(20)), hidden, coef)
    start = objective.initial()
    run = gradient_descent(objective, start, learning_rate="auto", max_iter=4000, loss_tol=1e-4)
    return laziness_report(objective, run.theta)


def test_table_of_ratios_is_reproduced():
    moves = []
    for ratio, (hidden, last, alignment, error) in MEASURED.items():
        reports = [lazy_run(ratio, seed) for seed in range(2)]
        moved = np.mean([[layer.relative for layer in each.movements] for each in reports], axis=0)
        # Rows and targets are other draws than those of the table, which change this much.
        np.testing.assert_allclose(np.log2(moved / (hidden, last)), 0.0, atol=1.0)
        assert np.mean([each.kernel_alignment for each in reports]) == pytest.approx(alignment, abs=5e-4)
        found = np.mean([each.linearization_error for each in reports])
        assert error / 3.0 - 5e-4 < found < 3.0 * error + 5e-4
        moves.append(moved[0])
    assert (np.diff(moves) > 0.0).all()


def test_wider_networks_of_kernel_scaling_are_lazier():
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((10, 4)), rng.standard_normal(10)
    errors = []
    for width in (16, 256, 4096):
        objective = TwoLayer(X, y, *draw_network(4, width, init="kernel", seed=1))
        run = gauss_newton(objective, objective.initial(), loss_tol=1e-12)
        errors.append(laziness_report(objective, run.theta).linearization_error)
    assert errors[0] > 0.2
    # Each step multiplies the width by 16, and the error falls like one over its root.
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.6)


def test_last_layer_alone_is_linear():
    objective, end = problem(layers="last")
    report = laziness_report(objective, end)
    assert report.linearization_error < 1e-13
    assert report.kernel_alignment == pytest.approx(1.0, abs=1e-14)
    assert report.verdict == "Lazy: the hidden layer stayed, and the outputs are linear in everything else."


@pytest.mark.parametrize(("size", "word"), [(1e-3, "Lazy"), (3.0, "Partly lazy"), (20.0, "Not lazy")])
def test_verdict_follows_the_linearisation_error(size, word):
    objective, end = problem()
    start = objective.initial()
    report = laziness_report(objective, start + size * (end - start))
    assert report.verdict.startswith(word + ":")
    assert f"{100.0 * report.linearization_error:.2g} %" in report.verdict


def test_parameters_that_stayed():
    objective, _ = problem()
    report = laziness_report(objective, objective.initial())
    assert report.distance == 0.0
    assert [each.relative for each in report.movements] == [0.0] * 4
    assert report.kernel_alignment == pytest.approx(1.0, abs=1e-14)
    assert np.isnan(report.linearization_error)
    assert "did not change" in report.verdict
    assert "undefined" in str(report)


def test_zero_last_layer():
    hidden, coef = draw_network(D, M, output="zero")
    objective = TwoLayer(np.eye(D), [1.0, 0.0, -1.0], hidden, coef, intercept=0.0)
    run = gauss_newton(objective, objective.initial())
    report = laziness_report(objective, run.theta)
    last = next(each for each in report.movements if each.name == "output weights")
    assert last.relative == last.largest == np.inf
    assert f"from 0 to {last.distance:.3g}" in str(report)
    assert report.to_dict()["movements"][1]["relative"] is None


def test_kernels_of_zero_have_no_alignment():
    hidden = FeatureMap(np.zeros((D, M)), activation="tanh", scale=1.0)
    objective = TwoLayer(np.eye(D), np.ones(D), hidden, np.zeros(M))
    report = laziness_report(objective, np.ones(objective.n_parameters))
    assert np.isnan(report.kernel_alignment)
    assert np.isnan(report.centred_alignment)
    assert report.linearization_error == 1.0


def test_one_row_has_no_centred_alignment():
    objective, end = problem(2)
    report = laziness_report(replace(objective, X=objective.X[:1], targets=objective.targets[:1], sample_weight=None), end)
    assert np.isfinite(report.kernel_alignment)
    assert np.isnan(report.centred_alignment)


def test_many_rows_are_sampled():
    rng = np.random.default_rng(2)
    X, Y = rng.standard_normal((900, 4)), rng.standard_normal((900, 2))
    weight = np.ones(900)
    weight[:100] = 0.0
    objective = TwoLayer(X, Y, *draw_network(4, 50, 2), sample_weight=weight)
    end = objective.initial() + 0.2 * rng.standard_normal(objective.n_parameters)
    every, some = laziness_report(objective, end, max_order=1800), laziness_report(objective, end, max_order=601)
    assert (every.kernel_rows, some.kernel_rows, some.n_rows) == (800, 300, 800)
    assert some.kernel_alignment == pytest.approx(every.kernel_alignment, abs=0.02)
    assert some.linearization_error == every.linearization_error
    assert "300 rows drawn at random" in str(some)
    assert "drawn at random" not in str(every)
    assert laziness_report(objective, end, max_order=1).kernel_rows == 1


def certificate(objective, theta, **changes):
    norm = np.sqrt(2.0 * objective.value(theta))
    known = {
        "is_certified": True,
        "residual_norm": norm,
        "distance": 1e9,
        "pl_constant": 4.0,
        "smallest_singular_value": 3.0,
    }
    return SimpleNamespace(**(known | changes))


def test_certificates_are_told_apart():
    objective, end = problem()
    start = objective.initial()
    none = laziness_report(objective, end)
    assert none.is_certified is None
    assert "ertified" not in str(none)
    here = laziness_report(objective, end, certificate=certificate(objective, start))
    assert here.covers_run
    assert here.jacobian_drift == pytest.approx(1.0 / 3.0)
    assert "A certified run is never a feature-learning claim." in str(here).replace("\n", " ")
    refused = laziness_report(objective, end, certificate=certificate(objective, start, is_certified=False))
    assert refused.is_certified is False
    assert "says nothing of laziness" in str(refused)
    for other in (certificate(objective, end), certificate(objective, start, distance=1e-3)):
        report = laziness_report(objective, end, certificate=other)
        assert report.is_certified
        assert not report.covers_run
        assert np.isnan(report.jacobian_drift)
        assert "not of this run" in str(report)


def test_start_can_be_elsewhere():
    objective, end = problem()
    middle = 0.5 * (objective.initial() + end)
    moved = laziness_report(objective, end, middle)
    same = laziness_report(replace(objective, feature_map=objective.network(middle)[0], coef=objective.network(middle)[1],
                                   intercept=objective.network(middle)[2]), end)  # fmt: skip
    assert moved.to_dict() == same.to_dict()


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_units_of_outputs_do_not_matter(scale):
    objective, end = problem(2, layers="last")
    large = replace(
        objective, targets=scale * objective.targets, coef=scale * objective.coef, intercept=scale * objective.intercept
    )
    left, right = laziness_report(objective, end), laziness_report(large, scale * end)
    for one, other in zip(left.movements, right.movements, strict=True):
        assert one.relative == pytest.approx(other.relative, rel=1e-12)
        assert one.share == pytest.approx(other.share, rel=1e-12)
    assert left.relative_loss == pytest.approx(right.relative_loss, rel=1e-12)


def test_report_prints_and_is_plain():
    objective, end = problem(3)
    report = laziness_report(objective, end)
    text = str(report)
    assert max(map(len, text.splitlines())) <= 100
    for name in PARTS["both"]:
        assert text.count(name) == 2
    assert report.verdict in text.replace("\n", " ")
    assert "<table>" in report._repr_html_()
    assert repr(report).startswith("<LazinessReport: hidden weights moved")
    plain = report.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["movements"][0]["relative"] == report.movements[0].relative


def test_refusals_name_argument_and_remedy():
    objective, end = problem()
    layer, coef = draw_network(3, 4, activation="exp")
    with pytest.raises(TypeError, match="Exponential: pass an underdetermined.objectives.TwoLayer"):
        laziness_report(Exponential(np.eye(3), np.ones(3), layer, coef), np.ones(12))
    with pytest.raises(ValueError, match="theta has shape \\(2,\\): pass all parameters"):
        laziness_report(objective, [1.0, 2.0])
    with pytest.raises(ValueError, match="start has 26 NaN"):
        laziness_report(objective, end, np.full(end.size, np.nan))
    with pytest.raises(ValueError, match="max_order=0"):
        laziness_report(objective, end, max_order=0)
    with pytest.raises(OverflowError, match="loss is finite"):
        laziness_report(objective, np.full(end.size, 1e308))
