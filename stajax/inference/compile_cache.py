"""XLA's compile cache on disk, so that a command starts fast from its second run on."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """$STAJAX_CACHE, else $XDG_CACHE_HOME/stajax, else ~/.cache/stajax."""
    if chosen := os.environ.get("STAJAX_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stajax"


def enable() -> None:
    """Keep what XLA compiles in `folder()`. A folder that cannot be written costs the speed, nothing else."""
    import jax

    jax.config.update("jax_compilation_cache_dir", str(folder() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)
