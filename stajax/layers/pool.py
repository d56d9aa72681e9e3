"""Pooling in NHWC with PyTorch's integer paddings."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def max_pool(x: jax.Array, window: int, stride: int, padding: int = 0) -> jax.Array:
    """Largest value in each square of `window` pixels: `x` (N, H, W, C) float -> (N, H', W', C).

    Equals `torch.nn.functional.max_pool2d` with its default ``ceil_mode=False``: H' = floor((H + 2 padding - window) / stride)
    + 1, and the padding is minus infinity. padding: at most window // 2, so that no square lies wholly outside.
    """
    pad = (padding, padding)
    return jax.lax.reduce_window(
        x, -jnp.inf, jax.lax.max, (1, window, window, 1), (1, stride, stride, 1), ((0, 0), pad, pad, (0, 0))
    )
