"""What a certified rate of gradient descent says of steps and losses to come."""

from math import ceil, exp, inf, isfinite, log

from underdetermined._validation import check_count, check_number


class CertifiedDecrease:
    """Steps and losses, from the factor by which a certificate says every step takes the norm of the residual.

    Parameters
    ----------
    is_certified : bool
        Whether anything is proved.
    residual_norm : float
        Norm of the weighted residual at the start.
    """

    is_certified: bool
    residual_norm: float

    def n_steps(self, tol: float) -> float:
        """Steps after which the residual is certified to have fallen to a share.

        Parameters
        ----------
        tol : float
            The share, in (0, 1).

        Returns
        -------
        int or float
            Steps at `learning_rate`; inf without a certificate, or if it is too small for a number of steps.
        """
        tol = check_number(tol, "tol", low_open=True, high=1.0)
        contraction = self._log_factor() if self.is_certified else 0.0
        steps = log(tol) / contraction if contraction < 0.0 else inf
        return max(ceil(steps), 1) if isfinite(steps) else inf

    def loss_bound(self, step: int) -> float:
        """Certified bound on the loss after some steps at `learning_rate`.

        Parameters
        ----------
        step : int
            Steps from here.

        Returns
        -------
        float
            inf without a certificate.
        """
        step = check_count(step, "step", low=0)
        if not self.is_certified:
            return inf
        bound = self.residual_norm * (exp(step * self._log_factor()) if step else 1.0)
        return 0.5 * bound * bound

    def _log_factor(self) -> float:
        """Logarithm of the factor of one step, -inf for zero."""
        raise NotImplementedError
