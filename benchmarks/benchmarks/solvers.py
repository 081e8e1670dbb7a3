"""Minimum-norm solves against the floor of one Gram matrix and one Cholesky factor, and against other libraries."""

import numpy as np
import scipy.linalg
from scipy.linalg import blas, lapack
from scipy.sparse.linalg import lsmr
from sklearn.linear_model import LinearRegression, Ridge

from benchmarks.benchmarks.common import interpolation_problem
from underdetermined import solve


def floor(A):
    """The least that a Gram-Cholesky solve can do."""
    gram = blas.dsyrk(1.0, A.T, trans=1, lower=1)
    return lapack.dpotrf(gram, lower=1, overwrite_a=1)


def ridge(A, y):
    """Ridge with a penalty as small as its Cholesky factor bears."""
    penalty = 1e-10 * float(np.einsum("ij,ij->", A, A)) / len(A)
    return Ridge(penalty, fit_intercept=False, solver="cholesky").fit(A, y).coef_


def contenders(A, y, slow=True):
    """Name -> function that returns the coefficients (the floor returns none)."""
    calls = {
        "dsyrk + dpotrf": lambda: floor(A),
        "solve": lambda: solve(A, y).coef[:, 0],
        "solve, cholesky": lambda: solve(A, y, method="cholesky").coef[:, 0],
        "solve, mixed": lambda: solve(A, y, method="mixed").coef[:, 0],
        "Ridge(cholesky)": lambda: ridge(A, y),
        "numpy lstsq": lambda: np.linalg.lstsq(A, y, rcond=None)[0],
    }
    if slow:
        calls |= {
            "scipy gelsd": lambda: scipy.linalg.lstsq(A, y, lapack_driver="gelsd")[0],
            "scipy gelsy": lambda: scipy.linalg.lstsq(A, y, lapack_driver="gelsy")[0],
            "LinearRegression": lambda: LinearRegression(fit_intercept=False, tol=0).fit(A, y).coef_,
            "scipy lsmr 1e-9": lambda: lsmr(A, y, atol=1e-9, btol=1e-9, maxiter=10000)[0],
        }
    return calls


def accurate_solution(A, y):
    """Minimum-norm solution with residuals in extended precision: right to the last digits of float64."""
    factor = scipy.linalg.cho_factor(A @ A.T, lower=True)
    long, target = A.astype(np.longdouble), y.astype(np.longdouble)
    dual = np.zeros(len(A), np.longdouble)
    for _ in range(8):
        residual = target - long @ (long.T @ dual)
        dual += scipy.linalg.cho_solve(factor, residual.astype(float))
    return long.T @ dual


class Solve:
    """Time, peak memory and error of the methods."""

    param_names = ["shape", "method"]
    params = [[(100, 400), (3000, 12000)], ["auto", "cholesky", "mixed", "cholesky_qr", "qr", "cg", "lsmr", "svd"]]

    def setup(self, shape, method):
        """Build the features."""
        self.A, self.y = interpolation_problem(*shape)

    def time_solve(self, shape, method):
        """Seconds."""
        solve(self.A, self.y, method=method)

    def peakmem_solve(self, shape, method):
        """Bytes."""
        solve(self.A, self.y, method=method)

    def track_residual(self, shape, method):
        """Relative residual."""
        return float(solve(self.A, self.y, method=method).residual_norm[0] / np.linalg.norm(self.y))

    def track_iterations(self, shape, method):
        """Refinements or iterations."""
        return solve(self.A, self.y, method=method).n_iter
