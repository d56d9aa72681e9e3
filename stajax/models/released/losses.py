"""The losses that the authors' nets were trained with, each net's total as in its training script.

They differ from Eq. 7 and Eq. 17 in the weights, and in a KL divergence whose maps sum to 1 over the whole batch. Arguments are
named as in the aux of the nets.
"""

from __future__ import annotations

import math

import jax
import optax

from stajax.models.losses import fixation_loss, multilabel_soft_margin


def s_total(logits_1: jax.Array, logits_2: jax.Array, tags: jax.Array) -> jax.Array:
    """S and SA: the heads before and after fusion, (B, classes) each, weigh the same. tags (B, classes)."""
    return multilabel_soft_margin(logits_1, tags) + multilabel_soft_margin(logits_2, tags)


def st_total(logits_before: jax.Array, logits_after: jax.Array, tags: jax.Array) -> jax.Array:
    """ST, S+, SA+ and ST+: 0.4 times the sum of the heads before fusion or reasoning, plus the sum of those after it.

    logits_before: (B, 3, classes), or (B, 3, 3, classes) of ST+. logits_after: (B, 3, classes). tags: (B, classes), those of
    the target, for every head.
    """
    return 0.4 * _sum_over_heads(logits_before, tags) + _sum_over_heads(logits_after, tags)


def sta_total(outputs: jax.Array, maps: jax.Array) -> jax.Array:
    """STA: BCE + KL of every frame and scale, unweighted: 6 terms in 2022, 9 in December 2021.

    outputs: logits (B, frames, scales, H, W). maps: (B, frames, H, W) in [0, 1]; all scales of a frame have its map.
    The script of 2022 was not released; its total is that of 2021 on the outputs that it has.
    """
    of_scales = jax.vmap(_map_loss, in_axes=(1, None))
    return jax.vmap(of_scales, in_axes=(1, 1))(outputs, maps).sum()


def sta_plus_total(logits: jax.Array, maps: jax.Array) -> jax.Array:
    """STA+: BCE + KL of the three maps; its class logits are not trained. logits, maps (B, 3, H, W), nodes in equal order."""
    return jax.vmap(_map_loss, in_axes=(1, 1))(logits, maps).sum()


def switch_cross_entropy(logits: jax.Array, is_on: jax.Array) -> jax.Array:
    """The audio switch: softmax cross-entropy of logits (B, 2) against (B,) integers, 1 where the sound belongs."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, is_on).mean()


def _sum_over_heads(logits: jax.Array, tags: jax.Array) -> jax.Array:
    """Of logits (B, ..., classes): heads have equal shapes, so that the sum of their means is the mean times their number."""
    heads = math.prod(logits.shape[1:-1])
    tags = tags.reshape(len(tags), *(1,) * (logits.ndim - 2), tags.shape[-1])
    return heads * multilabel_soft_margin(logits, tags)


def _map_loss(logits: jax.Array, maps: jax.Array) -> jax.Array:
    return fixation_loss(logits, maps, normalise="batch")[0]
