"""The one check of what baselines of images take."""

import numpy as np


def require_rgb(image, name):
    """ValueError, in one line that starts with `name`, unless `image` is (h, w, 3) uint8 with at least one pixel."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"{name}: need (h, w, 3) uint8, got {image.shape} {image.dtype}")
