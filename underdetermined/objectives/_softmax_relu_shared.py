"""A one-hidden-layer softmax network with a fixed last layer: one hidden layer for many distributions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from underdetermined._linalg import column_norms
from underdetermined._validation import check_finite, check_matrix, check_number, check_sample_weight
from underdetermined.blocks import slices
from underdetermined.objectives._loss import quiet
from underdetermined.objectives._softmax_relu_blocks import shared_value
from underdetermined.objectives._softmax_relu_checks import (
    check_active,
    check_distributions,
    check_loss,
    check_smoothing,
    check_vector,
)
from underdetermined.objectives._softmax_relu_shared_point import SharedSoftmaxReLUPoint

FloatArray = NDArray[np.float64]

# Numbers in one block of samples: a few blocks stay in the cache of a core.
_BLOCK_ENTRIES = 2**16
_SMALLEST_BLOCK = 64
# Sums over inputs are kept for each group, and added in the order of the groups.
_GROUPS = 16


@dataclass(frozen=True, eq=False)
class SharedSoftmaxReLU:
    """The distances of f(phi_j) = softmax(A2 max(W phi_j, 0) + offset) from b_j, weighted and summed, as a function of W.

    The parameters x are W of shape (n, p), row by row. The penalty is reg |x|^2 / 2.

    Parameters
    ----------
    Phi : array_like of shape (N, p)
        Inputs phi_j, the rows.
    A2 : array_like of shape (m, n)
        The output layer.
    B : array_like of shape (N, m)
        Targets, one row for each input. For "kl" rows are >= 0 and sum to 1.
    loss : {"kl", "squared"}, default="kl"
        Which distance.
    reg : float, default=0.0
        Weight of the penalty, at least 0.
    sample_weight : array_like of shape (N,), a number or None, default=None
        Weights of the rows, at least 0; None means 1.
    offset : array_like of shape (m,) or None, default=None
        Added to the logits, and not trained; None means 0.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, shapes do not fit, or a row of B is no distribution where the loss needs one.

    Notes
    -----
    Its kinks are those of n units at N inputs: hidden unit i at input j is entry j n + i of the flat arrays. A value costs
    2 N n (p + m) flops, a gradient twice that, a product with the Hessian 4 N n (p + m). It works on blocks of rows, and the
    result does not depend on the number of threads.

    References
    ----------
    :ref:`theory-softmax-relu`.

    Examples
    --------
    >>> import numpy as np
    >>> from underdetermined.objectives import SharedSoftmaxReLU
    >>> inputs, output = [[1.0, 2.0], [0.5, -1.0]], [[1.0, -1.0, 0.5], [0.0, 2.0, -0.5]]
    >>> objective = SharedSoftmaxReLU(inputs, output, [[0.25, 0.75], [0.5, 0.5]])
    >>> point = objective.at(np.ones(6))
    >>> print(f"{point.value:.6f}", point.gradient.round(4))
    0.236252 [-0.2026 -0.4051  0.6077  1.2154 -0.2026 -0.4051]
    """

    Phi: Any
    A2: Any
    B: Any
    loss: str = "kl"
    reg: float = 0.0
    sample_weight: Any = None
    offset: Any = None

    def __init__(
        self,
        Phi: ArrayLike,
        A2: ArrayLike,
        B: ArrayLike,
        *,
        loss: str = "kl",
        reg: float = 0.0,
        sample_weight: Any = None,
        offset: Any = None,
    ) -> None:
        """Validate and convert the arguments."""
        inputs = np.ascontiguousarray(check_matrix(Phi, "Phi"), dtype=np.float64)
        output = np.ascontiguousarray(check_matrix(A2, "A2"), dtype=np.float64)
        loss = check_loss(loss)
        targets = check_distributions(B, len(output), loss, "B", axis=1)
        if len(targets) != len(inputs):
            raise ValueError(f"B has {len(targets)} rows and Phi {len(inputs)}: pass one distribution for each input")
        weight = None if sample_weight is None else np.ascontiguousarray(check_sample_weight(sample_weight, len(inputs)))
        shift = None if offset is None else np.array(offset, dtype=np.float64)
        if shift is not None:
            check_finite(shift, "offset")
            if shift.shape != (len(output),):
                raise ValueError(f"offset has shape {shift.shape}: pass one number for each output, shape ({len(output)},)")
        values = (inputs, output, targets, loss, check_number(reg, "reg"), weight, shift)
        names = ("Phi", "A2", "B", "loss", "reg", "sample_weight", "offset")
        for name, value in zip(names, values, strict=True):
            object.__setattr__(self, name, value)

    @property
    def n_inputs(self) -> int:
        """Length p of an input."""
        return int(self.Phi.shape[1])

    @property
    def width(self) -> int:
        """Number n of hidden units of the network."""
        return int(self.A2.shape[1])

    @property
    def n_outputs(self) -> int:
        """Number m of outputs."""
        return len(self.A2)

    @property
    def n_samples(self) -> int:
        """Number N of inputs."""
        return len(self.Phi)

    @property
    def n_parameters(self) -> int:
        """Length n p of x."""
        return self.width * self.n_inputs

    @property
    def n_hidden(self) -> int:
        """Number N n of kinks."""
        return self.n_samples * self.width

    @property
    def is_penalized(self) -> bool:
        """Whether there is a penalty."""
        return bool(self.reg)

    @property
    def weights(self) -> None:
        """There is no penalty on pre-activations."""
        return None

    @cached_property
    def row_norms(self) -> FloatArray:
        """Norms of the normals of the kinks, |phi_j| for each of the n units at input j."""
        result = np.repeat(column_norms(self.Phi.T), self.width)
        result.flags.writeable = False
        return result

    @cached_property
    def groups(self) -> list[list[slice]]:
        """Blocks of rows that are worked on together, in a few groups, each the work of one thread."""
        entries = max(self.width, self.n_outputs, self.n_inputs)
        blocks = slices(self.n_samples, max(_SMALLEST_BLOCK, _BLOCK_ENTRIES // entries))
        return [blocks[part] for part in slices(len(blocks), -(-len(blocks) // _GROUPS))]

    @cached_property
    def columns(self) -> FloatArray:
        """The targets, one column for each input."""
        return np.ascontiguousarray(self.B.T)

    def hidden(self, x: ArrayLike) -> FloatArray:
        """Pre-activations z, those of one input after the other.

        Parameters
        ----------
        x : array_like of shape (n p,)
            Parameters.

        Returns
        -------
        ndarray of shape (N n,)
        """
        with quiet():
            return (self.Phi @ self.layer(x).T).ravel()

    def hidden_adjoint(self, slopes: ArrayLike) -> FloatArray:
        """Adjoint of `hidden`.

        Parameters
        ----------
        slopes : array_like of shape (N n,)
            One number for each kink.

        Returns
        -------
        ndarray of shape (n p,)
        """
        each = check_vector(slopes, (self.n_hidden,), "slopes")
        with quiet():
            return (each.reshape(self.n_samples, self.width).T @ self.Phi).ravel()

    def layer(self, x: ArrayLike) -> FloatArray:
        """Weights W of the hidden layer, a view of the parameters.

        Parameters
        ----------
        x : array_like of shape (n p,)
            Parameters.

        Returns
        -------
        ndarray of shape (n, p)
        """
        return check_vector(x, (self.n_parameters,), "x").reshape(self.width, self.n_inputs)

    def rows(self, indices: ArrayLike) -> Any:
        """Normals of some kinks.

        Parameters
        ----------
        indices : array_like of shape (k,)
            Which, as integers or as a mask.

        Returns
        -------
        scipy.sparse.csr_array of shape (k, n p)
        """
        which = np.asarray(indices)
        which = np.flatnonzero(which) if which.dtype == np.bool_ else which.astype(np.intp)
        sample, unit = np.divmod(which, self.width)
        columns = unit[:, np.newaxis] * self.n_inputs + np.arange(self.n_inputs)
        starts = self.n_inputs * np.arange(len(which) + 1)
        shape = (len(which), self.n_parameters)
        return sparse.csr_array((self.Phi[sample].ravel(), columns.ravel(), starts), shape=shape)

    def penalty(self, x: FloatArray) -> float:
        """Value of the penalty.

        Parameters
        ----------
        x : ndarray of shape (n p,)
            Parameters.

        Returns
        -------
        float
        """
        with quiet():
            return 0.5 * self.reg * float(x @ x) if self.reg else 0.0

    def value(self, x: ArrayLike, smoothing: float = 0.0) -> float:
        """Sum of the losses, with the penalty.

        Parameters
        ----------
        x : array_like of shape (n p,)
            Parameters.
        smoothing : float, default=0.0
            mu >= 0.

        Returns
        -------
        float
        """
        return shared_value(self, check_vector(x, (self.n_parameters,), "x"), check_smoothing(smoothing))

    def gradient(self, x: ArrayLike) -> FloatArray:
        """Gradient of the loss with the penalty; at a kink, that of the side where the unit is not active.

        Parameters
        ----------
        x : array_like of shape (n p,)
            Parameters.

        Returns
        -------
        ndarray of shape (n p,)
        """
        return self.at(x).gradient

    def at(self, x: ArrayLike, smoothing: float = 0.0, active: ArrayLike | None = None) -> SharedSoftmaxReLUPoint:
        """Everything at one point: value, gradient and Hessian share what they have in common.

        Parameters
        ----------
        x : array_like of shape (n p,)
            Parameters.
        smoothing : float, default=0.0
            mu >= 0; 0 for the ReLU.
        active : array_like of bool of shape (N n,) or None, default=None
            The units that are z, whatever its sign; the others are 0. `smoothing` has no meaning then.

        Returns
        -------
        SharedSoftmaxReLUPoint
        """
        mask = check_active(active, (self.n_hidden,))
        return SharedSoftmaxReLUPoint(self, check_vector(x, (self.n_parameters,), "x"), check_smoothing(smoothing), mask)
