"""Random and adversarial problems of softmax-ReLU regression, and slow definitions of derivatives, for several tests."""

import numpy as np

from underdetermined.objectives import SoftmaxReLU

# Two classes with the first target 1 have the most negative curvature here.
WORST_SHARE = (9.0 - np.sqrt(33.0)) / 24.0


def draw_targets(rng, m, kind):
    """Targets: a composition, a vertex of the simplex, or any numbers."""
    return {
        "composition": lambda: rng.dirichlet(np.ones(m) * rng.choice([0.2, 1.0, 4.0])),
        "vertex": lambda: np.eye(m)[rng.integers(m)],
        "any": lambda: rng.normal(size=m) * rng.choice([0.3, 1.0, 3.0]),
    }[kind]()


def draw_problem(rng, *, loss="squared", kind="composition", wide=False, **options):
    """A small problem, and a point off its kinks."""
    d = int(rng.integers(1, 7))
    n = int(rng.integers(d, d + 8)) if not wide else int(rng.integers(1, 9))
    m = int(rng.integers(2, 12))
    A1 = rng.normal(size=(n, d)) * rng.choice([0.3, 1.0, 3.0])
    A2 = rng.normal(size=(m, n)) * rng.choice([0.3, 1.0, 3.0])
    return SoftmaxReLU(A1, A2, draw_targets(rng, m, kind), loss=loss, **options), rng.normal(size=d)


def worst_problem(rng, **options):
    """Two classes at the fit with the most negative curvature, where the bounds are closest, up to rotations and scales."""
    d = int(rng.integers(1, 5))
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    normal, size = rotation[0], rng.uniform(0.5, 3.0)
    A2 = np.array([[size] + [0.0] * (d - 1), [0.0] * d]) * rng.choice([-1.0, 1.0])
    logit = np.log(WORST_SHARE / (1.0 - WORST_SHARE))
    x = rotation.T @ np.abs(rng.normal(size=d))
    x += normal * (abs(logit) / size - normal @ x)
    first = 0.0 if A2.sum() * logit < 0.0 else 1.0
    return SoftmaxReLU(rotation, A2, [first, 1.0 - first], **options), x


def softmax(y):
    """Softmax of a vector."""
    u = np.exp(y - y.max())
    return u / u.sum()


def logit_hessian(f, b, loss="squared"):
    """Hessian of the loss in the logits, from the product rule."""
    P = np.diag(f) - np.outer(f, f)
    if loss == "kl":
        return P
    c = f - b
    s = f @ c
    q = f * (c - s)
    return P @ P + np.diag(q) - np.outer(q, f) - np.outer(f, q)


def third_derivative(f, b, v, loss="squared"):
    """Third derivative in the logits along v, from the second by a complex step."""
    y = np.log(f) + 1e-30j * v
    u = np.exp(y - y.real.max())
    g = u / u.sum()
    P = np.diag(g) - np.outer(g, g)
    c = g - b
    q = g * (c - g @ c)
    hessian = P if loss == "kl" else P @ P + np.diag(q) - np.outer(q, g) - np.outer(g, q)
    return float((v @ hessian @ v).imag / 1e-30)
