"""Numbers as JSON has them."""

from typing import Any

import numpy as np


def plain(values: Any) -> Any:
    """Turn a number or an array into Python numbers.

    Parameters
    ----------
    values : float, ndarray or None
        Numbers.

    Returns
    -------
    float, list or None
        Nested lists for an array; None in place of nan and inf.
    """
    if values is None:
        return None
    array = np.asarray(values)
    result = array.astype(object)
    result[~np.isfinite(array)] = None
    return result.tolist()
