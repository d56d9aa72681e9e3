"""EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946, without squeeze-and-excite, ReLU6): frame encoder of size `lite`.

Strides 8, 16 and 32 after blocks 5, 11 and 16 with 40, 112 and 320 channels; the ImageNet head is kept for CAMs.
Batch norm eps 1e-3, TensorFlow's SAME padding, input (x - 127) / 128.
"""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stajax.encoders.base import level
from stajax.layers.conv import Implementation, same_conv

# (kernel, stride, expansion, channels out) of each of the 16 blocks
BLOCKS = (
    (3, 1, 1, 16),
    (3, 2, 6, 24),
    (3, 1, 6, 24),
    (5, 2, 6, 40),
    (5, 1, 6, 40),
    (3, 2, 6, 80),
    *[(3, 1, 6, 80)] * 2,
    *[(5, 1, 6, 112)] * 3,
    (5, 2, 6, 192),
    *[(5, 1, 6, 192)] * 3,
    (3, 1, 6, 320),
)
LEVELS = {4: 8, 10: 16, 15: 32}  # block index -> stride


class _ConvNorm(nnx.Module):
    """Convolution without bias, batch norm by running statistics, optional ReLU6."""

    def __init__(
        self,
        features_in: int,
        features_out: int,
        kernel: int,
        *,
        stride: int = 1,
        depthwise: bool = False,
        relu6: bool = True,
        implementation: Implementation = "auto",
        rngs: nnx.Rngs,
    ):
        shape = (kernel, kernel, 1 if depthwise else features_in, features_out)
        self.kernel = nnx.Param(nnx.initializers.he_normal()(rngs.params(), shape))
        self.norm = nnx.BatchNorm(features_out, use_running_average=True, momentum=0.99, epsilon=1e-3, rngs=rngs)
        self.stride, self.depthwise, self.relu6, self.implementation = stride, depthwise, relu6, implementation

    def __call__(self, x: jax.Array) -> jax.Array:
        options = {"stride": self.stride, "depthwise": self.depthwise, "implementation": self.implementation}
        x = self.norm(same_conv(x, self.kernel[...], **options))
        return jnp.clip(x, 0, 6) if self.relu6 else x


class _Block(nnx.Module):
    """Inverted residual: expand 1x1, depthwise, project 1x1; the input is added where shapes allow."""

    def __init__(self, channels: int, kernel: int, stride: int, expansion: int, out: int, implementation, *, rngs):
        wide = channels * expansion
        self.expand = _ConvNorm(channels, wide, 1, rngs=rngs) if expansion > 1 else None
        self.depthwise = _ConvNorm(wide, wide, kernel, stride=stride, depthwise=True, implementation=implementation, rngs=rngs)
        self.project = _ConvNorm(wide, out, 1, relu6=False, rngs=rngs)
        self.residual = stride == 1 and channels == out

    def __call__(self, x: jax.Array) -> jax.Array:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depthwise(y))
        return x + y if self.residual else y


class EfficientNetLite0(nnx.Module):
    """Frame encoder. `size` px views; depthwise convolutions ``native | taps | auto`` (see `layers.conv`)."""

    strides = (8, 16, 32)
    channels = (40, 112, 320)

    def __init__(self, *, size: int = 256, implementation: Implementation = "auto", rngs: nnx.Rngs):
        self.size = size
        self.stem = _ConvNorm(3, 32, 3, stride=2, rngs=rngs)
        blocks, channels = [], 32
        for kernel, stride, expansion, out in BLOCKS:
            blocks.append(_Block(channels, kernel, stride, expansion, out, implementation, rngs=rngs))
            channels = out
        self.blocks = nnx.List(blocks)
        self.head = _ConvNorm(320, 1280, 1, rngs=rngs)
        self.classifier = nnx.Linear(1280, 1000, rngs=rngs)

    def side(self, stride: int) -> int:
        """Height and width of the level at `stride`: convolutions at a stride round up."""
        return -(-self.size // stride)

    def __call__(self, views: jax.Array) -> dict[str, jax.Array]:
        """`views` (F, size, size, 3) uint8 RGB -> levels ``stride8`` (..., 40), ``stride16`` (..., 112), ``stride32``."""
        x = self.stem((views.astype(jnp.float32) - 127) / 128)
        levels = {}
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in LEVELS:
                levels[level(LEVELS[index])] = x
        return levels

    def classify(self, levels: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
        """ImageNet logits (F, 1000) and aux {"features": (F, h, w, 1280)}: GAP and one linear layer, as Eq. 1 wants."""
        features = self.head(levels["stride32"])
        return self.classifier(features.mean((1, 2))), {"features": features}


def from_pytorch(arrays: dict[str, np.ndarray]) -> dict:
    """Parameters of `EfficientNetLite0` from the PyTorch names and layouts (``_blocks.3._depthwise_conv.weight``, OIHW).

    Every tensor must be recognised (``num_batches_tracked`` is dropped); a stranger is a KeyError that names it.
    """
    leaves = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
    known = "|".join(leaves)
    tree: dict = {}

    def put(path: str, value: np.ndarray) -> None:
        *parents, leaf = path.split(".")
        node = tree
        for name in parents:
            node = node.setdefault(name, {})
        node[leaf] = np.asarray(value)

    for key, value in arrays.items():
        if match := re.fullmatch(r"_blocks\.(\d+)\._(expand|depthwise|project)_conv\.weight", key):
            put(f"blocks.{match[1]}.{match[2]}.kernel", value.transpose(2, 3, 1, 0))
        elif match := re.fullmatch(rf"_blocks\.(\d+)\.(_bn[012])\.({known})", key):
            stage = {"_bn0": "expand", "_bn1": "depthwise", "_bn2": "project"}[match[2]]
            put(f"blocks.{match[1]}.{stage}.norm.{leaves[match[3]]}", value)
        elif match := re.fullmatch(r"_conv_(stem|head)\.weight", key):
            put(f"{match[1]}.kernel", value.transpose(2, 3, 1, 0))
        elif match := re.fullmatch(rf"(_bn[01])\.({known})", key):
            put(f"{'stem' if match[1] == '_bn0' else 'head'}.norm.{leaves[match[2]]}", value)
        elif key == "_fc.weight":
            put("classifier.kernel", value.T)
        elif key == "_fc.bias":
            put("classifier.bias", value)
        elif not key.endswith("num_batches_tracked"):
            raise KeyError(f"not a tensor of EfficientNet-Lite0: {key}")
    return tree
