"""The public names, and the completeness of their documentation."""

import inspect

import numpydoc.validate
import pytest
from public_names import documented_objects, is_enumeration, public_modules

import underdetermined

EXPORTED = [
    "Activation",
    "ExponentialClassifier",
    "ExponentialRegressor",
    "FeatureMap",
    "FeatureOperator",
    "LeaveOneOutPath",
    "LinearSystem",
    "MinimumWidth",
    "RandomFeatureClassifier",
    "RandomFeatureRegressor",
    "RandomFeatures",
    "SoftmaxReLURegressor",
    "Solution",
    "SparseReLUClassifier",
    "SparseReLURegressor",
    "Spectrum",
    "Status",
    "TwoLayerClassifier",
    "TwoLayerRegressor",
    "WidthBound",
    "attainable_rank",
    "compare_activations",
    "empirical_minimum_width",
    "forecast_descent",
    "get_activation",
    "gram_matrix",
    "minimum_width",
    "nngp_kernel",
    "ntk_kernel",
    "ntk_matrix",
    "softmax_relu_regression",
    "solve",
]

# What every docstring needs, by the codes of numpydoc's own checker.
REQUIRED = {
    "GL03": "no double blank lines",
    "GL06": "no unknown section",
    "GL07": "sections in numpydoc's order",
    "GL08": "a docstring",
    "SS01": "a summary",
    "SS03": "a summary that ends in a period",
    "SS04": "a summary without leading spaces",
    "PR01": "every parameter documented",
    "PR02": "no unknown parameter",
    "PR03": "parameters in the order of the signature",
    "PR04": "every parameter with a type",
    "PR07": "every parameter with a description",
    "RT01": "a Returns section",
    "YD01": "a Yields section",
}
OBJECTS = documented_objects()


def test_exported_names():
    assert sorted(underdetermined.__all__) == EXPORTED
    assert all(hasattr(underdetermined, name) for name in EXPORTED)


def test_nothing_else_looks_public():
    shown = {name for name, value in vars(underdetermined).items() if not name.startswith("_")}
    modules = {name.rpartition(".")[2] for name in public_modules()}
    assert shown <= {*EXPORTED, *modules}


def test_something_is_checked():
    assert {"underdetermined.solve", "underdetermined.RandomFeatureRegressor.fit"} <= set(OBJECTS)
    assert len(OBJECTS) > 60


@pytest.mark.parametrize("path", OBJECTS)
def test_docstring_is_complete(path):
    required = set(REQUIRED) - {"PR01" * is_enumeration(path)}
    errors = numpydoc.validate.validate(path)["errors"]
    assert not [f"{code}: {text}" for code, text in errors if code in required]


def test_public_functions_are_annotated():
    functions = [
        value
        for name in public_modules()
        for value in vars(__import__(name, fromlist=["_"])).values()
        if inspect.isfunction(value) and value.__module__ == name and not value.__name__.startswith("_")
    ]
    bare = [
        f"{function.__module__}.{function.__name__}"
        for function in functions
        if set(inspect.signature(function).parameters) - set(inspect.get_annotations(function))
    ]
    assert not bare
