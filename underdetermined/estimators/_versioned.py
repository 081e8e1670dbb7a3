"""Pickles that know which version of the package wrote them."""

import warnings
from typing import Any

from sklearn.exceptions import InconsistentVersionWarning

import underdetermined

__all__ = ["Versioned"]


class Versioned:
    """Writes the version of this package into pickles and warns when another version reads them."""

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_underdetermined_version": underdetermined.__version__}  # type: ignore[dict-item]

    def __setstate__(self, state: dict[str, Any]) -> None:
        version = state.pop("_underdetermined_version", "0")
        if version != underdetermined.__version__:
            warnings.warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_sklearn_version=f"underdetermined {underdetermined.__version__}",
                    original_sklearn_version=f"underdetermined {version}",
                ),
                stacklevel=2,
            )
        super().__setstate__(state)  # type: ignore[misc]
