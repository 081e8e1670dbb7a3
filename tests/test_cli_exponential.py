"""The command ``underdetermined fit --model exponential``: words in, text or JSON and an exit code out."""

import dataclasses
import json
from functools import partial

import joblib
import numpy as np
import pytest

from underdetermined.cli import _fit, main
from underdetermined.comparison import compare_exponential
from underdetermined.solution import Status
from underdetermined.tables import read_table

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

SMALL = ["--width", "64", "--max-iter", "5", "--cv", "2", "--quiet"]


@pytest.fixture
def run(run):
    return partial(run, "fit", "--model", "exponential")


@pytest.fixture(scope="module")
def csv_file(write_points):
    """Thirty rows with a header, the target in the first column."""
    inputs = np.random.default_rng(0).standard_normal((30, 2))
    return write_points(np.sin(inputs[:, 0]) + inputs[:, 1], inputs)


@pytest.fixture(scope="module")
def found(csv_file):
    table = read_table(csv_file, target="height")
    return compare_exponential(table, width=64, max_iter=5, folds=2)


@pytest.fixture
def prepared(monkeypatch, found):
    """Let the command find a comparison made already, and record what it asked for."""
    asked = {}

    def compare_once(table, **options):
        asked.update(options)
        return found

    monkeypatch.setattr(_fit, "compare_exponential", compare_once)
    return asked


def test_the_training_is_told(run, csv_file):
    code, out, err = run(csv_file, "--target", "height", *SMALL)
    assert (code, err) == (0, "")
    assert "30 rows, 2 inputs, network of exponentials" in out
    for word in ("row scale", "gauss-newton", "loss", "with the penalty", "outcome", "damping", "taken back", "certificate"):
        assert word in out
    for model in ("exponential  ", "random features  ", "Ridge  ", "MLPRegressor  "):
        assert model in out


def test_json_is_the_comparison(run, csv_file, found):
    code, out, _ = run(csv_file, "--target", "height", "--json", *SMALL)
    result, expected = json.loads(out), found.to_dict()
    assert code == 0
    assert result["model"] == "exponential"
    assert result["fit"]["certificate"] == expected["fit"]["certificate"] is not None
    for name in ("row_scale", "solver", "alpha", "trajectory", "certified_step"):
        assert result["fit"][name] == expected["fit"][name]
    assert [score["folds"] for score in result["scores"]] == [score["folds"] for score in expected["scores"]]


def test_options_reach_the_comparison(run, prepared):
    run("--quiet", "--width", 64, "--alpha", 0.5, "--row-scale", 0.3, "--max-iter", 7, "--tol", 0.25, "--seed", 3)
    prepared.pop("progress")
    assert prepared == {
        "task": None,
        "width": 64,
        "solver": "gauss-newton",
        "alpha": 0.5,
        "learning_rate": "auto",
        "row_scale": 0.3,
        "max_iter": 7,
        "tol": 0.25,
        "folds": 5,
        "random_state": 3,
        "max_rows": 3000,
    }
    run("--quiet", "--solver", "gd", "--learning-rate", 0.5)
    assert (prepared["solver"], prepared["learning_rate"], prepared["alpha"]) == ("gd", 0.5, 1.0)
    assert (prepared["width"], prepared["row_scale"]) == ("auto", "auto")
    assert (prepared["max_iter"], prepared["tol"]) == (300, None)


def test_save_and_load(run, csv_file, found, tmp_path):
    path = tmp_path / "model.joblib"
    assert run(csv_file, "--target", "height", "--save", path, *SMALL)[0] == 0
    inputs = read_table(csv_file, target="height").inputs
    np.testing.assert_allclose(joblib.load(path).predict(inputs), found.pipeline.predict(inputs), rtol=1e-12)


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
        (Status.ILL_CONDITIONED, 0.1, 1),
        (Status.CONVERGED, 0.1, 0),
        (Status.EXACT, 0.1, 0),
        (Status.REGULARIZED, 0.1, 0),
        (Status.DIVERGED, None, 1),
    ],
)
def test_exit_code(run, found, monkeypatch, status, tol, code):
    network = found.pipeline[-1]
    monkeypatch.setattr(network, "trajectory_", dataclasses.replace(network.trajectory_, status=status))
    monkeypatch.setattr(_fit, "compare_exponential", lambda table, **options: dataclasses.replace(found, tol=options["tol"]))
    words = ["--tol", str(tol)] * (tol is not None)
    assert run("--quiet", *words)[0] == code


def test_the_ending_names_options_of_the_command_alone(run, prepared, found, monkeypatch):
    ended = dataclasses.replace(found.estimator.trajectory_, status=Status.CONVERGED)
    monkeypatch.setattr(found.estimator, "trajectory_", ended)
    out = run("--quiet")[1]
    assert "Training reached the requested tolerance." in out and "loss_tol" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--activation", "erf"], "--activation erf has no effect on --model exponential; leave it out, or add --model ran"),
        (["--bias", "1"], "--bias 1.0 has no effect on --model exponential; leave it out, or add --model sparse-relu"),
        (["--solver", "cg"], "--solver cg is not for --model exponential; leave it out, or give one of gauss-newton, gd"),
        (["--alpha", "loo"], "--alpha loo is not for --model exponential; leave it out, or give a number of at least 0"),
        (["--width", "7"], "--width 7 is odd, and --model exponential draws neurons in pairs; give an even number"),
        (["--learning-rate", "0.5"], "--learning-rate 0.5 has no effect on --solver gauss-newton; leave it out, or add"),
        (["--width", "64", "--row-scale", "1000"], "rescale the rows of X, whose largest norm is"),
        (["--cv", "300"], "cannot make 300 folds"),
    ],
)
def test_what_cannot_be_used(run, words, message):
    code, out, err = run("--quiet", "--max-rows", 20, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--row-scale", "1"], "has no effect on --model random-features; leave it out, or add --model exponential"),
        (["--learning-rate", "1"], "leave it out, or add --model sparse-relu or exponential"),
        (["--solver", "gd"], "--solver gd is not for --model random-features; leave it out, or give one of auto, cholesky"),
        (["--solver", "gd", "--model", "sparse-relu"], "leave it out, or add --model random-features or exponential"),
    ],
)
def test_options_of_other_models(capsys, words, message):
    assert main(["fit", *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--row-scale", "0"], "'0' is neither a number above 0 nor 'auto'"),
        (["--row-scale", "nan"], "'nan' is neither"),
        (["--alpha", "-1"], "'-1' is neither"),
        (["--solver", "newton"], "invalid choice"),
    ],
)
def test_words_that_are_refused(capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["fit", "--model", "exponential", *words])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_explains_the_row_scale(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    out = capsys.readouterr().out
    assert "--row-scale" in out
    assert "exponential" in out
