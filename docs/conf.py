"""Sphinx settings. Warnings are errors in the check script, so every reference must resolve."""

import sys
from pathlib import Path
from typing import Any

docs = Path(__file__).parent
sys.path[:0] = [str(docs), str(docs.parent / "tests")]

import docstrings  # noqa: E402
import public_names  # noqa: E402

import underdetermined  # noqa: E402

project = "underdetermined"
author = "The underdetermined developers"
copyright = "2026, the underdetermined developers"
version = release = underdetermined.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]
default_role = "py:obj"

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "download_all_examples": False,
    "image_srcset": ["2x"],
    "show_memory": False,
    "min_reported_time": 1000,
    "reset_modules": ("matplotlib",),
    "abort_on_example_error": True,
}
suppress_warnings = ["config.cache"]  # the gallery's settings hold objects that cannot be pickled

html_theme = "pydata_sphinx_theme"
html_title = f"underdetermined {version}"
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {"api": [], "changelog": [], "contributing": []}


def write_api_page() -> None:
    """List every public name, module by module; each gets a page of its own."""
    shown: set[int] = set()
    lines = ["API", "===", "", ".. This page is written by conf.py from the public names.", ""]
    for module_name in public_names.public_modules():
        module = sys.modules.get(module_name) or __import__(module_name, fromlist=["_"])
        names = [name for name in public_names.public_names(module_name) if id(getattr(module, name)) not in shown]
        shown |= {id(getattr(module, name)) for name in names}
        if not names:
            continue
        summary = (module.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")
        title = f"``{module_name}``"
        lines += [title, "-" * len(title), "", summary, "", f".. currentmodule:: {module_name}", ""]
        lines += [".. autosummary::", "   :toctree: generated", "   :nosignatures:", ""]
        lines += [f"   {name}" for name in names] + [""]
    text = "\n".join(lines)
    page = docs / "api.rst"
    if not page.exists() or page.read_text(encoding="utf-8") != text:
        page.write_text(text, encoding="utf-8")


write_api_page()


def setup(app: Any) -> None:
    """Connect the treatment of docstrings; numpydoc has priority 500."""
    app.connect("autodoc-process-docstring", docstrings.process_docstring, priority=600)
    app.connect("autodoc-skip-member", docstrings.skip_member)
