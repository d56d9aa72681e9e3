"""The fixation refine layer, Eq. 13 and 14 (section 4.3.2)."""

from __future__ import annotations

import jax
import jax.numpy as jnp


def refine_mask(h: jax.Array, *, threshold: float = 0.8) -> jax.Array:
    """rMASK of Eq. 13: 1 where cMean(h) is below `threshold` (T_d) times its maximum; (..., h, w, C) -> (..., h, w, 1) bool.

    The formula marks LOW responses, as the authors' code does; the paper's text says large ones.
    """
    mean = h.mean(-1, keepdims=True)
    return mean < threshold * mean.max((-3, -2), keepdims=True)


def fixation_refine(h: jax.Array, *, threshold: float = 0.8, rate: float = 0.6) -> jax.Array:
    """Eq. 14: the mean of h and of h times its attention σ(cMean(h)), which is scaled by `rate` (T_r) where rMASK is 1.

    (..., h, w, C) -> (..., h, w, C). The released layer is the same function.
    """
    attention = jax.nn.sigmoid(h.mean(-1, keepdims=True)) * jnp.where(refine_mask(h, threshold=threshold), rate, 1.0)
    return (h * attention + h) / 2
