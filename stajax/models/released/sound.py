"""How the authors' nets hear: one-channel masks on a frame's features, of 2022 (AVFusion) and of December 2021 (two others).

All have the same two calls. `see(v)` is the picture's half, done once a frame: v (F, h, w, Cv) -> arrays. Calling with `own`,
rows of what `see` gave, `sound` (B, features) and `switch` (B,), the audio switch φ, gives the mask (B, h, w, 1), and aux.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.layers.conv import Conv, ConvTranspose


class AVFusion(nnx.Module):
    """2022: where the picture agrees with the sound, by the outer product of their vectors. φ multiplies the mask."""

    def __init__(self, channels: int, hidden: int, features: int, *, rngs: nnx.Rngs):
        self.conv = Conv(channels, 128, (1, 1), rngs=rngs)
        self.sound = nnx.Linear(features, 128, rngs=rngs)
        self.picture = nnx.Linear(channels, 128, rngs=rngs)
        self.gate = nnx.List([Conv(128, hidden, (1, 1), rngs=rngs), Conv(hidden, 1, (1, 1), rngs=rngs)])

    def see(self, v: jax.Array) -> dict[str, jax.Array]:
        return {"convv": self.conv(v), "linearv": self.picture(v.mean((1, 2)))}

    def __call__(self, own: dict, sound: jax.Array, switch: jax.Array | float = 1.0) -> tuple[jax.Array, dict]:
        u = self.sound(sound)
        attention = jax.nn.softmax(u[:, :, None] * own["linearv"][:, None, :], axis=-1)  # over the picture's entries
        y = jnp.einsum("bij,bhwj->bhwi", attention, own["convv"])
        y = self.gate[1](jax.nn.relu(self.gate[0](y)))
        mask = jax.nn.sigmoid(y)
        aux = {"convv": own["convv"], "linearv": own["linearv"], "lineara": u, "gateav": y, "AVfusion": mask}
        return _spread(switch) * mask, aux


class OneChannel(nnx.Module):
    """Two 1x1 convolutions, to `hidden` channels and to one, with nothing between them; then a sigmoid."""

    def __init__(self, channels: int, hidden: int, *, rngs: nnx.Rngs):
        self.convs = nnx.List([Conv(channels, hidden, (1, 1), rngs=rngs), Conv(hidden, 1, (1, 1), rngs=rngs)])

    def __call__(self, x: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(self.convs[1](self.convs[0](x)))


class DeconvolvedSound(nnx.Module):
    """2021, SA and STA: the sound alone, grown to the size of the features by three transposed convolutions.

    kernels, strides: (3, 3, 4) and (1, 1, 1) make 8x8, for 256 px (SA, with ReLU between); (4, 4, 3) and (2, 2, 1) make 12x12,
    for 356 px (STA, without). φ acts before the last sigmoid, so that closing it leaves a mask of about 0.5.
    """

    def __init__(
        self, kernels: Sequence[int], strides: Sequence[int], hidden: int, features: int, *, relu: bool, rngs: nnx.Rngs
    ):
        self.linear = nnx.Linear(features, 2048, rngs=rngs)
        pairs = zip(kernels, strides, strict=True)
        self.layers = nnx.List([ConvTranspose(2048, 2048, kernel, stride=stride, rngs=rngs) for kernel, stride in pairs])
        self.one_channel = OneChannel(2048, hidden, rngs=rngs)
        self.relu = relu

    def see(self, v: jax.Array) -> dict[str, jax.Array]:
        return {}

    def __call__(self, own: dict, sound: jax.Array, switch: jax.Array | float = 1.0) -> tuple[jax.Array, dict]:
        vector = self.linear(sound)
        x = vector[:, None, None]
        for index, layer in enumerate(self.layers):
            x = layer(jax.nn.relu(x) if index and self.relu else x)
        mask = self.one_channel(_spread(switch) * x)
        return mask, {"audio_d": vector, "Aup": x, "one_channel": mask}


class BilinearSound(nnx.Module):
    """2021, SA+ and STA+: each channel's 32x32 map, mapped linearly over positions, times the sound's value for that channel.

    φ acts before the last sigmoid, as in `DeconvolvedSound`.
    """

    def __init__(self, channels: int, hidden: int, features: int, *, positions: int = 1024, rngs: nnx.Rngs):
        self.linear = nnx.Linear(features, channels, rngs=rngs)
        self.bilinear = nnx.Linear(positions, positions, rngs=rngs)  # PyTorch's Bilinear(positions, 1, positions)
        self.one_channel = OneChannel(channels, hidden, rngs=rngs)

    def see(self, v: jax.Array) -> dict[str, jax.Array]:
        mapped = jnp.einsum("bpc,pk->bkc", v.reshape(len(v), -1, v.shape[-1]), self.bilinear.kernel[...])
        return {"mapped": mapped.reshape(v.shape)}

    def __call__(self, own: dict, sound: jax.Array, switch: jax.Array | float = 1.0) -> tuple[jax.Array, dict]:
        vector, mapped = self.linear(sound), own["mapped"]
        y = mapped * vector[:, None, None] + self.bilinear.bias[...].reshape(*mapped.shape[1:3], 1)
        mask = self.one_channel(_spread(switch) * y)
        return mask, {"audio_d": vector, "bilinear": y, "one_channel": mask}


def _spread(switch: jax.Array | float) -> jax.Array | float:
    """φ (B,) over (B, h, w, C)."""
    return switch if isinstance(switch, float) else switch[:, None, None, None]
