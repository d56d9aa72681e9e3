"""Banks: node states of moments elsewhere, the long- and cross-term company of targets in a stream (section 4.2).

A bank holds what a net makes of a moment just before the C-GCN. `of_clip` encodes moments spread over a clip first, by seeking;
where a source cannot seek, a stream's `Banks` grow from what has passed.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np

from stajax.data.company import draw_from_bank, draw_from_tag_bank
from stajax.inference.engine import Engine
from stajax.inference.sound import SoundBuffer, is_loud
from stajax.inference.source import Source
from stajax.media import MediaError, squash
from stajax.models.fragments import Fragments

SIZE = 32  # moments in a bank


@dataclass(frozen=True)
class Bank:
    """K moments of a clip, or of the clips that share a tag.

    nodes: (K, h, w, C). moments: (K,) frame numbers in their clips. clips: the clip of each, () if all are of the stream's own.
    """

    nodes: jax.Array | np.ndarray
    moments: np.ndarray
    clips: tuple[str, ...] = ()


class Banks:
    """The banks of one stream: those that are given, and for the nets without one what the stream itself puts in as it goes.

    A growing bank starts with the first frame. When it is full every second moment leaves, and from then on only half as many
    enter, so that it always spans what has passed.
    """

    def __init__(
        self, engine: Engine, given: Mapping[str, Bank] | None = None, *, clip: str = "", size: int = SIZE, seed: int = 0
    ):
        self.engine, self.clip, self.size, self.seed = engine, clip, size, seed
        self.given = {name: bank for name, bank in (given or {}).items() if name in engine.banked}
        self.growing = tuple(name for name in engine.banked if name not in self.given)
        self.nodes = {name: jax.device_put(bank.nodes) for name, bank in self.given.items()}
        self._slots: dict[int, int] = {}  # moment -> row, of the growing ones
        self._every = 1

    def rows(self, name: str, targets: np.ndarray) -> np.ndarray:
        """Rows of the net's bank that keep each of `targets` (M,) company: (M, n) int32."""
        n, options = self.engine.banked[name], {"seed": self.seed, "clip": self.clip}
        if name in self.growing:
            moments, rows = np.array(list(self._slots)), np.array(list(self._slots.values()))
            return rows[draw_from_bank(moments, targets, n, **options)].astype(np.int32)
        bank = self.given[name]
        if bank.clips:
            return draw_from_tag_bank(bank.clips, targets, n, **options).astype(np.int32)
        return draw_from_bank(bank.moments, targets, n, **options).astype(np.int32)

    def grow(self, targets: np.ndarray, nodes: Mapping[str, jax.Array]) -> None:
        """Put in what belongs there of the next `targets`, consecutive frame numbers, with node states `nodes` (batch, ...)."""
        inserted: dict[int, int] = {}  # moment -> its place among targets
        for place, moment in enumerate(targets.tolist()):
            if moment % self._every:
                continue
            if len(self._slots) == self.size:
                self._every *= 2
                self._slots = {old: row for old, row in self._slots.items() if old % self._every == 0}
                if moment % self._every:
                    continue
            free = min(set(range(self.size)) - set(self._slots.values()))
            self._slots[moment], inserted[moment] = free, place
        rows = np.full(self.engine.batch, self.size)  # a row beyond the bank is dropped
        for moment, place in inserted.items():
            rows[place] = self._slots.get(moment, self.size)
        for name in self.growing:
            bank = self.nodes.get(name)
            if bank is None:
                bank = jnp.zeros((self.size, *nodes[name].shape[1:]), nodes[name].dtype)
            self.nodes[name] = _insert(bank, nodes[name], rows)


@jax.jit
def _insert(bank: jax.Array, nodes: jax.Array, rows: np.ndarray) -> jax.Array:
    return bank.at[rows].set(nodes, mode="drop")


@dataclass
class Made:
    """What `of_clip` gives: the banks, and what they cost."""

    banks: dict[str, Bank] = field(default_factory=dict)
    views: int = 0
    windows: int = 0


def of_clip(engine: Engine, source: Source, *, leave_out: Collection[str] = (), size: int = SIZE, seed: int = 0) -> Made:
    """Banks of moments spread over a clip at random, one for each net that wants one but those to leave out, read by seeking.

    Empty where the clip does not tell its length or cannot be seeked: then a stream's banks grow from what has passed.
    """
    made, nets = Made(), [name for name in engine.banked if name not in leave_out]
    if not nets or source.duration is None or not source.n_frames or source.n_frames < 2:
        return made
    count = min(size, source.n_frames)
    places = (np.arange(count) + np.random.default_rng(seed).random(count)) / count
    try:
        parts = list(_node_states(engine, nets, source, (places * source.duration).tolist(), made))
    except MediaError:
        return Made()
    moments = np.concatenate([moments for moments, _ in parts])
    for name in nets:
        made.banks[name] = Bank(jnp.concatenate([nodes[name] for _, nodes in parts]), moments)
    return made


def of_clips(
    engine: Engine, sources: Iterable[Source], nets: Collection[str], *, count: int, size: int = SIZE, seed: int = 0
) -> dict[str, Bank]:
    """Banks of cross-term company: some `size` moments of `count` clips with a tag in common, of each as many.

    Args:
        sources: the clips, of which no more than `size` are read.
        nets: those that want such a bank.
    """
    others = [name for name in engine.banked if name not in nets]
    each = max(1, size // max(count, 1))
    options = {"leave_out": others, "size": each, "seed": seed}
    made = [(source.name, of_clip(engine, source, **options)) for source in itertools.islice(sources, size)]
    banks = {}
    for net in nets:
        found = [(name, of.banks[net]) for name, of in made if net in of.banks]
        if found:
            nodes, moments = (np.concatenate([getattr(b, part) for _, b in found]) for part in ("nodes", "moments"))
            banks[net] = Bank(nodes, moments, tuple(name for name, b in found for _ in b.moments))
    return banks


def _node_states(
    engine: Engine, nets: Sequence[str], source: Source, times: list[float], made: Made
) -> Iterator[tuple[np.ndarray, dict]]:
    """Frame numbers and node states of the moments around the ascending `times`, group by group."""
    group = max(1, min(engine.batch, engine.rows // 3))
    sound = SoundBuffer(engine.window)
    sound.closed = not (source.has_sound and engine.listens)
    blocks = source.sound() if not sound.closed else iter(())
    features, audio = engine.rings()
    triplets = source.moments(times)
    for start in range(0, len(times), group):
        taken = [triplet for _, triplet in zip(range(min(group, len(times) - start)), triplets, strict=False)]
        frames = [frame for triplet in taken for frame in triplet]
        views = [{s: squash(frame.image, s) for s in engine.sizes} for frame in frames]
        for first in range(0, len(views), engine.batch):
            part = views[first : first + engine.batch]
            part += part[-1:] * (engine.batch - len(part))
            stacked = {s: np.stack([view[s] for view in part]) for s in engine.sizes}
            features = engine.encode_frames(features, stacked, first)
        middles = [triplet[1].time for triplet in taken]
        loud = np.zeros(len(taken), bool)
        if engine.listens:
            while not sound.reaches(middles[-1]):
                block = next(blocks, None)
                if block is None:
                    sound.closed = True
                else:
                    sound.append(block)
            for first in range(0, len(taken), engine.sound_group):
                part = middles[first : first + engine.sound_group]
                cut = sound.cut(part, engine.windows)
                loud[first : first + len(part)] = is_loud(cut[engine.window])
                padded = {w: np.pad(x, ((0, engine.sound_group - len(part)), (0, 0))) for w, x in cut.items()}
                audio = engine.encode_audio(audio, padded, first)
        rows = np.minimum(np.arange(engine.batch), len(taken) - 1)
        fragments = Fragments.of(3 * rows[:, None, None] + np.arange(3), rows[:, None], loud[rows][:, None])
        nodes = engine.nodes(features, audio, dict.fromkeys(nets, fragments))
        made.views += len(frames)
        made.windows += len(taken) if engine.listens else 0
        moments = np.rint(np.array(middles) * source.fps).astype(int)
        yield moments, {name: x[: len(taken)] for name, x in nodes.items()}
