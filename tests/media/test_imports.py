"""The room stays light: its heavy neighbours load when they are used."""

import subprocess
import sys
from pathlib import Path

import stajax.media


def test_every_module_imports_with_numpy_alone():
    modules = sorted(f"stajax.media.{p.stem}" for p in Path(stajax.media.__file__).parent.glob("[!_]*.py"))
    code = f"""
import importlib, sys
for name in {modules!r}:
    importlib.import_module(name)
print([heavy for heavy in ("jax", "scipy", "librosa", "av", "PIL") if heavy in sys.modules])
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_every_public_name_is_there():
    for name in stajax.media.__all__:
        assert getattr(stajax.media, name) is not None
