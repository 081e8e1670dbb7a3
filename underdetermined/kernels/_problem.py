"""A kernel to be computed: inputs and options, checked; tiles of the result, by closed form or by expansion."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse

from underdetermined._expectation import DEGREES, DIAGONALS, SMOOTHED, Expectation
from underdetermined._kernels import CLOSED_FORMS, WORK_ROWS, correlations
from underdetermined._validation import check_matrix, check_memory, check_number
from underdetermined.activations import get_activation
from underdetermined.blocks import run_tiles, scratch, slices

_TILE = 192  # rows and columns of a tile: with its scratch memory it stays in the cache of one core
_NEAR = 1.0 - 1e-12  # correlations of coinciding rows are beyond, whatever their rounding
_ADVICE = "scale the inputs down (for example with StandardScaler) or lower weight_scale"

Tile = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class _Side:
    """The rows on one side of a kernel and their squared norms."""

    inputs: np.ndarray
    squares: np.ndarray

    @classmethod
    def check(cls, inputs: ArrayLike, name: str) -> "_Side":
        if issparse(inputs):
            raise TypeError(f"{name} is a sparse matrix: kernels are dense and so are their inputs; pass {name}.toarray()")
        matrix = np.ascontiguousarray(check_matrix(inputs, name), dtype=np.float64)
        with np.errstate(over="ignore"):
            return cls(matrix, np.einsum("ij,ij->i", matrix, matrix))

    def refuse(self, finite: np.ndarray, what: str) -> None:
        """Raise for the first row that is not finite."""
        if finite.all():
            return
        row = int(np.argmin(finite))
        peak = float(np.abs(self.inputs[row]).max())
        norm = peak * float(np.linalg.norm(self.inputs[row] / peak)) if peak else 0.0
        raise OverflowError(f"{what} overflows float64 on row {row}, whose norm is {norm:.3g}; {_ADVICE}.")


def _with_parameters(mean: Any, parameters: tuple[float, ...], m: np.ndarray, w: np.ndarray) -> np.ndarray:
    return mean(m, w, parameters)


class Problem:
    """A kernel to be computed: checked inputs and options."""

    def __init__(
        self,
        X: ArrayLike,
        Z: ArrayLike | None,
        activation: Any,
        kind: str,
        weight_scale: float,
        bias_scale: float,
        coef_scale: float = 1.0,
        trained_biases: bool | None = None,
    ) -> None:
        self.activation = get_activation(activation)
        self.is_tangent = kind == "ntk"
        with np.errstate(over="ignore"):
            self.weight_variance = np.square(check_number(weight_scale, "weight_scale", low_open=True))
            self.bias_variance = np.square(check_number(bias_scale, "bias_scale"))
        if self.weight_variance < np.finfo(np.float64).tiny:
            raise ValueError(f"weight_scale={weight_scale!r} is out of range: its square underflows; scale the inputs")
        self.has_bias = bias_scale > 0
        if trained_biases is not None and not isinstance(trained_biases, bool | np.bool_):
            raise TypeError(f"trained_biases={trained_biases!r} is not a truth value: pass True, False or None")
        self.trains_biases = self.has_bias if trained_biases is None else bool(trained_biases)
        self.coef_variance = check_number(coef_scale, "coef_scale", high=1e150) ** 2
        self._is_standard = self.coef_variance == 1.0 and self.trains_biases == self.has_bias
        self.left = _Side.check(X, "X")
        self.is_symmetric = Z is None
        self.right = self.left if Z is None else _Side.check(Z, "Z")
        if self.left.inputs.shape[1] != self.right.inputs.shape[1]:
            raise ValueError(
                f"X has {self.left.inputs.shape[1]} columns and Z has {self.right.inputs.shape[1]}: they must have the same"
            )
        for side in (self.left, self.right):
            side.refuse(np.isfinite(self._variances(side)), "The variance weight_scale**2 |x|**2 + bias_scale**2")
        if self.is_tangent:
            self.activation.derivative(np.zeros(1))  # refuses an activation without one before any work is done
        self._has_closed_form = self.activation.function is None and self.activation.name in CLOSED_FORMS

    def _variances(self, side: _Side) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return self.weight_variance * side.squares + self.bias_variance

    def _expectations(self) -> list[Expectation]:
        """K, and K' if it is needed, for the rows of the left side followed by those of the right."""
        sides = (self.left,) if self.is_symmetric else (self.left, self.right)
        scales = np.sqrt(np.concatenate([self._variances(side) for side in sides]))
        activation = self.activation
        functions = (activation.value, activation.derivative)
        closed = SMOOTHED.get(activation.name) if activation.function is None else None
        means = [partial(_with_parameters, mean, activation.parameters) for mean in closed] if closed else [None, None]
        return [
            Expectation(functions[order], scales, activation.kinks, str(activation), means[order])
            for order in range(1 + self.is_tangent)
        ]

    def _closed_diagonal(self, side: _Side) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            parts = DIAGONALS[self.activation.name](self._variances(side), self.activation.parameters)
            return self._combined(side.squares, *parts)

    def _combined(self, products: np.ndarray, value: np.ndarray, *slope: np.ndarray) -> np.ndarray:
        return value + self.coef_variance * (products + self.trains_biases) * slope[0] if self.is_tangent else value

    def _diagonals(self, expectations: list[Expectation]) -> list[np.ndarray]:
        """Diagonal of each side, refused where it overflows: the other entries are no larger, by Cauchy and Schwarz."""
        result = []
        start = 0
        for side in (self.left,) if self.is_symmetric else (self.left, self.right):
            if self._has_closed_form:
                diagonal = self._closed_diagonal(side)
            else:
                part = slice(start, start + side.squares.size)
                with np.errstate(over="ignore", invalid="ignore"):
                    diagonal = self._combined(side.squares, *(each.squares[part] for each in expectations))
                start = part.stop
            side.refuse(np.isfinite(diagonal), f"The kernel of activation={str(self.activation)!r}")
            result.append(diagonal)
        return result

    def diagonal(self) -> np.ndarray:
        return self._diagonals([] if self._has_closed_form else self._expectations())[0]

    def matrix(self, n_jobs: int | None) -> np.ndarray:
        n, m = self.left.squares.size, self.right.squares.size
        check_memory(8 * n * m, f"the {n} x {m} kernel")
        expectations = [] if self._has_closed_form else self._expectations()
        diagonals = self._diagonals(expectations)
        out = np.empty((n, m))
        tiles = [(rows, columns) for rows in slices(n, _TILE) for columns in slices(m, _TILE)]
        if self.is_symmetric:
            tiles = [(rows, columns) for rows, columns in tiles if rows.start <= columns.start]
        if self._has_closed_form:
            run_tiles(lambda tile: self._closed_tile(out, *tile), tiles, n_jobs=n_jobs)
        else:
            self._expand(out, tiles, expectations, n_jobs)
        if self.is_symmetric:
            np.fill_diagonal(out, diagonals[0])
        return out

    def _store(self, out: np.ndarray, rows: slice, columns: slice, tile: np.ndarray) -> None:
        out[rows, columns] = tile
        if self.is_symmetric and rows.start == columns.start:
            out[rows, columns] = np.triu(tile) + np.triu(tile, 1).T
        elif self.is_symmetric:
            out[columns, rows] = tile.T

    def _sides(self, rows: slice, columns: slice) -> tuple[np.ndarray, ...]:
        left, right = self.left, self.right
        return left.inputs[rows], right.inputs[columns], left.squares[rows], right.squares[columns]

    def _closed_tile(self, out: np.ndarray, rows: slice, columns: slice) -> None:
        sides = self._sides(rows, columns)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        memory = scratch((height + WORK_ROWS, width), out.dtype)
        tile = memory[:height]
        np.matmul(sides[0], sides[1].T, out=tile)
        variances = self.weight_variance, self.bias_variance
        parameters = np.array(self.activation.parameters)
        fill = partial(CLOSED_FORMS[self.activation.name], parameters=parameters, work=memory[height:])
        if not self.is_tangent or self._is_standard:
            fill(tile, *sides, *variances, int(self.is_tangent))
        else:
            products, slope = tile.copy(), tile.copy()
            fill(tile, *sides, *variances, 0)
            fill(slope, *sides, *variances, 2)
            tile = self._combined(products, tile, slope)
        self._store(out, rows, columns, tile)

    def _expand(self, out: np.ndarray, tiles: list[Tile], expectations: list[Expectation], n_jobs: int | None) -> None:
        """Fill the tiles with short expansions, then the entries that are left, as nan, with long ones or quadrature."""
        offset = 0 if self.is_symmetric else self.left.squares.size
        needed = np.arange(offset + self.right.squares.size)
        out.fill(np.nan)
        for size in DEGREES:
            for expectation in expectations:
                expectation.extend(needed, size)
            task = partial(self._series_tile, out, expectations, offset, size == DEGREES[-1])
            run_tiles(task, tiles, n_jobs=n_jobs)
            tiles = [tile for tile in tiles if np.isnan(out[tile]).any()]
            rows, columns = [np.zeros(0, np.intp)], [np.zeros(0, np.intp)]
            for tile in tiles:
                left, right = self._missing(out, *tile)
                rows.append(left + tile[0].start)
                columns.append(right + tile[1].start + offset)
            needed = np.unique(np.concatenate(rows + columns))
            if not needed.size:
                return

    def _missing(self, out: np.ndarray, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray]:
        """Entries of a tile that are still to be computed."""
        missing = np.isnan(out[rows, columns])
        if self.is_symmetric and rows.start == columns.start:
            missing = np.triu(missing, 1)
        left, right = np.nonzero(missing)
        return left, right

    def _series_tile(
        self, out: np.ndarray, expectations: list[Expectation], offset: int, is_last: bool, tile: Tile
    ) -> None:
        rows, columns = tile
        left, right = self._missing(out, rows, columns)
        products, correlation, sine = (array[left, right] for array in self._correlations(rows, columns))
        pairs = correlation, sine, left + rows.start, right + columns.start + offset
        block = out[rows, columns].copy()
        sign = self._coincidences(correlation, pairs[2], right + columns.start)
        is_other = sign == 0.0
        values = []
        for order, expectation in enumerate(expectations):
            # The derivative has the other parity.
            value = expectation.squares[pairs[2]] * (np.abs(sign) if order == self._is_odd else sign)
            value[is_other] = expectation.pairs(*(array[is_other] for array in pairs), is_last=is_last)
            values.append(value)
        block[left, right] = self._combined(products, *values)
        self._store(out, rows, columns, block)

    @property
    def _is_odd(self) -> bool:
        return self.activation.even_degree == -1

    def _coincidences(self, correlation: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """1 for pairs of equal rows, -1 for opposite ones of an even or odd function, 0 for all others.

        Their entries are those of the diagonal, to the last digit: larger errors would make a singular matrix regular.
        """
        sign = np.zeros(correlation.size)
        near = np.flatnonzero(correlation > _NEAR)
        sign[near] = (self.left.inputs[left[near]] == self.right.inputs[right[near]]).all(axis=1)
        if not self.has_bias and (self._is_odd or self.activation.odd_degree == -1):
            near = np.flatnonzero(correlation < -_NEAR)
            sign[near] = -1.0 * (self.left.inputs[left[near]] == -self.right.inputs[right[near]]).all(axis=1)
        return sign

    def _correlations(self, rows: slice, columns: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sides = self._sides(rows, columns)
        products = sides[0] @ sides[1].T
        correlation, sine = products.copy(), np.empty_like(products)
        correlations(correlation, *sides, self.weight_variance, self.bias_variance, sine)
        return products, correlation, sine
