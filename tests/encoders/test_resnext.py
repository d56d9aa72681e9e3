"""The ResNet family: ResNeXt-101 32x8d against the released code's goldens, others against torchvision's published sizes."""

import re

import jax
import numpy as np
import pytest
from flax import nnx
from released_goldens import level_shapes, without_numbers

from stajax.encoders.params import flatten
from stajax.encoders.resnext import BasicBlock, Bottleneck, ResNet


def ours(module):
    """Our name of torchvision's module: layer1.0.downsample.1 -> layers.0.0.downsample.bn"""
    module = re.sub(r"^layer(\d)", lambda match: f"layers.{int(match[1]) - 1}", module)
    return module.replace("downsample.0", "downsample.conv").replace("downsample.1", "downsample.bn")


# Parameters without the running statistics, as torchvision's model table gives them.
PUBLISHED = {"resnet50_imagenet": 25_557_032, "resnext101_32x8d_imagenet": 88_791_336}


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_many_as_torchvision_publishes(name):
    leaves = flatten(without_numbers(name)[1])
    count = {part: sum(np.prod(v.shape) for k, v in leaves.items() if k.startswith(part)) for part in ("", "fc.")}
    statistics = sum(np.prod(v.shape) for k, v in leaves.items() if k.endswith((".mean", ".var")))
    assert count[""] - statistics == PUBLISHED[name]
    bare = sum(np.prod(v.shape) for v in flatten(without_numbers(name.removesuffix("_imagenet"))[1]).values())
    assert bare == count[""] - count["fc."]


def test_resnet18_has_as_many_parameters_as_torchvision_publishes():
    net = nnx.eval_shape(lambda: ResNet(BasicBlock, (2, 2, 2, 2), classes=1000, rngs=nnx.Rngs(0)))
    leaves = flatten(nnx.to_pure_dict(nnx.state(net, nnx.Param)))
    assert sum(np.prod(leaf.shape) for leaf in leaves.values()) == 11_689_512
    assert net.channels == (128, 256, 512)


def test_layer3_is_the_whole_net_without_its_last_stage():
    whole, part = (flatten(without_numbers(name)[1]) for name in ("resnext101_32x8d", "resnext101_32x8d_layer3"))
    assert set(part) == {key for key in whole if not key.startswith("layers.3.")}
    assert all(part[key].shape == whole[key].shape for key in part)


@pytest.mark.parametrize(
    ("name", "channels"),
    [("resnet50", {8: 512, 16: 1024, 32: 2048}), ("resnext101_32x8d_layer3", {8: 512, 16: 1024})],
)
def test_levels_have_the_announced_strides_and_channels(name, channels):
    announced, shapes = level_shapes(name, 356)
    assert announced == channels
    assert shapes == {f"stride{s}": (2, -(-356 // s), -(-356 // s), c) for s, c in channels.items()}


def test_taps_equal_native_through_a_small_net():
    def shaped(implementation):
        options = {"groups": 4, "width_per_group": 8, "stages": 3, "implementation": implementation}
        graphdef, state = nnx.split(nnx.eval_shape(lambda: ResNet(Bottleneck, (1, 2, 1, 1), rngs=nnx.Rngs(0), **options)))
        return graphdef, nnx.to_pure_dict(state)

    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.uniform(0, 0.2, leaf.shape).astype(np.float32), shaped("taps")[1])
    x = rng.standard_normal((2, 32, 32, 3)).astype(np.float32)
    taps, native = (jax.jit(nnx.merge(shaped(i)[0], variables).stages)(x) for i in ("taps", "native"))
    assert set(taps) == {"stem", "maxpool", "layer1", "layer2", "layer3"}
    for name in taps:
        np.testing.assert_allclose(taps[name], native[name], rtol=0, atol=1e-5 * np.abs(native[name]).max())


def test_a_basic_block_has_no_groups():
    with pytest.raises(ValueError, match="one group"):
        ResNet(BasicBlock, (1, 1, 1, 1), groups=2, rngs=nnx.Rngs(0))
