"""Hessians made of rows drawn by leverage: their scores, their error in the norm of the Hessian, and the rate they give."""

import numpy as np
import pytest
from scipy.linalg import eigh
from scipy.sparse import csr_array

from underdetermined.objectives import SoftmaxReLU
from underdetermined.softmax_relu import sample_size, sampled_hessian
from underdetermined.softmax_relu.newton.trust_region import trust_region_newton
from underdetermined.softmax_relu.sampling.leverage import HessianRows, scores_from_above

pytestmark = pytest.mark.usefixtures("single_threaded_blas")

SHAPES = {
    "even rows": {"m": 20000, "n": 20, "d": 5, "loss": "kl"},
    "squared loss": {"m": 40000, "n": 12, "d": 3, "loss": "squared", "reg": 1e-6},
    "heavy rows": {"m": 20000, "n": 20, "d": 5, "loss": "kl", "heavy": True},
    "softplus": {"m": 30000, "n": 15, "d": 8, "loss": "kl", "reg": 1e-4, "smoothing": 0.1},
    "weights": {"m": 20000, "n": 10, "d": 5, "loss": "kl", "weights": 0.3},
}


def draw_point(m, n, d, *, heavy=False, smoothing=0.0, sparse=False, seed=0, **options):
    """A point of a problem with many outputs, near enough to uniform that the squared loss keeps some curvature."""
    rng = np.random.default_rng(seed)
    A1, A2 = rng.normal(size=(n, d)) / np.sqrt(d), rng.normal(size=(m, n)) / np.sqrt(n)
    A2 *= np.abs(rng.standard_t(2, size=(m, 1))) if heavy else 1.0
    objective = SoftmaxReLU(csr_array(A1) if sparse else A1, A2, rng.dirichlet(np.full(m, 20.0)), **options)
    return objective.at(rng.normal(size=d), smoothing)


def whitened(hessian):
    """W with W^T H W the identity on the range of H."""
    values, vectors = np.linalg.eigh(hessian)
    kept = values > 1e-10 * values[-1]
    return vectors[:, kept] / np.sqrt(values[kept])


def true_scores(rows, hessian):
    return np.sum((rows.take(np.arange(len(rows))) @ whitened(hessian)) ** 2, axis=1)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("directions", [None, 3])
def test_rows_and_rest_make_up_the_hessian(name, directions):
    point = draw_point(**{**SHAPES[name], "m": 200})
    basis = None if directions is None else np.random.default_rng(1).normal(size=(point.x.size, directions))
    rows = HessianRows(point, basis)
    all_rows = rows.take(np.arange(len(rows)))
    hessian = point.hessian("clipped", basis=basis)
    assert np.allclose(all_rows.T @ all_rows + rows.rest, hessian, rtol=1e-11, atol=1e-13 * np.abs(hessian).max())
    right = np.random.default_rng(2).normal(size=(rows.order, 4))
    assert np.allclose(rows.squares(right), np.sum((all_rows @ right) ** 2, axis=1), rtol=1e-9)


@pytest.mark.parametrize("name", SHAPES)
def test_scores_are_from_above_and_not_far(name):
    point = draw_point(**SHAPES[name])
    rows = HessianRows(point, None)
    scores, exact = scores_from_above(rows, 0.1, np.random.default_rng(0)), true_scores(rows, point.hessian("clipped"))
    assert np.all(scores >= exact * (1.0 - 1e-9))
    assert scores.max() <= 1.0
    assert scores.sum() <= 3.0 * exact.sum()


@pytest.mark.parametrize("sparse", [False, True])
def test_random_products_estimate_many_scores_from_above(sparse):
    point = draw_point(2000, 300, 200, loss="kl", reg=1e-7, sparse=sparse)
    rows = HessianRows(point, None)
    found = [scores_from_above(rows, 0.1, np.random.default_rng(seed)) for seed in range(2)]
    exact = true_scores(rows, point.hessian("clipped"))
    assert not np.array_equal(*found)
    for scores in found:
        assert np.all(scores >= exact)
        assert scores.sum() <= 2.5 * exact.sum()


def test_rank_deficient_hessians_have_scores_on_their_range():
    point = draw_point(20000, 3, 5, loss="kl")
    rows = HessianRows(point, None)
    exact = true_scores(rows, point.hessian())
    scores = scores_from_above(rows, 0.1, np.random.default_rng(0))
    assert exact.sum() == pytest.approx(np.count_nonzero(point.z > 0.0))
    assert np.all(scores >= exact * (1.0 - 1e-9)) and scores.sum() <= 2.0 * exact.sum()


@pytest.mark.parametrize("epsilon", [0.5, 0.3])
@pytest.mark.parametrize("name", SHAPES)
def test_the_error_in_the_norm_of_the_hessian_keeps_its_promise(name, epsilon):
    point = draw_point(**SHAPES[name])
    white = whitened(point.hessian("clipped"))
    errors = []
    for seed in range(6):
        hessian = sampled_hessian(point, epsilon, failure_probability=0.1, random_state=seed)
        assert np.array_equal(hessian, hessian.T)
        errors.append(np.abs(np.linalg.eigvalsh(white.T @ hessian @ white) - 1.0).max())
    assert 0.02 * epsilon < np.median(errors) < np.max(errors) < epsilon


def test_uniform_rows_are_no_substitute_where_some_are_heavy():
    point = draw_point(**SHAPES["heavy rows"])
    rows, white = HessianRows(point, None), whitened(point.hessian())
    rng = np.random.default_rng(0)
    uniform = [rows.sampled(np.ones(len(rows)), 2000, rng) for _ in range(10)]
    errors = [np.abs(np.linalg.eigvalsh(white.T @ hessian @ white) - 1.0).max() for hessian in uniform]
    assert np.median(errors) > 0.5


def test_a_subspace_and_seeds():
    point = draw_point(**SHAPES["even rows"])
    basis = np.linalg.qr(np.random.default_rng(3).normal(size=(5, 3)))[0]
    first, again = (sampled_hessian(point, 0.5, basis=basis, random_state=7) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, sampled_hessian(point, 0.5, basis=basis, random_state=8))
    errors = eigh(first, point.hessian(basis=basis), eigvals_only=True) - 1.0
    assert 0.0 < np.abs(errors).max() < 0.5
    rng = np.random.default_rng(7)
    assert np.array_equal(first, sampled_hessian(point, 0.5, basis=basis, random_state=rng))
    assert not np.array_equal(first, sampled_hessian(point, 0.5, basis=basis, random_state=rng))


@pytest.mark.parametrize("options", [{"epsilon": 1e-3}, {"failure_probability": 1e-300}])
def test_the_exact_matrix_comes_where_a_sample_would_not_be_smaller(options):
    point = draw_point(**SHAPES["even rows"])
    assert np.array_equal(sampled_hessian(point, **options), point.hessian("clipped"))
    small = draw_point(50, 20, 5, loss="squared")
    assert np.array_equal(sampled_hessian(small, 0.5), small.hessian("clipped"))
    flat = small.objective.at(np.zeros(5))
    assert not sampled_hessian(flat, 0.5).any()


def test_sizes_of_samples():
    assert (sample_size(10, 0.5, 0.1), sample_size(10, 0.25, 0.1)) == (495, 1837)
    assert sample_size(0, 0.5) == 1
    assert sample_size(30, 0.5, dimension=10) == pytest.approx(3 * sample_size(10, 0.5), abs=3)
    assert sample_size(10, 0.5, 1e-9) > sample_size(10, 0.5, 1e-3) > sample_size(10, 0.5)


def test_a_relative_error_promises_nothing_in_the_euclidean_norm():
    condition, epsilon = 1e6, 0.01
    hessian = np.diag([1.0, condition])
    other = hessian + epsilon * np.sqrt(condition) * np.array([[0.0, 1.0], [1.0, 0.0]])
    assert np.abs(eigh(other, hessian, eigvals_only=True) - 1.0).max() <= epsilon * (1.0 + 1e-9)
    before = np.array([0.0, 1.0])
    after = before - np.linalg.solve(other, hessian @ before)
    assert np.linalg.norm(after) == pytest.approx(epsilon * np.sqrt(condition), rel=1e-3)
    assert np.sqrt(after @ hessian @ after / (before @ hessian @ before)) <= epsilon / (1.0 - epsilon)


@pytest.fixture(scope="module")
def minimum():
    """A smooth minimiser of a problem with many outputs, by exact steps."""
    point = draw_point(**SHAPES["softplus"])
    return trust_region_newton(point.objective, point.x, smoothing=0.1, gtol=1e-12)


def in_the_norm_of(hessian, vector):
    return np.sqrt(vector @ hessian @ vector)


def test_sampled_steps_converge_at_their_rate(minimum):
    objective, best = minimum.point.objective, minimum.x
    hessian = minimum.point.hessian()
    for epsilon in (0.3, 0.45):
        # Far below the radius in which the Hessian changes at all.
        error = 1e-5 * np.random.default_rng(4).normal(size=best.size)
        for seed in range(3):
            point = objective.at(best + error, 0.1)
            step = np.linalg.solve(sampled_hessian(point, epsilon, random_state=seed), point.gradient)
            shrunk = in_the_norm_of(hessian, error - step) / in_the_norm_of(hessian, error)
            assert 0.01 * epsilon < shrunk < epsilon / (1.0 - epsilon) + 1e-3
            error = error - step


def test_the_rate_is_attained_by_the_worst_approximation(minimum):
    objective, best, epsilon = minimum.point.objective, minimum.x, 0.3
    error = 1e-6 * np.random.default_rng(5).normal(size=best.size)
    point = objective.at(best + error, 0.1)
    after = error - np.linalg.solve((1.0 - epsilon) * point.hessian(), point.gradient)
    hessian = minimum.point.hessian()
    shrunk = in_the_norm_of(hessian, after) / in_the_norm_of(hessian, error)
    assert shrunk == pytest.approx(epsilon / (1.0 - epsilon), rel=1e-3)


def test_sampled_hessians_lead_to_the_minimum_of_exact_ones(minimum):
    values, rng = [], np.random.default_rng(6)
    run = trust_region_newton(
        minimum.point.objective,
        draw_point(**SHAPES["softplus"]).x,
        smoothing=0.1,
        gtol=1e-10,
        curvature=lambda point: sampled_hessian(point, 0.5, random_state=rng),
        on_step=lambda x, value: values.append(value),
    )
    assert run.is_converged and np.all(np.diff(values) <= 1e-15)
    assert np.allclose(run.x, minimum.x, atol=1e-7)
    assert run.n_iter <= 40


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"epsilon": 0.0}, ValueError),
        ({"epsilon": 1.0}, ValueError),
        ({"epsilon": "half"}, TypeError),
        ({"failure_probability": 0.0}, ValueError),
        ({"failure_probability": np.nan}, ValueError),
        ({"basis": np.ones((3, 1))}, ValueError),
    ],
)
def test_hostile_options_are_refused(options, error):
    point = draw_point(60, 4, 2, loss="kl")
    with pytest.raises(error, match=next(iter(options))):
        sampled_hessian(point, **options)
    with pytest.raises(TypeError, match="point is a SoftmaxReLU"):
        sampled_hessian(point.objective)


@pytest.mark.parametrize(("rank", "epsilon"), [(-1.0, 0.5), (np.inf, 0.5), (3, 1.5), (3, 0.0)])
def test_hostile_sizes_are_refused(rank, epsilon):
    with pytest.raises(ValueError, match="out of range"):
        sample_size(rank, epsilon)
