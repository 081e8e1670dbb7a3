"""Classification by a sparsely activated ReLU network."""

from typing import Any

from underdetermined._compat import fit_context
from underdetermined.estimators._indicators import IndicatorClassifierMixin
from underdetermined.estimators._sparse_relu import SparseReLUModel

__all__ = ["SparseReLUClassifier"]


class SparseReLUClassifier(IndicatorClassifierMixin, SparseReLUModel):
    """A wide ReLU network that fires on few of its neurons, trained to classify by least squares.

    Two classes are coded -1 and 1; more classes by one column each, 1 for the class and 0 for the others. One hidden layer
    is trained for all columns as by `SparseReLURegressor`, and the largest one wins. Standardise the inputs first: columns
    of large scale would hide the others.

    Parameters
    ----------
    width : int, default=4096
        Number of hidden neurons, an even number if `symmetric_init`. With ``bias="auto"`` the cost of a step hardly
        depends on it.
    bias : float or "auto", default="auto"
        Threshold B >= 0, to be compared with the norms of the rows, which are 1 if `normalize`. "auto" takes the
        highest one that is at most ``sqrt(log(width) / 2)`` times the root mean square norm of the rows and lets every row
        other than 0 expect 128 active neurons among those drawn independently (half of them if
        `symmetric_init`). A rule, not a theorem.
    learning_rate : float or "auto", default="auto"
        Step of gradient descent on the loss, a sum over rows of targets of variance one. "auto" is one over the largest
        eigenvalue of the tangent matrix at the start, lowered where the loss rises.
    max_iter : int, default=500
        Most steps.
    tol : float, default=0.1
        Training stops once the norm of the residual has fallen to `tol` times its value at the start. Together with
        `max_iter` the only regulariser.
    train_biases : bool, default=True
        Whether the biases are trained, at the rate of the weights.
    symmetric_init : bool, default=True
        Whether every neuron is drawn together with one of opposite sign, so that the network starts at the class shares.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    feature_map_ : FeatureMap
        The trained hidden layer, of scaled rows.
    coef_ : ndarray of shape (1, width) or (n_classes, width)
        The last layer; one row for two classes.
    intercept_ : ndarray of shape (1,) or (n_classes,)
        Means of the columns.
    row_constant_ : float or None
        c; None if ``normalize=False``.
    bias_ : float
        Threshold B at the start.
    learning_rate_ : ndarray of shape (n_steps,)
        Step size of every step.
    n_iter_ : int
        Number of steps, at least 1.
    loss_curve_ : ndarray of shape (n_steps + 1,)
        Half the weighted mean square of the residuals of all rows, summed over the columns, in units of the mean
        variance of the columns, at every step, the start included.
    active_fraction_ : float
        Share of the pairs of neuron and distinct row that are active at the end.
    n_live_ : int
        Number of neurons that are active on some row at the end. A neuron active on none never moves again.
    certificate_ : Certificate or None
        What `underdetermined.sparsity.certify` proves at the start, if there are at most 128 distinct rows times columns;
        else None.
    trajectory_ : SparseTrajectory
        What `underdetermined.active_sets.train_active_sets` returned, for distinct rows and scaled columns.
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
    SparseReLURegressor : The same network for numbers; its notes hold here too.
    RandomFeatureClassifier : A random hidden layer, with the last layer solved for.

    Notes
    -----
    There is no ``predict_proba``: the columns are least-squares values of a network stopped early, not probabilities.
    Equal rows with different labels count as one row with the mean of its columns, which trains the same.

    Training is full-batch gradient descent without momentum or weight decay. So a neuron that is active on no training row
    stays as it is, and what ``certificate_`` promises holds.

    References
    ----------
    :ref:`theory-sparse-relu`.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from underdetermined.estimators import SparseReLUClassifier
    >>> X, y = load_wine(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = make_pipeline(StandardScaler(), SparseReLUClassifier(tol=0.2, random_state=0)).fit(X_train, y_train)
    >>> bool(network.score(X_test, y_test) > 0.9 and network[-1].active_fraction_ < 0.1)
    True
    """

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SparseReLUClassifier":
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
        self : SparseReLUClassifier
            The fitted estimator.

        Raises
        ------
        ValueError
            If there is one class only, no neuron is active on any row, the width is odd and `symmetric_init`, or
            ``normalize=False`` and entries of X are so large that squares of inner products overflow.
        MemoryError
            If the network cannot fit in memory.
        """
        X, y, columns, weight, classes = self._indicators(X, y, sample_weight)
        self._train(X, y, columns, weight, shared_unit=True, classes_=classes)
        return self
