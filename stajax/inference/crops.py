"""The clips of the fine stage: each frame cut out by the box of the coarse stage (section 3.2), as records to train on."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from stajax.data.jpeg import decode_jpeg, encode_jpeg
from stajax.data.records import Clip, Records
from stajax.inference.clip_sets import RecordSet
from stajax.inference.clips import Progress
from stajax.inference.pseudofix import PseudofixModel, pseudo_fixations
from stajax.inference.pseudofix_records import class_numbers
from stajax.inference.record_shards import Made, over_clips
from stajax.inference.source import RecordSource
from stajax.media import squash


def crop_records(
    model: PseudofixModel,
    records: Records,
    out: str | os.PathLike,
    *,
    size: int,
    shards: int = 1,
    process: int = 0,
    processes: int = 1,
    report: Callable[[Progress], None] = lambda progress: None,
) -> Made:
    """Write the records' clips with every frame cut out by its box and squashed to `size` px; times, sound and tags stay.

    A frame whose coarse map is not valid is shown whole, unless its neighbours have a box. Shards that are done are kept; each
    process makes its own.

    Args:
        model: with the nets of the coarse stage; others are not needed.
        report: told of each clip, and of its frames.

    Raises:
        As `pseudofix_records`.
    """
    clips = RecordSet(records)
    numbers = class_numbers(model, clips)

    def make(clip: Clip, told: Callable[[str, int, int], None]) -> tuple[Clip, Counter]:
        tags, count = [numbers[tag] for tag in clip.tags.tolist()], len(clip.frames)
        found = pseudo_fixations(model, RecordSource(clip), tags, report=lambda stage, frames: told(stage, frames, count))
        return _cropped(clip, found.boxes, size), Counter(found.views, valid=int(found.valid.sum()))

    made_of = f"crops of {size} px by {model.fingerprint} of {clips.made_of}"
    share = {"shards": shards, "process": process, "processes": processes}
    return over_clips(clips, out, make, made_of, report=report, **share)


def _cropped(clip: Clip, boxes: np.ndarray, size: int) -> Clip:
    frames = []
    for data, box in zip(clip.frames, boxes, strict=True):
        image = decode_jpeg(data)
        height, width = image.shape[:2]
        frames.append(encode_jpeg(squash(image, size, box=(box * [height, width, height, width]).tolist())))
    return replace(clip, frames=frames)
