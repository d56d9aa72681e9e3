"""The compiled calls of a model at fixed shapes: encode into rings on the device, predict from the rings by index.

A ring holds the features of the last rows written; row i of the clip lives in ring row i modulo its length. Frames and sound
vectors are written once and gathered as often as the nets like, and nothing ever recompiles. A model of several networks has
rings for each; their rows are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from stajax.inference.fusion import FUSIONS, fuse
from stajax.layers.resize import resize
from stajax.models.fragments import Fragments
from stajax.models.network import Network, Structure

SOUND_GROUP = 4  # sound windows per call: 16 frames at 25 frames/s and a hop of 0.2 s need three or four


class Engine:
    """Compiled once per model and batch size; `Stream`s share it, each with rings of its own.

    networks: (structure, variables) of each network of the model; one without nets is an audio switch that decides for all.
    batch: frames per encoder call and predictions per net call. nets: those to run, by default all of the model. fusion: how
    the maps of several become one, a name in `fusion.FUSIONS`. precision: of matrix products and convolutions; the default
    keeps float32 on accelerators, whose own default rounds to 8 or 10 bits and would drown what motion changes.

    output: what becomes of the nets' predictions and aux, both by net, and of a stream's `context`, in the compiled call:
    arrays of `batch` rows, one or a dict of them. By default fixation maps (batch, h, w), of all nets fused.
    """

    def __init__(
        self,
        networks: Sequence[tuple[Structure, dict]],
        *,
        batch: int = 16,
        nets: Sequence[str] | None = None,
        fusion: str = "paper",
        precision: str = "highest",
        output: Callable[[dict, dict, Any], Any] | None = None,
    ):
        if not (isinstance(batch, int) and batch >= 1):
            raise ValueError(f"a batch of {batch} frames; it must be a whole number of at least 1")
        if fusion not in FUSIONS:
            raise ValueError(f"unknown fusion {fusion!r}; known: {', '.join(FUSIONS)}")
        modules = {name: net for structure, _ in networks for name, net in structure.module.nets.items()}
        self.nets = _choose(networks, nets, fixations=output is None)
        used = {name: modules[name] for name in self.nets}
        self.listens = any(net.listens for net in used.values())
        self.hears_silence = any(
            net.listens and not net.switched for net in used.values()
        )  # a closed switch does not deafen it
        # A switch is of no use to nets that do not heed it, and its encoders are the largest.
        heeded = any(net.switched for net in used.values())
        networks = [(s, v) for s, v in networks if (used.keys() & s.config.nets.keys() if s.config.nets else heeded)]
        self.structures = structures = [structure for structure, _ in networks]
        self.variables = jax.device_put([variables for _, variables in networks])
        switches = [structure for structure in structures if not structure.config.nets]
        if len(switches) > 1:
            raise ValueError(f"{len(switches)} audio switches in this model; it can have one")
        self.fusion = fusion
        self.spans = {name: used[name].span for name in self.nets}
        self.banked = {name: used[name].bank for name in self.nets if used[name].bank}  # net -> nodes from a bank
        self.behind = max(span.behind for span in self.spans.values())
        self.ahead = max(span.ahead for span in self.spans.values())
        self.output_size = max((net.output_size for net in used.values()), key=lambda size: size[0] * size[1])
        self.sizes = sorted({structure.config.size for structure in structures})
        self.hop = min(structure.config.hop for structure in structures)
        sounds = [structure.module.sound for structure in structures]
        self.windows = sorted({sound.window for sound in sounds if sound is not None})  # samples
        self.batch, self.sound_group = batch, min(SOUND_GROUP, batch)
        rows = max(batch + self.behind + self.ahead, 3 if self.banked else 0)  # a moment of a bank is three frames
        self.rows = -(-rows // batch) * batch
        windows = -(-batch // self.sound_group) * self.sound_group  # at most one for each frame of a batch, in whole groups
        self.sound_rows = (self.rows // batch + 1) * windows

        def encode_frames(variables, rings, views, row):
            def write(structure, variables, ring):
                features = structure.encode_frames(variables, views[structure.config.size])
                return jax.tree.map(lambda r, x: jax.lax.dynamic_update_slice_in_dim(r, x, row, 0), ring, features)

            return [write(*each) for each in zip(structures, variables, rings, strict=True)]

        def encode_audio(variables, rings, windows, row):
            def write(structure, variables, ring):
                if ring is None:
                    return None
                vectors = structure.apply(variables, Network.encode_audio, windows[structure.module.sound.window])
                return jax.lax.dynamic_update_slice_in_dim(ring, vectors, row, 0)

            return [write(*each) for each in zip(structures, variables, rings, strict=True)]

        def each(method, variables, features, audio, fragments):
            """`method` of every network on its own part of `fragments`, after a network that is a switch has had its say."""
            every = list(zip(structures, variables, features, audio, strict=True))
            for structure, numbers, seen, heard in every:
                if not structure.config.nets and self.listens:
                    phi = {n: structure.apply(numbers, Network.decide, seen, heard, own) for n, own in fragments.items()}
                    fragments = {n: replace(own, switch=own.switch * phi[n]) for n, own in fragments.items()}
            for structure, numbers, seen, heard in every:
                own = {name: fragments[name] for name in structure.config.nets if name in fragments}
                yield structure.apply(numbers, method, seen, heard if self.listens else None, own)

        def predict(variables, features, audio, fragments, banks, context):
            features = [seen | {f"{name}.bank": bank for name, bank in banks.items()} for seen in features]
            predictions, aux = {}, {}
            for found in each(Network.__call__, variables, features, audio, fragments):
                predictions, aux = predictions | found[0], aux | found[1]
            return (output or self._fixation_maps)(predictions, aux, context)

        def nodes(variables, features, audio, fragments):
            return {
                name: x[:, 0] for of in each(Network.nodes, variables, features, audio, fragments) for name, x in of.items()
            }

        exactly = jax.default_matmul_precision(precision)
        self._encode_frames = jax.jit(exactly(encode_frames), donate_argnums=1)
        self._encode_audio = jax.jit(exactly(encode_audio), donate_argnums=1)
        self._predict = jax.jit(exactly(predict))
        self._nodes = jax.jit(exactly(nodes))

    def _fixation_maps(self, predictions: dict, aux: dict, context: Any) -> jax.Array:
        maps = [jax.nn.sigmoid(predictions[name][:, 0]) for name in self.nets]
        return fuse([resize(x[..., None], self.output_size)[..., 0] for x in maps], self.fusion)

    @property
    def window(self) -> int:
        """Samples at 16 kHz of the longest sound window, 0 if no network hears."""
        return max(self.windows, default=0)

    def rings(self) -> tuple[list[dict[str, jax.Array]], list[jax.Array | None]]:
        """Empty rings of each network: frame features {name: (rows, h, w, C)} and sound vectors (sound_rows, D)."""
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), self._ring_shapes)

    @cached_property
    def _ring_shapes(self) -> tuple[list[dict], list]:
        """Traced once: a stream's rings are made for every clip."""
        features, audio = [], []
        for structure, variables in zip(self.structures, self.variables, strict=True):
            size, sound = structure.config.size, structure.module.sound
            view = jax.ShapeDtypeStruct((1, size, size, 3), jnp.uint8)
            shapes = jax.eval_shape(lambda v, x, s=structure: s.apply(v, Network.encode_frames, x), variables, view)
            features.append({name: jax.ShapeDtypeStruct((self.rows, *x.shape[1:]), x.dtype) for name, x in shapes.items()})
            audio.append(None if sound is None else jax.ShapeDtypeStruct((self.sound_rows, sound.features), jnp.float32))
        return features, audio

    def silence(self) -> dict[int, np.ndarray]:
        """`windows` of silence, for `encode_audio`."""
        return {window: np.zeros((self.sound_group, window), np.float32) for window in self.windows}

    def node_shapes(self) -> dict[str, tuple[int, int, int]]:
        """(h, w, C) of the node states of each net in `banked`."""
        return dict(self._node_shapes)

    @cached_property
    def _node_shapes(self) -> dict[str, tuple[int, int, int]]:
        one = Fragments.of(np.zeros((self.batch, 1, 3), np.int32), np.zeros((self.batch, 1), np.int32))
        shapes = jax.eval_shape(self._nodes, self.variables, *self._ring_shapes, dict.fromkeys(self.banked, one))
        return {name: tuple(x.shape[1:]) for name, x in shapes.items()}

    def encode_frames(self, rings: list, views: dict[int, np.ndarray], row: int) -> list:
        """Encode `views`, of each of `sizes` (batch, size, size, 3) uint8, into ring rows row .. row + batch - 1.

        The old rings are given up.
        """
        return self._encode_frames(self.variables, rings, views, row)

    def encode_audio(self, rings: list, windows: dict[int, np.ndarray], row: int) -> list:
        """Encode `windows`, of each of the engine's `windows` (sound_group, window) float32, into ring rows row ..

        The old rings are given up.
        """
        return self._encode_audio(self.variables, rings, windows, row)

    def predict(
        self,
        features: list,
        audio: list,
        fragments: dict[str, Fragments],
        banks: dict[str, jax.Array] | None = None,
        context: Any = None,
    ) -> Any:
        """The `output`, by default maps (batch, h, w) float32 in [0, 1], computed asynchronously.

        banks: node states (K, h, w, C) of each net in `banked`, whose fragments name rows of them as `company`.
        context: arrays that `output` is given.
        """
        return self._predict(self.variables, features, audio, fragments, banks or {}, context)

    def nodes(self, features: list, audio: list, fragments: dict[str, Fragments]) -> dict[str, jax.Array]:
        """Node states (batch, h, w, C) of the targets of the nets that `fragments` names: rows for their banks."""
        return self._nodes(self.variables, features, audio, fragments)


def _choose(networks: Sequence[tuple[Structure, dict]], nets: Sequence[str] | None, *, fixations: bool) -> tuple[str, ...]:
    """The nets to run, by default all, in the order of the model. fixations: they must predict these."""
    predicts = [(name, structure.module.nets[name].predicts) for structure, _ in networks for name in structure.config.nets]
    known = [name for name, _ in predicts]
    asked = [nets] if isinstance(nets, str) else list(nets or known)
    unfit = dict.fromkeys(name for name, what in predicts if name in asked and what != "fixations")
    if fixations and unfit:
        raise ValueError(f"{', '.join(unfit)} predicts classes, not fixations: see stajax.inference.class_maps")
    if twice := sorted({name for name in known if known.count(name) > 1}):
        raise ValueError(f"several networks of this model have a net called {', '.join(twice)}")
    if not asked:
        raise ValueError("this model is an audio switch alone; it predicts no fixations")
    if unknown := sorted(set(asked) - set(known)):
        raise ValueError(f"no net {', '.join(unknown)} in this model; it has {', '.join(known)}")
    return tuple(name for name in known if name in asked)
