"""Clips to records, shard by shard: what is done is kept, each process makes its own shards, what is left out is named."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stajax.data.fixations import DataError
from stajax.data.records import Clip
from stajax.data.shards import is_done, read_list, shard_path, write_classes, write_shard
from stajax.inference.clip_sets import ClipSet
from stajax.inference.clips import Progress
from stajax.media import MediaError, MediaWarning, OutputError

# A clip, and whoever wants to be told the stage, frames so far and frames in all -> what becomes of it, and what is counted.
Make = Callable[[Clip, Callable[[str, int, int], None]], tuple[Clip, Counter]]


@dataclass
class Made:
    """How a run over clips went, earlier runs into the same folder included, as far as the shards of this process go."""

    clips: int = 0
    frames: int = 0
    counts: Counter = field(default_factory=Counter)  # "valid": frames with a valid map; views by stage, and "bank"
    skipped: dict[str, str] = field(default_factory=dict)  # clip -> why there is nothing of it
    notes: dict[str, list[str]] = field(default_factory=dict)  # clip -> what is not as it should be
    kept: int = 0  # of the clips, those from an earlier run
    kept_frames: int = 0

    @property
    def valid(self) -> int:
        """Frames with a valid map."""
        return self.counts["valid"]


def over_clips(
    clips: ClipSet,
    out: str | os.PathLike,
    make: Make,
    made_of: str,
    *,
    name: str = "clips",
    shards: int = 1,
    process: int = 0,
    processes: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Made:
    """Write `make` of every clip with a tag and frames: `out`/NAME-00000-of-00004.array_record and so on.

    Args:
        make: may warn of the clip (MediaWarning), and refuse it (MediaError, DataError).
        made_of: what `make` depends on, in any words; shards that were made of something else are made again.
        process, processes: this one makes the shards process, process + processes, ...

    Raises:
        DataError: `out` holds records of other classes, or in another number of shards; a share that makes no sense.
        OutputError: `out` cannot be written.
    """
    if shards < 1 or not 0 <= process < processes:
        raise DataError(f"{shards} shards, process {process} of {processes}: at least one shard, and processes from 0 on")
    write_classes(out, clips.classes)
    mine, made, done = range(process, shards, processes), Made(), 0
    count = sum(len(range(shard, len(clips.entries), shards)) for shard in mine)
    for shard in mine:
        path, numbers = shard_path(out, name, shard, shards), range(shard, len(clips.entries), shards)
        kept = is_done(path, made_of)
        if kept:
            report(Progress("skipped", path, done + len(numbers), count))
        else:
            notes: dict = {"counts": Counter(), "skipped": {}, "notes": {}}
            write_shard(path, _made(clips, numbers, make, notes, done, count, report), made_of=made_of, notes=notes)
        done += len(numbers)
        listed = read_list(path)
        count_clips, count_frames = len(listed["clips"]), sum(frames for _, _, frames, _ in listed["clips"])
        made.clips, made.frames = made.clips + count_clips, made.frames + count_frames
        made.kept, made.kept_frames = made.kept + kept * count_clips, made.kept_frames + kept * count_frames
        made.counts += Counter(listed["notes"].get("counts", {}))
        made.skipped |= listed["notes"].get("skipped", {})
        made.notes |= listed["notes"].get("notes", {})
    return made


def _made(
    clips: ClipSet,
    numbers: Sequence[int],
    make: Make,
    notes: dict,
    before: int,
    count: int,
    report: Callable[[Progress], None],
) -> Iterator[Clip]:
    """What becomes of these clips, one by one; `notes` is filled in. before, count: clips of this process."""
    for at, (number, (clip, lines)) in enumerate(zip(numbers, clips.each(numbers), strict=True), before + 1):
        name = clips.entries[number].name

        def tell(kind: str, _at=(Path(name), at), **fields) -> None:
            report(Progress(kind, *_at, count, **fields))

        reason = lines[0] if clip is None else "no frames" if not clip.frames else "no tag" if not len(clip.tags) else ""
        if not reason:
            tell("start", expected=len(clip.frames))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", MediaWarning)
                try:
                    found, counted = make(
                        clip, lambda stage, frames, expected: tell("frame", stage=stage, frames=frames, expected=expected)
                    )
                except OutputError:
                    raise
                except (MediaError, DataError) as error:
                    reason = str(error)
        if reason:
            notes["skipped"][name] = reason
            tell("failed", message=reason if name in reason else f"{name}: {reason}")
            continue
        lines = [*lines, *(str(w.message) for w in caught if issubclass(w.category, MediaWarning))]
        if lines:
            notes["notes"][name] = lines = list(dict.fromkeys(line.removeprefix(f"{name}: ") for line in lines))
            tell("warning", message=f"{name}: {'; '.join(lines)}")
        notes["counts"] += counted
        yield found
        tell("done", frames=len(found.frames), expected=len(found.frames), bank_views=counted["bank"])
