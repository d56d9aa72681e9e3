"""Fragments as index arrays: which frames and which sound windows each prediction reads (encode once, gather everywhere)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Fragments:
    """B predictions of `nodes` nodes each; a node is three frames (t-1, t, t+1) and the sound around t.

    frames: (B, nodes, 3) int32, rows of the frame features. audio: (B, nodes) int32, rows of the sound vectors; a net that
    hears each frame of a node takes (B, nodes, 3).
    switch: (B, nodes) float32, the audio switch φ; 0 keeps the sound out. valid: (B, nodes) bool; the map of an
    invalid row is computed (shapes are fixed) and thrown away.
    """

    frames: jax.Array
    audio: jax.Array
    switch: jax.Array
    valid: jax.Array

    @classmethod
    def of(cls, frames, audio=None, switch=None) -> Fragments:
        """From frame rows (B, nodes, 3); without `audio` the switch is off, otherwise on unless given."""
        frames = jnp.asarray(frames, jnp.int32)
        shape = frames.shape[:2]
        if switch is None:
            switch = jnp.full(shape, 0.0 if audio is None else 1.0)
        return cls(
            frames=frames,
            audio=jnp.zeros(shape, jnp.int32) if audio is None else jnp.asarray(audio, jnp.int32),
            switch=jnp.asarray(switch, jnp.float32),
            valid=jnp.ones(shape, bool),
        )


class Span(NamedTuple):
    """How far a net looks from its target frame: `nodes` lists each node's frame offsets (t-1, t, t+1 of that node)."""

    nodes: tuple[tuple[int, int, int], ...]

    @property
    def behind(self) -> int:
        return max(0, -min(min(node) for node in self.nodes))

    @property
    def ahead(self) -> int:
        return max(0, max(max(node) for node in self.nodes))


STA_SPAN = Span(nodes=((-1, 0, 1),))
