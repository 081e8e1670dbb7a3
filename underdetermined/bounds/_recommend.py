"""Which of several widths to take, and why."""

from __future__ import annotations

from collections.abc import Sequence

from underdetermined.bounds._bound import WidthBound
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._tails import Target

_WORTH = 2  # a theorem is preferred to an estimate up to this many times as wide
_FAR = 3  # from so many times the width of neurons drawn by leverage, these are mentioned
_OUT_OF_REACH = 1000  # and from so many times, they are what is recommended
_ESTIMATED = ("estimate", "empirical")


def format_width(width: int | None) -> str:
    """A width as people read it: all digits below ten million, else two and an exponent.

    Parameters
    ----------
    width : int or None
        Number of neurons.

    Returns
    -------
    str
        A hyphen for None.
    """
    if width is None:
        return "-"
    return str(width) if width < 10**7 else _short(width)


def _short(number: int | float) -> str:
    """Two digits and an exponent, such as 1.3e9; also for whole numbers that no float holds."""
    if isinstance(number, int) and number >= 10**300:
        digits = str(number)
        return f"{digits[0]}.{digits[1]}e{len(digits) - 1}"
    mantissa, _, exponent = f"{number:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"


def count_neurons(width: int | None) -> str:
    """A width with its unit.

    Parameters
    ----------
    width : int or None
        Number of neurons.

    Returns
    -------
    str
    """
    return f"{format_width(width)} neuron{'' if width == 1 else 's'}"


def format_ratio(numerator: int, denominator: int) -> str:
    """How many times as large, in three digits, or two and an exponent from ten thousand.

    Parameters
    ----------
    numerator, denominator : int
        Both positive; the second within the range of a float.

    Returns
    -------
    str
    """
    if numerator >= 10**4 * denominator:
        return _short(numerator // denominator)
    ratio = numerator / denominator
    return f"{ratio:.3g}" if ratio < 1000 else f"{ratio:.0f}"


def recommend(bounds: Sequence[WidthBound], problem: WidthProblem, target: Target) -> tuple[WidthBound, str]:
    """Choose a width: for Gaussian neurons, unless what is known of them is out of reach.

    Parameters
    ----------
    bounds : sequence of WidthBound
        All that is known, "necessary" and "numerical_rank" among it.
    problem : WidthProblem
        What it is known of.
    target : Target
        What the width is to bring about.

    Returns
    -------
    bound : WidthBound
        The smallest theorem, unless it is more than twice as wide as the smallest estimate or measurement. If neurons drawn
        by leverage need a thousandth of that, the theorem on these.
    reason : str
        Why, with the alternatives.
    """
    named = {bound.name: bound for bound in bounds}
    theorem, estimate = _smallest(bounds, ("theorem",)), _smallest(bounds, _ESTIMATED)
    is_measured = estimate is not None and estimate.kind == "empirical"
    if problem.rank == 0:
        return named["necessary"], "Every feature is zero on every row: nothing but zero can be fitted, at any width."
    if not problem.is_resolved and not is_measured:
        p = problem.numerical_rank
        return named["numerical_rank"], (
            "numerical_rank is the least that makes sense, and not known to be enough: double precision resolves "
            f"{p} of the {problem.rank} positive eigenvalues of the kernel, so a width that is enough for all of "
            f"them cannot be computed, and a solver finds about {p} dimensions of targets however wide the network is."
        )
    if theorem is None and estimate is None:
        return named["necessary"], _why_nothing(problem, target)
    if estimate is None or (theorem is not None and _width(theorem) <= _WORTH * _width(estimate)):
        chosen, reason = theorem, _why_theorem(theorem, estimate)
    else:
        chosen, reason = estimate, _why_estimate(theorem, estimate)
    assert chosen is not None
    importance = named.get("importance")
    if importance is None or importance.width is None:
        return chosen, reason
    if _OUT_OF_REACH * importance.width <= _width(chosen):
        return importance, _why_importance(importance, chosen)
    if _FAR * importance.width <= _width(chosen):
        reason += f" Neurons drawn by leverage instead of at random need only {format_width(importance.width)} (importance)."
    return chosen, reason


def _smallest(bounds: Sequence[WidthBound], kinds: Sequence[str]) -> WidthBound | None:
    chosen = [
        bound
        for bound in bounds
        if bound.role == "sufficient" and bound.kind in kinds and bound.weights != "leverage" and bound.is_applicable
    ]
    return min(chosen, key=_width, default=None)


def _width(bound: WidthBound | None) -> int:
    assert bound is not None and bound.width is not None
    return bound.width


def _why_nothing(problem: WidthProblem, target: Target) -> str:
    start = "necessary is the least that makes sense, and not known to be enough: "
    limit = problem.largest / problem.smallest
    if target.kind == "condition" and target.condition <= limit:
        return (
            f"{start}even the infinitely wide network has the condition number {limit:.3g}, so that no number of "
            f"random neurons is sure to bring it down to {target.condition:.6g}. Ask for more than {limit:.3g}, or "
            "choose another activation or scale."
        )
    return f"{start}no sufficient width is known, for the reasons below. An experiment, empirical_minimum_width, can tell."


def _why_theorem(theorem: WidthBound | None, estimate: WidthBound | None) -> str:
    assert theorem is not None
    if theorem.name == "generic":
        return (
            "generic is exact: so many neurons have full rank with probability one, in exact arithmetic, and fewer "
            "never have. The system is then square and usually ill-conditioned: ask for target='spectrum' if "
            "coefficients and rounding matter."
        )
    start = f"{theorem.name} is the smallest width that a theorem guarantees"
    if estimate is None:
        return (
            f"{start}, and there is no estimate, for the reasons below. Theorems are often orders of magnitude too "
            "wide: an experiment, empirical_minimum_width, tells how far."
        )
    return f"{start}, and at most twice the estimate {format_width(estimate.width)} ({estimate.name})."


def _why_importance(importance: WidthBound, other: WidthBound) -> str:
    times = format_ratio(_width(other), _width(importance))
    return (
        "importance is a theorem on neurons that are drawn by leverage (sampler='leverage' in the estimators, or "
        f"neurons.sample_leverage). For random ones only {format_width(other.width)} neurons ({other.name}) are known to be "
        f"enough, {times} times as many: an experiment, empirical_minimum_width, can tell what they need."
    )


def _why_estimate(theorem: WidthBound | None, estimate: WidthBound | None) -> str:
    assert estimate is not None
    low, high = estimate.interval or (None, None)
    interval = f" (95 % interval {format_width(low)} to {format_width(high)})" if low != high else ""
    kind = {"estimate": "an estimate from sampled neurons", "empirical": "measured on networks"}[estimate.kind]
    if theorem is None:
        other = "no theorem gives a width here."
    else:
        times = format_ratio(_width(theorem), _width(estimate))
        other = (
            f"the smallest width that a theorem guarantees, {format_width(theorem.width)} ({theorem.name}), is "
            f"{times} times as large."
        )
    return f"{estimate.name} is {kind}{interval}, not guaranteed; {other}"
