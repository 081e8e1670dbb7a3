"""Gradient descent forecast from the spectrum of a Gram matrix, before the first step."""

from underdetermined.descent._forecast import DescentForecast, forecast_descent
from underdetermined.descent._rates import cg_bound, max_learning_rate, optimal_learning_rate, optimal_momentum

__all__ = [
    "DescentForecast",
    "cg_bound",
    "forecast_descent",
    "max_learning_rate",
    "optimal_learning_rate",
    "optimal_momentum",
]
