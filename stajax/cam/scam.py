"""Fusing the CAMs of several sources: SCAM (Eqs. 2 and 3), SCAM+ (Eq. 8) and the plain average (Eq. 22)."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from stajax.cam.normalise import min_max

SOURCES = ("S", "ST", "SA")
# Eq. 8's order: the sources of SCAM, then those with short-, long- and cross-term company. SA has no short-term company.
SOURCES_PLUS = (*SOURCES, "S+short", "ST+short", "S+long", "ST+long", "SA+long", "S+cross", "ST+cross", "SA+cross")


class Selection(NamedTuple):
    """What a selective fusion gives for each frame.

    Attributes:
        maps: (..., h, w) in [0, 1]; zeros where not valid.
        valid: (...) bool. False where no source is sure of the tag, or where the fused map is flat: such a frame says
            nothing of where people look and is no pseudo-fixation.
        weights: (..., K), the soft-filtered confidences.
        raw: (..., h, w), the fraction of Eq. 2 or 8 as printed, before Z; one everywhere where no source is sure.
    """

    maps: jax.Array
    valid: jax.Array
    weights: jax.Array
    raw: jax.Array


@jax.jit
def soft_filter(confidences: jax.Array, tags: jax.Array) -> jax.Array:
    """Eq. 3: a source's confidence of the tag where that is its strict maximum over the classes, else 0.

    A tie counts as wrong, and so do NaN and a tag that is no class.

    Args:
        confidences: (..., K, classes) in (0, 1), of K sources; softmax or sigmoid.
        tags: (...) int, class indices from 0; they broadcast against the leading axes.

    Returns:
        (..., K).
    """
    is_tag = jnp.asarray(tags)[..., None, None] == jnp.arange(confidences.shape[-1])
    of_tag = jnp.where(is_tag, confidences, 0).sum(-1)
    best_other = jnp.where(is_tag, -jnp.inf, confidences).max(-1)
    return jnp.where(of_tag > best_other, of_tag, 0)


@jax.jit
def fuse_weighted(cams: jax.Array, weights: jax.Array, lam: float = 1e-4) -> jax.Array:
    """The fraction of Eqs. 2 and 8: at each pixel the weighted mean over the sources, λ added above and below.

    With the nets' largest probabilities as weights and a `min_max` after it, this is also the release's coarse map.

    Args:
        cams: (..., K, h, w), not negative.
        weights: (..., K), not negative. A source of weight 0 is not read, whatever its map holds.
        lam: λ.

    Returns:
        (..., h, w). One everywhere where all weights are 0 and λ is not.

    Raises:
        ValueError: `cams` and `weights` are not of as many sources.
    """
    if cams.shape[-3] != weights.shape[-1]:
        raise ValueError(f"fuse: maps of {cams.shape[-3]} sources, but weights of {weights.shape[-1]}")
    spread = weights[..., None, None]
    total = jnp.where(spread > 0, spread * cams, 0).sum(-3)
    return (total + lam) / (weights.sum(-1)[..., None, None] + lam)


@jax.jit
def fuse_scam(cams: jax.Array, confidences: jax.Array, tags: jax.Array, *, lam: float = 1e-4) -> Selection:
    """SCAM, Eq. 2: the CAMs fused by their soft-filtered confidences, then Z.

    Args:
        cams: (..., K, h, w) in [0, 1], the CAMs of K sources in any order; the paper's are `SOURCES`.
        confidences: (..., K, classes).
        tags: (...) int.
        lam: λ.

    Returns:
        A `Selection`. Never NaN.

    Raises:
        ValueError: `cams` and `confidences` are not of as many sources.
    """
    return _select(cams, soft_filter(confidences, tags), lam, normalise=True)


@partial(jax.jit, static_argnames="normalise")
def fuse_scam_plus(
    cams: jax.Array, confidences: jax.Array, tags: jax.Array, *, lam: float = 1e-4, normalise: bool = True
) -> Selection:
    """SCAM+, Eq. 8: as SCAM, over the target's own sources and those with company together.

    Args:
        cams, confidences, tags, lam: as in `fuse_scam`; the paper's sources are `SOURCES_PLUS`.
        normalise: put Z around it, as Eq. 2 and the release do; Eq. 8 as printed has none.

    Returns, raises:
        As `fuse_scam`.
    """
    return _select(cams, soft_filter(confidences, tags), lam, normalise)


@jax.jit
def fuse_average(cams: jax.Array) -> jax.Array:
    """AC, Eq. 22: the average over the sources, (..., K, h, w) to (..., h, w); what the paper measures SCAM against."""
    return cams.mean(-3)


def _select(cams, weights, lam, normalise):
    raw = fuse_weighted(cams, weights, lam)
    normalised = min_max(raw)
    valid = (weights > 0).any(-1) & (normalised.max((-2, -1)) > 0)
    maps = jnp.where(valid[..., None, None], normalised if normalise else raw, 0)
    return Selection(maps, valid, weights, raw)
