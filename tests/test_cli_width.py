"""The command ``underdetermined width``: a question about the width in, an answer with its reason out."""

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest

from underdetermined.cli import _width, main
from underdetermined.tables import load_dataset, read_table
from underdetermined.width_table import width_on_table

FAST = ["--max-rows", "24", "--quiet"]
MEASURE = ["--measure", "--seeds", "6"]


@pytest.fixture
def run(run):
    return partial(run, "width")


@pytest.fixture(scope="module")
def csv_file(write_points):
    """Twenty rows, the first and the last of them equal, the target in the first column."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((20, 2))
    inputs[-1] = inputs[0]
    return write_points(rng.standard_normal(20), inputs)


def strict(text):
    """Parse JSON, and refuse the NaN and Infinity that Python would let pass."""

    def refuse(word):
        raise ValueError(word)

    return json.loads(text, parse_constant=refuse)


def test_default_is_diabetes_with_a_recommendation(run):
    code, out, err = run(*FAST)
    assert (code, err) == (0, "")
    assert out.startswith("diabetes: 24 rows, 10 inputs")
    assert "24 of 442 rows were used" in out
    for word in ("recommended", "theorem", "estimate", "necessary", "chernoff", "leverage"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("goal", ["rank", "spectrum", "1e9"])
@pytest.mark.parametrize("activation", ["relu", "erf", "exp", "step", "identity", "cos"])
def test_json_has_no_nan(run, csv_file, goal, activation):
    words = [csv_file, "--target", "height", "--goal", goal, "--activation", activation, "--json", "--quiet", *MEASURE]
    code, out, err = run(*words)
    assert (code, err) == (0, "")
    assert strict(out)["width"]["bounds"]


def test_json_is_the_result(run, csv_file):
    words = ["--goal", "spectrum", "--epsilon", 0.25, "--failure-probability", 0.02, "--weight-scale", 2.5, "--no-bias"]
    code, out, _ = run(csv_file, "--target", "height", "--json", "--seed", 3, "--activation", "erf", *words, *MEASURE)
    expected = width_on_table(
        read_table(csv_file, target="height"),
        activation="erf",
        target="spectrum",
        epsilon=0.25,
        failure_probability=0.02,
        weight_scale=2.5,
        bias_scale=0.0,
        n_seeds=6,
        random_state=3,
    )
    assert code == 0
    assert strict(out) == expected.to_dict()


def test_condition_number(run, csv_file):
    found = strict(run(csv_file, "--goal", "1e6", "--json", "--quiet")[1])
    assert found["width"]["target"] == 1e6
    assert found["empirical"] is None


def test_experiment_is_one_of_the_bounds(run, csv_file):
    code, out, _ = run(csv_file, "--json", *MEASURE)
    found = strict(out)
    assert code == 0
    assert found["empirical"]["n_seeds"] == 6
    assert [bound["kind"] for bound in found["width"]["bounds"]].count("empirical") == 1


def test_progress(run, csv_file):
    assert run(csv_file)[2] == "bounds on the width\n"
    lines = run(csv_file, *MEASURE)[2].splitlines()
    assert lines[0] == "bounds on the width"
    assert len(lines) > 2


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_plot_measures(run, csv_file, tmp_path, suffix, start):
    path = tmp_path / f"figure.{suffix}"
    code, out, _ = run(csv_file, "--plot", path, "--seeds", 3, "--quiet")
    assert (code, out.splitlines()[-1]) == (0, f"figure written to {path}")
    assert "measured" in out
    assert path.read_bytes().startswith(start)


def test_duplicates_are_explained(run, csv_file):
    out = " ".join(run(csv_file, "--target", "height", "--quiet")[1].split())
    assert "19" in out
    assert "(0, 19)" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.csv"], "missing.csv: no such file"),
        (["points.csv", "--dataset", "wine"], "are both given; give one"),
        (["--target", "x"], "--target and --header belong to a file"),
        (["--target", "spectrum"], "--target spectrum is a column of a file; what the width is to reach is --goal spectrum"),
        (["--epsilon", "0.25"], "--epsilon 0.25 has no effect on --goal rank; add --goal spectrum"),
        (["--goal", "50", "--epsilon", "0.25"], "--epsilon 0.25 has no effect on --goal 50; add --goal spectrum"),
        (["--seeds", "9"], "--seeds 9 has no effect without an experiment; add --measure"),
        (["--plot", "figure.bmp"], "--plot figure.bmp: the name must end in .png, .pdf or .svg"),
        (["--plot", "no/such/folder/figure.png"], "missing or cannot be written"),
        (["--plot", "."], "this is a folder; give the name of a file"),
        (["--weight-scale", "1e200"], "weight_scale"),
        (["--weight-scale", "1e-200"], "weight_scale"),
    ],
)
def test_what_cannot_be_used(run, words, message):
    code, out, err = run("--max-rows", 5, "--quiet", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("underdetermined: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--goal", "speed"], "argument --goal: 'speed' is neither 'rank', 'spectrum' nor a condition number above 1"),
        (["--goal", "1"], "'1' is neither"),
        (["--goal", "nan"], "'nan' is neither"),
        (["--goal", "inf"], "'inf' is neither"),
        (["--epsilon", "1"], "argument --epsilon: '1' is not a number between 0 and 1"),
        (["--failure-probability", "0"], "argument --failure-probability: '0' is not a number between 0 and 1"),
        (["--failure-probability", "often"], "'often' is not a number between 0 and 1"),
        (["--weight-scale", "-1"], "argument --weight-scale: '-1' is not a number above 0"),
        (["--weight-scale", "inf"], "'inf' is not a number above 0"),
        (["--seeds", "0"], "argument --seeds: '0' is not a whole number of at least 1"),
        (["--activation", "rely"], "'relu'"),
        (["--max-rows", "-1"], "at least 0"),
        (["--task", "regression"], "unrecognized arguments"),
    ],
)
def test_words_that_are_refused(capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["width", *words])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1,2\n",
        "a,b\n" + "1,2\n" * 9,
        "a,b\n" + "1,2\n" * 4 + "-1,3\n" * 4,
        "a,b\n" + "".join(f"{1e308 * (-1) ** i},{i}\n" for i in range(6)),
        "a,b\n" + "".join(f"{i}e-320,{i}\n" for i in range(6)),
    ],
    ids=["one row", "one point", "two points", "huge", "tiny"],
)
@pytest.mark.parametrize("words", [[], ["--no-bias", *MEASURE], ["--goal", "spectrum", *MEASURE]], ids=" ".join)
def test_odd_tables_get_an_answer(run, tmp_path, content, words):
    path = tmp_path / "odd.csv"
    path.write_text(content)
    code, out, err = run(path, "--json", "--quiet", *words)
    assert (code, err) == (0, "")
    assert strict(out)["rows"] == content.count("\n") - 1


@pytest.mark.parametrize(
    ("content", "message"),
    [("", "the file is empty"), ("a\n1\n2\n", "only one column"), ("a,b\n1,2\nnan,3\n", "missing value")],
)
def test_hostile_files(run, tmp_path, content, message):
    path = tmp_path / "hostile.csv"
    path.write_text(content)
    code, out, err = run(path)
    assert (code, out) == (2, "")
    assert message in err


def test_interruption_and_errors(run, monkeypatch):
    def fail(error):
        def width(*args, **kwargs):
            raise error

        return width

    monkeypatch.setattr(_width, "width_on_table", fail(KeyboardInterrupt()))
    assert run()[0] == 130
    monkeypatch.setattr(_width, "width_on_table", fail(MemoryError("the kernel needs 8 bytes")))
    assert run()[::2] == (2, "underdetermined: error: the kernel needs 8 bytes\n")
    monkeypatch.setattr(_width, "width_on_table", fail(OverflowError("the kernel overflows")))
    assert run()[::2] == (2, "underdetermined: error: the kernel overflows\n")


def test_a_reader_that_stops_early():
    command = [sys.executable, "-m", "underdetermined", "width", "--max-rows", "3", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("activation", ["relu", "exp"])
def test_text_fits_and_names_its_reason(activation):
    found = width_on_table(load_dataset("wine"), activation=activation, max_rows=20, n_seeds=4)
    text = str(found)
    assert max(map(len, text.splitlines())) <= 100
    assert " ".join(found.minimum.reason.split()) in " ".join(text.split())
    assert "measured" in text
    assert repr(found) == f"<TableWidth of wine: {found.minimum.recommended.width} neurons recommended>"


@pytest.mark.parametrize(
    ("words", "limit"),
    [([], 1000), (["--measure"], 300), (["--plot", "a.png"], 300), (["--measure", "--max-rows", 0], None)],
)
def test_rows_of_an_experiment_are_fewer(run, monkeypatch, tmp_path, words, limit):
    asked = {}

    def record(table, **options):
        asked.update(options)
        raise ValueError("asked")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_width, "width_on_table", record)
    assert run(*words)[0] == 2
    assert asked["max_rows"] == limit
