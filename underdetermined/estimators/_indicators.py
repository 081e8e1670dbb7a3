"""What classifiers share that fit indicators of the classes by least squares."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from underdetermined._compat import check_sample_weight
from underdetermined.estimators._base import FLOATS

__all__ = ["IndicatorClassifierMixin"]


class IndicatorClassifierMixin(ClassifierMixin):
    """Labels to columns and back, for models with ``_raw_predict``."""

    classes_: np.ndarray

    def _indicators(self, X: Any, y: Any, sample_weight: Any) -> tuple[np.ndarray, Any, np.ndarray, Any, np.ndarray]:
        """Inputs, labels, columns, weights, classes; a column of -1 and 1 for two classes, else one of 0 and 1 for each."""
        X, y = validate_data(self, X, y, dtype=FLOATS)
        check_classification_targets(y)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        classes = np.unique(y)
        if len(classes) < 2:
            raise ValueError(f"y has 1 class, {classes[0]!r}; a classifier needs at least 2 classes.")
        columns = (y[:, None] == classes).astype(np.float64)
        columns = 2 * columns[:, 1:] - 1 if len(classes) == 2 else columns
        return X, y, columns, weight, classes

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the fitted columns.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes one value, positive for ``classes_[1]``, near -1 and 1 where the fit is close; for
            more, one column for each class, near 0 and 1.

        Raises
        ------
        OverflowError
            If a value overflows; the message has the remedy.
        """
        model: Any = self
        values = model._raw_predict(X)
        return values[:, 0] if len(self.classes_) == 2 else values

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the largest column.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        OverflowError
            If a value overflows; the message has the remedy.
        """
        values = self.decision_function(X)
        return self.classes_[(values > 0).astype(int) if len(self.classes_) == 2 else values.argmax(axis=1)]
