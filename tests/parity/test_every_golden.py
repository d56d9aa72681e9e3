"""Every golden of the folder has a test: a golden that no module covers fails here with its name."""

from __future__ import annotations

import importlib
from pathlib import Path

FOLDER = Path(__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("test_*.py") if path != Path(__file__))


def covers(name: str) -> bool:
    return True


def test_a_module_covers_the_golden(golden, request):
    elsewhere = request.config.pluginmanager.get_plugin(str(FOLDER / "conftest.py")).ELSEWHERE
    if golden.name in elsewhere:
        print(f"\n{golden.name}: {elsewhere[golden.name]}")
        return
    assert _covering(golden.name), f"{golden.path}: no test of tests/parity covers a golden named {golden.name!r}"


def test_a_stranger_is_covered_by_none():
    assert not _covering("a_golden_of_no_net")


def _covering(name: str) -> list[str]:
    """The modules that test this golden."""
    modules = {stem: importlib.import_module(stem) for stem in MODULES}
    return [stem for stem, module in modules.items() if hasattr(module, "covers") and module.covers(name)]
