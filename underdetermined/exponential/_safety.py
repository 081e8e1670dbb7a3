"""Exponents that float64 can take: measured before any exponential, refused with the number and the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from underdetermined.blocks import run_tiles
from underdetermined.exponential._exponents import check_rows, exponents, tiles
from underdetermined.features import FeatureMap

# exp(z) is finite in float64 up to here.
PREDICTION_LIMIT = float(np.log(np.finfo(np.float64).max))
# exp(2 z), as in losses and Gram matrices, is finite with some room for the sums.
TRAINING_LIMIT = 350.0
# exp(-36) is rounding beside 1: neurons further apart no longer add up.
SPREAD_LIMIT = 36.0


@dataclass(frozen=True)
class ExponentRange:
    """Exponents z = <w_r, x> of an exponential network on given rows, biases and row shift included.

    Parameters
    ----------
    largest : float
        Largest z; inf where an inner product overflows.
    smallest : float
        Smallest z.
    row_norm : float
        Largest Euclidean norm of a row.

    References
    ----------
    :ref:`theory-exponential`.
    """

    largest: float
    smallest: float
    row_norm: float

    @property
    def spread(self) -> float:
        """Largest minus smallest z."""
        return self.largest - self.smallest

    @property
    def is_wide(self) -> bool:
        """Whether the spread exceeds 36: some neurons then are rounding beside others, and training is slow."""
        return self.spread > SPREAD_LIMIT

    def check(self, *, training: bool = False, remedy: str | None = None) -> None:
        """Refuse exponents that overflow float64.

        Parameters
        ----------
        training : bool, default=False
            Whether the limit is 350, beyond which losses and Gram matrices, which hold exp(2 z), overflow; else 709.78,
            beyond which exp(z) does.
        remedy : str or None, default=None
            End of the message; None recommends rows of norm at most 1, and where they are, smaller weights and biases.

        Raises
        ------
        OverflowError
            With the exponent, the limit, the largest norm of a row and the remedy.
        """
        limit = TRAINING_LIMIT if training else PREDICTION_LIMIT
        if self.largest <= limit:
            return
        what = "losses and Gram matrices, which hold its square, overflow" if training else "exp overflows"
        advice = "recommended: smaller weights and biases"
        if self.row_norm > 1.0:
            advice = f"recommended: row norms of at most 1, by a factor of {1 / self.row_norm:.3g}"
        raise OverflowError(
            f"max <w, x> = {self.largest:.5g} > {limit:.5g}, so that {what} float64: rescale the rows of X, whose largest "
            f"norm is {self.row_norm:.5g}; {remedy or advice}"
        )


def check_exponents(
    feature_map: FeatureMap, X: Any, *, training: bool = False, remedy: str | None = None
) -> ExponentRange:
    """Measure the exponents of an exponential network on given rows and refuse those that overflow float64.

    The exponents are z = <w_r, x> + b_r - c |x|^2 with c the row shift of the layer. exp(z) overflows beyond 709.78, and
    squares of it, as training takes them, beyond 354.89; training is refused beyond 350. Nothing is ever clipped:
    that would change the network.

    Parameters
    ----------
    feature_map : FeatureMap
        The hidden layer, with activation "exp".
    X : array_like of shape (n, d)
        Rows.
    training : bool, default=False
        Whether the limit is that of training.
    remedy : str or None, default=None
        End of the message; None recommends rows of norm at most 1, and where they are, smaller weights and biases.

    Returns
    -------
    ExponentRange
        The largest and the smallest exponent and the largest norm of a row.

    Raises
    ------
    OverflowError
        With the exponent, the limit, the largest norm of a row and the remedy.
    TypeError, ValueError
        If X is not a finite matrix that fits the layer, or the layer has another activation.

    See Also
    --------
    log_predict : Values of the network as signs and logarithms, which do not overflow.

    Notes
    -----
    Cost 2 n m d flops and no exponential; memory O(n d + d m).

    References
    ----------
    :ref:`theory-exponential`.

    Examples
    --------
    >>> from underdetermined import FeatureMap
    >>> from underdetermined.exponential import check_exponents
    >>> hidden = FeatureMap([[1.0, -2.0]], activation="exp")
    >>> check_exponents(hidden, [[3.0]])
    ExponentRange(largest=3.0, smallest=-6.0, row_norm=3.0)
    """
    inputs = check_rows(feature_map, X)
    largest, smallest = [-np.inf], [np.inf]

    def task(tile: tuple[slice, slice]) -> None:
        rows, neurons = tile
        values = exponents(feature_map, inputs[rows], neurons)
        if np.isfinite(values).all():
            largest.append(float(values.max()))
            smallest.append(float(values.min()))
        else:
            # Even -inf says nothing: a partial sum may have overflowed.
            largest.append(np.inf)
            smallest.append(-np.inf)

    run_tiles(task, tiles(len(inputs), feature_map.width), n_jobs=feature_map.n_jobs)
    found = ExponentRange(max(largest), min(smallest), _largest_norm(inputs))
    found.check(training=training, remedy=remedy)
    return found


def _largest_norm(inputs: np.ndarray) -> float:
    """Largest Euclidean norm of a row; squares of large entries would overflow."""
    scale = float(np.abs(inputs).max())
    if scale == 0.0:
        return 0.0
    return scale * float(np.linalg.norm(inputs / scale, axis=1).max())
