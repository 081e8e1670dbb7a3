"""What `concentration_report` returns."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, inf, isfinite, log, log1p, sqrt
from sys import float_info
from typing import Any

import numpy as np
from numpy.typing import NDArray

from underdetermined._validation import check_number
from underdetermined.exponential._concentration_text import report_html, report_text
from underdetermined.exponential._safety import PREDICTION_LIMIT, SPREAD_LIMIT, TRAINING_LIMIT

# Norms where condition and variance are moderate.
_LOW, _HIGH = 0.75, 1.0


@dataclass(frozen=True, eq=False, repr=False)
class ConcentrationReport:
    """How a drawn Gram matrix of exponentials H spreads around its expectation; prints as a table, shows one in notebooks.

    Magnitudes that overflow are kept as natural logarithms.

    Parameters
    ----------
    n_rows, n_inputs, width : int
        Rows n, inputs d and neurons m.
    weight_scale : float
        Standard deviation t of the weights.
    symmetric : bool
        Whether neurons come in pairs of opposite sign, so that only half of them are independent.
    failure_probability : float
        How often a statement with a probability may fail.
    row_norms : ndarray of shape (3,)
        Least, median and largest norm of the rows.
    zero_rows : int
        Rows that are 0: each makes H singular.
    repeated_rows : int
        Rows, not zero, that repeat an earlier one: each makes H singular.
    log_relative_errors : ndarray of shape (3,)
        Logarithms of the least, median and largest relative standard error of the entries of H that are not 0. The
        largest is that of the diagonal entry of the longest row.
    largest_log_variance : float
        Variance sigma^2 = 4 t^2 max |x|^2 of the logarithm of one summand of that entry.
    log_median_ratio : float
        Logarithm of the median of that entry over its expectation, approximately.
    log_error_norm : float
        Logarithm of the root mean square of the Frobenius norm of H minus its expectation.
    log_norm : float
        Logarithm of the Frobenius norm of the expectation.
    smallest_eigenvalue, largest_eigenvalue : float
        Extreme eigenvalues of the expectation; the smallest is 0 where it is lost in rounding, both are infinite where they
        overflow.
    condition : float
        Condition number of the expectation, infinite where the smallest eigenvalue is lost in rounding.
    largest_exponent : float
        What no <w_r, x_i> of Gaussian weights exceeds, but for the failure probability.
    """

    n_rows: int
    n_inputs: int
    width: int
    weight_scale: float
    symmetric: bool
    failure_probability: float
    row_norms: NDArray[np.float64]
    zero_rows: int
    repeated_rows: int
    log_relative_errors: NDArray[np.float64]
    largest_log_variance: float
    log_median_ratio: float
    log_error_norm: float
    log_norm: float
    smallest_eigenvalue: float
    largest_eigenvalue: float
    condition: float
    largest_exponent: float

    @property
    def draws(self) -> int:
        """Number of independent neurons."""
        return self.width // 2 if self.symmetric else self.width

    @property
    def relative_error(self) -> float:
        """Largest relative standard error of an entry of H."""
        return _exp(float(self.log_relative_errors[-1]))

    @property
    def relative_error_norm(self) -> float:
        """Root mean square of the Frobenius norm of H minus its expectation, over the norm of the expectation."""
        return _exp(self.log_relative_error_norm)

    @property
    def log_relative_error_norm(self) -> float:
        """Logarithm of `relative_error_norm`."""
        return self.log_error_norm - self.log_norm if isfinite(self.log_error_norm) else -inf

    @property
    def median_ratio(self) -> float:
        """Median of the diagonal entry of the longest row over its expectation, approximately."""
        return exp(self.log_median_ratio)

    @property
    def is_heavy_tailed(self) -> bool:
        """Whether an empirical standard error must not be trusted, sigma^2 > ln(draws) / 2 for some entry."""
        return self.largest_log_variance > 0.5 * log(self.draws)

    @property
    def is_frozen(self) -> bool:
        """Whether what carries the expectation of some entry has probably not been drawn, draws < exp(sigma^2 / 2)."""
        return self.largest_log_variance > 2.0 * log(self.draws)

    @property
    def row_scale(self) -> float:
        """Factor of the rows with which H concentrates and is well conditioned, as `reason` explains."""
        middle, longest = (self.weight_scale * float(norm) for norm in self.row_norms[1:])
        if longest == 0.0:
            return 1.0
        middle = middle or longest
        limit = self._longest_allowed / longest
        return min(1.0 if _LOW <= middle <= _HIGH else _HIGH / middle, limit, float_info.max)

    @property
    def reason(self) -> str:
        """Why the rows should be multiplied by `row_scale`, in one sentence."""
        middle, longest = (self.weight_scale * float(norm) for norm in self.row_norms[1:])
        if longest == 0.0:
            return "all rows are 0, and no factor changes them: append a constant feature"
        middle = middle or longest
        what = "norm" if self.weight_scale == 1.0 else "norm times the scale of the weights"
        if self.row_scale == 1.0:
            return f"the median {what} is {middle:.3g}, and condition and variance are moderate from {_LOW} to {_HIGH:g}"
        if self.row_scale * longest >= self._longest_allowed * (1.0 - 1e-12):
            return (
                f"the largest {what} then is {self._longest_allowed:.3g}, where every relative error is at most 1 at "
                f"this width; now it is {longest:.3g}"
            )
        return f"the median {what} then is 1, where condition and variance are moderate; now it is {middle:.3g}"

    @property
    def verdict(self) -> str:
        """What the largest exponent allows, in one sentence."""
        if 2.0 * self.largest_exponent <= SPREAD_LIMIT:
            return "training and prediction do not overflow"
        if self.largest_exponent <= TRAINING_LIMIT:
            return f"nothing overflows, but neurons that are more than {SPREAD_LIMIT:g} apart no longer add up"
        if self.largest_exponent <= PREDICTION_LIMIT:
            return f"beyond {TRAINING_LIMIT:g} the loss overflows: predictions alone are possible"
        return f"beyond {PREDICTION_LIMIT:.5g} exp overflows: rescale the rows"

    def width_for(self, relative_error: float) -> float:
        """Return the width at which no entry of H has a larger relative standard error.

        Parameters
        ----------
        relative_error : float
            Positive.

        Returns
        -------
        float
            A whole number, even for a symmetric network; infinite where it overflows.

        Raises
        ------
        TypeError, ValueError
            If `relative_error` is not a positive number.
        """
        wanted = check_number(relative_error, "relative_error", low_open=True)
        excess = 2.0 * float(self.log_relative_errors[-1]) + log(self.draws)
        return self._copies * max(1.0, _ceil(_exp(excess - 2.0 * log(wanted))))

    @property
    def _copies(self) -> int:
        return 2 if self.symmetric else 1

    @property
    def _longest_allowed(self) -> float:
        # exp(4 norm^2) - 1 <= draws: a relative standard error of at most 1.
        return 0.5 * sqrt(log1p(self.draws))

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON knows.

        Returns
        -------
        dict
            None stands for numbers that are not finite.
        """
        names = (
            "n_rows", "n_inputs", "width", "weight_scale", "symmetric", "failure_probability", "zero_rows", "repeated_rows",
            "draws", "largest_log_variance", "relative_error", "relative_error_norm", "log_error_norm", "log_norm",
            "median_ratio", "log_median_ratio", "is_heavy_tailed", "is_frozen", "smallest_eigenvalue", "largest_eigenvalue",
            "condition", "largest_exponent", "verdict", "row_scale", "reason",
        )  # fmt: skip
        numbers = {name: _plain(getattr(self, name)) for name in names}
        arrays = {
            name: [_plain(float(value)) for value in getattr(self, name)] for name in ("row_norms", "log_relative_errors")
        }
        return {**numbers, **arrays, "width_for_one_percent": _plain(self.width_for(0.01))}

    def __repr__(self) -> str:
        """One line."""
        return (
            f"<ConcentrationReport: {self.n_rows} rows, width {self.width}, relative error at most "
            f"{self.relative_error:.3g}, condition {self.condition:.3g}>"
        )

    def __str__(self) -> str:
        """The table as text, at most 100 columns wide."""
        return report_text(self)

    def _repr_html_(self) -> str:
        return report_html(self)


def _exp(exponent: float) -> float:
    return exp(exponent) if exponent < 709.0 else inf


def _ceil(number: float) -> float:
    # One part in 10^12 is rounding, not one more neuron.
    return float(np.ceil(number * (1.0 - 1e-12)))


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value
