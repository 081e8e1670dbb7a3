"""width="auto": the width of a bound where that is affordable, else the rule of thumb, and width_bound_ says which."""

import pickle
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from estimator_data import both, labels
from scipy import sparse

from underdetermined.bounds import WidthProblem, min_width_importance, minimum_width
from underdetermined.estimators import RandomFeatureClassifier, RandomFeatureRegressor, RandomFeatures
from underdetermined.estimators import _width as module
from underdetermined.kernels import nngp_kernel

ESTIMATORS = [RandomFeatureRegressor, RandomFeatureClassifier, RandomFeatures]
SPECTRUM = {"target": "spectrum", "epsilon": 0.9, "failure_probability": 0.1}
all_three = pytest.mark.parametrize("model", ESTIMATORS)


def fitted(model, X, **options):
    return model(**{"random_state": 0, **options}).fit(X, np.arange(X.shape[0]) % 2)


def obstacle(model, X, **options):
    """Why there is no bound; the width is then that of the rule."""
    network = fitted(model, X, **options)
    assert network.width_ == network.width_bound_.width == max(2 * X.shape[0], 512)
    assert (network.width_bound_.name, network.width_bound_.is_applicable) == ("rule", False)
    return network.width_bound_.statement


@pytest.fixture(scope="module")
def rows():
    """Few rows: a bound is cheap."""
    X = np.random.default_rng(3).standard_normal((24, 5))
    X.flags.writeable = False
    return X


@all_three
@pytest.mark.parametrize("layer", [{}, {"activation": "erf"}, {"weight_scale": 0.8, "bias_scale": 0.5}])
def test_width_is_the_recommended_one(rows, model, layer):
    network = fitted(model, rows, **layer)
    expected = minimum_width(rows[np.lexsort(rows.T[::-1])], n_samples=8192, **SPECTRUM, **layer).recommended
    assert network.width_ == network.width_bound_.width == expected.width
    assert network.random_weights_.shape == (5, expected.width)
    assert network.width_bound_.to_dict() == expected.to_dict()


@pytest.mark.parametrize("sampler", ["gaussian", "leverage"])
def test_width_keeps_the_spectrum(rows, sampler):
    """The promise of the bound, on the features of the network; one seed in ten may break it."""
    width = fitted(RandomFeatures, rows, sampler=sampler).width_
    factor = np.linalg.cholesky(nngp_kernel(rows, activation="relu", weight_scale=5**-0.5, bias_scale=1.0))
    layers = [fitted(RandomFeatures, rows, sampler=sampler, width=width, random_state=seed) for seed in range(20)]
    whitened = [np.linalg.solve(factor, layer.transform(rows)) for layer in layers]
    assert sum(np.linalg.eigvalsh(features @ features.T)[0] > 0.1 for features in whitened) >= 18


@all_three
def test_width_depends_on_the_set_of_rows_alone(rows, model):
    reference = fitted(model, rows).width_bound_.to_dict()
    order = np.random.default_rng(0).permutation(24)
    for X in (rows[order], np.asfortranarray(rows), rows[::-1], np.vstack([rows, rows[:7]]), sparse.csr_array(rows)):
        assert fitted(model, X).width_bound_.to_dict() == reference
    assert fitted(model, rows, random_state=7, n_jobs=2).width_bound_.to_dict() == reference


@all_three
def test_float32_rows_have_the_width_of_their_values(rows, model):
    single = rows.astype(np.float32)
    assert fitted(model, single).width_ == fitted(model, single.astype(np.float64)).width_


@both
def test_weights_of_rows_do_not_change_the_width_but_leave_rows_out(rows, model):
    y = labels(rows[:, 0], model)
    weight = np.where(np.arange(24) < 20, 0.3, 0.0)
    assert model(random_state=0).fit(rows, y, weight).width_ == model(random_state=0).fit(rows[:20], y[:20]).width_


@all_three
def test_given_widths_have_no_bound(rows, model):
    assert fitted(model, rows, width=50).width_bound_ is None


@all_three
def test_leverage_takes_the_bound_of_importance_sampling(rows, model):
    network = fitted(model, rows, sampler="leverage")
    expected = min_width_importance(WidthProblem.from_data(rows), **SPECTRUM)
    assert (network.width_bound_.name, network.width_) == ("importance", expected.width)


@all_three
@pytest.mark.parametrize("sampler", ["sobol", "sphere", "orthogonal"])
def test_other_samplers_keep_the_rule(rows, model, sampler):
    assert f"do not speak of sampler='{sampler}'" in obstacle(model, rows, sampler=sampler)


@pytest.mark.parametrize(
    ("n_rows", "width"), [(0, 512), (1, 512), (256, 512), (300, 600), (16384, 32768), (16385, 32766), (2**28, 2), (2**30, 1)]
)
def test_rule_stays_within_its_memory(n_rows, width):
    assert module.rule_of_thumb(n_rows) == width


@all_three
def test_more_rows_keep_the_rule(rows, model, monkeypatch):
    monkeypatch.setattr(module, "BOUND_ROWS", 23)
    monkeypatch.setattr(module, "minimum_width", None)  # nothing is computed
    assert "at most 23 rows" in obstacle(model, rows)
    monkeypatch.undo()
    monkeypatch.setattr(module, "BOUND_ROWS", 24)
    assert fitted(model, rows).width_bound_.name != "rule"


@all_three
@pytest.mark.parametrize(("n_rows", "most"), [(24, 8192), (200, 12800)])
def test_bounds_that_are_too_wide_keep_the_rule(rows, model, monkeypatch, n_rows, most):
    X = np.random.default_rng(0).standard_normal((n_rows, 3))
    bound = minimum_width(rows, **SPECTRUM).recommended
    results = [SimpleNamespace(recommended=replace(bound, width=width)) for width in (most, most + 1)]
    monkeypatch.setattr(module, "minimum_width", lambda *arguments, **options: results.pop(0))
    assert fitted(model, X).width_ == most
    assert f"asks for {most + 1} neurons, more than {most}" in obstacle(model, X)


@all_three
def test_doubtful_bounds_keep_the_rule(rows, model, monkeypatch):
    bound = minimum_width(rows, **SPECTRUM).recommended
    doubtful = replace(bound, assumptions=(replace(bound.assumptions[0], is_met=None),))
    monkeypatch.setattr(module, "minimum_width", lambda *arguments, **options: SimpleNamespace(recommended=doubtful))
    assert "no width is known to suffice" in obstacle(model, rows)


@all_three
def test_large_sparse_rows_keep_the_rule(rows, model, monkeypatch):
    monkeypatch.setattr(module, "_DENSE_BYTES", 8 * rows.size - 1)
    assert "sparse" in obstacle(model, sparse.csr_array(rows))


@all_three
def test_unresolved_kernels_keep_the_rule(model):
    X = np.linspace(-1, 1, 40)[:, None]
    assert "no width is known to suffice" in obstacle(model, X, activation="sin_cos")


@all_three
@pytest.mark.parametrize("error", [MemoryError, OverflowError, ValueError, ZeroDivisionError])
def test_no_error_of_a_bound_loses_a_fit(rows, model, monkeypatch, error):
    def refuse(*arguments, **options):
        raise error("something is wrong")

    monkeypatch.setattr(module, "minimum_width", refuse)
    assert f"({error.__name__}: something is wrong)" in obstacle(model, rows)


@pytest.mark.parametrize("X", [[[1.0, 2.0]], [[0.0, 0.0]], np.eye(2), np.ones((4, 1)), [[1.0], [1e9]], [[0.0], [1e-200]]])
@pytest.mark.parametrize("bias_scale", [0.0, 1.0])
def test_tiny_data(X, bias_scale):
    network = RandomFeatureRegressor(bias_scale=bias_scale, random_state=0).fit(X, np.ones(len(X)))
    assert network.width_ == network.width_bound_.width >= 1
    assert np.isfinite(network.predict(X)).all()


def test_user_functions_have_a_width(rows):
    assert fitted(RandomFeatureRegressor, rows, activation=np.tanh).width_bound_.width >= 24


@both
def test_partial_fit_chooses_anew(rows, model):
    y = np.arange(24) % 2
    pieces = model(random_state=0).partial_fit(rows[:10], y[:10])
    few = pieces.width_
    pieces.partial_fit(rows[10:], y[10:])
    whole = model(random_state=0).fit(rows, y)
    assert few < pieces.width_ == whole.width_
    assert pieces.width_bound_.to_dict() == whole.width_bound_.to_dict()


def test_widening_and_pruning_keep_what_was_chosen(rows):
    network = fitted(RandomFeatureRegressor, rows)
    chosen = network.width_bound_
    assert network.widen(10).width_bound_ is chosen and network.width_ == chosen.width + 10
    assert network.prune().width_bound_ is chosen and network.width_ == 24


@all_three
def test_pickles_keep_the_bound(rows, model):
    network = fitted(model, rows)
    assert pickle.loads(pickle.dumps(network)).width_bound_ == network.width_bound_


@all_three
def test_random_neurons_do_not_take_the_width_of_those_drawn_by_leverage(rows, model):
    assert minimum_width(rows, activation="exp", **SPECTRUM).recommended.weights == "leverage"
    assert "not drawn by leverage" in obstacle(model, rows, activation="exp")
