"""Networks that a constant bias makes sparse: certificates of convergence, what to expect of them, pruning.

>>> import numpy as np
>>> from underdetermined.sparsity import sparsity_report
>>> report = sparsity_report(np.eye(3), bias=2.0, width=4096)
>>> round(report.mean_activity, 4)
0.0228
"""

from underdetermined.sparsity._certificate import Certificate
from underdetermined.sparsity._certify import certify
from underdetermined.sparsity._complexity import complexity_measure
from underdetermined.sparsity._pruning import prune_dead, prune_everywhere, prune_random
from underdetermined.sparsity._report import sparsity_report
from underdetermined.sparsity._report_result import SparsityReport
from underdetermined.sparsity._tangent import tangent_matrix

__all__ = [
    "Certificate",
    "SparsityReport",
    "certify",
    "complexity_measure",
    "prune_dead",
    "prune_everywhere",
    "prune_random",
    "sparsity_report",
    "tangent_matrix",
]
