"""Networks from the standard initialisations: deviations, nesting, pairs, the warning of Xavier, hostile input."""

import re
import warnings

import numpy as np
import pytest

from underdetermined.activations import Activation
from underdetermined.joint import draw_network
from underdetermined.weights import SAMPLERS

# Variances of the hidden weights and of the last layer, and the scale, of d = 6 inputs, m = 8000 neurons, k = 3 outputs.
TABLE = {
    "lecun": (1 / 6, 1 / 8000, 1.0),
    "he": (2 / 6, 2 / 8000, 1.0),
    "xavier": (2 / 8006, 2 / 8003, 1.0),
    "kernel": (1.0, 1.0, 8000**-0.5),
}
INITS = pytest.mark.parametrize("init", TABLE)


def drawn(*sizes, **options):
    """A network, without the warning of Xavier."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return draw_network(*sizes, **options)


@INITS
def test_variances(init):
    hidden, coef = drawn(6, 8000, 3, init=init, weight_scale=2.0, coef_scale=0.3, bias_scale=0.7, seed=5)
    weights, last, scale = TABLE[init]
    # The mean of N squares of standard normals is 1 with standard deviation sqrt(2 / N): five of them.
    for entries, variance in ((hidden.weights, 4 * weights), (coef, 0.09 * last), (hidden.biases, 0.49)):
        mean = (entries**2).mean() / variance
        assert abs(mean - 1) < 5 * np.sqrt(2 / entries.size)
        assert abs(entries.mean()) < 5 * np.sqrt(variance / entries.size)
    assert hidden.scale == pytest.approx(scale, rel=1e-15)
    assert abs(np.corrcoef(np.vstack([hidden.weights, hidden.biases, coef.T])) - np.eye(10)).max() < 5 / np.sqrt(8000)


@INITS
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_narrow_networks_are_parts_of_wide_ones(init, sampler):
    narrow, wide = (drawn(3, m, 2, init=init, bias_scale=1.0, sampler=sampler, seed=3) for m in (10, 400))
    for small, large in ((narrow[0].weights, wide[0].weights[:, :10]), (narrow[1], wide[1][:10])):
        ratio = small / large
        np.testing.assert_allclose(ratio, ratio.flat[0], rtol=1e-13)
    np.testing.assert_array_equal(narrow[0].biases, wide[0].biases[:10])


def test_seeds_and_repetition():
    first, again, other = (draw_network(3, 5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first[0].weights, again[0].weights)
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.isclose(first[0].weights, other[0].weights).any() and not np.isclose(first[1], other[1]).any()


def test_outputs():
    X = np.random.default_rng(0).standard_normal((7, 3))
    plain, coef = draw_network(3, 8, 2, bias_scale=0.5, seed=4)
    still, zero = draw_network(3, 8, 2, bias_scale=0.5, output="zero", seed=4)
    np.testing.assert_array_equal(still.weights, plain.weights)
    np.testing.assert_array_equal(zero, np.zeros((8, 2)))
    pairs, twice = draw_network(3, 16, 2, bias_scale=0.5, output="paired", seed=4)
    for half in (slice(0, 8), slice(8, 16)):
        np.testing.assert_array_equal(pairs.weights[:, half], plain.weights)
        np.testing.assert_array_equal(pairs.biases[half], plain.biases)
    np.testing.assert_allclose(twice, np.vstack([coef, -coef]) / np.sqrt(2), rtol=1e-14)
    np.testing.assert_allclose(pairs(X) @ twice, 0.0, atol=1e-15)


def test_biases():
    assert draw_network(3, 5)[0].biases is None
    start = draw_network(3, 5, bias_scale=0.0)[0].biases
    np.testing.assert_array_equal(start, np.zeros(5))
    assert not np.signbit(start).any()


def shares(d, width, **options):
    """The network, and the mean square, both shares and the remedy that the warning names."""
    with pytest.warns(
        UserWarning, match=rf"init='xavier' with {width} neurons and {d} inputs .* pass init='lecun'"
    ) as caught:
        hidden, _ = draw_network(d, width, init="xavier", **options)
    assert caught[0].filename == __file__
    found = re.search(
        r"mean square (\S+) on .* so that (\S+) of .* beside (\S+) with .*weight_scale=(\S+)", str(caught[0].message)
    )
    return hidden, [float(number) for number in found.groups()]


# The widths of d inputs from which on the share of the features that is not linear is a tenth of what it is with LeCun.
@pytest.mark.parametrize(("activation", "ratio"), [("tanh", 13.3107), ("gelu", 84.4603), ("sin", 5.65214)])
def test_xavier_warns_from_one_width_on(activation, ratio):
    d = 100
    draw_network(d, int(ratio * d), init="xavier", activation=activation)
    _, (square, share, usual, remedy) = shares(d, int(ratio * d) + 1, activation=activation)
    assert square == pytest.approx(2 / (1 + ratio), rel=0.05)
    assert share == pytest.approx(usual / 10, rel=0.05)
    draw_network(d, int(ratio * d) + 1, init="xavier", activation=activation, weight_scale=remedy)


def test_what_xavier_warns_of_is_so():
    d, width = 60, 2400
    X = np.random.default_rng(1).standard_normal((1500, d))
    X *= np.sqrt(d) / np.linalg.norm(X, axis=1, keepdims=True)
    linear = np.hstack([X, np.ones((1500, 1))])
    thin, (square, share, usual, _) = shares(d, width)
    for hidden, expected in ((thin, share), (draw_network(d, width)[0], usual)):
        features = hidden(X)[:, :300]
        rest = features - linear @ np.linalg.lstsq(linear, features, rcond=None)[0]
        # What the d + 1 fitted columns took away by chance goes back.
        found = (rest**2).sum() / (1 - (d + 1) / 1500) / ((features - features.mean(axis=0)) ** 2).sum()
        assert found == pytest.approx(expected, rel=0.1)
    assert np.mean((X @ thin.weights) ** 2) == pytest.approx(square, rel=0.05)


def test_no_warning_where_scale_does_not_matter():
    for activation in ("relu", "abs", "identity", "leaky_relu(0.3)", "squared_relu"):
        draw_network(2, 10_000, init="xavier", activation=activation)
    draw_network(2, 10_000, init="lecun", weight_scale=1e-3)
    draw_network(2, 10_000, init="xavier", activation="gelu", weight_scale=1e200)


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((0, 4), {}, ValueError, "n_inputs=0"),
        ((3, 0), {}, ValueError, "width=0"),
        ((3, 4, 0), {}, ValueError, "n_outputs=0"),
        ((3.0, 4), {}, TypeError, "n_inputs=3.0 is not an integer"),
        ((3, True), {}, TypeError, "width=True"),
        ((3, 5), {"output": "paired"}, ValueError, "width=5 is odd"),
        ((3, 4), {"init": "lecunn"}, ValueError, "init='lecunn' is unknown: pass one of 'lecun', 'he'"),
        ((3, 4), {"init": None}, ValueError, "init=None"),
        ((3, 4), {"output": ["zero"]}, ValueError, r"output=\['zero'\] is unknown"),
        ((3, 4), {"weight_scale": 0.0}, ValueError, "weight_scale=0.0"),
        ((3, 4), {"coef_scale": np.nan}, ValueError, "coef_scale=nan"),
        ((3, 4), {"coef_scale": "1"}, TypeError, "coef_scale='1'"),
        ((3, 4), {"bias_scale": -1.0}, ValueError, "bias_scale=-1.0"),
        ((3, 4), {"seed": -1}, ValueError, "seed=-1"),
        ((3, 4), {"sampler": "halton"}, ValueError, "sampler='halton'"),
        ((3, 4), {"activation": "tnh"}, ValueError, "Did you mean 'tanh'"),
        ((3, 400), {"weight_scale": 1.7e308}, ValueError, "weights must be finite"),
        ((3, 400), {"coef_scale": 1.7e308, "init": "kernel"}, ValueError, "last layer overflows at coef_scale=1.7e"),
    ],
)
def test_refused(arguments, options, error, message):
    with pytest.raises(error, match=message):
        draw_network(*arguments, **options)


def test_the_activation_may_be_anything():
    user = Activation("user", function=np.tanh, function_derivative=lambda t: 1 - np.tanh(t) ** 2)
    assert draw_network(3, 4, activation=user)[0].activation is user
    assert draw_network(3, 4, activation="leaky_relu(0.2)")[0].activation.parameters == (0.2,)
