"""The authors' classification nets S, SA and ST, whose class maps become pseudo-fixations: a frame, with sound, in time.

Each returns the class logits after fusion, and in aux the target's maps before and after it, `map_1` and `map_2`
(B, h, w, classes).
"""

from __future__ import annotations

import jax
from flax import nnx

from stajax.encoders.base import FrameEncoder, SoundEncoder
from stajax.layers.conv import Conv
from stajax.models.fragments import ONE_FRAME, STA_SPAN, Fragments
from stajax.models.released.attention import SelfAttention
from stajax.models.released.base import Head, ReleasedConfig, ReleasedNet, concatenate, gap, rows_of, stack
from stajax.models.released.reasoning import ConvGRU
from stajax.models.released.sound import AVFusion, DeconvolvedSound
from stajax.models.released.temporal import RefineST, scrambled_stack


class S(ReleasedNet):
    """Spatial. Reads stride 16 (layer3), whatever a comment in the release says; all of it is one frame's own work."""

    span, listens = ONE_FRAME, False

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        super().__init__(config, frames)
        c = config.channels
        self.classifier = Conv(self.channels_at(16), c, (1, 1), rngs=rngs)
        self.attention = SelfAttention(c, rngs=rngs)
        self.gate = Conv(c, 1, (1, 1), use_bias=False, rngs=rngs)
        self.fusion = Conv(2 * c, c, (1, 1), rngs=rngs)
        self.gru = ConvGRU(c, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        x = self.classifier(levels["stride16"])
        attended, aux = self.attention(x, self.gate)
        fused = self.fusion(concatenate(x, attended))
        y = self.gru(fused, x)
        return {"x": x, "y": y}, {**aux, "x": x, "fusion": fused, "gru": y}

    def __call__(self, features: dict, audio, fragments: Fragments) -> tuple[jax.Array, dict]:
        """-> logits (B, 1, classes), aux with logits_1, logits_2 (B, classes)."""
        own = rows_of(features, fragments.frames[:, 0, 1])
        logits = {"logits_1": gap(own["x"]), "logits_2": gap(own["y"])}
        return logits["logits_2"][:, None], {"map_1": own["x"], "map_2": own["y"], **logits}


class SA(ReleasedNet):
    """Spatial and sound. 2022 has what its forward pass needs (its constructor forgets five tensors); 2021 is for 256 px."""

    span, listens = ONE_FRAME, True

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder, *, rngs: nnx.Rngs):
        super().__init__(config, frames)
        c = config.channels
        self.head = Head(self.channels_at(32), c, rngs=rngs)
        self.attention = SelfAttention(c, rngs=rngs)
        self.gate = Conv(c, 1, (1, 1), use_bias=False, rngs=rngs)
        if config.generation == 2022:
            self.sound = AVFusion(self.channels_at(32), c, sound.features, rngs=rngs)
        else:
            self.sound = DeconvolvedSound((3, 3, 4), (1, 1, 1), c, sound.features, relu=True, rngs=rngs)
        self.fusion = Conv(2 * c, c, (1, 1), rngs=rngs)
        self.gru = ConvGRU(c, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        x = self.head(levels["stride32"])
        attended, aux = self.attention(x, self.gate)
        return {"x": x, "attended": attended, **self.sound.see(levels["stride32"])}, {**aux, "x": x}

    def __call__(self, features: dict, audio: jax.Array, fragments: Fragments) -> tuple[jax.Array, dict]:
        """-> logits (B, 1, classes), aux with logits_1, logits_2 (B, classes). It takes no switch."""
        own = rows_of(features, fragments.frames[:, 0, 1])
        x = own["x"]
        mask, aux = self.sound(own, audio[fragments.audio[:, 0]])
        fused = self.fusion(concatenate(jax.nn.relu(x + own["attended"]), jax.nn.relu(x + x * mask)))
        y = self.gru(fused, x)
        logits = {"logits_1": gap(x), "logits_2": gap(y)}
        return logits["logits_2"][:, None], {**aux, "fusion": fused, "gru": y, "map_1": x, "map_2": y, **logits}


class ST(ReleasedNet):
    """Spatial and temporal, on three frames. The release takes 225 to 256 px, this any size."""

    span, listens = STA_SPAN, False

    def __init__(self, config: ReleasedConfig, frames: FrameEncoder, sound: SoundEncoder | None, *, rngs: nnx.Rngs):
        super().__init__(config, frames)
        c = config.channels
        self.head = Head(self.channels_at(32), c, rngs=rngs)
        self.attention = SelfAttention(c, rngs=rngs)
        self.gate = Conv(c, 1, (1, 1), use_bias=False, rngs=rngs)
        self.refine = RefineST(c, c, rngs=rngs)
        self.fusion = Conv(2 * c, c, (3, 3), rngs=rngs)
        self.gru = ConvGRU(c, rngs=rngs)

    def heads(self, levels: dict[str, jax.Array]) -> tuple[dict, dict]:
        x = self.head(levels["stride32"])
        attended, aux = self.attention(x, self.gate)
        return {"x": x, "attended": attended}, {**aux, "x": x}

    def __call__(self, features: dict, audio, fragments: Fragments) -> tuple[jax.Array, dict]:
        """-> logits (B, 1, classes), aux: of t, t-1, t+1 in this order, logits_x before and logits_y after, (B, 3, classes)."""
        before, target, after = (rows_of(features, fragments.frames[:, 0, k]) for k in range(3))
        x1, x2, x3 = target["x"], before["x"], after["x"]
        parts = []
        for own, order in ((target, (x2, x1, x3)), (before, (x1, x2, x3)), (after, (x1, x3, x2))):
            x, mask = own["x"], self.refine(scrambled_stack(*order))
            fused = self.fusion(concatenate(jax.nn.relu(x + own["attended"]), jax.nn.relu(x + x * jax.nn.sigmoid(mask))))
            parts.append({"x": x, "refineST": mask, "fusion": fused, "gru": self.gru(fused, x)})
        aux = stack(parts)
        logits = {"logits_x": gap(aux["x"]), "logits_y": gap(aux["gru"])}
        return logits["logits_y"][:, :1], {**aux, **logits, "map_1": x1, "map_2": aux["gru"][:, 0]}
