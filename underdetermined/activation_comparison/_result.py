"""What a comparison of activations holds: one row for each, and the settings that all share."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from underdetermined.activation_comparison._html import comparison_html
from underdetermined.activation_comparison._text import comparison_text
from underdetermined.spectrum import Spectrum

Kind = Literal["nngp", "ntk", "features"]
TOLERANCES = (1e-2, 1e-4, 1e-8)
TOP = 10


@dataclass(frozen=True, eq=False)
class ActivationRow:
    """What one activation makes of the data.

    Parameters
    ----------
    activation : str
        The name as it was given.
    spectrum : Spectrum or None
        Eigenvalues of the matrix, without eigenvectors; None where it could not be computed.
    attainable_rank : int or None
        Dimension of the targets that a network of any width can fit on these rows; None where it is not known.
    explanation : str
        The attainable rank in words, with the rows that are responsible if it is not full.
    target_energy : ndarray of shape (n_rows,) or None
        Share of ||y||^2 along each eigenvector, in the order of the eigenvalues; None without targets.
    steps : tuple of float or None
        Steps of gradient descent until the residual has fallen to 1e-2, 1e-4 and 1e-8 of ||y||, at the best fixed
        learning rate; inf for never, None without targets.
    unattainable : float or None
        Norm of the part of y that no width attains, relative to ||y||; None without targets.
    error : str or None
        Why there is no spectrum.
    """

    activation: str
    spectrum: Spectrum | None
    attainable_rank: int | None = None
    explanation: str = ""
    target_energy: NDArray[np.float64] | None = field(default=None, repr=False)
    steps: tuple[float, ...] | None = None
    unattainable: float | None = None
    error: str | None = None

    @property
    def lambda_max(self) -> float | None:
        """Largest eigenvalue."""
        return None if self.spectrum is None else self.spectrum.largest

    @property
    def lambda_min(self) -> float | None:
        """Smallest eigenvalue; None where the matrix is singular or its smallest eigenvalues are not resolved."""
        return self.spectrum.smallest if self.spectrum is not None and self.spectrum.is_resolved else None

    @property
    def condition(self) -> float | None:
        """lambda_max / lambda_min; None where lambda_min is."""
        return self.spectrum.condition if self.spectrum is not None and self.spectrum.is_resolved else None

    @property
    def rank(self) -> int | None:
        """Number of eigenvalues above n eps lambda_max."""
        return None if self.spectrum is None else self.spectrum.rank

    @property
    def is_resolved(self) -> bool:
        """Whether every direction that can be attained has an eigenvalue above n eps lambda_max."""
        return self.spectrum is not None and 0 < self._wanted_rank <= self.spectrum.rank

    @property
    def _wanted_rank(self) -> int:
        everything = 0 if self.spectrum is None else self.spectrum.n_rows
        return everything if self.attainable_rank is None else self.attainable_rank

    @property
    def attainable_lambda_min(self) -> float | None:
        """Smallest eigenvalue on the targets that can be attained; None where it is not resolved.

        It is lambda_min where every target can be attained. Repeated rows make the matrix singular for every
        activation; this number still tells them apart.
        """
        if self.spectrum is None or not self.is_resolved:
            return None
        return float(self.spectrum.eigenvalues[self._wanted_rank - 1])

    @property
    def attainable_condition(self) -> float | None:
        """lambda_max over the smallest eigenvalue on the targets that can be attained; None where that is."""
        smallest = self.attainable_lambda_min
        return None if smallest is None or self.spectrum is None else self.spectrum.largest / smallest

    @property
    def trace(self) -> float | None:
        """Sum of the eigenvalues: the sum over the rows of the mean square of a feature."""
        return None if self.spectrum is None else self.spectrum.trace

    @property
    def effective_rank(self) -> float | None:
        """trace / lambda_max."""
        return None if self.spectrum is None else self.spectrum.effective_rank

    @property
    def entropy_rank(self) -> float | None:
        """exp(-sum p log p) with p = eigenvalues / trace."""
        return None if self.spectrum is None else self.spectrum.entropy_rank

    @property
    def top_energy(self) -> float | None:
        """Share of ||y||^2 along the ten leading eigenvectors."""
        return None if self.target_energy is None else float(min(1.0, self.target_energy[:TOP].sum()))

    @property
    def residual_floor(self) -> float | None:
        """Share of the residual norm that stays: that of y along eigenvectors of unresolved eigenvalues."""
        if self.target_energy is None or self.rank is None:
            return None
        return float(np.sqrt(self.target_energy[self.rank :].sum()))

    def to_dict(self) -> dict[str, Any]:
        """Numbers, text and None; the spectrum is left out.

        Returns
        -------
        dict
            Ready for `json.dumps`. ``steps`` maps a tolerance to a number, None meaning never; it is None itself
            without targets.
        """
        steps = None
        if self.steps is not None:
            steps = {
                f"{tolerance:.0e}": _finite(count) for tolerance, count in zip(TOLERANCES, self.steps, strict=True)
            }
        return {
            "activation": self.activation,
            "lambda_max": _finite(self.lambda_max),
            "lambda_min": _finite(self.lambda_min),
            "condition": _finite(self.condition),
            "attainable_lambda_min": _finite(self.attainable_lambda_min),
            "attainable_condition": _finite(self.attainable_condition),
            "rank": self.rank,
            "attainable_rank": self.attainable_rank,
            "effective_rank": _finite(self.effective_rank),
            "entropy_rank": _finite(self.entropy_rank),
            "trace": _finite(self.trace),
            "steps": steps,
            "top_energy": _finite(self.top_energy),
            "residual_floor": _finite(self.residual_floor),
            "unattainable": _finite(self.unattainable),
            "error": self.error,
        }


@dataclass(frozen=True, eq=False, repr=False)
class ActivationComparison:
    """What `compare_activations` found; it prints as a table, and shows one in a notebook.

    Parameters
    ----------
    rows : tuple of ActivationRow
        One for each activation, in the order given.
    kind : {"nngp", "ntk", "features"}
        Whose spectra they are.
    n_rows, n_inputs : int
        Size of the data.
    weight_scale, bias_scale : float
        Standard deviations of the hidden weights and biases.
    width, seed : int or None
        Of the hidden layer, for ``kind="features"``: ``sample_gaussian(n_inputs, width, seed=seed)`` before the scales.
    notes : tuple of str
        What a reader should know: why targets cannot be attained, what is not resolved, what failed.
    source : str or None, default=None
        Where the data came from.
    """

    rows: tuple[ActivationRow, ...]
    kind: Kind
    n_rows: int
    n_inputs: int
    weight_scale: float
    bias_scale: float
    width: int | None
    seed: int | None
    notes: tuple[str, ...]
    source: str | None = None

    @property
    def has_targets(self) -> bool:
        """Whether targets were given."""
        return any(row.target_energy is not None for row in self.rows)

    @cached_property
    def best(self) -> ActivationRow | None:
        """The row of smallest condition on the targets that can be attained; None where no row is resolved.

        Rows that can attain fewer targets than another row are left out: a matrix of rank one is well conditioned.
        """
        most = max(row._wanted_rank for row in self.rows)
        rows = [row for row in self.rows if row.is_resolved and row._wanted_rank == most]
        return min(rows, key=lambda row: row.attainable_condition or np.inf, default=None)

    @property
    def description(self) -> str:
        """Data and settings in one line."""
        matrix = {"nngp": "infinite-width kernel (NNGP)", "ntk": "neural tangent kernel, infinite width"}.get(
            self.kind, f"feature Gram of {self.width} neurons"
        )
        biases = f"bias scale {self.bias_scale:.3g}" if self.bias_scale else "no biases"
        start = f"{self.source}: " if self.source else ""
        return (
            f"{start}{self.n_rows} rows, {self.n_inputs} inputs; {matrix}, "
            f"weight scale {self.weight_scale:.3g}, {biases}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The result as numbers, strings, lists and dictionaries; eigenvalues are left out.

        Returns
        -------
        dict
            Ready for `json.dumps`; None stands for numbers that are infinite or not resolved.
        """
        return {
            "source": self.source,
            "kind": self.kind,
            "rows": self.n_rows,
            "inputs": self.n_inputs,
            "weight_scale": self.weight_scale,
            "bias_scale": self.bias_scale,
            "width": self.width,
            "layer_seed": self.seed,
            "activations": [row.to_dict() for row in self.rows],
            "best_conditioned": None if self.best is None else self.best.activation,
            "notes": list(self.notes),
        }

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            One row for each activation, which is the index; one column for each entry of `ActivationRow.to_dict`,
            and ``steps_1e-02`` and so on for the steps, inf where the tolerance is never reached.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            # pandas is no dependency, and nothing but this method needs it.
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise ImportError("to_frame needs pandas, which is missing: pip install pandas, or use to_dict()") from error
        records = []
        for row in self.rows:
            record = row.to_dict()
            del record["steps"]
            for index, tolerance in enumerate(TOLERANCES):
                record[f"steps_{tolerance:.0e}"] = np.nan if row.steps is None else row.steps[index]
            records.append(record)
        return pandas.DataFrame.from_records(records).set_index("activation")

    def __str__(self) -> str:
        """The table as text, at most 100 columns wide."""
        return comparison_text(self)

    def __repr__(self) -> str:
        """One line."""
        return f"<ActivationComparison of {len(self.rows)} activations: {self.description}>"

    def _repr_html_(self) -> str:
        return comparison_html(self)


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and isfinite(value) else None
