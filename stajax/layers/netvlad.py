"""NetVLAD (Arandjelović et al. 2016, arXiv 1511.07247): a feature map of any size to one vector of residuals per cluster."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.layers.conv import Conv


def unit(x: jax.Array, axis: int = -1, eps: float = 1e-12) -> jax.Array:
    """`x` over its L2 norm along `axis`: `torch.nn.functional.normalize`, x / max(norm, eps). Zeros stay zeros.

    The maximum is taken of the squares, where the gradient at zero is finite.
    """
    squares = jnp.square(x).sum(axis, keepdims=True)
    return x / jnp.sqrt(jnp.maximum(squares, eps**2))


class NetVLAD(nnx.Module):
    """VGGSound's pooling: vectors of unit length, softly assigned to clusters, their residuals summed.

    Parameters: `centroids` (K, D), `assignment.kernel` (1, 1, D, K), `assignment.bias` (K).
    """

    def __init__(self, features: int, clusters: int, *, rngs: nnx.Rngs):
        self.centroids = nnx.Param(jax.random.uniform(rngs.params(), (clusters, features)))
        self.assignment = Conv(features, clusters, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """`x` (N, h, w, D) -> (N, K * D) of length 1, cluster by cluster: element k * D + d is feature d of cluster k."""
        x = unit(x)
        weights = jax.nn.softmax(self.assignment(x), axis=-1)
        x, weights = (array.reshape(len(array), -1, array.shape[-1]) for array in (x, weights))
        # The sum over positions p of weights[p, k] * (x[p] - centroid[k]).
        residuals = jnp.einsum("npk,npd->nkd", weights, x) - weights.sum(1)[..., None] * self.centroids[...]
        return unit(unit(residuals).reshape(len(x), -1))
