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


class STAPlus(Company):
    """Nine frames in three groups in the order of time, each group's middle frame with its sound (VGG-D1, 256 px).

    The map of the middle group is the prediction, for its own middle frame. With long or cross company the target's group comes
    first; the release's long company is three groups at random, none of which is the target's. 2021 has one gate where 2022 has
    two, and its sound goes through `BilinearSound`. The class logits are worked out and used by nobody.
    """

    short, moves, predicts, listens, switched = SHORT_GROUPS, True, "fixations", True, True

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        super().__init__(config, frames, gru=True, rngs=rngs)
        c = config.channels
        self.target = 1 if config.granularity == "short" else 0  # its place among the groups
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

    def node(self, features: dict, audio: jax.Array, fragments: Fragments, number: int) -> tuple[jax.Array, dict]:
        xs, own = features["x"][fragments.frames[:, number]], rows_of(features, fragments.frames[:, number, 1])
        x, mask = own["x"], self.refine(scrambled_stack(*(xs[:, k] for k in range(3))))
        heard, aux = self.sound(own, audio[fragments.audio[:, number]], fragments.switch[:, number])
        branches = x + own["attended"], x + x * jax.nn.sigmoid(mask), x + x * heard
        fused = self.fusion(concatenate(*(jax.nn.relu(branch) for branch in branches)))
        return fused, {**aux, "refineST": mask, "fusion": fused, "before": xs}

    def __call__(self, features: dict, audio: jax.Array, fragments: Fragments) -> tuple[jax.Array, dict]:
        """-> logits (B, nodes, H, W) of the nodes in `fragments.frames`, the target's first; aux: `maps`, the same in the order
        of the fragments' nodes, which is that of time in short company, logits_x, logits_h.
        """
        nodes, aux = self.own_nodes(features, audio, fragments)
        states, reasoned = self.states(features, fragments, nodes)
        xs = aux["before"]
        readouts = [self._read_out(states[number], xs[:, number, 1]) for number in range(len(nodes))]
        aux |= {**reasoned, **stack(readouts), "logits_x": gap(xs), "logits_h": gap(jnp.stack(states, axis=1))}
        order = jnp.array([self.target, *(number for number in range(len(nodes)) if number != self.target)])
        return aux["maps"][:, order], aux

    def _read_out(self, state: jax.Array, x: jax.Array) -> dict[str, jax.Array]:
        mixed = self.readout(concatenate(state, x))
        normed = self.norm(mixed)
        small = self.classifier(jax.nn.relu(normed))
        maps = resize(small, self.output_size)[..., 0]
        return {"readout": mixed, "readout_norm": normed, "classifier": small, "maps": maps}
