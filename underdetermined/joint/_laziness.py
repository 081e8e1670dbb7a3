"""Measure whether a training run was lazy."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from underdetermined._linalg import EPS, column_norms, vector_norm
from underdetermined._validation import as_float, check_count, check_finite, check_memory
from underdetermined.joint._laziness_result import LayerMovement, LazinessReport, over
from underdetermined.objectives import TwoLayer

FloatArray = NDArray[np.float64]


def laziness_report(
    objective: TwoLayer,
    theta: ArrayLike,
    start: ArrayLike | None = None,
    *,
    certificate: Any = None,
    max_order: int = 1000,
) -> LazinessReport:
    """Measure how far training went from the network linearised at the start.

    With F the weighted outputs, J_0 their Jacobian at the start theta_0 and delta = theta - theta_0, the linearisation error
    is

        |F(theta) - F(theta_0) - J_0 delta| / |F(theta) - F(theta_0)|,

    and the share of a layer is ``<J_0 delta_layer, F(theta) - F(theta_0)> / |F(theta) - F(theta_0)|^2``. Shares can be
    negative, where layers work against each other; together with `LazinessReport.higher_order` they add up to 1.

    Parameters
    ----------
    objective : TwoLayer
        Rows, targets, weights of the rows, and the network.
    theta : array_like of shape (p,)
        Parameters at the end.
    start : array_like of shape (p,) or None, default=None
        Parameters theta_0 at the start; None: those of `TwoLayer.initial`.
    certificate : JointCertificate or None, default=None
        What `certify` says of the start. One that was issued elsewhere, told by its norm of the residual, or that is
        contradicted by the distance, is reported as not of this run.
    max_order : int, default=1000
        Largest order n k of the tangent kernels. Of more rows as many as fit, at least one, are drawn at random, the same
        ones for the same n.

    Returns
    -------
    LazinessReport
        Movements, kernel alignment, linearisation error and a verdict.

    Raises
    ------
    TypeError, ValueError
        If `objective` is no `TwoLayer`, parameters do not fit or are not finite, or `max_order` is not a positive integer.
    OverflowError
        If outputs of the network overflow.
    MemoryError
        If two tangent kernels do not fit in memory.

    Notes
    -----
    A run is called lazy up to a linearisation error of 0.1, and not lazy from 0.5 on. Alignment alone is a weak measure: it
    stays near 1 where the linearisation has long failed. What the certificate proves is lazy: a certified run is never a
    feature-learning claim. The converse does not hold.

    Cost: one product with the Jacobian for each layer, and two tangent kernels of order q = min(n k, `max_order`), about
    2 (1 + k (k + 1) / 2) (q / k)^2 m flops each. Memory 4 q^2.

    References
    ----------
    :ref:`theory-joint-training`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.joint import draw_network, laziness_report
    >>> from underdetermined.objectives import TwoLayer
    >>> from underdetermined.optimize import gauss_newton
    >>> objective = TwoLayer(2.0 * np.eye(3), [1.0, -1.0, 0.5], *draw_network(3, 1000))
    >>> run = gauss_newton(objective, objective.initial())
    >>> report = laziness_report(objective, run.theta)
    >>> report.linearization_error < 0.05, report.verdict.startswith("Lazy")
    (True, True)
    """
    if not isinstance(objective, TwoLayer):
        raise TypeError(f"objective is a {type(objective).__name__}: pass an underdetermined.objectives.TwoLayer")
    max_order = check_count(max_order, "max_order")
    last = _parameters(theta, "theta", objective)
    first = objective.initial() if start is None else _parameters(start, "start", objective)
    n, k = np.shape(objective.targets)
    weight = objective.sample_weight
    line, ahead = objective.linearize(first), objective.linearize(last)
    if not (np.isfinite(line.residual).all() and np.isfinite(ahead.residual).all()):
        raise OverflowError("outputs of the network overflow: pass parameters at which the loss is finite")
    change = ahead.residual - line.residual
    targets = (np.sqrt(weight)[:, np.newaxis] * objective.targets).ravel()
    size = vector_norm(change)
    # Below this, the difference of two residuals is rounding.
    if size <= 64.0 * EPS * (vector_norm(line.residual) + vector_norm(ahead.residual) + vector_norm(targets)):
        size = np.nan
    delta, movements, linear = last - first, [], np.zeros_like(change)
    for name, part, shape in _layers(objective):
        moved = np.zeros_like(delta)
        moved[part] = delta[part]
        effect = line.jacobian.matvec(moved)
        linear += effect
        movements.append(_movement(name, delta[part], first[part], shape, float((effect / size) @ (change / size))))
    plain, centred, rows = _alignment(objective, first, last, max_order)
    distance, first_norm = vector_norm(delta), vector_norm(line.residual)
    covers = _covers(certificate, first_norm, distance)
    return LazinessReport(
        n_rows=int(np.count_nonzero(weight)),
        n_inputs=objective.feature_map.n_inputs,
        n_outputs=k,
        width=objective.feature_map.width,
        movements=tuple(movements),
        distance=distance,
        relative_loss=over(vector_norm(ahead.residual), first_norm) ** 2,
        linearization_error=vector_norm(change - linear) / size,
        kernel_alignment=plain,
        centred_alignment=centred,
        kernel_rows=rows,
        is_certified=None if certificate is None else bool(certificate.is_certified),
        covers_run=covers,
        jacobian_drift=1.0 - certificate.pl_constant**0.5 / certificate.smallest_singular_value if covers else np.nan,
    )


def _parameters(theta: ArrayLike, name: str, objective: TwoLayer) -> FloatArray:
    """A finite float64 vector of all parameters."""
    result = np.asarray(as_float(theta, name), dtype=np.float64)
    if result.shape != (objective.n_parameters,):
        raise ValueError(f"{name} has shape {result.shape}: pass all parameters, shape ({objective.n_parameters},)")
    check_finite(result, name)
    return result


def _layers(objective: TwoLayer) -> list[tuple[str, slice, tuple[int, int] | None]]:
    """Trained layers: name, place in theta, and shape; None for the output bias, which has no neurons."""
    layer, k = objective.feature_map, objective.targets.shape[1]
    d, m = layer.n_inputs, layer.width
    hidden = [("hidden weights", (d, m))] + ([("hidden biases", (1, m))] if layer.biases is not None else [])
    output = [("output weights", (m, k))] + ([("output bias", None)] if objective.intercept is not None else [])
    layers: list[tuple[str, tuple[int, int] | None]] = []
    layers += hidden if objective.layers != "last" else []
    layers += output if objective.layers != "hidden" else []
    result, begin = [], 0
    for name, shape in layers:
        end = begin + (k if shape is None else shape[0] * shape[1])
        result.append((name, slice(begin, end), shape))
        begin = end
    return result


def _movement(name: str, delta: FloatArray, start: FloatArray, shape: tuple[int, int] | None, share: float) -> LayerMovement:
    distance, size = vector_norm(delta), vector_norm(start)
    largest = over(distance, size)
    if shape is not None:
        parts = delta.reshape(shape)
        norms = column_norms(parts.T if name == "output weights" else parts)
        largest = over(float(norms.max()), size / norms.size**0.5)
    return LayerMovement(name, distance, size, largest, share)


def _alignment(objective: TwoLayer, first: FloatArray, last: FloatArray, max_order: int) -> tuple[float, float, int]:
    """Cosines of the tangent kernels, plain and centred, and the number of rows that they are of."""
    k = objective.targets.shape[1]
    rows = np.flatnonzero(objective.sample_weight)
    n = max(min(rows.size, max_order // k), 1)
    if n < len(objective.X):
        rows = np.sort(np.random.default_rng(0).permutation(rows)[:n])
        weight = objective.sample_weight[rows]
        objective = replace(objective, X=objective.X[rows], targets=objective.targets[rows], sample_weight=weight)
    check_memory(8 * 4 * (n * k) ** 2, f"an alignment of tangent kernels of order {n * k}")
    kernels = [_unit(objective.linearize(theta).gram()) for theta in (first, last)]
    plain = float(np.vdot(*kernels))
    root = np.sqrt(objective.sample_weight)
    constant = root / vector_norm(root)
    for kernel in kernels:
        _centre(kernel.reshape(n, k, n, k), constant)
    return plain, float(np.vdot(*(_unit(kernel, floor=n * k * EPS) for kernel in kernels))), n


def _unit(kernel: FloatArray, floor: float = 0.0) -> FloatArray:
    """A kernel over its Frobenius norm; nan where that is zero, or rounding of another norm."""
    size = vector_norm(kernel.ravel())
    return kernel / (size if floor < size < np.inf else np.nan)


def _centre(kernel: FloatArray, constant: FloatArray) -> None:
    """Project a unit vector over rows out of both sides of a kernel (n, k, n, k), in place."""
    kernel -= constant[:, np.newaxis, np.newaxis, np.newaxis] * np.tensordot(constant, kernel, 1)
    kernel -= np.einsum("iajb,j->iab", kernel, constant)[:, :, np.newaxis, :] * constant[:, np.newaxis]


def _covers(certificate: Any, residual_norm: float, distance: float) -> bool:
    """Whether a certificate is of the start, and of steps that moved no farther than it allows."""
    if certificate is None or not certificate.is_certified:
        return False
    is_here = abs(certificate.residual_norm - residual_norm) <= 1e-9 * residual_norm
    return bool(is_here and distance <= certificate.distance * (1.0 + 1e-9))
