"""Training of an objective: gradient descent with a constant or an automatic step, and Gauss-Newton."""

from underdetermined.optimize._gauss_newton import gauss_newton
from underdetermined.optimize._gradient_descent import METHODS, gradient_descent

__all__ = ["METHODS", "gauss_newton", "gradient_descent"]
