"""Sets of clips on disk: records read by number, written shard by shard.

Choosing clips by name, tag or length needs no reading of records: the lists beside the shards tell them (`Records.entries`).
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from stajax.data.clip import Clip, decode, encode, reason
from stajax.data.fixations import DataError
from stajax.data.shards import (
    Entry,
    find_shards,
    is_done,
    open_shard,
    read_classes,
    read_list,
    shard_path,
    write_classes,
    write_shard,
)
from stajax.media.errors import MediaWarning

__all__ = ["Clip", "Entry", "Records", "decode", "encode", "write_records"]


class Records(Sequence):
    """Clips in shards, by number: `records[i]` reads and parses one record and no other.

    Threads may read at once, and an object may be pickled to another process; files are opened on first use.

    Args:
        paths: a folder of shards, a shard, or several of them.
        name: the shards' NAME, needed where a folder holds several; FOLDER/NAME as the path says it too.

    Attributes:
        entries: [Entry], what the lists say of each clip.
        classes: {class: aliases} of the `classes.json` beside the shards; empty where there is none.
        damaged: {clip: reason} of what `get` has left out so far.

    Raises:
        DataError: no shards, some of them missing, a list that cannot be read, or folders of different classes.
    """

    def __init__(self, paths: str | os.PathLike | Sequence[str | os.PathLike], *, name: str | None = None):
        paths = [paths] if isinstance(paths, (str, os.PathLike)) else paths
        self.shards = [shard for path in paths for shard in find_shards(Path(path), name)]
        lists = [read_list(shard) for shard in self.shards]
        self.entries = [Entry(key, tuple(tags), *rest) for found in lists for key, tags, *rest in found["clips"]]
        self._places = [(shard, at) for shard, found in enumerate(lists) for at in range(len(found["clips"]))]
        tables = {folder: read_classes(folder) for folder in dict.fromkeys(shard.parent for shard in self.shards)}
        self.classes = next(iter(tables.values()), {})
        if other := [str(folder) for folder, classes in tables.items() if list(classes) != list(self.classes)]:
            raise DataError(f"{', '.join(other)}: other classes than those of {next(iter(tables))}")
        self.damaged: dict[str, str] = {}
        self._readers, self._lock = {}, threading.Lock()

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Clip:
        """The clip. Raises DataError, which names it, for a damaged record."""
        index = range(len(self))[index]  # negative ones; IndexError
        shard, at = self._places[index]
        try:
            return decode(self._reader(shard).read([at])[0])
        except (DataError, RuntimeError, IndexError, OSError) as error:  # RuntimeError: ArrayRecord's for a wrong checksum
            where = f"{self.shards[shard]}: record {at} ({self.entries[index].name})"
            raise DataError(f"{where} is damaged ({reason(error)}); delete the shard and make it again") from error

    def get(self, index: int) -> Clip | None:
        """The clip, or None with one MediaWarning for a damaged record, which `damaged` then counts."""
        try:
            return self[index]
        except DataError as error:
            name = self.entries[index].name
            if name not in self.damaged:
                self.damaged[name] = str(error)
                warnings.warn(str(error), MediaWarning, stacklevel=2)
            return None

    def __iter__(self) -> Iterator[Clip]:
        """The clips in order, without damaged ones; see `get`."""
        return (clip for index in range(len(self)) if (clip := self.get(index)) is not None)

    def _reader(self, shard: int):
        with self._lock:
            if shard not in self._readers:
                reader = open_shard(self.shards[shard])
                wanted = sum(of == shard for of, _ in self._places)
                if reader.num_records() != wanted:
                    raise DataError(f"the file holds {reader.num_records()} records, not {wanted}")
                self._readers[shard] = reader
            return self._readers[shard]

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_readers": {}, "_lock": None}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()


def write_records(
    folder: str | os.PathLike,
    clips: Sequence[Clip],
    classes: Mapping[str, Sequence[str]] | Sequence[str],
    *,
    name: str = "clips",
    shards: int = 1,
    made_of: str = "",
) -> Records:
    """Write `clips` to `shards` shards in `folder`, which is made if need be.

    A shard that is there already is kept, and its clips are not asked for: a sequence that makes its clips when indexed
    resumes where a killed run stopped.

    Args:
        clips: len() and [i]; shard k holds clips k, k + shards, k + 2 * shards, ...
        classes: names of the classes that tags are numbers of, or a mapping from names to aliases.
        name: of the shards.
        made_of: what the clips were made of, in any words; a shard made of something else is written again.

    Raises:
        DataError: clips whose parts do not fit together, or a folder that holds this name in another number of shards.
        OutputError: the folder cannot be written.
    """
    write_classes(folder, classes)
    for shard in range(shards):
        path = shard_path(folder, name, shard, shards)
        if not is_done(path, made_of):
            write_shard(path, (clips[i] for i in range(shard, len(clips), shards)), made_of=made_of)
    return Records(folder, name=name)
