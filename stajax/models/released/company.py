"""The authors' classification nets with company, S+, SA+ and ST+: three nodes that reason with each other (VGG-D1, 256 px).

Each returns the class logits after reasoning, (B, 3, classes), node 0 the target, and in aux its maps before and after
reasoning, `map_1` and `map_2` (B, 32, 32, classes), and the logits from before, `logits_x`.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.layers.conv import Conv
from stajax.models.fragments import Fragments, Span
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
    """The head and the self-attention of each frame, once, and the reasoning of each fragment."""

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, *, gru: bool, rngs: nnx.Rngs):
        super().__init__(config, frames)
        c = config.channels
        self.head = Head(self.channels_at(8), c, rngs=rngs)
        self.attention = SelfAttention(c, rngs=rngs)
        self.gate = Conv(c, 1, (1, 1), use_bias=False, rngs=rngs)  # of both attentions
        self.reasoning = Reasoning(c, gru=gru, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        x = self.head(levels["stride8"])
        attended, aux = self.attention(x, self.gate)
        return {"x": x, "attended": attended}, {**aux, "x": x}

    def reason(self, nodes: list[jax.Array]) -> tuple[jax.Array, dict]:
        """-> logits_h (B, 3, classes), aux with map_2."""
        states, aux = self.reasoning(nodes, self.gate)
        logits = gap(jnp.stack(states, axis=1))
        return logits, {**aux, "logits_h": logits, "map_2": states[0]}


class SPlus(Company):
    """Spatial with company. The release never assigns map_1 and returns zeros."""

    span, listens = SHORT, False

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        super().__init__(config, frames, gru=True, rngs=rngs)

    def __call__(self, features: dict, audio, fragments: Fragments) -> tuple[jax.Array, dict]:
        owns = [rows_of(features, fragments.frames[:, node, 1]) for node in range(3)]
        logits, aux = self.reason([jax.nn.relu(own["x"] + own["attended"]) for own in owns])
        before = jnp.stack([own["x"] for own in owns], axis=1)
        return logits, {**aux, "map_1": jnp.zeros_like(before[:, 0]), "logits_x": gap(before)}


class SAPlus(Company):
    """Spatial and sound with company; the sound's mask multiplies x in 2022 and is added to it in 2021. No switch."""

    span, listens = SHORT, True

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        super().__init__(config, frames, gru=True, rngs=rngs)
        c = config.channels
        self.sound = {2022: AVFusion, 2021: BilinearSound}[config.generation](self.channels_at(8), c, sound.features, rngs=rngs)
        self.fusion = Conv(2 * c, c, (3, 3), rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        features, aux = super().heads(levels)
        return {**features, **self.sound.see(levels["stride8"])}, aux

    def __call__(self, features: dict, audio: jax.Array, fragments: Fragments) -> tuple[jax.Array, dict]:
        parts = []
        for node in range(3):
            own = rows_of(features, fragments.frames[:, node, 1])
            x = own["x"]
            mask, aux = self.sound(own, audio[fragments.audio[:, node]])
            heard = x + x * mask if self.config.generation == 2022 else x + mask
            fused = self.fusion(concatenate(jax.nn.relu(x + own["attended"]), jax.nn.relu(heard)))
            parts.append({**aux, "fusion": fused})
        logits, reasoned = self.reason([part["fusion"] for part in parts])
        aux = stack(parts)
        return logits, {**aux, **reasoned, "map_1": aux["fusion"][:, 0], "logits_x": gap(aux["fusion"])}


class STPlus(Company):
    """Spatial and temporal with company: nine frames in three groups; its rounds have no GRU. logits_x: (B, 3, 3, classes)."""

    span, listens = FIRST_OF_GROUPS, False

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        super().__init__(config, frames, gru=False, rngs=rngs)
        c = config.channels
        self.refine = RefineST(c, c, rngs=rngs)
        self.fusion = Conv(2 * c, c, (3, 3), rngs=rngs)

    def __call__(self, features: dict, audio, fragments: Fragments) -> tuple[jax.Array, dict]:
        xs, parts = features["x"][fragments.frames], []
        for node in range(3):
            x, attended = xs[:, node, 1], features["attended"][fragments.frames[:, node, 1]]
            mask = self.refine(scrambled_stack(*(xs[:, node, k] for k in range(3))))
            fused = self.fusion(concatenate(jax.nn.relu(x + attended), jax.nn.relu(x + x * jax.nn.sigmoid(mask))))
            parts.append({"refineST": mask, "fusion": fused})
        logits, reasoned = self.reason([part["fusion"] for part in parts])
        return logits, {**stack(parts), **reasoned, "map_1": xs[:, 0, 1], "logits_x": gap(xs)}
