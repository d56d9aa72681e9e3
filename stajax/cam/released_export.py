"""Class maps as the authors' test scripts write them: the picture files that pseudo-fixations were made from. NumPy only."""

from __future__ import annotations

import numpy as np

_BITS = 11  # of OpenCV's bilinear weights (INTER_RESIZE_COEF_BITS)


def released_class_map(map_1: np.ndarray, map_2: np.ndarray, tag: int, *, size: int | None = 220) -> np.ndarray:
    """One frame's map of the class `tag`, from the maps before and after fusion or reasoning (`map_1`, `map_2` of the nets).

    rint(255 a / (max a + 1e-8)), a the positive part of the mean of the two. The authors wrote it only for frames whose
    argmax of `map_2`'s logits is the tag, which is their soft filter (Eq. 3); here the caller decides.

    Args:
        map_1, map_2: (h, w, classes).
        tag: index of the class, from 0.
        size: side of the result, by `resize_linear`; None leaves it at (h, w).

    Returns:
        (size, size) uint8; zeros where the map is nowhere positive.
    """
    positive = np.maximum((np.asarray(map_1)[..., tag] + np.asarray(map_2)[..., tag]) / 2, 0)
    levels = np.rint(positive / (positive.max() + 1e-8) * 255).astype(np.uint8)
    return levels if size is None else resize_linear(levels, (size, size))


def resize_linear(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Equals `cv2.resize(image, size[::-1], interpolation=cv2.INTER_LINEAR)` to the last bit, for uint8 on x86.

    OpenCV weighs in 11 bits and drops the last 4 bits between the axes. Without antialiasing, whatever the size.

    Args:
        image: (h, w) uint8.
        size: (h', w').

    Returns:
        (h', w') uint8.
    """
    rows, columns = (_taps(n_in, n_out) for n_in, n_out in zip(image.shape, size, strict=True))
    (left, right), (w_left, w_right) = columns
    across = image[:, left] * w_left + image[:, right] * w_right
    (top, bottom), (w_top, w_bottom) = rows
    # Each product is cut to 2 bits after the point by itself, so that two equal rows do not give back that row exactly.
    parts = ((across[r] >> 4) * w[:, None] >> 16 for r, w in ((top, w_top), (bottom, w_bottom)))
    return (sum(parts) + 2 >> 2).astype(np.uint8)


def _taps(n_in: int, n_out: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Both neighbours (n_out,) of every output sample on one axis, and their integer weights, 2048 together."""
    centres = ((np.arange(n_out) + 0.5) * (1 / (n_out / n_in)) - 0.5).astype(np.float32)
    lower = np.floor(centres).astype(int)
    fraction = (centres - lower).astype(np.float32)
    weights = [np.rint(w * np.float32(1 << _BITS)).astype(np.int64) for w in (np.float32(1) - fraction, fraction)]
    neighbours = (np.clip(lower + step, 0, n_in - 1) for step in (0, 1))
    return tuple(neighbours), tuple(weights)
