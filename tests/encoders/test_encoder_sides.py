"""What a frame encoder announces, its `side` above all, against the shapes that it gives."""

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from stajax.encoders import FRAME_ENCODERS, constructor

NAMES = ("tiny", "efficientnet_lite0", "vgg16", "vgg16_d1", "resnet50")


@pytest.mark.parametrize("size", [256, 356])
@pytest.mark.parametrize("name", NAMES)
def test_sides_strides_and_channels_are_those_of_the_levels(name, size):
    if name == "tiny" and size == 356:
        size = 352  # it averages whole squares of 32 px
    graphdef, state = nnx.split(nnx.eval_shape(lambda: constructor(name, FRAME_ENCODERS)(size=size, rngs=nnx.Rngs(0))))
    views = jax.ShapeDtypeStruct((2, size, size, 3), jnp.uint8)
    levels = jax.eval_shape(lambda state, views: nnx.merge(graphdef, state)(views), state, views)
    encoder = nnx.merge(graphdef, state)
    announced = zip(encoder.strides, encoder.channels, strict=True)
    expected = {f"stride{stride}": (2, encoder.side(stride), encoder.side(stride), c) for stride, c in announced}
    assert {key: level.shape for key, level in levels.items()} == expected
    assert encoder.size == size
