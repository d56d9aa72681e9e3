"""Augmentation of training views: a random crop of a larger view, colour jitter, and mirroring, as the authors train.

One draw serves all frames of a fragment, so that between them only what moved differs; the release draws anew for each frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from stajax.data import transforms

_LUMINANCE = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Augment:
    """What is drawn, and how far it goes. The defaults change nothing.

    Attributes:
        enlarge: side of the view that the crop is taken from, over the crop's side; 1 = no crop.
        brightness, contrast, saturation: factors lie within 1 ± this.
        hue: turns of the colour circle lie within ± this, at most 0.5.
        flip: mirror half of the fragments left to right.
        per_frame: a draw for each frame instead of one for each fragment.
        linear: all changes of colour in one affine map, with the hue turned about the grey axis; a fifth of the time. Otherwise
            they come one after the other, each rounded and clipped, with the hue turned in HSV, as in the release.
    """

    enlarge: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    flip: bool = False
    per_frame: bool = False
    linear: bool = True

    @classmethod
    def none(cls) -> Augment:
        """The views as they are."""
        return cls()

    @classmethod
    def default(cls) -> Augment:
        """The release's crop (256 of 300 px) and amounts of jitter, one draw a fragment."""
        return cls(enlarge=300 / 256, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1)

    @classmethod
    def released(cls) -> Augment:
        """As the release trains S, S+ and SA+: each frame by itself, through the same transforms."""
        return replace(cls.default(), per_frame=True, linear=False)

    def side(self, size: int) -> int:
        """Pixels of the square view that crops of `size` are taken from."""
        return round(size * self.enlarge)


class Crop(NamedTuple):
    """The square of `size` px at (left, top) of a square view of `side` px, mirrored afterwards or not."""

    left: int
    top: int
    size: int
    side: int
    mirrored: bool

    def of(self, view: np.ndarray) -> np.ndarray:
        """(..., side, side, 3) -> (..., size, size, 3)."""
        part = view[..., self.top : self.top + self.size, self.left : self.left + self.size, :]
        return part[..., ::-1, :] if self.mirrored else part


def augment(views: np.ndarray, config: Augment, size: int, rng: np.random.Generator) -> tuple[np.ndarray, list[Crop]]:
    """Crop and jitter the frames of one example.

    Args:
        views: (nodes, f, side, side, 3) uint8, side = config.side(size).
        config: what is drawn.
        size: px of the crops.
        rng: drawn from.

    Returns:
        (nodes, f, size, size, 3) uint8, and the crop of each node's middle frame, which its map is cropped by (`crop_map`).
    """
    nodes, frames = views.shape[:2]
    augmented, crops = np.empty((nodes, frames, size, size, 3), np.uint8), []
    for node in range(nodes):
        for first in range(frames if config.per_frame else 1):
            of_draw = slice(first, first + 1) if config.per_frame else slice(None)
            crop, jitter = _draw(config, size, rng)
            augmented[node, of_draw] = (_linear if config.linear else _one_by_one)(crop.of(views[node, of_draw]), jitter)
            if first == (frames // 2 if config.per_frame else 0):
                crops.append(crop)
    return augmented, crops


def crop_map(saliency_map: np.ndarray, crop: Crop, shape: tuple[int, int]) -> np.ndarray:
    """The part of a map that a crop shows of its view, bilinear and antialiased: (h, w) float -> `shape` float32."""
    from PIL import Image

    height, width = saliency_map.shape
    right, bottom = crop.left + crop.size, crop.top + crop.size
    box = (crop.left * width / crop.side, crop.top * height / crop.side)
    box += (right * width / crop.side, bottom * height / crop.side)
    part = Image.fromarray(np.asarray(saliency_map, np.float32)).resize(shape[::-1], Image.Resampling.BILINEAR, box=box)
    return np.array(part)[:, ::-1] if crop.mirrored else np.array(part)


def _draw(config: Augment, size: int, rng: np.random.Generator) -> tuple[Crop, list[tuple[str, float]]]:
    """A crop, and the changes of colour in a random order, each (name, amount)."""
    side = config.side(size)
    left, top = rng.integers(0, side - size + 1, 2).tolist()
    crop = Crop(left, top, size, side, bool(config.flip and rng.random() < 0.5))
    jitter = []
    for name in rng.permutation(["brightness", "contrast", "saturation", "hue"]).tolist():
        reach, middle = getattr(config, name), 0 if name == "hue" else 1
        amount = rng.uniform(middle - reach, middle + reach)
        if reach:
            jitter.append((name, amount))
    return crop, jitter


def _one_by_one(views: np.ndarray, jitter: list[tuple[str, float]]) -> np.ndarray:
    """(f, h, w, 3) uint8 through the release's transforms."""
    for name, amount in jitter:
        change = getattr(transforms, f"adjust_{name}")
        views = np.stack([change(view, amount) for view in views])
    return views


def _linear(views: np.ndarray, jitter: list[tuple[str, float]]) -> np.ndarray:
    """(f, h, w, 3) uint8 through one affine map, x -> matrix x + shift, with contrast about their common mean."""
    from PIL import Image

    if not jitter:
        return views
    tall = Image.fromarray(np.ascontiguousarray(views).reshape(-1, *views.shape[2:]))
    mean = np.array(tall.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)), float)
    matrix, shift = np.eye(3), np.zeros(3)
    for name, amount in jitter:
        change, offset = np.eye(3) * amount, np.zeros(3)
        if name == "contrast":
            offset += (1 - amount) * _LUMINANCE @ (matrix @ mean + shift)
        elif name == "saturation":
            change = change + (1 - amount) * _LUMINANCE
        elif name == "hue":
            change = _turn(amount)
        matrix, shift = change @ matrix, change @ shift + offset
    rows = np.column_stack([matrix, shift]).ravel().tolist()
    return np.asarray(tall.convert("RGB", rows)).reshape(views.shape)


def _turn(turns: float) -> np.ndarray:
    """The rotation of colours (3, 3) about the grey axis by `turns` of a circle; a third takes red to green (Rodrigues)."""
    cos, sin = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    return cos * np.eye(3) + (1 - cos) / 3 + sin * across
