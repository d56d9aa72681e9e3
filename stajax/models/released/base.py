"""What the authors' nets share: their configuration, and the head that turns encoder features into class channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder
from stajax.layers.conv import Conv
from stajax.models.fragments import Granularity, check_granularity


@dataclass(frozen=True)
class ReleasedConfig:
    """generation: 2021 (December 2021) or 2022 (August 2022). channels: 28, the classes; 32, no classes, in the STA of 2022.
    granularity: of the company, in S+, SA+, ST+ and STA+; their tensors do not tell.
    """

    generation: int = 2022
    channels: int = 28
    granularity: Granularity = "short"

    def __post_init__(self):
        if self.generation not in (2021, 2022):
            raise ValueError(f"generation {self.generation}; the authors released 2021 and 2022")
        check_granularity(self.granularity)


class ReleasedNet(nnx.Module):
    """Base of the authors' nets. Each frame's own work is done in `heads`, once; nothing of the encoder is kept beside it."""

    levels: tuple[str, ...] = ()
    predicts = "classes"
    switched, bank = False, 0

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder):
        self.config = config
        self.output_size = (frames.size, frames.size)
        self._channels = dict(zip(frames.strides, frames.channels, strict=True))

    def channels_at(self, stride: int) -> int:
        """Channels of the encoder's level at `stride`. Raises ValueError if it has no such level."""
        if stride not in self._channels:
            has = ", ".join(map(str, self._channels))
            raise ValueError(f"{type(self).__name__} reads stride {stride}; the encoder has {has}")
        return self._channels[stride]


class Head(nnx.Module):
    """Three 3x3 convolutions with ReLU and a 1x1 convolution to the class channels."""

    def __init__(self, channels: int, classes: int, *, rngs: nnx.Rngs):
        self.convs = nnx.List([Conv(channels, channels, (3, 3), rngs=rngs) for _ in range(3)])
        self.classifier = Conv(channels, classes, (1, 1), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        for conv in self.convs:
            x = jax.nn.relu(conv(x))
        return self.classifier(x)


def gap(maps: jax.Array) -> jax.Array:
    """Global average pooling of (..., h, w, C) -> (..., C): the class logits."""
    return maps.mean((-3, -2))


def concatenate(*parts: jax.Array) -> jax.Array:
    """Over channels."""
    return jnp.concatenate(parts, axis=-1)


def rows_of(features: Mapping[str, jax.Array], rows: jax.Array) -> dict[str, jax.Array]:
    """The same rows (B,) of every array."""
    return {key: value[rows] for key, value in features.items()}


def stack(parts: Sequence[Mapping[str, jax.Array]]) -> dict[str, jax.Array]:
    """What was worked out for several frames or nodes, (B, ...) each, along a new axis 1."""
    return {key: jnp.stack([part[key] for part in parts], axis=1) for key in parts[0]}
