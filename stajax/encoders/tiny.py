"""Encoders of a few hundred parameters, for tests and dry runs: the shapes of the real ones, none of their knowledge."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stajax.encoders.base import level
from stajax.layers.conv import Conv

BANDS = 8
_EDGES = np.geomspace(65, 7995, BANDS + 1)  # Hz, between the spectrum's lines


class TinyFrames(nnx.Module):
    """Frame encoder: how the means of 8, 16 and 32 px squares differ from the picture's, through a 1x1 convolution and ReLU."""

    strides = (8, 16, 32)
    channels = (16, 14, 12)

    def __init__(self, *, size: int = 64, rngs: nnx.Rngs):
        self.size = size
        self.convs = nnx.List([Conv(3, channels, (1, 1), rngs=rngs) for channels in self.channels])

    def side(self, stride: int) -> int:
        """Height and width of the level at `stride`."""
        return self.size // stride

    def __call__(self, views: jax.Array) -> dict[str, jax.Array]:
        x = views.astype(jnp.float32) / 127.5 - 1
        x = 4 * (x - x.mean((1, 2), keepdims=True))
        levels = {}
        for stride, conv in zip(self.strides, self.convs, strict=True):
            side = self.size // stride
            squares = x.reshape(len(x), side, stride, side, stride, 3).mean((2, 4))
            levels[level(stride)] = jax.nn.relu(conv(squares))
        return levels


class TinySound(nnx.Module):
    """Sound encoder: log power of 8 bands of a 0.1 s window through a linear layer."""

    window = 1600
    features = 8

    def __init__(self, *, rngs: nnx.Rngs):
        self.linear = nnx.Linear(BANDS, 8, rngs=rngs)

    def __call__(self, windows: jax.Array) -> jax.Array:
        """`windows` (A, 1600) float32 in [-1, 1] -> (A, 8) float32 in (-1, 1)."""
        spectrum = jnp.abs(jnp.fft.rfft(windows * np.hanning(self.window).astype(np.float32))) ** 2 / self.window
        frequency = np.fft.rfftfreq(self.window, 1 / 16000)
        bands = (frequency >= _EDGES[:-1, None]) & (frequency < _EDGES[1:, None])
        power = jnp.dot(spectrum, bands.T.astype(np.float32), precision="highest")
        return jnp.tanh(self.linear(jnp.log(power + 1e-4) / 4))
