"""A target and its company in one graph (section 4, Fig. 5 E-G, 12 H): branches make nodes, the C-GCN reasons over them.

Company is of one granularity: *short* lies around the target and is read from the frames at hand; *long* (elsewhere in the
clip) and *cross* (other clips with the same tag) are further fragments where they are at hand too, as in training, or rows of
a bank of node states that were made before, as over a stream.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.layers.conv import Conv
from stajax.models.branch import Branch, BranchConfig
from stajax.models.cgcn import CGCN, neighbours
from stajax.models.fragments import Fragments, Granularity, Span, check_granularity, own_span, short_span


@dataclass(frozen=True)
class CompanyConfig(BranchConfig):
    """The branch that makes a node, and the graph.

    width: channels of a node, 28 in the paper. granularity: of the company. company: nodes that keep the target company, the
    n of Table 5. steps: of reasoning, the m of Table 5; 0 is "without reasoning", which concatenates the nodes. threshold,
    rate, refine: T_d, T_r and whether there is a refine layer (Table 4). rectify: ReLU on h⁰, as in the release; the paper
    does not say.
    """

    stride: int = 8
    width: int = 28
    granularity: Granularity = "short"
    company: int = 2
    steps: int = 3
    threshold: float = 0.8
    rate: float = 0.6
    refine: bool = True
    rectify: bool = True

    def __post_init__(self):
        check_granularity(self.granularity)
        if self.company < 1 or self.steps < 0:
            raise ValueError(f"{self.company} nodes of company, {self.steps} steps; at least 1 and 0 are needed")


class Company(nnx.Module):
    """Features of fragments to node states before and after reasoning. `span` and `bank` are what a net with it announces."""

    def __init__(self, config: CompanyConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        self.config = config
        self.branch = Branch(config, frames, sound, rngs=rngs)
        # The STA-branch ends in a convolution to `width` itself (Cov of Eq. 15).
        project = config.source != "sta"
        self.project = Conv(self.branch.features, config.width, (1, 1), rngs=rngs) if project else None
        refined = {"threshold": config.threshold, "rate": config.rate, "refine": config.refine}
        self.cgcn = CGCN(config.width, steps=config.steps, **refined, rngs=rngs) if config.steps else None
        beside = (1 + config.company) * config.width
        self.join = None if config.steps else Conv(beside, config.width, (1, 1), rngs=rngs)

    @property
    def span(self) -> Span:
        config = self.config
        return short_span(config.moves, config.company) if config.granularity == "short" else own_span(config.moves)

    @property
    def bank(self) -> int:
        return 0 if self.config.granularity == "short" else self.config.company

    def nodes(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """h⁰ of each node of the fragments, (B, nodes, h, w, width), and aux: those of the branch."""
        x, aux = self.branch(features, audio, fragments)
        if self.project is not None:
            x = self.project(x)
            x = jax.nn.relu(x) if self.config.rectify else x
        return x.reshape(*fragments.frames.shape[:2], *x.shape[1:]), aux

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """h^m of the nodes, (B, K, h, w, width), the target first; rows of features["bank"] that `fragments.company` names
        come last.

        aux: `nodes`, h⁰ of all K, and those of the branch.
        """
        nodes, aux = self.nodes(features, audio, fragments)
        if fragments.company is not None:
            nodes = jnp.concatenate([nodes, features["bank"][fragments.company]], axis=1)
        return self._concatenated(nodes) if self.cgcn is None else self.cgcn(nodes), {**aux, "nodes": nodes}

    def _concatenated(self, nodes: jax.Array) -> jax.Array:
        """Without reasoning (section 6.3.2): each node's channels beside those of all others, back to `width` by a 1x1
        convolution.
        """
        order = np.array([[i, *others] for i, others in enumerate(neighbours(nodes.shape[1]))])
        beside = jnp.concatenate([nodes[:, place] for place in order.T], axis=-1)
        joined = self.join(beside.reshape(-1, *beside.shape[2:]))
        return joined.reshape(*nodes.shape[:-1], -1)
