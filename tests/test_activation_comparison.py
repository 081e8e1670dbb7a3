"""Activations compared: every number against an independent computation, and data that cannot be compared."""

import json
import pickle

import numpy as np
import pytest

from underdetermined import Activation, RandomFeatures
from underdetermined.activation_comparison import compare_activations, compare_on_table
from underdetermined.activations import names
from underdetermined.tables import Table, TableError, load_dataset

EPS = np.finfo(float).eps
PAIRS = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]) / [[1.0], [1.0], [2**0.5]]


def relu_kernels(X, weight_scale, bias_scale):
    """NNGP and NTK of relu from arc cosines."""
    c = weight_scale**2 * X @ X.T + bias_scale**2
    norm = np.sqrt(np.diag(c))
    rho = np.clip(c / np.outer(norm, norm), -1.0, 1.0)
    angle = np.arccos(rho)
    np.fill_diagonal(angle, 0.0)  # where the arc cosine would magnify the rounding of rho
    nngp = np.outer(norm, norm) * (np.sin(angle) + (np.pi - angle) * rho) / (2 * np.pi)
    slopes = (np.pi - angle) / (2 * np.pi)
    return {"nngp": nngp, "ntk": nngp + (X @ X.T + (bias_scale > 0)) * slopes}


def run_until(gram, y, tolerance):
    """Steps of a gradient descent that is actually run, at the best fixed rate."""
    values = np.linalg.eigvalsh(gram)
    rate = 2.0 / (values[-1] + values[0])
    residual, steps = y.copy(), 0
    while np.linalg.norm(residual) > tolerance * np.linalg.norm(y):
        residual -= rate * gram @ residual
        steps += 1
    return steps


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    return rng.standard_normal((14, 9)), rng.standard_normal(14)


@pytest.mark.parametrize("bias_scale", [0.0, 0.7])
@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_numbers_of_a_kernel(rows, kind, bias_scale):
    X, y = rows
    (row,) = compare_activations(X, y, activations="relu", kind=kind, bias_scale=bias_scale).rows
    gram = relu_kernels(X, 9**-0.5, bias_scale)[kind]
    values, vectors = np.linalg.eigh(gram)
    share = values / values.sum()
    energy = (vectors.T @ y)[::-1] ** 2 / (y @ y)
    found = row.to_dict()
    assert found["lambda_max"] == pytest.approx(values[-1], rel=1e-12)
    assert found["lambda_min"] == found["attainable_lambda_min"] == pytest.approx(values[0], rel=1e-10)
    assert found["condition"] == found["attainable_condition"] == pytest.approx(values[-1] / values[0], rel=1e-10)
    assert found["rank"] == found["attainable_rank"] == 14
    assert found["trace"] == pytest.approx(np.trace(gram), rel=1e-12)
    assert found["effective_rank"] == pytest.approx(values.sum() / values[-1], rel=1e-12)
    assert found["entropy_rank"] == pytest.approx(np.exp(-share @ np.log(share)), rel=1e-12)
    assert found["top_energy"] == pytest.approx(energy[:10].sum(), rel=1e-10)
    np.testing.assert_allclose(row.target_energy, energy, atol=1e-10)
    assert found["steps"] == {f"{tolerance:.0e}": run_until(gram, y, tolerance) for tolerance in (1e-2, 1e-4, 1e-8)}
    assert found["residual_floor"] == 0.0
    assert found["unattainable"] < 1e-10
    assert row.spectrum.eigenvectors is None


@pytest.mark.parametrize("bias_scale", [0.0, 1.0])
def test_features_are_those_of_the_estimators(rows, bias_scale):
    X, _ = rows
    found = compare_activations(
        X, activations=["tanh"], kind="features", width=40, bias_scale=bias_scale, random_state=np.random.RandomState(3)
    )
    features = RandomFeatures(40, activation="tanh", bias_scale=bias_scale, random_state=3).fit_transform(X)
    expected = np.linalg.eigvalsh(features @ features.T)[::-1]
    np.testing.assert_allclose(found.rows[0].spectrum.eigenvalues, expected, atol=1e-13 * expected[0])
    again = compare_activations(X, activations=["tanh"], kind="features", width=40, bias_scale=bias_scale, random_state=3)
    np.testing.assert_array_equal(again.rows[0].spectrum.eigenvalues, found.rows[0].spectrum.eigenvalues)
    assert found.seed == again.seed


def test_default_width_is_that_of_the_estimators_for_many_rows(rng):
    X = rng.standard_normal((270, 3))
    found = compare_activations(X, activations="relu", kind="features", random_state=0)
    assert found.width == RandomFeatures(random_state=0).fit(X).width_ == 540


def test_default_width_is_the_same_for_every_activation(rows):
    found = compare_activations(rows[0], activations=["relu", "erf"], kind="features", random_state=0)
    assert found.width == 512
    assert compare_activations(rows[0], activations="relu").width is None


def test_whole_catalogue_in_order(rows):
    found = compare_activations(*rows)
    assert [row.activation for row in found.rows] == list(names())
    assert all(row.error is None for row in found.rows)
    resolved = [row for row in found.rows if row.attainable_rank == 14 and row.rank == 14]
    assert found.best.condition == min(row.condition for row in resolved)
    assert found.best.activation not in ("identity",)


def test_names_callables_and_objects(rows):
    cubic = Activation("cubic", function=lambda t: t**3 + t)
    found = compare_activations(rows[0], activations=[" leaky_relu(0.1)", np.tanh, cubic, "relu", "relu"])
    assert [row.activation for row in found.rows] == ["leaky_relu(0.1)", "tanh", "cubic", "relu", "relu"]
    named = compare_activations(rows[0], activations="tanh").rows[0]
    assert found.rows[1].lambda_max == pytest.approx(named.lambda_max, rel=1e-11)


def test_equal_rows(rows):
    X, y = rows
    repeated = np.array([0, 0, 0, *range(1, 10), 9])
    found = compare_activations(X[repeated], y[repeated], activations=["relu", "sin_cos"])
    # The eigenvalues that do not vanish are those of the distinct rows, each weighted by how often it occurs.
    root = np.sqrt(np.bincount(repeated))
    gram = relu_kernels(X[:10], 9**-0.5, 1.0)["nngp"] * np.outer(root, root)
    relu = found.rows[0]
    assert (relu.rank, relu.attainable_rank, relu.lambda_min, relu.condition) == (10, 10, None, None)
    assert relu.attainable_lambda_min == pytest.approx(np.linalg.eigvalsh(gram)[0], rel=1e-9)
    assert relu.attainable_condition == pytest.approx(np.linalg.cond(gram), rel=1e-9)
    assert np.isfinite(relu.steps).all()
    assert sum("3 rows repeat another row, (0, 1, 2), (11, 12)" in note for note in found.notes) == 1
    assert found.best is not None


def test_contradicting_rows_are_never_fitted(rows):
    X, y = rows
    X, y = np.vstack([X, X[:1]]), np.append(y, y[0] + 2.0)
    found = compare_activations(X, y, activations=["relu", "abs"])
    for row in found.rows:
        assert row.unattainable == pytest.approx(2**0.5 / np.linalg.norm(y), rel=1e-9)
        assert row.residual_floor == pytest.approx(row.unattainable, rel=1e-9)
        assert row.steps[2] == np.inf
        assert row.to_dict()["steps"]["1e-08"] is None
    assert any("where steps says never" in note and "which no width attains" in note for note in found.notes)


def test_antipodal_pairs_without_bias():
    X = np.vstack([PAIRS, -PAIRS])
    found = compare_activations(X, np.arange(6.0), activations=["relu", "gelu", "sin_cos", "tanh"], bias_scale=0.0)
    assert [row.attainable_rank for row in found.rows] == [5, 5, 6, 3]
    assert [row.rank for row in found.rows] == [5, 5, 6, 3]
    assert found.best.activation == "sin_cos"
    assert any(note.startswith("relu: ") and "For the same rows: gelu." in note for note in found.notes)
    assert sum("both sides of the origin" in note for note in found.notes) == 2
    biased = compare_activations(X, activations=["relu", "tanh"], bias_scale=1.0)
    assert [row.attainable_rank for row in biased.rows] == [6, 6]
    assert biased.notes == ()


def test_unresolved_eigenvalues_are_not_numbers():
    X = np.linspace(0.0, 1.0, 40)[:, np.newaxis]
    found = compare_activations(X, np.sin(9 * X), activations=["exp", "step"])
    row = found.rows[0]
    assert row.rank < row.attainable_rank == 40
    assert (row.lambda_min, row.condition, row.attainable_lambda_min, row.attainable_condition) == (None,) * 4
    assert found.best.activation == "step"
    assert "exp: some attainable targets have eigenvalues below n eps lambda max" in found.notes[0]


def test_narrow_layer(rows):
    found = compare_activations(rows[0], activations=["tanh"], kind="features", width=5, random_state=0)
    assert found.rows[0].rank == 5
    assert found.notes == ("5 neurons give a rank of at most 5 on 14 rows; a wider layer can fit more",)
    assert found.best is None


def test_overflow_stays_in_its_row(rows):
    X, y = rows
    found = compare_activations(100.0 * X, y, activations=["exp", "relu"])
    failed, fine = found.rows
    assert failed.spectrum is None
    assert failed.error
    assert fine.error is None
    assert found.best is fine
    assert f"exp: {failed.error}" in found.notes
    assert failed.to_dict()["lambda_max"] is None
    json.dumps(found.to_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="no activation gives a spectrum on these rows; exp: "):
        compare_activations(100.0 * X, activations=["exp"])


@pytest.mark.parametrize("scale", [1e-200, 1e-3, 1e200])
def test_scale_of_the_targets_does_not_matter(rows, scale):
    X, y = rows
    found, reference = (compare_activations(X, target, activations="erf").rows[0] for target in (scale * y, y))
    np.testing.assert_allclose(found.target_energy, reference.target_energy, atol=1e-12)
    assert found.steps == pytest.approx(reference.steps, abs=1.0)


def test_several_outputs(rows):
    X, y = rows
    Y = np.column_stack([y, y**2])
    energy = compare_activations(X, Y, activations="relu").rows[0].target_energy
    parts = [compare_activations(X, column, activations="relu").rows[0].target_energy * (column @ column) for column in Y.T]
    np.testing.assert_allclose(energy, sum(parts) / (Y**2).sum(), atol=1e-12)


def test_inputs_of_any_kind(rows):
    X = np.round(10 * rows[0])
    y = np.round(10 * rows[1])
    expected = compare_activations(X, y, activations="relu").rows[0]
    X32 = np.asfortranarray(X, dtype=np.float32)
    X32.flags.writeable = False
    for found in (
        compare_activations(X.astype(int), y.astype(int), activations="relu"),
        compare_activations(X32, y.tolist(), activations="relu"),
    ):
        assert found.rows[0].to_dict() == expected.to_dict()


def test_one_row_constant_column_zero_rows():
    one = compare_activations([[2.0, 1.0]], [3.0], activations=["relu"]).rows[0]
    assert (one.rank, one.condition, one.steps) == (1, 1.0, (1.0, 1.0, 1.0))
    constant = compare_activations([[1.0, 5.0], [2.0, 5.0]], [1.0, 0.0], activations=["relu"], bias_scale=0.0)
    assert constant.rows[0].rank == 2
    zero = compare_activations([[0.0], [0.0], [1.0]], activations=["tanh", "cos"], bias_scale=0.0)
    assert [row.rank for row in zero.rows] == [row.attainable_rank for row in zero.rows] == [1, 2]


@pytest.mark.parametrize("kind", ["nngp", "ntk", "features"])
def test_rounding_never_adds_to_the_rank(kind):
    found = compare_activations(np.zeros((4, 2)), np.arange(4.0), kind=kind, random_state=0)
    assert {(row.attainable_rank, row.rank, row.steps[2]) for row in found.rows} == {(1, 1, np.inf)}


X2, Y2 = [[1.0], [2.0]], [1.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([[np.nan]],), {}, "X has 1 NaN"),
        (([[np.inf]],), {}, "X has 1 NaN or infinite"),
        (([1.0, 2.0],), {}, "X has 1 dimensions"),
        ((np.empty((0, 2)),), {}, "X has shape"),
        ((X2, [1.0]), {}, "y has 1 rows"),
        ((X2, [1.0, np.nan]), {}, "y has 1 NaN"),
        ((X2, [0.0, 0.0]), {}, "y is 0 in every row"),
        ((X2,), {"activations": ["rely"]}, "Did you mean 'relu'"),
        ((X2,), {"activations": []}, "activations is empty"),
        ((X2,), {"kind": "cntk"}, "kind='cntk' is not known"),
        ((X2,), {"width": 10}, "width=10 has no effect for kind='nngp'"),
        ((X2,), {"kind": "features", "width": 0}, "width=0 is out of range"),
        ((X2,), {"weight_scale": 0.0}, "weight_scale=0.0 is out of range"),
        ((X2,), {"bias_scale": -1.0}, "bias_scale=-1.0 is out of range"),
        ((X2,), {"kind": "features", "random_state": "x"}, "cannot be used to seed"),
    ],
)
def test_what_is_refused(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        compare_activations(*arguments, **options)


def test_memory_of_a_layer_is_told():
    with pytest.raises(MemoryError, match="10000000000000 hidden neurons with 1 inputs each needs 160000000000000 bytes"):
        compare_activations(X2, kind="features", width=10**13)


@pytest.mark.parametrize("options", [{"activations": [3]}, {"kind": "features", "width": 2.5}, {"weight_scale": "big"}])
def test_wrong_types(options):
    with pytest.raises(TypeError):
        compare_activations(X2, **options)


def test_progress_and_pickle(rows):
    lines = []
    found = compare_activations(*rows, activations=["relu", "erf"], progress=lines.append)
    assert lines == ["relu: activation 1 of 2", "erf: activation 2 of 2"]
    assert pickle.loads(pickle.dumps(found)).to_dict() == found.to_dict()


def test_table_is_standardised_and_centred(rows):
    X, y = rows
    table = Table(1000.0 * X + 7.0, 5.0 * y + 3.0, ("x",) * 9, "height", "points.csv")
    found = compare_on_table(table, activations=["relu"])
    expected = compare_activations((X - X.mean(0)) / X.std(0), y - y.mean(), activations=["relu"])
    numbers, expected_numbers = (comparison.rows[0].to_dict() for comparison in (found, expected))
    for key in ("activation", "steps", "error"):
        assert numbers.pop(key) == expected_numbers.pop(key)
    assert numbers == pytest.approx(expected_numbers, rel=1e-8, abs=1e-12)
    assert found.source == "points.csv"
    assert "the target 'height' is centred" in found.notes[0]


def test_table_of_classes():
    table = load_dataset("wine").sample(np.arange(0, 178, 6))
    found = compare_on_table(table, activations=["relu"])
    X = (table.inputs - table.inputs.mean(0)) / table.inputs.std(0)
    indicators = (table.target[:, np.newaxis] == np.unique(table.target)).astype(float)
    expected = compare_activations(X, indicators - indicators.mean(0), activations=["relu"])
    np.testing.assert_allclose(found.rows[0].target_energy, expected.rows[0].target_energy, atol=1e-10)
    assert "one centred indicator for each of its 3 classes" in found.notes[0]
    with pytest.raises(TableError, match="regression needs numbers"):
        compare_on_table(table, task="regression")


def test_rows_of_a_table_are_drawn_by_the_seed():
    table = load_dataset("diabetes")
    found = [compare_on_table(table, activations=["relu"], max_rows=30, random_state=seed) for seed in (0, 0, 1)]
    values = [comparison.rows[0].lambda_max for comparison in found]
    assert values[0] == values[1] != values[2]
    assert found[0].n_rows == 30
    assert "30 of 442 rows were used" in found[0].notes[0]


def test_constant_target_of_a_table():
    with pytest.raises(TableError, match="is 2.0 in every row"):
        compare_on_table(Table(np.eye(3), np.full(3, 2.0), ("a", "b", "c"), "t", "s"))


@pytest.mark.parametrize(("kind", "words"), [("nngp", "descent on the last layer,"), ("ntk", "both layers (approximate)")])
def test_steps_of_both_layers_are_marked_as_approximate(kind, words):
    text = str(compare_activations(np.eye(3), [1.0, 2.0, 3.0], activations="relu", kind=kind))
    assert words in text
    assert max(map(len, text.splitlines())) <= 100
