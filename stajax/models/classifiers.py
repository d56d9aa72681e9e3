"""The classification nets of the paper: S, ST, SA (section 3, Fig. 5 A-C) and S+, ST+, SA+ (section 4, Fig. 5 E-G).

Each is a branch and a plain classifier (section 3.3): a 1x1 convolution to the classes, whose maps are the CAMs of Eq. 1, and
global average pooling. The nets with company have the C-GCN between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.layers.conv import Conv
from stajax.models.branch import Branch, BranchConfig, Source
from stajax.models.company import Company, CompanyConfig, Granularity
from stajax.models.fragments import Fragments, own_span
from stajax.models.frl import fixation_refine


@dataclass(frozen=True)
class ClassifierConfig(BranchConfig):
    """A net of one source. Source `sta` is CAM_sta of Table 2, a classifier on the fusion of Eq. 15.

    classes: that it tells apart. head: 3x3 convolutions with ReLU before the classifier; the paper has none, the release three.
    refine: the refine layer of Eq. 13 and 14 before the classifier, as in line 12 of Table 1. positive: see `class_maps`.
    """

    source: Source = "s"
    classes: int = 28
    head: int = 0
    refine: bool = False
    positive: bool = False

    @classmethod
    def paper(cls, source: Source = "s", classes: int = 28) -> ClassifierConfig:
        return cls(source=source, classes=classes)

    @classmethod
    def lite(cls, source: Source = "s", classes: int = 28) -> ClassifierConfig:
        """For EfficientNet-Lite0 and YAMNet."""
        return cls(source=source, classes=classes, deconv_width=32, positive=True)

    @classmethod
    def tiny(cls, source: Source = "s", classes: int = 28) -> ClassifierConfig:
        return cls(source=source, classes=classes, stride=8, deconv_width=8, width=8, positive=True)


@dataclass(frozen=True)
class CompanyClassifierConfig(CompanyConfig):
    """A net with company; width is the paper's 28 however many classes there are. positive: see `class_maps`."""

    source: Source = "s"
    classes: int = 28
    positive: bool = False

    @classmethod
    def paper(cls, source: Source = "s", granularity: Granularity = "short", classes: int = 28) -> CompanyClassifierConfig:
        """For VGG-16 D1, whose one level is at stride 8."""
        return cls(source=source, granularity=granularity, classes=classes)

    @classmethod
    def lite(cls, source: Source = "s", granularity: Granularity = "short", classes: int = 28) -> CompanyClassifierConfig:
        """Nodes of 8x8 at 256 px. What EfficientNet-Lite0 has at stride 16 does not yet tell what it sees."""
        lite = {"stride": 32, "deconv_width": 32, "positive": True}
        return cls(source=source, granularity=granularity, classes=classes, **lite)

    @classmethod
    def tiny(cls, source: Source = "s", granularity: Granularity = "short", classes: int = 28) -> CompanyClassifierConfig:
        tiny = {"stride": 8, "deconv_width": 8, "width": 8, "positive": True}
        return cls(source=source, granularity=granularity, classes=classes, **tiny)


def balance(config: ClassifierConfig | CompanyClassifierConfig) -> nnx.Param | None:
    """The bias of positive class maps, which makes each class as likely as the others at the start; else None.

    Were they all too likely, the first steps would darken what stands out in the picture, for good.
    """
    return nnx.Param(jnp.full(config.classes, -math.log(2 * max(1, config.classes - 1)))) if config.positive else None


def class_maps(classifier: Conv, bias: nnx.Param | None, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The classifier of section 3.3: x (..., h, w, features) -> logits (..., classes) and their maps (..., h, w, classes).

    bias: None for the paper's maps, whose mean the logits are. Where there are few classes, one is known as well by the absence
    of the others, and such maps are dark at these instead of bright at it. With a bias, added to the means, maps go through a
    softplus: they can only mark what speaks for the class.
    """
    maps = classifier(x.reshape(-1, *x.shape[-3:])).reshape(*x.shape[:-1], -1)
    if bias is None:
        return maps.mean((-3, -2)), maps
    maps = jax.nn.softplus(maps)
    return maps.mean((-3, -2)) + bias, maps


class Classifier(nnx.Module):
    """S, ST or SA, by the source of its config."""

    predicts, bank = "classes", 0

    def __init__(self, config: ClassifierConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        self.config = config
        self.span = own_span(config.moves)
        self.listens = self.switched = config.listens
        self.branch = Branch(config, frames, sound, rngs=rngs)
        self.levels = (self.branch.level,)
        self.output_size = (self.branch.side,) * 2
        c = self.branch.features
        self.head = nnx.List([Conv(c, c, (3, 3), rngs=rngs) for _ in range(config.head)])
        self.classifier = Conv(c, config.classes, (1, 1), rngs=rngs)
        self.bias = balance(config)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Nothing: the gates want the level itself."""
        return {}, {}

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """-> logits (B, nodes, classes); aux: `class_maps` (B, nodes, h, w, classes), and those of the branch."""
        x, aux = self.branch(features, audio, fragments)
        for conv in self.head:
            x = jax.nn.relu(conv(x))
        x = fixation_refine(x) if self.config.refine else x
        logits, maps = class_maps(self.classifier, self.bias, x.reshape(*fragments.frames.shape[:2], *x.shape[1:]))
        return logits, {**aux, "class_maps": maps}


class CompanyClassifier(nnx.Module):
    """S+, ST+ or SA+, by the source of its config."""

    predicts = "classes"

    def __init__(self, config: CompanyClassifierConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        self.config = config
        self.company = Company(config, frames, sound, rngs=rngs)
        self.span, self.bank = self.company.span, self.company.bank
        self.listens = self.switched = config.listens
        self.levels = (self.company.branch.level,)
        self.output_size = (self.company.branch.side,) * 2
        self.classifier = Conv(config.width, config.classes, (1, 1), rngs=rngs)
        self.bias = balance(config)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Nothing: the branch wants the level itself."""
        return {}, {}

    def nodes(self, features: dict, audio: jax.Array | None, fragments: Fragments) -> jax.Array:
        """h⁰ (B, nodes, h, w, width), what a bank keeps."""
        return self.company.nodes(features, audio, fragments)[0]

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """-> logits (B, K, classes), the target's first; aux: `class_maps` (B, K, h, w, classes), and those of `Company`.

        The paper feeds the target's state alone to the classifier; those of its company are there for losses that want them.
        """
        states, aux = self.company(features, audio, fragments)
        # By themselves, so that those of the company are not worked out where nobody reads them.
        (target, maps), (others, further) = (class_maps(self.classifier, self.bias, x) for x in (states[:, :1], states[:, 1:]))
        logits, maps = jnp.concatenate([target, others], axis=1), jnp.concatenate([maps, further], axis=1)
        return logits, {**aux, "class_maps": maps}
