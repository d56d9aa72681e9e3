"""Smooth Grad-CAM++ (Omeiza et al. 2019, arXiv 1908.01224): Grad-CAM++ with derivatives averaged over noisy inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from stajax.cam.methods.gradient import activations_and_gradients
from stajax.cam.methods.maps import finish, weighted_sum
from stajax.cam.methods.split import Split
from stajax.cam.methods.targets import Target, scorer


def smooth_grad_cam_pp(
    model: Split,
    x: jax.Array,
    target: Target = None,
    *,
    key: jax.Array,
    samples: int = 4,
    std: float = 0.3,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """w_k = sum over places of ReLU(D1) D2 / (2 D2 + S_k D3), D_p the mean over noisy inputs of g^p.

    S_k and the map take the activations of the input without noise. The paper prints D1 as numerator of alpha; D2, as in
    torch-cam, makes it Grad-CAM++ when there is no noise. Where a gradient changes sign between samples, 2 D2 + S_k D3 may be
    close to zero or negative, and one place decide a channel: take less noise or more samples. Cost: `samples` + 1 forward
    passes (1 with `gap_linear` under `jit`: there the gradient does not depend on the input, and XLA drops the noisy passes).

    Args:
        model: the net, cut in two.
        x: (N, ...) float, one array.
        target: see `targets.Target`; None is settled without noise.
        key: `jax.random.key`; sample i adds ``std * normal(fold_in(key, i), x.shape)``.
        samples: noisy inputs, at least 1.
        std: of the noise, in the units of `x`. SmoothGrad takes 0.1 to 0.2 of the range of `x`.
        relu, normalise, size: see `finish`.

    Returns:
        (N, *places) float32, or (N, *size).

    Raises:
        ValueError: no sample.
    """
    if samples < 1:
        raise ValueError(f"cam: {samples} samples; at least 1 is needed")
    x = jnp.asarray(x).astype(jnp.float32)
    maps = _smooth(model, x, target, samples, lambda i: std * jax.random.normal(jax.random.fold_in(key, i), x.shape))
    return finish(maps, relu=relu, normalise=normalise, size=size)


def _smooth(model: Split, x: jax.Array, target: Target, samples: int, noise: Callable[[jax.Array], jax.Array]) -> jax.Array:
    activations, rest = model.encode(x)
    score = scorer(target, model.score(activations, *rest))
    activations = activations.astype(jnp.float32)

    def add(sums: tuple, i: jax.Array) -> tuple[tuple, None]:
        _, g = activations_and_gradients(model, x + noise(i), score)
        return tuple(total + g**power for power, total in enumerate(sums, start=1)), None

    sums, _ = jax.lax.scan(add, (jnp.zeros_like(activations),) * 3, jnp.arange(samples))
    first, second, third = (total / samples for total in sums)
    places = range(1, activations.ndim - 1)
    denominator = 2 * second + activations.sum(places, keepdims=True) * third
    alpha = jnp.where(denominator == 0, 0, second / jnp.where(denominator == 0, 1, denominator))
    return weighted_sum(activations, (alpha * jax.nn.relu(first)).sum(places))
