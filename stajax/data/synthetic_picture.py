"""The looks of the made clips: coloured shapes on a textured ground, drawn in NumPy."""

from __future__ import annotations

import numpy as np

# Distances from a shape's edge, negative inside, for u (rightwards) and v (upwards) in units of its radius; all lie within 1.
SHAPES = {
    "disc": lambda u, v: np.hypot(u, v) - 0.9,
    "square": lambda u, v: np.maximum(abs(u), abs(v)) - 0.7,
    "triangle": lambda u, v: np.maximum(0.866 * abs(u) + 0.5 * v, -v) - 0.5,
    "ring": lambda u, v: abs(np.hypot(u, v) - 0.7) - 0.25,
    "cross": lambda u, v: np.minimum(np.maximum(abs(u) - 0.9, abs(v) - 0.3), np.maximum(abs(u) - 0.3, abs(v) - 0.9)),
    "diamond": lambda u, v: 0.707 * (abs(u) + abs(v)) - 0.68,
    "bar": lambda u, v: np.maximum(abs(u) - 0.95, abs(v) - 0.3),
    "pair": lambda u, v: np.minimum(np.hypot(u - 0.5, v), np.hypot(u + 0.5, v)) - 0.42,
}
COLOURS = {
    "disc": (228, 66, 52),
    "square": (58, 120, 232),
    "triangle": (240, 196, 48),
    "ring": (64, 180, 88),
    "cross": (176, 84, 208),
    "diamond": (80, 204, 212),
    "bar": (240, 140, 60),
    "pair": (236, 130, 176),
}
_GRAIN = 2.0  # levels: deviation of the noise in each frame


def ground(size: int, rng: np.random.Generator) -> np.ndarray:
    """A smooth texture of muted colours: (size, size, 3) float32, levels."""
    from PIL import Image

    texture = np.zeros((size, size), np.float32)
    for cells, depth in ((4, 14), (16, 8)):
        noise = rng.normal(0, depth, (cells, cells)).astype(np.float32)
        texture += np.asarray(Image.fromarray(noise).resize((size, size), Image.Resampling.BICUBIC))
    return texture[..., None] + (rng.uniform(70, 140) + rng.uniform(-15, 15, 3)).astype(np.float32)


def paint(canvas: np.ndarray, shape: str, colour: np.ndarray, centre, radius: float, turn: float) -> None:
    """Draw a shape with soft edges into `canvas` (size, size, 3) float32.

    Args:
        shape: of `SHAPES`.
        colour: (3,) levels.
        centre: x, y in pixels.
        radius: in pixels.
        turn: in radians.
    """
    x, y = centre
    rows, columns = (slice(max(0, int(at - radius) - 1), int(at + radius) + 2) for at in (y, x))
    part = canvas[rows, columns]
    right = columns.start + 0.5 + np.arange(part.shape[1]) - x
    up = y - (rows.start + 0.5 + np.arange(part.shape[0]))[:, None]
    u, v = (np.cos(turn) * right + np.sin(turn) * up) / radius, (np.cos(turn) * up - np.sin(turn) * right) / radius
    opacity = np.clip(0.5 - SHAPES[shape](u, v) * radius, 0, 1)[..., None]
    part += opacity * (colour - part)


def grainy(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture as a camera gives it: (size, size, 3) float32 -> uint8, with noise."""
    noise = _GRAIN * rng.standard_normal(canvas.shape[:2], np.float32)
    return np.clip(np.rint(canvas + noise[..., None]), 0, 255).astype(np.uint8)
