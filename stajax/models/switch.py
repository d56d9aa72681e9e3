"""The audio switch φ (section 3.3): does this sound belong to this picture? The structure of the SA net, binary labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.layers.conv import Conv
from stajax.models.branch import Branch, BranchConfig, Source
from stajax.models.fragments import Fragments


@dataclass(frozen=True)
class SwitchConfig(BranchConfig):
    """The SA-branch's fields, and decision: ``argmax`` of the two logits, or ``positive``, the release's logit[1] > 0."""

    source: Source = "sa"
    decision: Literal["argmax", "positive"] = "argmax"

    @classmethod
    def paper(cls) -> SwitchConfig:
        return cls()

    @classmethod
    def lite(cls) -> SwitchConfig:
        """For EfficientNet-Lite0 and YAMNet."""
        return cls(deconv_width=32)

    @classmethod
    def tiny(cls) -> SwitchConfig:
        return cls(deconv_width=4)


class AudioSwitch(nnx.Module):
    """SA fuse (Eq. 5), a 1x1 convolution to two classes (off, on), global average pooling."""

    def __init__(self, config: SwitchConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        if config.decision not in ("argmax", "positive"):
            raise ValueError(f"decision {config.decision!r}; known: argmax, positive")
        self.config = config
        self.branch = Branch(config, frames, sound, rngs=rngs)
        self.levels = (self.branch.level,)
        self.classifier = Conv(self.branch.features, 2, (1, 1), rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """Nothing: the gate wants the level itself."""
        return {}, {}

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """-> φ (B, nodes) float32 of 0 and 1; aux {"logits": (B, nodes, 2), "maps": (B * nodes, h, w, 2)}.

        The switch inside its own SA fuse is open, whatever `fragments.switch` says.
        """
        x, _ = self.branch(features, audio, fragments.opened())
        maps = self.classifier(x)
        logits = maps.mean((1, 2)).reshape(*fragments.frames.shape[:2], 2)
        threshold = logits[..., 0] if self.config.decision == "argmax" else 0.0
        return (logits[..., 1] > threshold).astype(jnp.float32), {"logits": logits, "maps": maps}
