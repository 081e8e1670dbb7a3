"""Examples run: the README's, every docstring's, and the gallery's."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

import underdetermined
from underdetermined.report import _page

matplotlib.use("agg")
TREE = Path(__file__).parents[1]
MODULES = [
    info.name
    for info in pkgutil.walk_packages(underdetermined.__path__, "underdetermined.")
    if not info.name.endswith("__main__")
]


@pytest.fixture(autouse=True)
def style():
    """Leave matplotlib's settings and figures as they were."""
    with matplotlib.rc_context():
        yield
    plt.close("all")


def test_readme():
    text = (TREE / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert all(len(block.split("\n")) <= 13 for block in blocks)
    names, outputs = {}, []
    for block in blocks:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(block, "README.md", "exec"), names)
        outputs.append(printed.getvalue())
    fitted, foreseen, sparse, trained = outputs
    misfit, score = map(float, fitted.split())
    assert misfit < 1e-8
    assert 0.4 < score < 0.6
    assert "neural tangent kernel" in foreseen
    assert "Rank 5 of 6" in foreseen
    assert "leverage_sampled *" in foreseen
    accuracy, steps, active, live = map(float, sparse.split())
    assert accuracy > 0.9 and steps < 200
    assert active < 0.1 and live < 4096
    steps, loss, certified, *report = trained.split()
    assert int(steps) < 15 and float(loss) < 1e-15 and certified == "True"
    assert "output weights" in " ".join(report)


@pytest.mark.usefixtures("few_activations")
@pytest.mark.parametrize("name", ["underdetermined", *MODULES])
def test_docstring_examples(name, monkeypatch):
    # No docstring shows a picture, and those of a page take seconds.
    monkeypatch.setattr(_page, "encode_figure", lambda figure: ("data:image/png;base64,", 1, 1))
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_most_public_functions_have_an_example():
    finder = doctest.DocTestFinder(exclude_empty=True)
    attempted = [
        test.name
        for name in MODULES
        for test in finder.find(importlib.import_module(name))
        if test.examples
    ]
    assert len(attempted) >= 20


@pytest.mark.parametrize("path", sorted((TREE / "docs" / "examples").glob("plot_*.py")), ids=lambda path: path.stem)
def test_gallery_script(path):
    runpy.run_path(str(path))
    assert len(plt.get_fignums()) == 1
    assert path.read_text(encoding="utf-8").rstrip().splitlines()[-1].startswith("# ")
