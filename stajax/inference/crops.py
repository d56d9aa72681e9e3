"""The clips of the fine stage: each frame cut out by the box of the coarse stage (section 3.2), as records to train on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from stajax.data.jpeg import decode_jpeg, encode_jpeg
from stajax.data.records import Clip, Records, is_done, read_list, shard_path, write_classes, write_shard
from stajax.inference.pseudofix import PseudofixModel, pseudo_fixations
from stajax.inference.source import RecordSource
from stajax.media import squash


@dataclass
class Cropped:
    """How `crop_records` went."""

    clips: int = 0
    frames: int = 0
    valid: int = 0  # frames whose box is that of a valid coarse map; the others are shown whole
    skipped: dict[str, str] = field(default_factory=dict)  # damaged records, and clips without a tag


def crop_records(
    model: PseudofixModel,
    records: Records,
    out: str | os.PathLike,
    *,
    size: int,
    shards: int = 1,
    process: int = 0,
    processes: int = 1,
    report: Callable[[int, int, str], None] = lambda done, count, name: None,
) -> Cropped:
    """Write the records' clips with every frame cut out by its box and squashed to `size` px; times, sound and tags stay.

    Shards that are done are kept; each process makes its own.

    Args:
        model: with the nets of the coarse stage; others are not needed.
        report: told (clips done, clips, name).
    """
    write_classes(out, records.classes)
    made_of, summary = f"crops of {size} px by {model.name}, {model.settings}", Cropped()
    mine = range(process, shards, processes)
    count, done = sum(len(range(shard, len(records), shards)) for shard in mine), 0
    for shard in mine:
        path, numbers = shard_path(out, "clips", shard, shards), range(shard, len(records), shards)
        if not is_done(path, made_of):
            notes = {"valid": 0, "skipped": {}}

            def clips(numbers: Sequence[int] = numbers, notes: dict = notes, before: int = done):
                for at, number in enumerate(numbers, before + 1):
                    name, clip = records.entries[number].name, records.get(number)
                    if clip is None or not len(clip.tags) or not len(clip.frames):
                        notes["skipped"][name] = "damaged" if clip is None else "no tag" if len(clip.frames) else "no frames"
                    else:
                        found = pseudo_fixations(model, RecordSource(clip), clip.tags.tolist())
                        notes["valid"] += int(found.valid.sum())
                        yield _cropped(clip, found.boxes, size)
                    report(at, count, name)

            write_shard(path, clips(), made_of=made_of, notes=notes)
        done += len(numbers)
        listed = read_list(path)
        summary.clips += len(listed["clips"])
        summary.frames += sum(frames for _, _, frames, _ in listed["clips"])
        summary.valid += listed["notes"].get("valid", 0)
        summary.skipped |= listed["notes"].get("skipped", {})
    return summary


def _cropped(clip: Clip, boxes: np.ndarray, size: int) -> Clip:
    frames = []
    for data, box in zip(clip.frames, boxes, strict=True):
        image = decode_jpeg(data)
        height, width = image.shape[:2]
        frames.append(encode_jpeg(squash(image, size, box=(box * [height, width, height, width]).tolist())))
    return replace(clip, frames=frames)
