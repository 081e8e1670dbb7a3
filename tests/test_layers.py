"""Who may import what: the table of levels, checked on the syntax trees."""

import ast
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import underdetermined

PACKAGE = Path(underdetermined.__file__).parent
TESTS = Path(__file__).parent

# A module imports only from strictly lower levels; a folder counts as one module.
LEVELS = {
    "_kernels": 0,
    "_linalg": 0,
    "_validation": 0,
    "_compat": 0,
    "_hermite": 0,
    "_layout": 0,
    "_decrease": 1,
    "_report_layout": 1,
    "blocks": 0,
    "solution": 0,
    "_expectation": 1,
    "_matrix": 1,
    "activations": 1,
    "weights": 1,
    "_tangent": 2,
    "features": 2,
    "kernels": 2,
    "system": 3,
    "gram": 3,
    "tables": 3,
    "solvers": 4,
    "lanczos": 4,
    "spectrum": 4,
    "attainability": 4,
    "objectives": 4,
    "leave_one_out": 5,
    "descent": 5,
    "optimize": 5,
    "bounds": 5,
    "neurons": 5,
    "active_sets": 5,
    "exponential": 6,
    "joint": 6,
    "softmax_relu": 6,
    "sparsity": 6,
    "empirical_width": 7,
    "activation_comparison": 7,
    "estimators": 7,
    "crossvalidation": 7,
    "comparison": 8,
    "doctor": 8,
    "study": 9,
    "width_table": 8,
    "text": 9,
    "displays": 10,
    "report": 11,
    "cli": 12,
    "__main__": 13,
    "__init__": 13,
}

# Folders within a folder: each imports only from itself and those before it.
PARTS = {"softmax_relu": ["newton", "kinks", "stages", "free_hidden", "constants", "sampling"]}

# Libraries other than NumPy and SciPy, and the only modules that may import them.
OUTSIDE = {
    "numba": {"_kernels"},
    "joblib": {"blocks", "doctor", "cli"},
    "threadpoolctl": {"blocks", "doctor"},
    "sklearn": {
        "_compat",
        "tables",
        "estimators",
        "crossvalidation",
        "comparison",
        "activation_comparison",
        "displays",
    },
    "matplotlib": {"displays"},
}
EVERYWHERE = {"numpy", "scipy"}
LOWEST_LEVEL_OF_SCIPY_PARTS = {"scipy.sparse": 1}


@dataclass(frozen=True)
class Import:
    """One import statement: where it stands and what it names."""

    file: Path
    line: int
    module: str
    names: tuple[str, ...]
    is_inside_function: bool

    def __str__(self):
        return f"{self.file.relative_to(PACKAGE)}:{self.line} imports {self.module} {self.names}"

    @property
    def importer(self):
        return self.file.relative_to(PACKAGE).parts[0].removesuffix(".py")

    @property
    def library(self):
        return self.module.partition(".")[0]

    @property
    def targets(self):
        """Top-level modules of the package that the statement reaches."""
        rest = self.module.split(".")[1:]
        return [rest[0]] if rest else [name for name in self.names if name in LEVELS]


def absolute(node, file):
    """The absolute name of the module that a from-import names."""
    folder = file.relative_to(PACKAGE).parts[:-1]
    base = ["underdetermined", *folder][: len(folder) + 2 - node.level]
    return ".".join([*base, *filter(None, [node.module])]) if node.level else node.module


def read_imports(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.walk(node)
    }
    plain = [
        Import(file, node.lineno, alias.name, (), node in inside)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
    ]
    named = [
        Import(file, node.lineno, absolute(node, file), tuple(a.name for a in node.names), node in inside)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    ]
    return plain + named


FILES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [statement for file in FILES for statement in read_imports(file)]
INTERNAL = [statement for statement in IMPORTS if statement.library == "underdetermined"]


def dotted_name(file):
    """Name by which a file of the package is imported."""
    parts = ["underdetermined", *file.relative_to(PACKAGE).with_suffix("").parts]
    return ".".join(parts).removesuffix(".__init__")


def broken(statements):
    """The statements as text, to be compared with the empty list."""
    return [str(statement) for statement in statements]


def test_something_is_read():
    assert {"cli", "estimators", "_kernels"} <= {statement.importer for statement in IMPORTS}
    assert {"solvers", "features"} <= {target for statement in INTERNAL for target in statement.targets}


def test_every_module_has_a_level():
    present = {file.relative_to(PACKAGE).parts[0].removesuffix(".py") for file in FILES}
    assert present <= set(LEVELS)


def test_imports_go_down():
    assert not broken(
        statement
        for statement in INTERNAL
        for target in statement.targets
        if target != statement.importer and LEVELS[target] >= LEVELS[statement.importer]
    )


@pytest.mark.parametrize("folder", sorted(PARTS))
def test_imports_within_a_folder_of_folders_go_down(folder):
    rank = {part: index for index, part in enumerate(PARTS[folder])}
    inside = [s for s in INTERNAL if s.importer == folder and s.file.parent.name in rank]
    assert {statement.file.parent.name for statement in inside} == set(rank)
    assert not broken(
        statement
        for statement in inside
        if statement.module.startswith(f"underdetermined.{folder}.")
        and rank.get(statement.module.split(".")[2], -1) > rank[statement.file.parent.name]
    )


def test_the_package_itself_is_imported_only_for_its_version():
    importers = {statement.file for statement in INTERNAL if statement.module == "underdetermined"}
    used = {
        node.attr
        for file in importers
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "underdetermined"
    }
    from_imports = {
        name for s in INTERNAL if s.module == "underdetermined" for name in s.names if name not in LEVELS
    }
    assert used | from_imports <= {"__version__"}


def test_a_file_never_imports_the_front_of_its_own_folder():
    assert not broken(
        statement
        for statement in INTERNAL
        if statement.file.name != "__init__.py" and statement.module == f"underdetermined.{statement.importer}"
    )


def test_no_two_files_import_each_other():
    files = {dotted_name(file) for file in FILES}
    graph = {file: set() for file in files}
    for statement in INTERNAL:
        named = {statement.module, *(f"{statement.module}.{name}" for name in statement.names)}
        graph[dotted_name(statement.file)] |= named & files
    # A front names its own folder to reach the files, and the package is named for its version alone.
    edges = {file: named - {file, "underdetermined"} for file, named in graph.items() if file != "underdetermined"}
    assert list(TopologicalSorter(edges).static_order())


def test_kernel_families_are_closed():
    assert not broken(
        statement
        for statement in INTERNAL
        if statement.importer == "_kernels"
        and statement.file.name != "__init__.py"
        and statement.module != "underdetermined._kernels._intrinsics"
    )


@pytest.mark.parametrize("library", sorted(OUTSIDE))
def test_libraries_are_imported_only_where_they_belong(library):
    assert not broken(s for s in IMPORTS if s.library == library and s.importer not in OUTSIDE[library])


def test_nothing_else_is_needed():
    known = set(OUTSIDE) | EVERYWHERE | {"underdetermined"} | set(sys.stdlib_module_names)
    assert not broken(statement for statement in IMPORTS if statement.library not in known)


@pytest.mark.parametrize("part", sorted(LOWEST_LEVEL_OF_SCIPY_PARTS))
def test_parts_of_scipy_start_at_their_level(part):
    assert not broken(
        statement
        for statement in IMPORTS
        if statement.module.startswith(part)
        and LEVELS[statement.importer] < LOWEST_LEVEL_OF_SCIPY_PARTS[part]
    )


def test_private_names_of_scikit_learn_stay_in_one_file():
    assert not broken(
        statement
        for statement in IMPORTS
        if statement.library == "sklearn"
        and statement.importer != "_compat"
        and any(name.startswith("_") for name in (*statement.module.split("."), *statement.names))
    )


def test_only_matplotlib_is_imported_inside_functions():
    inside = {str(s): s.library for s in IMPORTS if s.is_inside_function}
    assert set(inside.values()) <= {"matplotlib"}, inside


def test_matplotlib_is_imported_only_inside_functions():
    assert not broken(s for s in IMPORTS if s.library == "matplotlib" and not s.is_inside_function)


@pytest.mark.parametrize("folder", [PACKAGE, TESTS], ids=lambda folder: folder.name)
def test_files_are_short_enough_to_read(folder):
    lengths = {file.name: len(file.read_text(encoding="utf-8").splitlines()) for file in folder.rglob("*.py")}
    assert not {name: length for name, length in lengths.items() if length >= 400}


def test_there_is_no_branch_in_a_test():
    found = [
        f"{file.name}:{node.lineno}"
        for file in TESTS.glob("test_*.py")
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef) and function.name.startswith("test_")
        for node in ast.walk(function)
        if isinstance(node, ast.If)
    ]
    assert not found
