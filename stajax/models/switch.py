"""The audio switch φ (section 3.3): does this sound belong to this picture? The structure of the SA net, binary labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder, level
from stajax.layers.conv import Conv
from stajax.models.fragments import Fragments
from stajax.models.fuse import DeConv, sa_fuse


@dataclass(frozen=True)
class SwitchConfig:
    """stride: the level of s. deconv_channels: between the deconvolutions; the last one always equals s. decision: ``argmax``
    of the two logits, or ``positive``, the release's logit[1] > 0.
    """

    stride: int = 32
    deconv_channels: tuple[int, ...] = (512, 512)
    decision: Literal["argmax", "positive"] = "argmax"

    @classmethod
    def paper(cls) -> SwitchConfig:
        return cls()

    @classmethod
    def lite(cls) -> SwitchConfig:
        """For EfficientNet-Lite0 and YAMNet at 256 px."""
        return cls(deconv_channels=(32, 32))

    @classmethod
    def tiny(cls) -> SwitchConfig:
        return cls(deconv_channels=())


class AudioSwitch(nnx.Module):
    """SA fuse (Eq. 5, its own switch open), a 1x1 convolution to two classes (off, on), global average pooling."""

    def __init__(self, config: SwitchConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        if config.stride not in frames.strides:
            raise ValueError(f"the audio switch reads stride {config.stride}; the encoder has {frames.strides}")
        c = dict(zip(frames.strides, frames.channels, strict=True))[config.stride]
        side = -(-frames.size // config.stride)
        self.config = config
        self.levels = (level(config.stride),)
        self.deconv = DeConv(sound.features, (*config.deconv_channels, c), side, rngs=rngs)
        self.classifier = Conv(2 * c, 2, (1, 1), rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Nothing: the gate wants the level itself."""
        return {}, {}

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """-> φ (B, nodes) float32 of 0 and 1; aux {"logits": (B, nodes, 2), "maps": (B * nodes, h, w, 2)}."""
        batch, nodes, _ = fragments.frames.shape
        s = features[self.levels[0]][fragments.frames[..., 1].reshape(-1)]
        maps = self.classifier(sa_fuse(s, self.deconv(audio[fragments.audio.reshape(-1)])))
        logits = maps.mean((1, 2)).reshape(batch, nodes, 2)
        threshold = logits[..., 0] if self.config.decision == "argmax" else 0.0
        return (logits[..., 1] > threshold).astype(jnp.float32), {"logits": logits, "maps": maps}
