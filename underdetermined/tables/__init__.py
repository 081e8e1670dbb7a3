"""Tables of numbers from CSV files, and the data sets that scikit-learn carries."""

from underdetermined.tables._datasets import DATASETS, load_dataset
from underdetermined.tables._prepare import centred_targets, draw_rows, numeric_target, standardise
from underdetermined.tables._read import read_table
from underdetermined.tables._table import Table, TableError
from underdetermined.tables._table import Task as Task

__all__ = [
    "DATASETS",
    "Table",
    "TableError",
    "centred_targets",
    "draw_rows",
    "load_dataset",
    "numeric_target",
    "read_table",
    "standardise",
]
