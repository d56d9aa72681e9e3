"""A tiny model that makes pseudo-fixations, in which every kind of company and both stages occur, and clips for it."""

from pathlib import Path

import numpy as np
from inference.tiny import noise, swelling, variables

from stajax.data.jpeg import encode_jpeg
from stajax.data.records import Clip
from stajax.inference.source import ArraySource
from stajax.models import folder
from stajax.models.classifiers import ClassifierConfig, CompanyClassifierConfig
from stajax.models.network import NetworkConfig, Structure
from stajax.models.switch import SwitchConfig

CLASSES = {"Bark": ("dog",), "Cat": (), "Horse": ("mare",)}
SIDE = 16  # of the maps
FPS = 10.0
_COUNT = len(CLASSES)
PLAIN = {source.upper(): ("classifier", ClassifierConfig.tiny(source, _COUNT)) for source in ("s", "st", "sa")}
COMPANY = {
    f"{source.upper()}+{granularity}": ("classifier+", CompanyClassifierConfig.tiny(source, granularity, _COUNT))
    for source, granularity in (("s", "short"), ("sa", "long"), ("st", "cross"))
}
CONFIGS = {
    "coarse": NetworkConfig("tiny", "tiny", 64, nets=PLAIN | COMPANY, switch=SwitchConfig.tiny()),
    "fine": NetworkConfig("tiny", "tiny", 96, nets=PLAIN),
}


def write_scam(path: Path, *, seed: int = 2) -> Path:
    """The model. With the default seed each source is sure of each class in some frames, or nearly."""
    for at, (name, config) in enumerate(CONFIGS.items()):
        structure = Structure(config)
        numbers = variables(structure, 10 * seed + at)
        for net in numbers["nets"].values():
            net["classifier"]["bias"][:] = 0
            net["classifier"]["kernel"] -= net["classifier"]["kernel"].mean(-1, keepdims=True)
        folder.write(path / name, structure, numbers, name=name, classes=CLASSES, dtype="float32")
    folder.write_members(path, list(CONFIGS), name="tiny-scam", model_card="# Tiny\n")
    return path


def frames(count: int, seed: int = 0) -> np.ndarray:
    """(count, 64, 96, 3) uint8 of other patches each."""
    return noise(count, (64, 96), seed)


def source(count: int, seed: int = 0, *, sound: bool = True) -> ArraySource:
    return ArraySource(frames(count, seed), swelling(count / FPS + 0.5, seed) if sound else None, FPS)


def record(name: str, tags, count: int = 6, seed: int = 0, *, sound: bool = True) -> Clip:
    heard = swelling(count / FPS, seed) if sound else np.zeros(0)
    pictures = [encode_jpeg(image) for image in frames(count, seed)]
    times = (np.arange(count) / FPS).astype(np.float32)
    return Clip(name, np.array(tags, np.int64), pictures, times, FPS, (heard * 32767).astype(np.int16))
