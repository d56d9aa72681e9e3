"""Reasoning over three nodes as the authors do it: three rounds of pair attention, a ConvGRU and the fixation refine layer."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.layers.conv import Conv
from stajax.models.frl import fixation_refine
from stajax.models.released.attention import PairAttention

ROUNDS = 3
COMPANY = ((1, 2), (0, 2), (0, 1))  # of nodes 0, 1, 2, in the order of the concatenation


class ConvGRU(nnx.Module):
    """A gated recurrent unit of 1x1 convolutions; the input comes first in every concatenation."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.update, self.reset, self.out = (Conv(2 * channels, channels, (1, 1), rngs=rngs) for _ in range(3))

    def __call__(self, x: jax.Array, state: jax.Array | None = None) -> jax.Array:
        """`x` and `state` (B, h, w, C); no state is a state of zeros. -> the new state."""
        state = jnp.zeros_like(x) if state is None else state
        both = jnp.concatenate([x, state], axis=-1)
        z, r = jax.nn.sigmoid(self.update(both)), jax.nn.sigmoid(self.reset(both))
        new = jnp.tanh(self.out(jnp.concatenate([x, state * r], axis=-1)))
        return state * (1 - z) + new * z


class Reasoning(nnx.Module):
    """The C-GCN of the authors: tensors shared by nodes and rounds. Without a GRU (ST+) nothing of the old state stays."""

    def __init__(self, channels: int, *, gru: bool = True, rngs: nnx.Rngs):
        self.attention = PairAttention(channels, rngs=rngs)
        self.fusion = Conv(2 * channels, channels, (3, 3), rngs=rngs)
        self.gru = ConvGRU(channels, rngs=rngs) if gru else None

    def __call__(self, nodes: list[jax.Array], gate: Conv) -> tuple[list[jax.Array], dict[str, jax.Array]]:
        """Three nodes (B, h, w, C) -> three, and aux: of every round and node, in the authors' order of calls."""
        aux: dict[str, list] = {"generate_attention": [], "pair_gate": [], "round_fusion": [], "round_gru": [], "FRL": []}
        for _ in range(ROUNDS):
            messages = []
            for node, company in zip(nodes, COMPANY, strict=True):
                attended, gates = zip(*(self.attention(node, nodes[other], gate) for other in company), strict=True)
                messages.append(self.fusion(jnp.concatenate(attended, axis=-1)))
                aux["generate_attention"] += attended
                aux["pair_gate"] += gates
            states = messages if self.gru is None else [self.gru(a, h) for a, h in zip(messages, nodes, strict=True)]
            nodes = [fixation_refine(state) for state in states]
            aux["round_fusion"] += messages
            aux["round_gru"] += [] if self.gru is None else states
            aux["FRL"] += nodes
        return nodes, {key: jnp.stack(values, axis=1) for key, values in aux.items() if values}
