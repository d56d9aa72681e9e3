"""Eq. 1: the class activation map (CAM), where in a picture the evidence for the tagged class lies."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from stajax.cam.normalise import min_max


@jax.jit
def class_evidence(features: jax.Array, weights: jax.Array, tags: jax.Array) -> jax.Array:
    """The sum of Eq. 1 as it stands, before Z: the features weighted by the tagged class's weights.

    Args:
        features: (..., h, w, C), the last feature map before global average pooling.
        weights: (C, classes), the kernel of the linear layer after it.
        tags: (...) int, class indices from 0; they broadcast against the leading axes of `features`.

    Returns:
        (..., h, w). Zeros for a tag that is no class (such as -1, "no tag").
    """
    one_hot = jax.nn.one_hot(tags, weights.shape[-1], dtype=weights.dtype)
    of_tag = jnp.matmul(one_hot, weights.T, precision="highest")
    return jnp.einsum("...hwc,...c->...hw", features, of_tag, precision="highest")


@jax.jit
def tagged_map(class_maps: jax.Array, tags: jax.Array) -> jax.Array:
    """The channel of the tagged class.

    Args:
        class_maps: (..., h, w, classes).
        tags: (...) int, as in `class_evidence`.

    Returns:
        (..., h, w). Zeros for a tag that is no class.
    """
    tags = jnp.asarray(tags)[..., None, None, None]
    tags = jnp.where(tags < 0, class_maps.shape[-1], tags)  # JAX counts negative indices from the end
    places = jnp.broadcast_to(tags, (*class_maps.shape[:-1], 1))
    return jnp.take_along_axis(class_maps, places, -1, mode="fill", fill_value=0)[..., 0]


@partial(jax.jit, static_argnames="constant")
def cam_from_features(features: jax.Array, weights: jax.Array, tags: jax.Array, *, constant: str = "zeros") -> jax.Array:
    """The CAM of a net that ends in global average pooling and a linear layer (Eq. 1).

    Args:
        features, weights, tags: as in `class_evidence`.
        constant: as in `min_max`.

    Returns:
        (..., h, w) in [0, 1].
    """
    return min_max(class_evidence(features, weights, tags), constant=constant)


@partial(jax.jit, static_argnames="constant")
def cam_from_class_maps(class_maps: jax.Array, tags: jax.Array, *, constant: str = "zeros") -> jax.Array:
    """The CAM of a net that ends in a 1x1 convolution to the classes and global average pooling (Eq. 1).

    Equals `cam_from_features` of the convolution's input and kernel: pooling and the convolution commute, and Z drops the bias.

    Args:
        class_maps: (..., h, w, classes), what the convolution gives.
        tags: as in `class_evidence`.
        constant: as in `min_max`.

    Returns:
        (..., h, w) in [0, 1].
    """
    return min_max(tagged_map(class_maps, tags), constant=constant)
