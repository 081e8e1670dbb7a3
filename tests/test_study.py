"""The study of a table: its numbers are those of its parts, and its snippets give them again."""

import json
from functools import cache
from types import SimpleNamespace

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

from underdetermined.activation_comparison import compare_on_table
from underdetermined.spectrum import Spectrum
from underdetermined.study import SECTIONS, findings, prepare_table, run_descent, study, summarise_table
from underdetermined.study._findings import percent, scientific, whole
from underdetermined.study._snippets import loading_code
from underdetermined.study._study import _folds
from underdetermined.tables import Table, TableError, load_dataset, read_table

matplotlib.use("agg")

pytestmark = pytest.mark.usefixtures("single_threaded_blas")


def make_table(inputs, target, source="made"):
    inputs = np.asarray(inputs, dtype=np.float64)
    return Table(inputs, np.asarray(target), tuple(f"x{i}" for i in range(inputs.shape[1])), "y", source)


def write(path, table, header=True):
    lines = [",".join([*table.input_names, table.target_name])] if header else []
    lines += [
        ",".join([*map(repr, row.tolist()), str(value)]) for row, value in zip(table.inputs, table.target, strict=True)
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def odd_table(tmp_path_factory):
    """A file with a constant column and two equal rows of different targets."""
    rng = np.random.default_rng(3)
    inputs = np.column_stack([rng.standard_normal((30, 2)), np.full(30, 4.0)])
    inputs[29] = inputs[7]
    target = np.sin(inputs[:, 0]) + 0.1 * rng.standard_normal(30)
    return read_table(write(tmp_path_factory.mktemp("study") / "odd.csv", make_table(inputs, target)))


@pytest.fixture(scope="module")
def lines():
    return []


@pytest.fixture(scope="module")
def found(odd_table, lines):
    return study(odd_table, random_state=5, progress=lines.append)


@pytest.fixture(scope="module")
def run_snippet(found):
    """Return a function that gives the names that a snippet defines; each snippet is run once."""

    @cache
    def run(section):
        names = {}
        exec(found.snippets[section].code, names)
        plt.close("all")
        return names

    return run


@pytest.mark.parametrize("section", SECTIONS)
def test_snippets_give_the_numbers(found, run_snippet, section):
    snippet, names = found.snippets[section], run_snippet(section)
    assert len(snippet.results) >= 3
    for expression, value in snippet.results:
        again = eval(expression, names)
        assert again == (pytest.approx(value, rel=1e-9) if _is_number(value) else value), expression


def _is_number(value):
    return isinstance(value, (int, float, tuple)) and not any(isinstance(v, str) for v in np.ravel(value).tolist())


def test_snippets_repeat_whole_tables(found, run_snippet):
    spectra, width = run_snippet("spectra"), run_snippet("width")
    assert spectra["spectra"].to_dict() == found.spectra.to_dict()
    assert width["minimum"].to_dict() == found.width.minimum.to_dict()
    assert width["measurement"].to_dict() == found.width.measurement.to_dict()


def test_everything_is_there(found, lines):
    assert found.problems == {}
    assert set(found.snippets) == set(found.seconds) == set(SECTIONS)
    assert [line for line in lines if line in SECTIONS] == list(SECTIONS)
    assert any(line.startswith("scores: Ridge") for line in lines)
    assert found.versions["numpy"] == np.__version__
    assert [part.bias for part in found.attainability] == [True, False]
    assert "30 rows" in repr(found)
    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert again["data"]["constant_inputs"] == ["x2"]
    assert again["descent"]["course"][-1]["step"] == found.descent.trajectory.n_iter


def test_contradiction_is_found_and_priced(found, odd_table):
    assert found.data.contradictions == found.data.duplicates == ((7, 29),)
    assert found.attainability[0].rank == 29
    lost = abs(odd_table.target[7] - odd_table.target[29]) / np.sqrt(2) / (np.sqrt(30) * odd_table.target.std())
    assert found.lost[0] == pytest.approx(lost)
    assert f"{100 * lost:.2g}%" in findings(found).sentence
    assert any("(7, 29)" in note for note in found.data.notes)


def test_findings_quote_the_parts(found):
    said = findings(found)
    figures = {figure.label: figure for figure in said.figures}
    assert figures["attainable dimensions"].value == "29 of 30"
    assert figures["best conditioned"].value == found.spectra.best.activation
    assert figures["neurons, measured"].value == str(found.width.empirical.width)
    for score in found.scores.scores[-2:]:
        assert f"{score.label} {score.mean:.3f}".replace("-", "\u2212") in said.sentence
    assert said.sentence.endswith(".")


def test_prepared_rows_are_those_of_the_comparison():
    table = load_dataset("wine")
    inputs, targets = prepare_table(table, max_rows=40, random_state=2)
    spectrum = Spectrum.from_kernel(inputs, activation="erf", weight_scale=13**-0.5, bias_scale=1.0)
    row = compare_on_table(table, activations=["erf"], max_rows=40, random_state=2).rows[0]
    np.testing.assert_allclose(spectrum.eigenvalues, row.spectrum.eigenvalues, rtol=1e-9)
    np.testing.assert_allclose(spectrum.energy(targets), row.target_energy, atol=1e-9)
    np.testing.assert_allclose(inputs.mean(axis=0), 0, atol=1e-14)
    np.testing.assert_allclose(inputs.std(axis=0), 1)
    np.testing.assert_allclose(targets.sum(axis=1), 0, atol=1e-14)


def test_prepare_keeps_huge_columns_finite():
    inputs, targets = prepare_table(make_table([[1e300], [-1e300], [0.0]], [1e300, 0.0, -1e300]))
    np.testing.assert_allclose(np.ravel([inputs, targets]), np.sqrt(1.5) * np.array([1, -1, 0, 1, 0, -1]))


@pytest.mark.parametrize(
    ("target", "task", "message"),
    [([1.0, 1.0, 1.0], None, "nothing to learn"), (["a", "b", "a"], "regression", "holds text")],
)
def test_useless_targets_are_refused(target, task, message):
    with pytest.raises(TableError, match=message):
        study(make_table([[0.0], [1.0], [2.0]], target), task=task)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"activation": "rellu"}, ValueError, "rellu"),
        ({"activation": np.tanh}, TypeError, "is not a name"),
        ({"max_rows": 1}, ValueError, "max_rows=1"),
        ({"random_state": -1}, ValueError, "random_state=-1"),
    ],
)
def test_options_are_checked_first(options, error, message):
    with pytest.raises(error, match=message):
        study(make_table([[0.0], [1.0], [2.0]], [0.0, 1.0, 3.0]), **options)


def test_max_rows_of_nothing():
    with pytest.raises(ValueError, match="max_rows=0 leaves no row"):
        prepare_table(load_dataset("wine"), max_rows=0)


def test_summary_against_a_slow_definition(rng):
    inputs = rng.integers(0, 3, (60, 3)) * np.array([1.0, 1.0, -0.0])
    target = rng.integers(0, 2, 60).astype(str)
    data = summarise_table(make_table(inputs, target))
    pairs = {(i, j) for group in data.duplicates for i in group for j in group if i < j}
    assert pairs == {(i, j) for i in range(60) for j in range(i + 1, 60) if (inputs[i] == inputs[j]).all()}
    contradicting = {i for group in data.contradictions for i in group}
    assert contradicting == {i for i, j in pairs | {(j, i) for i, j in pairs} if _group_differs(i, inputs, target)}
    assert data.n_repeated == 60 - len(np.unique(inputs, axis=0))
    assert data.constant_inputs == ("x2",)
    assert dict(data.classes) == {"0": (target == "0").sum(), "1": (target == "1").sum()}
    assert data.target is None


def _group_differs(i, inputs, target):
    return len(set(target[(inputs == inputs[i]).all(axis=1)])) > 1


def test_statistics_of_columns():
    data = summarise_table(make_table([[1.0, 1e308], [2.0, -1e308], [6.0, 1e308]], [1.0, 2.0, 4.5]))
    assert (data.inputs[0].mean, data.inputs[0].least, data.inputs[0].most, data.inputs[0].n_values) == (3, 1, 6, 3)
    assert data.inputs[0].spread == pytest.approx(np.std([1, 2, 6]))
    assert data.target.mean == 2.5
    assert data.to_dict()["inputs"][1]["spread"] is None


def test_descent_is_the_plain_iteration(data):
    X, y = data
    run = run_descent(X[:20], y[:20], activation="tanh", width=70, max_iter=30, random_state=4)
    features, residual, rate = run.forecast.spectrum, y[:20], run.forecast.learning_rate
    gram = features.eigenvectors @ np.diag(features.eigenvalues) @ features.eigenvectors.T
    norms = []
    for _ in range(30):
        residual = residual - rate * gram @ residual
        norms.append(np.linalg.norm(residual) / np.linalg.norm(y[:20]))
    assert [row[0] for row in run.course] == [1, 10, 30]
    for column in (1, 2):
        np.testing.assert_allclose([row[column] for row in run.course], [norms[0], norms[9], norms[29]], rtol=1e-11)
    assert run.error < 1e-13
    assert 1e-6 < run.kernel_error < 0.2
    assert rate * features.largest == pytest.approx(1.0)


def test_dead_layer_is_refused():
    with pytest.raises(ValueError, match="zero on every row"):
        run_descent([[1.0]], [1.0], activation="relu", width=1, random_state=2)


@pytest.mark.parametrize("target", [[0.0, 1.0, 0.5], ["a", "b", "a"]])
def test_three_rows(target):
    found = study(make_table([[0.0], [1.0], [3.0]], target))
    assert list(found.problems) == ["scores"]
    assert "folds" in found.problems["scores"]
    assert "scores" not in found.snippets
    assert found.width.minimum.bound("necessary").width == 3
    assert len(findings(found).figures) == 4


def test_loading_code_is_tried_before_it_is_given(tmp_path):
    table = make_table([[0.5], [1.0], [3.0]], [1.0, 2.0, 4.0])
    with_header, bare = write(tmp_path / "a.csv", table), write(tmp_path / "b.csv", table, header=False)
    for loaded in (
        load_dataset("wine"),
        read_table(with_header),
        read_table(with_header, target="x0"),
        read_table(bare),
        read_table(bare, target="0"),
    ):
        names = {}
        exec(loading_code(loaded), names)
        np.testing.assert_array_equal(names["table"].inputs, loaded.inputs)
        np.testing.assert_array_equal(names["table"].target, loaded.target)
    assert "# table = Table(" in loading_code(table)
    assert "# table = Table(" in loading_code(make_table([[0.5]], [1.0], source=str(with_header)))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.54, "2.5"),
        (954.0, "954"),
        (9612.0, "9.6\u00b710\u00b3"),
        (0.0123, "1.2\u00b710\u207b\u00b2"),
        (4.6e10, "4.6\u00b710\u00b9\u2070"),
    ],
)
def test_powers_of_ten_only_where_they_help(value, text):
    assert scientific(value) == text


def test_counts_and_shares_in_words():
    assert (whole(6417974), whole(4.6e10)) == ("6,417,974", "4.6\u00b710\u00b9\u2070")
    assert [percent(share) for share in (0.434, 0.0123, 1e-6)] == ["43%", "1.2%", "less than 0.01%"]


@pytest.mark.parametrize(("n_rows", "n_classes", "folds"), [(100, (), 5), (7, (), 3), (3, (), 2), (100, (4, 96), 4)])
def test_folds_that_the_rows_allow(n_rows, n_classes, folds):
    data = SimpleNamespace(classes=tuple(("name", count) for count in n_classes))
    assert _folds(data, n_rows) == folds
