"""Classification by a two-layer network."""

from typing import Any

from underdetermined._compat import fit_context
from underdetermined.estimators._indicators import IndicatorClassifierMixin
from underdetermined.estimators._two_layer import TwoLayerModel

__all__ = ["TwoLayerClassifier"]


class TwoLayerClassifier(IndicatorClassifierMixin, TwoLayerModel):
    """A wide two-layer network, both layers trained to classify by least squares."""

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "TwoLayerClassifier":
        """Draw the network and train it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, float64 or float32.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight k means the row repeated k times; 0 leaves it out.

        Returns
        -------
        self : TwoLayerClassifier
            The fitted estimator.
        """
        X, y, columns, weight, classes = self._indicators(X, y, sample_weight)
        self._train(X, y, columns, weight, shared_unit=True, labels=y, classes_=classes)
        return self
