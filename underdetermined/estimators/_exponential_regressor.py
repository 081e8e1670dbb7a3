"""Regression by a network of exponentials."""

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from underdetermined._compat import check_sample_weight, fit_context
from underdetermined.estimators._base import FLOATS
from underdetermined.estimators._exponential import ExponentialModel

__all__ = ["ExponentialRegressor"]


class ExponentialRegressor(MultiOutputMixin, RegressorMixin, ExponentialModel):
    """A wide network of exponentials, its hidden layer trained by least squares.

    By default, ``alpha=0``, it interpolates, and then predicts noisy tables badly, often worse than their mean: pass
    ``alpha=1`` or so there. Standardise the inputs first: columns of large scale would hide the others.

    The network is ``f(x) = intercept + sum_r coef_r exp(<w_r, z>) / sqrt(width)`` with ``z = row_scale (x, c)`` and Gaussian
    weights ``w_r`` at the start. The weights are trained by Gauss-Newton or gradient descent on
    ``sum_i s_i |f(x_i) - y_i|^2 / 2``, with targets centred and scaled to variance one; the last layer keeps its random
    signs.

    Parameters
    ----------
    width : int, default=4096
        Number of hidden neurons, an even number if `symmetric_init`.
    symmetric_init : bool, default=True
        Whether every neuron is drawn together with one of opposite sign, so that the network starts at the mean target.
    row_scale : float or "auto", default="auto"
        Factor of the rows. "auto" takes their median norm to 0.75, or the largest one to ``sqrt(log(width)) / 2``
        if that is less: see Notes. A number far above it makes exponentials of different neurons incomparable.
    fit_bias : bool, default=True
        Whether a constant input c, the root mean square norm of the training rows, is appended to the rows, so that
        exponents have biases and a row of zeros can be learned.
    sampler : str, default="gaussian"
        How weights are drawn, a key of `underdetermined.weights.SAMPLERS`.
    solver : {"gauss-newton", "gd"}, default="gauss-newton"
        "gauss-newton" takes minimum-norm steps, each of which solves a system of the order of the number of distinct rows
        times outputs; "gd" is gradient descent, whose steps are far cheaper and far more.
    learning_rate : float or "auto", default="auto"
        Step of gradient descent on the loss above, a sum over rows. "auto" follows the largest eigenvalue of the
        tangent Gram matrix.
    alpha : float, default=0.0
        Penalty ``alpha |W - W_0|^2 / 2`` on the distance from the drawn weights, beside the loss above. 0 interpolates; 1
        suits noisy tables of some hundred rows.
    max_iter : int, default=100
        Most steps. Interpolating a noisy table may take many more, and "gd" mostly does.
    tol : float, default=1e-8
        Training stops once the norm of the residual has fallen to `tol` times its value at the start; with a penalty, once
        the norm of the gradient has.
    random_state : int, RandomState instance or None, default=None
        Draws the seed of the network; an int makes fits repeatable.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores. Results do not depend on it.
    verbose : int, default=0
        1 prints one line for each fit.

    Attributes
    ----------
    feature_map_ : FeatureMap
        The trained hidden layer, of scaled rows.
    coef_ : ndarray of shape (width,) or (n_outputs, width)
        The last layer: signs times the standard deviations of the targets.
    intercept_ : float or ndarray of shape (n_outputs,)
        Mean targets.
    row_scale_ : float
        Factor of the rows.
    row_constant_ : float or None
        c, before it is scaled; None if ``fit_bias=False``.
    learning_rate_ : ndarray of shape (n_steps,) or None
        Step size of every step of gradient descent.
    n_iter_ : int
        Number of steps, at least 1.
    loss_curve_ : ndarray of shape (n_steps + 1,)
        Half the weighted mean square of the residuals of all rows, in units of the variance of the targets, at every step,
        the start included; with the penalty, if there is one.
    certificate_ : ExponentialCertificate or None
        What `underdetermined.exponential.certify` proves of gradient descent from the start, or where it proves nothing
        there, from the end, for steps as large as the largest one taken by "gd"; None for more than 512 distinct
        rows times outputs.
    certified_step_ : int or None
        The step that `certificate_` speaks of, 0 for the start.
    trajectory_ : Trajectory
        What the optimiser returned, for distinct rows and scaled targets.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, if X had string names.

    Warns
    -----
    ConvergenceWarning
        If training ended before `tol` was reached.
    UserWarning
        If `row_scale` is a number so large that the tangent Gram matrix is a poor sample of its expectation,
        ``exp(4 |z|^2) > width`` for some row, or that exponents are more than 36 apart.

    See Also
    --------
    ExponentialClassifier : The same network for labels.
    RandomFeatureRegressor : A random hidden layer, with the last layer solved for.
    underdetermined.exponential.concentration_report : What norms of rows and a width promise.

    Notes
    -----
    Equal rows are merged first, which changes nothing but the cost: weight k is the row repeated k times. With q distinct
    rows times outputs, a Gauss-Newton step costs ``q^2 width`` operations and ``q^3 / 3``, a step of gradient descent
    ``4 q d width``. Computations are float64. On one core the default settings took 4 s for 442 rows and, stopping at 100
    steps with 1 % of the variance left, 20 s for 1030.

    The norms of "auto" are a measured choice. On two splits of each of four tables of 300 rows, at widths of 512 and 4096,
    the best of the penalties 0.1, 1 and 10 predicted about as well at median norms of 0.5 and 0.75, mostly worse at 1, and
    far worse at 1.25. Small norms make the kernel nearly linear and training slow. Where the longest row had 4.8
    times the median norm, the score at width 4096 fell from 0.73 to 0.45 as its norm rose from 1.7 to 3.6.

    ``alpha=0`` interpolates, noise included: there, it predicted worse than the mean in 14 of 16 cases. On three splits,
    at width 2048, ``alpha=1`` scored 0.39 to 0.75, where ridge regression scored 0.43 to 0.77 and kernel ridge regression,
    tuned by cross-validation, 0.41 to 0.85; the best of 0.1, 0.3, 1 and 3, in hindsight, scored 0.43 to 0.84. Choose it by
    cross-validation. The leave-one-out error of the network linearised at its start is no guide: it picks penalties so small
    that training leaves the region where the linear model holds.

    References
    ----------
    :ref:`theory-exponential`, :ref:`theory-exponential-certificate`, :ref:`theory-gauss-newton`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from underdetermined.estimators import ExponentialRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = ExponentialRegressor(512, alpha=1.0, random_state=0).fit(X_train, y_train)
    >>> bool(network.score(X_test, y_test) > 0.3)
    True
    """

    _log_advice = ", or call predict_log, whose signs and logarithms do not overflow"

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ExponentialRegressor":
        """Draw the network and train its hidden layer.

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
        self : ExponentialRegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If the width is odd and `symmetric_init`, `learning_rate` is a number for "gauss-newton",
            `row_scale` is so small that squares of rows underflow, or the sum of the weights is below 1e-150 or above
            1e290.
        OverflowError
            If `row_scale` is so large that exponents exceed 350.
        MemoryError
            If the network, or the system of a step, cannot fit in memory.
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
            If a value overflows, with the exponent and the remedy.
        """
        values = self._raw_predict(X)
        return values[:, 0] if self.coef_.ndim == 1 else values

    def predict_log(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return signs and logarithms of the network's values, which do not overflow.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        sign : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            -1, 0 or 1.
        log_magnitude : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            ``ln|f(x)|``, -inf where f(x) is 0.

        Raises
        ------
        OverflowError
            If an exponent ``<w_r, z>`` itself overflows.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        sign, log_magnitude = self._raw_log(self._inputs(X))
        return (sign[:, 0], log_magnitude[:, 0]) if self.coef_.ndim == 1 else (sign, log_magnitude)
