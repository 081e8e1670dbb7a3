"""The page: complete, harmless, and with the numbers of the study."""

import re
import sys
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from underdetermined.displays._study import encode_figure
from underdetermined.report import _page, report_html
from underdetermined.report._html import number
from underdetermined.report._results import scores_section
from underdetermined.report._sections import descent_section
from underdetermined.study import findings, study
from underdetermined.tables import Table

matplotlib.use("agg")

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

EVIL = "<script>alert('&amp;')</script>\"'"
VOID = {"meta", "img", "br"}
FOREIGN = {"line", "polyline", "circle", "path", "rect", "polygon"}  # of inline SVG, closed by themselves


class Page(HTMLParser):
    """What a browser would see: tags, attributes, and the text outside of styles."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        self.open += [tag] * (tag not in VOID | FOREIGN)

    def handle_endtag(self, tag):
        assert tag in FOREIGN or self.open.pop() == tag

    def handle_data(self, data):
        self.text += data * (self.open[-1:] != ["style"])

    def values(self, name):
        return [value for _, key, value in self.attributes if key == name]


def made(target, source="made", names=("a", "b")):
    inputs = np.random.default_rng(8).standard_normal((24, 2))
    return Table(inputs, target(inputs), names, "y", source)


def few_activations(found):
    """Two panels are drawn ten times faster than twenty."""
    return replace(found, spectra=replace(found.spectra, rows=found.spectra.rows[1:3]))


@pytest.fixture(scope="module")
def regression():
    return few_activations(study(made(lambda X: X[:, 0] ** 2 + X[:, 1])))


@pytest.fixture(scope="module")
def html(regression):
    return report_html(regression)


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def classes():
    table = made(lambda X: np.where(X[:, 0] > 0, EVIL, "no"), source=EVIL, names=(EVIL, "b"))
    return few_activations(study(replace(table, target_name=EVIL)))


def test_every_tag_is_closed(page):
    assert page.open == []
    assert {"html", "head", "body", "main", "section", "figure", "table"} <= set(page.tags)


def test_nothing_is_loaded_and_nothing_runs(page):
    assert not {"script", "link", "iframe", "object", "base", "form"} & set(page.tags)
    assert len(page.values("src")) == 4
    assert all(src.startswith(("data:image/png;base64,", "data:image/svg+xml;base64,")) for src in page.values("src"))
    assert all(href.startswith("#") and href[1:] in page.values("id") for href in page.values("href"))
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert any("default-src 'none'" in content for content in page.values("content"))


def test_numbers_of_the_study_are_shown(regression, page):
    text = page.text
    for score in regression.scores.scores:
        assert f"{score.mean:.3f}".replace("-", "\u2212") in text
    for fit in regression.scores.fits:
        assert f"{fit.width:,}" in text
    for row in regression.spectra.rows:
        assert row.activation in text
    for name in ("necessary", "importance", "truncated", "leverage_sampled", "empirical"):
        assert name in text
    for note in (*regression.data.notes, *regression.spectra.notes, *regression.width.minimum.notes):
        assert note in text
    assert f"{regression.width.empirical.width:,} neurons were enough" in text
    assert findings(regression).sentence in text
    for snippet in regression.snippets.values():
        assert str(snippet) in text
    for name, version in regression.versions.items():
        assert name in text
        assert version in text


def test_pictures_are_pictures(page):
    for src in page.values("src"):
        kind, _, content = src.partition(";base64,")
        start = b64decode(content)[:60]
        assert start.startswith({"data:image/png": b"\x89PNG", "data:image/svg+xml": b"<?xml"}[kind])
    assert all(page.values("alt"))


def test_figures_of_many_axes_are_png():
    figure = Figure(figsize=(4.0, 3.0))
    figure.subplots(3, 3)
    address, *size = encode_figure(figure)
    assert address.startswith("data:image/png;base64,")
    assert size == [1000, 750]


def test_page_is_small(html):
    assert len(html) < 3e6


def test_text_of_the_table_is_harmless(classes, blank):
    html = report_html(classes)
    page = Page(html)
    assert page.open == []
    assert "script" not in page.tags
    assert "<script" not in html
    assert page.text.count(EVIL) >= 3  # an input, a class and the target
    assert classes.problems == {}


@pytest.fixture
def blank(monkeypatch):
    """Leave the pictures out, which take nearly all of the time."""
    monkeypatch.setattr(_page, "encode_figure", lambda figure: ("data:image/png;base64,", 1, 1))


def test_missing_section_says_why(regression, blank):
    problem = "because <of> this"
    page = Page(report_html(replace(regression, width=None, scores=None, problems={"width": problem, "scores": "that"})))
    assert f"Not computed: {problem}" in page.text
    assert "Not computed: that" in page.text
    assert len(page.values("src")) == 2
    assert page.open == []


def test_part_of_the_rows_is_admitted(regression, blank):
    table = made(lambda X: X[:, 0])
    page = Page(report_html(replace(regression, data=replace(regression.data, n_rows=900), table=table)))
    assert page.text.count("Computed on 24 of the 900 rows, drawn at random.") == 4


def test_unresolved_kernel_is_explained(blank):
    inputs = np.linspace(-1.0, 1.0, 40)[:, np.newaxis]
    found = few_activations(study(Table(inputs, np.cos(3 * inputs[:, 0]), ("x",), "y", "line"), activation="sin_cos"))
    assert found.width.empirical is None
    page = Page(report_html(found))
    assert "not resolved in floating point" in page.text
    assert page.open == []


def test_page_is_the_same_again_in_any_style_of_the_user(regression, html):
    before = dict(matplotlib.rcParams)
    with matplotlib.rc_context({"axes.facecolor": "black", "font.size": 30, "text.color": "white", "lines.linewidth": 9}):
        assert report_html(regression) == html
    assert dict(matplotlib.rcParams) == before


def test_missing_matplotlib_is_named(regression, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install 'underdetermined\[plot\]'"):
        report_html(regression)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "\u2013"),
        (-np.inf, "\u2212\u221e"),
        (0.0, "0"),
        (-0.25, "\u22120.25"),
        (-2685.6, "\u22122,686"),
        (2.5e-9, "2.5\u00b710\u207b\u2079"),
        (1e-8, "10\u207b\u2078"),
        (4.57e10, "4.57\u00b710\u00b9\u2070"),
    ],
)
def test_numbers_have_one_style(value, text):
    assert number(value) == text


def test_no_number_is_written_as_in_a_program(regression):
    text = "".join(section(regression, "") for section in (descent_section, scores_section))
    assert re.search(r"\de[-+]?\d", text) is None
