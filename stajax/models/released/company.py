"""The authors' classification nets with company, S+, SA+ and ST+: three nodes that reason with each other (VGG-D1, 256 px).

Each returns the class logits after reasoning, (B, 3, classes), node 0 the target, and in aux its maps before and after
reasoning, `map_1` and `map_2` (B, 32, 32, classes), and the logits of the fragments' own nodes from before, `logits_x`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.layers.conv import Conv
from stajax.models.fragments import Fragments, Span, own_span
from stajax.models.released.attention import SelfAttention
from stajax.models.released.base import Head, ReleasedConfig, ReleasedNet, concatenate, gap, rows_of, stack
from stajax.models.released.reasoning import Reasoning
from stajax.models.released.sound import AVFusion, BilinearSound
from stajax.models.released.temporal import RefineST, scrambled_stack

# The release's own short companies: S+ reads t, t-1 and t again; ST+ three groups in the order of time.
SHORT = Span(nodes=((0, 0, 0), (-1, -1, -1), (0, 0, 0)))
SHORT_GROUPS = Span(nodes=((-4, -3, -2), (-1, 0, 1), (2, 3, 4)))
# The same three groups around a target in the first of them: the release's ST+ makes the maps of that one.
FIRST_OF_GROUPS = Span(nodes=((-1, 0, 1), (2, 3, 4), (5, 6, 7)))


class Company(ReleasedNet):
    """The head and the self-attention of each frame, once, and the reasoning of each fragment.

    Long and cross company are two more nodes after the target's: further fragments, or rows of a bank.
    """

    short: Span  # the release's own short company
    moves: bool  # whether a node reads three frames

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, *, gru: bool, rngs: nnx.Rngs):
        super().__init__(config, frames)
        c = config.channels
        elsewhere = config.granularity != "short"
        self.span = own_span(self.moves) if elsewhere else self.short
        self.bank = 2 if elsewhere else 0
        self.head = Head(self.channels_at(8), c, rngs=rngs)
        self.attention = SelfAttention(c, rngs=rngs)
        self.gate = Conv(c, 1, (1, 1), use_bias=False, rngs=rngs)  # of both attentions
        self.reasoning = Reasoning(c, gru=gru, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        x = self.head(levels["stride8"])
        attended, aux = self.attention(x, self.gate)
        return {"x": x, "attended": attended}, {**aux, "x": x}

    def node(self, features: dict, audio: jax.Array | None, fragments: Fragments, number: int) -> tuple[jax.Array, dict]:
        """One node of the fragments before reasoning, (B, h, w, C), and what is worth having of it."""
        raise NotImplementedError

    def nodes(self, features: dict, audio: jax.Array | None, fragments: Fragments) -> jax.Array:
        """(B, nodes, h, w, C), what a bank keeps."""
        return jnp.stack(self.own_nodes(features, audio, fragments)[0], axis=1)

    def own_nodes(self, features: dict, audio: jax.Array | None, fragments: Fragments) -> tuple[list[jax.Array], dict]:
        """All nodes of the fragments, and aux."""
        count = fragments.frames.shape[1]
        nodes, parts = zip(*(self.node(features, audio, fragments, number) for number in range(count)), strict=True)
        return list(nodes), stack(parts)

    def states(self, features: dict, fragments: Fragments, nodes: list[jax.Array]) -> tuple[list[jax.Array], dict]:
        """The three nodes after reasoning; rows of features["bank"] that `fragments.company` names come last."""
        if fragments.company is not None:
            nodes = [*nodes, *jnp.moveaxis(features["bank"][fragments.company], 1, 0)]
        return self.reasoning(nodes, self.gate)


class Classifier(Company):
    """Company whose states are class maps."""

    def reason(self, features: dict, fragments: Fragments, nodes: list[jax.Array]) -> tuple[jax.Array, dict]:
        """-> logits_h (B, 3, classes), aux with map_2."""
        states, aux = self.states(features, fragments, nodes)
        logits = gap(jnp.stack(states, axis=1))
        return logits, {**aux, "logits_h": logits, "map_2": states[0]}


class SPlus(Classifier):
    """Spatial with company. The release never assigns map_1 and returns zeros."""

    short, moves, listens = SHORT, False, False

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        super().__init__(config, frames, gru=True, rngs=rngs)

    def node(self, features: dict, audio, fragments: Fragments, number: int) -> tuple[jax.Array, dict]:
        own = rows_of(features, fragments.frames[:, number, 1])
        return jax.nn.relu(own["x"] + own["attended"]), {"before": own["x"]}

    def __call__(self, features: dict, audio, fragments: Fragments) -> tuple[jax.Array, dict]:
        nodes, parts = self.own_nodes(features, audio, fragments)
        logits, aux = self.reason(features, fragments, nodes)
        return logits, {**aux, "map_1": jnp.zeros_like(nodes[0]), "logits_x": gap(parts["before"])}


class SAPlus(Classifier):
    """Spatial and sound with company; the sound's mask multiplies x in 2022 and is added to it in 2021. No switch."""

    short, moves, listens = SHORT, False, True

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        super().__init__(config, frames, gru=True, rngs=rngs)
        c = config.channels
        self.sound = {2022: AVFusion, 2021: BilinearSound}[config.generation](self.channels_at(8), c, sound.features, rngs=rngs)
        self.fusion = Conv(2 * c, c, (3, 3), rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        features, aux = super().heads(levels)
        return {**features, **self.sound.see(levels["stride8"])}, aux

    def node(self, features: dict, audio: jax.Array, fragments: Fragments, number: int) -> tuple[jax.Array, dict]:
        own = rows_of(features, fragments.frames[:, number, 1])
        x = own["x"]
        mask, aux = self.sound(own, audio[fragments.audio[:, number]])
        heard = x + x * mask if self.config.generation == 2022 else x + mask
        fused = self.fusion(concatenate(jax.nn.relu(x + own["attended"]), jax.nn.relu(heard)))
        return fused, {**aux, "fusion": fused}

    def __call__(self, features: dict, audio: jax.Array, fragments: Fragments) -> tuple[jax.Array, dict]:
        nodes, aux = self.own_nodes(features, audio, fragments)
        logits, reasoned = self.reason(features, fragments, nodes)
        return logits, {**aux, **reasoned, "map_1": nodes[0], "logits_x": gap(aux["fusion"])}


class STPlus(Classifier):
    """Spatial and temporal with company: nine frames in three groups; its rounds have no GRU. logits_x: (B, 3, 3, classes)."""

    short, moves, listens = FIRST_OF_GROUPS, True, False

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        super().__init__(config, frames, gru=False, rngs=rngs)
        c = config.channels
        self.refine = RefineST(c, c, rngs=rngs)
        self.fusion = Conv(2 * c, c, (3, 3), rngs=rngs)

    def node(self, features: dict, audio, fragments: Fragments, number: int) -> tuple[jax.Array, dict]:
        xs, attended = features["x"][fragments.frames[:, number]], features["attended"][fragments.frames[:, number, 1]]
        x, mask = xs[:, 1], self.refine(scrambled_stack(*(xs[:, k] for k in range(3))))
        fused = self.fusion(concatenate(jax.nn.relu(x + attended), jax.nn.relu(x + x * jax.nn.sigmoid(mask))))
        return fused, {"refineST": mask, "fusion": fused, "before": xs}

    def __call__(self, features: dict, audio, fragments: Fragments) -> tuple[jax.Array, dict]:
        nodes, aux = self.own_nodes(features, audio, fragments)
        logits, reasoned = self.reason(features, fragments, nodes)
        xs = aux["before"]
        return logits, {**aux, **reasoned, "map_1": xs[:, 0, 1], "logits_x": gap(xs)}
