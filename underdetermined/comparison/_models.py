"""What every comparison shares: the targets, scikit-learn's models, and how well a training set is fitted."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from underdetermined.crossvalidation import to_unit_scale
from underdetermined.tables import Table, Task, numeric_target

_MLP_MAX_ITER = 200  # the default of scikit-learn; more would overfit small tables


def encode_targets(table: Table, task: Task) -> np.ndarray:
    """Numbers, or class labels: whole numbers as they are, anything else as text."""
    if task == "classification":
        if table.target.dtype.kind in "fiu" and np.all(table.target == np.round(table.target)):
            return table.target.astype(np.int64)
        return table.target.astype(str)
    return numeric_target(table)


def reference_models(task: Task, targets: np.ndarray, random_state: int) -> dict[str, tuple[str, BaseEstimator]]:
    """Ridge and the MLP by name, each with its settings in words."""
    mlp_settings = f"100 relu units, Adam, at most {_MLP_MAX_ITER} epochs"
    if task == "classification":
        mlp = MLPClassifier(max_iter=_MLP_MAX_ITER, random_state=random_state)
        return {
            "RidgeClassifier": ("alpha 1", make_pipeline(StandardScaler(), RidgeClassifier())),
            "MLPClassifier": (mlp_settings, make_pipeline(StandardScaler(), mlp)),
        }
    # Adam's default step suits targets of unit scale: raw ones would make the MLP look worse than it is. StandardScaler
    # takes tiny targets for constant ones, so that a power of two goes first.
    exponent = -int(np.frexp(np.abs(targets).max())[1])
    unit = FunctionTransformer(
        _times_power, _times_power, kw_args={"exponent": exponent}, inv_kw_args={"exponent": -exponent}
    )
    mlp = TransformedTargetRegressor(
        MLPRegressor(max_iter=_MLP_MAX_ITER, random_state=random_state), transformer=make_pipeline(unit, StandardScaler())
    )
    return {
        "Ridge": ("alpha 1", make_pipeline(StandardScaler(), Ridge())),
        "MLPRegressor": (f"{mlp_settings}, standardised targets", make_pipeline(StandardScaler(), mlp)),
    }


def _times_power(values: np.ndarray, exponent: int) -> np.ndarray:
    return np.ldexp(values, exponent)


def training_residual(pipeline: Pipeline, inputs: np.ndarray, targets: np.ndarray) -> float:
    """Norm of (targets - predictions) over that of the centred targets; for classes, of the indicators that are fitted."""
    estimator = pipeline[-1]
    if hasattr(estimator, "classes_"):
        indicators = (targets[:, np.newaxis] == estimator.classes_).astype(np.float64)
        fitted = indicators if indicators.shape[1] > 2 else 2.0 * indicators[:, 1] - 1.0
        values = pipeline.decision_function(inputs)
    else:
        fitted, values = targets, pipeline.predict(inputs)
    fitted, values = to_unit_scale(fitted, values)
    return float(np.linalg.norm(fitted - values) / np.linalg.norm(fitted - fitted.mean(axis=0)))
