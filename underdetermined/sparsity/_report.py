"""What to expect of a sparse network on given rows, before it is drawn."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr
from scipy.stats import binom, chi2

from underdetermined._linalg import column_norms, rank_cutoff
from underdetermined._validation import check_count, check_finite, check_matrix, check_memory, check_number, check_targets
from underdetermined.kernels import bias_ntk
from underdetermined.sparsity._complexity import complexity_measure, log_row_activity
from underdetermined.sparsity._concentration import Concentration, width_before_drawing
from underdetermined.sparsity._report_result import SparsityReport

_WIDEST = 2**53


def sparsity_report(
    X: ArrayLike, bias: float, width: int, *, bias_scale: float = 1.0, symmetric: bool = True,
    failure_probability: float = 0.1, targets: ArrayLike | None = None,
) -> SparsityReport:  # fmt: skip
    """Report on activity, cost, conditioning and guarantees of a ReLU network with a constant bias at the start.

    Weights are standard Gaussian, biases -B, and the last layer is +-1 / sqrt(m). A neuron is active on row x with
    probability Q(B / |x|), the upper tail of the normal distribution.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows.
    bias : float
        Threshold B >= 0.
    width : int
        Number of neurons m; even if `symmetric`.
    bias_scale : float, default=1.0
        Biases learn at the square of this times the rate of the weights; 0 keeps them.
    symmetric : bool, default=True
        Whether each neuron is there twice, with opposite signs, so that the network starts at zero; then only m / 2 draws
        are independent.
    failure_probability : float, default=0.1
        How often each statement with a probability may fail.
    targets : array_like of shape (n,) or (n, k), default=None
        For the complexity measure, and for the norm of the residual at the start; without targets that is sqrt(n).

    Returns
    -------
    SparsityReport

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite or out of range, such as a width beyond 2**53, or shapes do not fit.
    MemoryError
        If the kernel matrix does not fit in memory.

    Warns
    -----
    RuntimeWarning
        If the complexity measure is infinite.

    Notes
    -----
    Numbers of active neurons are binomial quantiles. The concentration of the tangent matrix is by matrix Chernoff and
    Bernstein bounds; both widths are sufficient and, in practice, many orders of magnitude too large. The cost on active
    pairs leaves out what finding them takes. Cost: n**2 kernel entries and two eigenvalue decompositions of order n.

    References
    ----------
    :ref:`theory-sparse-relu`, on activity, and :ref:`theory-sparse-concentration`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.sparsity import sparsity_report
    >>> sparsity_report(np.eye(3), bias=2.0, width=4096)
    <SparsityReport: 3 rows, bias 2, width 4096, 2.28 % active, condition 1.03>
    """
    inputs = np.asarray(check_matrix(X, "X"), dtype=np.float64)
    n, d = inputs.shape
    bias, bias_scale = check_number(bias, "bias"), check_number(bias_scale, "bias_scale", high=1e150)
    width = check_count(width, "width")
    if width > _WIDEST:
        raise ValueError(f"width={width} is beyond {_WIDEST}, where counts have no exact floats: pass a smaller one")
    if not isinstance(symmetric, bool | np.bool_):
        raise TypeError(f"symmetric={symmetric!r} is not a truth value: pass True or False")
    if symmetric and width % 2:
        raise ValueError(f"width={width} is odd: a symmetric start takes an even number; pass one, or symmetric=False")
    delta = check_number(failure_probability, "failure_probability", low_open=True, high=1.0)
    copies = 2 if symmetric else 1
    draws = width // copies
    check_memory(40 * n**2, f"the {n} x {n} kernel matrix and its eigenvalues")
    log_activity = log_row_activity(inputs, bias)
    activity = np.exp(log_activity)
    with np.errstate(over="ignore", invalid="ignore"):
        linear = inputs @ inputs.T + bias_scale**2
    check_finite(linear, "the matrix of inner products of the rows of X")
    values = np.linalg.eigvalsh(bias_ntk(inputs, bias=bias, bias_scale=bias_scale))
    # Below its rounding an eigenvalue says nothing, and zero is what every bound can stand.
    smallest = float(values[0]) if values[0] > rank_cutoff((n, n)) * values[-1] else 0.0
    norms = column_norms(inputs.T)
    labels = None if targets is None else check_targets(targets, n)
    residual = float(np.sqrt(n)) if labels is None else float(column_norms(labels.reshape(-1, 1))[0])
    found = Concentration(n, draws, smallest, float(values[-1]), float(np.linalg.eigvalsh(linear)[-1]))
    # log(1 - Q) is the logarithm of the opposite tail.
    with np.errstate(over="ignore"):
        idle = np.where(norms > 0.0, log_ndtr(bias / np.where(norms > 0.0, norms, 1.0)), 0.0)
        reach = float(np.divide(bias, norms.max())) if norms.any() else np.inf
    return SparsityReport(
        n_rows=n,
        n_inputs=d,
        width=width,
        bias=bias,
        bias_scale=bias_scale,
        symmetric=bool(symmetric),
        failure_probability=delta,
        activity=activity,
        fewest_active=copies * binom.ppf(0.5 * delta / n, draws, activity).astype(np.int64),
        most_active=copies * binom.isf(0.5 * delta / n, draws, activity).astype(np.int64),
        idle_probability=min(1.0, float(np.exp(draws * idle).sum())),
        live_bound=min(float(width), width * float(activity.sum())),
        prunable_everywhere=float(chi2.cdf(reach * reach, d)),
        smallest_eigenvalue=smallest,
        largest_eigenvalue=float(values[-1]),
        halving_probability=found.halving_probability(),
        doubling_probability=found.doubling_probability(),
        deviation=found.deviation(delta),
        width_for_half=copies * found.draws_for_half(delta),
        width_before_drawing=width_before_drawing(
            linear, norms, bias=bias, smallest=smallest, residual=residual, copies=copies, failure_probability=delta
        ),
        residual_norm=residual,
        complexity=None if labels is None else complexity_measure(inputs, labels, bias=bias, bias_scale=bias_scale),
    )
