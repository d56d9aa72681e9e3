"""The temporal mask of the authors' nets: three 3-D convolutions on a stack that is not in time.

The authors stack three frames, (B, 3, C, H, W), and reinterpret that memory as (B, C, 3, H, W) without transposing it. Entry
(c, t) is therefore channel (3c + t) mod C of frame (3c + t) div C. Their weights were trained on it, so it is kept.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.layers.conv import Conv


def scrambled_stack(p: jax.Array, q: jax.Array, r: jax.Array) -> jax.Array:
    """Three frames (B, h, w, C) -> (B, 3, h, w, C), channels and time mixed as in the release; equals its `view`."""
    channels = jnp.concatenate([p, q, r], axis=-1)
    return jnp.moveaxis(channels.reshape(*p.shape, 3), -1, 1)


class RefineST(nnx.Module):
    """Kernels (3, 1, 1), (1, 3, 3), (1, 3, 3), nothing between them: a stack of three to one mask, before its sigmoid."""

    def __init__(self, channels: int, channels_out: int, *, rngs: nnx.Rngs):
        over_time = Conv(channels, channels, (3, 1, 1), padding=((0, 0),) * 3, rngs=rngs)
        over_space = [Conv(channels, out, (1, 3, 3), rngs=rngs) for out in (channels, channels_out)]
        self.convs = nnx.List([over_time, *over_space])

    def __call__(self, stack: jax.Array) -> jax.Array:
        """(B, 3, h, w, C) -> (B, h, w, channels_out)."""
        for conv in self.convs:
            stack = conv(stack)
        return stack[:, 0]
