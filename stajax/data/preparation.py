"""Video files to a set of records: several at once, shard by shard, so that a killed run goes on where it stopped."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import NamedTuple

from stajax.data.clip import encode
from stajax.data.clip_lists import ListedClip, check_tags, named
from stajax.data.fixations import DataError
from stajax.data.recording import DEFAULT, Recording, record_clip
from stajax.data.shards import is_done, read_list, shard_path, write_classes, write_shard
from stajax.data.tags import Classes, find_all
from stajax.media import MediaError

CLIPS_A_SHARD = 64  # some 300 MB of 10 s clips
_FORMAT = 1  # raise it when the same file would give another record


class Progress(NamedTuple):
    """What `prepare` reports of each clip. kind: ``done``, ``skipped`` (message says why) or ``kept`` from an earlier run."""

    kind: str
    clip: str  # name
    number: int  # of clips so far
    count: int  # of all
    message: str = ""


@dataclass
class Summary:
    """How a run of `prepare` went, or would have gone in one go."""

    folder: Path
    records: int = 0
    frames: int = 0
    skipped: dict[str, str] = field(default_factory=dict)  # clip -> why there is no record of it
    notes: dict[str, list[str]] = field(default_factory=dict)  # clip -> what of it is damaged or cut off
    kept: int = 0  # of the records, those from an earlier run


def prepare(
    clips: Sequence[ListedClip | tuple[str | os.PathLike, Sequence[str]]],
    classes: Classes,
    out: str | os.PathLike,
    *,
    name: str = "clips",
    recording: Recording = DEFAULT,
    shards: int | None = None,
    workers: int = 1,
    process: tuple[int, int] = (0, 1),
    report: Callable[[Progress], None] = lambda progress: None,
) -> Summary:
    """Make records of video files: `out`/NAME-00000-of-00004.array_record and so on, see `records`.

    A file that cannot be read is reported by name, skipped and counted. Shards that are there, made of the same files in the
    same way, are kept.

    Args:
        clips: (path, tags, name), or (path, tags): the name is then the path below the clips' common folder, without suffix.
        classes: what tags are numbers of: names, or a mapping from names to aliases.
        name: of the shards.
        recording: what a record keeps of a clip.
        shards: how many; by default one for each 64 clips.
        workers: processes that decode. 1 works in this one; more are started anew, so a script needs
            `if __name__ == "__main__":`.
        process: (i, n): make only the shards i, i + n, ..., for n machines that share a file system.

    Raises:
        DataError: no clips, two of one name, a tag that is no class, records of other classes or in another number of shards in
        `out`, or not one clip that can be read. OutputError: `out` cannot be written. RuntimeError: workers cannot be started.
    """
    clips = _listed(clips)
    check_tags(clips, classes)
    shards = max(1, math.ceil(len(clips) / CLIPS_A_SHARD)) if shards is None else shards
    index, of = process
    if shards < 1 or workers < 1 or not 0 <= index < of:
        raise DataError(f"{shards} shards, {workers} workers, process {index} of {of}; all must be at least 1, and i below n")
    write_classes(out, classes)
    mine = [(shard_path(out, name, shard, shards), clips[shard::shards]) for shard in range(index, shards, of)]
    count, number, summary = sum(len(listed) for _, listed in mine), 0, Summary(Path(out))
    record = partial(make_record, recording=recording, classes=classes)

    with Decoders(record, workers) as decoders:
        for path, listed in mine:
            made_of, notes = _made_of(listed, recording, classes), {"skipped": {}, "damaged": {}}
            kept = is_done(path, made_of)
            if not kept:

                def records(listed=listed, notes=notes, before=number) -> Iterator[bytes]:
                    for at, (clip, (data, lines)) in enumerate(decoders.results(listed), before + 1):
                        if data is None:
                            notes["skipped"][clip.name] = lines[0]
                            report(Progress("skipped", clip.name, at, count, lines[0]))
                            continue
                        if lines:
                            notes["damaged"][clip.name] = lines
                        yield data
                        report(Progress("done", clip.name, at, count, "; ".join(lines)))

                write_shard(path, records(), made_of=made_of, notes=notes)
            number += len(listed)
            found = read_list(path)
            summary.records += len(found["clips"])
            summary.frames += sum(frames for _, _, frames, _ in found["clips"])
            summary.skipped |= found["notes"].get("skipped", {})
            summary.notes |= found["notes"].get("damaged", {})
            if kept:
                summary.kept += len(found["clips"])
                report(Progress("kept", path.name, number, count))
    if mine and not summary.records:
        first = next(iter(summary.skipped.values()))
        raise DataError(f"{out}: not one of {count} clips can be read; the first: {first}")
    return summary


def _listed(clips: Sequence) -> list[ListedClip]:
    if not clips:
        raise DataError("no clips to prepare")
    if any(len(clip) == 2 for clip in clips):
        clips = named([clip[:2] for clip in clips], os.path.commonpath([Path(clip[0]).absolute().parent for clip in clips]))
    clips = [ListedClip(Path(path), tuple(tags), name) for path, tags, name in clips]
    seen: set[str] = set()
    for clip in clips:
        if clip.name in seen:
            raise DataError(f"two clips have the name {clip.name}; give them different ones")
        seen.add(clip.name)
    return clips


def make_record(clip: ListedClip, *, recording: Recording, classes: Classes) -> tuple[bytes | None, list[str]]:
    """A clip's serialised record and what is not as it should be; None and the reason where it cannot be read."""
    try:
        found, notes = record_clip(clip.path, clip.name, find_all(clip.tags, classes), recording)
        return encode(found), notes
    except MediaError as error:
        return None, [str(error)]
    except Exception as error:  # a fault in a decoder must not cost the other clips
        return None, [f"{clip.path}: {type(error).__name__}: {(str(error) or '(no message)').splitlines()[0]}"]


def _made_of(clips: Sequence[ListedClip], recording: Recording, classes: Classes) -> str:
    """Of everything that the records of these clips depend on."""
    files = [[c.name, find_all(c.tags, classes), c.path.stat().st_size if c.path.is_file() else None] for c in clips]
    settings = [_FORMAT, dataclasses.asdict(recording), files]
    return hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]


class Decoders:
    """`work` on clips, in this process or in several that a clip may bring down; a context manager."""

    def __init__(self, work: Callable, workers: int):
        self.work, self.workers, self.pool = work, workers, None

    def __enter__(self) -> Decoders:
        return self

    def __exit__(self, *error) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def results(self, clips: Sequence[ListedClip]) -> Iterator[tuple[ListedClip, tuple]]:
        """(clip, its result) in order."""
        if self.workers == 1:
            yield from ((clip, self.work(clip)) for clip in clips)
            return
        pending: deque[tuple[ListedClip, Future]] = deque()
        for clip in clips:
            pending.append((clip, self._submit(clip)))
            if len(pending) >= 2 * self.workers:  # the results that wait are records in memory
                yield self._result(*pending.popleft())
        while pending:
            yield self._result(*pending.popleft())

    def _submit(self, clip: ListedClip) -> Future:
        for _ in range(2):
            if self.pool is None:
                self.pool = _pool(self.workers)
            try:
                return self.pool.submit(self.work, clip)
            except BrokenProcessPool:  # an earlier clip brought it down
                self.pool = None
        raise RuntimeError(f"{clip.path}: worker processes die as soon as they are started")

    def _result(self, clip: ListedClip, future: Future) -> tuple[ListedClip, tuple]:
        try:
            return clip, future.result()
        except BrokenProcessPool:
            pass
        with _pool(1) as alone:  # whichever clip it was, here it comes to light
            try:
                return clip, alone.submit(self.work, clip).result()
            except BrokenProcessPool:
                return clip, (
                    None,
                    [f"{clip.path}: the process that decoded it died (a fault in the decoder, or no memory left)"],
                )


def _pool(workers: int) -> ProcessPoolExecutor:
    pool = ProcessPoolExecutor(workers, get_context("spawn"), _start)
    try:
        pool.submit(os.getpid).result()
    except BrokenProcessPool as error:
        raise RuntimeError('worker processes cannot be started; does the script lack `if __name__ == "__main__":`?') from error
    return pool


def _start() -> None:
    """A parent that is interrupted ends its workers itself; one that is killed must not leave them behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch():
        parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
