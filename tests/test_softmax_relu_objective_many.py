"""Batches of softmax-ReLU problems, and one hidden layer shared by many: both against single problems."""

import numpy as np
import pytest
import softmax_relu_oracle as oracle
from scipy import sparse

from underdetermined import blocks
from underdetermined.objectives import SharedSoftmaxReLU, SoftmaxReLU, SoftmaxReLUBatch, _softmax_relu_shared

CURVATURES = ("exact", "clipped", "gauss-newton")


def a_batch(seed, *, loss="squared", layer=np.asarray, n_problems=7):
    """A batch with penalties, points and directions, and smoothings some of which are 0."""
    rng = np.random.default_rng(seed)
    n, m, d = rng.integers(2, 9, 3)
    targets = rng.dirichlet(np.ones(m), n_problems).T
    layers = layer(rng.normal(size=(n, d))), rng.normal(size=(m, n))
    batch = SoftmaxReLUBatch(*layers, targets, loss=loss, reg=0.1, weights=rng.uniform(size=n))
    smoothing = rng.choice([0.0, 1e-3, 0.1, 1.0], n_problems)
    return batch, rng.normal(size=(d, n_problems)), rng.normal(size=(d, n_problems)), smoothing


@pytest.mark.parametrize("layer", [np.asarray, sparse.csc_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_a_batch_is_its_problems(loss, layer):
    for seed in range(8):
        batch, points, directions, smoothing = a_batch(seed, loss=loss, layer=layer)
        together = batch.at(points, smoothing)
        singles = [batch.column(j).at(points[:, j], smoothing[j]) for j in range(batch.n_problems)]
        for name in ("value", "loss", "penalty"):
            alone = [getattr(each, name) for each in singles]
            np.testing.assert_allclose(getattr(together, name), alone, rtol=1e-13, atol=1e-15)
        for name in ("z", "hidden", "slopes", "fitted", "unit_slopes", "gradient", "gradient_of_penalty"):
            alone = np.column_stack([getattr(each, name) for each in singles])
            np.testing.assert_allclose(getattr(together, name), alone, rtol=1e-12, atol=1e-14)
        for curvature in CURVATURES:
            alone = np.column_stack([each.hessp(u, curvature) for each, u in zip(singles, directions.T, strict=True)])
            np.testing.assert_allclose(together.hessp(directions, curvature), alone, rtol=1e-11, atol=1e-12)
        np.testing.assert_array_equal(batch.value(points, smoothing), together.value)


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_products_of_a_batch_agree_with_complex_steps(loss):
    batch, points, directions, smoothing = a_batch(20, loss=loss)
    products = batch.at(points, smoothing).hessp(directions)
    for j, column in enumerate(points.T):
        arguments = (batch.A1, batch.A2, batch.B[:, j])
        options = {"smoothing": smoothing[j], "reg": batch.reg, "weights": batch.weights}
        moved = oracle.gradient(*arguments, column + 1j * oracle.STEP * directions[:, j], loss, **options)
        np.testing.assert_allclose(products[:, j], moved.imag / oracle.STEP, rtol=1e-11, atol=1e-13)


def test_each_problem_of_a_batch_is_smoothed_by_itself():
    batch, points, _, _ = a_batch(2, n_problems=3)
    at_kinks = batch.at(np.zeros_like(points), [0.0, 0.1, 1e-300])
    np.testing.assert_array_equal(at_kinks.slopes, np.tile([0.0, 0.5, 0.5], (batch.n_hidden, 1)))
    np.testing.assert_allclose(at_kinks.hidden, np.tile([0.0, 0.1 * np.log(2.0), 0.0], (batch.n_hidden, 1)), atol=1e-16)


def test_a_batch_takes_a_mask_of_units():
    batch, points, directions, smoothing = a_batch(3)
    masks = np.random.default_rng(3).random((batch.n_hidden, batch.n_problems)) < 0.5
    together = batch.at(points, smoothing, masks)
    for j in range(batch.n_problems):
        alone = batch.column(j).at(points[:, j], active=masks[:, j])
        assert together.value[j] == pytest.approx(alone.value, rel=1e-14)
        np.testing.assert_allclose(together.hessp(directions)[:, j], alone.hessp(directions[:, j]), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("columns", [[4, 1], [], np.arange(7) % 2 == 0], ids=["indices", "none", "mask"])
def test_a_part_of_a_batch(columns):
    batch, points, _, smoothing = a_batch(4)
    which = np.arange(7)[np.asarray(columns, dtype=None if len(columns) else int)]
    part = batch.select(which)
    np.testing.assert_array_equal(part.B, batch.B[:, which])
    np.testing.assert_array_equal(batch.select(np.isin(np.arange(7), which)).B, batch.B[:, np.sort(which)])
    assert part.A2 is batch.A2
    np.testing.assert_allclose(
        part.value(points[:, which], smoothing[which]), batch.value(points, smoothing)[which], rtol=1e-14
    )
    assert part.at(points[:, which]).gradient.shape == (batch.n_parameters, len(which))


def test_a_problem_of_a_batch_shares_its_layers():
    batch, *_ = a_batch(5)
    problem = batch.column(2)
    assert isinstance(problem, SoftmaxReLU)
    assert problem.A1 is batch.A1
    assert (problem.reg, problem.loss) == (batch.reg, batch.loss)
    np.testing.assert_array_equal(problem.b, batch.B[:, 2])


def a_network(seed, *, loss="kl", n_samples=7, **options):
    """A network with a fixed last layer, as arrays and as an objective, and parameters."""
    rng = np.random.default_rng(seed)
    n, m, p = rng.integers(2, 6, 3)
    inputs, last, targets = rng.normal(size=(n_samples, p)), rng.normal(size=(m, n)), rng.dirichlet(np.ones(m), n_samples)
    settings = {"reg": 0.1, "sample_weight": rng.uniform(size=n_samples), "offset": rng.normal(size=m), **options}
    return SharedSoftmaxReLU(inputs, last, targets, loss=loss, **settings), rng.normal(size=n * p)


def singles_of(objective):
    """The problem of each input: A1 = I (x) phi_j, and a unit that is always 1 for the offset."""
    width = objective.width
    for j in range(objective.n_samples):
        layer = np.zeros((width + 1, objective.n_parameters + 1))
        layer[:width, :-1] = np.kron(np.eye(width), objective.Phi[j])
        # Too far from its kink to be smoothed.
        layer[width, -1] = 50.0
        yield SoftmaxReLU(
            layer, np.column_stack([objective.A2, objective.offset / 50.0]), objective.B[j], loss=objective.loss
        )


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_a_shared_layer_is_the_sum_of_its_problems(loss, smoothing):
    for seed in range(5):
        objective, x = a_network(seed, loss=loss)
        z = objective.hidden(x)
        value, gradient = 0.0, np.zeros(objective.n_parameters)
        hessians = {name: np.zeros((objective.n_parameters, objective.n_parameters)) for name in CURVATURES}
        for weight, single in zip(objective.sample_weight, singles_of(objective), strict=True):
            point = single.at(np.append(x, 1.0), smoothing)
            value += weight * point.value
            gradient += weight * point.gradient[:-1]
            for name in CURVATURES:
                hessians[name] += weight * point.hessian(name)[:-1, :-1]
        point = objective.at(x, smoothing)
        assert point.loss == pytest.approx(value, rel=1e-13)
        assert point.value == pytest.approx(value + 0.05 * x @ x, rel=1e-13)
        assert objective.value(x, smoothing) == pytest.approx(point.value, rel=1e-15)
        np.testing.assert_allclose(point.gradient, gradient + 0.1 * x, atol=1e-13 * (1.0 + np.abs(gradient).max()))
        np.testing.assert_array_equal(point.z, z)
        for name in CURVATURES:
            expected = hessians[name] + 0.1 * np.eye(len(x))
            size = np.abs(expected).max()
            np.testing.assert_allclose(point.hessian(name), expected, atol=1e-12 * size)
            np.testing.assert_allclose(point.hessp(x, name), expected @ x, atol=1e-11 * size)


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_the_linear_parts_of_a_shared_layer(loss):
    objective, x = a_network(6, loss=loss)
    point = objective.at(x, 0.2)
    every = np.arange(objective.n_hidden)
    rows = objective.rows(every)
    np.testing.assert_allclose(rows @ x, point.z, atol=1e-14)
    np.testing.assert_allclose(objective.row_norms, np.sqrt((rows.toarray() ** 2).sum(axis=1)), rtol=1e-14)
    np.testing.assert_allclose(objective.hidden_adjoint(point.z), rows.T @ point.z, atol=1e-13)
    np.testing.assert_array_equal(objective.rows([3, 1]).toarray(), rows.toarray()[[3, 1]])
    np.testing.assert_array_equal(objective.rows(point.z > 0.0).toarray(), rows.toarray()[point.z > 0.0])
    back = objective.hidden_adjoint(point.slopes * point.unit_slopes) + point.gradient_of_penalty
    np.testing.assert_allclose(back, point.gradient, atol=1e-14)
    logits = point.hidden.reshape(objective.n_samples, -1) @ objective.A2.T + objective.offset
    np.testing.assert_allclose(point.fitted, [oracle.softmax(row) for row in logits], rtol=1e-13)
    basis = np.random.default_rng(0).normal(size=(len(x), 3))
    hessian = point.hessian()
    np.testing.assert_allclose(point.hessian(basis=basis), basis.T @ hessian @ basis, atol=1e-11)
    np.testing.assert_array_equal(hessian, hessian.T)
    np.testing.assert_array_equal(point.hessian(basis=basis), point.hessian(basis=basis).T)
    jacobian = point.centred_jacobian()
    made = jacobian.T * point.curvature_weights() @ jacobian + rows.T @ sparse.diags_array(point.kink_weights()) @ rows
    np.testing.assert_allclose(made + 0.1 * np.eye(len(x)), hessian, atol=1e-12)
    np.testing.assert_allclose(point.centred_jacobian(basis), jacobian @ basis, atol=1e-12)


def test_a_shared_layer_takes_a_mask_of_kinks():
    objective, x = a_network(7)
    z = objective.hidden(x)
    cell, plain = objective.at(x, active=z > 0.0), objective.at(x)
    assert cell.value == plain.value
    np.testing.assert_array_equal(cell.hessp(x), plain.hessp(x))
    np.testing.assert_array_equal(cell.hidden, plain.hidden)
    every = objective.at(x, active=np.ones(z.size, dtype=bool))
    logits = z.reshape(objective.n_samples, -1) @ objective.A2.T + objective.offset
    np.testing.assert_allclose(every.fitted, [oracle.softmax(row) for row in logits], rtol=1e-13)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_blocks_and_threads_change_nothing(monkeypatch, smoothing):
    objective, x = a_network(8, n_samples=300)
    whole = objective.at(x, smoothing)
    monkeypatch.setattr(_softmax_relu_shared, "_BLOCK_ENTRIES", 1)
    monkeypatch.setattr(_softmax_relu_shared, "_SMALLEST_BLOCK", 7)
    found = []
    for threads in (1, 3):
        monkeypatch.setattr(blocks, "thread_count", lambda _, threads=threads: threads)
        other, _ = a_network(8, n_samples=300)
        point = other.at(x, smoothing)
        found.append((point.value, point.gradient, point.hessp(x), point.unit_slopes, other.value(x, smoothing)))
    assert [len(group) for group in other.groups] == [3] * 14 + [1]
    for one, several in zip(*found, strict=True):
        np.testing.assert_array_equal(one, several)
    np.testing.assert_allclose(found[0][1], whole.gradient, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found[0][2], whole.hessp(x), rtol=1e-12, atol=1e-12)
    assert found[0][0] == pytest.approx(whole.value, rel=1e-14)


def test_a_weight_of_two_is_a_row_that_is_there_twice():
    objective, x = a_network(9, n_samples=4, sample_weight=[1.0, 2.0, 0.0, 1.0])
    rows = [0, 1, 1, 3]
    twice = SharedSoftmaxReLU(objective.Phi[rows], objective.A2, objective.B[rows], reg=0.1, offset=objective.offset)
    assert twice.value(x) == pytest.approx(objective.value(x), rel=1e-14)
    np.testing.assert_allclose(twice.at(x).hessp(x), objective.at(x).hessp(x), atol=1e-13)


def test_several_directions_at_once():
    objective, x = a_network(10)
    point = objective.at(x, 0.3)
    directions = np.random.default_rng(1).normal(size=(len(x), 3))
    for column, product in zip(directions.T, point.hessp(directions).T, strict=True):
        np.testing.assert_array_equal(point.hessp(column), product)


@pytest.mark.parametrize("layer", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_the_linear_parts_of_one_problem(layer):
    case = oracle.random_problem(30, sizes=(6, 4, 5))
    case.A1[2] = 0.0
    objective = SoftmaxReLU(layer(case.A1), case.A2, case.b)
    g = np.arange(6.0)
    np.testing.assert_allclose(objective.hidden(case.x), case.A1 @ case.x, rtol=1e-14)
    np.testing.assert_allclose(objective.hidden_adjoint(g), g @ case.A1, rtol=1e-13)
    np.testing.assert_allclose(objective.row_norms, np.linalg.norm(case.A1, axis=1), rtol=1e-15)
    for which, expected in (([3, 1], [3, 1]), (g > 2.0, [3, 4, 5]), ([], np.zeros(0, dtype=int))):
        np.testing.assert_array_equal(sparse.csr_array(objective.rows(which)).toarray(), case.A1[expected])
    huge = SoftmaxReLU(layer(1e200 * case.A1), case.A2, case.b)
    np.testing.assert_allclose(huge.row_norms, 1e200 * objective.row_norms, rtol=1e-14)
