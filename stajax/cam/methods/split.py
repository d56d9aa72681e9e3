"""A net cut in two at the layer whose places are to be explained. No hooks: two pure functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp


@dataclass(frozen=True, eq=False)
class Split:
    """What every method here takes as `model`: ``logits = head(features(x))``.

    An EfficientNet-Lite0 of `stajax.encoders`, cut before its last pooling, on `x` (N, 256, 256, 3) float32 in its own units:

        def features(x):
            return net.head(net(x * 128 + 127)["stride32"])   # (N, 8, 8, 1280)

        model = Split(features, head=lambda a: net.classifier(a.mean((1, 2))))
        model = gap_linear(features, net.classifier.kernel[...], net.classifier.bias[...])   # the same, and CAM can use it

    A net with several inputs (sound beside pictures) closes over the others, or has `features` take `x` as a tuple; then the
    methods that mask or disturb their input need the pictures alone as `x` and the rest closed over.

    Attributes:
        features: `x` -> activations (N, *places, C) float, one to three axes of places: (N, h, w, C) for pictures,
            (N, t, h, w, C) for video. Or a tuple (activations, *rest): `head` is called with all of its entries, and only
            the first is explained. For the masking methods `x` is (N, *places, ...) with as many axes of places.
        head: activations (and rest) -> logits (N, classes). Items must not influence each other (batch norm in inference mode).
        kernel: (C, classes), where `head` is the mean over all places and one linear layer; else None. Methods that have a
            closed form then use it.
    """

    features: Callable[..., Any]
    head: Callable[..., jax.Array]
    kernel: jax.Array | None = None

    def encode(self, x: Any) -> tuple[jax.Array, tuple]:
        """Activations (N, *places, C) of `x`, and the further arguments of `head`. ValueError: not that many axes."""
        found = self.features(x)
        activations, *rest = found if isinstance(found, tuple) else (found,)
        activations = jnp.asarray(activations)
        if not 3 <= activations.ndim <= 5:
            raise ValueError(f"cam: features gives shape {activations.shape}; (N, places on one to three axes, C) is needed")
        if self.kernel is not None and self.kernel.shape[0] != activations.shape[-1]:
            raise ValueError(f"cam: a linear head of {self.kernel.shape[0]} channels on {activations.shape[-1]} of features")
        return activations, tuple(rest)

    def logits(self, x: Any) -> jax.Array:
        """The whole net: `x` -> logits (N, classes)."""
        activations, rest = self.encode(x)
        return self.score(activations, *rest)

    def score(self, activations: jax.Array, *rest) -> jax.Array:
        """`head`, its result checked: logits (N, classes). ValueError: another shape."""
        logits = self.head(activations, *rest)
        if logits.ndim != 2 or logits.shape[0] != activations.shape[0]:
            raise ValueError(f"cam: head gives shape {logits.shape}; (N, classes) with N = {activations.shape[0]} is needed")
        return logits


def gap_linear(features: Callable[..., jax.Array], kernel: jax.Array, bias: jax.Array | float = 0.0) -> Split:
    """The `Split` whose head is the mean over all places and a linear layer, which CAM needs and Ablation-CAM likes.

    Args:
        features: `x` -> activations (N, *places, C), not a tuple.
        kernel: (C, classes): transpose the `weight` of a PyTorch `Linear`.
        bias: (classes,).

    Raises:
        ValueError: a kernel that is no matrix.
    """
    if jnp.ndim(kernel) != 2:
        raise ValueError(f"cam: a kernel of shape {jnp.shape(kernel)}; (channels, classes) is needed")

    def head(activations: jax.Array) -> jax.Array:
        return jnp.dot(activations.mean(range(1, activations.ndim - 1)), kernel, precision="highest") + bias

    return Split(features, head, jnp.asarray(kernel))
