"""One spectrum for each activation, on the same rows and with the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state

from underdetermined._validation import check_count, check_matrix, check_memory, check_number, check_targets
from underdetermined.activation_comparison._notes import notes_on
from underdetermined.activation_comparison._result import TOLERANCES, ActivationComparison, ActivationRow, Kind
from underdetermined.activations import Activation, get_activation, names
from underdetermined.attainability import Attainability, attainable_rank
from underdetermined.descent import forecast_descent
from underdetermined.features import FeatureMap
from underdetermined.spectrum import Spectrum
from underdetermined.weights import sample_gaussian

Choice = str | Activation | Callable[[np.ndarray], np.ndarray]

_KINDS = ("nngp", "ntk", "features")


def compare_activations(
    X: ArrayLike,
    y: ArrayLike | None = None,
    *,
    activations: Sequence[Choice] | Choice | None = None,
    kind: Kind = "nngp",
    width: int | None = None,
    weight_scale: float | Literal["auto"] = "auto",
    bias_scale: float = 1.0,
    random_state: Any = None,
    progress: Callable[[str], object] = lambda line: None,
) -> ActivationComparison:
    """Compare what activations make of given rows, before anything is trained.

    For each activation the eigenvalues of its kernel matrix on the rows of X say how gradient descent on the last
    layer will run: the residual along eigenvector i shrinks by ``1 - learning_rate * eigenvalue_i`` in each step.

    Parameters
    ----------
    X : array_like of shape (n, d)
        Inputs, one row each. Standardise them first if the columns differ in scale.
    y : array_like of shape (n,) or (n, k), default=None
        Targets, used as they are: subtract their mean if the network has an intercept. None leaves out the columns
        that need them.
    activations : sequence of str, Activation or callable, default=None
        What to compare, as `underdetermined.get_activation` takes it; None takes the whole catalogue.
    kind : {"nngp", "ntk", "features"}, default="nngp"
        Infinite-width kernel of the last layer; neural tangent kernel, both layers trained; or the Gram matrix of a
        finite random layer.
    width : int, default=None
        Neurons for ``kind="features"``, at least 1; None takes max(2 n, 512): one width for
        every activation, while the estimators ask a bound that depends on it where n is small.
    weight_scale : float or "auto", default="auto"
        Standard deviation of the hidden weights, greater than 0; "auto" is 1 / sqrt(d).
    bias_scale : float, default=1.0
        Standard deviation of the hidden biases, at least 0; 0 means no biases.
    random_state : None, int or RandomState, default=None
        For ``kind="features"``: draws the hidden layer, the same for every activation, and the same that
        `underdetermined.RandomFeatures` draws. The kernels draw nothing.
    progress : callable, default=do nothing
        Called with one line of text before each activation.

    Returns
    -------
    ActivationComparison
        One `ActivationRow` for each activation, in the order given.

    Raises
    ------
    ValueError
        If X or y is not finite or their shapes disagree, y is zero everywhere, an activation or `kind` is not known,
        an option is out of range or has no effect, or no activation gives a spectrum.
    TypeError
        If an option has the wrong type.
    MemoryError
        If an n x n matrix cannot fit.

    Notes
    -----
    For each activation O(n^2 d) for the matrix (n^2 width for features) and O(n^3) for its eigenvalues, with y about
    four times as much for the eigenvectors. One matrix and its eigenvectors are held at a time, some 40 n^2 bytes;
    the result keeps O(n) numbers for each activation. An activation whose kernel overflows on these rows keeps its
    place in the table, with the reason. Eigenvalues beyond the attainable rank are exactly zero and set to zero.

    Steps are those of gradient descent on half the squared error, with the learning rate 2 / (lambda_max +
    lambda_min) over the resolved eigenvalues; for ``kind="ntk"`` they are the forecast of the infinite width.

    Examples
    --------
    >>> from underdetermined.activation_comparison import compare_activations
    >>> found = compare_activations([[1.0], [-1.0], [3.0]], [1.0, 0.0, 2.0], activations=["relu", "tanh"], bias_scale=0)
    >>> [(row.activation, row.attainable_rank) for row in found.rows]
    [('relu', 2), ('tanh', 2)]
    """
    X = np.asarray(check_matrix(X, "X"), dtype=np.float64)
    n, d = X.shape
    if kind not in _KINDS:
        raise ValueError(f"kind={kind!r} is not known: pass one of {', '.join(map(repr, _KINDS))}")
    if width is not None and kind != "features":
        raise ValueError(f"width={width!r} has no effect for kind={kind!r}: leave it out, or pass kind='features'")
    targets = None if y is None else _check_y(y, n)
    chosen = _check_activations(activations)
    weight = d**-0.5 if weight_scale == "auto" else check_number(weight_scale, "weight_scale", low_open=True)
    bias = check_number(bias_scale, "bias_scale")
    seed, layer = None, None
    if kind == "features":
        width = max(2 * n, 512) if width is None else check_count(width, "width")
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        check_memory(8 * (d + 1) * width, f"{width} hidden neurons with {d} inputs each")
        weights, biases = sample_gaussian(d, width, seed=seed)
        layer = FeatureMap(weights * weight, biases * bias if bias else None)

    def spectrum_of(activation: Activation) -> Spectrum:
        vectors = targets is not None
        if layer is not None:
            return Spectrum.from_features(FeatureMap(layer.weights, layer.biases, activation), X, eigenvectors=vectors)
        return Spectrum.from_kernel(
            X, activation=activation, kind=kind, weight_scale=weight, bias_scale=bias, eigenvectors=vectors
        )

    rows, reasons = [], []
    for number, (label, activation) in enumerate(chosen, start=1):
        progress(f"{label}: activation {number} of {len(chosen)}")
        reason = None
        try:
            reason = attainable_rank(X, activation=activation, bias=bias > 0)
            row = _row(label, spectrum_of(activation), reason, targets)
        except (ArithmeticError, ValueError) as error:  # what could be wrong with the other arguments was checked above
            rank, words = (None, "") if reason is None else (reason.rank, reason.explanation)
            row = ActivationRow(label, None, rank, words, error=str(error))
        rows.append(row)
        reasons.append(reason)
    if all(row.error is not None for row in rows):
        raise ValueError(f"no activation gives a spectrum on these rows; {rows[0].activation}: {rows[0].error}")
    notes = notes_on(rows, reasons, width=width)
    return ActivationComparison(tuple(rows), kind, n, d, float(weight), bias, width, seed, notes)


def _row(label: str, spectrum: Spectrum, reason: Attainability, targets: NDArray[np.float64] | None) -> ActivationRow:
    if spectrum.rank > reason.rank:
        # Entries of equal rows may be rounded differently by more than n eps, and theory knows the rank.
        values = spectrum.eigenvalues.copy()
        values[reason.rank :] = 0.0
        spectrum = replace(spectrum, eigenvalues=values)
    bare = replace(spectrum, eigenvectors=None)  # n x n vectors of twenty activations would not fit
    if targets is None:
        return ActivationRow(label, bare, reason.rank, reason.explanation)
    forecast = forecast_descent(spectrum, targets)
    steps = tuple(forecast.steps_to_tolerance(tolerance) for tolerance in TOLERANCES)
    lost = float(np.linalg.norm(reason.unattainable_part(targets)) / np.linalg.norm(targets))
    return ActivationRow(label, bare, reason.rank, reason.explanation, spectrum.energy(targets), steps, lost)


def _check_y(y: ArrayLike, n_rows: int) -> NDArray[np.float64]:
    targets = check_targets(y, n_rows, "y")
    largest = np.abs(targets).max()
    if largest == 0.0:
        raise ValueError("y is 0 in every row: there is nothing to fit; leave y out, or pass other targets")
    return targets / largest  # only ratios are reported, and squares of huge targets would overflow


def _check_activations(activations: Sequence[Choice] | Choice | None) -> list[tuple[str, Activation]]:
    if activations is None:
        activations = names()
    if isinstance(activations, str | Activation) or callable(activations):
        activations = [activations]
    chosen = [(item.strip() if isinstance(item, str) else None, get_activation(item)) for item in activations]
    if not chosen:
        raise ValueError("activations is empty: name at least one, or pass None for the whole catalogue")
    return [(label or str(activation), activation) for label, activation in chosen]
