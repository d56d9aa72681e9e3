"""Fragments as index arrays: which frames and which sound windows each prediction reads (encode once, gather everywhere)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

Granularity = Literal["short", "long", "cross"]  # of company: around the target, elsewhere in the clip, in other clips


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Fragments:
    """B predictions of `nodes` nodes each; a node is three frames (t-1, t, t+1) and the sound around t.

    frames: (B, nodes, 3) int32, rows of the frame features. audio: (B, nodes) int32, rows of the sound vectors; a net that
    hears each frame of a node takes (B, nodes, 3).
    switch: (B, nodes) float32, the audio switch φ; 0 keeps the sound out. valid: (B, nodes) bool; the map of an
    invalid row is computed (shapes are fixed) and thrown away. company: (B, n) int32, rows of a bank of node states that keep
    the nodes company, of nets whose company lies elsewhere in the clip or in other clips; None where all nodes are in `frames`.
    """

    frames: jax.Array
    audio: jax.Array
    switch: jax.Array
    valid: jax.Array
    company: jax.Array | None = None

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

    def opened(self) -> Fragments:
        """The same with φ = 1 everywhere."""
        return replace(self, switch=jnp.ones_like(self.switch))


class Span(NamedTuple):
    """How far a net looks from its target frame: `nodes` lists each node's frame offsets (t-1, t, t+1 of that node)."""

    nodes: tuple[tuple[int, int, int], ...]

    @property
    def behind(self) -> int:
        return max(0, -min(min(node) for node in self.nodes))

    @property
    def ahead(self) -> int:
        return max(0, max(max(node) for node in self.nodes))


ONE_FRAME = Span(nodes=((0, 0, 0),))
STA_SPAN = Span(nodes=((-1, 0, 1),))


def check_granularity(granularity: str) -> None:
    """Raises ValueError for one that there is not."""
    if granularity not in get_args(Granularity):
        raise ValueError(f"granularity {granularity!r}; known: {', '.join(get_args(Granularity))}")


def own_span(moves: bool) -> Span:
    """A target alone: three frames where motion enters, else one."""
    return STA_SPAN if moves else ONE_FRAME


def short_span(moves: bool, company: int) -> Span:
    """A target and its short-term company (section 4.2): frames t-1 and t+1, or, where motion enters, the fragments around
    t-3 and t+3, so that three nodes read the target's eight neighbours. More nodes go on outward, before and after in turn.
    """
    reach, own = (3, (-1, 0, 1)) if moves else (1, (0, 0, 0))
    centres = [0, *(reach * (k // 2 + 1) * (-1 if k % 2 == 0 else 1) for k in range(company))]
    return Span(nodes=tuple(tuple(centre + offset for offset in own) for centre in centres))
