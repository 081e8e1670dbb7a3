"""Regression by a two-layer network."""

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data

from underdetermined._compat import check_sample_weight, fit_context
from underdetermined.estimators._base import FLOATS
from underdetermined.estimators._two_layer import TwoLayerModel

__all__ = ["TwoLayerRegressor"]


class TwoLayerRegressor(MultiOutputMixin, RegressorMixin, TwoLayerModel):
    """A wide two-layer network, both layers trained by least squares."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "TwoLayerRegressor":
        """Draw the network and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, float64 or float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight k means the row repeated k times; 0 leaves it out.

        Returns
        -------
        self : TwoLayerRegressor
            The fitted estimator.
        """
        X, y = validate_data(self, X, y, dtype=FLOATS, multi_output=True, y_numeric=True)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        self._train(X, y, np.asarray(y, dtype=np.float64), weight, shared_unit=False)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the network's values.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the dtype of X.

        Raises
        ------
        OverflowError
            If a value overflows; the message has the remedy.
        """
        values = self._raw_predict(X)
        return values[:, 0] if self.coef_.ndim == 1 else values
