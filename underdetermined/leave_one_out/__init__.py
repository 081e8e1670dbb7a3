"""Exact leave-one-out error of ridge regression: over a whole grid of penalties, or around a good one where n is large."""

from underdetermined.leave_one_out._eigendecomposition import leave_one_out_path
from underdetermined.leave_one_out._grid import default_alphas, subsample_rows
from underdetermined.leave_one_out._path import LeaveOneOutPath
from underdetermined.leave_one_out._search import leave_one_out_search

__all__ = ["LeaveOneOutPath", "default_alphas", "leave_one_out_path", "leave_one_out_search", "subsample_rows"]
