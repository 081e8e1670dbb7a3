"""Options, callbacks, warnings and hostile input of the solver."""

import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.optimize import OptimizeWarning

from underdetermined.softmax_relu import softmax_relu_regression

A1 = np.array([[1.0, 2.0], [3.0, -1.0]])
A2 = np.array([[1.0, -1.0], [0.0, 2.0]])
B = np.array([0.25, 0.75])
X0 = np.array([0.5, 0.25])


def fit(**changes):
    """The solver on a problem of two units."""
    known = dict(A1=A1, A2=A2, b=B, reg=0.01, x0=X0) | changes
    return softmax_relu_regression(known.pop("A1"), known.pop("A2"), known.pop("b"), **known)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(A1=[[1.0, np.nan], [3.0, -1.0]]), "A1 has 1 NaN"),
        (dict(A2=[[1.0, np.inf], [0.0, 2.0]]), "A2 has 1 NaN or infinite"),
        (dict(b=[np.nan, 0.5]), "b has 1 NaN"),
        (dict(x0=[np.nan, 0.5]), "x0 has 1 NaN"),
        (dict(A1=np.zeros((0, 2))), r"A1 has shape \(0, 2\)"),
        (dict(A1=[1.0, 2.0]), "A1 has 1 dimensions"),
        (dict(A2=np.ones((2, 3))), "A2 has 3 columns and A1 has 2 rows"),
        (dict(b=[0.2, 0.3, 0.5]), r"b has shape \(3,\)"),
        (dict(b=np.ones((2, 2, 2))), r"b has shape \(2, 2, 2\)"),
        (dict(b=np.ones((2, 0))), r"b has shape \(2, 0\).*no axis may be empty"),
        (dict(b=np.ones((3, 2))), r"b has shape \(3, 2\)"),
        (dict(b=[1e200, 0.0]), r"b has an entry of size 1e\+200, whose square overflows"),
        (dict(x0=[1.0, 2.0, 3.0]), r"x0 has shape \(3,\): pass \(2,\)"),
        (dict(loss="kl", b=[0.5, 0.6]), r"b sums to 1\.1.*pass b / b\.sum\(\)"),
        (dict(loss="kl", b=[-0.5, 1.5]), "b has the negative entry -0.5"),
        (dict(loss="hinge"), "loss='hinge' is unknown"),
        (dict(reg=-1.0), "reg=-1.0 is out of range"),
        (dict(weights=[1.0, 2.0, 3.0]), r"weights has shape \(3,\)"),
        (dict(n_starts=0), "n_starts=0 is out of range"),
        (dict(options={"eta": 0.3}), "eta=0.3 is out of range"),
        (dict(options={"gtol": 0.0}), "gtol=0.0 is out of range"),
        (dict(options={"epsilon": 1.0}), "epsilon=1.0 is out of range"),
        (dict(options={"maxiter": -1}), "maxiter=-1 is out of range"),
        (dict(options={"hessian": "bfgs"}), "hessian='bfgs' is unknown: pass one of 'auto'"),
        (dict(options={"initial_trust_radius": 10.0, "max_trust_radius": 1.0}), "initial_trust_radius=10 is larger"),
        (dict(A1=1e200 * A1, A2=1e200 * A2), "together overflow"),
    ],
)
def test_values_that_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        fit(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(A1=1j * A1), "A1 has dtype complex128"),
        (dict(A2=sparse.csr_array(A2)), "A2 is a csr_array"),
        (dict(b=["a", "b"]), "b has dtype"),
        (dict(reg="much"), "reg='much' is not a number"),
        (dict(n_starts=1.5), "n_starts=1.5 is not an integer"),
        (dict(callback=3), "callback=3 cannot be called"),
        (dict(options=7), "options=7 is not a dictionary"),
        (dict(options={"disp": "yes"}), "disp='yes' is not a bool or an integer"),
        (dict(random_state="seed", x0=None), "random_state='seed' is no seed"),
    ],
)
def test_types_that_are_refused(changes, message):
    with pytest.raises(TypeError, match=message):
        fit(**changes)


def test_too_large_problems_are_refused_before_they_are_tried(monkeypatch):
    monkeypatch.setattr("underdetermined._validation.available_memory", lambda: 100)
    with pytest.raises(MemoryError, match=r"softmax_relu_regression with A1 of shape \(2, 2\).* needs 256 bytes"):
        fit()


def test_unknown_options_are_ignored_aloud():
    with pytest.warns(OptimizeWarning, match="Unknown solver options: xtol, ftol; .* known ones are gtol, maxiter"):
        result = fit(options={"xtol": 1e-3, "ftol": 1.0})
    assert result.success


def test_targets_off_the_simplex_are_fitted_aloud():
    with pytest.warns(
        UserWarning, match=r"b is no distribution \(its least entry is -0\.5 and sums differ from 1 by up to 0\.25"
    ):
        result = fit(b=[-0.5, 1.25])
    assert result.success


@pytest.mark.parametrize("loss", ["squared", "kl"])
def test_zeros_without_penalty_are_announced(loss):
    with pytest.warns(UserWarning, match="b has 1 zeros and there is no penalty"):
        result = fit(b=[0.0, 1.0], reg=0.0, loss=loss)
    assert not result.success
    assert np.isfinite(result.fun)


@pytest.mark.parametrize("changes", [dict(reg=1e-6), dict(reg=0.0, weights=1e-3)])
def test_zeros_with_a_penalty_are_not(changes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit(b=[0.0, 1.0], **changes).success


@pytest.mark.parametrize("x0", [np.zeros(2), -X0])
def test_flat_starts_are_announced(x0):
    with pytest.warns(UserWarning, match="no unit is active at x0"):
        result = fit(x0=x0)
    start = 0.5 * np.sum((0.5 - B) ** 2) + 0.005 * x0 @ x0
    assert result.fun <= start * (1 + 1e-15)


def test_nothing_but_zero_rows():
    result = fit(A1=np.zeros((2, 2)), x0=None)
    np.testing.assert_array_equal(result.x, [0.0, 0.0])
    np.testing.assert_allclose(result.fitted, 0.5)


def test_one_output_is_always_one():
    result = fit(A2=[[1.0, 2.0]], b=[1.0], reg=0.0)
    assert result.fun == 0.0
    assert result.status == 3


def test_one_unit_and_one_unknown():
    result = softmax_relu_regression([[2.0]], [[1.0], [-1.0]], [0.9, 0.1], reg=1e-2, x0=[1.0])
    assert result.success
    assert result.x[0] > 0.0


def test_inputs_stay_as_they_were_and_their_layout_does_not_matter():
    rng = np.random.default_rng(3)
    hidden, output, start = rng.normal(size=(8, 4)), rng.normal(size=(5, 8)), rng.normal(size=4)
    b = rng.dirichlet(np.ones(5))
    copies = hidden.copy(), output.copy(), b.copy(), start.copy()
    plain = softmax_relu_regression(hidden, output, b, reg=1e-3, x0=start)
    again = softmax_relu_regression(np.asfortranarray(hidden), np.asfortranarray(output), b, reg=1e-3, x0=start)
    np.testing.assert_array_equal(plain.x, again.x)
    for array, copy in zip((hidden, output, b, start), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_integers_and_single_precision_are_converted():
    ints = softmax_relu_regression(A1.astype(int), A2.astype(int), B, reg=0.01, x0=X0)
    singles = fit(A1=A1.astype(np.float32), A2=A2.astype(np.float32), b=B.astype(np.float32), loss="kl")
    np.testing.assert_array_equal(ints.x, fit().x)
    np.testing.assert_array_equal(singles.x, fit(loss="kl").x)


def test_sparse_layers_are_solved_as_dense_ones():
    np.testing.assert_array_equal(fit(A1=sparse.csr_array(A1)).x, fit().x)


def test_callback_by_name_of_its_parameter():
    seen = []

    def watch(intermediate_result):
        seen.append((intermediate_result.x, intermediate_result.fun))

    result = fit(callback=watch)
    points = []
    again = fit(callback=lambda xk: points.append(xk))
    assert len(seen) == len(points) == result.nit == again.nit
    np.testing.assert_array_equal([x for x, _ in seen], points)
    np.testing.assert_array_equal(result.x, again.x)


def test_callback_sees_the_objective_at_its_point():
    rng = np.random.default_rng(5)
    hidden, output, b = rng.normal(size=(6, 9)), rng.normal(size=(4, 6)), rng.dirichlet(np.ones(4))
    seen = []

    def watch(intermediate_result):
        seen.append(intermediate_result)

    result = softmax_relu_regression(hidden, output, b, reg=1e-2, random_state=1, callback=watch)
    x = seen[-1].x
    y = output @ np.maximum(hidden @ x, 0.0)
    fitted = np.exp(y - y.max()) / np.exp(y - y.max()).sum()
    np.testing.assert_allclose(seen[-1].fun, 0.5 * np.sum((fitted - b) ** 2) + 0.005 * x @ x, rtol=1e-13)
    np.testing.assert_allclose(result.x, x, atol=1e-8)


@pytest.mark.parametrize("after", [1, 3])
def test_callback_stops(after):
    seen = []

    def watch(xk):
        seen.append(xk)
        assert len(seen) <= after
        raise_from(len(seen) >= after)

    result = fit(callback=watch, n_starts=3, random_state=0)
    assert (result.status, result.success) == (99, False)
    assert "callback" in result.message
    np.testing.assert_array_equal(result.x, seen[-1])


@pytest.mark.parametrize("changes", [dict(), dict(options={"hessian": "sampled"}), dict(A1=np.eye(4, 6), reg=0.0)])
def test_callback_of_many_problems_sees_all_of_them(changes):
    rng = np.random.default_rng(7)
    known = dict(A1=rng.normal(size=(4, 6)), A2=rng.normal(size=(3, 4)), b=rng.dirichlet(np.ones(3), 2).T, reg=1e-2)
    known |= changes
    seen = []

    def watch(intermediate_result):
        seen.append((intermediate_result.x.shape, np.shape(intermediate_result.fun)))

    result = fit(**known, x0=np.ones(6), callback=watch)
    assert result.x.shape == (6, 2)
    assert set(seen) == {((6, 2), (2,))}

    def stop(xk):
        raise StopIteration

    np.testing.assert_array_equal(fit(**known, x0=np.ones(6), callback=stop).status, 99)


def raise_from(is_due):
    """Stop an iteration where it is due."""
    for _ in range(is_due):
        raise StopIteration


def test_no_steps_leave_the_start_with_its_certificate():
    result = fit(options={"maxiter": 0})
    np.testing.assert_allclose(result.x, X0, rtol=1e-15)
    assert (result.status, result.success, result.nit) == (5, False, 0)


def test_few_steps_are_not_exceeded():
    result = fit(options={"maxiter": 2}, n_starts=2, random_state=0)
    assert result.nit <= 4
    assert all(start["fun"] >= result.fun for start in result.starts)


def test_loose_tolerance_accepts_earlier():
    rng = np.random.default_rng(6)
    hidden, output, b = rng.normal(size=(20, 10)), rng.normal(size=(10, 20)), rng.dirichlet(np.ones(10))
    loose = softmax_relu_regression(hidden, output, b, reg=1e-3, random_state=1, options={"gtol": 1e-4})
    strict = softmax_relu_regression(hidden, output, b, reg=1e-3, random_state=1)
    assert loose.kkt_residual <= 1e-4
    assert strict.kkt_residual <= 1e-12
    assert loose.nhev <= strict.nhev


def test_tolerance_of_the_user_counts_where_it_is_looser():
    known = dict(A1=np.eye(2), reg=0.01, x0=softmax_relu_regression(np.eye(2), A2, B, reg=0.01, x0=X0).x)
    known["x0"] = known["x0"] + np.array([0.0, 1e-7])
    strict = fit(**known, options={"maxiter": 0})
    loose = fit(**known, options={"maxiter": 0, "gtol": 1e-3})
    assert strict.status == 5
    # Stationary for the user, but a residual of that size may hide a decrease.
    assert loose.status in (0, 1, 6)
    np.testing.assert_allclose(loose.certificate.kkt_tolerance, 1e-3)


def test_free_hidden_values_are_shown_once():
    seen = []
    result = fit(reg=0.0, callback=seen.append)
    np.testing.assert_allclose(seen, [result.x], rtol=1e-14)

    def stop(xk):
        raise StopIteration

    assert fit(reg=0.0, callback=stop).status == 99


def test_display(capsys):
    fit(options={"disp": True}, n_starts=2, random_state=0)
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["start 1", "start 2"]
    assert "status 1" in lines[0]


def test_zero_shares_are_approached_and_never_fitted():
    with pytest.warns(UserWarning, match="no minimiser"):
        result = softmax_relu_regression([[1.0]], [[1.0], [-1.0]], [1.0, 0.0], x0=[1e3])
    assert result.loss < 1e-30
    assert (result.status, result.global_optimum) == (6, False)
    # Two units share the unknown, so that the hidden values are not free.
    with pytest.warns(UserWarning, match="no minimiser"):
        result = softmax_relu_regression([[1.0], [-1.0]], [[1.0, -1.0], [-1.0, 1.0]], [1.0, 0.0], x0=[1e3])
    assert (result.loss, result.status, result.global_optimum) == (0.0, 6, False)
    assert "only approached" in result.message
