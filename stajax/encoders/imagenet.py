"""The input that nets trained on ImageNet with torchvision expect."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

MEAN = np.float32([0.485, 0.456, 0.406])  # of red, green, blue in [0, 1]
STD = np.float32([0.229, 0.224, 0.225])


def normalise(views: jax.Array) -> jax.Array:
    """`views` (F, h, w, 3) uint8 RGB -> float32 of the same shape: (views / 255 - MEAN) / STD."""
    return (views.astype(jnp.float32) / 255 - MEAN) / STD
