"""VGG-16 (Simonyan and Zisserman 2015, arXiv 1409.1556, configuration D) without its classifier: two frame encoders.

`VGG16` has the five pools of the original and three levels. `VGG16D1` is the released STANet+ variant: its fourth pool does not
shrink, its last three convolutions are dilated, and its one level is at stride 8. Both have the same parameters, kernels
``convs.<0..12>.kernel`` (HWIO) and ``.bias``, in the order of torchvision's ``vgg16().features``.
"""

from __future__ import annotations

from collections.abc import Mapping

import jax
import numpy as np
from flax import nnx

from stajax.encoders import imagenet
from stajax.encoders.base import level
from stajax.layers.conv import Conv
from stajax.layers.pool import max_pool

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))  # channels of the convolutions, by stage

CONV_NAMES = tuple(f"conv{stage}_{i + 1}" for stage, widths in enumerate(WIDTHS, start=1) for i in range(len(widths)))


class VGG16(nnx.Module):
    """Frame encoder with the levels pool3, pool4 and pool5. `size` px views."""

    strides: tuple[int, ...] = (8, 16, 32)
    channels: tuple[int, ...] = (256, 512, 512)
    level_stages: tuple[str, ...] = ("pool3", "pool4", "pool5")
    pools: tuple[tuple[int, int, int] | None, ...] = ((2, 2, 0),) * 5  # window, stride and padding after each stage
    last_dilation = 1

    def __init__(self, *, size: int = 256, rngs: nnx.Rngs):
        self.size = size
        convs, channels = [], 3
        for stage, widths in enumerate(WIDTHS, start=1):
            dilation = self.last_dilation if stage == len(WIDTHS) else 1
            for width in widths:
                convs.append(Conv(channels, width, (3, 3), padding=((dilation,) * 2,) * 2, dilation=dilation, rngs=rngs))
                channels = width
        self.convs = nnx.List(convs)

    def side(self, stride: int) -> int:
        """Height and width of the level at `stride`: pools drop what is odd."""
        return self.size // stride

    def normalise(self, views: jax.Array) -> jax.Array:
        """`views` (F, h, w, 3) uint8 RGB -> the input of `stages`."""
        return imagenet.normalise(views)

    def stages(self, x: jax.Array) -> dict[str, jax.Array]:
        """`x` (F, h, w, 3) normalised, any size -> ``conv1_1`` ... ``conv5_3`` after ReLU and ``pool1`` ... (F, h', w', C)."""
        stages, convs = {}, iter(self.convs)
        for number, (widths, pool) in enumerate(zip(WIDTHS, self.pools, strict=True), start=1):
            for index in range(1, len(widths) + 1):
                stages[f"conv{number}_{index}"] = x = jax.nn.relu(next(convs)(x))
            if pool is not None:
                stages[f"pool{number}"] = x = max_pool(x, *pool)
        return stages

    def levels(self, stages: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The levels ``stride8``, ... among `stages`."""
        return {level(stride): stages[name] for stride, name in zip(self.strides, self.level_stages, strict=True)}

    def __call__(self, views: jax.Array) -> dict[str, jax.Array]:
        """`views` (F, size, size, 3) uint8 RGB -> {"stride8": (F, size // 8, size // 8, channels[0]), ...} float32."""
        return self.levels(self.stages(self.normalise(views)))


class VGG16D1(VGG16):
    """Frame encoder with one level, conv5_3 at stride 8: pool4 is 3x3 at stride 1, conv5 is dilated by 2, there is no pool5."""

    strides = (8,)
    channels = (512,)
    level_stages = ("conv5_3",)
    pools = (*VGG16.pools[:3], (3, 1, 1), None)
    last_dilation = 2


def from_npz(arrays: Mapping[str, np.ndarray]) -> dict:
    """Parameters of `VGG16` or `VGG16D1` from ``conv1_1/kernel`` (HWIO), ``conv1_1/bias``, ... ``conv5_3/bias``, as float32.

    A stranger is a KeyError that names it.
    """
    order = {name: str(index) for index, name in enumerate(CONV_NAMES)}
    tree: dict = {"convs": {}}
    for key, value in arrays.items():
        name, _, leaf = key.partition("/")
        if name not in order or leaf not in ("kernel", "bias"):
            raise KeyError(f"not a tensor of VGG-16: {key}")
        tree["convs"].setdefault(order[name], {})[leaf] = np.asarray(value, np.float32)
    return tree
