"""Photographs as short clips: still, mirrored, and panned over slowly, with maps that move along.

A fixation net that learns from photographs should learn that a moving camera changes nothing, and that a still is no video of
which nothing is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.jpeg import encode_jpeg
from stajax.data.osie import osie_split
from stajax.data.pictures import listed
from stajax.data.records import Clip

Box = tuple[float, float, float, float]  # left, top, right, bottom, as parts of the picture

_FPS = 25.0


@dataclass(frozen=True)
class Pans:
    """How photographs become clips. pans: of each, beside the still. frames: of a pan. size: px of the square frames.

    side: of maps.
    """

    pans: int = 1
    frames: int = 9
    size: int = 256
    side: int = 64
    mirrored: bool = True


class Photographs(Sequence):
    """Clips of photographs, each a function of (seed, its number), made when it is asked for.

    Of each photograph, and of its mirror image, a still of one frame and `pans` pans.

    Args:
        names: of the photographs.
        image: number -> (h, w, 3) uint8.
        saliency: number -> (h, w) >= 0, where people look; None for clips without maps.
    """

    def __init__(
        self,
        names: Sequence[str],
        image: Callable[[int], np.ndarray],
        saliency: Callable[[int], np.ndarray] | None = None,
        *,
        pans: Pans = Pans(),
        seed: int = 0,
    ):
        self.names, self.image, self.saliency, self.pans, self.seed = names, image, saliency, pans, seed
        self.each = (1 + pans.mirrored) * (1 + pans.pans)

    def __len__(self) -> int:
        return len(self.names) * self.each

    def __getitem__(self, index: int) -> Clip:
        index = range(len(self))[index]
        number, variant = divmod(index, self.each)
        mirrored, pan = divmod(variant, 1 + self.pans.pans)
        rng = np.random.default_rng((self.seed, index))
        boxes = _pan(rng, self.pans.frames) if pan else [(0.0, 0.0, 1.0, 1.0)]
        image = self.image(number)[:, ::-1] if mirrored else self.image(number)
        frames = [encode_jpeg(_cut(image, box, self.pans.size)) for box in boxes]
        maps = valid = None
        if self.saliency is not None:
            whole = np.asarray(self.saliency(number), np.float32)
            whole = whole[:, ::-1] if mirrored else whole
            cuts = np.stack([_cut(whole, box, self.pans.side) for box in boxes])
            peak = cuts.max((1, 2))
            valid = peak > 0.05 * whole.max()  # of a part that nobody looked at nothing is to be learned
            maps = np.rint(255 * np.clip(cuts / np.maximum(peak, 1e-9)[:, None, None], 0, 1)).astype(np.uint8)
            maps[~valid] = 0
        name = f"{self.names[number]}{'-mirrored' if mirrored else ''}{f'-pan{pan}' if pan else ''}"
        times = (np.arange(len(frames)) / _FPS).astype(np.float32)
        return Clip(name, np.zeros(0, np.int64), frames, times, _FPS, np.zeros(0, np.int16), maps, valid)


def pictures_in(path: str | os.PathLike) -> list[Path]:
    """The pictures of a folder, sorted; those that a text file lists, a path on each line, relative to it; or, of
    ``osie_train:FOLDER``, OSIE's training split in FOLDER/stimuli, whose fixations are not read.

    Raises DataError: none there.
    """
    if str(path).startswith("osie_train:"):
        root = str(path).removeprefix("osie_train:")
        every = listed(Path(root) / "stimuli")
        return [every[i] for i in osie_split(len(every))["train"]] or pictures_in(Path(root) / "stimuli")
    path = Path(path)
    if path.is_file():
        found = [path.parent / line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    else:
        found = listed(path)
    if missing := [file for file in found if not file.is_file()]:
        raise DataError(f"{path}: lists {missing[0]}, which is no file")
    if not found:
        raise DataError(f"{path}: no pictures here; give a folder of them, or a text file with a path on each line")
    return found


def _pan(rng: np.random.Generator, frames: int) -> list[Box]:
    """Boxes of 60 to 95 % of the picture that drift and zoom by up to 2 % of it a frame."""
    half, drift, zoom = rng.uniform(0.6, 0.95) / 2, rng.uniform(-0.02, 0.02, 2), rng.uniform(-0.02, 0.02)
    centre = rng.uniform(half, 1 - half, 2)
    boxes = []
    for step in np.arange(frames) - (frames - 1) / 2:
        reach = float(np.clip(half * (1 + zoom * step), 0.1, 0.5))
        x, y = np.clip(centre + drift * step, reach, 1 - reach)
        boxes.append((x - reach, y - reach, x + reach, y + reach))
    return boxes


def _cut(image: np.ndarray, box: Box, size: int) -> np.ndarray:
    """The part `box` of a picture or a map, squashed to a square, bilinear, antialiased."""
    from PIL import Image

    height, width = image.shape[:2]
    pixels = (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    return np.asarray(Image.fromarray(np.ascontiguousarray(image)).resize((size, size), Image.Resampling.BILINEAR, box=pixels))
