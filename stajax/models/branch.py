"""The S-, ST-, SA- and STA-branches of Fig. 5 and 12: a fragment's features to what a classifier, the C-GCN or a decoder takes.

Eq. 6 (ST), Eq. 5 (SA) and Eq. 15 (STA) with the convolutions that make v and a; the S-branch is s itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder, level
from stajax.layers.conv import Conv
from stajax.models.fragments import Fragments
from stajax.models.fuse import (
    AudioFuse,
    DeConv,
    PlainFuse,
    SoundGate,
    SwitchPosition,
    TemporalConv,
    gate,
    sa_fuse,
    st_fuse,
    sta_concat,
)

Source = Literal["s", "st", "sa", "sta"]


@dataclass(frozen=True)
class BranchConfig:
    """What a branch is made of; the configs of the nets that have one begin with these fields.

    source: s, st, sa or sta. stride: the encoder level that is s. deconv_width: channels between the deconvolutions of Eq. 5;
    the last one always equals s. switch_position: φ outside or inside the gate. audio_fuse: how sa joins s and a; ``sa_fuse``
    is Eq. 5, the others are those of Table 3. width: channels of Eq. 15's Cov (sta only). fuse_spatial: the plain s as a
    third part of Eq. 15. use_temporal, use_sound: False gates that path of sta off for good.
    """

    source: Source = "sta"
    stride: int = 32
    deconv_width: int = 512
    switch_position: SwitchPosition = "outside"
    audio_fuse: AudioFuse = "sa_fuse"
    width: int = 32
    fuse_spatial: bool = False
    use_temporal: bool = True
    use_sound: bool = True

    @property
    def listens(self) -> bool:
        """Whether the sound enters."""
        return self.source == "sa" or (self.source == "sta" and self.use_sound)

    @property
    def moves(self) -> bool:
        """Whether the frames t-1 and t+1 enter."""
        return self.source == "st" or (self.source == "sta" and self.use_temporal)


class Branch(nnx.Module):
    """Reads features by index. `features`: channels of what it gives. `side`: its height and width."""

    def __init__(self, config: BranchConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        if config.source not in ("s", "st", "sa", "sta"):
            raise ValueError(f"source {config.source!r}; known: s, st, sa, sta")
        if config.stride not in frames.strides:
            raise ValueError(f"a branch reads stride {config.stride}; the encoder has {frames.strides}")
        if config.listens and sound is None:
            raise ValueError(f"source {config.source!r} listens, but this network has no sound encoder")
        c = dict(zip(frames.strides, frames.channels, strict=True))[config.stride]
        self.config = config
        self.level = level(config.stride)
        self.side = frames.side(config.stride)
        self.temporal = TemporalConv(c, rngs=rngs) if config.moves else None
        deconv = DeConv(sound.features, config.deconv_width, c, self.side, rngs=rngs) if config.listens else None
        self.sound = SoundGate(deconv, config.switch_position) if config.listens else None
        plain = config.source == "sa" and config.audio_fuse != "sa_fuse"
        self.plain = PlainFuse(config.audio_fuse, c, rngs=rngs) if plain else None
        parts = 3 if config.fuse_spatial else 2
        self.cov = Conv(parts * c, config.width, (1, 1), rngs=rngs) if config.source == "sta" else None
        self.features = {"s": c, "st": 2 * c, "sa": 2 * c, "sta": config.width}[config.source]

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`features` levels (F, h, w, C), `audio` (A, D) or None (a path that is off) -> (B * nodes, h, w, `features`), aux.

        aux: s, v, a, each (B * nodes, h, w, C), and the result under the source's name; v and a are absent where off.
        """
        triplets = fragments.frames.reshape(-1, 3)
        s = features[self.level][triplets[:, 1]]
        aux, v, a = {"s": s}, None, None
        switch: jax.Array | float = 1.0
        if self.temporal is not None:
            v = aux["v"] = self.temporal(features[self.level][triplets])
        if self.sound is not None and audio is not None:
            a, switch = self.sound(audio[fragments.audio.reshape(-1)], fragments.switch.reshape(-1))
            aux["a"] = a
        match self.config.source:
            case "s":
                x = s
            case "st":
                x = st_fuse(s, v)
            case "sa":
                x = sa_fuse(s, a, switch, self.plain or gate)
            case "sta":
                parts = [sta_concat(s, a, v, switch), *([s] if self.config.fuse_spatial else [])]
                x = jax.nn.relu(self.cov(jnp.concatenate(parts, axis=-1)))
        return x, aux | {self.config.source: x}
