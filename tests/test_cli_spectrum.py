"""The command ``underdetermined spectrum``, and how a comparison of activations reads: text, HTML, frame, JSON."""

import json
import sys
from dataclasses import replace
from functools import partial
from html.parser import HTMLParser

import numpy as np
import pytest

from underdetermined import Activation
from underdetermined.activation_comparison import compare_activations, compare_on_table
from underdetermined.cli import _spectrum, main
from underdetermined.tables import load_dataset, read_table

FAST = ["--max-rows", "40", "--quiet"]


@pytest.fixture
def run(run):
    return partial(run, "spectrum")


@pytest.fixture(scope="module")
def csv_file(write_points):
    """Thirty rows, the first and the last of them equal, the target in the first column."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((30, 2))
    inputs[-1] = inputs[0]
    return write_points(np.sin(inputs[:, 0]) + rng.standard_normal(30), inputs)


@pytest.fixture(scope="module")
def comparison():
    X = np.random.default_rng(4).standard_normal((12, 3))
    X[:2] *= 200.0  # exp overflows on these rows
    wide = Activation("a_function_with_a_long_name", function=np.tanh)
    return compare_activations(
        X, np.arange(12.0), activations=["relu", "exp", wide, "identity", "shifted_relu(0.5)"], bias_scale=0.0
    )


def test_default_is_diabetes_with_the_whole_catalogue(run):
    code, out, err = run(*FAST)
    assert (code, err) == (0, "")
    assert out.startswith("diabetes: 40 rows, 10 inputs; infinite-width kernel (NNGP)")
    assert "40 of 442 rows were used" in out
    for word in ("relu", "hermite", "steps", "1e-8", "attain.", "notes", "top 10"):
        assert word in out
    assert max(map(len, out.splitlines())) <= 100


def test_json_is_the_comparison(run, csv_file):
    words = [csv_file, "--target", "height", "--json", "--activations", "relu,leaky_relu(0.1)", "hermite(0, 1, 0.5)"]
    code, out, _ = run(*words, "--kind", "features", "--width", 50, "--no-bias", "--seed", 3)
    expected = compare_on_table(
        read_table(csv_file, target="height"),
        activations=["relu", "leaky_relu(0.1)", "hermite(0, 1, 0.5)"],
        kind="features",
        width=50,
        bias_scale=0.0,
        random_state=3,
    )
    assert code == 0
    assert json.loads(out) == expected.to_dict()


@pytest.mark.parametrize("exponent", [-1000, 1000])
def test_units_do_not_matter(csv_file, exponent):
    table = read_table(csv_file)
    scaled = replace(table, inputs=np.ldexp(table.inputs, exponent), target=np.ldexp(table.target, exponent))
    expected, found = (compare_on_table(data, activations=["relu", "tanh"]).to_dict() for data in (table, scaled))
    assert found == expected


def test_progress(run, csv_file):
    assert run(csv_file, "--activations", "relu", "erf")[2] == "relu: activation 1 of 2\nerf: activation 2 of 2\n"


def test_duplicates_are_explained(run, csv_file):
    out = run(csv_file, "--target", "height", "--activations", "relu", "--quiet", "--kind", "ntk")[1]
    assert "1 row repeats another row, (0, 29)" in out
    assert "never" in out
    assert "on both layers" in out


def test_classes(run):
    out = run("--dataset", "wine", "--activations", "relu", *FAST)[1]
    assert "centred indicator for each of its 3 classes" in " ".join(out.split())
    code, _, err = run("--dataset", "wine", "--task", "regression", *FAST)
    assert code == 2
    assert "regression needs numbers" in err


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_plot(run, csv_file, tmp_path, suffix, start):
    path = tmp_path / f"figure.{suffix}"
    code, out, _ = run(csv_file, "--activations", "relu", "step", "--plot", path, "--quiet")
    assert (code, out.splitlines()[-1]) == (0, f"figure written to {path}")
    assert path.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.csv"], "missing.csv: no such file"),
        (["points.csv", "--dataset", "wine"], "are both given; give one"),
        (["--target", "x"], "--target and --header belong to a file"),
        (["--width", "30"], "--width 30 has no effect on --kind nngp; add --kind features"),
        (["--plot", "figure.bmp"], "must end in .png, .pdf or .svg"),
        (["--plot", "no/such/folder/figure.png"], "missing or cannot be written"),
    ],
)
def test_what_cannot_be_used(run, words, message):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "the target is 2.0 in every row"),
        ("a,b\n1,2\nnan,3\n", "missing value"),
        ("a,b\n" + "1,2\n" * 20, "the target is 2.0 in every row"),
    ],
)
def test_hostile_files(run, tmp_path, content, message):
    path = tmp_path / "hostile.csv"
    path.write_text(content)
    code, out, err = run(path)
    assert (code, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--activations", "relu,rely"], "Did you mean 'relu'"),
        (["--activations", "relu", "points.csv"], "unknown activation 'points.csv'"),
        (["--activations", ","], "names no activation"),
        (["--activations"], "expected at least one argument"),
        (["--kind", "cntk"], "invalid choice"),
        (["--width", "0"], "'0' is not a whole number of at least 1"),
        (["--max-rows", "-1"], "at least 0"),
    ],
)
def test_words_that_are_refused(capsys, words, message):
    with pytest.raises(SystemExit) as caught:
        main(["spectrum", *words])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_interruption_and_memory(run, monkeypatch):
    def fail(error):
        def compare(*args, **kwargs):
            raise error

        return compare

    monkeypatch.setattr(_spectrum, "compare_on_table", fail(KeyboardInterrupt()))
    assert run()[0] == 130
    monkeypatch.setattr(_spectrum, "compare_on_table", fail(MemoryError("the Gram matrix needs 8 bytes")))
    assert run()[::2] == (2, "underdetermined: error: the Gram matrix needs 8 bytes\n")


def test_text_lines_up(comparison):
    text = str(comparison)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    table = text.split("\n\n")[1].splitlines()
    assert table[1].split()[:3] == ["activation", "max", "min"]
    # The long name has a line of its own, and the row of numbers below it.
    place = next(index for index, line in enumerate(table) if line.startswith("a_function_with_a_long_name"))
    assert table[place + 1].startswith("   ")
    numbers = [line for line in table[2:] if line != table[place]]
    assert {len(line) for line in numbers} == {len(table[1])}
    assert sum(" *" in line for line in table) == 1
    failed = next(line for line in table if line.startswith("exp "))
    assert set(failed.split()[1:]) == {"-", "12"}  # the attainable rank needs no spectrum


def test_columns_without_targets():
    text = str(compare_activations(np.eye(3), activations=["relu"]))
    assert "steps" not in text
    assert "top 10" not in text
    assert "cond." in text


def test_one_line_repr(comparison):
    assert repr(comparison).startswith("<ActivationComparison of 5 activations: 12 rows, 3 inputs; infinite-width kernel")
    assert "\n" not in repr(comparison)


class Balance(HTMLParser):
    """Collects tags, and checks that each is closed in turn."""

    def __init__(self):
        super().__init__()
        self.open, self.seen, self.titles = [], [], []

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        self.titles += [value for name, value in attributes if name == "title"]
        self.open += [tag] * (tag != "br")

    def handle_startendtag(self, tag, attributes):
        self.seen.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html():
    script = Activation("<script>", function=np.tanh)
    found = compare_activations(np.eye(3), [1.0, 2.0, 3.0], activations=["relu", script, "identity"])
    html = found._repr_html_()
    parser = Balance()
    parser.feed(html)
    assert not parser.open
    assert "script" not in parser.seen
    assert "&lt;script&gt;" in html
    assert parser.seen.count("svg") == 3
    assert any("learning rate below 2 / lambda max" in title for title in parser.titles)
    assert any(title.startswith("Rank ") for title in parser.titles)
    assert html.count("&#9733;") == 1
    assert "http" not in html


def test_html_of_a_failure(comparison):
    html = comparison._repr_html_()
    assert '<td class="error"' in html
    parser = Balance()
    parser.feed(html)
    assert not parser.open


def test_frame(comparison):
    frame = comparison.to_frame()
    assert list(frame.index) == [row.activation for row in comparison.rows]
    assert frame.loc["relu", "lambda_max"] == comparison.rows[0].lambda_max
    assert frame.loc["identity", "steps_1e-08"] == comparison.rows[3].steps[2]
    assert np.isnan(frame.loc["exp", "steps_1e-02"])
    assert set(comparison.rows[0].to_dict()) - {"activation", "steps"} < set(frame.columns)


def test_frame_without_pandas(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas, or use to_dict"):
        comparison.to_frame()


@pytest.mark.parametrize("kind", ["nngp", "ntk", "features"])
def test_json_of_every_kind(kind):
    table = load_dataset("diabetes")
    found = compare_on_table(table, activations=["relu", "identity"], kind=kind, max_rows=20)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["kind"] == kind
    assert found.to_dict()["best_conditioned"] == "relu"
