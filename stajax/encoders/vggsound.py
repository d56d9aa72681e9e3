"""VGGSound's ResNet-18 with NetVLAD (Chen et al. 2020, arXiv 2004.14368): the sound encoder of the paper.

One window is 0.5 s, 8000 samples at 16 kHz; its log spectrogram has 257 bins and 48 columns. The vector has 16 clusters of
512 features. Parameters: ``trunk`` as in `encoders.resnext`, ``netvlad.centroids``, ``netvlad.assignment``, and ``fc``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.resnext import BasicBlock, ResNet
from stajax.layers.netvlad import NetVLAD
from stajax.media.spectrogram import log_spectrogram

CLASSES = 309  # of VGGSound


class VGGSound(nnx.Module):
    """Sound encoder: windows of 8000 samples at 16 kHz to 8192-d vectors of length 1. classes: None for no classifier."""

    window = 8000
    features = 8192

    def __init__(self, *, classes: int | None = None, rngs: nnx.Rngs):
        self.trunk = ResNet(BasicBlock, (2, 2, 2, 2), channels_in=1, rngs=rngs)
        self.netvlad = NetVLAD(512, 16, rngs=rngs)
        self.fc = None if classes is None else nnx.Linear(self.features, classes, rngs=rngs)

    def normalise(self, windows: jax.Array) -> jax.Array:
        """`windows` (A, n) float32 in [-1, 1] -> log spectrograms (A, 257, T, 1), the input of `stages`."""
        return log_spectrogram(windows, xp=jnp)[..., None]

    def stages(self, x: jax.Array) -> dict[str, jax.Array]:
        """`x` (A, 257, T, 1), any T -> ``stem``, ``maxpool``, ``layer1`` ... (A, f, t, C) and ``netvlad`` (A, 8192)."""
        stages = self.trunk.stages(x)
        return {**stages, "netvlad": self.netvlad(stages["layer4"])}

    def levels(self, stages: dict[str, jax.Array]) -> jax.Array:
        """The vectors (A, 8192) among `stages`."""
        return stages["netvlad"]

    def __call__(self, windows: jax.Array) -> jax.Array:
        """`windows` (A, 8000) float32 in [-1, 1] -> (A, 8192) float32."""
        return self.levels(self.stages(self.normalise(windows)))

    def classify(self, vectors: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        """`vectors` (A, 8192) of `levels` -> logits (A, classes) and aux {"netvlad": vectors}."""
        return self.fc(vectors), {"netvlad": vectors}


def vggsound_309(**options) -> VGGSound:
    """VGGSound's net with the classifier of its 309 classes."""
    return VGGSound(classes=CLASSES, **options)
