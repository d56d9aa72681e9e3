"""stajax/layers/conv.py against float64 NumPy: convolutions as plain loops, TensorFlow's padding rule restated."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from stajax.layers.conv import (
    Conv,
    ConvTranspose,
    conv,
    depthwise_taps,
    grouped_conv,
    pointwise,
    resolve,
    same_conv,
    same_padding,
)


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def correlate_by_loops(x, kernel, strides, padding, groups=1, dilation=1):
    """PyTorch's conv2d / conv3d, channels last: y[o] = sum over taps and the group's input channels of x * kernel."""
    x, kernel = x.astype(np.float64), kernel.astype(np.float64)
    x = np.pad(x, ((0, 0), *padding, (0, 0)))
    taps, (per_group, out) = kernel.shape[:-2], kernel.shape[-2:]
    size = [(n - dilation * (k - 1) - 1) // s + 1 for n, k, s in zip(x.shape[1:-1], taps, strides, strict=True)]
    y = np.zeros((len(x), *size, out))
    for n, place, o in product(range(len(x)), np.ndindex(*size), range(out)):
        first = o // (out // groups) * per_group
        for tap in np.ndindex(*taps):
            where = tuple(p * s + t * dilation for p, s, t in zip(place, strides, tap, strict=True))
            for c in range(per_group):
                y[(n, *place, o)] += x[(n, *where, first + c)] * kernel[(*tap, c, o)]
    return y


def scatter_by_loops(x, kernel, stride):
    """PyTorch's ConvTranspose2d: each input pixel adds its multiple of the kernel (in, out, k, k) to the output."""
    x = x.astype(np.float64)
    k = kernel.shape[-1]
    y = np.zeros((len(x), (x.shape[1] - 1) * stride + k, (x.shape[2] - 1) * stride + k, kernel.shape[1]))
    for n, i, j, c in np.ndindex(*x.shape):
        for o, a, b in np.ndindex(*kernel.shape[1:]):
            y[n, i * stride + a, j * stride + b, o] += x[n, i, j, c] * np.float64(kernel[c, o, a, b])
    return y


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_equals_tensorflows_rule(kernel, stride):
    # www.tensorflow.org/api_docs/python/tf/nn, "Notes on padding": the total depends on the size modulo the stride.
    for size in range(1, 40):
        total = max(kernel - (stride if size % stride == 0 else size % stride), 0)
        before, after = same_padding(size, kernel, stride)
        assert (before, after) == (total // 2, total - total // 2)
        assert (size + before + after - kernel) // stride + 1 == -(-size // stride)


@pytest.mark.parametrize(
    ("strides", "padding", "groups"),
    [
        ((1, 1), ((1, 1), (1, 1)), 1),
        ((2, 3), ((0, 1), (2, 0)), 1),
        ((2, 1), ((1, 0), (0, 0)), 2),
        ((1, 2), ((1, 1), (0, 1)), 4),
    ],
)
def test_conv_2d_equals_loops(strides, padding, groups):
    x, kernel = normal(2, 6, 7, 4), normal(3, 2, 4 // groups, 4)
    expected = correlate_by_loops(x, kernel, strides, padding, groups)
    np.testing.assert_allclose(conv(x, kernel, strides=strides, padding=padding, groups=groups), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("taps", "strides", "padding"),
    [((3, 1, 1), (1, 1, 1), ((0, 0),) * 3), ((2, 3, 2), (1, 2, 1), ((1, 0), (1, 1), (0, 1)))],
)
def test_conv_3d_equals_loops(taps, strides, padding):
    x, kernel = normal(2, 3, 5, 4, 2), normal(*taps, 2, 3)
    expected = correlate_by_loops(x, kernel, strides, padding)
    np.testing.assert_allclose(conv(x, kernel, strides=strides, padding=padding), expected, atol=1e-5)


@pytest.mark.parametrize(("dilation", "strides"), [(2, (1, 1)), (3, (2, 1))])
def test_dilated_conv_equals_loops(dilation, strides):
    x, kernel = normal(2, 9, 7, 3), normal(3, 2, 3, 4)
    padding = ((dilation, dilation), (0, 1))
    expected = correlate_by_loops(x, kernel, strides, padding, dilation=dilation)
    np.testing.assert_allclose(conv(x, kernel, strides=strides, padding=padding, dilation=dilation), expected, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(4, 7), (5, 6), (1, 1)])
def test_pointwise_equals_loops(size, stride):
    x, kernel = normal(2, *size, 3), normal(1, 1, 3, 4)
    expected = correlate_by_loops(x, kernel, (stride, stride), ((0, 0), (0, 0)))
    np.testing.assert_allclose(pointwise(x, kernel, stride=stride), expected, atol=1e-5)


@pytest.mark.parametrize("implementation", ["native", "taps"])
@pytest.mark.parametrize(
    ("groups", "features", "stride", "padding"),
    [
        (4, (8, 8), 1, ((1, 1), (1, 1))),
        (2, (6, 4), 2, ((1, 1), (1, 1))),
        (3, (3, 6), 2, ((0, 2), (1, 0))),
        (1, (2, 3), 1, ((0, 0), (0, 0))),
    ],
)
def test_grouped_conv_equals_loops(groups, features, stride, padding, implementation):
    x, kernel = normal(2, 6, 7, features[0]), normal(3, 3, features[0] // groups, features[1])
    expected = correlate_by_loops(x, kernel, (stride, stride), padding, groups)
    options = {"stride": stride, "padding": padding, "groups": groups, "implementation": implementation}
    actual = jax.jit(lambda x, k: grouped_conv(x, k, **options))(x, kernel)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_grouped_taps_equal_those_of_the_native_convolution(stride):
    x, kernel = normal(2, 5, 6, 6), normal(3, 3, 2, 9)

    def gradients(implementation):
        options = {"stride": stride, "padding": ((1, 1), (1, 1)), "groups": 3, "implementation": implementation}
        return jax.jit(jax.grad(lambda x, k: jnp.sum(jnp.sin(grouped_conv(x, k, **options))), argnums=(0, 1)))(x, kernel)

    for taps, native in zip(gradients("taps"), gradients("native"), strict=True):
        np.testing.assert_allclose(taps, native, atol=1e-5)


def test_grouped_and_dilated_conv_equal_pytorch():
    torch = pytest.importorskip("torch")
    x, kernel = normal(2, 9, 8, 6), normal(3, 3, 3, 4)
    theirs = torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(kernel).permute(3, 2, 0, 1)
    for implementation in ("native", "taps"):
        options = {"stride": 2, "padding": ((1, 1), (1, 1)), "groups": 2, "implementation": implementation}
        expected = torch.nn.functional.conv2d(*theirs, stride=2, padding=1, groups=2).permute(0, 2, 3, 1)
        np.testing.assert_allclose(grouped_conv(x, kernel, **options), expected, atol=1e-5)
    x = x[..., :3]
    expected = torch.nn.functional.conv2d(theirs[0][:, :3], theirs[1], padding=2, dilation=2).permute(0, 2, 3, 1)
    np.testing.assert_allclose(conv(x, kernel, strides=(1, 1), padding=((2, 2),) * 2, dilation=2), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (5, 5), (2, 4)])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(5, 5), (6, 9)])
def test_depthwise_taps_equal_the_native_convolution(kernel, stride, size):
    x, weight = normal(2, *size, 5), normal(*kernel, 1, 5)
    paddings = [[same_padding(n, k, stride) for n, k in zip(size, kernel, strict=True)], [(2, 0), (1, 3)]]

    @jax.jit
    def both(x, weight):
        native = [conv(x, weight, strides=(stride, stride), padding=padding, groups=5) for padding in paddings]
        return native, [depthwise_taps(x, weight, stride=stride, padding=padding) for padding in paddings]

    for native, taps, padding in zip(*both(x, weight), paddings, strict=True):
        assert taps.shape == native.shape
        np.testing.assert_allclose(taps, native, atol=1e-5)
        np.testing.assert_allclose(taps, correlate_by_loops(x, weight, (stride, stride), padding, 5), atol=1e-5)


@pytest.mark.parametrize("implementation", ["native", "taps", "auto"])
@pytest.mark.parametrize("depthwise", [True, False])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 1), (1, 1), (1, 2)])
def test_same_conv_equals_loops_with_tensorflows_padding(implementation, kernel, stride, depthwise):
    x, weight = normal(1, 6, 9, 3), normal(kernel, kernel, 1 if depthwise else 3, 3)
    padding = [same_padding(n, kernel, stride) for n in (6, 9)]
    expected = correlate_by_loops(x, weight, (stride, stride), padding, 3 if depthwise else 1)
    options = {"stride": stride, "depthwise": depthwise, "implementation": implementation}
    actual = jax.jit(lambda x: same_conv(x, weight, **options))(x)
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_gradients_of_taps_equal_those_of_the_native_convolution():
    x, weight, padding = normal(2, 7, 6, 3), normal(3, 3, 1, 3), [(1, 1), (0, 1)]

    def through(operation):
        return jax.jit(jax.grad(lambda x, w: jnp.sum(jnp.sin(operation(x, w))), argnums=(0, 1)))(x, weight)

    taps = through(lambda x, w: depthwise_taps(x, w, stride=2, padding=padding))
    native = through(lambda x, w: conv(x, w, strides=(2, 2), padding=padding, groups=3))
    for ours, theirs in zip(taps, native, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_auto_means_taps_on_a_cpu_and_native_elsewhere(monkeypatch):
    for backend, expected in [("cpu", "taps"), ("gpu", "native"), ("tpu", "native")]:
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        assert resolve("auto") == expected
        assert [resolve("native"), resolve("taps")] == ["native", "taps"]


def with_parameters(make, **parameters):
    """The module that `make` describes, with these parameters; nothing random is computed."""
    graphdef, state = nnx.split(nnx.eval_shape(make))
    assert {name: leaf.shape for name, leaf in nnx.to_pure_dict(state).items()} == {k: v.shape for k, v in parameters.items()}
    return nnx.merge(graphdef, {name: jnp.asarray(value) for name, value in parameters.items()})


@pytest.mark.parametrize(
    ("shape", "taps", "padding", "resolved"),
    [
        ((2, 5, 6, 3), (1, 1), None, ((0, 0), (0, 0))),
        ((2, 5, 6, 3), (3, 3), None, ((1, 1), (1, 1))),
        ((2, 5, 6, 3), (4, 2), None, ((1, 2), (0, 1))),
        ((1, 3, 4, 4, 3), (3, 1, 1), ((0, 0),) * 3, ((0, 0),) * 3),
    ],
)
def test_conv_module_equals_loops_plus_bias(shape, taps, padding, resolved):
    x, kernel, bias = normal(*shape), normal(*taps, 3, 4), normal(4)
    module = with_parameters(lambda: Conv(3, 4, taps, padding=padding, rngs=nnx.Rngs(0)), kernel=kernel, bias=bias)
    expected = correlate_by_loops(x, kernel, (1,) * len(taps), resolved) + bias
    np.testing.assert_allclose(module(x), expected, atol=1e-5)
    without = with_parameters(lambda: Conv(3, 4, taps, padding=padding, use_bias=False, rngs=nnx.Rngs(0)), kernel=kernel)
    np.testing.assert_allclose(without(x), expected - bias, atol=1e-5)


@pytest.mark.parametrize(
    ("taps", "padding", "options"),
    [
        ((1, 1), ((0, 0), (0, 0)), {"stride": 2}),
        ((1, 1), ((1, 0), (0, 1)), {"stride": 2}),
        ((3, 3), ((2, 2), (2, 2)), {"dilation": 2}),
        ((3, 3), ((1, 1), (1, 1)), {"stride": 2, "groups": 2}),
        ((1, 1), ((0, 0), (0, 0)), {"groups": 2}),
    ],
)
def test_conv_module_with_options_equals_loops(taps, padding, options):
    groups, stride = options.get("groups", 1), options.get("stride", 1)
    x, kernel = normal(2, 6, 5, 4), normal(*taps, 4 // groups, 6)
    module = with_parameters(
        lambda: Conv(4, 6, taps, padding=padding, use_bias=False, rngs=nnx.Rngs(0), **options), kernel=kernel
    )
    expected = correlate_by_loops(x, kernel, (stride, stride), padding, groups, options.get("dilation", 1))
    np.testing.assert_allclose(jax.jit(module)(x), expected, atol=1e-5)


def test_a_grouped_conv_module_refuses_what_it_does_not_do():
    for taps, options in [((3, 3, 3), {}), ((3, 3), {"dilation": 2})]:
        with pytest.raises(ValueError, match="two spatial axes and no dilation"):
            Conv(4, 4, taps, groups=2, rngs=nnx.Rngs(0), **options)


@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (3, 1), (4, 2), (2, 3), (3, 2)])
@pytest.mark.parametrize("size", [(1, 1), (3, 4)])
def test_conv_transpose_equals_pytorchs_as_a_scatter(kernel, stride, size):
    x, torch_weight, bias = normal(2, *size, 5), normal(5, 3, kernel, kernel), normal(3)
    module = with_parameters(
        lambda: ConvTranspose(5, 3, kernel, stride=stride, rngs=nnx.Rngs(0)),
        kernel=torch_weight.transpose(2, 3, 1, 0),
        bias=bias,
    )
    expected = scatter_by_loops(x, torch_weight, stride) + bias
    actual = jax.jit(module)(x)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("make", [Conv, ConvTranspose])
def test_initialisation_keeps_the_variance_of_a_rectified_input(make):
    """He initialisation: each output of ReLU'd unit normals has the variance that goes in, 2 * E[relu(x)^2] = 1."""
    taps = (3, 3) if make is Conv else 3
    module, x = make(64, 64, taps, rngs=nnx.Rngs(0)), np.maximum(normal(1, 12, 12, 64), 0)
    inner = np.asarray(module(x))[:, 3:-3, 3:-3]
    assert np.square(inner).mean() == pytest.approx(1, rel=0.1)
    assert not np.any(module.bias[...])
