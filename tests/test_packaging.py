"""What an installation brings: metadata, the command, the marker of type hints, and nothing heavy at import."""

import configparser
import os
import re
import runpy
import subprocess
import sys
from importlib.metadata import entry_points, metadata, requires, version
from importlib.resources import files
from pathlib import Path

import pytest

import underdetermined
from underdetermined.cli import main

TREE = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def settings():
    parser = configparser.ConfigParser()
    parser.read(TREE / "setup.cfg", encoding="utf-8")
    return parser


def names(requirements):
    """Names of packages in a multi-line requirement option, in lower case."""
    return {re.split(r"[<>=\[;! ]", line.strip())[0].lower() for line in requirements.split("\n") if line.strip()}


def test_version_has_one_source():
    assert version("underdetermined") == underdetermined.__version__
    assert f"\nversion: {underdetermined.__version__}\n" in (TREE / "CITATION.cff").read_text(encoding="utf-8")


def test_metadata():
    found = metadata("underdetermined")
    assert found["Requires-Python"] == ">=3.11"
    assert found["License"] == "BSD-3-Clause"
    assert set(found.get_all("Provides-Extra")) == {"plot", "progress", "dask", "persist", "test", "docs", "bench"}


def test_the_core_needs_five_libraries_and_what_they_bring():
    core = {re.split(r"[<>=]", line)[0] for line in requires("underdetermined") if "extra ==" not in line}
    assert core == {"numpy", "scipy", "scikit-learn", "numba", "joblib", "threadpoolctl"}


def test_oldest_versions_are_the_lower_bounds(settings):
    pins = (TREE / ".ci" / "oldest.txt").read_text(encoding="utf-8").split("\n")
    bounds = settings["options"]["install_requires"].strip().split("\n")
    oldest = {re.sub(r"(\.0)+$", "", line).replace("==", ">=") for line in pins}
    assert {re.sub(r"(\.0)+$", "", line) for line in bounds} <= oldest


def test_the_test_extra_covers_what_the_tests_import(settings):
    extra = names(settings["options.extras_require"]["test"]) | names(settings["options"]["install_requires"])
    imported = {
        name
        for file in (TREE / "tests").glob("*.py")
        for name in re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    own = {file.stem for file in (TREE / "tests").glob("*.py")} | {"underdetermined", "benchmarks"}
    installed_as = {"sklearn": "scikit-learn", "array_api_strict": "array-api-strict"}
    needed = {installed_as.get(name, name) for name in imported - own - set(sys.stdlib_module_names)}
    assert needed <= extra


def test_pyproject_is_only_the_build_backend():
    lines = (TREE / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 3
    assert lines[0] == "[build-system]"


def test_command_is_installed():
    (entry,) = entry_points(group="console_scripts", name="underdetermined")
    assert entry.load() is main


def test_type_hints_are_announced():
    assert files("underdetermined").joinpath("py.typed").is_file()


def test_module_runs_as_a_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["underdetermined", "--version"])
    with pytest.raises(SystemExit) as caught:
        runpy.run_module("underdetermined", run_name="__main__")
    assert caught.value.code == 0
    assert capsys.readouterr().out.split() == ["underdetermined", underdetermined.__version__]


def test_readme_has_exactly_two_commands():
    script = [sys.executable, str(TREE / ".ci" / "readme_commands.py"), str(TREE / "README.md")]
    lines = subprocess.run(script, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line.rsplit("/", 1)[-1] for line in lines] == ["underdetermined report", "pytest"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no execute bit")
def test_check_script_can_be_run():
    assert os.access(TREE / ".ci" / "run", os.X_OK)


def test_import_without_a_writable_cache_and_without_optional_libraries():
    """Where nothing can be written, kernels compile in every process instead of failing the import."""
    code = (
        "import numba.core.caching as caching\n"
        "caching.CacheImpl._locator_classes = []\n"
        "import sys, underdetermined, underdetermined.cli\n"
        "print(underdetermined.get_activation('tanh').value(0.0))\n"
        "print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, loaded = result.stdout.splitlines()
    assert value == "0.0"
    # rich and pandas are not listed: scikit-learn imports them itself where they are installed.
    assert not {"matplotlib", "dask", "skops", "torch", "polars"} & set(loaded.split())
