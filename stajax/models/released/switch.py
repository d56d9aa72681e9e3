"""The authors' audio switch (att_Model): a bilinear layer on a picture's and a sound's vectors, two classes."""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.models.fragments import Fragments


@dataclass(frozen=True)
class ReleasedSwitchConfig:
    """decision: ``positive`` is logit[1] > 0, as released, and not the argmax; ``argmax`` is."""

    decision: str = "positive"


class Bilinear(nnx.Module):
    """PyTorch's Bilinear: y_k = x1^T W_k x2 + b_k; kernel (out, in1, in2) as there."""

    def __init__(self, features1: int, features2: int, features_out: int, *, rngs: nnx.Rngs):
        shape = (features_out, features1, features2)
        self.kernel = nnx.Param(nnx.initializers.normal(features1**-0.5)(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(features_out))

    def __call__(self, x1: jax.Array, x2: jax.Array) -> jax.Array:
        return jnp.einsum("bi,kij,bj->bk", x1, self.kernel[...], x2) + self.bias[...]


class ReleasedSwitch(nnx.Module):
    """Reads the mean over the last level, stride 32 of ResNeXt, of 356 px views."""

    def __init__(self, config: ReleasedSwitchConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        self.config = config
        self.levels: tuple[str, ...] = ()
        channels = dict(zip(frames.strides, frames.channels, strict=True))[32]
        self.sound, self.picture = nnx.Linear(sound.features, 128, rngs=rngs), nnx.Linear(channels, 128, rngs=rngs)
        self.bilinear = Bilinear(128, 128, 128, rngs=rngs)
        self.classifier = nnx.Linear(128, 2, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        pooled = levels["stride32"].mean((1, 2))
        picture = self.picture(pooled)
        return {"picture": picture}, {"pooled": pooled, "picture": picture}

    def __call__(self, features: dict, audio: jax.Array, fragments: Fragments) -> tuple[jax.Array, dict]:
        """-> φ (B, nodes) float32 of 0 and 1, aux with logits (B, nodes, 2)."""
        picture = features["picture"][fragments.frames[..., 1].reshape(-1)]
        sound = self.sound(audio[fragments.audio.reshape(-1)])
        mixed = self.bilinear(sound, picture)
        logits = self.classifier(mixed).reshape(*fragments.frames.shape[:2], 2)
        threshold = logits[..., 0] if self.config.decision == "argmax" else 0.0
        return (logits[..., 1] > threshold).astype(jnp.float32), {"logits": logits, "sound": sound, "bilinear": mixed}
