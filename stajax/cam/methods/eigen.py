"""Methods that read the first principal component of the activations over places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from stajax.cam.methods.gradient import activations_and_gradients
from stajax.cam.methods.maps import finish
from stajax.cam.methods.split import Split
from stajax.cam.methods.targets import Target


def eigen_cam(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """Eigen-CAM (Muhammad and Yeasin 2020, arXiv 2008.00299, Eq. 3): activations on their first principal component.

    Centred and signed as `first_component` says. It knows no class: `target` is there for the same call as elsewhere and
    not read. Cost: `features` once; `head` not at all.

    Args, returns: as `gradient.grad_cam`.
    """
    activations, _ = model.encode(x)
    return finish(first_component(activations.astype(jnp.float32)), relu=relu, normalise=normalise, size=size)


def eigen_grad_cam(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """Eigen-Grad-CAM (of pytorch-grad-cam; no paper): Eigen-CAM of activations times gradients, so that the class counts.

    Args, returns: as `gradient.grad_cam`. Cost: as there.
    """
    activations, gradients = activations_and_gradients(model, x, target)
    return finish(first_component(activations * gradients), relu=relu, normalise=normalise, size=size)


def first_component(values: jax.Array) -> jax.Array:
    """Coordinate of every place on the first principal component of `values` (N, *places, C) -> (N, *places) float32.

    Centred over places, as in pytorch-grad-cam (the paper does not centre). A component has no sign of its own; here the
    largest absolute coordinate is positive, at a tie the first one's, which is Seg-Eigen-CAM's rule
    (doi 10.3390/app15137562, Eq. 13; pytorch-grad-cam's `EigenCAM` and `EigenGradCAM` keep LAPACK's sign). Zeros where all
    places are alike.
    """
    items, *places, channels = values.shape
    rows = values.reshape(items, -1, channels)
    rows = rows - rows.mean(1, keepdims=True)
    scale = jnp.abs(rows).max((1, 2), keepdims=True)  # gradients may be so small that their squares are not floats
    rows = rows / jnp.where(scale == 0, 1, scale)
    # The smaller of both Gram matrices: a net's last layer has 64 places and 1280 channels, an early one the reverse.
    if rows.shape[1] <= channels:
        values, vectors = jnp.linalg.eigh(jnp.einsum("npc,nqc->npq", rows, rows, precision="highest"))
        coordinates = vectors[..., -1] * jnp.sqrt(jnp.maximum(values[:, -1:], 0))
    else:
        _, vectors = jnp.linalg.eigh(jnp.einsum("npc,npd->ncd", rows, rows, precision="highest"))
        coordinates = jnp.einsum("npc,nc->np", rows, vectors[..., -1], precision="highest")
    largest = jnp.take_along_axis(coordinates, jnp.abs(coordinates).argmax(1, keepdims=True), axis=1)
    coordinates = jnp.where(largest < 0, -coordinates, coordinates) * scale[..., 0]
    return coordinates.reshape(items, *places)
