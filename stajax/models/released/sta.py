"""The authors' fixation net STA, in both generations: `STA` (2022, their STANetModel) and `STA2021` (their STANet)."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.layers.conv import Conv
from stajax.layers.resize import resize
from stajax.models.fragments import STA_SPAN, Fragments
from stajax.models.released.attention import SelfAttention
from stajax.models.released.base import ReleasedConfig, ReleasedNet, concatenate, rows_of, stack
from stajax.models.released.reasoning import ConvGRU
from stajax.models.released.sound import AVFusion, DeconvolvedSound
from stajax.models.released.temporal import RefineST, scrambled_stack

BEFORE, TARGET, AFTER = 0, 1, 2  # places in a fragment's frames
CALLS = (TARGET, BEFORE, AFTER)  # the authors' order of frames: t, t-1, t+1


class _STA(ReleasedNet):
    """Three frames, each with its sound, to fixation maps of all three; the target's finest one is the prediction.

    `fragments.audio` (B, 1, 3) gives each frame its own sound and works out every output of the release; (B, 1) is the
    target's sound alone, and only the target's maps are worked out, to the same numbers.
    """

    span, predicts, listens = STA_SPAN, "fixations", True
    stacks: tuple[tuple[int, int, int], ...]  # of each frame: those in its temporal stack, in the authors' order

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        super().__init__(config, frames)
        c = config.channels
        self.reduce = nnx.List([Conv(self.channels_at(stride), c, (1, 1), rngs=rngs) for stride in (8, 16, 32)])
        self.attention = SelfAttention(c, rngs=rngs)
        self.gate = Conv(c, 1, (1, 1), use_bias=False, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        s0, s1, x = (reduce(levels[f"stride{stride}"]) for reduce, stride in zip(self.reduce, (8, 16, 32), strict=True))
        attended, aux = self.attention(x, self.gate)
        own = {"s0": s0, "s1": s1, "x": x, "attended": attended}
        return {**own, **self.sound.see(levels["stride32"])}, {**aux, "s0": s0, "s1": s1, "x": x}

    def __call__(self, features: dict, audio: jax.Array, fragments: Fragments) -> tuple[jax.Array, dict]:
        """-> logits (B, 1, H, W) of the target; aux per frame in the order t, t-1, t+1, `outputs` (B, frames, scales, H, W)."""
        owns = [rows_of(features, fragments.frames[:, 0, k]) for k in range(3)]
        each = fragments.audio.ndim == 3
        sounds, switches = (x[:, 0] if each else x for x in (fragments.audio, fragments.switch))
        parts = []
        for frame in CALLS if each else (TARGET,):
            stacked = scrambled_stack(*(owns[k]["x"] for k in self.stacks[frame]))
            column = frame if each else 0
            parts.append(self.frame(owns[frame], stacked, audio[sounds[:, column]], switches[:, column], frame == TARGET))
        aux = stack(parts)
        return aux["outputs"][:, :1, -1], aux

    def frame(self, own: dict, stacked: jax.Array, sound: jax.Array, switch: jax.Array, is_target: bool) -> dict:
        """One frame's maps, coarse to fine, in `outputs` (B, scales, H, W), and what they were made of."""
        raise NotImplementedError

    def full_size(self, *maps: jax.Array) -> jax.Array:
        return jnp.stack([resize(x, self.output_size)[..., 0] for x in maps], axis=1)


class STA(_STA):
    """2022: masks multiply; the audio switch is ignored. The release swaps the last two of its six outputs; we do not."""

    stacks = ((TARGET, BEFORE, AFTER), (AFTER, TARGET, BEFORE), (BEFORE, AFTER, TARGET))

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        super().__init__(config, frames, sound, rngs=rngs)
        c = config.channels
        self.sound = AVFusion(self.channels_at(32), c, sound.features, rngs=rngs)
        self.refine = RefineST(c, c, rngs=rngs)
        self.fusion = Conv(3 * c, c, (3, 3), rngs=rngs)
        self.gru = ConvGRU(c, rngs=rngs)
        self.refine1, self.refine0 = (Conv(2 * c, c, (3, 3), rngs=rngs) for _ in range(2))
        self.out1, self.out0 = (Conv(c, 1, (1, 1), rngs=rngs) for _ in range(2))

    def frame(self, own: dict, stacked: jax.Array, sound: jax.Array, switch: jax.Array, is_target: bool) -> dict:
        x, s0, s1 = own["x"], own["s0"], own["s1"]
        heard, aux = self.sound(own, sound)
        mask = self.refine(stacked)
        branches = x + own["attended"], x + x * jax.nn.sigmoid(mask), x + x * heard
        fused = self.fusion(concatenate(*(jax.nn.relu(branch) for branch in branches)))
        y = self.gru(fused, x)
        refined1 = self.refine1(concatenate(resize(y, s1.shape[1:3]), s1))
        r1 = resize(jax.nn.relu(refined1 + s1), s0.shape[1:3])
        refined0 = self.refine0(concatenate(r1, s0))
        out1, out0 = self.out1(r1), self.out0(jax.nn.relu(refined0 + r1))
        aux |= {"refineST": mask, "fusion": fused, "gru": y, "refine1": refined1, "refine0": refined0}
        return {**aux, "out1": out1, "out0": out0, "outputs": self.full_size(out1, out0)}


class STA2021(_STA):
    """December 2021, 356 px only: the temporal mask is added, and so is the sound's except at the target.

    The audio switch acts inside the sound's gate, where closing it leaves sigmoid(bias), about 0.5. The release's test script
    saves the map of t-1 under the name of t; our prediction is that of t.
    """

    switched = True
    stacks = ((TARGET, BEFORE, AFTER), (BEFORE, TARGET, AFTER), (TARGET, AFTER, BEFORE))

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        super().__init__(config, frames, sound, rngs=rngs)
        c = config.channels
        self.sound = DeconvolvedSound((4, 4, 3), (2, 2, 1), c, sound.features, relu=False, rngs=rngs)
        self.refine = Conv(c, 1, (3, 1, 1), padding=((0, 0),) * 3, rngs=rngs)
        self.fusion = Conv(3 * c, c, (1, 1), rngs=rngs)
        self.refine4, self.refine3, self.refine2 = (Conv(2 * c, c, (3, 3), rngs=rngs) for _ in range(3))
        self.predict4, self.predict3, self.predict2 = (Conv(c, 1, (1, 1), rngs=rngs) for _ in range(3))

    def frame(self, own: dict, stacked: jax.Array, sound: jax.Array, switch: jax.Array, is_target: bool) -> dict:
        x, m0, m1 = own["x"], own["s0"], own["s1"]
        heard, aux = self.sound(own, sound, switch)
        mask = self.refine(stacked)[:, 0]
        branches = x + own["attended"], x + jax.nn.sigmoid(mask), x + (x * heard if is_target else heard)
        y = self.fusion(concatenate(*(jax.nn.relu(branch) for branch in branches)))
        r4 = self.refine4(concatenate(y, x))
        d4 = resize(r4, m1.shape[1:3])
        r3 = self.refine3(concatenate(d4, m1))
        d3 = resize(r3, m0.shape[1:3])
        r2 = self.refine2(concatenate(d3, m0))
        p4, p3, p2 = self.predict4(d4), self.predict3(d3), self.predict2(r2)
        aux |= {"refineST": mask, "fusion": y, "refine4": r4, "refine3": r3, "refine2": r2}
        return {**aux, "predict4": p4, "predict3": p3, "predict2": p2, "outputs": self.full_size(p4, p3, p2)}
