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
    """F_iatt of Eq. 10 and the edges of Eq. 9: one 1x1 convolution for the first argument, one for the second."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.first = Conv(channels, channels, (1, 1), rngs=rngs)
        self.second = Conv(channels, channels, (1, 1), rngs=rngs)

    def __call__(self, nodes: jax.Array) -> jax.Array:
        """`nodes` (B, K, h, w, C) -> e (B, K, K - 1, N, N): e[:, i, j] says of each position of node i (the first N) how much
        of each position of its j-th neighbour goes there; its rows sum to 1.
        """
        flat = nodes.reshape(-1, *nodes.shape[2:])
        shape = (*nodes.shape[:2], -1, nodes.shape[-1])
        first, second = self.first(flat).reshape(shape), self.second(flat).reshape(shape)
        return jax.nn.softmax(jnp.einsum("biqc,bijpc->bijqp", first, second[:, neighbours(nodes.shape[1])]), axis=-1)


def neighbours(count: int) -> np.ndarray:
    """(count, count - 1): of each node all others, in ascending order."""
    return np.array([[j for j in range(count) if j != i] for i in range(count)], int).reshape(count, count - 1)


class CGCN(nnx.Module):
    """`steps` (m) steps of reasoning, all nodes at once from the states before, each followed by the refine layer.

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
        """Eq. 9 to 12 once: (B, K, h, w, C) -> (B, K, h, w, C)."""
        flat = nodes.reshape(*nodes.shape[:2], -1, nodes.shape[-1])
        messages = jnp.einsum("bijqp,bijpc->biqc", self.attention(nodes), flat[:, neighbours(nodes.shape[1])])
        return (flat * jax.nn.sigmoid(messages)).reshape(nodes.shape)

    def __call__(self, nodes: jax.Array) -> jax.Array:
        """`nodes` (B, K, h, w, C), the target first -> their states after `steps`, of the same shape."""
        for _ in range(self.steps):
            nodes = self.step(nodes)
            if self.refine:
                nodes = fixation_refine(nodes, threshold=self.threshold, rate=self.rate)
        return nodes
