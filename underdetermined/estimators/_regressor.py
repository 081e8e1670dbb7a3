"""Regression by a random hidden layer and least squares."""

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data

from underdetermined._compat import check_sample_weight, fit_context
from underdetermined.estimators._base import FLOATS, RandomFeatureModel
from underdetermined.estimators._rows import merge_rows

__all__ = ["RandomFeatureRegressor"]


class RandomFeatureRegressor(MultiOutputMixin, RegressorMixin, RandomFeatureModel):
    """A wide network with a random hidden layer, its last layer solved for in one step.

    Minimises ``sum_i w_i |y_i - b - phi(x_i) coef|^2 + alpha |coef|^2`` over the last layer ``coef`` and the
    intercept b, where ``phi(x) = sigma(x W + c) / sqrt(width)`` has random weights; for ``alpha=0`` and more
    neurons than rows it is the interpolating network of smallest norm.

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
    coef_ : ndarray of shape (width_,) or (n_outputs, width_)
        Last layer.
    intercept_ : float or ndarray of shape (n_outputs,)
        Intercept, 0.0 if there is none.
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
    RandomFeatureClassifier : The same network for classes.
    underdetermined.solve : The solver.

    Notes
    -----
    Scale the inputs first (`sklearn.preprocessing.StandardScaler`). Equal rows are merged, which changes nothing
    but the size of the system. For n rows, d inputs and m > n neurons a fit takes n m d + n^2 m + O(n^3)
    operations and O(n^2 + (n + m) d) memory: above 2 GiB the n x m features are streamed, not held.
    The fitted estimator keeps the training rows for `partial_fit`, `widen` and `prune`.

    The notes of `RandomFeatures` say what positive features are good for.

    ``width="auto"`` asks that, with probability 0.9 over the hidden weights, every eigenvalue of the Gram matrix is at
    least a tenth of what it is for infinitely many neurons: ``minimum_width(X, target="spectrum", epsilon=0.9)`` with
    max(8192, 64 n) sampled neurons, or the bound of importance sampling for ``sampler="leverage"``; other samplers keep
    max(2 n, 512), and so do positive features and rows whose kernel is not resolved. It depends on the set of rows alone,
    not on their order, the seed or the machine. The bound takes some 200 n^3 multiplications, and the fit up to 64 n^3.
    Measured for relu, seconds of one core for bound and fit against those of max(2 n, 512): 0.05 and 0.006 at n = 100, 0.14
    and 0.014 at 178 (wine), and 0.9 and 0.03 at 442 (diabetes), hence the limit of 256. What it buys is conditioning:
    scores of five-fold cross-validation on wine, diabetes and subsets of other tables stayed within two standard errors of
    those of max(2 n, 512). For many fits, take a number for ``width``.

    ``alpha="loo"``, with p the smaller of n and the width: up to p = 4000 one eigendecomposition, 9 p^3 operations, gives
    the exact leave-one-out error of every penalty of the grid (p = 8000 for more rows than twice the width). Up to 16384
    a search visits some six penalties, each exactly, 2/3 n^3 operations for one (n width^2 for more rows than neurons). It
    starts from the penalty of a random subset of 2500 rows, which beyond 16384 is taken as it is. ``loo_path_.method``
    says which of these it was. Measured for ``width=2 n``, with everything else taking one unit of time: 3 at n = 4000, 2
    at n = 6000. A penalty that is good enough for many fits is best found once and passed as a number.

    References
    ----------
    :ref:`theory-minimum-width` for the automatic width.

    Benson, Damle, Townsend, "Over-parametrized neural networks as under-determined linear systems",
    arXiv:2010.15959.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from underdetermined import RandomFeatureRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> network = make_pipeline(StandardScaler(), RandomFeatureRegressor(width=2000, alpha=0, random_state=0))
    >>> round(network.fit(X, y).score(X, y), 6)
    1.0
    """

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "RandomFeatureRegressor":
        """Draw the hidden layer and solve for the last one.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs, float64 or float32.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight k means the row repeated k times; 0 leaves it out.

        Returns
        -------
        self : RandomFeatureRegressor
            The fitted estimator.
        """
        return self._take(X, y, sample_weight, first=True)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> "RandomFeatureRegressor":
        """Add rows and solve again; equal to `fit` on all rows seen so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            New rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Their weights.

        Returns
        -------
        self : RandomFeatureRegressor
            The fitted estimator.
        """
        return self._take(X, y, sample_weight, first=not hasattr(self, "feature_map_"))

    def _take(self, X: Any, y: Any, sample_weight: Any, *, first: bool) -> "RandomFeatureRegressor":
        X, y = validate_data(self, X, y, accept_sparse="csr", dtype=FLOATS, multi_output=True, y_numeric=True, reset=first)
        weight = None
        if sample_weight is not None:
            weight = check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        if first:
            self._start()
            self._flat = y.ndim == 1
        targets = y.reshape(len(y), -1)
        if self._rows is not None and targets.shape[1] != self._rows.targets.shape[1]:
            raise ValueError(
                f"y has {targets.shape[1]} outputs, but the rows seen before have {self._rows.targets.shape[1]}."
            )
        self._learn(merge_rows(X, targets, weight), X, y)
        return self

    def _keep(self, solution: Any, layer: Any) -> None:
        super()._keep(solution, layer)
        if self._flat:
            self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]

    def predict(self, X: Any) -> np.ndarray:
        """Return the network's values.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions, in the dtype of X.
        """
        return self._answers(self._raw_predict(X))

    def _answers(self, columns: np.ndarray) -> np.ndarray:
        return columns[:, 0] if self._flat else columns
