"""Into the coarse box and back (section 3.2): `crop_resize` cuts and resizes frames, `paste` puts maps back.

Boxes are those of `stajax.cam.box`, in pixels of the frame. As in `stajax.layers.resize` one axis is resized after the other,
but with weights that are made from the boxes inside jit: the result has one shape, wherever the boxes lie.
"""

from __future__ import annotations

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from stajax.layers.resize import imresize


@partial(jax.jit, static_argnames="size")
def crop_resize(frames: jax.Array, boxes: jax.Array, size: tuple[int, int]) -> jax.Array:
    """The part of each frame in its box, resized: bilinear, antialiased when shrinking.

    Equals Pillow's `resize((w', h'), BILINEAR, box=(left, top, right, bottom))` for floating images, and so, for a box that
    is the whole frame, `resize(frames, size, antialias=True, border="drop")`. Near the box's edges it reads the frame's
    pixels beyond them; the release cuts first, so that its edges repeat.

    Args:
        frames: (..., H, W, C), uint8 or floating.
        boxes: (..., 4), the same leading axes, inside the frame; where one leaves it there are zeros.
        size: (h', w').

    Returns:
        (..., h', w', C) float32, in the frames' unit.
    """
    lead, image = frames.shape[:-3], frames.shape[-3:]
    boxes = jnp.broadcast_to(boxes, (*lead, 4)).reshape(-1, 4)
    found = jax.vmap(partial(_crop_one, size=size))(frames.reshape(-1, *image), boxes)
    return found.reshape(*lead, *size, image[-1])


@partial(jax.jit, static_argnames=("size", "method"))
def paste(maps: jax.Array, boxes: jax.Array, size: tuple[int, int], *, method: str = "bicubic") -> jax.Array:
    """Each map resized to its box in a frame that is zero elsewhere.

    For a box of whole numbers and "bicubic", this is `recover` to about 1e-5 of the largest value (float32 weights), overshoot
    included. A pixel that the box covers in part gets that part of the value.

    Args:
        maps: (..., h, w).
        boxes: (..., 4), the same leading axes.
        size: (H, W) of the frame.
        method: "bicubic", or "bilinear", which stays in the range of `maps`. Both widen their kernel when shrinking.

    Returns:
        (..., H, W) float32.

    Raises:
        ValueError: unknown method.
    """
    if method not in _KERNELS:
        raise ValueError(f"paste: method {method!r}, give one of {', '.join(_KERNELS)}")
    sides = zip(_sides(boxes, size), maps.shape[-2:], strict=True)
    rows, columns = (_paste_matrix(*side, n, _KERNELS[method]) for side, n in sides)
    return jnp.einsum("...ah,...hw,...bw->...ab", rows, maps.astype(jnp.float32), columns, precision="highest")


def recover(fine: np.ndarray, box: tuple[int, int, int, int], size: tuple[int, int]) -> np.ndarray:
    """The release's RecoverCAM for one map: `imresize` to the box, pasted into zeros. NumPy, exact.

    Args:
        fine: (h, w) floating.
        box: (top, left, bottom, right), whole numbers.
        size: (H, W) of the frame.

    Returns:
        (H, W), of the type of `fine`.

    Raises:
        ValueError: a box that is empty, not of whole numbers, or not inside the frame.
    """
    top, left, bottom, right = (int(edge) for edge in box)
    if not (0 <= top < bottom <= size[0] and 0 <= left < right <= size[1]) or (top, left, bottom, right) != tuple(box):
        raise ValueError(f"recover: box {tuple(box)} is not one of whole pixels inside a frame of {size[0]}x{size[1]}")
    frame = np.zeros(size, fine.dtype)
    frame[top:bottom, left:right] = imresize(fine, (bottom - top, right - left))
    return frame


def _triangle(x):
    return jnp.maximum(1 - jnp.abs(x), 0)


def _keys_cubic(x):
    x = jnp.abs(x)
    return jnp.where(x <= 1, (1.5 * x - 2.5) * x**2 + 1, jnp.where(x < 2, -0.5 * (((x - 5) * x + 8) * x - 4), 0))


_KERNELS = {"bilinear": _triangle, "bicubic": _keys_cubic}


def _sides(boxes: jax.Array, size: tuple[int, int]):
    """Per axis: the box's near and far edges (...), and the frame's length."""
    boxes = jnp.asarray(boxes, jnp.float32)
    return [(boxes[..., axis], boxes[..., axis + 2], size[axis]) for axis in (0, 1)]


def _crop_one(frame: jax.Array, box: jax.Array, size: tuple[int, int]) -> jax.Array:
    # A few taps a pixel: dense matrices take 5 to 10 times as long on CPU.
    (rows, row_weights), (columns, column_weights) = (
        _crop_taps(*side, n) for side, n in zip(_sides(box, frame.shape[:2]), size, strict=True)
    )
    frame = frame.astype(jnp.float32)
    lines = sum(w[:, None, None] * frame[taps] for taps, w in zip(rows, row_weights, strict=True))
    return sum(w[:, None] * lines[:, taps] for taps, w in zip(columns, column_weights, strict=True))


def _crop_taps(near, far, n_frame, n):
    """The pixels (taps, n) of a frame's axis, and their weights, that make the part between `near` and `far`."""
    step = (far - near) / n
    centres = near + (jnp.arange(n) + 0.5) * step - 0.5
    reach = math.ceil(max(n_frame / n, 1))  # of the kernel in the largest box
    taps = jnp.floor(centres).astype(int) + jnp.arange(1 - reach, reach + 1)[:, None]
    weights = _triangle((taps - centres) / jnp.maximum(step, 1)) * ((taps >= 0) & (taps < n_frame))
    return jnp.clip(taps, 0, n_frame - 1), _normalised(weights, 0)


def _paste_matrix(near, far, n_frame, n, kernel):
    """(..., n_frame, n): from a map's axis to the frame's part between `near` and `far`, the map mirrored beyond its ends."""
    pixels = jnp.arange(n_frame)[:, None]
    near, far = near[..., None, None], far[..., None, None]
    step = n / jnp.maximum(far - near, 1)  # a box thinner than a pixel is read as one of a pixel
    centres = (pixels + 0.5 - near) * step - 0.5
    # The map and its mirror images, one period on either side: as far as the kernel reaches, even into a box of one pixel.
    taps = np.arange(n)
    images = np.stack([image + shift for shift in (-2 * n, 0, 2 * n) for image in (taps, -1 - taps)])
    offsets = images - centres[..., None]
    weights = _normalised(kernel(offsets / jnp.maximum(step, 1)[..., None]).sum(-2), -1)
    covered = jnp.clip(jnp.minimum(pixels + 1, far) - jnp.maximum(pixels, near), 0, 1)
    return weights * covered


def _normalised(weights, axis):
    """Weights that sum to one along `axis`, or are zero where nothing is in reach."""
    total = weights.sum(axis, keepdims=True)
    return jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), 0)
