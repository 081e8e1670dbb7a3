"""What `attainable_rank` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from underdetermined._linalg import Array, column_norms
from underdetermined._validation import check_number, check_targets
from underdetermined.attainability._range import Range


@dataclass(frozen=True)
class Group:
    """Rows that are tied together.

    Parameters
    ----------
    kind : str
        "duplicate" (equal rows), "ray" (multiples c x, c > 0, under a homogeneous activation), "antipodal" (x and -x, or
        both sides of a line), "zero" (rows x = 0), "polynomial" (distinct rows that the polynomials at hand cannot tell
        apart).
    rows : tuple of int
        Row numbers, ascending.
    """

    kind: str
    rows: tuple[int, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Attainability:
    """Which targets a network of one hidden layer can attain on given rows, at any width and however it is trained.

    Parameters
    ----------
    activation : str
        The activation, as `get_activation` reads it.
    bias : bool
        Whether neurons have biases.
    n_rows : int
        Rows n.
    rank : int
        Largest rank that the feature matrix has at any width: the dimension of the space of attainable targets.
    groups : tuple of Group
        Rows that are responsible for the deficiency; empty if there is none.
    near : tuple of Group
        Rows that would be, if they did not differ by a little; they do not lower `rank`, but they spoil the conditioning.
    explanation : str
        One paragraph in plain words.
    space : Range
        The attainable targets as a basis, from which the rest is computed.

    Notes
    -----
    Targets are attainable if and only if ``null_vectors.T @ y = 0``. Full rank says that enough neurons fit every target,
    and nothing about conditioning, for which the spectrum of the Gram matrix is the measure.
    """

    activation: str
    bias: bool
    n_rows: int
    rank: int
    groups: tuple[Group, ...]
    near: tuple[Group, ...]
    explanation: str
    space: Range = field(repr=False)

    @property
    def deficiency(self) -> int:
        """Number of independent linear conditions on the targets, n_rows - rank."""
        return self.n_rows - self.rank

    @cached_property
    def null_vectors(self) -> Array:
        """Orthonormal basis (n_rows, deficiency) of the vectors v with <v, f(X)> = 0 for every such network f.

        Built when first asked for, 8 n_rows deficiency bytes; raises MemoryError where that does not fit.
        """
        return self.space.complement()

    def unattainable_part(self, y: ArrayLike) -> Array:
        """Part of the targets that stays as residual in the best fit of any such network.

        The orthogonal projection N N^T y on the null vectors N, without forming N.

        Parameters
        ----------
        y : array-like of shape (n_rows,) or (n_rows, k)
            Targets.

        Returns
        -------
        ndarray of the shape of y
            The residual of least squares at a sufficient width.

        Examples
        --------
        >>> from underdetermined.attainability import attainable_rank
        >>> result = attainable_rank([[1.0], [1.0]], activation="exp")
        >>> result.unattainable_part([1.0, 3.0])
        array([-1.,  1.])
        """
        targets = check_targets(y, self.n_rows, "y")
        norm = column_norms(targets)
        norm[norm == 0.0] = 1.0
        return (self.space.remainder(targets / norm) * norm).reshape(np.shape(y))

    def is_attainable(self, y: ArrayLike, *, rtol: float = 1e-10) -> bool:
        """Whether a wide enough network fits the targets.

        Parameters
        ----------
        y : array-like of shape (n_rows,) or (n_rows, k)
            Targets, one column per output.
        rtol : float, default=1e-10
            For every column, ||unattainable part|| <= rtol ||y|| is asked.

        Returns
        -------
        bool

        Examples
        --------
        >>> from underdetermined.attainability import attainable_rank
        >>> result = attainable_rank([[1.0], [2.0]], activation="relu")
        >>> result.is_attainable([1.0, 2.0]), result.is_attainable([1.0, 1.0])
        (True, False)
        """
        tolerance = check_number(rtol, "rtol")
        targets = check_targets(y, self.n_rows, "y")
        norm = column_norms(targets)
        targets = targets / np.where(norm > 0.0, norm, 1.0)
        return bool((column_norms(self.space.remainder(targets)) <= tolerance).all())

    def to_dict(self) -> dict[str, Any]:
        """Everything but the null vectors, in types that JSON knows.

        Returns
        -------
        dict
            Keys activation, bias, n_rows, rank, deficiency, groups and near (lists of {"kind", "rows"}), explanation.
        """
        groups, near = ([{"kind": g.kind, "rows": list(g.rows)} for g in part] for part in (self.groups, self.near))
        return {
            "activation": self.activation,
            "bias": self.bias,
            "n_rows": self.n_rows,
            "rank": self.rank,
            "deficiency": self.deficiency,
            "groups": groups,
            "near": near,
            "explanation": self.explanation,
        }

    def __repr__(self) -> str:
        """Summarise in one line."""
        return (
            f"Attainability(activation={self.activation!r}, bias={self.bias}, n_rows={self.n_rows}, rank={self.rank}, "
            f"deficiency={self.deficiency}, groups={len(self.groups)}, near={len(self.near)})"
        )
