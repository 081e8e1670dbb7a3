"""The automatic width: what a bound recommends where that is affordable, else twice the rows."""

from typing import Any

import numpy as np
from scipy.sparse import issparse

from underdetermined.blocks import single_threaded_blas
from underdetermined.bounds import Assumption, WidthBound, WidthProblem, min_width_importance, minimum_width
from underdetermined.estimators._layer import LEVERAGE, is_positive

__all__ = ["choose_width", "rule_of_thumb"]

# A bound takes about as long as sampling its neurons, 200 n^3 multiplications, ten times and more what the fit takes without
# it. Up to here that is a fifth of a second on one core.
BOUND_ROWS = 256
# Neurons that it samples, and the largest width that is taken from it: at least so many, and so many for each row. Wider
# networks would make predictions and pickles large for scores that do not change.
BOUND_NEURONS = (8192, 64)
FEATURE_BYTES = 2**32  # the features that the rule of thumb may take, whatever the machine
_DENSE_BYTES = 2**27  # sparse rows up to this size are made dense for a bound
_SPECTRUM: dict[str, Any] = {"target": "spectrum", "epsilon": 0.9, "failure_probability": 0.1}


def choose_width(estimator: Any, inputs: Any) -> tuple[int, WidthBound | None]:
    """Choose a width for these rows, by the parameters of `estimator`.

    The choice looks at the set of rows alone: not at their order, nor at the seed, nor at the machine, so that a seed gives
    the same network everywhere.

    Parameters
    ----------
    estimator : estimator
        With the parameters of a hidden layer.
    inputs : {ndarray, CSR array} of shape (n, d)
        Distinct rows.

    Returns
    -------
    width : int
        Number of neurons.
    bound : WidthBound or None
        Where it comes from: a bound, or the rule of thumb, whose statement says why there is no bound. None for a width that
        was given.
    """
    if estimator.width != "auto":
        return estimator.width, None
    n_rows = inputs.shape[0]
    bound, obstacle = _affordable_bound(estimator, inputs)
    if bound is not None and bound.width is not None:
        return bound.width, bound
    width = rule_of_thumb(n_rows)
    return width, WidthBound(
        name="rule",
        width=width,
        kind="estimate",
        role="sufficient",
        weights="any",
        statement=f"max(2 n, 512) neurons, within 4 GiB of features, are {width} for {n_rows} rows, because {obstacle}.",
        reference="a rule of thumb, no published result",
        assumptions=(Assumption("so many neurons are enough for these rows", None),),
    )


def rule_of_thumb(n_rows: int) -> int:
    """Return max(2 n, 512), lowered so that n x width float64 features take at most 4 GiB."""
    return max(1, min(max(2 * n_rows, 512), FEATURE_BYTES // (8 * max(n_rows, 1))))


def _affordable_bound(estimator: Any, inputs: Any) -> tuple[WidthBound | None, str]:
    """Return the recommended bound, or why it is not to be had."""
    n_rows, n_inputs = inputs.shape
    if is_positive(estimator.activation):
        return None, "the bounds do not speak of positive features"
    if estimator.sampler not in ("gaussian", LEVERAGE):
        return None, f"the bounds do not speak of sampler={estimator.sampler!r}"
    if n_rows > BOUND_ROWS:
        return None, f"a bound is computed for at most {BOUND_ROWS} rows"
    if issparse(inputs) and 8 * n_rows * n_inputs > _DENSE_BYTES:
        return None, "the rows are sparse and would take too much memory as the dense ones that a bound needs"
    try:
        with single_threaded_blas():  # so few rows are done sooner so, and rounding does not depend on the machine
            bound = _bound(estimator, inputs)
    except Exception as error:  # the fit can do without a bound, whatever went wrong with it
        return None, f"the bound could not be computed ({type(error).__name__}: {error})"
    if bound.width is None or bound.role != "sufficient" or not bound.is_applicable:
        return None, f"no width is known to suffice ({bound.statement.rstrip('.')})"
    if bound.weights == LEVERAGE != estimator.sampler:
        return None, "no affordable width is known to suffice for neurons that are not drawn by leverage"
    if bound.width > _most_neurons(n_rows):
        return None, f"the bound {bound.name!r} asks for {bound.width} neurons, more than {_most_neurons(n_rows)}"
    return bound, ""


def _bound(estimator: Any, inputs: Any) -> WidthBound:
    dense = inputs.toarray() if issparse(inputs) else inputs
    rows = np.unique(np.asarray(dense, dtype=np.float64) + 0.0, axis=0)  # sorted, so that their order changes nothing
    layer = {"activation": estimator.activation, "weight_scale": estimator.weight_scale, "bias_scale": estimator.bias_scale}
    if estimator.sampler == LEVERAGE:
        return min_width_importance(WidthProblem.from_data(rows, **layer), **_SPECTRUM)
    return minimum_width(rows, n_samples=_most_neurons(len(rows)), **layer, **_SPECTRUM).recommended


def _most_neurons(n_rows: int) -> int:
    least, per_row = BOUND_NEURONS
    return max(least, per_row * n_rows)
