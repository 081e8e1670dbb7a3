"""How widths grow, in the literature: orders only, since the sources leave the constants open."""

from __future__ import annotations

from underdetermined.bounds._bound import WidthBound

_ORDERS = (
    (
        "du_2019",
        "any",
        "Order n^6 / (lambda^4 delta^3) for gradient descent on the hidden layer, lambda the smallest eigenvalue of its "
        "tangent kernel.",
        "Du, Zhai, Poczos, Singh 2019, Gradient descent provably optimizes over-parameterized neural networks",
    ),
    (
        "exponential_2023",
        "any",
        "Order n^(2 + o(1)) log(n / delta) for exponential regression.",
        "arXiv:2303.16504",
    ),
    (
        "subquadratic_2021",
        "any",
        "Order n^(3/2) parameters, n^(3/2) / d neurons, for gradient descent on both layers of a smooth network with "
        "n ~ d^t, t >= 2, rows of norm 1 and all targets together of norm 1, up to logarithms. What is subquadratic is the "
        "number of parameters; the proof goes through the last layer and takes n neurons besides.",
        "arXiv:2111.01875",
    ),
    (
        "last_layer",
        "gaussian",
        "Order n log n for the last layer alone, times the largest leverage over the mean one.",
        "matrix Chernoff inequality, see leverage",
    ),
)


def growth_orders() -> tuple[WidthBound, ...]:
    """List published orders of growth of sufficient widths, for comparison with measured growth.

    Returns
    -------
    tuple of WidthBound
        Without widths: the constants are not given in the sources, so no number follows.

    Notes
    -----
    Their settings differ: which layers are trained, by what, and on which data.

    References
    ----------
    :ref:`How wide is wide enough <theory-minimum-width>`.

    Examples
    --------
    >>> from underdetermined.bounds import growth_orders
    >>> [order.name for order in growth_orders()]
    ['du_2019', 'exponential_2023', 'subquadratic_2021', 'last_layer']
    """
    return tuple(
        WidthBound(name, None, "order", "order", weights, statement, reference)
        for name, weights, statement, reference in _ORDERS
    )
