"""The linear system of a Gauss-Newton step: a residual, its Jacobian and a damping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import aslinearoperator

from underdetermined._linalg import column_norms, largest_eigenvalue, mirror_lower, vector_norm
from underdetermined._matrix import dense_gram
from underdetermined._validation import available_memory, check_memory
from underdetermined.optimize._common import is_finite
from underdetermined.optimize._damped_gram import DampedGram
from underdetermined.optimize._learning_rate import tangent_eigenvalue
from underdetermined.solvers import solve
from underdetermined.solvers.iterative import conjugate_gradients
from underdetermined.solvers.preconditioners import nystrom
from underdetermined.system import LinearSystem

FloatArray = NDArray[np.float64]

SOLVERS = ("auto", "direct", "cg")
# Accuracy of a step by conjugate gradients, and where a matrix of one output preconditions them; the next step corrects
# what is left.
_CG_TOL, _CG_TOL_OF_OUTPUTS = 1e-6, 1e-3
_MAX_CG_ITER = 1000
# Dampings are as good as infinite from here on, and sums of more of them must not overflow.
_LARGEST_DAMPING = 1e290
# Residual of a refined Cholesky solution, and after how many solves it is there.
_ACCURATE, _REFINEMENTS = 1e-8, 4
# Products with J or J.T that a step by conjugate gradients takes, with the Gram matrix of one output as preconditioner; and
# how many times the work of that a Cholesky factor of all outputs must be before it is avoided.
_PRODUCTS, _CLEARLY = 60, 3.0


def select_solver(solver: str, shape: tuple[int, int], n_outputs: int = 1) -> str:
    """Name the solver: "direct" where three Gram matrices fit in half of the memory, unless products are clearly cheaper.

    Parameters
    ----------
    solver : {"auto", "direct", "cg"}
        The one asked for.
    shape : tuple of two int
        Numbers q of residuals and p of parameters.
    n_outputs : int, default=1
        Number k of outputs of a Jacobian that comes with the Gram matrix of one of them, of order q / k.

    Returns
    -------
    str
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver={solver!r} is unknown: choose one of {', '.join(map(repr, SOLVERS))}")
    if solver != "auto":
        return solver
    memory, order = available_memory(), min(shape)
    if memory is not None and 3 * 8 * order**2 > memory // 2:
        return "cg"
    if n_outputs == 1 or shape[0] > shape[1]:
        return "direct"
    n_rows = shape[0] // n_outputs
    by_products = n_rows**3 / 3.0 + _PRODUCTS * 2.0 * n_rows * shape[1]
    return "cg" if order**3 / 3.0 > _CLEARLY * by_products else "direct"


@dataclass(frozen=True, eq=False)
class Step:
    """A step and what the linear model says of it.

    Parameters
    ----------
    delta : ndarray of shape (p,)
        The step.
    residual_norm : float
        Norm of rho + J delta.
    """

    delta: FloatArray
    residual_norm: float


class TangentSystem:
    """The linear model of a residual at one iterate.

    Parameters
    ----------
    linearization : Linearization
        rho and J there.
    solver : {"direct", "cg"}
        How systems are solved.

    Attributes
    ----------
    scale : float
        lambda_max(J J.T), about; not finite where J overflows.
    """

    def __init__(self, linearization: Any, solver: str) -> None:
        self.residual: FloatArray = linearization.residual
        self._jacobian = linearization.jacobian
        self._solver = solver
        self._is_wide = self._jacobian.shape[0] <= self._jacobian.shape[1]
        self._linearization = linearization
        self._damped: DampedGram | None = None
        if solver == "direct":
            with np.errstate(over="ignore", invalid="ignore"):
                gram = linearization.gram() if self._is_wide else self._normal_matrix(linearization)
                self.scale = largest_eigenvalue(lambda v: gram @ v, len(gram))
            self._damped = DampedGram(gram)
        else:
            self.scale = tangent_eigenvalue(self._jacobian)

    def _normal_matrix(self, linearization: Any) -> FloatArray:
        """J.T J, and J itself in the place of its operator, where there are fewer parameters than residuals."""
        build = getattr(linearization, "dense", None)
        check_memory(8 * self._jacobian.shape[0] * self._jacobian.shape[1], "the Jacobian")
        dense = self._jacobian.matmat(np.eye(self._jacobian.shape[1])) if build is None else build()
        self._jacobian = aslinearoperator(dense)
        return mirror_lower(dense_gram(dense.T))

    def gradient(self) -> FloatArray:
        """J.T rho.

        Returns
        -------
        ndarray of shape (p,)
        """
        with np.errstate(over="ignore", invalid="ignore"):
            return self._jacobian.rmatvec(self.residual)

    def step(self, damping: float, offset: FloatArray | None, alpha: float) -> Step:
        """Minimise |rho + J delta|^2 + alpha |offset + delta|^2 + damping |delta|^2.

        With c = alpha + damping and delta = e - (alpha / c) offset, e minimises
        |rho - (alpha / c) J offset + J e|^2 + c |e|^2: the same q x q system with another right-hand side.

        Parameters
        ----------
        damping : float
            mu >= 0.
        offset : ndarray of shape (p,) or None
            Distance from where the penalty is centred; None if alpha is 0.
        alpha : float
            Penalty >= 0.

        Returns
        -------
        Step
            Infinite where it overflows.
        """
        right = -self.residual
        if offset is not None:
            shift = alpha / (alpha + damping) * offset
            with np.errstate(over="ignore", invalid="ignore"):
                right = right + self._jacobian.matvec(shift)
        delta, misfit = self._solve(right, alpha + damping)
        return Step(delta if offset is None else delta - shift, misfit)

    def correction(self, delta: FloatArray, ahead: FloatArray, part: float, damping: float) -> FloatArray:
        """Second-order correction of a step: half of the step that removes the second derivative of rho along it.

        Parameters
        ----------
        delta : ndarray of shape (p,)
            The step.
        ahead : ndarray of shape (q,)
            Residual after a part of it.
        part : float
            That part, in (0, 1).
        damping : float
            Damping and penalty of the step together.

        Returns
        -------
        ndarray of shape (p,)
            Infinite where it, or the residual ahead, overflows.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            bend = ((ahead - self.residual) / part - self._jacobian.matvec(delta)) / part
        return self._solve(-bend, damping)[0]

    def _solve(self, right: FloatArray, damping: float) -> tuple[FloatArray, float]:
        """Solution, and the norm of what it leaves of the right-hand side; infinite where they overflow."""
        damping, size = min(damping, _LARGEST_DAMPING), vector_norm(right)
        if np.isfinite(size):
            # A power of two changes no bit, and dual variables near one do not overflow where the step does not.
            exponent = int(np.frexp(size)[1])
            solver = self._direct if self._solver == "direct" else self._iterate
            with np.errstate(over="ignore", invalid="ignore"):
                delta, misfit = solver(np.ldexp(right, -exponent), damping)
                delta, misfit = np.ldexp(delta, exponent), float(np.ldexp(misfit, exponent))
            if is_finite(misfit, delta):
                return delta, misfit
        return np.full(self._jacobian.shape[1], np.inf), float(np.inf)

    def _direct(self, right: FloatArray, damping: float) -> tuple[FloatArray, float]:
        """Cholesky factor, refined; where that is not accurate, what solves any system."""
        assert self._damped is not None, "formed above for this solver"
        solve_gram = self._damped.solver(damping)
        size = vector_norm(right)
        if solve_gram is not None and size > 0.0:
            delta, dual = np.zeros(self._jacobian.shape[1]), np.zeros(len(right))
            rest, misfit = right, right
            for _ in range(_REFINEMENTS):
                if self._is_wide:
                    dual = dual + solve_gram(rest[:, np.newaxis])[:, 0]
                    delta = self._jacobian.rmatvec(dual)
                    misfit = right - self._jacobian.matvec(delta)
                    rest = misfit - damping * dual
                    error, goal = vector_norm(rest), _ACCURATE * size
                else:
                    rest = self._jacobian.rmatvec(misfit) - damping * delta
                    delta = delta + solve_gram(rest[:, np.newaxis])[:, 0]
                    misfit = right - self._jacobian.matvec(delta)
                    rest = self._jacobian.rmatvec(misfit) - damping * delta
                    error, goal = vector_norm(rest), _ACCURATE * float(np.sqrt(self.scale)) * vector_norm(misfit)
                if error <= goal or not is_finite(error, delta):
                    return delta, vector_norm(misfit)
        gram = self._damped.gram if self._is_wide else None
        solution = solve(LinearSystem(self._jacobian, right, gram=gram), alpha=damping)
        return solution.coef[:, 0], float(solution.residual_norm[0])

    def _iterate(self, right: FloatArray, damping: float) -> tuple[FloatArray, float]:
        """Conjugate gradients on the short side, in units of lambda_max + damping and |right|; K is not formed."""
        jacobian, size = self._jacobian, vector_norm(right)
        unit, relative = float(np.sqrt(self.scale + damping)), damping / (self.scale + damping)
        if size == 0.0:
            return np.zeros(jacobian.shape[1]), 0.0
        is_wide = self._is_wide

        def forward(vectors: FloatArray) -> FloatArray:
            return jacobian.matmat(vectors) / unit

        def backward(vectors: FloatArray) -> FloatArray:
            return jacobian.rmatmat(vectors) / unit

        def apply(vectors: FloatArray) -> FloatArray:
            return (forward(backward(vectors)) if is_wide else backward(forward(vectors))) + relative * vectors

        order = min(jacobian.shape)
        column = right[:, np.newaxis] / size
        precondition = self._of_outputs(damping)
        solution, _, _ = conjugate_gradients(
            apply,
            precondition or nystrom(apply, order),
            column if is_wide else backward(column),
            rtol=_CG_TOL_OF_OUTPUTS if precondition else _CG_TOL,
            smallest=0.0,
            max_iter=min(_MAX_CG_ITER, 10 * order + 100),
        )
        delta = backward(solution) if is_wide else solution
        misfit = size * float(column_norms(column - forward(delta))[0])
        return size / unit * delta[:, 0], misfit

    def _of_outputs(self, damping: float) -> Callable[[FloatArray], FloatArray] | None:
        """Preconditioner (B + damping I)^-1 kron I_k from the mean Gram matrix B of one output, where J comes with it."""
        build = getattr(self._linearization, "output_gram", None)
        if build is None or not self._is_wide:
            return None
        if self._damped is None:
            # In units of its scale: what conjugate gradients square must not leave the range of numbers.
            with np.errstate(all="ignore"):
                self._damped = DampedGram(build() / self.scale)
        n_rows, solve_gram = len(self._damped.gram), self._damped.solver(damping / self.scale)
        if solve_gram is None:
            return None
        return lambda vectors: solve_gram(vectors.reshape(n_rows, -1)).reshape(vectors.shape)
