"""Convolutions in NHWC, with PyTorch-style integer paddings.

XLA's CPU backend is slow on grouped convolutions. They can be computed two ways with the same values (to about 3e-6):
``native`` hands them to XLA whole, ``taps`` takes them apart. A depthwise one becomes a sum of shifted, scaled copies of the
input, one for each position of the kernel (EfficientNet-Lite0 runs several times faster so, `benchmarks/predict.py`); a
grouped one becomes one dense convolution per group. On an accelerator ``native`` is the natural choice. ``auto`` decides
by the backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

Implementation = Literal["auto", "native", "taps"]
Padding = Sequence[tuple[int, int]]

_DIMENSIONS = {4: ("NHWC", "HWIO", "NHWC"), 5: ("NDHWC", "DHWIO", "NDHWC")}


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME: (before, after), the odd pixel after. Depends on the input size, unlike PyTorch's."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def conv(
    x: jax.Array, kernel: jax.Array, *, strides: Sequence[int], padding: Padding, dilation: int = 1, groups: int = 1
) -> jax.Array:
    """Cross-correlation (PyTorch's conv2d, conv3d) of `x` (N, [D,] H, W, C) with `kernel` ([kd,] kh, kw, C/groups, O)."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=(dilation,) * len(strides),
        dimension_numbers=_DIMENSIONS[x.ndim],
        feature_group_count=groups,
    )


def pointwise(x: jax.Array, kernel: jax.Array, *, stride: int = 1) -> jax.Array:
    """1x1 convolution without padding of `x` (N, H, W, C) with `kernel` (1, 1, C, O), as a matrix product.

    Equals ``conv(x, kernel, strides=(stride, stride), padding=((0, 0), (0, 0)))``; XLA's CPU backend is up to twice as fast on
    the product.
    """
    return x[:, ::stride, ::stride] @ kernel[0, 0]


def depthwise_taps(x: jax.Array, kernel: jax.Array, *, stride: int, padding: Padding) -> jax.Array:
    """Depthwise convolution of `x` (N, H, W, C) with `kernel` (kh, kw, 1, C) as a sum of shifted products.

    Equals ``conv(x, kernel, groups=C)``.
    """
    kh, kw = kernel.shape[:2]
    (top, bottom), (left, right) = padding
    height = (x.shape[1] + top + bottom - kh) // stride + 1
    width = (x.shape[2] + left + right - kw) // stride + 1
    x = jnp.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    total = None
    for i in range(kh):
        for j in range(kw):
            tap = x[:, i : i + (height - 1) * stride + 1 : stride, j : j + (width - 1) * stride + 1 : stride]
            tap = tap * kernel[i, j, 0]
            total = tap if total is None else total + tap
    return total


def grouped_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int,
    padding: Padding,
    groups: int,
    implementation: Implementation = "auto",
) -> jax.Array:
    """Grouped 2-D convolution of `x` (N, H, W, C) with `kernel` (kh, kw, C/groups, O).

    Output channels o * O/groups ... come from input channels o * C/groups ... for o = 0 ... groups - 1, as in PyTorch. ``taps``
    loops over the groups, for unrolled they would take minutes to compile in a deep net. Its gradient on a CPU is some ten
    times faster than that of ``native``, but still slow.
    """
    strides = (stride, stride)
    if resolve(implementation) == "native":
        return conv(x, kernel, strides=strides, padding=padding, groups=groups)
    channels, out = kernel.shape[2], kernel.shape[3] // groups

    def one_group(group: jax.Array) -> jax.Array:
        part = jax.lax.dynamic_slice_in_dim(x, group * channels, channels, axis=-1)
        weights = jax.lax.dynamic_slice_in_dim(kernel, group * out, out, axis=-1)
        return conv(part, weights, strides=strides, padding=padding)

    y = jax.lax.map(one_group, jnp.arange(groups))
    return jnp.moveaxis(y, 0, -2).reshape(*y.shape[1:-1], groups * out)


def resolve(implementation: Implementation) -> Literal["native", "taps"]:
    """What ``auto`` means on this machine: taps on CPU, native elsewhere."""
    if implementation == "auto":
        return "taps" if jax.default_backend() == "cpu" else "native"
    return implementation


def same_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    depthwise: bool = False,
    implementation: Implementation = "auto",
) -> jax.Array:
    """2-D convolution with TensorFlow's SAME padding: x (N, H, W, C), kernel (k, k, C or, depthwise, 1, O)."""
    size = kernel.shape[0]
    if size == 1 and not depthwise:
        return pointwise(x, kernel, stride=stride)  # SAME pads a 1x1 kernel by nothing
    padding = [same_padding(n, size, stride) for n in x.shape[1:3]]
    if depthwise and resolve(implementation) == "taps":
        return depthwise_taps(x, kernel, stride=stride, padding=padding)
    return conv(x, kernel, strides=(stride, stride), padding=padding, groups=x.shape[-1] if depthwise else 1)


class Conv(nnx.Module):
    """Convolution over the last len(kernel_size) spatial axes, PyTorch's Conv2d and Conv3d.

    Parameters `kernel` ([kd,] kh, kw, in/groups, out) and `bias` (out). The default padding keeps the size at stride 1 without
    dilation. groups > 1 is for two axes without dilation; `implementation` says how (`grouped_conv`).
    """

    def __init__(
        self,
        features_in: int,
        features_out: int,
        kernel_size: Sequence[int],
        *,
        stride: int = 1,
        padding: Padding | None = None,
        dilation: int = 1,
        groups: int = 1,
        use_bias: bool = True,
        implementation: Implementation = "auto",
        kernel_init: nnx.Initializer = nnx.initializers.he_normal(),  # noqa: B008 (a pure function)
        rngs: nnx.Rngs,
    ):
        if groups > 1 and (len(kernel_size) != 2 or dilation != 1):
            raise ValueError("a grouped Conv has two spatial axes and no dilation")
        self.stride, self.dilation, self.groups, self.implementation = stride, dilation, groups, implementation
        self.padding = tuple(padding) if padding else tuple(((k - 1) // 2, k // 2) for k in kernel_size)
        shape = (*kernel_size, features_in // groups, features_out)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape))
        self.bias = nnx.Param(jnp.zeros(features_out)) if use_bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = self._convolve(x, self.kernel[...])
        return y if self.bias is None else y + self.bias[...]

    def _convolve(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        if self.groups > 1:
            options = {"stride": self.stride, "padding": self.padding, "groups": self.groups}
            return grouped_conv(x, kernel, implementation=self.implementation, **options)
        if kernel.shape[:-2] == (1, 1) and not np.any(self.padding):
            return pointwise(x, kernel, stride=self.stride)
        strides = (self.stride,) * len(self.padding)
        return conv(x, kernel, strides=strides, padding=self.padding, dilation=self.dilation)


class ConvTranspose(nnx.Module):
    """PyTorch's ConvTranspose2d without padding: (N, H, W, in) -> (N, (H-1)*stride + k, ..., out).

    `kernel` is (k, k, out, in): PyTorch's (in, out, k, k) under the permutation (2, 3, 1, 0). gain: factor on the variance of
    He's initialisation, which counts k * k inputs for each output; a small input has fewer.
    """

    def __init__(self, features_in: int, features_out: int, kernel: int, *, stride: int = 1, gain: float = 1.0, rngs: nnx.Rngs):
        initialise = nnx.initializers.variance_scaling(2.0 * gain, "fan_in", "normal", in_axis=-1, out_axis=-2)
        self.kernel = nnx.Param(initialise(rngs.params(), (kernel, kernel, features_out, features_in)))
        self.bias = nnx.Param(jnp.zeros(features_out))
        self.stride = stride

    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.kernel[...]
        padding = [(n - 1, n - 1) for n in kernel.shape[:2]]
        y = jax.lax.conv_transpose(
            x,
            kernel,
            (self.stride, self.stride),
            padding,
            dimension_numbers=_DIMENSIONS[4],
            transpose_kernel=True,
        )
        return y + self.bias[...]
