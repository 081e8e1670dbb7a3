"""Softmax-ReLU objectives under hostile input: refused with the remedy, or harmless."""

import warnings

import numpy as np
import pytest
import softmax_relu_oracle as oracle
from scipy import sparse

from underdetermined import _validation
from underdetermined.objectives import SharedSoftmaxReLU, SoftmaxReLU, SoftmaxReLUBatch
from underdetermined.objectives._softmax_relu_terms import terms

A1, A2, B = oracle.P2

REFUSED = [
    (
        {"A1": [[1.0, np.nan], [3.0, -1.0]]},
        ValueError,
        r"A1 has 1 NaN or infinite entries, the first is nan at index \(0, 1\)",
    ),
    ({"A1": sparse.csr_array([[1.0, np.inf], [3.0, -1.0]])}, ValueError, "A1 has 1 NaN or infinite entries"),
    ({"A1": np.zeros((0, 2))}, ValueError, r"A1 has shape \(0, 2\)"),
    ({"A1": sparse.csr_array((0, 2))}, ValueError, r"A1 has shape \(0, 2\)"),
    ({"A1": [1.0, 2.0]}, ValueError, "A1 has 1 dimensions"),
    ({"A1": A1 + 1j}, TypeError, "A1 has dtype complex128"),
    ({"A1": sparse.csr_array(A1 + 1j)}, TypeError, "A1 has dtype complex128"),
    ({"A2": sparse.csr_array(A2)}, TypeError, r"A2 is a csr_array, which has no dense entries: pass A2.toarray\(\)"),
    ({"A2": A2[:, :1]}, ValueError, "A2 has 1 columns and A1 has 2 rows: pass one column for each hidden unit"),
    ({"A2": A2 * np.nan}, ValueError, "A2 has 4 NaN or infinite entries"),
    ({"A2": [["a", "b"], ["c", "d"]]}, TypeError, "A2 has dtype"),
    ({"b": [0.25, np.nan]}, ValueError, "b has 1 NaN or infinite entries"),
    ({"b": [0.25, 0.5, 0.25]}, ValueError, r"b has shape \(3,\): its axis 0 must have one entry for each of 2 outputs"),
    ({"b": [[0.25], [0.75]]}, ValueError, r"b has shape \(2, 1\): pass one distribution, shape \(2,\)"),
    ({"b": []}, ValueError, r"b has shape \(0,\)"),
    ({"b": 0.5}, ValueError, r"b has shape \(\)"),
    ({"b": [0.25, 0.5], "loss": "kl"}, ValueError, r"b sums to 0.75: loss='kl' .* pass b / b.sum\(\)"),
    ({"b": [0.0, 0.0], "loss": "kl"}, ValueError, "b sums to 0: "),
    ({"b": [1e308, 1e308], "loss": "kl"}, ValueError, "b sums to inf: "),
    ({"b": [-0.25, 1.25], "loss": "kl"}, ValueError, "b has the negative entry -0.25: loss='kl' takes shares"),
    ({"b": [0.25, 0.7500001], "loss": "kl"}, ValueError, "b sums to 1.00000009999"),
    ({"loss": "cross-entropy"}, ValueError, "loss='cross-entropy' is unknown: pass 'squared' or 'kl'"),
    ({"loss": ["kl"]}, ValueError, r"loss=\['kl'\] is unknown"),
    ({"reg": -1.0}, ValueError, r"reg=-1.0 is out of range: pass a finite number in \[0, inf\)"),
    ({"reg": np.nan}, ValueError, "reg=nan is out of range"),
    ({"reg": "1"}, TypeError, "reg='1' is not a number"),
    ({"weights": [1.0]}, ValueError, r"weights has shape \(1,\): pass a number or one for each hidden unit, shape \(2,\)"),
    ({"weights": [1.0, np.inf]}, ValueError, "weights has 1 NaN or infinite entries"),
    ({"weights": 1e200}, ValueError, r"weights \*\* 2 has 2 NaN or infinite entries"),
]


@pytest.mark.parametrize(("wrong", "error", "message"), REFUSED)
def test_a_wrong_argument_is_named_with_the_remedy(wrong, error, message):
    arguments = {"A1": A1, "A2": A2, "b": B} | wrong
    with pytest.raises(error, match=message):
        SoftmaxReLU(**arguments)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda o: o.at([1.0]), ValueError, r"x has shape \(1,\): pass \(2,\)"),
        (lambda o: o.value([[1.0, 2.0]]), ValueError, r"x has shape \(1, 2\)"),
        (lambda o: o.at([1.0, 2.0], -0.1), ValueError, "smoothing=-0.1 is out of range"),
        (lambda o: o.at([1.0, 2.0], np.nan), ValueError, "smoothing=nan is out of range"),
        (lambda o: o.at([1.0, 2.0], active=[1.0, 0.0]), TypeError, "active has dtype float64: pass a mask of type bool"),
        (lambda o: o.at([1.0, 2.0], active=[True]), ValueError, r"active has shape \(1,\)"),
        (
            lambda o: o.at([1.0, 2.0]).hessp([1.0, 2.0], "newton"),
            ValueError,
            "curvature='newton' is unknown: pass one of 'exact'",
        ),
        (
            lambda o: o.at([1.0, 2.0]).hessp([1.0]),
            ValueError,
            r"direction has shape \(1,\): pass \(2,\), or one in each column",
        ),
        (lambda o: o.at([1.0, 2.0]).hessian(basis=[1.0, 2.0]), ValueError, r"basis has shape \(2,\): pass \(2, k\)"),
        (lambda o: o.at([1.0, 2.0]).hessian(basis=np.eye(3)), ValueError, r"basis has shape \(3, 3\): pass \(2, k\)"),
    ],
)
def test_a_wrong_question_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call(SoftmaxReLU(A1, A2, B))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: SoftmaxReLUBatch(A1, A2, B), r"B has shape \(2,\): pass one problem in each column, shape \(2, N\)"),
        (lambda: SoftmaxReLUBatch(A1, A2, np.full((2, 3), 0.4), loss="kl"), r"pass B / B.sum\(axis=0, keepdims=True\)"),
        (lambda: SoftmaxReLUBatch(A1, A2, np.eye(2)).at(np.eye(2)).hessp([1.0, 2.0]), r"direction has shape \(2,\)"),
        (lambda: SoftmaxReLUBatch(A1, A2, np.eye(2)).value(np.eye(3)), r"X has shape \(3, 3\): pass \(2, 2\)"),
        (lambda: SoftmaxReLUBatch(A1, A2, np.eye(2)).value(np.eye(2), [0.1]), r"smoothing has shape \(1,\)"),
        (lambda: SoftmaxReLUBatch(A1, A2, np.eye(2)).value(np.eye(2), [0.1, -1.0]), "smoothing has the negative entry -1.0"),
        (lambda: SoftmaxReLUBatch(A1, A2, np.eye(2)).value(np.eye(2), np.nan), "smoothing has 1 NaN"),
        (
            lambda: SharedSoftmaxReLU(A1, A2, np.eye(2)[:1]),
            "B has 1 rows and Phi 2: pass one distribution for each input",
        ),
        (lambda: SharedSoftmaxReLU(A1, A2, B), r"B has shape \(2,\): its axis 1 must have one entry for each of 2 outputs"),
        (
            lambda: SharedSoftmaxReLU(A1, A2, np.full((2, 2), 0.4)),
            r"B sums to 0.8.* pass B / B.sum\(axis=1, keepdims=True\)",
        ),
        (
            lambda: SharedSoftmaxReLU(A1, A2, np.eye(2), offset=[1.0]),
            r"offset has shape \(1,\): pass one number for each output",
        ),
        (lambda: SharedSoftmaxReLU(A1, A2, np.eye(2), offset=[1.0, np.nan]), "offset has 1 NaN"),
        (
            lambda: SharedSoftmaxReLU(A1, A2, np.eye(2), sample_weight=[1.0, -1.0]),
            "sample_weight has the negative entry -1.0",
        ),
        (lambda: SharedSoftmaxReLU(A1, A2, np.eye(2)).value([1.0]), r"x has shape \(1,\): pass \(4,\)"),
        (lambda: SharedSoftmaxReLU(A1, A2, np.eye(2)).at(np.ones(4)).hessian(basis=np.eye(3)), r"basis has shape \(3, 3\)"),
        (lambda: SharedSoftmaxReLU(A1, A2, np.eye(2)).hidden_adjoint([1.0]), r"slopes has shape \(1,\): pass \(4,\)"),
    ],
)
def test_batches_and_shared_layers_refuse_wrong_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_any_finite_targets_are_a_least_squares_problem():
    point = SoftmaxReLU(A1, A2, [-3.0, 40.0]).at([0.5, 0.25])
    gradient = oracle.complex_step(
        lambda x: oracle.value(A1, A2, np.array([-3.0, 40.0]), x, "squared"), np.array([0.5, 0.25])
    )
    np.testing.assert_allclose(point.gradient, gradient, rtol=1e-13)


def test_shares_rounded_to_single_precision_are_taken():
    shares = np.full(3, 1.0 / 3.0, dtype=np.float32)
    objective = SoftmaxReLU(np.ones((2, 3)), np.ones((3, 2)), shares, loss="kl")
    assert objective.b.tolist() == [1.0 / 3.0] * 3
    for wrong in (shares.astype(np.float64), shares * np.float32(1.001)):
        with pytest.raises(ValueError, match="b sums to 1.00"):
            SoftmaxReLU(np.ones((2, 3)), np.ones((3, 2)), wrong, loss="kl")


@pytest.mark.parametrize("convert", [np.asfortranarray, np.ndarray.tolist, lambda a: np.repeat(a, 2, axis=0)[::2]])
def test_the_memory_layout_changes_no_bit(convert):
    case = oracle.random_problem(3, sizes=(30, 20, 12))
    first = SoftmaxReLU(case.A1, case.A2, case.b, weights=case.weights).at(case.x, 0.1)
    second = SoftmaxReLU(*map(convert, (case.A1, case.A2, case.b)), weights=convert(case.weights)).at(convert(case.x), 0.1)
    assert first.value == second.value
    for name in ("gradient", "hessian", "hessp"):
        arguments = [[], [case.x]][name == "hessp"]
        found = [each.gradient if name == "gradient" else getattr(each, name)(*arguments) for each in (first, second)]
        np.testing.assert_array_equal(*found)


def test_integers_and_single_precision_are_exact():
    point = SoftmaxReLU(A1.astype(int), A2.astype(np.float32), B).at([1, 2])
    np.testing.assert_array_equal(point.gradient, SoftmaxReLU(A1, A2, B).at([1.0, 2.0]).gradient)


def test_tiny_shares_warn_of_nothing():
    share = np.array([1e-310, 0.5, 0.5])
    found = terms(np.zeros(3), share, "kl")
    assert found.value == pytest.approx(np.log(1.5), rel=1e-15)


def test_arguments_are_never_written_to():
    targets, weights, x = B.copy(), np.ones(2), np.array([0.5, 0.25])
    objective = SoftmaxReLU(A1, A2, targets, loss="kl", weights=weights, reg=1.0)
    targets[:], weights[:] = 9.0, 9.0
    objective.at(x, 0.1).hessian()
    assert x.tolist() == [0.5, 0.25]
    assert objective.b.tolist() == [0.25, 0.75]
    assert objective.weights.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("loss", ["squared", "kl"])
@pytest.mark.parametrize("x", [[np.nan, 1.0], [np.inf, 1.0], [1e308, 1e308], [-1e308, 1e308]])
def test_overflow_is_a_value_and_not_a_warning(x, loss):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        point = SoftmaxReLU(A1, 1e10 * A2, B, loss=loss, reg=1.0).at(x, 0.1)
        assert not np.isfinite(point.value)
        for found in (point.gradient, point.hessp([1.0, 2.0]), point.hessian()):
            assert found.shape[0] == 2


@pytest.mark.parametrize("smoothing", [0.0, 5e-324, 1e-200, 1e200])
def test_extreme_smoothing_warns_of_nothing(smoothing):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x in ([0.0, 0.0], [0.5, 0.25]):
            point = SoftmaxReLU(A1, A2, B).at(x, smoothing)
            assert np.isfinite([point.value, *point.gradient]).all()


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_degenerate_layers_are_harmless(loss):
    case = oracle.random_problem(5, sizes=(6, 4, 5))
    layer, last = case.A1.copy(), case.A2.copy()
    layer[1], layer[2], last[:, 4] = 0.0, layer[3], 1.0
    point = SoftmaxReLU(layer, last, case.b, loss=loss).at(case.x, 0.1)
    hessian = oracle.complex_step(lambda x: oracle.gradient(layer, last, case.b, x, loss, 0.1), case.x)
    np.testing.assert_allclose(point.hessian(), hessian, atol=1e-12 * np.abs(hessian).max())
    single = SoftmaxReLU(layer[:1], last[:1, :1], [1.0], loss=loss).at(case.x)
    assert single.value == 0.0
    assert not single.hessian().any()


def test_where_no_unit_is_active_everything_is_zero():
    point = SoftmaxReLU(A1, A2, B).at([0.0, 0.0])
    assert not point.gradient.any()
    assert not point.hessian().any()
    assert point.hessian(basis=np.zeros((2, 0))).shape == (0, 0)
    assert point.value == pytest.approx(0.0625, rel=1e-15)


def test_entries_of_a_sparse_layer_that_are_there_twice_are_added():
    twice = sparse.csr_array(([1.0, 0.5, 1.5, 3.0, -1.0], [0, 1, 1, 0, 1], [0, 3, 5]), shape=(2, 2))
    objective = SoftmaxReLU(twice, A2, B)
    assert objective.value([0.5, 0.25]) == SoftmaxReLU(sparse.csr_array(A1), A2, B).value([0.5, 0.25])
    np.testing.assert_allclose(objective.row_norms, np.sqrt([5.0, 10.0]), rtol=1e-15)
    assert twice.nnz == 5


def test_a_hessian_that_cannot_fit_is_refused_by_its_bytes(monkeypatch):
    point = SoftmaxReLU(sparse.csr_array((1, 4000)), [[1.0], [2.0]], B).at(np.zeros(4000))
    monkeypatch.setattr(_validation, "available_memory", lambda: 10**8)
    with pytest.raises(MemoryError, match="the 4000 x 4000 Hessian needs 128000000 bytes"):
        point.hessian()
    shared = SharedSoftmaxReLU(np.zeros((1, 4000)), [[1.0], [2.0]], [B]).at(np.zeros(4000))
    with pytest.raises(MemoryError, match="needs 128000000 bytes"):
        shared.hessian()


def test_weights_alone_are_a_penalty():
    """The gradient has their part where reg is 0."""
    A1, x = np.array([[1.0, 2.0], [3.0, -1.0]]), np.array([0.5, 0.25])
    arguments = A1, [[1.0, -1.0], [0.0, 2.0]], [0.25, 0.75]
    penalised, plain = SoftmaxReLU(*arguments, weights=[2.0, 3.0]), SoftmaxReLU(*arguments)
    assert penalised.is_penalized and not plain.is_penalized
    expected = plain.gradient(x) + A1.T @ ([4.0, 9.0] * (A1 @ x))
    np.testing.assert_allclose(penalised.gradient(x), expected, rtol=1e-14)
