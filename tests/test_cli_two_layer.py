"""The command ``underdetermined fit --model two-layer``: words in, text or JSON and an exit code out."""

import dataclasses
import json
from functools import partial

import joblib
import numpy as np
import pytest

from underdetermined.cli import _fit, main
from underdetermined.cli._fit_options import OPTIONS, TWO_LAYER
from underdetermined.comparison import compare_two_layer
from underdetermined.estimators import TwoLayerClassifier, TwoLayerRegressor
from underdetermined.solution import Status
from underdetermined.tables import read_table

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

SMALL = ["--width", "32", "--max-iter", "5", "--cv", "2", "--quiet"]


@pytest.fixture
def run(run):
    return partial(run, "fit", "--model", "two-layer")


@pytest.fixture(scope="module")
def csv_file(write_points):
    """Thirty rows with a header, the target in the first column."""
    inputs = np.random.default_rng(0).standard_normal((30, 2))
    return write_points(np.sin(inputs[:, 0]) + inputs[:, 1], inputs)


@pytest.fixture(scope="module")
def found(csv_file):
    return compare_two_layer(read_table(csv_file, target="height"), width=32, max_iter=5, folds=2)


@pytest.fixture
def prepared(monkeypatch, found):
    """Let the command find a comparison made already, and record what it asked for."""
    asked = {}

    def compare_once(table, **options):
        asked.update(options)
        return found

    monkeypatch.setattr(_fit, "compare_two_layer", compare_once)
    return asked


def test_the_training_is_told(run, csv_file):
    code, out, err = run(csv_file, "--target", "height", *SMALL)
    assert (code, err) == (0, "")
    assert "30 rows, 2 inputs, two-layer network" in out
    for word in ("activation", "gauss-newton", "loss", "with the penalty", "outcome", "damping", "certificate", "laziness"):
        assert word in out
    for model in ("two-layer  ", "random features  ", "Ridge  ", "MLPRegressor  "):
        assert model in out


def test_json_is_the_comparison(run, csv_file, found):
    code, out, _ = run(csv_file, "--target", "height", "--json", *SMALL)
    result, expected = json.loads(out), found.to_dict()
    assert (code, result["model"]) == (0, "two-layer")
    assert result["fit"]["certificate"] == expected["fit"]["certificate"] is not None
    for name in ("activation", "init", "solver", "alpha", "trajectory", "certified_step", "laziness", "row_scale"):
        assert result["fit"][name] == expected["fit"][name]
    assert [score["folds"] for score in result["scores"]] == [score["folds"] for score in expected["scores"]]


def test_defaults_reach_the_comparison(run, prepared):
    run("--quiet")
    prepared.pop("progress")
    assert prepared == {
        "task": None,
        "width": "auto",
        "activation": "tanh",
        "init": "lecun",
        "weight_scale": 1.0,
        "solver": "gauss-newton",
        "alpha": "loo",
        "learning_rate": "auto",
        "max_iter": None,
        "tol": None,
        "early_stopping": False,
        "folds": 5,
        "random_state": 0,
        "max_rows": 3000,
    }


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--width", "64"], "width", 64),
        (["--activation", "leaky_relu(0.1)"], "activation", "leaky_relu(0.1)"),
        (["--init", "kernel"], "init", "kernel"),
        (["--weight-scale", "4"], "weight_scale", 4.0),
        (["--solver", "heavy-ball"], "solver", "heavy-ball"),
        (["--solver", "heavy-ball", "--learning-rate", "0.5"], "learning_rate", 0.5),
        (["--solver", "gd", "--learning-rate", "cauchy"], "learning_rate", "cauchy"),
        (["--solver", "gd", "--alpha", "0", "--learning-rate", "certified"], "learning_rate", "certified"),
        (["--alpha", "0"], "alpha", 0.0),
        (["--max-iter", "7"], "max_iter", 7),
        (["--tol", "0.25"], "tol", 0.25),
        (["--early-stopping"], "early_stopping", True),
        (["--seed", "3"], "random_state", 3),
    ],
)
def test_options_reach_the_comparison(run, prepared, words, name, value):
    assert run("--quiet", *words)[0] == 0
    assert prepared[name] == value


def test_defaults_are_those_of_the_estimator():
    defaults = {name: option.defaults[TWO_LAYER] for name, option in OPTIONS.items() if TWO_LAYER in option.defaults}
    tol = defaults.pop("tol")
    network = TwoLayerRegressor()
    assert defaults == {name: getattr(network, name) for name in defaults}
    shown = f"{TWO_LAYER}: {network.tol:g}, or {TwoLayerClassifier().tol:g} for classes]"
    assert tol is None and shown in OPTIONS["tol"].help


def test_save_and_load(run, csv_file, found, tmp_path):
    path = tmp_path / "model.joblib"
    assert run(csv_file, "--target", "height", "--save", path, *SMALL)[0] == 0
    inputs = read_table(csv_file, target="height").inputs
    np.testing.assert_allclose(joblib.load(path).predict(inputs), found.pipeline.predict(inputs), rtol=1e-9)


def test_plot(run, tmp_path, prepared):
    path = tmp_path / "figure.png"
    code, out, _ = run("--quiet", "--plot", path)
    assert (code, out.splitlines()[-1]) == (0, f"figure written to {path}")
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("status", "tol", "code"),
    [
        (Status.MAX_ITER, None, 0),
        (Status.MAX_ITER, 0.1, 1),
        (Status.INCONSISTENT, None, 0),
        (Status.INCONSISTENT, 0.1, 1),
        (Status.CONVERGED, 0.1, 0),
        (Status.DIVERGED, None, 1),
    ],
)
def test_exit_code(run, found, monkeypatch, status, tol, code):
    network = found.estimator
    monkeypatch.setattr(network, "trajectory_", dataclasses.replace(network.trajectory_, status=status))
    monkeypatch.setattr(_fit, "compare_two_layer", lambda table, **options: dataclasses.replace(found, tol=options["tol"]))
    words = ["--tol", str(tol)] * (tol is not None)
    assert run("--quiet", *words)[0] == code


def test_xavier_at_a_large_width_is_noted(run, csv_file):
    words = ["--init", "xavier", "--width", 4096, "--max-iter", 1, "--cv", 2, "--max-rows", 10]
    out = run(csv_file, "--target", "height", "--quiet", *words)[1]
    notes = " ".join(out.partition("\nnotes\n")[2].split())
    assert "two-layer: init='xavier'" in notes


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bias", "1"], "--bias 1.0 has no effect on --model two-layer; leave it out, or add --model sparse-relu"),
        (["--row-scale", "1"], "--row-scale 1.0 has no effect on --model two-layer; leave it out, or add --model expon"),
        (["--solver", "cg"], "--solver cg is not for --model two-layer; leave it out, or give one of gauss-newton, gd"),
        (["--width", "7"], "--width 7 is odd, and --model two-layer draws neurons in pairs; give an even number"),
        (["--learning-rate", "0.5"], "has no effect on --solver gauss-newton; leave it out, or add --solver gd"),
        (["--solver", "heavy-ball", "--learning-rate", "cauchy"], "cauchy is not for --solver heavy-ball; leave it out, or"),
        (["--solver", "gd", "--learning-rate", "certified"], "is proved without a penalty; add --alpha 0"),
        (["--cv", "300"], "cannot make 300 folds"),
    ],
)
def test_what_cannot_be_used(run, words, message):
    code, out, err = run("--quiet", "--max-rows", 20, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_step_that_is_not_certified_is_an_error(run):
    words = ["--solver", "gd", "--learning-rate", "certified", "--alpha", "0", "--activation", "relu", "--width", "64"]
    code, out, err = run("--quiet", "--max-rows", 20, *words)
    assert (code, out) == (2, "")
    assert "nothing is certified at the start" in err and "relu" in err


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        ("random-features", ["--early-stopping"], "--early-stopping has no effect on --model random-features; leave it out"),
        ("sparse-relu", ["--init", "he"], "--init he has no effect on --model sparse-relu; leave it out, or add"),
        ("exponential", ["--weight-scale", "2"], "--weight-scale 2.0 has no effect on --model exponential; leave it out"),
        ("exponential", ["--activation", "erf"], "leave it out, or add --model random-features or two-layer"),
        ("exponential", ["--learning-rate", "cauchy"], "is not for --model exponential; leave it out, or give a number"),
        ("exponential", ["--solver", "heavy-ball"], "--solver heavy-ball is not for --model exponential; leave it out, or"),
        ("sparse-relu", ["--learning-rate", "certified"], "leave it out, or give a number above 0 or auto"),
    ],
)
def test_options_of_other_models(capsys, model, words, message):
    assert main(["fit", "--model", model, *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weight-scale", "0"], "'0' is not a number above 0"),
        (["--init", "glorot"], "invalid choice"),
        (["--activation", "swoosh"], "swoosh"),
        (["--learning-rate", "fast"], "'fast' is neither a number above 0 nor 'auto' nor 'cauchy' nor 'certified'"),
    ],
)
def test_words_that_are_refused(capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["fit", "--model", "two-layer", *words])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_tells_which_options_are_for_the_model(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    groups = capsys.readouterr().out.split("with --model ")[1:]
    shared = [group.partition(":")[0] for group in groups if "two-layer" in group.partition(":")[0]]
    assert shared == [
        "two-layer",
        "random-features or two-layer",
        "random-features, exponential or two-layer",
        "sparse-relu, exponential or two-layer",
    ]
