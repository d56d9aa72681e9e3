"""Fixation maps of clip records: as arrays, and written like those of video files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from stajax.data.records import Clip, Records
from stajax.inference.engine import Engine
from stajax.inference.outputs import MapsFile
from stajax.inference.predict import load, stream_clip, stream_of
from stajax.inference.source import RecordSource
from stajax.media.atomic import writing


def maps_of(engine: Engine, clip: Clip) -> np.ndarray:
    """(T, h, w) float32 in [0, 1]."""
    source = RecordSource(clip)
    return np.stack([shown.map for shown in stream_clip(stream_of(engine, source), source)])


def silent(clip: Clip) -> Clip:
    """The same clip without a sound track."""
    return replace(clip, sound=np.zeros(0, np.int16))


def predict_records(
    model: str | os.PathLike, records: Records, out: Path, *, fusion: str = "paper", batch: int = 16
) -> Mapping[str, Any]:
    """`out`/CLIP/maps.npz of each clip, as `stajax predict` writes it; clips that have one are kept."""
    engine = load(model, batch=batch, fusion=fusion).engine
    frames = kept = 0
    for number, entry in enumerate(records.entries):
        path = out / entry.name / "maps.npz"
        if path.exists():
            kept += 1
            continue
        clip = records.get(number)
        if clip is None or not clip.frames:
            continue
        source = RecordSource(clip)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with MapsFile(path) as file:
            for shown in stream_clip(stream_of(engine, source), source):
                file.append(shown.map, shown.time)
                frames += 1
            file.finish(fps=np.float64(source.fps))
    return {"clips": len(records), "frames": frames, **({"kept": kept} if kept else {})}
