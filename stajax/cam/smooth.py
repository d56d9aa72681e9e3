"""Smoothing over time: the release's recursion for finished maps, and a plain mean for maps and boxes.

The paper has neither; the release smooths its final pseudo-fixations (CAMsmooth).
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from stajax.cam.normalise import min_max

_WINDOW = 5  # the release's: t-2 .. t+2


@jax.jit
def recursive_smooth(maps: jax.Array, cut: float = 3.0) -> jax.Array:
    """The release's CAMsmooth over a clip.

    A buffer holds five maps, each with Z. At frame t the map of t+2 pushes out the oldest; H is Z of their mean, and takes the
    newest one's place, so that from the fifth step on H is made of four earlier Hs and one new map. The result is H, with all
    below `cut` times its mean set to 0.

    Args:
        maps: (T, ..., h, w), not negative; the maps of a clip's frames in order.
        cut: 3 as released; 0 leaves H as it is.

    Returns:
        (T, ..., h, w) in [0, 1]. Frames 3 .. T-3 (from 0) are the release's, which writes 3 .. T-7. The first three are the cut
        H of the first five maps; for the last two, and in a clip of fewer than five frames, the last map is read again.
    """
    n = maps.shape[0]
    if n == 0:
        return maps
    ahead = min_max(maps[jnp.minimum(jnp.arange(max(n + 2, _WINDOW)), n - 1)])
    first = _cut(min_max(ahead[:_WINDOW].mean(0)), cut)
    later = jax.lax.scan(lambda buffer, newest: smooth_step(buffer, newest, cut), ahead[:_WINDOW], ahead[_WINDOW:])[1]
    return jnp.concatenate([jnp.broadcast_to(first, (3, *first.shape)), later])[:n]


@jax.jit
def smooth_step(buffer: jax.Array, newest: jax.Array, cut: float = 3.0) -> tuple[jax.Array, jax.Array]:
    """One step of `recursive_smooth`, for frames that come one by one.

    Args:
        buffer: (5, ..., h, w); at first `min_max` of the clip's first five maps.
        newest: (..., h, w), the map of frame t+2.
        cut: as in `recursive_smooth`.

    Returns:
        The next buffer, and the smoothed map (..., h, w) of frame t, the first of them for t = 3.
    """
    smoothed = min_max((buffer[1:].sum(0) + min_max(newest)) / _WINDOW)
    return jnp.concatenate([buffer[1:], smoothed[None]]), _cut(smoothed, cut)


@partial(jax.jit, static_argnames="radius")
def temporal_mean(values: jax.Array, radius: int = 2, valid: jax.Array | None = None) -> jax.Array:
    """The mean over the frames t - radius .. t + radius that exist and are valid: of maps, or of boxes.

    A mean of boxes inside a frame is inside it, up to rounding. A mean of maps wants `min_max` after it.

    Args:
        values: (T, ...).
        radius: in frames, >= 0; 0 changes nothing.
        valid: (T,) bool, all by default; such as `Selection.valid`.

    Returns:
        (T, ...). A frame with no valid one in reach keeps its own values.
    """
    n = values.shape[0]
    valid = jnp.ones(n, bool) if valid is None else jnp.asarray(valid)
    total, count = jnp.zeros_like(values), jnp.zeros(n)
    for offset in range(-radius, radius + 1):
        frames = jnp.arange(n) + offset
        counts = (frames >= 0) & (frames < n)
        frames = jnp.clip(frames, 0, max(n - 1, 0))
        counts &= valid[frames]
        total += jnp.where(_per_frame(counts, values), values[frames], 0)
        count += counts
    mean = total / _per_frame(jnp.maximum(count, 1), values)
    return jnp.where(_per_frame(count > 0, values), mean, values)


def _cut(smoothed: jax.Array, cut: float) -> jax.Array:
    return jnp.where(smoothed < cut * smoothed.mean((-2, -1), keepdims=True), 0, smoothed)


def _per_frame(numbers: jax.Array, values: jax.Array) -> jax.Array:
    return numbers.reshape(numbers.shape + (1,) * (values.ndim - 1))
