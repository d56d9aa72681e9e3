"""Banks: node states of moments elsewhere, the long- and cross-term company of targets in a stream (section 4.2).

A bank holds what a net makes of a moment just before the C-GCN. `of_clip` encodes moments spread over a clip first, by seeking;
where a source cannot seek, a stream's `Banks` grow from what has passed. `of_clips` gathers moments of clips that share a tag.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np

from stajax.data.company import draw_from_bank, draw_from_tag_bank
from stajax.inference.engine import Engine
from stajax.inference.sound import SoundBuffer, window_number
from stajax.inference.source import Source
from stajax.media import Frame, MediaError, is_loud, squash
from stajax.models.fragments import Fragments

SIZE = 32  # moments in a bank


@dataclass(frozen=True, eq=False)
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
        self.nodes = {name: _filled_up(bank.nodes, size) for name, bank in self.given.items()}
        self._slots: dict[int, int] = {}  # moment -> row, of the growing ones
        self._every = 1

    def rows(self, name: str, targets: np.ndarray) -> np.ndarray:
        """Rows of the net's bank that keep each of `targets` (M,) company: (M, n) int32."""
        n, seed = self.engine.banked[name], self.seed
        if name in self.growing:
            moments, rows = np.array(list(self._slots)), np.array(list(self._slots.values()))
            return rows[draw_from_bank(moments, targets, n, seed=seed)].astype(np.int32)
        bank = self.given[name]
        if bank.clips:
            return draw_from_tag_bank(bank.clips, targets, n, seed=seed, clip=self.clip).astype(np.int32)
        return draw_from_bank(bank.moments, targets, n, seed=seed).astype(np.int32)

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


def _filled_up(nodes: jax.Array | np.ndarray, size: int) -> jax.Array:
    """To at least `size` rows, so that one shape is compiled for short clips too; nobody draws the rows of zeros."""
    nodes = np.asarray(nodes, np.float32)
    return jax.device_put(np.pad(nodes, [(0, max(0, size - len(nodes))), *[(0, 0)] * (nodes.ndim - 1)]))


@dataclass
class Made:
    """Banks, and what they cost. why_not: the reason where there are none."""

    banks: dict[str, Bank] = field(default_factory=dict)
    views: int = 0
    windows: int = 0
    why_not: str = ""


def of_clip(engine: Engine, source: Source, *, leave_out: Collection[str] = (), size: int = SIZE, seed: int = 0) -> Made:
    """Banks of moments spread over a clip at random, one for each net that wants one but those to leave out, read by seeking.

    Empty where the clip does not tell its length or cannot be seeked: then a stream's banks grow from what has passed.
    """
    made, nets = Made(), [name for name in engine.banked if name not in leave_out]
    if not nets:
        return made
    if source.duration is None or not source.n_frames:
        return Made(why_not="its length is not known")
    count = min(size, source.n_frames)
    places = (np.arange(count) + np.random.default_rng(seed).random(count)) / count
    times = np.maximum(places * source.duration - 0.5 / source.fps, 0)  # a frame is found by the moment that it begins at
    try:
        parts = list(_node_states(engine, nets, source, times.tolist(), made))
    except MediaError as error:
        return Made(why_not=str(error).removeprefix(f"{source.path}: "))
    moments = np.concatenate([moments for moments, _ in parts])
    for name in nets:
        made.banks[name] = Bank(np.concatenate([np.asarray(nodes[name]) for _, nodes in parts]), moments)
    return made


def of_clips(
    engine: Engine, nets: Collection[str], sources: Iterable[Source], *, count: int, size: int = SIZE, seed: int = 0
) -> Made:
    """Banks of cross-term company: `size` moments of clips with a tag in common, of each clip as many, give or take one.

    Args:
        nets: those that want such a bank.
        sources: the clips; no more than `size` of them are read, and none that cannot be read.
        count: how many they are.
    """
    others = [name for name in engine.banked if name not in nets]
    chosen, found = max(1, min(count, size)), Made()
    made: list[tuple[str, Made]] = []
    for number, source in enumerate(islice(sources, chosen)):
        moments = size // chosen + (number < size % chosen)
        own_seed = zlib.crc32(f"{seed} {source.name}".encode())  # else all clips gave the same part of theirs
        made.append((source.name, of_clip(engine, source, leave_out=others, size=moments, seed=own_seed)))
    for net in nets:
        if parts := [(name, of.banks[net]) for name, of in made if net in of.banks]:
            clips = tuple(name for name, bank in parts for _ in bank.moments)
            nodes, moments = (np.concatenate([getattr(bank, part) for _, bank in parts]) for part in ("nodes", "moments"))
            found.banks[net] = Bank(nodes, moments, clips)
    found.views, found.windows = (sum(getattr(of, what) for _, of in made) for what in ("views", "windows"))
    return found


def together(banks: Sequence[Bank], size: int = SIZE) -> Bank:
    """One bank of moments of several, from each in turn, for a clip with several tags."""
    order = [(row, k) for k, bank in enumerate(banks) for row in range(len(bank.moments))]
    order = sorted(order)[:size]
    return Bank(
        nodes=np.stack([np.asarray(banks[k].nodes[row]) for row, k in order]),
        moments=np.array([banks[k].moments[row] for row, k in order]),
        clips=tuple(banks[k].clips[row] for row, k in order),
    )


def _node_states(
    engine: Engine, nets: Sequence[str], source: Source, times: list[float], made: Made
) -> Iterator[tuple[np.ndarray, dict]]:
    """Frame numbers and node states of the moments around the ascending `times`, group by group."""
    group = max(1, min(engine.batch, engine.rows // 3))
    sound = SoundBuffer(engine.window)
    hears = source.has_sound and engine.listens
    sound.closed = not hears
    blocks = source.sound() if hears else iter(())
    features, audio = engine.rings()
    if engine.hears_silence and not hears:
        audio = engine.encode_audio(audio, engine.silence(), 0)
    triplets = source.moments(times)
    for start in range(0, len(times), group):
        taken = list(islice(triplets, min(group, len(times) - start)))
        features = _seen(engine, features, [frame for triplet in taken for frame in triplet])
        middles = [triplet[1].time for triplet in taken]
        loud, heard = np.zeros(len(taken), bool), np.zeros(len(taken), int)
        if hears:
            heard = np.arange(len(taken))
            centres = [window_number(time, engine.hop) * engine.hop for time in middles]
            while not sound.reaches(centres[-1]):
                block = next(blocks, None)
                if block is None:
                    sound.closed = True
                else:
                    sound.append(block)
            for first in range(0, len(taken), engine.sound_group):
                part = centres[first : first + engine.sound_group]
                cut = sound.cut(part, engine.windows)
                loud[first : first + len(part)] = is_loud(cut[engine.window])
                padded = {w: np.pad(x, ((0, engine.sound_group - len(part)), (0, 0))) for w, x in cut.items()}
                audio = engine.encode_audio(audio, padded, first)
        rows = np.minimum(np.arange(engine.batch), len(taken) - 1)
        fragments = Fragments.of(3 * rows[:, None, None] + np.arange(3), heard[rows][:, None], loud[rows][:, None])
        nodes = engine.nodes(features, audio, dict.fromkeys(nets, fragments))
        made.views += 3 * len(taken)
        made.windows += len(taken) if hears else 0
        moments = np.rint(np.array(middles) * source.fps).astype(int)
        yield moments, {name: x[: len(taken)] for name, x in nodes.items()}


def _seen(engine: Engine, features: list, frames: Sequence[Frame]) -> list:
    """The rings with `frames` in their first rows."""
    views = [{size: squash(frame.image, size) for size in engine.sizes} for frame in frames]
    for first in range(0, len(views), engine.batch):
        part = views[first : first + engine.batch]
        part += part[-1:] * (engine.batch - len(part))
        stacked = {size: np.stack([view[size] for view in part]) for size in engine.sizes}
        features = engine.encode_frames(features, stacked, first)
    return features
