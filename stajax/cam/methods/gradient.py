"""Methods that read the gradient of the score at the activations: one forward pass, and one backward pass through the head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from stajax.cam.methods.maps import finish, weighted_sum
from stajax.cam.methods.split import Split
from stajax.cam.methods.targets import Target, scorer


def activations_and_gradients(model: Split, x: Any, target: Target = None) -> tuple[jax.Array, jax.Array]:
    """Activations A of `x`, and the gradient of each item's score at them; both (N, *places, C) float32."""
    activations, rest = model.encode(x)
    logits, to_activations = jax.vjp(lambda a: model.score(a, *rest), activations)
    scores, to_logits = jax.vjp(scorer(target, logits), logits)
    (gradients,) = to_activations(*to_logits(jnp.ones_like(scores)))
    return activations.astype(jnp.float32), gradients.astype(jnp.float32)


def grad_cam(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391, Eq. 1-2): channels weighted by their gradient's mean over places.

    With a head of mean and linear layer over P places this is CAM / P.

    Args:
        model: the net, cut in two.
        x: whatever `model.features` takes, N items.
        target: see `targets.Target`.
        relu, normalise, size: see `finish`.

    Returns:
        (N, *places) float32, or (N, *size).
    """
    return _from_gradients(grad_cam_map, model, x, target, relu, normalise, size)


def grad_cam_pp(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """Grad-CAM++ (Chattopadhay et al. 2018, arXiv 1710.11063, Eq. 5, 7 and 19), for activations >= 0.

    w_k = sum over places of alpha ReLU(g), alpha = g^2 / (2 g^2 + S_k g^3), S_k the sum of A_k over places, which is
    ReLU(g) / (2 + S_k g). The paper's factor exp(score) is left out: it changes the scale alone.

    Args, returns: as `grad_cam`.
    """
    return _from_gradients(grad_cam_pp_map, model, x, target, relu, normalise, size)


def xgrad_cam(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """XGrad-CAM (Fu et al. 2020, arXiv 2008.02312, Eq. 8): w_k = sum of g A_k over places / sum of A_k, 0 where that is 0.

    Args, returns: as `grad_cam`.
    """
    return _from_gradients(xgrad_cam_map, model, x, target, relu, normalise, size)


def layer_cam(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """Layer-CAM (Jiang et al. 2021, doi 10.1109/TIP.2021.3089943, Eq. 4-6): sum over channels of ReLU(g) A. For any layer.

    Args, returns: as `grad_cam`.
    """
    return _from_gradients(layer_cam_map, model, x, target, relu, normalise, size)


def grad_cam_map(activations: jax.Array, gradients: jax.Array) -> jax.Array:
    """Of A and g (N, *places, C) the map (N, *places) before ReLU, as in all functions below."""
    return weighted_sum(activations, gradients.mean(_places(activations)))


def grad_cam_pp_map(activations: jax.Array, gradients: jax.Array) -> jax.Array:
    places = _places(activations)
    # g^2 / (2 g^2 + S g^3) with g cancelled: no eps, and small gradients do not underflow.
    denominator = 2 + activations.sum(places, keepdims=True) * gradients
    alpha = jnp.where(denominator == 0, 0, 1 / jnp.where(denominator == 0, 1, denominator))
    return weighted_sum(activations, (alpha * jax.nn.relu(gradients)).sum(places))


def xgrad_cam_map(activations: jax.Array, gradients: jax.Array) -> jax.Array:
    places = _places(activations)
    total = activations.sum(places)
    weights = jnp.where(total == 0, 0, (gradients * activations).sum(places) / jnp.where(total == 0, 1, total))
    return weighted_sum(activations, weights)


def layer_cam_map(activations: jax.Array, gradients: jax.Array) -> jax.Array:
    return (jax.nn.relu(gradients) * activations).sum(-1)


def _from_gradients(to_map: Callable, model: Split, x: Any, target: Target, relu: bool, normalise: bool, size) -> jax.Array:
    maps = to_map(*activations_and_gradients(model, x, target))
    return finish(maps, relu=relu, normalise=normalise, size=size)


def _places(activations: jax.Array) -> range:
    return range(1, activations.ndim - 1)
