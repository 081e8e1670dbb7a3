"""alpha="loo": how much of the leave-one-out error is computed, by the size of the system."""

from dataclasses import replace

import numpy as np

from underdetermined.estimators._rows import Rows
from underdetermined.features import FeatureMap
from underdetermined.leave_one_out import LeaveOneOutPath, leave_one_out_path, leave_one_out_search, subsample_rows
from underdetermined.system import LinearSystem

__all__ = ["leave_one_out"]

EXACT_LOO_ORDER = 4000  # largest eigendecomposition
SEARCH_LOO_ORDER = 16384  # largest Cholesky factor of the search, 2 GiB


def leave_one_out(system: LinearSystem, rows: Rows, layer: FeatureMap) -> LeaveOneOutPath:
    """Every penalty where the smaller side can be decomposed; beyond, a search that starts from a subset of the rows.

    Parameters
    ----------
    system : LinearSystem
        Features of the rows, and their targets.
    rows : Rows
        The rows, with what merging hid of their targets.
    layer : FeatureMap
        Hidden layer of the features.

    Returns
    -------
    LeaveOneOutPath
        Its method says which of these it was; "subset" where the whole system is too large for either.
    """
    n, width = system.shape
    # The search multiplies tall features for every penalty, the eigenvectors do it once for all of them.
    if min(n, width) <= EXACT_LOO_ORDER * (2 if n > 2 * width else 1):
        return leave_one_out_path(system, within_squares=rows.scatter)
    kept = subsample_rows(rows.n_rows)
    subset = LinearSystem(
        layer.operator(rows.inputs[kept]),
        rows.targets[kept],
        sample_weight=None if system.sample_weight is None else rows.weight[kept],
        fit_intercept=system.fit_intercept,
        gram=None if system.gram is None else system.gram[np.ix_(kept, kept)],
    )
    path = leave_one_out_path(subset, within_squares=rows.scatter[kept])
    if min(n, width) <= SEARCH_LOO_ORDER:
        return leave_one_out_search(system, path.alpha, within_squares=rows.scatter)
    return replace(path, method="subset")
