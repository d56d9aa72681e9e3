"""Methods that mask the input by each channel and see what score is left: Score-CAM, SS-CAM, IS-CAM. No gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from stajax.cam.methods.maps import finish, stretch, unit_range, weighted_sum
from stajax.cam.methods.split import Split
from stajax.cam.methods.targets import Target, scorer


def score_cam(
    model: Split,
    x: jax.Array,
    target: Target = None,
    *,
    chunk: int = 16,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """Score-CAM (Wang et al. 2020, arXiv 1910.01279): w = softmax over channels of the score of `x` masked by the channel.

    The mask is the channel enlarged to `x`, then on [0, 1] by its minimum and maximum. The score of a baseline, which the
    paper takes off, is the same for all channels and drops out of the softmax. Cost: C + 1 forward passes.

    Args:
        model: the net, cut in two.
        x: (N, *places, ...) with as many axes of places as the activations, in units where 0 is the neutral value.
        target: see `targets.Target`; None is settled without masks.
        chunk: masks that go through the net at once, N items each: more memory, less time; the result is the same.
        relu, normalise, size: see `finish`.

    Returns:
        (N, *places) float32, or (N, *size).

    Raises:
        ValueError: `x` has too few axes; no mask at once.
    """
    return _by_score(model, x, target, lambda mask, k, i: mask, 1, chunk, relu=relu, normalise=normalise, size=size)


def ss_cam(
    model: Split,
    x: jax.Array,
    target: Target = None,
    *,
    key: jax.Array,
    samples: int = 35,
    std: float = 2.0,
    chunk: int = 16,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """SS-CAM (Wang et al. 2020, arXiv 2006.14255), variant 1: Score-CAM with the mean score of noisy masks.

    The noise is added to the mask on [0, 1], pixel by pixel. Cost: C samples + 1 forward passes.

    Args:
        key: `jax.random.key`; sample i of channel k adds ``std * normal(fold_in(fold_in(key, k), i), mask.shape)``.
        samples: noisy masks per channel, at least 1.
        std: of the noise; masks are on [0, 1].
        The others: as `score_cam`.

    Returns, raises: as `score_cam`.
    """

    def noisy(mask: jax.Array, k: jax.Array, i: jax.Array) -> jax.Array:
        return mask + std * jax.random.normal(jax.random.fold_in(jax.random.fold_in(key, k), i), mask.shape)

    return _by_score(model, x, target, noisy, samples, chunk, relu=relu, normalise=normalise, size=size)


def is_cam(
    model: Split,
    x: jax.Array,
    target: Target = None,
    *,
    samples: int = 10,
    scales: Sequence[float] | None = None,
    chunk: int = 16,
    relu: bool = True,
    normalise: bool = False,
    size: Sequence[int] | None = None,
) -> jax.Array:
    """IS-CAM (Naidu et al. 2020, arXiv 2010.03023): Score-CAM with the mean score along the way from no mask to the mask.

    Cost: C samples + 1 forward passes.

    Args:
        samples: steps of the way, at least 1: the mask times 1/samples, 2/samples, ..., 1.
        scales: the factors themselves, instead of `samples`. torch-cam sums its steps up and reaches (samples + 1) / 2:
            ``np.cumsum(np.arange(1, samples + 1) / samples)``.
        The others: as `score_cam`.

    Returns, raises: as `score_cam`.
    """
    scales = jnp.asarray(np.arange(1, samples + 1) / samples if scales is None else scales, jnp.float32)
    return _by_score(
        model, x, target, lambda mask, k, i: scales[i] * mask, len(scales), chunk, relu=relu, normalise=normalise, size=size
    )


def _by_score(
    model: Split,
    x: jax.Array,
    target: Target,
    change: Callable[[jax.Array, jax.Array, jax.Array], jax.Array],
    samples: int,
    chunk: int,
    **finishing,
) -> jax.Array:
    """Maps by the mean score of `samples` inputs masked by ``change(mask, channel, sample)``, mask (N, *places of x)."""
    if min(samples, chunk) < 1:
        raise ValueError(f"cam: {samples} samples, {chunk} masks at once; at least 1 of each is needed")
    x = jnp.asarray(x).astype(jnp.float32)
    activations, rest = model.encode(x)
    axes, channels = activations.ndim - 2, activations.shape[-1]
    if x.ndim <= axes or len(x) != len(activations):
        raise ValueError(f"cam: cannot mask an input of shape {x.shape} by activations {activations.shape}")
    score = scorer(target, model.score(activations, *rest))
    activations = activations.astype(jnp.float32)
    places = x.shape[1 : 1 + axes]

    def masked_score(number: jax.Array) -> jax.Array:
        k, i = number // samples, number % samples
        mask = change(unit_range(stretch(jnp.take(activations, k, axis=-1), places)), k, i)
        return score(model.logits(x * mask.reshape(mask.shape + (1,) * (x.ndim - mask.ndim))))

    count = channels * samples
    scores = jax.lax.map(masked_score, jnp.arange(count), batch_size=min(chunk, count))
    weights = jax.nn.softmax(scores.reshape(channels, samples, -1).mean(1).astype(jnp.float32), axis=0)
    return finish(weighted_sum(activations, weights.T), **finishing)
