"""Prove, before weights are drawn, that most draws can be trained to fit the targets."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import eigvalsh
from scipy.special import gammainccinv

from underdetermined._decrease import repeated_rows
from underdetermined._linalg import EPS, column_norms
from underdetermined._validation import check_count, check_matrix, check_number, check_sample_weight, check_targets
from underdetermined.activations import get_activation
from underdetermined.bounds import WidthProblem, min_width_leverage
from underdetermined.bounds._truncation import concentration, leverage_moments
from underdetermined.joint._certificate import JointCertificate
from underdetermined.joint._conclusion import conclude, refuse
from underdetermined.joint._curvature import curvature_of, missing_bound, row_moments
from underdetermined.joint._initialisation import deviations
from underdetermined.joint._worst_path import WorstPath
from underdetermined.kernels import nngp_kernel

FloatArray = NDArray[np.float64]

# Parts of the smallest eigenvalue that may be lost.
_EPSILONS = 1.0 - np.geomspace(0.98, 0.01, 80)
_WIDEST = 2**60


@dataclass(frozen=True, repr=False)
class APrioriCertificate(JointCertificate):
    """What is proved of a network that is not drawn yet.

    Parameters
    ----------
    is_certified : bool
        This and all down to `newton_residuals` as in `JointCertificate`, but for most draws.
    reason : str
        Why, or why not.
    h : float
        Below 1 if certified.
    residual_norm, smallest_singular_value, largest_singular_value, curvature, distance, pl_constant : float
        Bounds for most draws.
    learning_rate, relative_step, max_learning_rate, rate : float
        Of gradient descent.
    width_needed : float
        The least width that is certified.
    newton_residuals : tuple of float
        Bounds on the residual after Gauss-Newton steps.
    width : int
        Number of neurons.
    failure_probability : float
        Share of the draws, at most, of which what is said here is wrong.
    smallest_eigenvalue : float
        lambda: bound on the smallest eigenvalue of the expected Gram matrix of one neuron, on weighted rows.
    epsilon : float
        Part of lambda that the Gram matrix of the draw may lose.

    References
    ----------
    :ref:`theory-joint-certificate`.
    """

    width: int
    failure_probability: float
    smallest_eigenvalue: float
    epsilon: float


def certify_a_priori(
    X: ArrayLike,
    targets: ArrayLike,
    width: int | None = None,
    *,
    activation: Any = "tanh",
    init: str = "lecun",
    output: str = "zero",
    weight_scale: float = 1.0,
    coef_scale: float = 1.0,
    bias_scale: float | None = None,
    sample_weight: ArrayLike | None = None,
    failure_probability: float = 0.1,
) -> APrioriCertificate:
    """Prove that gradient descent on both layers fits the targets from most draws of `draw_network`.

    With lambda the smallest eigenvalue of the expected Gram matrix of one neuron, m independent neurons and scale s, the
    singular values of the Jacobian are at least s (m (1 - epsilon) lambda)^(1/2), where epsilon comes from the theorems on
    sufficient widths; the last layer and the outputs at the start are bounded too, and then the theorem of `certify` is
    applied to these bounds.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs.
    targets : array_like of shape (n,) or (n, k)
        Y.
    width : int or None, default=None
        Number of neurons; None: the least one that is certified.
    activation : str, callable or Activation, default="tanh"
        As `draw_network` takes it, like the following, with a Gaussian sampler.
    init : {"lecun", "he", "xavier", "kernel"}, default="lecun"
        Standard deviations of the draws.
    output : {"random", "zero", "paired"}, default="zero"
        The last layer at the start. Output biases may be trained too, if they begin at 0.
    weight_scale : float, default=1.0
        Factor of the deviation of the hidden weights.
    coef_scale : float, default=1.0
        Factor of that of the coefficients.
    bias_scale : float or None, default=None
        Standard deviation of the biases; None for no biases.
    sample_weight : array_like of shape (n,), a number or None, default=None
        Weights of the rows.
    failure_probability : float, default=0.1
        In (0, 1).

    Returns
    -------
    APrioriCertificate
        Also where nothing is certified; then `reason` says why. Its numbers are bounds that hold for all draws but the
        share `failure_probability` at once; `width_needed` is the least width that is certified.

    Raises
    ------
    TypeError, ValueError
        If arguments do not fit, are not finite or are out of range.
    MemoryError
        If six matrices of order n do not fit in memory.

    Notes
    -----
    Activations need bounded first and second derivatives, but need not be bounded. Of the tangent matrix only what the last
    layer gives is used, so that no fewer neurons than rows are ever certified. Xavier is refused: the expected Gram matrix
    depends on the width, and its smallest eigenvalue falls with it.

    Half of the failure probability is for the smallest eigenvalue; the rest is split evenly between the length of the
    features, which bounds largest singular values, and, unless the last layer is zero, the longest of its rows, its length
    and, if the output is random, the outputs.

    Cost n^2 d + 10 n^3, whatever the width.

    References
    ----------
    :ref:`theory-joint-certificate`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.joint import certify_a_priori
    >>> found = certify_a_priori(2.0 * np.eye(4), [1.0, -1.0, 0.5, 0.0])
    >>> found.is_certified, found.width == found.width_needed
    (True, True)
    """
    inputs = np.ascontiguousarray(check_matrix(X, "X"), dtype=np.float64)
    wanted = check_targets(targets, len(inputs))
    weight = np.ones(len(inputs)) if sample_weight is None else check_sample_weight(sample_weight, len(inputs))
    failure_probability = check_number(failure_probability, "failure_probability", low_open=True, high=1.0)
    kept = np.flatnonzero(weight > 0.0)
    inputs, wanted, weight = inputs[kept], wanted[kept], weight[kept]
    function = get_activation(activation)
    if width is not None:
        width = check_count(width, "width")
    shape = inputs.shape[1], wanted.shape[1]
    options = (init, output, weight_scale, coef_scale)
    spread = deviations(init, output, 2 if width is None else width, shape, weight_scale, coef_scale)[0]
    bias = 0.0 if bias_scale is None else check_number(bias_scale, "bias_scale")
    reason = missing_bound(function, "both") or repeated_rows(inputs, kept)
    if reason is None and init == "xavier":
        reason = "With init='xavier' the hidden weights shrink with the width, and lambda with them: take 'lecun'."
    problem = None
    if reason is None:
        problem = WidthProblem.from_data(inputs, activation=function, weight_scale=spread.weights, bias_scale=bias)
        if not (problem.is_resolved and problem.rank == len(inputs)):
            reason = (
                f"The expected Gram matrix has {problem.numerical_rank} eigenvalues above rounding, for {len(inputs)} rows: "
                "nothing is certified; take biases, another activation or larger weights."
            )
    if reason is not None or problem is None:
        return _refusal(reason or "", width, failure_probability)
    draws = _Draws(problem, wanted, weight, options, bias_scale is not None, failure_probability)
    if draws.eigenvalue <= 0.0:
        reason = "The smallest eigenvalue of the expected Gram matrix is lost in rounding: take larger hidden weights."
        return _refusal(reason, width, failure_probability)
    least = draws.least_width()
    chosen = least if width is None else width
    if chosen is None:
        return _refusal("No width is certified in the range of float64.", width, failure_probability)
    found = draws.path(chosen)
    numbers: dict[str, Any] = {
        "width": chosen, "failure_probability": failure_probability, "smallest_eigenvalue": draws.eigenvalue,
        "epsilon": draws.epsilon(chosen), "width_needed": float(np.inf if least is None else least),
    }  # fmt: skip
    needed = f"take {least} neurons" if least is not None else "no width is certified"
    if found is None:
        reason = f"{chosen} neurons are too few to bound the smallest eigenvalue of the Gram matrix: {needed}."
        return APrioriCertificate(**refuse(reason, None), **numbers)
    return APrioriCertificate(**conclude(found, found.residual, None, needed), **numbers)


def _refusal(reason: str, width: int | None, failure_probability: float) -> APrioriCertificate:
    nothing: dict[str, Any] = {"smallest_eigenvalue": np.nan, "epsilon": 1.0, "width_needed": float(np.inf)}
    return APrioriCertificate(**refuse(reason, None), width=width or 0, failure_probability=failure_probability, **nothing)


class _Draws:
    """Bounds that hold for most draws of a network, as functions of the width."""

    def __init__(
        self,
        problem: WidthProblem,
        targets: FloatArray,
        weight: FloatArray,
        options: tuple[str, str, float, float],
        has_biases: bool,
        failure_probability: float,
    ) -> None:
        self.options, self.activation = options, problem.activation
        self.shape = problem.inputs.shape[1], targets.shape[1]
        roots = np.sqrt(weight)[:, np.newaxis]
        self.targets = float(column_norms((roots * targets).reshape(-1, 1))[0])
        kernel = roots * nngp_kernel(
            problem.inputs, activation=problem.activation, weight_scale=problem.weight_scale, bias_scale=problem.bias_scale
        ) * roots.T  # fmt: skip
        # The square of the Jacobian of an output bias.
        self.weight = float(weight.sum())
        self.trace = float(np.trace(kernel)) * (1.0 + 64.0 * EPS)
        margin = (2 * len(weight) + 64) * EPS * self.trace
        self.eigenvalue = float(eigvalsh(kernel, check_finite=False)[0]) - margin
        self.moments = row_moments(problem.inputs, weight, has_biases=has_biases)
        # The length of the features changes no faster than this with standard normal weights.
        self.steepness = (
            float(problem.activation.lipschitz or 0.0) * row_moments(problem.augmented, weight, has_biases=False)[0]
        )
        parts = {"zero": 1, "paired": 3, "random": 4}[options[1]]
        self.share = 0.5 * failure_probability / parts
        self.widths = _sufficient_widths(problem, 0.5 * failure_probability)

    def epsilon(self, width: int) -> float:
        """Part of the smallest eigenvalue that may be lost; 1 where nothing is known."""
        neurons = self._spread(width)[1]
        enough = np.flatnonzero(self.widths <= neurons)
        return float(_EPSILONS[enough[0]]) if enough.size else 1.0

    def _spread(self, width: int) -> tuple[Any, int]:
        init, output, weight_scale, coef_scale = self.options
        return deviations(init, output, width, self.shape, weight_scale, coef_scale)

    def path(self, width: int) -> WorstPath | None:
        """Longest path of a network of this width; None where its Gram matrix may be singular."""
        epsilon = self.epsilon(width)
        if epsilon == 1.0:
            return None
        spread, neurons = self._spread(width)
        scale, k, copies = spread.scale, self.shape[1], width / neurons
        tail = sqrt(2.0 * log(1.0 / self.share))
        # |S Phi|_F is a Lipschitz function of Gaussian weights, and its mean is at most the root of its mean square.
        features = scale * sqrt(copies) * (sqrt(neurons * self.trace) + self.steepness * tail)
        # Chi-squared variables of k degrees of freedom, one for each row of the last layer, and their sum.
        longest = scale * spread.coef * sqrt(2.0 * float(gammainccinv(0.5 * k, self.share / neurons)))
        length = scale * spread.coef * sqrt(2.0 * copies * float(gammainccinv(0.5 * k * neurons, self.share)))
        residual = self.targets
        if self.options[1] == "random":
            residual += spread.coef * features * (sqrt(k) + tail)
        lowest = scale * sqrt(width * (1.0 - epsilon) * self.eigenvalue)
        slopes = float(self.activation.lipschitz or 0.0) * self.moments[0] * length
        highest = max(sqrt(features**2 + slopes**2 + self.weight), lowest)
        margin = 1.0 + 1e-9
        curvature = curvature_of(self.activation, self.moments, np.array([longest * margin]), np.array([scale]))
        return WorstPath(curvature, residual * margin, lowest / margin, highest * margin)

    def is_certified(self, width: int) -> bool:
        """Whether the theorem applies at this width."""
        found = self.path(width)
        return found is not None and found.h < 1.0

    def least_width(self) -> int | None:
        """Least width that is certified, by doubling and bisection in multiples of two for paired neurons."""
        step = 2 if self.options[1] == "paired" else 1
        high = step
        while not self.is_certified(high):
            high *= 2
            if high > _WIDEST:
                return None
        low = high // 2
        while high - low > step:
            middle = (low + high) // 2 // step * step
            low, high = (low, middle) if self.is_certified(middle) else (middle, high)
        return high


def _sufficient_widths(problem: WidthProblem, failure_probability: float) -> FloatArray:
    """Numbers of neurons at which no more than each epsilon is lost."""
    tails = [known.tail for known in (concentration(problem), leverage_moments(problem)) if known is not None]
    logarithm = log(problem.rank / failure_probability)
    found = []
    for epsilon in _EPSILONS.tolist():
        widths = [tail(epsilon).cost * logarithm for tail in tails]
        bounded = min_width_leverage(problem, target="spectrum", epsilon=epsilon, failure_probability=failure_probability)
        found.append(min([*widths, np.inf if bounded.width is None else bounded.width]))
    return np.array(found)
