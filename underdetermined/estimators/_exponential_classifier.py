"""Classification by a network of exponentials."""

from typing import Any

from underdetermined._compat import fit_context
from underdetermined.estimators._exponential import ExponentialModel
from underdetermined.estimators._indicators import IndicatorClassifierMixin

__all__ = ["ExponentialClassifier"]


class ExponentialClassifier(IndicatorClassifierMixin, ExponentialModel):
    """A wide network of exponentials, trained to classify by least squares.

    By default, ``alpha=0``, it interpolates, and then predicts noisy labels badly: pass ``alpha=1`` or so there.
    Standardise the inputs first: columns of large scale would hide the others.

    Two classes are coded -1 and 1; more classes by one column each, 1 for the class and 0 for the others. One hidden layer
    is trained for all columns as by `ExponentialRegressor`, and the largest one wins.

    Parameters
    ----------
    width : int, default=4096
        Number of hidden neurons, an even number if `symmetric_init`.
    symmetric_init : bool, default=True
        Whether every neuron is drawn together with one of opposite sign, so that the network starts at the class shares.
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
        times columns; "gd" is gradient descent, whose steps are far cheaper and far more.
    learning_rate : float or "auto", default="auto"
        Step of gradient descent on the loss above, a sum over rows. "auto" follows the largest eigenvalue of the
        tangent Gram matrix.
    alpha : float, default=0.0
        Penalty ``alpha |W - W_0|^2 / 2`` on the distance from the drawn weights, beside the loss above. 0 interpolates; 1
        suits noisy tables of some hundred rows.
    max_iter : int, default=100
        Most steps. Interpolating noisy labels may take many more, and "gd" mostly does.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    feature_map_ : FeatureMap
        The trained hidden layer, of scaled rows.
    coef_ : ndarray of shape (1, width) or (n_classes, width)
        The last layer; one row for two classes.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Means of the columns.
    row_scale_ : float
        Factor of the rows.
    row_constant_ : float or None
        c, before it is scaled; None if ``fit_bias=False``.
    learning_rate_ : ndarray of shape (n_steps,) or None
        Step size of every step of gradient descent.
    n_iter_ : int
        Number of steps, at least 1.
    loss_curve_ : ndarray of shape (n_steps + 1,)
        Half the weighted mean square of the residuals of all rows, summed over the columns, in units of the mean
        variance of the columns, at every step, the start included; with the penalty, if there is one.
    certificate_ : ExponentialCertificate or None
        What `underdetermined.exponential.certify` proves of gradient descent from the start, or where it proves nothing
        there, from the end, for steps as large as the largest one taken by "gd"; None for more than 512 distinct
        rows times columns.
    certified_step_ : int or None
        The step that `certificate_` speaks of, 0 for the start.
    trajectory_ : Trajectory
        What the optimiser returned, for distinct rows and scaled columns.
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
    ExponentialRegressor : The same network for numbers; its notes hold here too.
    RandomFeatureClassifier : A random hidden layer, with the last layer solved for.

    Notes
    -----
    There is no ``predict_proba``: the columns are least-squares values, not probabilities. Equal rows with different
    labels count as one row with the mean of its columns, which trains the same.

    References
    ----------
    :ref:`theory-exponential`, :ref:`theory-gauss-newton`.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from underdetermined.estimators import ExponentialClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = make_pipeline(StandardScaler(), ExponentialClassifier(512, alpha=1.0, random_state=0))
    >>> bool(network.fit(X_train, y_train).score(X_test, y_test) > 0.9)
    True
    """

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "ExponentialClassifier":
        """Draw the network and train its hidden layer.

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
        self : ExponentialClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If there is one class only, the width is odd and `symmetric_init`, `learning_rate` is a number for
            "gauss-newton", `row_scale` is so small that squares of rows underflow, or the sum of the weights is below 1e-150
            or above 1e290.
        OverflowError
            If `row_scale` is so large that exponents exceed 350.
        MemoryError
            If the network, or the system of a step, cannot fit in memory.
        """
        X, y, columns, weight, classes = self._indicators(X, y, sample_weight)
        self._train(X, y, columns, weight, shared_unit=True, classes_=classes)
        return self
