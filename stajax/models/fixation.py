"""The fixation net STA of the paper's edition (section 5.1, Fig. 12-D): Eq. 15 and Eq. 16 on encoder features."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder, level
from stajax.layers.conv import Conv
from stajax.models.decoder import Decoder
from stajax.models.fragments import STA_SPAN, Fragments
from stajax.models.fuse import DeConv, SoundGate, SwitchPosition, TemporalConv, sta_concat


@dataclass(frozen=True)
class STAConfig:
    """Choices that the paper leaves open, with the settled value as the default (docs/architecture.md, Decisions).

    strides: encoder levels F5, F4, F3. width: channels of Cov and Ref. deconv_channels: between the deconvolutions; the last
    one always equals s. switch_position: φ outside or inside the gate. fuse_spatial: the plain s as a third branch of Eq. 15.
    use_temporal, use_sound: False gates a path off for good, so that a path that was never trained says nothing.
    output_size: (H, W) of the maps; None is the view's own size.
    """

    strides: tuple[int, ...] = (32, 16, 8)
    width: int = 32
    deconv_channels: tuple[int, ...] = (512, 512)
    switch_position: SwitchPosition = "outside"
    fuse_spatial: bool = False
    use_temporal: bool = True
    use_sound: bool = True
    output_size: tuple[int, int] | None = None

    @classmethod
    def paper(cls) -> STAConfig:
        return cls()

    @classmethod
    def lite(cls) -> STAConfig:
        """For EfficientNet-Lite0 and YAMNet at 256 px; the maps are 64x64 because the finest level is 32x32."""
        return cls(deconv_channels=(32, 32), output_size=(64, 64))

    @classmethod
    def tiny(cls) -> STAConfig:
        return cls(width=4, deconv_channels=(), output_size=(16, 16))


class STA(nnx.Module):
    """Fixation maps from spatial, temporal and sound features. Reads features by index; see `Fragments`."""

    span, predicts = STA_SPAN, "fixations"

    def __init__(self, config: STAConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        channels = dict(zip(frames.strides, frames.channels, strict=True))
        if missing := [stride for stride in config.strides if stride not in channels]:
            raise ValueError(f"STA reads strides {config.strides}; the encoder has {frames.strides} (missing {missing})")
        self.config = config
        self.listens = self.switched = config.use_sound
        self.output_size = tuple(config.output_size or (frames.size, frames.size))
        self.levels = tuple(level(stride) for stride in config.strides)
        c = channels[config.strides[0]]
        side = -(-frames.size // config.strides[0])
        self.temporal = TemporalConv(c, rngs=rngs) if config.use_temporal else None
        deconv = DeConv(sound.features, (*config.deconv_channels, c), side, rngs=rngs) if config.use_sound else None
        self.sound = SoundGate(deconv, config.switch_position) if config.use_sound else None
        self.cov = Conv((3 if config.fuse_spatial else 2) * c, config.width, (1, 1), rngs=rngs)
        self.decoder = Decoder(
            [channels[stride] for stride in config.strides],
            config.width,
            config.width,
            self.output_size,
            rngs=rngs,
        )

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Nothing: the gates want the levels themselves."""
        return {}, {}

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`features` levels (F, h, w, C), `audio` (A, D) or None -> logits (B, nodes, H, W), aux.

        aux: s, v, a, sta, decoder, each (B * nodes, h, w, ·); v and a are absent where the path is off.
        """
        batch, nodes, _ = fragments.frames.shape
        triplets = fragments.frames.reshape(-1, 3)
        middle = triplets[:, 1]
        levels = [features[name][middle] for name in self.levels]
        s, aux = levels[0], {"s": levels[0]}
        v = a = None
        switch: jax.Array | float = 1.0
        if self.temporal is not None:
            v = aux["v"] = self.temporal(features[self.levels[0]][triplets])
        if self.sound is not None and audio is not None:
            a, switch = self.sound(audio[fragments.audio.reshape(-1)], fragments.switch.reshape(-1))
            aux["a"] = a
        fused = sta_concat(s, a, v, switch)
        if self.config.fuse_spatial:
            fused = jnp.concatenate([fused, s], axis=-1)
        sta = aux["sta"] = jax.nn.relu(self.cov(fused))
        logits, decoder = self.decoder(levels, sta)
        return logits.reshape(batch, nodes, *logits.shape[1:]), aux | decoder
