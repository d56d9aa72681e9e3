"""What the engine asks of a net; see `fragments` for how a net reads features by index."""

from __future__ import annotations

from typing import Protocol

import jax

from stajax.models.fragments import Fragments, Span


class Net(Protocol):
    span: Span  # the frames it looks at, around its target
    bank: int  # nodes of company that lie elsewhere and come from a bank of node states; such a net has `nodes` too
    predicts: str  # "fixations", or "classes"
    listens: bool  # whether it uses the sound
    switched: bool  # whether it heeds the audio switch
    output_size: tuple[int, int]  # (H, W) of its maps
    levels: tuple[str, ...]  # the encoder's levels that it gathers from

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict[str, jax.Array], dict[str, jax.Array]]:
        """What it makes of each frame by itself, from the encoder's levels (F, h, w, C): features to gather from, and aux."""
        ...

    def nodes(self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments) -> jax.Array:
        """Of a net with a bank: node states (B, nodes, h, w, C) before reasoning, the rows of a bank."""
        ...

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Levels and `heads`, sound vectors (A, D) or None -> logits, the target's first, and aux."""
        ...
