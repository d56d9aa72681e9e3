"""The authors' fixation net STA+ (their STACGCN): three fragments in company, a fixation map for each (Eq. 18 to 20)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.layers.conv import Conv
from stajax.layers.resize import resize
from stajax.models.fragments import Fragments
from stajax.models.released.base import ReleasedConfig, concatenate, gap, rows_of, stack
from stajax.models.released.company import SHORT_GROUPS, Company
from stajax.models.released.sound import AVFusion, BilinearSound
from stajax.models.released.temporal import RefineST, scrambled_stack

TARGET = 1  # the node in the middle of the short company's three groups


class STAPlus(Company):
    """Nine frames in three groups in the order of time, each group's middle frame with its sound (VGG-D1, 256 px).

    The map of the middle group is the prediction, for its own middle frame. 2021 has one gate where 2022 has two, and its
    sound goes through `BilinearSound`. The class logits are worked out and used by nobody.
    """

    span, predicts, listens, switched = SHORT_GROUPS, "fixations", True, True

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        super().__init__(config, frames, gru=True, rngs=rngs)
        c = config.channels
        self.self_gate = Conv(c, 1, (1, 1), use_bias=False, rngs=rngs) if config.generation == 2022 else None
        self.refine = RefineST(c, 1, rngs=rngs)
        self.sound = {2022: AVFusion, 2021: BilinearSound}[config.generation](self.channels_at(8), c, sound.features, rngs=rngs)
        self.fusion = Conv(3 * c, c, (3, 3), rngs=rngs)
        self.readout = Conv(2 * c, c, (1, 1), use_bias=False, rngs=rngs)
        self.norm = nnx.BatchNorm(c, use_running_average=True, momentum=0.9, epsilon=1e-5, rngs=rngs)
        self.classifier = Conv(c, 1, (1, 1), rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        x = self.head(levels["stride8"])
        attended, aux = self.attention(x, self.self_gate or self.gate)
        return {"x": x, "attended": attended, **self.sound.see(levels["stride8"])}, {**aux, "x": x}

    def __call__(self, features: dict, audio: jax.Array, fragments: Fragments) -> tuple[jax.Array, dict]:
        """-> logits (B, 3, H, W), the target's first; aux: `maps` (B, 3, H, W) in the order of time, logits_x, logits_h."""
        parts, xs = [], features["x"][fragments.frames]
        for node in range(3):
            own = rows_of(features, fragments.frames[:, node, 1])
            x = own["x"]
            mask = self.refine(scrambled_stack(*(xs[:, node, k] for k in range(3))))
            heard, aux = self.sound(own, audio[fragments.audio[:, node]], fragments.switch[:, node])
            branches = x + own["attended"], x + x * jax.nn.sigmoid(mask), x + x * heard
            fused = self.fusion(concatenate(*(jax.nn.relu(branch) for branch in branches)))
            parts.append({**aux, "refineST": mask, "fusion": fused})
        states, reasoned = self.reasoning([part["fusion"] for part in parts], self.gate)
        readouts = [self._read_out(state, xs[:, node, 1]) for node, state in enumerate(states)]
        aux = {**stack(parts), **reasoned, **stack(readouts), "logits_x": gap(xs), "logits_h": gap(jnp.stack(states, axis=1))}
        order = jnp.array([TARGET, *(node for node in range(3) if node != TARGET)])
        return aux["maps"][:, order], aux

    def _read_out(self, state: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        mixed = self.readout(concatenate(state, x))
        normed = self.norm(mixed)
        small = self.classifier(jax.nn.relu(normed))
        maps = resize(small, self.output_size)[..., 0]
        return {"readout": mixed, "readout_norm": normed, "classifier": small, "maps": maps}
