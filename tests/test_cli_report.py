"""The command ``underdetermined report``: a table in, a page and what it says in short out."""

import dataclasses
import sys
from functools import partial

import numpy as np
import pytest

from underdetermined.cli import _report, main
from underdetermined.study import findings, study
from underdetermined.tables import read_table


@pytest.fixture
def run(run):
    return partial(run, "report")


@pytest.fixture(scope="module")
def csv_file(write_points):
    """Fourteen rows, the target in the first column."""
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((14, 2))
    return write_points(np.sin(inputs[:, 0]) + inputs[:, 1], inputs)


@pytest.fixture(scope="module")
def found(csv_file):
    return study(read_table(csv_file, target="height"), activation="erf", random_state=3)


@pytest.fixture
def prepared(monkeypatch, found):
    """Let the command find a study and its page made already, and record what it asked for."""
    asked = {}

    def study_once(table, **options):
        asked.update(options, table=table)
        return found

    monkeypatch.setattr(_report, "study", study_once)
    monkeypatch.setattr(_report, "report_html", lambda study: f"<!doctype html>{study!r}, schön</html>")
    return asked


def test_a_page_is_written_and_summed_up(run, csv_file, tmp_path, few_activations):
    path = tmp_path / "page.html"
    words = ["--target", "height", "--activation", "erf", "--seed", 3, "--output", path]
    code, out, err = run(csv_file, *words)
    assert code == 0
    assert out.startswith(f"{csv_file}: regression of 'height', 14 rows, 2 inputs")
    assert out.endswith(f"page written to {path}\n")
    page = path.read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert err.splitlines()[0] == "data"
    assert err.splitlines()[-1] == "page"


def test_options_reach_the_study(run, csv_file, tmp_path, prepared):
    words = ["--target", "height", "--activation", "erf", "--seed", 3, "--task", "regression", "--max-rows", 9]
    assert run(csv_file, *words, "--quiet", "--output", tmp_path / "page.html")[::2] == (0, "")
    assert prepared.pop("table").target_name == "height"
    prepared.pop("progress")
    assert prepared == {"task": "regression", "activation": "erf", "random_state": 3, "max_rows": 9}
    run("--max-rows", 0, "--quiet", "--output", tmp_path / "page.html")
    assert prepared["table"].source == "diabetes"
    assert (prepared["task"], prepared["max_rows"]) == (None, None)


def test_summary_has_the_findings(run, found, tmp_path, prepared):
    out = run("--quiet", "--output", tmp_path / "page.html")[1]
    text = " ".join(out.split())
    result = findings(found)
    assert " ".join(result.sentence.split()) in text
    assert all(figure.label in text for figure in result.figures)
    assert "\u202f" not in out
    assert max(map(len, out.split("\n\npage written")[0].splitlines())) <= 100


def test_page_is_that_of_the_study(run, found, tmp_path, prepared):
    path = tmp_path / "page.html"
    path.write_text("an older page")
    run("--quiet", "--output", path)
    assert path.read_text(encoding="utf-8") == f"<!doctype html>{found!r}, schön</html>"


def test_page_lands_in_the_present_folder(run, tmp_path, monkeypatch, prepared):
    monkeypatch.chdir(tmp_path)
    out = run("--quiet")[1]
    assert out.endswith("page written to underdetermined-report.html\n")
    assert (tmp_path / "underdetermined-report.html").exists()


def test_a_missing_section_is_told(run, found, tmp_path, monkeypatch, prepared):
    part = dataclasses.replace(found, width=None, problems={"width": "the kernel needs 8 bytes"})
    monkeypatch.setattr(_report, "study", lambda *args, **options: part)
    code, out, _ = run("--quiet", "--output", tmp_path / "page.html")
    assert code == 1
    assert "missing\n- width: the kernel needs 8 bytes" in out
    assert (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "no/such/page.html"], "--output no/such/page.html: the folder no/such is missing"),
        (["--output", "."], "--output .: this is a folder; give the name of a file"),
        (["missing.csv"], "missing.csv: no such file"),
        (["points.csv", "--dataset", "wine"], "are both given; give one"),
        (["--target", "x"], "--target and --header belong to a file"),
        (["--max-rows", "1"], "max_rows=1"),
        (["--dataset", "wine", "--task", "regression"], "regression needs"),
    ],
)
def test_what_cannot_be_used(run, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("--quiet", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_nothing_is_computed_for_a_page_that_cannot_be_written(run, monkeypatch, prepared):
    assert run("--output", "no/such/folder/page.html")[0] == 2
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, err = run("--quiet")
    assert code == 2
    assert "matplotlib" in err
    assert not prepared


@pytest.mark.parametrize("words", ["--activation rely", "--max-rows -1", "--json", "--seed x"])
def test_words_that_are_refused(capsys, words):
    with pytest.raises(SystemExit) as caught:
        main(["report", *words.split()])
    assert caught.value.code == 2
    assert words.split()[0] in capsys.readouterr().err


def test_interruption(run, monkeypatch, tmp_path):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_report, "study", interrupt)
    assert run("--output", tmp_path / "page.html")[0] == 130
    assert not list(tmp_path.iterdir())
