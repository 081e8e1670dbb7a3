"""Exact confidence intervals of a success probability."""

from scipy.special import betaincinv

from underdetermined._validation import check_number


def clopper_pearson(successes: int, trials: int, *, confidence: float = 0.95) -> tuple[float, float]:
    r"""Clopper-Pearson interval of a success probability.

    With s successes in t trials, :math:`P(\mathrm{Bin}(t, p_{low}) \ge s) = P(\mathrm{Bin}(t, p_{high}) \le s) =
    (1 - confidence) / 2`; ``low`` is 0 for s = 0 and ``high`` is 1 for s = t.

    Parameters
    ----------
    successes : int
        s, from 0 to `trials`.
    trials : int
        t, at least 1.
    confidence : float, default=0.95
        Probability with which the interval holds the true value, at least; in (0, 1).

    Returns
    -------
    low, high : float
        Limits of the interval.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range.

    Notes
    -----
    Both limits increase with s, so that a bound on s bounds them.

    References
    ----------
    Clopper and Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, 1934.

    Examples
    --------
    >>> from underdetermined.empirical_width import clopper_pearson
    >>> low, high = clopper_pearson(40, 40)
    >>> round(low, 4), high
    (0.9119, 1.0)
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"successes={successes!r} of trials={trials!r}: pass 0 <= successes <= trials with trials >= 1")
    tail = (1.0 - check_number(confidence, "confidence", high=1.0, low_open=True)) / 2.0
    low = float(betaincinv(successes, trials - successes + 1, tail)) if successes else 0.0
    high = float(betaincinv(successes + 1, trials - successes, 1.0 - tail)) if successes < trials else 1.0
    return low, high
