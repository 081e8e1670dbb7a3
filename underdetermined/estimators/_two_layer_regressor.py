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
    """A wide two-layer network, both layers trained by least squares.

    The network is ``f(x) = intercept + sum_r coef_r sigma(<w_r, z> + b_r)`` with ``z = row_scale (x - row_center)``. All of
    it is trained on ``sum_i s_i |f(x_i) - y_i|^2 / 2``, with targets centred and scaled to variance one, plus a penalty on
    the distance from the start, which a leave-one-out rule chooses by default. One factor scales all inputs: standardise
    them first where their units differ.

    Parameters
    ----------
    width : int, default=512
        Number m of hidden neurons, even if `output` is "paired".
    activation : str, callable or Activation, default="tanh"
        As `underdetermined.activations.get_activation` takes it; anything that has a derivative. Certificates need a smooth
        one, which "relu" is not.
    init : {"lecun", "he", "xavier", "kernel"}, default="lecun"
        Standard deviations of both layers at the start, see `underdetermined.joint.draw_network`. "kernel" lets the hidden
        layer learn more and takes more steps; pass ``weight_scale=1/sqrt(n_features)`` with it.
    output : {"random", "zero", "paired"}, default="paired"
        The last layer at the start: random; zero; or paired, the second half of the neurons repeating the first with
        opposite coefficients. With the latter two training starts from the mean target.
    weight_scale : float, default=1.0
        Factor of the hidden weights at the start.
    bias_scale : float or None, default=1.0
        Standard deviation of the hidden biases at the start, which are trained; None for no biases.
    row_scale : float or "auto", default="auto"
        Factor of the centred rows; "auto" takes the root mean square of their entries to one.
    sampler : str, default="gaussian"
        How weights are drawn, a key of `underdetermined.weights.SAMPLERS`.
    solver : {"gauss-newton", "gd", "heavy-ball"}, default="gauss-newton"
        "gauss-newton" takes minimum-norm steps, each of which solves a system of the order of the number of distinct rows
        times outputs, or of parameters if they are fewer; the others are gradient descent without and with momentum, whose
        steps are far cheaper and far more.
    learning_rate : float, "auto", "cauchy" or "certified", default="auto"
        Step of descent on the loss above, a sum over rows. "auto" follows eigenvalues of the tangent Gram matrix. For "gd",
        "cauchy" minimises the linearised loss at every step, and "certified", without a penalty, is the rate that
        `underdetermined.joint.certify` proves to converge, and an error where it proves none. A number given to "heavy-ball"
        comes with a momentum of 0.9.
    alpha : float or "loo", default="loo"
        Penalty on the squared distance of all parameters from the start, in units of the mean diagonal of the tangent Gram
        matrix there, so that one value suits all widths: the loss gets ``alpha tangent_size_ |theta - theta_0|^2 / 2``. 0
        interpolates. "loo" takes the value of 0.001 ... 100 with the smallest leave-one-out error of the network linearised
        at the start, of 1000 rows drawn at random where there are more.
    max_iter : int or None, default=None
        Most steps; None means 100 of "gauss-newton", 2000 of the others.
    tol : float, default=1e-3
        Training stops once the norm of the gradient, penalty included, has fallen to `tol` times its value at the start;
        with ``alpha=0``, once the norm of the residual has.
    early_stopping : bool, default=False
        Whether to hold rows out, to stop once the network has not predicted them better for `n_iter_no_change` steps, and to
        keep the step that did best. "gauss-newton" then starts with a large damping, which the steps lower.
    validation_fraction : float, default=0.1
        Share of the distinct rows to hold out.
    n_iter_no_change : int, default=10
        Steps without a better score before training stops early.
    warm_start : bool, default=False
        Whether `fit` goes on from the last fit, see Notes.
    random_state : int, RandomState instance or None, default=None
        Draws the seeds of the network and of the rows held out; an int makes fits repeatable.
    n_jobs : int or None, default=None
        Threads; None takes as many as the BLAS would, -1 all cores. Results do not depend on it.
    verbose : int, default=0
        1 prints one line for each fit.

    Attributes
    ----------
    feature_map_ : FeatureMap
        The trained hidden layer, of rows ``row_scale_ (x - row_center_)``.
    coef_ : ndarray of shape (width,) or (n_outputs, width)
        The trained last layer, in the units of the targets.
    intercept_ : float or ndarray of shape (n_outputs,)
        The trained output bias.
    row_center_ : ndarray of shape (n_features_in_,)
        Mean of the training rows.
    row_scale_ : float
        Factor of the rows.
    alpha_ : float
        `alpha`, or the value that was chosen.
    tangent_size_ : float
        Mean diagonal of the tangent Gram matrix at the start: the mean squared norm of the gradient of an output.
    learning_rate_ : ndarray of shape (n_steps,) or None
        Step size of every step of descent.
    n_iter_ : int
        Number of steps, at least 1.
    best_iter_ : int
        The step that was kept, the last one without early stopping.
    loss_curve_ : ndarray of shape (n_steps + 1,)
        Half the weighted mean square of the residuals of the rows trained on, at every step, the start included:
        in units of the variance of each target, summed over the outputs; with the
        penalty, if there is one.
    validation_scores_ : ndarray of shape (n_steps + 1,) or None
        Score of the rows held out at every step: one minus their mean squared error over the variance of the targets
        trained on. None without early stopping.
    certificate_ : JointCertificate or None
        What `underdetermined.joint.certify` proves of gradient descent without a penalty from the start, or where it proves
        nothing there, from the end, for steps as large as the largest one of descent; None for more than 512 distinct
        rows times outputs.
    certified_step_ : int or None
        The step that `certificate_` speaks of, 0 for the start.
    laziness_ : LazinessReport
        What `underdetermined.joint.laziness_report` says of the network that was kept; kernels are those of at most 512
        rows times outputs.
    trajectory_ : Trajectory
        What the optimiser returned, for distinct rows and scaled outputs.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, if X had string names.

    Warns
    -----
    ConvergenceWarning
        If training ended before `tol` was reached; it says what the spectrum of the tangent Gram matrix has to do with it,
        and what to change.
    UserWarning
        If `init` is "xavier" and the network so wide that its hidden layer is nearly linear.

    See Also
    --------
    TwoLayerClassifier : The same network for labels.
    RandomFeatureRegressor : A random hidden layer, with the last layer solved for.
    underdetermined.joint.certify : What is proved of gradient descent.

    Notes
    -----
    Equal rows are merged first, which changes nothing but the cost: weight k is the row repeated k times, and the order of
    the rows does not matter. With q distinct rows times outputs, a Gauss-Newton step costs ``q^2 width`` operations and
    ``q^3 / 3``, a step of descent ``4 q (n_features + 1) width``. Computations are float64.

    The defaults are a measured choice, at width 512 on standardised inputs: scores on a quarter held out, means of three
    splits, with the CPU time of a fit on a busy core, beside `sklearn.neural_network.MLPRegressor` of the same width with
    its defaults and ridge regression.

    ===================== ================== ========= ================== =====
    table, rows           default            ``gelu``  MLP                ridge
    ===================== ================== ========= ================== =====
    diabetes, 331         0.40 in 0.2 s      0.40      0.22 in 0.5 s      0.42
    concrete, 772         0.90 in 0.7 s      0.90      0.90 in 1.0 s      0.59
    airfoil, 1127         0.93 in 1.9 s      0.92      0.88 in 1.3 s
    elevators, 1200       0.83 in 0.6 s      0.83      0.81 in 1.6 s
    ===================== ================== ========= ================== =====

    "kernel" with ``weight_scale=1/sqrt(n_features)`` lets the hidden layer learn more: 0.41, 0.89, 0.94 and 0.83 there, in
    up to five times the time, on airfoil without reaching `tol` in 100 steps. The three kinds of `output` were within 0.02
    of each other. Which penalty predicts best depends on the table, 1 on diabetes and 0.0001 to 0.001 on airfoil; the
    leave-one-out error of the linearised network finds it where the network is lazy, and is too bold where it is not, whence
    the limit of 0.001. On one split of diabetes "gauss-newton" took 4 steps, "heavy-ball" 49, and "gd" 479, or 219 with
    "cauchy". Early stopping scored 0.40 on diabetes and 0.86 on concrete, with ``alpha="loo"`` too.

    With `warm_start`, a fit to the same data with the same options goes on with the run of the last fit for up to
    `max_iter` further steps, as if it had not been interrupted. With other data or options, a new run begins at the network
    of the last fit, in its units of inputs and targets; the penalty then measures the distance from there.

    References
    ----------
    :ref:`theory-joint-training`, :ref:`theory-joint-certificate`, :ref:`theory-gauss-newton`.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import train_test_split
    >>> from underdetermined.estimators import TwoLayerRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> network = TwoLayerRegressor(random_state=0).fit(X_train, y_train)
    >>> bool(network.score(X_test, y_test) > 0.3)
    True
    """

    # Below, training leaves the region where the linearised network speaks for it.
    _least_alpha = 1e-3

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

        Raises
        ------
        ValueError
            If options do not fit each other, the learning rate is "certified" and nothing is certified, the sum of
            the weights is below 1e-150 or above 1e290, or early stopping finds no two distinct rows.
        OverflowError
            If `row_scale` is so large that rows overflow.
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
            If a value overflows; the message has the remedy.
        """
        values = self._raw_predict(X)
        return values[:, 0] if self.coef_.ndim == 1 else values
