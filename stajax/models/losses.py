"""The losses of the fixation nets, Eq. 17."""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

EPS = 2.2e-16


def binary_cross_entropy(logits: jax.Array, target: jax.Array) -> jax.Array:
    """Mean binary cross-entropy of sigmoid(logits) against `target` in [0, 1], of equal shapes; PyTorch's BCEWithLogitsLoss."""
    return jnp.mean(jnp.maximum(logits, 0) - logits * target + jnp.log1p(jnp.exp(-jnp.abs(logits))))


def kl_divergence(prediction: jax.Array, target: jax.Array, *, normalise: Literal["image", "batch"] = "image") -> jax.Array:
    """KL(target || prediction) of maps (..., H, W) >= 0, each made to sum to 1: (...) values.

    Σ q log(eps + q / (p + eps)), eps 2.2e-16. `normalise="batch"` takes sums over the whole tensor, as released, and gives
    one value; the two agree for a batch of one. A blank map, of a sum up to eps, is left as it is: a blank target
    gives 0, a blank prediction a large finite value.
    """
    axes = (-2, -1) if normalise == "image" else None

    def to_distribution(maps):
        total = maps.sum(axes, keepdims=True)
        return maps / jnp.where(total > EPS, total, 1)

    p, q = to_distribution(prediction), to_distribution(target)
    return jnp.sum(q * jnp.log(EPS + q / (p + EPS)), axis=axes)


def fixation_loss(
    logits: jax.Array, target: jax.Array, *, normalise: Literal["image", "batch"] = "image"
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Eq. 17: BCE + KL with weights 1:1, of logits (B, H, W) against maps (B, H, W) in [0, 1]; the two terms in aux."""
    bce = binary_cross_entropy(logits, target)
    kl = jnp.mean(kl_divergence(jax.nn.sigmoid(logits), target, normalise=normalise))
    return bce + kl, {"bce": bce, "kl": kl}
