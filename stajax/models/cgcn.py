"""The conservative graph convolution, C-GCN (section 4.3): reasoning over nodes, Eq. 9 to 12, refined after each step.

Nodes are a target and its company, (B, 1 + n, h, w, C), the target first; a graph without company is refined only.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stajax.layers.conv import Conv
from stajax.models.frl import fixation_refine


class InterAttention(nnx.Module):
    """The two 1x1 convolutions of F_iatt (Eq. 10): one for its first argument, one for the second."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.first = Conv(channels, channels, (1, 1), rngs=rngs)
        self.second = Conv(channels, channels, (1, 1), rngs=rngs)

    def __call__(self, nodes: jax.Array) -> tuple[jax.Array, jax.Array]:
        """`nodes` (B, K, h, w, C) -> what `edge` takes of each as its first and as its second argument, (B, K, N, C) each."""
        flat = nodes.reshape(-1, *nodes.shape[2:])
        shape = (*nodes.shape[:2], -1, nodes.shape[-1])
        return self.first(flat).reshape(shape), self.second(flat).reshape(shape)


def edge(first: jax.Array, second: jax.Array) -> jax.Array:
    """e of Eq. 9, (B, N, C) each -> (B, N, N): how much of each position of the second node goes to each of the first; rows
    sum to 1.
    """
    return jax.nn.softmax(jnp.einsum("bqc,bpc->bqp", first, second), axis=-1)


def neighbours(count: int) -> np.ndarray:
    """(count, count - 1): of each node all others, in ascending order."""
    return np.array([[j for j in range(count) if j != i] for i in range(count)], int).reshape(count, count - 1)


class CGCN(nnx.Module):
    """`steps` (m) steps of reasoning, all nodes from the states before, each followed by the refine layer.

    One step of Eq. 11 and 12: h_i ← h_i ⊙ σ(Σ_j h_j ⊗ e_ij) over all other nodes j. Tensors are shared by pairs and steps.
    threshold, rate: T_d and T_r; `refine` False leaves the refine layer out (Table 3).
    """

    def __init__(
        self,
        channels: int,
        *,
        steps: int = 3,
        threshold: float = 0.8,
        rate: float = 0.6,
        refine: bool = True,
        rngs: nnx.Rngs,
    ):
        self.attention = InterAttention(channels, rngs=rngs)
        self.steps, self.threshold, self.rate, self.refine = steps, threshold, rate, refine

    def step(self, nodes: jax.Array) -> jax.Array:
        """Eq. 9 to 14 once: (B, K, h, w, C) -> (B, K, h, w, C)."""
        first, second = self.attention(nodes)
        flat = nodes.reshape(first.shape)
        # Pair by pair: all pairs in one product take four times as long on a CPU. Node by node, so that of the last step only
        # the target is worked out where nobody reads the others.
        states = []
        for i, others in enumerate(neighbours(nodes.shape[1])):
            messages = (jnp.einsum("bqp,bpc->bqc", edge(first[:, i], second[:, j]), flat[:, j]) for j in others)
            state = (flat[:, i] * jax.nn.sigmoid(sum(messages, start=0.0))).reshape(nodes[:, i].shape)
            states.append(fixation_refine(state, threshold=self.threshold, rate=self.rate) if self.refine else state)
        return jnp.stack(states, axis=1)

    def __call__(self, nodes: jax.Array) -> jax.Array:
        """`nodes` (B, K, h, w, C), the target first -> their states after `steps`, of the same shape."""
        for _ in range(self.steps):
            nodes = self.step(nodes)
        return nodes
