"""What a net may ask of an encoder. An encoder sees every distinct view once; nets gather from its features by index.

`FrameEncoder`: pictures to a pyramid of features. Level names are ``stride8``, ``stride16``, ``stride32``: the feature map of a
256 px view is 32x32 at stride 8. `SoundEncoder`: one window of sound to one vector.
"""

from __future__ import annotations

from typing import Protocol

import jax


class FrameEncoder(Protocol):
    size: int  # the views' height and width, in pixels
    strides: tuple[int, ...]
    channels: tuple[int, ...]

    def side(self, stride: int) -> int:
        """Height and width of the level at `stride`."""
        ...

    def __call__(self, views: jax.Array) -> dict[str, jax.Array]:
        """`views` (F, size, size, 3) uint8 RGB -> {"stride8": (F, size/8, size/8, channels[0]), ...} float32."""
        ...


class SoundEncoder(Protocol):
    window: int  # samples at 16 kHz in one window
    features: int

    def __call__(self, windows: jax.Array) -> jax.Array:
        """`windows` (A, window) float32 mono 16 kHz in [-1, 1] -> (A, features) float32."""
        ...


def level(stride: int) -> str:
    """The name of the feature level at `stride`."""
    return f"stride{stride}"
