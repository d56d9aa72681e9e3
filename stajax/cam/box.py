"""The coarse box (section 3.2): the rectangle around what the coarse map marks, which the fine stage looks into.

A box is (top, left, bottom, right), float32, in pixels of some grid: pixel i covers [i, i + 1), so the whole of a grid of
h x w is (0, 0, h, w). Floats, because boxes get scaled to frames of any size and averaged over time; crops are resampled
anyway (`stajax.cam.crop`). The release's 1-based `min_row max_row min_col max_col` is (top + 1, bottom, left + 1, right).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp


@jax.jit
def coarse_boxes(maps: jax.Array, factor: float = 2.0) -> jax.Array:
    """The smallest box around all pixels over `factor` times the map's mean (strict); the whole map where there are none.

    Args:
        maps: (..., h, w), not negative.
        factor: of the hard threshold.

    Returns:
        (..., 4) float32, whole numbers, in pixels of the map.
    """
    marked = maps > factor * maps.mean((-2, -1), keepdims=True)
    top, bottom = _extent(marked.any(-1))
    left, right = _extent(marked.any(-2))
    return jnp.stack([top, left, bottom, right], -1).astype(jnp.float32)


@partial(jax.jit, static_argnames=("old", "new"))
def scale_boxes(boxes: jax.Array, old: tuple[int, int], new: tuple[int, int]) -> jax.Array:
    """Boxes of a grid of `old` (h, w) as boxes of a grid of `new` (h, w) over the same picture, cut to it; (..., 4) each."""
    limit = jnp.asarray([*new, *new], jnp.float32)
    return jnp.clip(boxes * (limit / jnp.asarray([*old, *old], jnp.float32)), 0, limit)


@partial(jax.jit, static_argnames="size")
def widen_boxes(boxes: jax.Array, size: tuple[int, int], min_side: float) -> jax.Array:
    """Boxes of sides of at least `min_side`: grown about the centre, then moved into the frame, whose sides bound them.

    Args:
        boxes: (..., 4), in pixels of the frame; what lies outside the frame is cut off.
        size: (h, w) of the frame.
        min_side: in the same pixels.

    Returns:
        (..., 4), inside the frame. Boxes that are inside and wide enough come back unchanged.
    """
    near, far, limit = boxes[..., :2], boxes[..., 2:], jnp.asarray(size, boxes.dtype)
    near, far = jnp.clip(near, 0, limit), jnp.clip(far, 0, limit)
    lack = jnp.maximum(jnp.minimum(min_side, limit) - (far - near), 0)
    near, far = near - lack / 2, far + lack / 2
    move = jnp.maximum(-near, 0) - jnp.maximum(far - limit, 0)
    return jnp.clip(jnp.concatenate([near + move, far + move], -1), 0, jnp.concatenate([limit, limit]))


def _extent(marked: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(..., n) bool to the edges (...) around its true entries, or to 0 and n."""
    n, first = marked.shape[-1], marked.argmax(-1)
    # argmax of all false is 0, from either end.
    return first, n - jnp.flip(marked, -1).argmax(-1)
