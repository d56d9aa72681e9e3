"""The fuse modules of Fig. 6: ST fuse (Eq. 6), SA fuse (Eq. 5), STA fuse (Eq. 15).

s: spatial features, v: temporal information after the 3-D convolution, a: sound after the deconvolutions; all (B, h, w, C).
The functions are the equations alone; the modules add the convolutions that make v and a.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.layers.conv import Conv, ConvTranspose

SwitchPosition = Literal["outside", "inside"]
AudioFuse = Literal["sa_fuse", "addition", "multiplication", "concatenation", "bilinear"]  # the rows of Table 3


def gate(s: jax.Array, source: jax.Array | None, switch: jax.Array | float = 1.0) -> jax.Array:
    """switch * sigmoid(source) * s + s: the gated sum that Eqs. 5, 6 and 15 share. `source` None is a path that is off: s."""
    return s if source is None else switch * jax.nn.sigmoid(source) * s + s


def st_fuse(s: jax.Array, v: jax.Array) -> jax.Array:
    """Eq. 6: [ReLU(σ(v) ⊙ s + s), s], concatenated over channels -> (B, h, w, 2C)."""
    return jnp.concatenate([jax.nn.relu(gate(s, v)), s], axis=-1)


def sa_fuse(s: jax.Array, a: jax.Array | None, switch: jax.Array | float = 1.0, how: Callable = gate) -> jax.Array:
    """Eq. 5 with the audio switch outside the sigmoid: [ReLU(φ σ(a) ⊙ s + s), s] -> (B, h, w, 2C).

    Printed, φ sits inside the deconvolution, where closing it leaves the sound's gate at σ(bias), about 0.5; `SoundGate` offers
    that form (docs/architecture.md, Decisions). how: what stands inside the ReLU, such as a `PlainFuse`.
    """
    return jnp.concatenate([jax.nn.relu(how(s, a, switch)), s], axis=-1)


def sta_concat(s: jax.Array, a: jax.Array | None, v: jax.Array | None, switch: jax.Array | float = 1.0) -> jax.Array:
    """The inside of Eq. 15 with the audio switch outside the sigmoid: [φ σ(a) ⊙ s + s, σ(v) ⊙ s + s] -> (B, h, w, 2C).

    A source that is None is a path that is off and leaves s.
    """
    return jnp.concatenate([gate(s, a, switch), gate(s, v)], axis=-1)


def second_difference(key: jax.Array, shape: Sequence[int], dtype=jnp.float32) -> jax.Array:
    """Initial kernel (3, 1, 1, C, C) of `TemporalConv`: v = 2 s_t - s_{t-1} - s_{t+1}, and a little noise.

    Its product with s in the gate has the sign of motion energy whichever way things move; from a random kernel, whose
    products cancel over directions, motion was not learned.
    """
    identity = jnp.eye(shape[-1], dtype=dtype)[None, None]
    noise = nnx.initializers.variance_scaling(1e-3, "fan_in", "normal")(key, shape, dtype)
    return jnp.stack([-identity, 2 * identity, -identity]) + noise


class TemporalConv(nnx.Module):
    """The 3-D convolution of Eq. 6: kernel (3, 1, 1) on a real time axis, no padding, so t-1, t, t+1 become v_i."""

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        padding = ((0, 0), (0, 0), (0, 0))
        self.conv = Conv(channels, channels, (3, 1, 1), padding=padding, kernel_init=second_difference, rngs=rngs)

    def __call__(self, triplets: jax.Array) -> jax.Array:
        """`triplets` (B, 3, h, w, C) -> v (B, h, w, C)."""
        return self.conv(triplets)[:, 0]


# side of s -> (kernels, strides) that take 1x1 there. 8 and 12 as in the authors' code: 256 and 356 px at stride 32. 11 is
# VGG-16 at 356 px, whose pools drop odd pixels. Those of the C-GCN's nodes, 16 and 32, go on from 8. 2 and 4 are size `tiny`.
DECONVOLUTIONS = {
    2: ((2,), (1,)),
    4: ((4,), (1,)),
    8: ((3, 3, 4), (1, 1, 1)),
    11: ((4, 4, 2), (2, 2, 1)),
    12: ((4, 4, 3), (2, 2, 1)),
    16: ((3, 3, 4, 2), (1, 1, 1, 2)),
    32: ((3, 3, 4, 2, 2), (1, 1, 1, 2, 2)),
}


class DeConv(nnx.Module):
    """The deconvolutions of Eq. 5: a sound vector (B, features) to the size of s, ReLU between layers and none at the end.

    width: channels between layers. channels: of the last one's output, those of s. side: height and width of s, one of
    `DECONVOLUTIONS`.
    """

    def __init__(self, features: int, width: int, channels: int, side: int, *, rngs: nnx.Rngs):
        if side not in DECONVOLUTIONS:
            known = ", ".join(map(str, DECONVOLUTIONS))
            raise ValueError(f"no deconvolutions from 1x1 to {side}x{side} are known; sides that have them: {known}")
        kernels, strides = DECONVOLUTIONS[side]
        layers, before = [], 1
        for index, (kernel, stride) in enumerate(zip(kernels, strides, strict=True), start=1):
            out = channels if index == len(kernels) else width
            after = (before - 1) * stride + kernel
            gain = (after / before) ** 2  # a pixel of the output gets before² k² / after² inputs on average, not k²
            layers.append(ConvTranspose(features, out, kernel, stride=stride, gain=gain, rngs=rngs))
            features, before = out, after
        self.layers = nnx.List(layers)

    def __call__(self, vectors: jax.Array) -> jax.Array:
        x = vectors[:, None, None, :]
        for index, layer in enumerate(self.layers):
            x = layer(jax.nn.relu(x) if index else x)
        return x


class SoundGate(nnx.Module):
    """a and its switch, as Eqs. 5 and 15 use them: (vectors (B, D), switch (B,)) -> (a (B, h, w, C), switch to apply outside).

    position ``inside`` multiplies φ into the vector (Eq. 5 as printed); ``outside`` leaves it to the gate.
    """

    def __init__(self, deconv: DeConv, position: SwitchPosition):
        if position not in ("outside", "inside"):
            raise ValueError(f"switch_position {position!r}; known: outside, inside")
        self.deconv, self.position = deconv, position

    def __call__(self, vectors: jax.Array, switch: jax.Array) -> tuple[jax.Array, jax.Array | float]:
        if self.position == "inside":
            return self.deconv(vectors * switch[:, None]), 1.0
        return self.deconv(vectors), switch[:, None, None, None]


class PlainFuse(nnx.Module):
    """The plain ways to join s and a that Table 3 compares SA fuse with. The paper names them and gives no formula; ours are

    addition s + φa; multiplication s ⊙ (φa + 1 - φ); concatenation W[s, φa]; bilinear W(Us ⊙ Vφa), of rank C.

    A closed switch keeps the sound out of each.
    """

    def __init__(self, how: AudioFuse, channels: int, *, rngs: nnx.Rngs):
        if how not in ("addition", "multiplication", "concatenation", "bilinear"):
            raise ValueError(f"audio_fuse {how!r}; known: sa_fuse, addition, multiplication, concatenation, bilinear")
        self.how = how
        inputs = {"concatenation": 2 * channels, "bilinear": channels}.get(how)
        self.left, self.right = (Conv(channels, channels, (1, 1), rngs=rngs) if how == "bilinear" else None for _ in range(2))
        self.out = Conv(inputs, channels, (1, 1), rngs=rngs) if inputs else None

    def __call__(self, s: jax.Array, a: jax.Array | None, switch: jax.Array | float = 1.0) -> jax.Array:
        """s, a (B, h, w, C), φ -> (B, h, w, C); `a` None is a closed switch."""
        heard, switch = (jnp.zeros_like(s), 0.0) if a is None else (switch * a, switch)
        match self.how:
            case "addition":
                return s + heard
            case "multiplication":
                return s * (heard + 1 - switch)
            case "concatenation":
                return self.out(jnp.concatenate([s, heard], axis=-1))
            case "bilinear":
                return self.out(self.left(s) * self.right(heard))
