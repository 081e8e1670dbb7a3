"""The public names of the package: what the tests check and the API page lists."""

import importlib
import inspect
import pkgutil
import sys
from enum import Enum

import underdetermined


def public_modules():
    """Names of the modules that a user may import from, the package itself first."""
    found = [
        info.name
        for info in pkgutil.iter_modules(underdetermined.__path__, "underdetermined.")
        if not info.name.rpartition(".")[2].startswith("_")
    ]
    return ["underdetermined", *sorted(found)]


def public_names(module_name):
    """Public functions and classes of a module: its ``__all__``, or else those that it defines."""
    module = importlib.import_module(module_name)
    names = getattr(module, "__all__", None)
    if names is None:
        names = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module_name]
    callables = (name for name in names if callable(getattr(module, name)))
    return sorted(name for name in callables if not name.startswith("_"))


def documented_objects():
    """Every public function, class, method and property by its dotted name, each once."""
    found = {}
    for module in public_modules():
        for name in public_names(module):
            value = getattr(importlib.import_module(module), name)
            found.setdefault(id(value), (f"{module}.{name}", value))
    classes = [(path, value) for path, value in found.values() if inspect.isclass(value)]
    members = [f"{path}.{name}" for path, value in classes for name in own_members(value)]
    return [path for path, _ in found.values()] + members


def is_enumeration(path):
    """Whether a dotted name is that of an enumeration, whose signature is not its own."""
    module, _, name = path.rpartition(".")
    value = getattr(sys.modules.get(module), name, None)
    return inspect.isclass(value) and issubclass(value, Enum)


def own_members(cls):
    """Public methods and properties that this package, not a library, defines."""
    return sorted(
        name
        for name, value in inspect.getmembers_static(cls)
        if not name.startswith("_")
        and isinstance(value, (property, classmethod, staticmethod)) | inspect.isfunction(value)
        and home(value).startswith("underdetermined")
    )


def home(value):
    """Module in which a method or property was written."""
    function = value.fget if isinstance(value, property) else inspect.unwrap(getattr(value, "__func__", value))
    return function.__module__
