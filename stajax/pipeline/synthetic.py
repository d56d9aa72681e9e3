"""Does the chain find what sounds? On synthetic clips the place of the sounding object is known; a hit is a peak inside it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Clip, Records
from stajax.data.synthetic import TRUTH
from stajax.inference.predict import load
from stajax.inference.pseudofix import Settings, pseudo_fixations
from stajax.inference.pseudofix import load as load_pseudofix
from stajax.inference.source import RecordSource
from stajax.models import folder
from stajax.pipeline.predicted import maps_of, silent

Maps = Callable[[Clip], tuple[np.ndarray, np.ndarray]]  # maps (T, h, w), valid (T,)


def score(workdir: Path, test: Path, fixation: Sequence[str], controls: Sequence[str], settings: Settings) -> dict[str, float]:
    """Share of the frames of test clips whose map has its peak in the sounding object; a frame without a valid map is no hit.

    Rows: a centre prior; pseudo-fixations (from the tags), of the same clips made silent, and of the spatial net alone, where
    it takes part; each fixation net (without tags); each control; all fused; the first net and all fused on the same clips made
    silent.
    """
    makers: dict[str, Maps] = {"centre prior": _centre}
    makers["pseudo-fixations"] = pseudo_maker(workdir / "scam", settings)
    makers["pseudo-fixations, silent"] = _silent(makers["pseudo-fixations"])
    if any("S" in member.structure.config.nets for member in folder.members(workdir / "scam")):
        alone = dataclasses.replace(settings, fine=False, company=False, sources=("S",))
        makers["spatial net alone, with the tag"] = pseudo_maker(workdir / "scam", alone)
    for name in (*fixation, *controls):
        makers[name] = _fixation(workdir / "train" / name / "model")
    if fixation:
        makers[f"{fixation[0]}, silent"] = _silent(makers[fixation[0]])
        makers["fused"] = _fixation(workdir / "model")
        makers["fused, silent"] = _silent(makers["fused"])
    return hit_rates(makers, test)


def hit_rates(makers: Mapping[str, Maps], test: Path) -> dict[str, float]:
    """Share of the frames of the clips in `test` where each maker's map is valid and has its peak in the sounding object."""
    with np.load(test / TRUTH, allow_pickle=False) as file:
        truth = {name: file[name][:, 0] for name in file.files}  # (T, 4) left, top, right, bottom of what sounds
    clips = list(Records(test))
    return {name: _rate(maps, clips, truth) for name, maps in makers.items()}


def _rate(maker: Maps, clips: Sequence[Clip], truth: Mapping[str, np.ndarray]) -> float:
    hits = []
    for clip in clips:
        maps, valid = maker(clip)
        height, width = decode_jpeg(clip.frames[0]).shape[:2]
        hits.append(is_hit(maps, truth[clip.name], (height, width)) & valid)
    return float(np.concatenate(hits).mean())


def is_hit(maps: np.ndarray, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether the middle of each map's largest pixel lies in its box: (T,) bool.

    maps: (T, h, w). boxes: (T, 4) left, top, right, bottom in pixels of a frame of `size` (height, width).
    """
    rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(1), maps.shape[2])
    y, x = (rows + 0.5) * size[0] / maps.shape[1], (columns + 0.5) * size[1] / maps.shape[2]
    return (boxes[:, 0] <= x) & (x <= boxes[:, 2]) & (boxes[:, 1] <= y) & (y <= boxes[:, 3])


def _centre(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    n = len(clip.frames)
    one = np.zeros((1, 33, 33))
    one[0, 16, 16] = 1
    return np.repeat(one, n, axis=0), np.ones(n, bool)


def pseudo_maker(folder: Path, settings: Settings) -> Maps:
    """Pseudo-fixations of a clip by its tags."""
    model = load_pseudofix(folder, settings=settings)

    def maps(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
        found = pseudo_fixations(model, RecordSource(clip), clip.tags.tolist())
        return found.maps, found.valid

    return maps


def _fixation(folder: Path) -> Maps:
    engine = load(folder).engine

    def maps(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
        found = maps_of(engine, clip)
        return found, np.ones(len(found), bool)

    return maps


def _silent(maker: Maps) -> Maps:
    return lambda clip: maker(silent(clip))
