"""The forms in which widths are shown: a table in text, and one in HTML."""

from html.parser import HTMLParser

import numpy as np
import pytest

from underdetermined import Activation
from underdetermined.bounds import Assumption, WidthBound, minimum_width
from underdetermined.bounds._bound import shown
from underdetermined.bounds._recommend import format_ratio, format_width

FEW = {"n_samples": 2048}
VOID = {"br", "meta"}
RNG = np.random.default_rng(0)
CASES = {
    "relu": (RNG.standard_normal((12, 3)), {}),
    "heavy tail": (RNG.standard_normal((60, 3)), {"activation": "exp", "target": "spectrum"}),
    "unresolved": (np.linspace(0.0, 1.0, 30)[:, np.newaxis], {"activation": "erf"}),
    "tied": (np.vstack([np.eye(4), -np.eye(4), np.eye(4), np.zeros((2, 4))]), {"bias_scale": 0.0}),
    "nothing": (np.zeros((2, 2)), {"bias_scale": 0.0}),
    "condition": (RNG.standard_normal((12, 3)), {"target": 2.0}),
    "long name": (
        RNG.standard_normal((5, 2)),
        {"activation": Activation("a<b>&" + 30 * "c", function=np.arctan, bound=2.0), "target": "spectrum"},
    ),
}


@pytest.fixture(scope="module", params=list(CASES))
def found(request):
    X, options = CASES[request.param]
    return minimum_width(X, **options, **FEW)


class Tags(HTMLParser):
    """Checks that every tag is closed in its turn."""

    def __init__(self):
        super().__init__()
        self.open, self.text, self.titles, self.rows = [], [], [], 0

    def handle_starttag(self, tag, attrs):
        self.rows += tag == "tr"
        self.titles += [value for name, value in attrs if name == "title"]
        self.open += [tag] * (tag not in VOID)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(html):
    tags = Tags()
    tags.feed(html)
    assert tags.open == []
    return tags


def with_extremes():
    found = minimum_width(np.eye(4), **FEW)
    doubtful = WidthBound(
        "leverage", 10**400, "theorem", "sufficient", "gaussian", "Wide.", "x", (Assumption("the sun shines", None),)
    )
    return found.with_bound(doubtful)


def test_text_is_narrow_and_complete(found):
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 100
    assert all(line == line.rstrip() for line in lines)
    text = " ".join(str(found).split())
    assert f"recommended: {format_width(found.recommended.width)} neuron" in text
    assert " ".join(found.reason.split()) in text
    assert all(" ".join(note.split()) in text for note in found.notes)
    assert all(bound.name in text for bound in found.bounds if bound.role != "order" and not found.problem.is_resolved)


def test_recommended_row_is_marked(found):
    marked = [line.split()[0] for line in str(found).splitlines() if " * " in line]
    assert marked == [found.recommended.name]


def test_html_is_well_formed_and_complete(found):
    tags = read(found._repr_html_())
    text = " ".join(" ".join(tags.text).split())
    assert found.problem.activation.name in text
    assert " ".join(found.reason.split()) in text
    assert found._repr_html_().count('class="chosen"') == 1
    assert "http" not in found._repr_html_()


def test_order_without_number_and_why_a_width_is_missing():
    text = " ".join(str(minimum_width(CASES["relu"][0], **FEW)).split())
    assert "leverage, chernoff: No width, because" in text
    assert "orders only" in text
    assert "n^6 / (lambda^4 delta^3)" in text


def test_unknown_assumptions_and_huge_widths_are_shown():
    found = with_extremes()
    assert "1.0e400" in str(found)
    assert "leverage, not known: the sun shines." in str(found)
    assert found.recommended.name != "leverage"
    assert "1.0e400" in " ".join(read(found._repr_html_()).text)


def test_html_shows_signs_of_its_own_as_they_are():
    foreign = WidthBound("a<b>&amp;", 5, "estimate", "sufficient", "any", 'If "x<y".', "<i>&quot;</i>")
    found = minimum_width(np.eye(4), **FEW).with_bound(foreign)
    assert found.recommended is foreign
    assert "a<b>&amp;" in found.reason
    tags = read(found._repr_html_())
    text = " ".join(tags.text)
    assert found.reason in text
    assert "a<b>&amp; \u2605" in text
    assert 'If "x<y". <i>&quot;</i>' in tags.titles


def test_one_line():
    found = minimum_width(np.eye(4), **FEW)
    assert repr(found) == (
        "<MinimumWidth: 4 rows, 4 inputs, attainable rank r = 4; relu, weight scale 0.5, bias scale 1; "
        f"recommended {found.recommended.width} ({found.recommended.name})>"
    )


@pytest.mark.parametrize(
    ("width", "text"),
    [(None, "-"), (1, "1"), (9_999_999, "9999999"), (10**7, "1.0e7"), (1_340_000_000, "1.3e9"), (27 * 10**399, "2.7e400")],
)
def test_width_in_words(width, text):
    assert format_width(width) == text


@pytest.mark.parametrize(("width", "text"), [(9_999_999, "9999999"), (10**7, "1.000e+07"), (12_340_001, "1.235e+07")])
def test_widths_in_statements_are_rounded_up(width, text):
    assert shown(width) == text


def test_details_that_are_not_finite_are_no_numbers():
    bound = WidthBound(
        "x", None, "theorem", "sufficient", "any", "", "", details={"tau": np.inf, "eta": 0.5, "lambda": np.nan}
    )
    assert bound.to_dict()["details"] == {"tau": None, "eta": 0.5, "lambda": None}


@pytest.mark.parametrize(
    ("numerator", "denominator", "text"),
    [(1, 3, "0.333"), (50, 20, "2.5"), (99_999, 20, "5000"), (10**6, 3, "3.3e5"), (10**500, 7, "1.4e499")],
)
def test_ratio_in_words(numerator, denominator, text):
    assert format_ratio(numerator, denominator) == text
