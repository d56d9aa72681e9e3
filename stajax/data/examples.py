"""Training examples out of clip records: a target moment and its company, with pictures, sound and labels.

An example is a function of the seed and of its position in the shuffled, endless stream of clips, whatever came before and
whoever asks: so the batch of a step is the same after a resume, and with any number of workers or processes. `batches.py`
makes the batches.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import get_args

import numpy as np

from stajax.data.augment import Augment, Crop, augment, crop_map
from stajax.data.company import Granularity, Partners, Source, cross_company, long_company, node_frames, short_company
from stajax.data.feature_cache import FeatureCache
from stajax.data.fixations import DataError
from stajax.data.heard import HOP, hops
from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Clip, Records
from stajax.media import MediaWarning, cut_windows, is_loud, squash

_KEPT = 512  # records without their pictures, up to a megabyte or two each; reading one of 4 MB takes 16 ms

Node = tuple[Clip, int]  # a clip and a moment of it


@dataclass(frozen=True)
class Sampling:
    """What an example is made of.

    Attributes:
        source: s, st, sa or sta; a node of s and sa is one frame, of st and sta three (t-1, t, t+1).
        company: none, short, long or cross.
        n: nodes of company.
        size: pixels of a square view.
        window: samples of a sound window, as the sound encoder takes them; None leaves the sound out.
        maps: (h, w) of the fixation maps, for tasks that learn from them; targets are then moments that have one.
        augment: of the views; not with cached features.
    """

    source: Source = "sta"
    company: Granularity = "none"
    n: int = 2
    size: int = 256
    window: int | None = 15600
    maps: tuple[int, int] | None = None
    augment: Augment = field(default_factory=Augment.none)

    def __post_init__(self):
        for what, value, known in (("source", self.source, Source), ("company", self.company, Granularity)):
            if value not in get_args(known):
                raise ValueError(f"{what} {value!r}: give one of {', '.join(get_args(known))}")
        if self.company != "none" and self.n < 1:
            raise ValueError(f"{self.n} nodes of {self.company} company: give 1 or more, or company 'none'")


class Examples:
    """The examples of some records.

    Args:
        records: of clips.
        rows: numbers of the records to take targets and company from; all by default.
        sampling: what an example is made of.
        seed: of every draw.
        heard: {clip: (A,)} of `heard.npz`; without it what is audible counts as heard.
        cache: features to give in place of views and sound.

    Attributes:
        rows: (N,) those that hold frames.
        alone: names of the clips that no other one shares a tag with: their cross-term company is long-term company.
        damaged: {clip: reason} of those that this process met and left out.

    Raises:
        DataError: no records are left. ValueError: augmentation of cached features.
    """

    def __init__(
        self,
        records: Records,
        rows: Sequence[int] | np.ndarray | None = None,
        *,
        sampling: Sampling,
        seed: int = 0,
        heard: Mapping[str, np.ndarray] | None = None,
        cache: FeatureCache | None = None,
    ):
        if cache is not None and sampling.augment != Augment.none():
            raise ValueError("cached features cannot be augmented: give Augment.none(), or no cache")
        rows = np.arange(len(records)) if rows is None else np.asarray(rows, np.int64)
        self.rows = np.array([row for row in rows.tolist() if records.entries[row].frames], np.int64)
        if not len(self.rows):
            raise DataError("examples: none of the records holds a frame; check the split and the preparation of the records")
        self.records, self.sampling, self.seed = records, sampling, seed
        self.heard, self.cache = heard, cache
        self.damaged: dict[str, str] = {}
        self._kept: dict[int, Clip] = {}
        entries = [records.entries[row] for row in self.rows]
        self._lengths = [entry.frames for entry in entries]
        self._partners = Partners([entry.tags for entry in entries])
        self.alone = tuple(entry.name for i, entry in enumerate(entries) if not len(self._partners[i]))

    def __len__(self) -> int:
        """How many clips."""
        return len(self.rows)

    def training(self, position: int, clip: int) -> dict:
        """The example at `position` of the stream, whose target is drawn from clip number `clip` of these.

        Where that clip is damaged, or has no moment to learn from, another one takes its place. See `batches` for the arrays.

        Raises:
            DataError: there is no clip to take.
        """
        rng = np.random.default_rng((self.seed, position))
        example = self._example(clip, rng)
        if example is not None:
            return example | {"skipped": np.int32(0)}
        others = np.delete(np.arange(len(self)), clip)
        for skipped, other in enumerate(rng.permutation(others).tolist(), 1):
            example = self._example(other, rng)
            if example is not None:
                return example | {"skipped": np.int32(skipped)}
        raise self._none_left()

    def evaluation(self, clip: int, moment: int, moments: int) -> dict:
        """The example of moment number `moment` of `moments` spread evenly over a clip: the same at every call, as it is.

        A clip that cannot be read gives another one's example with weight 0.

        Raises:
            DataError: there is no clip to take.
        """
        for skipped in range(len(self)):
            rng = np.random.default_rng((self.seed, (clip + skipped) % len(self), moment))
            example = self._example((clip + skipped) % len(self), rng, spread=(moment + 0.5) / moments)
            if example is not None:
                return example | {"weight": np.float32(skipped == 0), "skipped": np.int32(skipped)}
        raise self._none_left()

    def _example(self, clip: int, rng: np.random.Generator, spread: float | None = None) -> dict | None:
        """An example of this clip, or None where there is none: its target at `spread` in [0, 1) of the clip, or drawn."""
        try:
            record = self._read(clip)
            moments = self._moments(record)
            if not len(moments):
                return None
            target = int(moments[rng.integers(len(moments)) if spread is None else int(spread * len(moments))])
            nodes = [(record, target), *self._company(clip, record, target, seed=int(rng.integers(2**63)))]
            config = self.sampling.augment if spread is None else Augment.none()
            return self._arrays(nodes, config, rng) | {
                "tags": self._tags(record),
                "weight": np.float32(1),
                "record": np.int32(self.rows[clip]),
                "moment": np.int32(target),
            }
        except DataError as error:
            self._leave_out(clip, error)
            return None

    def _read(self, clip: int) -> Clip:
        """The record; with cached features, whose pictures nobody looks at, one of the last read is kept without them."""
        if self.cache is None:
            return self.records[int(self.rows[clip])]
        record = self._kept.get(clip)
        if record is None:
            record = self.records[int(self.rows[clip])]
            record = replace(record, frames=[b""] * len(record.frames))
            if len(self._kept) == _KEPT:
                self._kept.clear()
            self._kept[clip] = record
        return record

    def _moments(self, record: Clip) -> np.ndarray:
        """The moments that may be targets."""
        if self.sampling.maps is None:
            return np.arange(len(record.frames))
        if record.maps is None:
            raise DataError(f"clip {record.name}: its record has no maps; give records of pseudo-fixations")
        return np.flatnonzero(record.valid)

    def _company(self, clip: int, record: Clip, target: int, *, seed: int) -> list[Node]:
        config, length = self.sampling, len(record.frames)
        if config.company == "cross":
            return self._cross(clip, record, target, seed=seed)
        if config.company == "none":
            return []
        if config.company == "short":
            moments = short_company(target, config.n, config.source, length)
        else:
            moments = long_company(target, config.n, length, seed=seed)
        return [(record, moment) for moment in moments.tolist()]

    def _cross(self, clip: int, record: Clip, target: int, *, seed: int) -> list[Node]:
        """Drawn again without them where clips of the company are damaged."""
        partners, read = self._partners[clip], {clip: record}
        while True:
            drawn = cross_company(target, self.sampling.n, self._lengths, partners, seed=seed, clip=clip)
            for other in set(drawn.clips.tolist()) - set(read):
                try:
                    read[other] = self._read(other)
                except DataError as error:
                    self._leave_out(other, error)
                    partners = partners[partners != other]
            if set(drawn.clips.tolist()) <= set(read):
                return [
                    (read[other], moment) for other, moment in zip(drawn.clips.tolist(), drawn.moments.tolist(), strict=True)
                ]

    def _arrays(self, nodes: list[Node], config: Augment, rng: np.random.Generator) -> dict:
        """All that the nodes show and sound like."""
        frames = [node_frames(moment, self.sampling.source, len(clip.frames)).tolist() for clip, moment in nodes]
        if self.cache is not None:
            levels = [self.cache.features(clip.name, at) for (clip, _), at in zip(nodes, frames, strict=True)]
            shown = {"features": {name: np.stack([level[name] for level in levels]) for name in levels[0]}}
            whole = Crop(0, 0, 1, 1, False)
            return shown | self._sound(nodes) | self._maps(nodes, [whole] * len(nodes))
        # Nodes may share frames.
        clips = {clip.name: clip for clip, _ in nodes}
        wanted = {(clip.name, t) for (clip, _), at in zip(nodes, frames, strict=True) for t in at}
        pictures = {(name, t): _picture(clips[name], t, config.side(self.sampling.size)) for name, t in wanted}
        views = np.array([[pictures[clip.name, t] for t in at] for (clip, _), at in zip(nodes, frames, strict=True)])
        views, crops = augment(views, config, self.sampling.size, rng)
        return {"views": views} | self._sound(nodes) | self._maps(nodes, crops)

    def _sound(self, nodes: list[Node]) -> dict:
        window, silent = self.sampling.window, np.zeros(len(nodes), np.float32)
        if window is None:
            return {"audible": silent, "heard": silent}
        times = [float(clip.times[moment]) for clip, moment in nodes]
        if self.cache is not None:
            times = [round(time / HOP) * HOP for time in times]  # what its vectors are of
        sound = np.concatenate([cut_windows(clip.sound, [time], window) for (clip, _), time in zip(nodes, times, strict=True)])
        sound /= 32768
        audible = is_loud(sound).astype(np.float32)  # where it is not, `predict` closes the switch, too
        if self.heard is None:
            heard = audible
        else:
            heard = np.array([self._is_heard(clip, time) for (clip, _), time in zip(nodes, times, strict=True)], np.float32)
        if self.cache is None:
            return {"sound": sound, "audible": audible, "heard": heard}
        vectors = [self.cache.vectors(clip.name, time) for (clip, _), time in zip(nodes, times, strict=True)]
        return {"vectors": np.stack(vectors).astype(np.float32), "audible": audible, "heard": heard}

    def _is_heard(self, clip: Clip, time: float) -> bool:
        if not len(clip.sound):
            return False
        if clip.name not in self.heard:
            raise DataError(f"clip {clip.name}: not in what is heard; let the tagger hear these records again")
        classes = self.heard[clip.name]
        return classes[hops(time, len(classes))] in clip.tags

    def _maps(self, nodes: list[Node], crops: list[Crop]) -> dict:
        shape = self.sampling.maps
        if shape is None:
            return {}
        maps = [crop_map(clip.maps[t] / np.float32(255), crop, shape) for (clip, t), crop in zip(nodes, crops, strict=True)]
        return {"maps": np.stack(maps), "valid": np.array([clip.valid[t] for clip, t in nodes], bool)}

    def _tags(self, record: Clip) -> np.ndarray:
        tags = np.zeros(len(self.records.classes), np.float32)
        if (record.tags >= len(tags)).any():
            raise DataError(f"clip {record.name}: tag {record.tags.max()} of {len(tags)} classes; classes.json is another's")
        tags[record.tags] = 1
        return tags

    def _leave_out(self, clip: int, error: DataError) -> None:
        name = self.records.entries[self.rows[clip]].name
        if name not in self.damaged:
            self.damaged[name] = str(error)
            warnings.warn(f"{error}; left out", MediaWarning, stacklevel=2)

    def _none_left(self) -> DataError:
        reason = next(reversed(self.damaged.values()), "no moment of any clip has a valid map")
        return DataError(f"examples: none of {len(self)} clips can be used ({reason})")


def _picture(clip: Clip, t: int, side: int) -> np.ndarray:
    """Frame t as a square view: (side, side, 3) uint8."""
    try:
        return squash(decode_jpeg(clip.frames[t]), side)
    except DataError as error:
        raise DataError(f"clip {clip.name}: frame {t} is {error}; make its record again") from error
