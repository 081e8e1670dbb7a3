"""The command ``underdetermined fit --model sparse-relu``: words in, text or JSON and an exit code out."""

import dataclasses
import json
from functools import partial

import joblib
import numpy as np
import pytest

from underdetermined.cli import _fit, main
from underdetermined.comparison import compare_sparse
from underdetermined.solution import Status
from underdetermined.tables import read_table

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

SMALL = ["--width", "256", "--bias", "1", "--max-iter", "5", "--cv", "2", "--quiet"]


@pytest.fixture
def run(run):
    return partial(run, "fit", "--model", "sparse-relu")


@pytest.fixture(scope="module")
def csv_file(write_points):
    """Forty rows with a header, the target in the first column."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((40, 2))
    return write_points(np.sin(inputs[:, 0]) + inputs[:, 1], inputs)


@pytest.fixture(scope="module")
def found(csv_file):
    table = read_table(csv_file, target="height")
    return compare_sparse(table, width=256, bias=1.0, max_iter=5, folds=2)


@pytest.fixture
def prepared(monkeypatch, found):
    """Let the command find a comparison made already, and record what it asked for."""
    asked = {}

    def compare_once(table, **options):
        asked.update(options)
        return found

    monkeypatch.setattr(_fit, "compare_sparse", compare_once)
    return asked


def test_the_training_is_told(run, csv_file):
    code, out, err = run(csv_file, "--target", "height", *SMALL)
    assert (code, err) == (0, "")
    assert "40 rows, 2 inputs, sparse ReLU network" in out
    for word in ("active pairs", "live neurons", "of 256", "learning rate", "strategy", "certificate", "at most 5 steps"):
        assert word in out
    for model in ("sparse ReLU  ", "random features  ", "Ridge  ", "MLPRegressor  "):
        assert model in out


def test_json_is_the_comparison(run, csv_file, found):
    code, out, _ = run(csv_file, "--target", "height", "--json", *SMALL)
    result, expected = json.loads(out), found.to_dict()
    assert code == 0
    assert result["model"] == "sparse-relu"
    assert result["fit"]["trajectory"] == expected["fit"]["trajectory"]
    assert result["fit"]["certificate"] == expected["fit"]["certificate"] is not None
    assert [score["folds"] for score in result["scores"]] == [score["folds"] for score in expected["scores"]]


def test_options_reach_the_comparison(run, prepared):
    run("--quiet", "--width", 64, "--bias", 0, "--learning-rate", 0.5, "--max-iter", 7, "--tol", 0.25, "--seed", 3)
    prepared.pop("progress")
    assert prepared == {
        "task": None,
        "width": 64,
        "bias": 0.0,
        "learning_rate": 0.5,
        "max_iter": 7,
        "tol": 0.25,
        "folds": 5,
        "random_state": 3,
        "max_rows": 3000,
    }
    run("--quiet", "--bias", "auto", "--learning-rate", "auto")
    assert (prepared["width"], prepared["bias"], prepared["learning_rate"]) == ("auto", "auto", "auto")
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
        (Status.CONVERGED, 0.1, 0),
        (Status.CONVERGED, None, 0),
        (Status.DIVERGED, None, 1),
    ],
)
def test_exit_code(run, found, monkeypatch, status, tol, code):
    network = found.pipeline[-1]
    monkeypatch.setattr(network, "trajectory_", dataclasses.replace(network.trajectory_, status=status))
    monkeypatch.setattr(_fit, "compare_sparse", lambda table, **options: dataclasses.replace(found, tol=options["tol"]))
    words = ["--tol", str(tol)] * (tol is not None)
    assert run("--quiet", *words)[0] == code


def test_a_step_that_kills_every_neuron_is_a_failure(run):
    code, out, _ = run("--quiet", "--max-rows", 20, "--cv", 2, "--width", 64, "--learning-rate", 1e4, "--max-iter", 3)
    assert code == 1
    assert "live neurons   0 of 64" in out
    assert "lower learning_rate" in " ".join(out.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--alpha", "1"], "--alpha 1.0 has no effect on --model sparse-relu; leave it out, or add --model random-features"),
        (["--alpha", "loo"], "--alpha loo has no effect"),
        (["--solver", "cg"], "--solver cg has no effect"),
        (["--activation", "erf"], "--activation erf has no effect"),
        (["--width", "7"], "width=7 is odd, but neurons are drawn in pairs of opposite sign: pass an even number"),
        (["--width", "512", "--bias", "50"], "bias=50 leaves none of 512 neurons active on any row"),
        (["--cv", "300"], "cannot make 300 folds"),
    ],
)
def test_what_cannot_be_used(run, words, message):
    code, out, err = run("--quiet", "--max-rows", 20, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--bias 1", "--bias auto", "--learning-rate 0.5", "--max-iter 9", "--tol 0"])
def test_options_that_random_features_do_not_have(capsys, option):
    assert main(["fit", *option.split()]) == 2
    message = f"{option.split()[0]} {option.split()[1]}"
    err = capsys.readouterr().err
    assert message.partition(" ")[0] in err
    assert "has no effect on --model random-features; leave it out, or add --model sparse-relu" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "sparse"], "invalid choice"),
        (["--bias", "-1"], "'-1' is neither a number of at least 0 nor 'auto'"),
        (["--bias", "nan"], "'nan' is neither"),
        (["--bias", "inf"], "'inf' is neither"),
        (["--bias", "large"], "'large' is neither"),
        (["--learning-rate", "0"], "'0' is neither a number above 0 nor 'auto'"),
        (["--max-iter", "0"], "'0' is not a whole number of at least 1"),
        (["--tol", "1"], "'1' is not a number of at least 0 and below 1"),
        (["--tol", "small"], "'small' is not a number"),
    ],
)
def test_words_that_are_refused(capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["fit", *words])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
