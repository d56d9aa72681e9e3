"""Sets of tagged clips, from records or from files on disk: what `record_shards` makes new records of."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from stajax.data.clip_lists import ListedClip, check_tags
from stajax.data.fixations import DataError
from stajax.data.preparation import Decoders, make_record
from stajax.data.recording import DEFAULT, Recording
from stajax.data.records import Clip, Entry, Records, decode
from stajax.data.shards import read_list
from stajax.data.tags import find_all
from stajax.inference.source import RecordSource, Source, VideoSource
from stajax.media import probe


class ClipSet(Protocol):
    entries: Sequence[Entry]  # what is known of each clip before it is read: at least name and tags
    classes: Mapping[str, Sequence[str]]  # class -> aliases, which tags are numbers of
    made_of: str  # changes when the clips do

    def each(self, numbers: Sequence[int]) -> Iterator[tuple[Clip | None, list[str]]]:
        """These clips in order, and lines of what is wrong with each; None where that is why there is no clip."""
        ...

    def source(self, number: int) -> Source:
        """To look into one clip here and there. Raises MediaError or DataError where that cannot be had."""
        ...


class RecordSet:
    """Prepared records."""

    def __init__(self, records: Records):
        self.records = records
        self.entries, self.classes = records.entries, records.classes
        self.made_of = _digest([read_list(shard)["made_of"] for shard in records.shards], records.entries)

    def each(self, numbers: Sequence[int]) -> Iterator[tuple[Clip | None, list[str]]]:
        for number in numbers:
            try:
                yield self.records[number], []
            except DataError as error:
                yield None, [str(error)]

    def source(self, number: int) -> Source:
        return RecordSource(self.records[number])


class ListedSet:
    """Video files of a list, each of which becomes a record first.

    classes: that the tags are names or aliases of. workers: processes that decode ahead; 1 is this one. Raises DataError for a
    tag that is none of the classes.
    """

    def __init__(
        self,
        listed: Sequence[ListedClip],
        classes: Mapping[str, Sequence[str]],
        *,
        recording: Recording = DEFAULT,
        workers: int = 1,
    ):
        check_tags(listed, classes)
        self.listed, self.classes, self.recording, self.workers = listed, classes, recording, workers
        self.entries = [Entry(clip.name, find_all(clip.tags, classes), 0, 0) for clip in listed]
        sizes = [clip.path.stat().st_size if clip.path.is_file() else None for clip in listed]
        self.made_of = _digest(self.entries, sizes, dataclasses.asdict(recording))

    def each(self, numbers: Sequence[int]) -> Iterator[tuple[Clip | None, list[str]]]:
        record = partial(make_record, recording=self.recording, classes=self.classes)
        with Decoders(record, self.workers) as decoders:
            for _, (data, lines) in decoders.results([self.listed[number] for number in numbers]):
                yield None if data is None else decode(data), lines

    def source(self, number: int) -> Source:
        return VideoSource(probe(self.listed[number].path), self.listed[number].name)


def _digest(*parts: Iterable[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
