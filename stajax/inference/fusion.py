"""Fusing the maps of several fixation nets: Eq. 21, its alternative Eq. 23, and what the release does.

A map that is the same everywhere says nothing: Z makes zeros of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from stajax.cam.normalise import min_max


def _product_and_sum(maps: Sequence[jax.Array]) -> tuple[jax.Array, jax.Array]:
    product = min_max(maps[0])
    for other in maps[1:]:
        product = product * min_max(other)
    return min_max(product), min_max(sum(maps[1:], start=maps[0]))


def paper(maps: Sequence[jax.Array]) -> jax.Array:
    """PF_final, Eq. 21: half the product of the normalised maps, half the sum of the maps as they are, both normalised."""
    product, total = _product_and_sum(maps)
    return product / 2 + total / 2


def paper_agg(maps: Sequence[jax.Array]) -> jax.Array:
    """PF_agg, Eq. 23: the two halves of Eq. 21 multiplied."""
    product, total = _product_and_sum(maps)
    return (product / 2) * (total / 2)


def released_max(maps: Sequence[jax.Array]) -> jax.Array:
    """The release's fusion: the pixelwise maximum of the normalised maps, normalised."""
    return min_max(jnp.max(jnp.stack([min_max(x) for x in maps]), axis=0))


FUSIONS = {"paper": paper, "paper_agg": paper_agg, "released_max": released_max}


def fuse(maps: Sequence[jax.Array], how: str = "paper") -> jax.Array:
    """Maps of several nets, each (B, h, w) in [0, 1], to one (B, h, w); a single net's maps stay as they are."""
    return maps[0] if len(maps) == 1 else FUSIONS[how](maps)
