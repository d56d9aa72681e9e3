"""The ResNet family as torchvision has it (v1.5: the stride is on the 3x3 convolution), ResNeXt-101 32x8d among them.

He et al. 2016 (arXiv 1512.03385), Xie et al. 2017 (arXiv 1611.05431). Batch norm by running statistics, eps 1e-5. Parameters:
``conv1``, ``bn1``, ``layers.<stage>.<block>.conv1``, ``.bn1``, ..., ``layers.<stage>.0.downsample.conv``, ``.bn``, and ``fc``.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
from flax import nnx

from stajax.encoders import imagenet
from stajax.encoders.base import level
from stajax.layers.conv import Conv, Implementation
from stajax.layers.pool import max_pool


def _batch_norm(features: int, rngs: nnx.Rngs) -> nnx.BatchNorm:
    return nnx.BatchNorm(features, use_running_average=True, momentum=0.9, epsilon=1e-5, rngs=rngs)


class Downsample(nnx.Module):
    """The shortcut of a block that changes the shape: 1x1 convolution with the block's stride, batch norm."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int, rngs: nnx.Rngs):
        self.conv = Conv(channels_in, channels_out, (1, 1), stride=stride, use_bias=False, rngs=rngs)
        self.bn = _batch_norm(channels_out, rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.bn(self.conv(x))


class BasicBlock(nnx.Module):
    """Two 3x3 convolutions; the block of ResNet-18 and ResNet-34. It has no groups and no width of its own."""

    expansion = 1

    def __init__(self, channels_in, planes, *, stride, groups, width_per_group, implementation: Implementation, rngs):
        if groups != 1 or width_per_group != 64:
            raise ValueError("a BasicBlock has one group, 64 wide; take Bottleneck")
        self.conv1 = Conv(channels_in, planes, (3, 3), stride=stride, use_bias=False, rngs=rngs)
        self.bn1 = _batch_norm(planes, rngs)
        self.conv2 = Conv(planes, planes, (3, 3), use_bias=False, rngs=rngs)
        self.bn2 = _batch_norm(planes, rngs)
        reshapes = stride != 1 or channels_in != planes
        self.downsample = Downsample(channels_in, planes, stride=stride, rngs=rngs) if reshapes else None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return jax.nn.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nnx.Module):
    """1x1, grouped 3x3 and 1x1 convolution; the inner two are planes * width_per_group / 64 * groups wide."""

    expansion = 4

    def __init__(self, channels_in, planes, *, stride, groups, width_per_group, implementation: Implementation, rngs):
        width, out = planes * width_per_group // 64 * groups, planes * self.expansion
        grouped = {"stride": stride, "groups": groups, "implementation": implementation}
        self.conv1 = Conv(channels_in, width, (1, 1), use_bias=False, rngs=rngs)
        self.bn1 = _batch_norm(width, rngs)
        self.conv2 = Conv(width, width, (3, 3), use_bias=False, rngs=rngs, **grouped)
        self.bn2 = _batch_norm(width, rngs)
        self.conv3 = Conv(width, out, (1, 1), use_bias=False, rngs=rngs)
        self.bn3 = _batch_norm(out, rngs)
        reshapes = stride != 1 or channels_in != out
        self.downsample = Downsample(channels_in, out, stride=stride, rngs=rngs) if reshapes else None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = jax.nn.relu(self.bn1(self.conv1(x)))
        y = jax.nn.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return jax.nn.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nnx.Module):
    """Frame encoder. Levels at strides 8, 16 and 32 after layer2, layer3 and layer4; fewer where `stages` < 4.

    block: `BasicBlock` or `Bottleneck`. layers: blocks of each of the four stages. stages: how many of them to keep, 2 to 4.
    classes: of the linear classifier on the last stage, None for no classifier. size: of the views, in pixels.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        *,
        groups: int = 1,
        width_per_group: int = 64,
        channels_in: int = 3,
        stages: int = 4,
        classes: int | None = None,
        size: int = 256,
        implementation: Implementation = "auto",
        rngs: nnx.Rngs,
    ):
        self.size = size
        self.strides = (8, 16, 32)[: stages - 1]
        self.channels = tuple(planes * block.expansion for planes in (128, 256, 512)[: stages - 1])
        self.conv1 = Conv(channels_in, 64, (7, 7), stride=2, use_bias=False, rngs=rngs)
        self.bn1 = _batch_norm(64, rngs)
        options = {"groups": groups, "width_per_group": width_per_group, "implementation": implementation, "rngs": rngs}
        channels, built = 64, []
        for stage, blocks in enumerate(layers[:stages]):
            built.append(nnx.List())
            for index in range(blocks):
                stride = 2 if stage > 0 and index == 0 else 1
                built[-1].append(block(channels, 64 << stage, stride=stride, **options))
                channels = (64 << stage) * block.expansion
        self.layers = nnx.List(built)
        self.fc = None if classes is None else nnx.Linear(channels, classes, rngs=rngs)

    def side(self, stride: int) -> int:
        """Height and width of the level at `stride`: convolutions at a stride round up."""
        return -(-self.size // stride)

    def normalise(self, views: jax.Array) -> jax.Array:
        """`views` (F, h, w, 3) uint8 RGB -> the input of `stages`."""
        return imagenet.normalise(views)

    def stages(self, x: jax.Array) -> dict[str, jax.Array]:
        """`x` (F, h, w, channels_in) normalised, any size -> ``stem`` (ReLU), ``maxpool``, ``layer1`` ... (F, h', w', C)."""
        stages = {"stem": jax.nn.relu(self.bn1(self.conv1(x)))}
        stages["maxpool"] = x = max_pool(stages["stem"], 3, 2, 1)
        for number, blocks in enumerate(self.layers, start=1):
            for block in blocks:
                x = block(x)
            stages[f"layer{number}"] = x
        return stages

    def levels(self, stages: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The levels ``stride8``, ... among `stages`."""
        return {level(stride): stages[f"layer{number}"] for number, stride in enumerate(self.strides, start=2)}

    def __call__(self, views: jax.Array) -> dict[str, jax.Array]:
        """`views` (F, size, size, 3) uint8 RGB -> {"stride8": (F, side, side, channels[0]), ...}, side = ceil(size / 8)."""
        return self.levels(self.stages(self.normalise(views)))

    def classify(self, levels: dict[str, jax.Array]) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits (F, classes), aux {"features": (F, h, w, C), "avgpool": (F, C)}: GAP and one linear layer, as Eq. 1 wants."""
        features = levels[level(self.strides[-1])]
        pooled = features.mean((1, 2))
        return self.fc(pooled), {"features": features, "avgpool": pooled}


def resnet50(**options) -> ResNet:
    """ResNet-50; `options` of `ResNet`, of which `rngs` is needed."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **options)


def resnet50_imagenet(**options) -> ResNet:
    """ResNet-50 with the classifier of ImageNet's 1000 classes."""
    return resnet50(classes=1000, **options)


def resnext101_32x8d(**options) -> ResNet:
    """ResNeXt-101 32x8d, the backbone of the released S, SA, ST and STA (with weights from weakly supervised images)."""
    return ResNet(Bottleneck, (3, 4, 23, 3), groups=32, width_per_group=8, **options)


def resnext101_32x8d_layer3(**options) -> ResNet:
    """ResNeXt-101 32x8d up to layer3, as the released S has it."""
    return resnext101_32x8d(stages=3, **options)


def resnext101_32x8d_imagenet(**options) -> ResNet:
    """ResNeXt-101 32x8d with the classifier of ImageNet's 1000 classes."""
    return resnext101_32x8d(classes=1000, **options)
