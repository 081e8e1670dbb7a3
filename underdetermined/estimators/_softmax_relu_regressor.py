"""Regression of compositions by a softmax of trained ReLU units."""

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.special import log_softmax, xlogy
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted, validate_data

from underdetermined._compat import Interval, StrOptions, fit_context
from underdetermined._validation import check_memory
from underdetermined.blocks import single_threaded_blas
from underdetermined.estimators._base import FLOATS
from underdetermined.estimators._layer import draw_seed
from underdetermined.estimators._rows import merge_rows
from underdetermined.estimators._softmax_relu_targets import as_shares, comparable_shares, deviance_explained, proportions
from underdetermined.estimators._softmax_relu_training import train
from underdetermined.estimators._steps import Steps
from underdetermined.estimators._trained import remedy_for_rows
from underdetermined.estimators._two_layer_rows import centre_and_scale, prepared_rows
from underdetermined.estimators._versioned import Versioned
from underdetermined.features import FeatureMap
from underdetermined.objectives import SharedSoftmaxReLU
from underdetermined.softmax_relu import KinkCertificate

__all__ = ["SoftmaxReLURegressor"]

# Mean shares below this count as this much: the logarithm of none at all is no offset.
SMALLEST_SHARE = 1e-6
# Most steps by default, without and with a certificate.
STEPS, CERTIFIED_STEPS = 200, 1000


class SoftmaxReLURegressor(MultiOutputMixin, RegressorMixin, Versioned, CallbackSupportMixin, BaseEstimator):
    """Shares of a whole as the softmax of a layer of ReLU units, trained under a random output layer that stays.

    The network is ``f(x) = softmax(intercept + sum_r coef_r max(<w_r, z> + b_r, 0))`` with
    ``z = row_scale_ (x - row_center_)``. The hidden weights w and biases b minimise the mean of

        KL(y | f(x)) = sum_k y_k log(y_k / f_k(x))    or    |f(x) - y|^2 / 2,

    plus ``alpha (|w|^2 + |b|^2) / 2``. Targets are rows of shares, >= 0 and with sum 1: compositions, soft labels,
    frequencies; or labels. One factor scales all inputs: standardise them first where their units differ.

    Parameters
    ----------
    width : int, default=100
        Number n of hidden units.
    loss : {"kl", "squared"}, default="kl"
        The divergence of Kullback and Leibler, which is maximum likelihood for frequencies and labels; or half the squared
        distance, whose best `alpha` is about a tenth of that of "kl".
    alpha : float, default=1e-3
        Penalty on the squared hidden weights and biases. With a large one the network is the mean of the targets.
    fit_bias : bool, default=True
        Whether hidden units have biases.
    max_iter : int or None, default=None
        Most Newton steps; None means 200, or 1000 with `certify`.
    tol : float, default=1e-3
        Training stops once the norm of the gradient has fallen to `tol` times its value at the start.
    certify : bool, default=False
        Whether to go on to a certified local minimiser, in 10 to 40 times the time; predictions hardly change. See Notes.
    random_state : int, RandomState instance or None, default=None
        Draws the seed of both layers; an int makes fits repeatable.
    verbose : int, default=0
        1 prints one line for each fit.

    Attributes
    ----------
    feature_map_ : FeatureMap
        The trained hidden layer, of rows ``row_scale_ (x - row_center_)``.
    coef_ : ndarray of shape (n_outputs, width)
        The random output layer; its columns have mean zero.
    intercept_ : ndarray of shape (n_outputs,)
        Logarithms of the mean shares, so that the network departs from their mean as far as the penalty lets it.
    row_center_ : ndarray of shape (n_features_in_,)
        Mean of the training rows.
    row_scale_ : float
        Factor of the rows, which takes the root mean square of their entries to one.
    classes_ : ndarray of shape (n_outputs,)
        Labels, in the order of the columns; only after a fit to labels.
    n_iter_ : int
        Number of steps, at least 1.
    loss_curve_ : ndarray of shape (n_steps + 1,)
        Mean loss with the penalty at every step, the start included, for softplus units, which come closer to the ReLU on
        the way.
    smoothing_ : float
        Last width mu of the softplus ``mu log(1 + exp(z / mu))``; 0 for a network with a certificate.
    certificate_ : KinkCertificate or None
        What is proved of the network, with `certify`; else None.
    kkt_residual_ : float
        How far the network is from stationary: the norm of a combination of its one-sided gradients, where units within
        about `smoothing_` of their kinks count as on them. It is small at a minimiser, where the gradient is not; with a
        certificate, it is nothing but rounding.
    n_features_in_ : int
        Number of inputs.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the inputs, if X had string names.

    Warns
    -----
    ConvergenceWarning
        If training ended before `tol` was reached, or without the certificate; it says what to change.

    See Also
    --------
    underdetermined.softmax_relu_regression : One distribution, solved to a certificate.
    TwoLayerRegressor : Targets that are no shares.

    Notes
    -----
    Equal rows are merged first, which changes nothing but the cost: weight k is the row repeated k times, and the order of
    the rows does not matter. Neither does the sum of the weights. A product with the Hessian costs ``4 n_rows width
    (n_features + n_outputs)`` operations, and a step some tens of them. Computations are float64.

    The outputs are homogeneous in the hidden layer: a larger output layer is the same as a smaller `alpha`, which is why its
    size is no parameter.

    With `certify`, a penalty is needed for a certificate. With `alpha` 1e-3 and 100 units, 200 rows of 13 inputs ended on
    some 500 of their 20,000 kinks in 1 s of CPU time instead of 0.1 s, 300 rows of 8 inputs in 1 s, and 600 rows of 64
    inputs on some 1800 in 18 s instead of 0.5 s. With 1e-6 or less, 1000 steps may be too few.

    Mean log-losses on held-out rows of three splits (the last line: two), whose seeds chose nothing, beside classifiers of
    scikit-learn that were given each share as a weighted row, networks of the same width. All penalties but the default
    were chosen by cross-validation. Losses differ by 0.01 (wine) to 0.09 (choices) between splits, for all models alike:

    ============================ ======= ===== ========= =========== ========
    targets, rows                default tuned MLP, Adam MLP, L-BFGS logistic
    ============================ ======= ===== ========= =========== ========
    classes in bags, wine, 200   0.563   0.561 0.571     0.557       0.582
    classes in bags, digits, 600 1.577   1.566 1.571     1.571       1.606
    simulated choices, 300       1.331   1.329 1.331     1.319       1.414
    simulated choices, 3000      1.298   1.276 1.271     1.264       1.377
    ============================ ======= ===== ========= =========== ========

    The best `alpha` of such problems lay between 1e-4, for the most rows, and 3e-3: choose it by cross-validation, with
    `score`. A network trained in both layers by L-BFGS predicted better on three of the four, in 3 to 40 times the time
    of a fit.

    References
    ----------
    :ref:`theory-softmax-relu`, :ref:`theory-softmax-relu-kinks`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.estimators import SoftmaxReLURegressor
    >>> X = np.random.default_rng(0).standard_normal((100, 3))
    >>> votes = np.exp(np.column_stack([X[:, 0], -X[:, 0], np.abs(X[:, 1])]))
    >>> shares = votes / votes.sum(axis=1, keepdims=True)
    >>> network = SoftmaxReLURegressor(random_state=0).fit(X, shares)
    >>> network.predict(X[:2]).shape
    (2, 3)
    >>> bool(network.score(X, shares) > 0.9)
    True
    """

    feature_map_: FeatureMap
    coef_: np.ndarray
    intercept_: np.ndarray
    row_center_: np.ndarray
    row_scale_: float
    classes_: np.ndarray
    loss_curve_: np.ndarray
    certificate_: KinkCertificate | None
    kkt_residual_: float

    _parameter_constraints: dict[str, list[Any]] = {
        "width": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions({"kl", "squared"})],
        "alpha": [Interval(Real, 0, 1e100, closed="both")],  # squares of weights underflow beyond
        "fit_bias": ["boolean"],
        "max_iter": [None, Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, 1, closed="left")],
        "certify": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        width=100,
        *,
        loss="kl",
        alpha=1e-3,
        fit_bias=True,
        max_iter=None,
        tol=1e-3,
        certify=False,
        random_state=None,
        verbose=0,
    ):
        self.width = width
        self.loss = loss
        self.alpha = alpha
        self.fit_bias = fit_bias
        self.max_iter = max_iter
        self.tol = tol
        self.certify = certify
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "feature_map_")

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "SoftmaxReLURegressor":
        """Draw the network and train its hidden layer.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs, float64 or float32.
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)
            At least two shares in each row, >= 0 and with sum 1; or labels of at least two classes.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weight k means the row repeated k times; 0 leaves it out.

        Returns
        -------
        self : SoftmaxReLURegressor
            The fitted estimator.

        Raises
        ------
        TypeError
            If shares are sparse or not numbers.
        ValueError
            If a share is negative or not finite, the shares of a row do not add up to 1, or one-dimensional targets are
            fractions or all equal.
        MemoryError
            If the network cannot fit in memory.
        """
        X, y = validate_data(self, X, y, dtype=FLOATS, multi_output=True)
        weight = proportions(sample_weight, X)
        shares, classes = as_shares(y)
        with single_threaded_blas():  # long sums depend on the number of its threads
            self._train(X, y, shares, weight, {} if classes is None else {"classes_": classes})
        return self

    def _train(self, X: np.ndarray, y: Any, shares: np.ndarray, weight: Any, learned: dict[str, Any]) -> None:
        """Train on `shares`; y is what callbacks are shown, and nothing is stored before all has succeeded."""
        most = self.max_iter or (CERTIFIED_STEPS if self.certify else STEPS)
        progress = self._init_callback_context(max_subtasks=most)
        data = {"estimator": self, "X": X, "y": y}
        progress.call_on_fit_task_begin(**data)
        rows = merge_rows(X, shares, weight)
        # In an order of their own, so that sums do not depend on that of the user's rows.
        order = np.lexsort(rows.inputs.T)
        distinct, targets, total = rows.inputs[order], rows.targets[order], float(rows.weight.sum())
        share = rows.weight[order] / total
        centre, scale = centre_and_scale(distinct, share)
        inputs = self._lift(prepared_rows(distinct, centre, scale))
        n_inputs, n_outputs = inputs.shape[1], shares.shape[1]
        check_memory(64 * self.width * (n_inputs + n_outputs), f"{self.width} units with {n_inputs} inputs each")
        generator = np.random.default_rng(draw_seed(self.random_state))
        last = generator.standard_normal((n_outputs, self.width)) / np.sqrt(self.width)
        last -= last.mean(axis=0)  # a softmax does not see it, and rounding does
        start = generator.standard_normal(self.width * n_inputs) / np.sqrt(n_inputs)
        offset = np.log(np.maximum(np.average(targets, axis=0, weights=share), SMALLEST_SHARE))
        objective = SharedSoftmaxReLU(
            inputs, last, targets, loss=self.loss, reg=float(self.alpha), sample_weight=share, offset=offset
        )
        learned |= {"coef_": last, "intercept_": offset, "row_center_": centre, "row_scale_": scale}
        steps = Steps(progress, data, learned, lambda x: {"feature_map_": self._layer(x, X.shape[1])})
        training = train(objective, start, tol=self.tol, certify=self.certify, max_iter=most, callback=steps)
        # What merging equal rows with unequal targets took out of the loss.
        scatter = 0.5 * rows.scatter.sum() / total
        if self.loss == "kl":
            each = (np.ones(len(shares)) if weight is None else weight) / total
            scatter = float(each @ xlogy(shares, shares).sum(axis=1) - share @ xlogy(targets, targets).sum(axis=1))
        learned |= {
            "feature_map_": self._layer(training.x, X.shape[1]),
            "loss_curve_": np.array(training.values) + scatter,
            "smoothing_": training.smoothing,
            "certificate_": training.certificate,
            "kkt_residual_": training.kkt_residual,
            "n_iter_": max(1, len(training.values) - 1),
        }
        if "classes_" not in learned:
            self.__dict__.pop("classes_", None)  # of an earlier fit, to labels
        for name, value in learned.items():
            setattr(self, name, value)
        if self.verbose:
            print(
                f"[{type(self).__name__}] loss={self.loss_curve_[-1]:.3g} steps={self.n_iter_} "
                f"stationary to {self.kkt_residual_:.3g}"
            )
        if not training.is_over:
            uneven = remedy_for_rows(inputs)
            also = f" Also {uneven}." if uneven else ""
            warnings.warn(training.shortfall(self.tol, self.certify) + also, ConvergenceWarning, stacklevel=4)
        progress.call_on_fit_task_end(**data, reconstruction_attributes=lambda: learned)

    def _lift(self, inputs: np.ndarray) -> np.ndarray:
        """Rows with a constant for the biases."""
        return np.column_stack([inputs, np.ones(len(inputs))]) if self.fit_bias else inputs

    def _layer(self, x: np.ndarray, n_features: int) -> FeatureMap:
        weights = x.reshape(self.width, -1).T
        biases = np.ascontiguousarray(weights[-1]) if len(weights) > n_features else None
        return FeatureMap(np.ascontiguousarray(weights[:n_features]), biases, "relu", scale=1.0)

    def _log_shares(self, X: Any) -> tuple[np.ndarray, Any]:
        """Logarithms of the shares, and the dtype of X."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        inputs = prepared_rows(X, self.row_center_, self.row_scale_)
        with single_threaded_blas(), np.errstate(over="ignore", invalid="ignore"):
            logits = self.feature_map_.operator(inputs).matmat(np.ascontiguousarray(self.coef_.T)) + self.intercept_
        if not np.isfinite(logits).all():
            raise OverflowError(
                f"logits overflow on rows with entries up to {float(np.abs(X).max()):.4g}: remove rows that are far larger "
                "than those of the training data"
            )
        return log_softmax(logits, axis=1), X.dtype

    def predict(self, X: Any) -> np.ndarray:
        """Return the shares, for labels too: ``classes_[predict(X).argmax(axis=1)]`` are the likeliest labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            Rows >= 0 with sum 1, in the dtype of X.

        Raises
        ------
        OverflowError
            If a logit overflows; the message has the remedy.
        """
        logs, dtype = self._log_shares(X)
        shares = np.exp(logs)
        shares /= shares.sum(axis=1, keepdims=True)
        return shares.astype(dtype, copy=False)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Return the share of the deviance that the network explains, ``1 - KL(y | f) / KL(y | mean y)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Inputs.
        y : array-like of shape (n_samples, n_outputs) or (n_samples,)
            Shares, or labels after a fit to labels.
        sample_weight : array-like of shape (n_samples,) or None, default=None
            Weights of the rows.

        Returns
        -------
        float
            At most 1. The mean composition of y has 0. Where all rows of y are equal, 1 for an exact prediction, else 0.

        Raises
        ------
        ValueError
            If y is not what `fit` takes, or has other columns or labels.
        """
        logs, _ = self._log_shares(X)
        shares = comparable_shares(y, getattr(self, "classes_", None), logs.shape)
        return deviance_explained(logs, shares, proportions(sample_weight, logs))
