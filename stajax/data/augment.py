"""Augmentation of training views: a random crop of a larger view, colour jitter, and mirroring, as the authors train.

One draw serves all frames of a fragment, so that between them only what moved differs; the release draws anew for each frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from stajax.data import transforms


@dataclass(frozen=True)
class Augment:
    """What is drawn, and how far it goes. The defaults change nothing.

    Attributes:
        enlarge: side of the view that the crop is taken from, over the crop's side; 1 = no crop.
        brightness, contrast, saturation: factors lie within 1 ± this.
        hue: turns of the colour circle lie within ± this, at most 0.5.
        flip: mirror half of the fragments left to right.
        per_frame: a draw for each frame instead of one for each fragment.
    """

    enlarge: float = 1.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    flip: bool = False
    per_frame: bool = False

    @classmethod
    def none(cls) -> Augment:
        """The views as they are."""
        return cls()

    @classmethod
    def default(cls) -> Augment:
        """The release's crop (256 of 300 px) and jitter, one draw a fragment."""
        return cls(enlarge=300 / 256, brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1)

    @classmethod
    def released(cls) -> Augment:
        """As `default`, but each frame by itself: what the release trains S, S+ and SA+ with."""
        return replace(cls.default(), per_frame=True)

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
        """(side, side, ...) -> (size, size, ...)."""
        part = view[self.top : self.top + self.size, self.left : self.left + self.size]
        return part[:, ::-1] if self.mirrored else part


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
        draws = [_draw(config, size, rng) for _ in range(frames if config.per_frame else 1)]
        draws *= frames // len(draws)
        for frame, (crop, jitter) in enumerate(draws):
            view = crop.of(views[node, frame])
            for change, amount in jitter:
                view = change(view, amount)
            augmented[node, frame] = view
        crops.append(draws[frames // 2][0])
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


def _draw(config: Augment, size: int, rng: np.random.Generator) -> tuple[Crop, list]:
    """A crop, and the colour changes in a random order, each (function, amount)."""
    side = config.side(size)
    left, top = rng.integers(0, side - size + 1, 2).tolist()
    crop = Crop(left, top, size, side, bool(config.flip and rng.random() < 0.5))
    factors = (
        (transforms.adjust_brightness, config.brightness, 1),
        (transforms.adjust_contrast, config.contrast, 1),
        (transforms.adjust_saturation, config.saturation, 1),
        (transforms.adjust_hue, config.hue, 0),
    )
    amounts = [rng.uniform(middle - reach, middle + reach) for _, reach, middle in factors]
    return crop, [(factors[i][0], amounts[i]) for i in rng.permutation(4) if factors[i][1]]
