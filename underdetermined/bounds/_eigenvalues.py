"""Bounds on the smallest eigenvalue of the bias-generalised tangent kernel, beside its exact value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from underdetermined.bounds._eigenvalue_bound import EigenvalueBound
from underdetermined.bounds._eigenvalue_discs import eigenvalue_gershgorin, eigenvalue_shifted
from underdetermined.bounds._eigenvalue_hermite import eigenvalue_hermite
from underdetermined.bounds._eigenvalue_jump import eigenvalue_jump, eigenvalue_separation
from underdetermined.bounds._eigenvalue_problem import EigenvalueProblem
from underdetermined.bounds._eigenvalue_products import eigenvalue_schur, eigenvalue_trace, eigenvalue_upper
from underdetermined.bounds._eigenvalue_text import eigenvalue_html, eigenvalue_text
from underdetermined.bounds._kernel_problem import KernelProblem

_RESULTS = (
    eigenvalue_gershgorin,
    eigenvalue_shifted,
    eigenvalue_hermite,
    eigenvalue_jump,
    eigenvalue_separation,
    eigenvalue_schur,
    eigenvalue_upper,
    eigenvalue_trace,
)


@dataclass(frozen=True, eq=False, repr=False)
class EigenvalueBounds:
    """Bounds on the smallest eigenvalue of a kernel matrix; it prints as a table, and shows one in a notebook.

    Parameters
    ----------
    problem : KernelProblem
        Rows, settings and kernel, such as an `EigenvalueProblem`.
    exact : float
        Smallest eigenvalue as computed from the kernel.
    rounding : float
        Bound of the rounding errors in `exact`.
    bounds : tuple of EigenvalueBound
        All results, each with a name of its own.
    """

    problem: KernelProblem
    exact: float
    rounding: float
    bounds: tuple[EigenvalueBound, ...]

    @property
    def is_resolved(self) -> bool:
        """Whether `exact` exceeds its rounding errors, so that its sign is known."""
        return self.exact > self.rounding

    @property
    def best(self) -> EigenvalueBound:
        """Largest lower bound."""
        return max((bound for bound in self.bounds if bound.kind == "lower"), key=lambda bound: bound.value)

    @property
    def lowest_upper(self) -> EigenvalueBound:
        """Smallest upper bound."""
        return min((bound for bound in self.bounds if bound.kind == "upper"), key=lambda bound: bound.value)

    def bound(self, name: str) -> EigenvalueBound:
        """Return the result of this name.

        Parameters
        ----------
        name : str
            Such as "hermite".

        Returns
        -------
        EigenvalueBound

        Raises
        ------
        KeyError
            If there is none; the message lists the names.
        """
        for bound in self.bounds:
            if bound.name == name:
                return bound
        known = ", ".join(bound.name for bound in self.bounds)
        raise KeyError(f"there is no bound {name!r}: choose one of {known}")

    @property
    def description(self) -> str:
        """Data and settings in one line."""
        (n, d), norms = self.problem.inputs.shape, self.problem.norms
        low, high = f"{norms.min():.3g}", f"{norms.max():.3g}"
        lengths = f"of norm {low}" if low == high else f"of norms {low} to {high}"
        rows, inputs = (f"{count} {word}{'' if count == 1 else 's'}" for count, word in ((n, "row"), (d, "input")))
        return f"{rows} {lengths}, {inputs}; {self.problem.settings}"

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the rows and the kernel, in types that JSON knows.

        Returns
        -------
        dict
            Settings, the eigenvalue as computed, its rounding errors, and all bounds.
        """
        return {
            "rows": self.problem.n_rows,
            "inputs": self.problem.inputs.shape[1],
            **self.problem.options,
            "exact": self.exact,
            "rounding": self.rounding,
            "is_resolved": self.is_resolved,
            "best": self.best.name,
            "bounds": [bound.to_dict() for bound in self.bounds],
        }

    def __repr__(self) -> str:
        """One line."""
        best, least = self.best, self.lowest_upper
        return (
            f"<EigenvalueBounds: {self.description}; {best.value:.4g} ({best.name}) <= lambda_min <= "
            f"{least.value:.4g} ({least.name}), exact {self.exact:.4g}>"
        )

    def __str__(self) -> str:
        """The table as text, at most 100 columns wide."""
        return eigenvalue_text(self)

    def _repr_html_(self) -> str:
        return eigenvalue_html(self)


def smallest_eigenvalue_bounds(X: ArrayLike, *, bias: float, bias_scale: float = 1.0) -> EigenvalueBounds:
    """Bound the smallest eigenvalue of the bias-generalised tangent kernel, and compute it.

    It decides how fast gradient descent on a wide network with constant initial biases fits targets, and how wide is wide
    enough. The computed value is the sharper one on a given data set; the bounds say what it rests on: on the angles between
    rows, and not on their number alone.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Rows of any norm; integers and float32 are taken at face value, as float64.
    bias : float
        Threshold B at the start, at least 0: a neuron fires where ``<w, x> > B``.
    bias_scale : float, default=1.0
        Square root of the learning rate of the biases over that of the weights, at least 0; 0 means that they are not
        trained.

    Returns
    -------
    EigenvalueBounds
        The exact value with its rounding errors, lower bounds "gershgorin", "shifted", "hermite", "jump", "separation" and
        "schur", and upper bounds "upper" and "trace".

    Raises
    ------
    TypeError
        If X is sparse, or an argument is not a number where one is needed.
    ValueError
        If X is not a finite, non-empty matrix, or an option is out of range.
    OverflowError
        If the kernel has entries beyond 1e280.
    MemoryError
        If twenty n x n matrices do not fit; the message has the number of bytes.

    Notes
    -----
    A lower bound stays below the eigenvalue of the rows as given, also where that is lost in rounding; rows that are equal
    or zero make all of them 0. The kernel takes n^2 d multiplications and 0.1 to 0.3 microseconds for each entry, the exact
    value about n^3, and "jump" and "hermite", the most expensive bounds, about 100 passes over the matrix together.

    References
    ----------
    :ref:`theory-smallest-eigenvalue`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.bounds import smallest_eigenvalue_bounds
    >>> angles = np.array([0.0, 0.01, 1.0, 2.5])
    >>> found = smallest_eigenvalue_bounds(np.column_stack([np.cos(angles), np.sin(angles)]), bias=1.0)
    >>> f"{found.exact:.6f}", found.best.name, found.best.value <= found.exact <= found.bound("upper").value
    ('0.001932', 'hermite', True)
    """
    problem = EigenvalueProblem.from_data(X, bias=bias, bias_scale=bias_scale)
    bounds = tuple(result(problem) for result in _RESULTS)
    return EigenvalueBounds(problem, *problem.smallest, bounds)
