"""Text: columns line up, lines stay short, nothing of the result is lost."""

import dataclasses

import pytest

from underdetermined.comparison import compare
from underdetermined.doctor import examine
from underdetermined.tables import load_dataset
from underdetermined.text import align, bullets, format_comparison, format_diagnosis


@pytest.fixture(scope="module")
def comparison():
    return compare(load_dataset("wine"), width=300, folds=2)


def test_align():
    assert align([("a", "1"), ("bbb", "22")], left=(0,)) == "a     1\nbbb  22"
    assert align([("a", "1"), ("bbb", "22")], left=(1,)) == "  a  1\nbbb  22"


def test_bullets_wrap_between_words():
    text = bullets(["word " * 40, "short"])
    assert max(map(len, text.splitlines())) <= 100
    assert text.splitlines()[0].startswith("- word")
    assert text.splitlines()[1].startswith("  word")
    assert text.endswith("\n- short")


def test_comparison_shows_every_number(comparison):
    text = format_comparison(comparison)
    assert "178 rows, 13 inputs" in text
    assert "into 3 classes" in text
    assert "2-fold cross-validation" in text
    for fit in comparison.fits:
        assert f"{fit.training_residual:.1e}" in text
        assert f"{fit.alpha:.3g}" in text
    for score in comparison.scores:
        assert f"{score.label} " in text
        assert f"{score.mean:.3f}" in text
    assert ("\nnotes\n" in text) == bool(comparison.notes)


def test_columns_line_up(comparison):
    blocks = format_comparison(comparison).split("\n\n")
    header, *rows = blocks[1].splitlines()
    end = header.index("width") + len("width")
    assert [row[end - 2 : end] for row in rows] == ["00", "00"]
    assert max(len(line) for line in "\n".join(blocks).splitlines()) <= 100


def test_notes_are_shown(comparison):
    assert "notes\n- look here" in format_comparison(dataclasses.replace(comparison, notes=("look here",)))


def test_diagnosis():
    diagnosis = examine()
    text = format_diagnosis(diagnosis)
    assert f"numpy          {diagnosis.versions['numpy']}" in text
    for library in diagnosis.blas:
        assert library.file in text
    healthy = dataclasses.replace(diagnosis, advice=(), memory=2**31, cache="/c", cache_writable=True)
    assert "nothing to improve" in format_diagnosis(healthy)
    assert "2.0 GiB available" in format_diagnosis(healthy)
    assert "/c (writable)" in format_diagnosis(healthy)
    ill = dataclasses.replace(diagnosis, advice=("do this",), memory=None, cache="/c", cache_writable=False)
    assert "- do this" in format_diagnosis(ill)
    assert "unknown" in format_diagnosis(ill)
    assert "/c (NOT writable)" in format_diagnosis(ill)
    assert "kernel cache   none" in format_diagnosis(dataclasses.replace(ill, cache=""))
