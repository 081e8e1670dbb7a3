"""The constants of Polyak and Lojasiewicz along a training run."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._validation import check_count
from underdetermined.joint._certificate import JointCertificate
from underdetermined.joint._certify import issue
from underdetermined.joint._curvature import parameters_of
from underdetermined.joint._tangent_spectrum import on_positive_rows, tangent_spectrum
from underdetermined.objectives import TwoLayer

FloatArray = NDArray[np.float64]


class PLPath:
    """Callback for optimisers that follows the tangent matrix J J.T and asks for a certificate.

    The inequality of Polyak and Lojasiewicz, ``|gradient|^2 >= 2 mu^2 loss``, holds at every step with mu^2 the smallest
    eigenvalue; `ratio` is what holds along the run, ``|gradient|^2 / (2 loss)``.

    Parameters
    ----------
    objective : TwoLayer
        The loss that is trained.
    every : int, default=10
        Steps between two looks; the start is always looked at.

    Raises
    ------
    TypeError, ValueError
        If `objective` is no `TwoLayer`, or `every` is not a positive integer.

    Notes
    -----
    Each look costs a tangent matrix and its eigenvalues, as `certify` does.

    References
    ----------
    :ref:`theory-joint-certificate`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.joint import PLPath, draw_network
    >>> from underdetermined.objectives import TwoLayer
    >>> from underdetermined.optimize import gauss_newton
    >>> objective = TwoLayer(2.0 * np.eye(3), [1.0, -1.0, 0.5], *draw_network(3, 500, output="zero"))
    >>> path = PLPath(objective, every=1)
    >>> run = gauss_newton(objective, objective.initial(), callback=path)
    >>> bool(path.smallest[0] <= path.ratio[0] <= path.largest[0]), path.first_certified
    (True, 0)
    """

    def __init__(self, objective: TwoLayer, *, every: int = 10) -> None:
        parameters_of(objective, None)
        self._objective = on_positive_rows(objective)
        self._every = check_count(every, "every")
        self._rows: list[tuple[int, float, float, float, float]] = []
        self._certificates: list[JointCertificate] = []

    def __call__(self, step: int, theta: ArrayLike) -> None:
        """Look at the network, if it is time to.

        Parameters
        ----------
        step : int
            Number of the step.
        theta : array_like of shape (p,)
            Parameters there.
        """
        if step % self._every:
            return
        parameters = parameters_of(self._objective, theta)
        found = tangent_spectrum(self._objective, parameters)
        extremes = float(found.values[0]), float(found.values[-1])
        self._rows.append((step, *extremes, found.ratio, 0.5 * found.residual_norm**2))
        self._certificates.append(issue(self._objective, parameters, None, found))

    def __repr__(self) -> str:
        """Say how many looks there were and when a certificate was first issued."""
        return f"PLPath({len(self._rows)} looks, first certified at step {self.first_certified})"

    def _column(self, index: int) -> FloatArray:
        return np.array([row[index] for row in self._rows], dtype=np.float64)

    @property
    def steps(self) -> NDArray[np.intp]:
        """Numbers of the steps, shape (t,)."""
        return np.array([row[0] for row in self._rows], dtype=np.intp)

    @property
    def smallest(self) -> FloatArray:
        """Smallest eigenvalues of J J.T as computed, shape (t,)."""
        return self._column(1)

    @property
    def largest(self) -> FloatArray:
        """Largest eigenvalues of J J.T, shape (t,)."""
        return self._column(2)

    @property
    def ratio(self) -> FloatArray:
        """|gradient|^2 / (2 loss), shape (t,); nan where the loss is 0."""
        return self._column(3)

    @property
    def losses(self) -> FloatArray:
        """Losses |rho|^2 / 2, shape (t,)."""
        return self._column(4)

    @property
    def certificates(self) -> tuple[JointCertificate, ...]:
        """What `certify` says at every look."""
        return tuple(self._certificates)

    @property
    def is_certified(self) -> NDArray[np.bool_]:
        """Whether gradient descent from there is certified, shape (t,)."""
        return np.array([certificate.is_certified for certificate in self._certificates], dtype=bool)

    @property
    def first_certified(self) -> int | None:
        """First step at which there was a certificate; None if there was none."""
        found = np.flatnonzero(self.is_certified)
        return int(self.steps[found[0]]) if found.size else None
