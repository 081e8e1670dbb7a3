"""The command line: words in, text or JSON and an exit code out."""

import dataclasses
import json
import sys

import joblib
import numpy as np
import pytest

import underdetermined
from underdetermined import RandomFeatureRegressor, Status
from underdetermined.cli import _fit, main
from underdetermined.comparison import compare
from underdetermined.tables import load_dataset, read_table, standardise

FAST = ["--width", "40", "--cv", "2", "--max-rows", "60"]


@pytest.fixture
def refuse(capsys):
    """Run a command line that argparse refuses; return the message."""

    def run_main(*words):
        with pytest.raises(SystemExit) as caught:
            main([str(word) for word in words])
        assert caught.value.code == 2
        return capsys.readouterr().err

    return run_main


@pytest.fixture(scope="module")
def csv_file(write_points):
    """Sixty rows with a header, the target in the first column."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((60, 2))
    return write_points(np.sin(inputs[:, 0]) + inputs[:, 1], inputs)


def test_fit_without_data_uses_diabetes(run):
    code, out, err = run("fit", *FAST)
    assert code == 0
    assert out.startswith("diabetes: regression")
    for word in ("interpolating", "leave-one-out", "Ridge", "MLPRegressor", "condition", "solver", "residual"):
        assert word in out
    assert "fit to all 60 rows" in err
    assert "MLPRegressor: fold 2 of 2" in err


def test_quiet_has_no_progress(run):
    assert run("fit", "--quiet", *FAST)[2] == ""


def test_progress_on_a_terminal_stays_on_one_line(run, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    _, _, err = run("fit", *FAST)
    assert "\n" not in err
    assert err.endswith("\r\x1b[K")


def test_json_is_the_comparison(run, csv_file):
    code, out, _ = run("fit", csv_file, "--target", "height", "--json", "--seed", 3, "--activation", "erf", *FAST)
    found = json.loads(out)
    expected = compare(
        read_table(csv_file, target="height"), activation="erf", width=40, folds=2, random_state=3, max_rows=60
    ).to_dict()
    assert code == 0
    assert [score["folds"] for score in found["scores"]] == [score["folds"] for score in expected["scores"]]
    assert found["target"] == "height"
    assert found["activation"] == "erf"
    assert found["seed"] == 3


def test_all_rows_on_request(run, csv_file):
    words = ["fit", csv_file, "--quiet", "--json", "--cv", 2, "--width", 40, "--max-rows"]
    assert json.loads(run(*words, 0)[1])["rows"] == 60
    assert json.loads(run(*words, 30)[1])["rows"] == 30


def test_options_reach_the_network(run, csv_file):
    words = ["--alpha", "0.25", "--solver", "svd", "--width", "auto", "--cv", "3", "--json", "--quiet"]
    found = json.loads(run("fit", csv_file, *words)[1])
    table = read_table(csv_file)
    width = RandomFeatureRegressor(random_state=0).fit(standardise(table.inputs), table.target).width_
    assert [fit["alpha"] for fit in found["fits"]] == [0.0, 0.25]
    assert {fit["solver"] for fit in found["fits"]} == {"svd"}
    assert {fit["width"] for fit in found["fits"]} == {width}
    assert {len(score["folds"]) for score in found["scores"]} == {3}


def test_classification(run):
    code, out, _ = run("fit", "--dataset", "wine", "--quiet", *FAST)
    assert code == 0
    assert "classification into 3 classes" in out
    assert "RidgeClassifier" in out


def test_save_and_load(run, csv_file, tmp_path):
    path = tmp_path / "model.joblib"
    code, out, _ = run("fit", csv_file, "--target", 0, "--save", path, "--alpha", 0, "--width", 200, "--quiet")
    assert code == 0
    assert f"joblib.load({str(path)!r})" in out
    table = read_table(csv_file, target="0")
    np.testing.assert_allclose(joblib.load(path).predict(table.inputs), table.target, atol=1e-8)


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF")])
def test_plot(run, csv_file, tmp_path, suffix, start):
    path = tmp_path / f"figure.{suffix}"
    code, out, _ = run("fit", csv_file, "--plot", path, "--quiet", *FAST)
    assert code == 0
    assert str(path) in out
    assert path.read_bytes().startswith(start)


def test_json_stays_json_with_files(run, csv_file, tmp_path):
    _, out, _ = run("fit", csv_file, "--json", "--save", tmp_path / "m", "--plot", tmp_path / "f.png", *FAST)
    assert json.loads(out)["metric"] == "R2"
    assert (tmp_path / "m").exists()
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_exit_code_of_a_solver_that_stopped_early(run, monkeypatch):
    good = compare(load_dataset("diabetes"), width=40, folds=2, max_rows=40)
    bad = dataclasses.replace(good, fits=(dataclasses.replace(good.fits[0], status=Status.MAX_ITER),))
    monkeypatch.setattr(_fit, "compare", lambda *args, **kwargs: bad)
    assert run("fit")[0] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.csv"], "missing.csv: no such file"),
        (["diabetes"], "data sets by name: --dataset"),
        (["points.csv", "--dataset", "wine"], "are both given; give one"),
        (["--target", "x"], "--target and --header belong to a file"),
        (["--header", "yes"], "--target and --header belong to a file"),
        (["--dataset", "wine", "--task", "regression"], "regression needs numbers"),
        (["--task", "classification"], "fewer than the 5 folds"),
        (["--cv", "300"], "442 rows cannot make 300 folds"),
        (["--plot", "figure.bmp"], "must end in .png, .pdf or .svg"),
        (["--plot", "no/such/folder/figure.png"], "missing or cannot be written"),
        (["--save", "no/such/folder/model"], "missing or cannot be written"),
    ],
)
def test_what_cannot_be_used(run, words, message):
    code, out, err = run("fit", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("underdetermined: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("a,b\n", "no rows below it"),
        ("a,b\n1,2\n", "1 row cannot make 5 folds"),
        ("a\n1\n2\n", "only one column"),
        ("a,b\n1,2\n,3\n", "line 3, column 'a': missing value"),
        ("a,b\n1,2\nnan,3\n", "line 3, column 'a': missing value"),
        ("a,b\n1,2\nred,3\n", "'red' is not a number"),
        ("a,b\n" + "1,2\n" * 20, "the target is 2.0 in every row"),
    ],
)
def test_hostile_files(run, tmp_path, content, message):
    path = tmp_path / "hostile.csv"
    path.write_text(content)
    code, out, err = run("fit", path)
    assert (code, out) == (2, "")
    assert message in err


def test_unknown_target_lists_the_columns(run, csv_file):
    assert "the columns are height, x, y" in run("fit", csv_file, "--target", "z")[2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "COMMAND"),
        (["fit", "--activation", "rely"], "'relu'"),
        (["fit", "--width", "0"], "'0' is not a whole number of at least 1"),
        (["fit", "--width", "wide"], "'wide' is not a whole number of at least 1"),
        (["fit", "--alpha", "-1"], "'-1' is neither a number of at least 0 nor 'loo'"),
        (["fit", "--alpha", "inf"], "'inf' is neither"),
        (["fit", "--alpha", "much"], "'much' is neither"),
        (["fit", "--cv", "1"], "at least 2"),
        (["fit", "--seed", "-1"], "at least 0"),
        (["fit", "--solver", "magic"], "invalid choice"),
        (["fit", "--dataset", "iris"], "invalid choice"),
    ],
)
def test_words_that_are_refused(refuse, words, message):
    assert message in refuse(*words)


def test_memory_errors_are_told(run, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError("the Gram matrix needs 8 bytes")

    monkeypatch.setattr(_fit, "compare", fail)
    code, _, err = run("fit")
    assert (code, err) == (2, "underdetermined: error: the Gram matrix needs 8 bytes\n")


def test_interruption(run, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_fit, "compare", interrupt)
    assert run("fit")[0] == 130


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"underdetermined {underdetermined.__version__}\n"


def test_help_documents_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        main(["fit", "--help"])
    assert "exit codes:" in capsys.readouterr().out


def test_doctor(run):
    code, out, _ = run("doctor")
    assert code == 0
    for word in ("numpy", "scipy", "scikit-learn", "numba", "threadpoolctl", "BLAS", "kernel cache", "memory", "advice"):
        assert word in out
    assert json.loads(run("doctor", "--json")[1])["cores"] >= 1
