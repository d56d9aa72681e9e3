"""Ablation-CAM (Desai and Ramaswamy 2020, WACV, Eq. 3): channels weighted by what the score loses without them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from stajax.cam.methods.maps import finish, weighted_sum
from stajax.cam.methods.split import Split
from stajax.cam.methods.targets import Target, scorer


def ablation_cam(
    model: Split,
    x: Any,
    target: Target = None,
    *,
    chunk: int = 16,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """w_k = (y - y_k) / |y|, y the score and y_k the score with channel k set to zero.

    The paper divides by y, which turns a map upside down where the score is negative; |y| does not.
    Cost: one forward pass and C calls of `head`; with a model of `gap_linear` no call of `head`, for there
    the logits without channel k are logits - mean(A_k) kernel_k.

    Args:
        model: the net, cut in two.
        x: whatever `model.features` takes, N items.
        target: see `targets.Target`.
        chunk: channels that are left out at once, each in a call of `head` with N items; the result is the same.
        relu, normalise, size: see `finish`.

    Returns:
        (N, *places) float32, or (N, *size). Zeros where the score is 0.

    Raises:
        ValueError: no channel at once.
    """
    if chunk < 1:
        raise ValueError(f"cam: {chunk} channels at once; at least 1 is needed")
    activations, rest = model.encode(x)
    channels = activations.shape[-1]
    logits = model.score(activations, *rest)
    score = scorer(target, logits)
    means = activations.mean(range(1, activations.ndim - 1))

    def logits_without(k: jax.Array) -> jax.Array:
        if model.kernel is not None:
            return logits - jnp.take(means, k, axis=1)[:, None] * jnp.take(model.kernel, k, axis=0)
        return model.score(activations * (jnp.arange(channels) != k), *rest)

    without = jax.lax.map(lambda k: score(logits_without(k)), jnp.arange(channels), batch_size=min(chunk, channels))
    whole = score(logits)
    weights = jnp.where(whole == 0, 0, (whole - without) / jnp.where(whole == 0, 1, jnp.abs(whole))).T
    return finish(weighted_sum(activations, weights), relu=relu, normalise=normalise, size=size)
