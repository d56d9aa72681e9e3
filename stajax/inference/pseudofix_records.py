"""Pseudo-fixations of a whole set of clips, as records that a fixation net can be trained on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.records import Clip, Records
from stajax.data.tags import find
from stajax.inference.bank import SIZE, Bank, of_clips, together
from stajax.inference.bank import Made as MadeBanks
from stajax.inference.clip_sets import ClipSet, RecordSet
from stajax.inference.clips import Progress
from stajax.inference.pseudofix import PseudofixModel, pseudo_fixations
from stajax.inference.record_shards import Made, over_clips
from stajax.inference.source import RecordSource, Source
from stajax.media import MediaError

FORMAT = 1  # raise it when the same clips and weights would give other maps
CLIPS_A_SHARD = 16  # where nobody says how many shards: some minutes of work on a CPU
_BANKS = 64  # classes whose banks are kept in memory, 3 MB each in size lite


def pseudofix_records(
    model: PseudofixModel,
    records: Records | ClipSet,
    out: str | os.PathLike,
    *,
    shards: int | None = None,
    process: int = 0,
    processes: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Made:
    """Write the clips with `maps` (value / 255) and `valid` as records to `out`, resumable shard by shard.

    Cross-term company comes from banks over the clips of the set that share a tag. A clip whose tags no other has gets that of
    the model folder, or else long-term company, which `Made.notes` says.

    Args:
        records: prepared ones, or a `ClipSet` of files. Their classes may be fewer than the model's, in any order.
        shards: how many; by default one for each 16 clips.
        process, processes: shards are dealt out to processes, which need not know each other but write to one folder.
        report: told of each clip, and of its frames by stage.

    Raises:
        DataError: a class that the model does not know; `out` holds other records. OutputError: it cannot be written.
    """
    clips = RecordSet(records) if isinstance(records, Records) else records
    numbers, banks = class_numbers(model, clips), _TagBanks(model, clips)

    def make(clip: Clip, told: Callable[[str, int, int], None]) -> tuple[Clip, Counter]:
        tags = [numbers[tag] for tag in clip.tags.tolist()]
        own, views = banks.of(clip, tags)
        count = len(clip.frames)
        found = pseudo_fixations(
            model, RecordSource(clip), tags, banks=own, report=lambda stage, frames: told(stage, frames, count)
        )
        counts = Counter(found.views, valid=int(found.valid.sum()))
        counts["bank"] += views
        return replace(clip, maps=np.rint(found.maps * 255).astype(np.uint8), valid=found.valid), counts

    made_of = f"pseudo-fixations {FORMAT} by {model.fingerprint} {model.banks_digest(numbers.values())} of {clips.made_of}"
    shards = -(-len(clips.entries) // CLIPS_A_SHARD) if shards is None else shards
    share = {"shards": shards, "process": process, "processes": processes}
    return over_clips(clips, out, make, made_of, report=report, **share)


def banks_of_clips(
    model: PseudofixModel, records: Records | ClipSet, *, size: int = SIZE, seed: int = 0
) -> dict[str, dict[str, Bank]]:
    """Cross-term banks over a set of clips, class of the model -> net -> bank: what `write_banks` puts into a model folder.

    Raises:
        DataError: a class that the model does not know.
    """
    clips = RecordSet(records) if isinstance(records, Records) else records
    banks = _TagBanks(model, clips, size=size, seed=seed)
    return {list(model.classes)[number]: banks.made(tag).banks for tag, number in class_numbers(model, clips).items()}


def class_numbers(model: PseudofixModel, clips: ClipSet) -> dict[int, int]:
    """Class of the set -> class of the model, of those that occur."""
    names = list(clips.classes)
    used = sorted({tag for entry in clips.entries for tag in entry.tags})
    return {tag: find(names[tag] if names else tag, model.classes, what=f"the model {model.name}") for tag in used}


class _TagBanks:
    """Banks over the clips of a set that share a tag, made when they are first asked for."""

    def __init__(self, model: PseudofixModel, clips: ClipSet, *, size: int = SIZE, seed: int = 0):
        self.model, self.clips, self.size, self.seed = model, clips, size, seed
        self.clips_of: dict[int, list[int]] = {}
        for number, entry in enumerate(clips.entries):
            for tag in entry.tags:
                self.clips_of.setdefault(tag, []).append(number)
        self.made = lru_cache(_BANKS)(self._make)
        self._paid: set[int] = set()  # tags whose banks somebody's views count

    def of(self, clip: Clip, tags: Sequence[int]) -> tuple[Mapping[str, Bank], int]:
        """Company for a clip, and the views that its banks took if they were made for it. tags: in the model's numbers."""
        if not self.model.crossing:
            return {}, 0
        sharing = [tag for tag in clip.tags.tolist() if len(self.clips_of[tag]) > 1]
        made = [self.made(tag) for tag in sharing]
        views = sum(of.views for tag, of in zip(sharing, made, strict=True) if tag not in self._paid)
        self._paid |= set(sharing)
        found = self.model.banks(tags) if len(sharing) < len(clip.tags) else {}
        for net in self.model.crossing:
            useful = [of.banks[net] for of in made if net in of.banks and set(of.banks[net].clips) - {clip.name}]
            if useful:
                found[net] = together(useful, self.size) if len(useful) > 1 else useful[0]
        return found, views

    def _make(self, tag: int) -> MadeBanks:
        order = np.random.default_rng((self.seed, tag)).permutation(self.clips_of[tag])
        return of_clips(
            self.model.whole, self.model.crossing, self._sources(order), count=len(order), size=self.size, seed=self.seed
        )

    def _sources(self, numbers: Sequence[int]) -> Iterator[Source]:
        for number in numbers:
            try:
                yield self.clips.source(int(number))
            except (MediaError, DataError):  # it is named when its turn comes
                continue
