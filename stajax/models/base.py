"""What the engine asks of a net; see `fragments` for how a net reads features by index."""

from __future__ import annotations

from typing import Protocol

import jax

from stajax.models.fragments import Fragments, Span


class Net(Protocol):
    span: Span  # the frames it looks at, around its target
    listens: bool  # whether it uses the sound
    output_size: tuple[int, int]  # (H, W) of its maps

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Levels (F, h, w, C), sound vectors (A, D) or None -> logits (B, nodes, H, W), the target's node first, and aux."""
        ...
