"""What no narrower network can do, what a generic one can, and what rounding leaves visible."""

from __future__ import annotations

from underdetermined.bounds._bound import Assumption, WidthBound
from underdetermined.bounds._problem import WidthProblem
from underdetermined.bounds._tails import read_target

_OWN = "an elementary argument, given on the theory page"


def min_width_necessary(
    problem: WidthProblem, *, target: str | float = "rank", epsilon: float = 0.5, failure_probability: float = 0.1
) -> WidthBound:
    """Width that fitting every attainable target takes when only the last layer is trained, ``m >= r``.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation and attainable rank r.
    target : {"rank", "spectrum"} or float, default="rank"
        Checked, and without effect: every target includes the rank.
    epsilon : float, default=0.5
        Checked, and without effect.
    failure_probability : float, default=0.1
        Checked, and without effect.

    Returns
    -------
    WidthBound

    Notes
    -----
    m columns span at most m dimensions. O(1) work.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`, what is necessary.

    Examples
    --------
    >>> from underdetermined.bounds import WidthProblem, min_width_necessary
    >>> min_width_necessary(WidthProblem.from_data([[1.0], [2.0], [2.0]])).width
    2
    """
    read_target(target, epsilon, failure_probability)
    statement = (
        f"With fewer than {max(1, problem.rank)} neurons and a fixed hidden layer some attainable targets are not fitted, "
        f"because the attainable targets have dimension {problem.rank}."
    )
    return WidthBound(
        "necessary", max(1, problem.rank), "theorem", "necessary", "any", statement, _OWN, (),
        details={"rank": float(problem.rank)},
    )


def min_width_parameters(
    problem: WidthProblem, *, target: str | float = "rank", epsilon: float = 0.5, failure_probability: float = 0.1
) -> WidthBound:
    """Width that fitting every attainable target takes when all layers are trained, ``m (d' + 1) >= r``.

    ``d' = min(n, d + [bias])`` is the dimension of the pre-activations of a neuron.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation and attainable rank r.
    target : {"rank", "spectrum"} or float, default="rank"
        Checked, and without effect: every target includes the rank.
    epsilon : float, default=0.5
        Checked, and without effect.
    failure_probability : float, default=0.1
        Checked, and without effect.

    Returns
    -------
    WidthBound
        Without a width for a callable that is neither smooth nor Lipschitz by declaration.

    Notes
    -----
    A locally Lipschitz function of fewer than r parameters has an image of measure zero. If f is positively homogeneous of
    degree 1 or more, a neuron has one parameter less, ``m d' >= r``; a step takes two values, and m >= r. O(1) work.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`, what is necessary.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import WidthProblem, min_width_parameters
    >>> X = np.random.default_rng(0).standard_normal((30, 4))
    >>> [min_width_parameters(WidthProblem.from_data(X, activation=name)).width for name in ("relu", "erf", "step")]
    [6, 5, 30]
    """
    read_target(target, epsilon, failure_probability)
    activation, r = problem.activation, problem.rank
    is_catalogue = activation.function is None
    is_step = is_catalogue and activation.name == "step"
    known = is_catalogue or activation.is_smooth or activation.lipschitz is not None
    fact = "the activation takes finitely many values" if is_step else "the activation is locally Lipschitz"
    assumptions = (Assumption(fact, True if known else None),)
    dimension = min(problem.n_rows, problem.inputs.shape[1] + (problem.bias_scale > 0.0))
    is_scaled = activation.homogeneous is not None and activation.homogeneous >= 1
    each = 1 if is_step else dimension + (not is_scaled)
    width = max(1, -(-r // each)) if known else None
    if width is None:
        statement = f"No width: nothing is known of {activation}; declare lipschitz= or is_smooth= on its Activation."
    else:
        statement = (
            f"With fewer than {width} neurons almost no attainable target is fitted exactly, however all layers are "
            f"trained, because {each} effective parameters of each neuron do not fill {r} dimensions."
        )
    details = {"rank": float(r), "parameters": float(each)}
    return WidthBound(
        "parameter_count", width, "theorem", "necessary", "any", statement, _OWN, assumptions, details=details
    )


def min_width_generic(
    problem: WidthProblem, *, target: str | float = "rank", epsilon: float = 0.5, failure_probability: float = 0.1
) -> WidthBound:
    """Width that is enough for the rank with probability one if the activation is real-analytic, ``m = r``.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation and attainable rank r.
    target : {"rank", "spectrum"} or float, default="rank"
        For anything but "rank" there is no width.
    epsilon : float, default=0.5
        Checked, and without effect.
    failure_probability : float, default=0.1
        Checked, and without effect.

    Returns
    -------
    WidthBound
        Without a width for activations with kinks, and for callables, of which it is not known.

    Notes
    -----
    The determinant of r columns is an analytic function of the weights that does not vanish identically. This is exact
    arithmetic; the conditioning at m = r is bad. A relu may be silent on every row, so r of them are not always enough.
    O(1) work.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`, what is necessary.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import WidthProblem, min_width_generic
    >>> [min_width_generic(WidthProblem.from_data(np.eye(3), activation=name)).width for name in ("tanh", "relu")]
    [3, None]
    """
    chosen = read_target(target, epsilon, failure_probability)
    activation, r = problem.activation, problem.rank
    # Every smooth activation of the catalogue is analytic; of a user's function smoothness does not say so.
    is_analytic = activation.is_smooth if activation.function is None else None
    assumptions = (Assumption("the activation is real-analytic", is_analytic),)
    width = max(1, r) if is_analytic and chosen.kind == "rank" else None
    if width is not None:
        statement = (
            f"With {width} or more Gaussian neurons the features have rank {r} with probability one, in exact arithmetic; "
            "nothing is promised of their conditioning."
        )
    elif chosen.kind != "rank":
        statement = "No width, because a generic choice of weights promises a rank and nothing about eigenvalues."
    elif is_analytic is None:
        statement = f"No width, because it is not known whether {activation} is real-analytic."
    else:
        statement = (
            f"No width, because {activation} is not real-analytic, so that r neurons may be dependent with positive "
            "probability."
        )
    return WidthBound(
        "generic", width, "theorem", "sufficient", "gaussian", statement, _OWN, assumptions, details={"rank": float(r)}
    )


def min_width_numerical(
    problem: WidthProblem, *, target: str | float = "rank", epsilon: float = 0.5, failure_probability: float = 0.1
) -> WidthBound:
    """Numerical rank of the kernel: how many directions of the targets double precision resolves.

    Parameters
    ----------
    problem : WidthProblem
        Rows, activation and spectrum of the kernel.
    target : {"rank", "spectrum"} or float, default="rank"
        Checked, and without effect.
    epsilon : float, default=0.5
        Checked, and without effect.
    failure_probability : float, default=0.1
        Checked, and without effect.

    Returns
    -------
    WidthBound
        Its width is the numerical rank p, equal to r if lambda is resolved. It is not a sufficient width.

    Notes
    -----
    An eigenvalue counts if it exceeds the rounding errors, ``n eps lambda_max`` for all but a few rows. O(1) work.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`, floating point.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import WidthProblem, min_width_numerical
    >>> X = np.linspace(0.0, 1.0, 30)[:, np.newaxis]
    >>> min_width_numerical(WidthProblem.from_data(X, activation="sin_cos")).width < 30
    True
    """
    read_target(target, epsilon, failure_probability)
    p, r = problem.numerical_rank, problem.rank
    if problem.is_resolved:
        statement = f"All {r} positive eigenvalues of the kernel are resolved in double precision."
    else:
        statement = (
            f"Only {p} of the {r} positive eigenvalues of the kernel exceed the cut-off {problem.rounding:.3g} of "
            f"double precision: a computation sees {p} dimensions of targets, and no width changes that."
        )
    details = {"numerical_rank": float(p), "rank": float(r), "cutoff": problem.rounding}
    return WidthBound(
        "numerical_rank", max(1, p), "estimate", "numerical", "any", statement, "the rank cut-off of the package", (),
        details=details,
    )
