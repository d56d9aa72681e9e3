"""A tiny model with numbers that make its maps depend on everything."""

import resource
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from stajax.models import folder
from stajax.models.fixation import STAConfig, STAPlusConfig
from stajax.models.network import NetworkConfig, Structure

CONFIG = NetworkConfig(frames="tiny", sound="tiny", size=64, nets={"sta": ("STA", STAConfig.tiny())})

FAMILY = {"sta": ("STA", STAConfig.tiny())} | {name: ("STA+", STAPlusConfig.tiny(name)) for name in ("short", "long")}


def variables(structure: Structure, seed: int = 0) -> dict:
    """Normal numbers: as initialised, with biases of zero, a tiny net hardly hears."""
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.6, leaf.shape).astype(np.float32), structure.shapes)


def write_model(path: Path, *, seed: int = 0, nets: Mapping[str, tuple] = CONFIG.nets) -> Path:
    structure = Structure(replace(CONFIG, nets=nets))
    folder.write(path, structure, variables(structure, seed), name="tiny", model_card="# Tiny\n")
    return path


def noise(frames: int, size: tuple[int, int] = (48, 64), seed: int = 0) -> np.ndarray:
    """(frames, *size, 3) uint8, every frame another."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (frames, 4, 4, 3), np.uint8)
    return coarse.repeat(size[0] // 4, 1).repeat(size[1] // 4, 2)


def swelling(seconds: float, seed: int = 0) -> np.ndarray:
    """(n,) float32 at 16 kHz whose level changes all the time, so that every window is another."""
    rng = np.random.default_rng(seed)
    n = round(seconds * 16000)
    level = np.interp(np.arange(n), np.arange(0, n + 800, 800), rng.random(len(np.arange(0, n + 800, 800))))
    return (level * rng.uniform(-1, 1, n)).astype(np.float32)


@contextmanager
def no_file_over(size: int):
    """A disk that fills up: writing beyond `size` bytes fails with EFBIG. (Python ignores the signal that would kill it.)"""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def files(folder: Path) -> list[str]:
    """All files below a folder, as they are named from there."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All of an .npz file."""
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
