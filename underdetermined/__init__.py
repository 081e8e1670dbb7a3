"""Wide random-feature networks as under-determined linear systems.

A network whose hidden layer is random and wide is a linear system with more unknowns (neurons) than
equations (samples). The package builds that system, solves it with the coefficients of smallest norm, and
offers the result as scikit-learn estimators.
"""

__version__ = "0.1.0"
