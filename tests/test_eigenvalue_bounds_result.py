"""The table of bounds on the smallest eigenvalue: what it holds, how it reads, and hostile input."""

import json

import numpy as np
import pytest
from scipy.sparse import eye_array

from underdetermined import _validation
from underdetermined.bounds import EigenvalueBound, EigenvalueProblem, smallest_eigenvalue_bounds

NAMES = ["gershgorin", "shifted", "hermite", "jump", "separation", "schur", "upper", "trace"]
ARC = np.array([[np.cos(angle), np.sin(angle)] for angle in (0.0, 0.01, 1.0, 2.5)])


@pytest.fixture(scope="module")
def arc():
    return smallest_eigenvalue_bounds(ARC, bias=1)


def test_all_bounds_are_there(arc):
    assert [bound.name for bound in arc.bounds] == NAMES
    assert arc.best.name == "hermite"
    assert arc.lowest_upper.name == "upper"
    assert arc.bound("jump").is_applicable
    assert not arc.bound("schur").is_applicable
    assert arc.bound("schur").value == 0.0
    with pytest.raises(KeyError, match="choose one of gershgorin"):
        arc.bound("closed")


def test_text_is_a_table_in_ascending_order(arc):
    lines = str(arc).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "4 rows of norm 1, 2 inputs; bias 1, bias scale 1"
    names = [line.split()[0] for line in lines[5:11]]
    assert names == ["separation", "jump", "hermite", "exact", "upper", "trace"]
    assert "schur, not met: the 4 rows are linearly independent in 3 dimensions" in str(arc)
    assert "hermite) <= lambda_min <= " in repr(arc)


def test_html_escapes_and_names_everything(arc):
    html = arc._repr_html_()
    assert html.count("<tr") == 7
    assert html.startswith("<div") and html.endswith("</div>")
    assert "H less" not in html and "gershgorin, not met" in html


def test_dictionary_survives_json(arc):
    found = json.loads(json.dumps(arc.to_dict()))
    assert found["rows"], found["inputs"] == (4, 2)
    assert [bound["name"] for bound in found["bounds"]] == NAMES
    assert found["exact"] == arc.exact and found["best"] == "hermite"
    assert EigenvalueBound("rule", np.inf, "upper", "").to_dict()["value"] is None


@pytest.mark.parametrize(
    ("X", "reason"),
    [
        ([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]], "rows 0 and 2 are equal"),
        ([[0.0, 1.0], [-0.0, 1.0]], "rows 0 and 1 are equal"),
        ([[1.0, 2.0], [0.0, 0.0]], "row 1 of norm 0 has the kernel entry 0"),
        ([[1.0, 2.0], [1e-3, 0.0]], "row 1 of norm 0.001 has the kernel entry 0"),
    ],
)
@pytest.mark.parametrize("bias", [0.1, 3.0])
def test_singular_kernels_say_why(X, reason, bias):
    result = smallest_eigenvalue_bounds(X, bias=bias)
    lower = [bound for bound in result.bounds if bound.kind == "lower"]
    assert all(bound.value == 0.0 and not bound.is_applicable for bound in lower)
    assert not result.is_resolved
    assert reason in " ".join(str(result).split())
    assert "which is within its rounding errors" in " ".join(str(result).split())


def test_one_row_is_its_own_eigenvalue():
    result = smallest_eigenvalue_bounds([[3.0, 4.0]], bias=2.0)
    for name in ("gershgorin", "shifted", "hermite", "schur", "upper", "trace"):
        assert result.bound(name).value == pytest.approx(result.exact, rel=1e-8, abs=0.0)
    assert 0.0 < result.bound("separation").value <= result.bound("jump").value <= result.exact


def test_integers_and_float32_are_taken_at_face_value():
    values = [
        smallest_eigenvalue_bounds(X, bias=1.0).exact
        for X in ([[1, 2], [3, 1]], np.array([[1, 2], [3, 1]], np.float32), np.array([[1.0, 2.0], [3.0, 1.0]], order="F"))
    ]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_large_and_small_units(scale):
    result = smallest_eigenvalue_bounds(scale * ARC, bias=scale, bias_scale=scale)
    assert result.exact == pytest.approx(1.932399465567354e-3 * scale**2, rel=1e-10, abs=0.0)
    assert 0.9 * result.exact < result.best.value <= result.exact <= result.lowest_upper.value


def test_a_large_bias_keeps_relative_digits():
    result = smallest_eigenvalue_bounds(np.eye(3), bias=30.0)
    assert result.is_resolved
    assert result.exact == pytest.approx(2.0 * 4.906713927148187e-198, rel=1e-12, abs=0.0)
    assert result.best.value == pytest.approx(result.exact, rel=1e-9, abs=0.0)


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (ARC, {"bias": -1.0}, ValueError, "bias=-1.0 is out of range"),
        (ARC, {"bias": True}, TypeError, "bias=True is not a number"),
        (ARC, {"bias": np.nan}, ValueError, "bias=nan is out of range"),
        (ARC, {"bias": 1.0, "bias_scale": -1.0}, ValueError, "bias_scale=-1.0 is out of range"),
        (ARC * np.nan, {"bias": 1.0}, ValueError, "X has 8 NaN or infinite entries"),
        (ARC[0], {"bias": 1.0}, ValueError, "X has 1 dimensions"),
        (ARC[:0], {"bias": 1.0}, ValueError, "at least one row"),
        (eye_array(3), {"bias": 1.0}, TypeError, r"pass X.toarray\(\)"),
        (1e141 * ARC, {"bias": 1.0}, OverflowError, "scale X, bias and bias_scale down"),
        (1e200 * ARC, {"bias": 1.0}, OverflowError, "overflows"),
    ],
)
def test_hostile_input_is_refused(X, options, error, message):
    with pytest.raises(error, match=message):
        smallest_eigenvalue_bounds(X, **options)


def test_memory_is_checked_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(_validation, "available_memory", lambda: 20 * 8 * 16 - 1)
    with pytest.raises(MemoryError, match="bounds on its smallest eigenvalue needs 2560 bytes"):
        EigenvalueProblem.from_data(ARC, bias=1.0)


def test_repeated_calls_agree_bit_for_bit(arc):
    again = smallest_eigenvalue_bounds(ARC.copy(order="F"), bias=1.0)
    assert [bound.value for bound in again.bounds] == [bound.value for bound in arc.bounds]
