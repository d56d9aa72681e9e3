"""Records to records, shard by shard: what is done is kept, each process makes its own shards, what is skipped is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from stajax.data.records import Clip, Records
from stajax.data.shards import is_done, read_list, shard_path, write_classes, write_shard


@dataclass
class Made:
    """How a run over records went, earlier runs into the same folder included."""

    clips: int = 0
    frames: int = 0
    valid: int = 0  # frames with a valid map
    skipped: dict[str, str] = field(default_factory=dict)  # clip -> why there is nothing of it


def over_records(
    records: Records,
    out: str | os.PathLike,
    make: Callable[[Clip], tuple[Clip, int]],
    made_of: str,
    *,
    name: str = "clips",
    shards: int = 1,
    process: int = 0,
    processes: int = 1,
    report: Callable[[int, int, str], None] = lambda done, count, name: None,
) -> Made:
    """Write `make` of every clip with a tag and frames.

    Args:
        make: a clip to what becomes of it, and how many of its frames are valid.
        made_of: what `make` depends on, in any words; shards that were made of something else are made again.
        report: told (clips done, clips of this process, name).

    Raises:
        OutputError: `out` cannot be written. What `make` raises.
    """
    write_classes(out, records.classes)
    mine, summary = range(process, shards, processes), Made()
    count, done = sum(len(range(shard, len(records), shards)) for shard in mine), 0
    for shard in mine:
        path, numbers = shard_path(out, name, shard, shards), range(shard, len(records), shards)
        if not is_done(path, made_of):
            notes: dict = {"valid": 0, "skipped": {}}

            def clips(numbers: Sequence[int] = numbers, notes: dict = notes, before: int = done) -> Iterator[Clip]:
                for at, number in enumerate(numbers, before + 1):
                    clip_name, clip = records.entries[number].name, records.get(number)
                    if clip is None or not len(clip.tags) or not clip.frames:
                        reason = "its record is damaged" if clip is None else "no frames" if len(clip.tags) else "no tag"
                        notes["skipped"][clip_name] = reason
                    else:
                        made, valid = make(clip)
                        notes["valid"] += valid
                        yield made
                    report(at, count, clip_name)

            write_shard(path, clips(), made_of=made_of, notes=notes)
        done += len(numbers)
        listed = read_list(path)
        summary.clips += len(listed["clips"])
        summary.frames += sum(frames for _, _, frames, _ in listed["clips"])
        summary.valid += listed["notes"].get("valid", 0)
        summary.skipped |= listed["notes"].get("skipped", {})
    return summary
