"""Regression by a sparsely activated ReLU network."""

from typing import Any

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import validate_data

from underdetermined._compat import check_sample_weight, fit_context
from underdetermined.estimators._base import FLOATS
from underdetermined.estimators._sparse_relu import SparseReLUModel

__all__ = ["SparseReLURegressor"]


class SparseReLURegressor(MultiOutputMixin, RegressorMixin, SparseReLUModel):
    """A wide ReLU network that fires on few of its neurons, its hidden layer trained by exact gradient descent.

    The network is ``f(x) = intercept + sum_r coef_r max(<w_r, z> + b_r, 0) / sqrt(width)`` with z the row x scaled to norm 1
    (see `normalize`), Gaussian weights ``w_r`` and biases that all start at ``-bias``: a neuron then is active on a row with
    the probability that a standard Gaussian exceeds ``bias``. Weights and biases are trained by full-batch gradient
    descent on ``sum_i s_i |f(x_i) - y_i|^2 / 2``, with targets centred and scaled to variance one; the last layer keeps its
    random signs. Only active pairs of neuron and row are computed, yet every step is that of the dense network. Standardise
    the inputs first: columns of large scale would hide the others.

    Parameters
    ----------
    width : int, default=4096
        Number of hidden neurons, an even number if `symmetric_init`. With ``bias="auto"`` the cost of a step hardly
        depends on it.
    bias : float or "auto", default="auto"
        Threshold B >= 0, to be compared with the norms of the rows, which are 1 if `normalize`. "auto" takes the
        highest one that is at most ``sqrt(log(width) / 2)`` times the root mean square norm of the rows and lets every row
        other than 0 expect 128 active neurons among those drawn independently (half of them if
        `symmetric_init`). A rule, not a theorem: see Notes.
    learning_rate : float or "auto", default="auto"
        Step of gradient descent on the loss above, a sum over rows. "auto" is one over the largest eigenvalue of the tangent
        matrix at the start, lowered where the loss rises.
    max_iter : int, default=500
        Most steps.
    tol : float, default=0.1
        Training stops once the norm of the residual has fallen to `tol` times its value at the start. Together with
        `max_iter` the only regulariser: raise it for noisy targets, lower it to interpolate.
    train_biases : bool, default=True
        Whether the biases are trained, at the rate of the weights.
    symmetric_init : bool, default=True
        Whether every neuron is drawn together with one of opposite sign, so that the network starts at the mean target.
    normalize : bool, default=True
        Whether the rows are mapped to ``(x, c) / |(x, c)|``, with c the root mean square norm of the training rows. Distinct
        rows stay distinct, and all of them are active on the same share of the neurons. False takes rows as they are: a row
        of small norm then has few active neurons, or none.
    strategy : {"auto", "dense", "masked", "lists", "kernel"}, default="auto"
        How a step is computed, see `underdetermined.active_sets.train_active_sets`. It changes results by rounding only.
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
    row_constant_ : float or None
        c; None if ``normalize=False``.
    bias_ : float
        Threshold B at the start.
    learning_rate_ : ndarray of shape (n_steps,)
        Step size of every step.
    n_iter_ : int
        Number of steps, at least 1.
    loss_curve_ : ndarray of shape (n_steps + 1,)
        Half the weighted mean square of the residuals of all rows, in units of the variance of the targets, at every step,
        the start included.
    active_fraction_ : float
        Share of the pairs of neuron and distinct row that are active at the end.
    n_live_ : int
        Number of neurons that are active on some row at the end. A neuron active on none never moves again.
    certificate_ : Certificate or None
        What `underdetermined.sparsity.certify` proves at the start for steps as large as the largest one taken, if there are
        at most 128 distinct rows times outputs; else None.
    trajectory_ : SparseTrajectory
        What `underdetermined.active_sets.train_active_sets` returned, for distinct rows and scaled targets.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, if X had string names.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` steps were taken before `tol` was reached, as is common where targets are noisy, or the loss
        overflowed.
    UserWarning
        If some rows have no active neuron at the start.

    See Also
    --------
    SparseReLUClassifier : The same network for labels.
    RandomFeatureRegressor : A random hidden layer, with the last layer solved for.
    underdetermined.sparsity.sparsity_report : What a threshold and a width promise for given rows.

    Notes
    -----
    Training is full-batch gradient descent without momentum or weight decay. So a neuron that is active on no training row
    stays as it is, and what ``certificate_`` promises holds. Equal rows are merged first, which changes nothing but
    the cost: weight k is the row repeated k times. Computations are float64.

    A step costs some ``4 d a`` operations for a active pairs, where the dense network takes ``4 d n width``. At the start,
    the rule for ``bias`` holds a near 256 n (128 n without `symmetric_init`), whatever the width; training raises it
    somewhat. The number 128 is a measured choice: on tables of a few hundred to two thousand rows, regression with the
    tangent kernel of the drawn network predicted clearly worse at half of it than at the same threshold with twice the
    width, and little better at more.

    References
    ----------
    :ref:`theory-sparse-relu`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from underdetermined.estimators import SparseReLURegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = SparseReLURegressor(tol=0.65, random_state=0).fit(X_train, y_train)
    >>> bool(network.score(X_test, y_test) > 0.3 and network.active_fraction_ < 0.1)
    True
    """

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SparseReLURegressor":
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
        self : SparseReLURegressor
            The fitted estimator.

        Raises
        ------
        ValueError
            If no neuron is active on any row, the width is odd and `symmetric_init`, or ``normalize=False`` and
            entries of X are so large that squares of inner products overflow.
        MemoryError
            If the network cannot fit in memory.
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
        """
        values = self._raw_predict(X)
        return values[:, 0] if self.coef_.ndim == 1 else values
