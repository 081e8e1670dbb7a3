"""The random hidden layer as a scikit-learn transformer."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from underdetermined._compat import fit_context
from underdetermined.estimators._base import FLOATS
from underdetermined.estimators._layer import LAYER_CONSTRAINTS, draw_layer, draw_seed
from underdetermined.estimators._rows import merge_rows
from underdetermined.estimators._versioned import Versioned
from underdetermined.estimators._width import choose_width

__all__ = ["RandomFeatures"]


class RandomFeatures(Versioned, CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Hidden features of a random layer, ``sigma(X W + b) / sqrt(width)``.

    Their products approximate the infinite-width kernel of the activation: a transformer in the manner of
    `sklearn.kernel_approximation.RBFSampler`, for every activation, at the speed of the matrix product.

    Parameters
    ----------
    width : int or "auto", default="auto"
        Number of hidden neurons. "auto" takes the width that `underdetermined.bounds.minimum_width` recommends for the rows,
        if there are at most 256 distinct ones and it is at most max(8192, 64 n); else max(2 n, 512), lowered so that the
        n x width features would take at most 4 GiB. ``width_bound_`` says which and why; see Notes.
    activation : str, callable or Activation, default="relu"
        One of `underdetermined.activations.names`, possibly with a parameter as in ``"leaky_relu(0.1)"``, or a
        vectorised function of an array (which must be importable for pickling). "positive_softmax" and "positive_gaussian"
        are exponentials with a row shift, whose products are those of the softmax kernel ``exp(t^2 <x, z>)`` and of the
        Gaussian kernel ``exp(-t^2 |x - z|^2 / 2)`` in the mean, t = ``weight_scale``, see Notes.
    sampler : str, default="gaussian"
        Distribution of the hidden weights: "gaussian", "antithetic", "sphere", "orthogonal", "orthogonal_antithetic" or
        "sobol", see `underdetermined.weights`. "leverage" draws Gaussian neurons in proportion to their leverage on the
        training rows, see `underdetermined.neurons.sample_leverage`; every call that sees other rows or another width then
        computes all features anew.
    weight_scale : float or "auto", default="auto"
        Standard deviation of a hidden weight; "auto" is ``1 / sqrt(n_inputs)``, for standardised inputs.
    bias_scale : float, default=1.0
        Standard deviation of a hidden bias; 0 leaves the biases out. Ignored by positive features, where a bias would be a
        random factor of the feature and nothing else.
    random_state : int, RandomState instance or None, default=None
        Draws the seed of the hidden weights; an int makes fits repeatable.
    n_jobs : int or None, default=None
        Threads for the features; None takes as many as the BLAS would, -1 all cores.

    Attributes
    ----------
    feature_map_ : FeatureMap
        The hidden layer.
    width_ : int
        Number of neurons.
    width_bound_ : WidthBound or None
        Where an automatic width comes from: a bound, or the one named ``"rule"``, whose statement says why no bound was
        taken. None if ``width`` is a number.
    random_weights_ : ndarray of shape (n_features_in_, width_)
        Hidden weights.
    random_offset_ : ndarray of shape (width_,)
        Hidden biases, zero if there are none.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, if X had string names.

    See Also
    --------
    RandomFeatureRegressor : These features under a linear model, solved in one step.

    Notes
    -----
    Cost n d width multiplications and n width activations; float32 inputs give float32 features. The notes of
    `RandomFeatureRegressor` say what an automatic width promises and costs.

    Positive features are ``exp(<w, x> - t^2 |x|^2 / 2)`` for the softmax kernel and ``exp(<w, x> - t^2 |x|^2)`` for the
    Gaussian one, with weights of standard deviation t = ``weight_scale``; with ``sampler="sphere"`` these are their kernels
    for many inputs only. Long rows do not make them overflow, and estimates of the kernels are positive. Their relative
    variance, which `underdetermined.kernels.positive_feature_variance` has for every sampler, grows like
    ``exp(t^2 |x + z|^2)``: rows of norm up to 1 / t are served well, and there orthogonal and antithetic weights gain most.
    A warning says where most rows are so long that ``width`` neurons miss the kernel. An automatic width is max(2 n, 512).
    `underdetermined.kernels.softmax_kernel` and `underdetermined.kernels.gaussian_kernel` are exact.

    References
    ----------
    :ref:`theory-positive-features`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from underdetermined import RandomFeatures
    >>> X, _ = load_diabetes(return_X_y=True)
    >>> RandomFeatures(width=1000, activation="gelu", random_state=0).fit_transform(X).shape
    (442, 1000)
    """

    _parameter_constraints: dict[str, list[Any]] = {**LAYER_CONSTRAINTS}

    def __init__(
        self,
        width="auto",
        *,
        activation="relu",
        sampler="gaussian",
        weight_scale="auto",
        bias_scale=1.0,
        random_state=None,
        n_jobs=None,
    ):
        self.width = width
        self.activation = activation
        self.sampler = sampler
        self.weight_scale = weight_scale
        self.bias_scale = bias_scale
        self.random_state = random_state
        self.n_jobs = n_jobs

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> "RandomFeatures":
        """Draw the hidden layer for the inputs of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Only its shape and dtype are used, except by ``width="auto"`` and ``sampler="leverage"``.
        y : None
            Ignored.

        Returns
        -------
        self : RandomFeatures
            The fitted transformer.
        """
        progress = self._init_callback_context()
        X = validate_data(self, X, accept_sparse="csr", dtype=FLOATS)
        progress.call_on_fit_task_begin(estimator=self, X=X)
        rows = merge_rows(X, np.zeros((X.shape[0], 1)), None).inputs if self.width == "auto" else X
        self.width_, self.width_bound_ = choose_width(self, rows)
        seed = draw_seed(self.random_state)
        self.feature_map_ = draw_layer(self, X, self.width_, X.dtype, seed=seed)
        self.random_weights_ = self.feature_map_.weights
        biases = self.feature_map_.biases
        self.random_offset_ = np.zeros(self.width_, X.dtype) if biases is None else biases
        progress.call_on_fit_task_end(estimator=self, X=X)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, width_)
            Features, in the dtype of X.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=FLOATS, reset=False)
        return self.feature_map_(X)

    @property
    def _n_features_out(self) -> int:
        return self.width_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
