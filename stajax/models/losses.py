"""The losses: Eq. 7 of the classification nets, Eq. 17 and 20 of the fixation nets."""

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
    logits: jax.Array,
    target: jax.Array,
    *,
    normalise: Literal["image", "batch"] = "image",
    weight: jax.Array | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Eq. 17: BCE + KL with weights 1:1, of logits (B, H, W) against maps (B, H, W) in [0, 1]; the two terms in aux.

    weight: (B,) of each map, such as its `valid`; the terms are weighted means, 0 where nothing weighs. By default all are
    equal. ValueError with normalise="batch", which has one KL for all maps.
    """
    if weight is not None and normalise == "batch":
        raise ValueError('maps have weights of their own only with normalise="image"; "batch" has one KL for all of them')
    if weight is None:
        bce = binary_cross_entropy(logits, target)
        kl = jnp.mean(kl_divergence(jax.nn.sigmoid(logits), target, normalise=normalise))
    else:
        total = jnp.maximum(weight.sum(), EPS)
        bce = (jax.vmap(binary_cross_entropy)(logits, target) * weight).sum() / total
        kl = (kl_divergence(jax.nn.sigmoid(logits), target) * weight).sum() / total
    return bce + kl, {"bce": bce, "kl": kl}


def company_fixation_loss(
    logits: jax.Array, target: jax.Array, *, weight: jax.Array | None = None
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Eq. 20: Eq. 17 of every node, summed over the nodes. logits, target (B, nodes, H, W), weight (B, nodes) or None."""
    losses, terms = zip(
        *(
            fixation_loss(logits[:, k], target[:, k], weight=None if weight is None else weight[:, k])
            for k in range(logits.shape[1])
        ),
        strict=True,
    )
    return sum(losses), {name: sum(term[name] for term in terms) for name in terms[0]}


def multilabel_soft_margin(logits: jax.Array, tags: jax.Array) -> jax.Array:
    """Eq. 7's MSM, PyTorch's multilabel_soft_margin_loss: logits (B, classes), tags (B, classes) of 0 and 1 -> scalar.

    It is the binary cross-entropy of every class, averaged over classes and batch.
    """
    return binary_cross_entropy(logits, tags)
