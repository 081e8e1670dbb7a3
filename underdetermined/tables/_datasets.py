"""The data sets that scikit-learn carries, as tables."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from underdetermined.tables._table import Table, TableError

_LOADERS: dict[str, Callable[[], Any]] = {
    "diabetes": load_diabetes,
    "digits": load_digits,
    "breast_cancer": load_breast_cancer,
    "wine": load_wine,
}

DATASETS: tuple[str, ...] = tuple(_LOADERS)


def load_dataset(name: str) -> Table:
    """One of the data sets installed with scikit-learn; nothing is downloaded.

    Parameters
    ----------
    name : {"diabetes", "digits", "breast_cancer", "wine"}
        Which data set.

    Returns
    -------
    Table
        Class labels are the class names where the data set has them.

    Raises
    ------
    TableError
        If there is no such data set.

    Examples
    --------
    >>> from underdetermined.tables import load_dataset
    >>> table = load_dataset("diabetes")
    >>> table.inputs.shape, table.task
    ((442, 10), 'regression')
    """
    if name not in _LOADERS:
        raise TableError(f"there is no data set {name!r}; choose one of {', '.join(DATASETS)}")
    bunch = _LOADERS[name]()
    target = bunch.target
    if "target_names" in bunch:
        target = np.asarray(bunch.target_names)[target]
    return Table(
        np.ascontiguousarray(bunch.data, dtype=np.float64),
        target,
        tuple(str(feature) for feature in bunch.feature_names),
        "target",
        name,
    )
