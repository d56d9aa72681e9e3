"""The attentions of the authors' nets: within a frame, and between two frames.

Shapes are (B, h, w, C); N = h w positions, row by row. Softmax axes are the authors', and the goldens tell them apart.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.layers.conv import Conv


def _rows(x: jax.Array) -> jax.Array:
    """(B, h, w, C) -> (B, N, C)."""
    return x.reshape(x.shape[0], -1, x.shape[-1])


class SelfAttention(nnx.Module):
    """A one-channel mask from the frame's own attended features, times the frame (not the attended features)."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.f = Conv(channels, channels // 2, (1, 1), rngs=rngs)
        self.g = Conv(channels, channels // 2, (1, 1), rngs=rngs)
        self.h = Conv(channels, channels, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array, gate: Conv) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`gate` is a 1x1 convolution to one channel, which some nets share with `PairAttention`. -> (B, h, w, C), aux."""
        f, g, h = self.f(x), self.g(x), self.h(x)
        attention = jax.nn.softmax(jnp.einsum("bic,bjc->bij", _rows(f), _rows(g)), axis=1)
        y = jnp.einsum("bij,bic->bjc", attention, _rows(h)).reshape(h.shape)
        mask = gate(y)
        result = jax.nn.sigmoid(mask) * x
        return result, {"projf": f, "projg": g, "projh": h, "self_gate": mask, "self_attention": result}


class PairAttention(nnx.Module):
    """What a query frame says about each position of an exemplar, gated: Eq. 9 and 10 as released (`generate_attention`)."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.exemplar = Conv(channels, channels // 2, (1, 1), rngs=rngs)
        self.query = Conv(channels, channels // 2, (1, 1), rngs=rngs)

    def __call__(self, exemplar: jax.Array, query: jax.Array, gate: Conv) -> tuple[jax.Array, jax.Array]:
        """(B, h, w, C) each -> (B, h, w, C) at the exemplar's positions, and the gate before its sigmoid."""
        affinity = jnp.einsum("bec,bqc->beq", _rows(self.exemplar(exemplar)), _rows(self.query(query)))
        attention = jax.nn.softmax(affinity, axis=-1)  # over the query's positions
        y = jnp.einsum("beq,bqc->bec", attention, _rows(query)).reshape(exemplar.shape)
        opening = gate(y)
        return y * jax.nn.sigmoid(opening), opening
