"""Pseudo-fixations of a whole set of clips, as records that a fixation net can be trained on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from stajax.data.records import Clip, Records
from stajax.inference.bank import Bank, of_clips
from stajax.inference.pseudofix import PseudofixModel, pseudo_fixations
from stajax.inference.record_shards import Made, over_records
from stajax.inference.source import RecordSource
from stajax.media import MediaWarning


def pseudofix_records(
    model: PseudofixModel,
    records: Records,
    out: str | os.PathLike,
    *,
    shards: int = 1,
    process: int = 0,
    processes: int = 1,
    report: Callable[[int, int, str], None] = lambda done, count, name: None,
) -> Made:
    """Write the records' clips with `maps` and `valid`.

    Cross-term company comes from banks over the clips that share a tag; a clip whose tags no other has gets long-term company
    instead, with one MediaWarning. Shards that are done are kept; each process makes its own.

    Args:
        report: told (clips done, clips, name).
    """
    of_tag: dict[int, list[int]] = {}
    for number, entry in enumerate(records.entries):
        for tag in entry.tags:
            of_tag.setdefault(tag, []).append(number)

    @cache
    def bank(tag: int) -> dict[str, Bank]:
        sources = (RecordSource(clip) for number in of_tag[tag] if (clip := records.get(number)) is not None)
        return of_clips(model.whole, sources, model.crossing, count=len(of_tag[tag]))

    def make(clip: Clip) -> tuple[Clip, int]:
        banks: dict[str, Bank] = {}
        if model.crossing:
            shared = [tag for tag in clip.tags.tolist() if len(of_tag[tag]) > 1]
            if shared:
                banks = bank(shared[0])
            else:
                message = f"{clip.name}: no other clip has its tag; cross-term company is long-term"
                warnings.warn(message, MediaWarning, stacklevel=2)
        found = pseudo_fixations(model, RecordSource(clip), clip.tags.tolist(), banks=banks)
        maps = np.rint(found.maps * 255).astype(np.uint8)
        return replace(clip, maps=maps, valid=found.valid), int(found.valid.sum())

    share = {"shards": shards, "process": process, "processes": processes}
    return over_records(records, out, make, f"pseudo-fixations by {model.fingerprint}", report=report, **share)
