"""The fixation nets of the paper (section 5, Fig. 12): STA, Eq. 15 and 16, and STA+ with its ReadOut, Eq. 18 and 19."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder, level
from stajax.layers.conv import Conv
from stajax.layers.resize import resize
from stajax.models.branch import Branch, BranchConfig, Source
from stajax.models.company import Company, CompanyConfig, Granularity
from stajax.models.decoder import Decoder
from stajax.models.fragments import Fragments, own_span


@dataclass(frozen=True)
class STAConfig(BranchConfig):
    """Choices that the paper leaves open, with the settled value as the default (docs/architecture.md, Decisions).

    The branch's fields, and strides: encoder levels F4, F3 of Eq. 16, after F5 at the branch's own. width: channels of Cov and
    Ref. output_size: (H, W) of the maps; None is the view's own size.
    """

    strides: tuple[int, ...] = (16, 8)
    output_size: tuple[int, int] | None = None

    @classmethod
    def paper(cls) -> STAConfig:
        return cls()

    @classmethod
    def lite(cls) -> STAConfig:
        """For EfficientNet-Lite0 and YAMNet at 256 px; the maps are 64x64 because the finest level is 32x32."""
        return cls(deconv_width=32, output_size=(64, 64))

    @classmethod
    def tiny(cls) -> STAConfig:
        return cls(width=4, deconv_width=4, output_size=(16, 16))


@dataclass(frozen=True)
class STAPlusConfig(CompanyConfig):
    """The company's fields, and readout: channels of Ref_32 in Eq. 19. output_size: as in `STAConfig`."""

    source: Source = "sta"
    readout: int = 32
    output_size: tuple[int, int] | None = None

    @classmethod
    def paper(cls, granularity: Granularity = "short") -> STAPlusConfig:
        """For VGG-16 D1, whose one level is at stride 8; maps of 356x356 (Eq. 19) from views of any size."""
        return cls(granularity=granularity, output_size=(356, 356))

    @classmethod
    def lite(cls, granularity: Granularity = "short") -> STAPlusConfig:
        """Nodes of 16x16 at 256 px, maps of 64x64."""
        return cls(granularity=granularity, stride=16, deconv_width=32, output_size=(64, 64))

    @classmethod
    def tiny(cls, granularity: Granularity = "short") -> STAPlusConfig:
        return cls(granularity=granularity, width=4, deconv_width=4, readout=4, output_size=(16, 16))


class STA(nnx.Module):
    """Fixation maps from spatial, temporal and sound features. Reads features by index; see `Fragments`."""

    predicts, bank = "fixations", 0

    def __init__(self, config: STAConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        channels, strides = dict(zip(frames.strides, frames.channels, strict=True)), (config.stride, *config.strides)
        if missing := [stride for stride in strides if stride not in channels]:
            raise ValueError(f"STA reads strides {strides}; the encoder has {frames.strides} (missing {missing})")
        self.config = config
        self.span = own_span(config.moves)
        self.listens = self.switched = config.listens
        self.output_size = tuple(config.output_size or (frames.size, frames.size))
        self.levels = tuple(level(stride) for stride in strides)
        self.branch = Branch(config, frames, sound, rngs=rngs)
        fused = self.branch.features
        self.decoder = Decoder([channels[stride] for stride in strides], fused, config.width, self.output_size, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Nothing: the gates want the levels themselves."""
        return {}, {}

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`features` levels (F, h, w, C), `audio` (A, D) or None -> logits (B, nodes, H, W), aux.

        aux: s, v, a, sta, decoder, each (B * nodes, h, w, ·); v and a are absent where the path is off.
        """
        middle = fragments.frames[..., 1].reshape(-1)
        fused, aux = self.branch(features, audio, fragments)
        logits, decoder = self.decoder([features[name][middle] for name in self.levels], fused)
        return logits.reshape(*fragments.frames.shape[:2], *logits.shape[1:]), aux | decoder


class ReadOut(nnx.Module):
    """Eq. 19: Ref_1(↑(Ref_32(h ⊗ S))), S the spatial features of the node's own middle frame; both Ref are 1x1 convolutions.

    Ref_32 has a ReLU, without which the two were one. Ref_1 comes before ↑ (bilinear), which changes nothing and costs less.
    """

    def __init__(self, states: int, spatial: int, width: int, output_size: tuple[int, int], *, rngs: nnx.Rngs):
        self.output_size = tuple(output_size)
        self.inner = Conv(states + spatial, width, (1, 1), rngs=rngs)
        self.outer = Conv(width, 1, (1, 1), rngs=rngs)

    def __call__(self, h: jax.Array, s: jax.Array) -> jax.Array:
        """h (B, h, w, width of a node), s (B, h, w, C) -> logits (B, H, W)."""
        x = jax.nn.relu(self.inner(jnp.concatenate([h, s], axis=-1)))
        return resize(self.outer(x), self.output_size)[..., 0]


class STAPlus(nnx.Module):
    """STA+ with short or long company (Eq. 18): nodes are outputs of the STA-branch, each node's state is read out (Eq. 19)."""

    predicts = "fixations"

    def __init__(self, config: STAPlusConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        self.config = config
        self.company = Company(config, frames, sound, rngs=rngs)
        self.span, self.bank = self.company.span, self.company.bank
        self.listens = self.switched = config.listens
        self.output_size = tuple(config.output_size or (frames.size, frames.size))
        self.levels = (self.company.branch.level,)
        c = dict(zip(frames.strides, frames.channels, strict=True))[config.stride]
        self.readout = ReadOut(config.width, c, config.readout, self.output_size, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Nothing: the gates want the level itself."""
        return {}, {}

    def nodes(self, features: dict, audio: jax.Array | None, fragments: Fragments) -> jax.Array:
        """h⁰ (B, nodes, h, w, width), what a bank keeps."""
        return self.company.nodes(features, audio, fragments)[0]

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """-> logits (B, nodes, H, W), the target's first, of the nodes in `fragments.frames` (a bank's rows have no S), and
        aux.

        aux: `states` h^m (B, K, h, w, width), and those of `Company`.
        """
        shape = fragments.frames.shape[:2]
        states, aux = self.company(features, audio, fragments)
        own = states[:, : shape[1]]
        logits = self.readout(own.reshape(-1, *own.shape[2:]), aux["s"])
        return logits.reshape(*shape, *logits.shape[1:]), {**aux, "states": states}
