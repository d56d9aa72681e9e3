"""Public names of a folder that load on first use, so that importing one of them does not import the others (PEP 562)."""

from collections.abc import Callable, Mapping
from importlib import import_module


def exports(package: str, homes: Mapping[str, str]) -> tuple[Callable, Callable, list[str]]:
    """`__getattr__, __dir__, __all__ = exports(__name__, {"name": "module"})` in a package's `__init__`."""
    names = sorted(homes)

    def __getattr__(name: str):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return __getattr__, lambda: names, names
