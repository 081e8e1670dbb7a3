"""Room for lists that grow and shrink one by one, in one array."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


class Room:
    """Where the list of every neuron starts in arrays of `length` places.

    Parameters
    ----------
    n_lists : int
        Number of lists.
    """

    def __init__(self, n_lists: int) -> None:
        self.start, self.capacity = np.zeros(n_lists, np.int64), np.zeros(n_lists, np.int64)
        self.end = self.length = 0

    def reserve(self, lists: Indices, sizes: Indices) -> bool:
        """Make room for new contents of some lists.

        A list that has grown goes to the end, and leaves a gap; where there is no end left, all lists move together, and
        half as much again is left free, so that this is rare.

        Parameters
        ----------
        lists : ndarray of int
            Which ones; their old contents are given up.
        sizes : ndarray of int
            Their new sizes.

        Returns
        -------
        bool
            Whether `start` and `length` are new, so that the other lists must be moved to new arrays.
        """
        grown = sizes > self.capacity[lists]
        if not grown.any():
            return False
        named, needed = lists[grown], sizes[grown] + sizes[grown] // 4 + 1
        self.capacity[named] = needed
        total = int(needed.sum())
        if self.end + total <= self.length:
            self.start[named] = self.end + np.cumsum(needed) - needed
            self.end += total
            return False
        self.start = np.cumsum(self.capacity) - self.capacity
        self.end = int(self.capacity.sum())
        self.length = self.end + self.end // 2
        return True
