"""The image transforms of the authors' training, on uint8 pictures: resizing to a square and colour jitter, through Pillow."""

from __future__ import annotations

from typing import Literal

import numpy as np


def resize_square(image: np.ndarray, size: int, *, resample: Literal["bilinear", "lanczos"] = "bilinear") -> np.ndarray:
    """The whole picture to a square, aspect ignored, antialiased: torchvision's `Resize` of a PIL image.

    `media.squash` is the same for a bilinear factor below 4, and from there on averages whole pixels first, for speed.

    Args:
        image: (H, W, 3) or (H, W) uint8.
        size: side of the square in pixels.
        resample: bilinear everywhere, lanczos for STA+ and the audio switch.

    Returns:
        (size, size, 3) or (size, size) uint8.
    """
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling[resample.upper()]))


def adjust_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """`PIL.ImageEnhance.Brightness`: (H, W, 3) uint8 away from black; factor 1 is the picture, 0 black."""
    return _enhanced("Brightness", image, factor)


def adjust_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """`PIL.ImageEnhance.Contrast`: (H, W, 3) uint8 away from the picture's mean luminance; factor 1 is the picture, 0 grey."""
    return _enhanced("Contrast", image, factor)


def adjust_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    """`PIL.ImageEnhance.Color`: (H, W, 3) uint8 away from its luminance; factor 1 is the picture, 0 its grey version."""
    return _enhanced("Color", image, factor)


def adjust_hue(image: np.ndarray, turns: float) -> np.ndarray:
    """torchvision's `adjust_hue` of a PIL image: (H, W, 3) uint8 with its hue turned by `turns`, in [-0.5, 0.5] of a circle.

    The 8-bit hue grows by int(255 turns) and wraps at 256. int truncates towards zero, as there.

    Raises ValueError for turns outside that range.
    """
    from PIL import Image

    if not -0.5 <= turns <= 0.5:
        raise ValueError(f"hue: {turns} turns; give a number from -0.5 to 0.5")
    hue, saturation, value = Image.fromarray(image).convert("HSV").split()
    turned = Image.fromarray(np.asarray(hue) + np.uint8(int(255 * turns) % 256))
    return np.asarray(Image.merge("HSV", (turned, saturation, value)).convert("RGB"))


def _enhanced(enhancer: str, image: np.ndarray, factor: float) -> np.ndarray:
    from PIL import Image, ImageEnhance

    return np.asarray(getattr(ImageEnhance, enhancer)(Image.fromarray(image)).enhance(factor))
