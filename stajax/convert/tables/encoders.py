"""The encoders: torchvision's VGG-16 and ResNets, VGGSound's net, and the same inside the authors' nets."""

from __future__ import annotations

from collections.abc import Sequence

from stajax.convert import table
from stajax.convert.table import Row
from stajax.convert.tables.layers import conv, linear, norm
from stajax.encoders.vgg import CONV_NAMES

VGG_LAYERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)  # the convolutions in torchvision's Sequential


def vgg16(target: str = "") -> tuple[Row, ...]:
    """``features.<i>`` of torchvision's vgg16, of the authors' D1 too."""
    return tuple(row for i, layer in enumerate(VGG_LAYERS) for row in conv(rf"features\.{layer}", f"{target}convs.{i}"))


def vgg16_hwio(target: str = "") -> tuple[Row, ...]:
    """``conv1_1/kernel`` and so on, kernels (kh, kw, in, out), as in the npz of `encoders.vgg.from_npz`."""
    return tuple(
        Row(f"{name}/{leaf}", f"{target}convs.{i}.{leaf}") for i, name in enumerate(CONV_NAMES) for leaf in ("kernel", "bias")
    )


def resnet(conv1: str, bn1: str, stages: Sequence[str], target: str = "") -> tuple[Row, ...]:
    """A ResNet of torchvision's layout, whose stem and stages have these (regular expressions of) names."""
    rows = [Row(rf"{conv1}\.weight", f"{target}conv1.kernel", table.conv), *norm(bn1, f"{target}bn1")]
    for number, stage in enumerate(stages):
        block, ours = rf"{stage}\.(\d+)", rf"{target}layers.{number}.\1"
        rows += [
            Row(rf"{block}\.conv(\d)\.weight", rf"{ours}.conv\2.kernel", table.conv),
            *norm(rf"{block}\.bn(\d)", rf"{ours}.bn\2"),
            Row(rf"{block}\.downsample\.0\.weight", f"{ours}.downsample.conv.kernel", table.conv),
            *norm(rf"{block}\.downsample\.1", f"{ours}.downsample.bn"),
        ]
    return tuple(rows)


def torchvision_resnet(target: str = "") -> tuple[Row, ...]:
    stages = [rf"layer{number}" for number in range(1, 5)]
    return (*resnet("conv1", "bn1", stages, target), *linear("fc", f"{target}fc"))


def resnet_children(prefix: str, stages: int = 4, target: str = "") -> tuple[Row, ...]:
    """A ResNet as a Sequential of its children: 0 is the first convolution, 1 its norm, 4 and on the stages."""
    return resnet(rf"{prefix}\.0", rf"{prefix}\.1", [rf"{prefix}\.{4 + n}" for n in range(stages)], target)


def vggsound() -> tuple[Row, ...]:
    """The VGGSound repository's checkpoint with NetVLAD, ``audnet.*``."""
    stages = [rf"audnet\.layer{number}" for number in range(1, 5)]
    trunk = resnet(r"audnet\.conv1", r"audnet\.bn1", stages, "trunk.")
    return (*trunk, *_netvlad(r"audnet\.avgpool", "netvlad"), *linear(r"audnet\.fc_", "fc"))


def vggsound_children(prefix: str, target: str) -> tuple[Row, ...]:
    """The same as the authors' nets hold it: a Sequential, whose child 8 is NetVLAD."""
    return (*resnet_children(prefix, target=f"{target}trunk."), *_netvlad(rf"{prefix}\.8", f"{target}netvlad"))


def _netvlad(source: str, target: str) -> tuple[Row, ...]:
    return (Row(rf"{source}\.centroids", f"{target}.centroids"), *conv(rf"{source}\.conv", f"{target}.assignment"))
