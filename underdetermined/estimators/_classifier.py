"""Classification by a random hidden layer and least squares."""

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from underdetermined._compat import check_sample_weight, fit_context
from underdetermined.estimators._base import FLOATS, RandomFeatureModel
from underdetermined.estimators._rows import merge_rows

__all__ = ["RandomFeatureClassifier"]


class RandomFeatureClassifier(ClassifierMixin, RandomFeatureModel):
    """A wide network with a random hidden layer that classifies by least squares.

    Two classes are coded -1 and 1; more classes by one column each, 1 for the class and 0 for the others. The
    columns are fitted as by `RandomFeatureRegressor`, and the largest one wins.

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
    alpha : float or "loo", default="loo"
        Ridge penalty on ``sum_i w_i |y_i - f(x_i)|^2 + alpha |coef|^2``, with features that carry the factor
        ``1 / sqrt(width)``. "loo" minimises the leave-one-out error over a grid, see Notes. 0 interpolates with the
        smallest norm.
    solver : {"auto", "cholesky", "cholesky_qr", "qr", "svd", "mixed", "cg", "lsmr"}, default="auto"
        See `underdetermined.solve`.
    rcond : float or None, default=None
        Singular values at or below ``rcond`` times the largest count as zero; None is max(n, width) eps.
    tol : float, default=1e-10
        Relative residual at which "cg" and "lsmr" stop; direct solvers work to rounding.
    max_iter : int or None, default=None
        Most iterations of "cg" and "lsmr"; None leaves it to them.
    fit_intercept : bool, default=True
        Whether to fit an intercept, which is not penalised.
    random_state : int, RandomState instance or None, default=None
        Draws the seed of the hidden weights; an int makes fits repeatable.
    n_jobs : int or None, default=None
        Threads for the features; None takes as many as the BLAS would, -1 all cores.
    verbose : int, default=0
        1 prints one line for each fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    coef_ : ndarray of shape (1, width_) or (n_classes, width_)
        Last layer; one row for two classes.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Intercepts.
    width_ : int
        Number of neurons.
    width_bound_ : WidthBound or None
        Where an automatic width comes from: a bound, or the one named ``"rule"``, whose statement says why no bound was
        taken. None if ``width`` is a number. `widen` and `prune` leave it as it is.
    alpha_ : float
        Penalty used.
    loo_path_ : LeaveOneOutPath or None
        Penalties tried, their leave-one-out errors with standard errors, and the method; None unless ``alpha="loo"``.
    attainability_ : Attainability or None
        Where a fit with at least as many neurons as distinct rows lacks rank: which rows are responsible and which
        targets no width can fit, for the distinct rows of positive weight in the order in which they were first
        seen. None otherwise, and for sparse rows that are too large to be made dense.
    rank_ : int
        Numerical rank of the system solved.
    condition_ : float
        Condition number of the system solved, with the penalty.
    n_iter_ : int
        Iterations or refinements of the solver.
    feature_map_ : FeatureMap
        The hidden layer.
    solution_ : Solution
        What the solver returned.
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
    RandomFeatureRegressor : The same network for numbers.

    Notes
    -----
    The notes of `RandomFeatures` say what positive features are good for.

    `predict_proba` is the point of the probability simplex nearest to the fitted columns (two classes: (1 + d) / 2
    for the decision value d, clipped). The true one-hot vector lies in that convex set, so the projection never
    increases the squared distance to it, and the most probable class is the predicted one. Nothing is calibrated.

    ``alpha="loo"`` minimises the squared error of left-out rows, summed over the columns, as `RandomFeatureRegressor`
    does; its notes say for which sizes that is exact and what it costs, and the same of ``width="auto"``.

    References
    ----------
    Benson, Damle, Townsend, "Over-parametrized neural networks as under-determined linear systems",
    arXiv:2010.15959.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from underdetermined import RandomFeatureClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)
    >>> network = RandomFeatureClassifier(width=2000, random_state=0).fit(X_train, y_train)
    >>> bool(network.score(X_test, y_test) > 0.97)
    True
    """

    classes_: np.ndarray

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "RandomFeatureClassifier":
        """Draw the hidden layer and solve for the last one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs, float64 or float32.
        y : array-like of shape (n_samples,)
            Labels of at least two classes.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight k means the row repeated k times; 0 leaves it out.

        Returns
        -------
        self : RandomFeatureClassifier
            The fitted estimator.
        """
        return self._take(X, y, None, sample_weight, first=True)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> "RandomFeatureClassifier":
        """Add rows and solve again; equal to `fit` on all rows seen so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            New rows.
        y : array-like of shape (n_samples,)
            Their labels.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels that will ever occur; needed in the first call unless its rows have them all.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Their weights.

        Returns
        -------
        self : RandomFeatureClassifier
            The fitted estimator.
        """
        return self._take(X, y, classes, sample_weight, first=not hasattr(self, "feature_map_"))

    def _take(self, X: Any, y: Any, classes: Any, sample_weight: Any, *, first: bool) -> "RandomFeatureClassifier":
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=FLOATS, reset=first)
        check_classification_targets(y)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if first:
            known = np.unique(y if classes is None else classes)
            if len(known) < 2:
                raise ValueError(f"y has 1 class, {known[0]!r}; a classifier needs at least 2 classes.")
        else:
            known = self.classes_
            if classes is not None and not np.array_equal(np.unique(classes), known):
                raise ValueError(f"classes={classes!r} differs from the first call, which had {known.tolist()}.")
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(f"y has labels that are not in classes: {unknown.tolist()}; pass them to the first call.")
        if first:
            self._start()
            self.classes_ = known
        columns = (y[:, None] == known).astype(np.float64)
        self._learn(merge_rows(X, 2 * columns[:, 1:] - 1 if len(known) == 2 else columns, weight), X, y)
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Return the fitted columns.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes one value, positive for ``classes_[1]``, near -1 and 1 where the fit is close; for
            more, one column for each class, near 0 and 1.
        """
        values = self._raw_predict(X)
        return values[:, 0] if len(self.classes_) == 2 else values

    def predict(self, X: Any) -> np.ndarray:
        """Return the class of the largest column.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        return self._answers(self._raw_predict(X))

    def _answers(self, columns: np.ndarray) -> np.ndarray:
        binary = len(self.classes_) == 2
        return self.classes_[(columns[:, 0] > 0).astype(int) if binary else columns.argmax(axis=1)]

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probability vector nearest to the fitted columns; see the class notes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one, columns follow ``classes_``.
        """
        values = self.decision_function(X)
        if values.ndim == 1:
            second = np.clip((values + 1) / 2, 0, 1)
            return np.stack([1 - second, second], axis=1)
        return _nearest_probabilities(values)


def _nearest_probabilities(values: np.ndarray) -> np.ndarray:
    """Project rows on the probability simplex: subtract a level, clip at zero, so that the sum is one."""
    descending = -np.sort(-values, axis=1)
    rank = np.arange(1, values.shape[1] + 1)
    level = (np.cumsum(descending, axis=1) - 1) / rank
    last = np.count_nonzero(descending > level, axis=1) - 1
    projected = np.maximum(values - np.take_along_axis(level, last[:, None], axis=1), 0)
    return projected / projected.sum(axis=1, keepdims=True)
