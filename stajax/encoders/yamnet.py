"""YAMNet (MobileNet v1 on log-mel patches, trained on AudioSet's 521 classes): the sound encoder of size `lite`.

One window is 0.975 s: 15600 samples at 16 kHz give exactly one patch of 96 frames of 10 ms by 64 mels. Batch norm is folded
into the convolutions. The vector is the 1024-d mean over the last feature map.
"""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stajax.layers.conv import Implementation, same_conv
from stajax.media.spectrogram import log_mel_patches

# (stride, channels out) of each depthwise-separable block
BLOCKS = ((1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024))
CLASSES = 521


class _Conv(nnx.Module):
    """3x3 (full or depthwise) or 1x1 convolution with bias, TensorFlow's SAME padding, ReLU."""

    def __init__(self, features_in, features_out, kernel, *, stride=1, depthwise=False, implementation="auto", rngs):
        shape = (kernel, kernel, 1 if depthwise else features_in, features_out)
        self.kernel = nnx.Param(nnx.initializers.he_normal()(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(features_out))
        self.stride, self.depthwise, self.implementation = stride, depthwise, implementation

    def __call__(self, x: jax.Array) -> jax.Array:
        options = {"stride": self.stride, "depthwise": self.depthwise, "implementation": self.implementation}
        x = same_conv(x, self.kernel[...], **options)
        return jax.nn.relu(x + self.bias[...])


class YAMNet(nnx.Module):
    """Sound encoder: windows of 15600 samples at 16 kHz to 1024-d vectors."""

    window = 15600
    features = 1024

    def __init__(self, *, implementation: Implementation = "auto", rngs: nnx.Rngs):
        layers, channels = [_Conv(1, 32, 3, stride=2, rngs=rngs)], 32
        for stride, out in BLOCKS:
            options = {"implementation": implementation, "rngs": rngs}
            layers.append(_Conv(channels, channels, 3, stride=stride, depthwise=True, **options))
            layers.append(_Conv(channels, out, 1, rngs=rngs))
            channels = out
        self.layers = nnx.List(layers)
        self.classifier = nnx.Linear(1024, CLASSES, rngs=rngs)

    def __call__(self, windows: jax.Array) -> jax.Array:
        """`windows` (A, 15600) float32 in [-1, 1] -> (A, 1024) float32 >= 0."""
        x = log_mel_patches(windows, xp=jnp)[..., None]
        for layer in self.layers:
            x = layer(x)
        return x.mean((1, 2))

    def classify(self, vectors: jax.Array) -> jax.Array:
        """`vectors` (A, 1024) of `__call__` -> logits (A, 521) in AudioSet's order; their sigmoids are the class scores."""
        return self.classifier(vectors)


def from_onnx(arrays: dict[str, np.ndarray]) -> dict:
    """Parameters of `YAMNet` from int8 weights in OIHW: ``l00/w_i8``, ``l00/scale``, ``l00/bias``; l27 is the classifier.

    Weights stay int8, with ``kernel_scale`` per output channel beside them (see `encoders.params`).
    """
    tree: dict = {"layers": {}}
    for key, value in arrays.items():
        if key == "meta":
            continue
        match = re.fullmatch(r"l(\d\d)/(w_i8|scale|bias)", key)
        if not match or int(match[1]) > 27:
            raise KeyError(f"not a tensor of YAMNet: {key}")
        index, leaf = int(match[1]), {"w_i8": "kernel", "scale": "kernel_scale", "bias": "bias"}[match[2]]
        if leaf == "kernel":
            value = value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
        node = tree.setdefault("classifier", {}) if index == 27 else tree["layers"].setdefault(str(index), {})
        node[leaf] = value
    return tree
