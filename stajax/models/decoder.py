"""The decoder of the fixation nets, Eq. 16."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.layers.conv import Conv
from stajax.layers.resize import resize


class Decoder(nnx.Module):
    """Eq. 16: ↑(Ref(Ref(F3) ⊗ ↑(Ref(Ref(F4) ⊗ ↑(Ref(Ref(F5) ⊗ sta)))))).

    F5, F4, F3 are encoder levels, coarse to fine. The inner Ref is a 1x1 convolution to `width` channels, the outer one a 3x3
    convolution to `width` with ReLU; ↑ is bilinear to the next level's size, the last one, after a 1x1 convolution to one
    channel, to `output_size` (docs/architecture.md, Decisions).
    """

    def __init__(self, channels: Sequence[int], fused: int, width: int, output_size: tuple[int, int], *, rngs: nnx.Rngs):
        self.output_size = tuple(output_size)
        inner, outer, below = [], [], fused
        for features in channels:
            inner.append(Conv(features, width, (1, 1), rngs=rngs))
            outer.append(Conv(width + below, width, (3, 3), rngs=rngs))
            below = width
        self.inner, self.outer = nnx.List(inner), nnx.List(outer)
        self.readout = Conv(width, 1, (1, 1), rngs=rngs)

    def __call__(self, levels: Sequence[jax.Array], sta: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`levels` F5, F4, F3 (B, h, w, C) and `sta` (B, h5, w5, fused) -> logits (B, H, W), aux {"decoder": the last Ref}."""
        x = sta
        for level, inner, outer in zip(levels, self.inner, self.outer, strict=True):
            x = resize(x, level.shape[1:3])  # at F5 it already has that size
            x = jax.nn.relu(outer(jnp.concatenate([inner(level), x], axis=-1)))
        return resize(self.readout(x), self.output_size)[..., 0], {"decoder": x}
