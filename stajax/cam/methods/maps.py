"""From channels and their weights to finished maps: sum, ReLU, size, range. Any number of axes of places."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from stajax.cam.normalise import min_max
from stajax.layers.resize import resize_matrix


def weighted_sum(activations: jax.Array, weights: jax.Array) -> jax.Array:
    """Sum over channels: (N, *places, C) with (N, C) -> (N, *places)."""
    # The default precision of GPUs and TPUs rounds both to 8 or 10 bits.
    return jnp.einsum("n...c,nc->n...", activations, weights, precision="highest")


def finish(maps: jax.Array, *, relu: bool, normalise: bool, size: Sequence[int] | None) -> jax.Array:
    """Maps (N, *places) as they are handed out, float32: ReLU, then `size` (`stretch`), then `unit_range`, each if wanted."""
    maps = maps.astype(jnp.float32)
    maps = jax.nn.relu(maps) if relu else maps
    maps = maps if size is None else stretch(maps, size)
    return unit_range(maps) if normalise else maps


def stretch(maps: jax.Array, size: Sequence[int]) -> jax.Array:
    """Linear interpolation of maps (N, *places) to (N, *size), axis by axis.

    Equals `torch.nn.functional.interpolate` with ``mode="bilinear"`` (``linear``, ``trilinear``), ``align_corners=False``,
    and for enlarging OpenCV's ``INTER_LINEAR``.

    Raises:
        ValueError: `size` has not as many axes as a map.
    """
    if len(size) != maps.ndim - 1:
        raise ValueError(f"cam: size {tuple(size)} for maps of shape {maps.shape[1:]}; give {maps.ndim - 1} lengths")
    for axis, (n_in, n_out) in enumerate(zip(maps.shape[1:], size, strict=True), start=1):
        if n_in != n_out:
            matrix = jnp.asarray(resize_matrix(n_in, n_out), maps.dtype)
            maps = jnp.moveaxis(jnp.tensordot(matrix, maps, (1, axis), precision="highest"), 0, axis)
    return maps


def unit_range(maps: jax.Array) -> jax.Array:
    """Each map of (N, *places) on [0, 1] by its own minimum and maximum; a constant map becomes zeros (`normalise.min_max`)."""
    return min_max(maps, axes=tuple(range(1, maps.ndim)))
