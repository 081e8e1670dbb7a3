"""The command ``underdetermined``: parse, call one function, print."""

from underdetermined.cli._main import main

__all__ = ["main"]
