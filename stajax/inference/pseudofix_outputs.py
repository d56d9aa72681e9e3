"""What `stajax pseudofix` writes for a clip: `pseudo.npz`, `overlay.mp4` with the sound, and `strip.png`, the procedure in
pictures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stajax.inference.outputs import Display
from stajax.inference.pseudofix import PseudoFixations
from stajax.inference.source import Source
from stajax.media import VideoWriter, contact_sheet, overlay, save_png, squash
from stajax.media.atomic import replacing, writing

MOMENTS, SIDE = 5, 192  # rows of the strip, and pixels of a picture in it
_BOX = (255, 220, 60)


def write_npz(path: Path, found: PseudoFixations, settings: Mapping) -> None:
    """Arrays `maps` (T, h, w) float16, `valid` (T,), `time`, `fps`, `boxes` (T, 4), `sources`, `confidence` and `sure` (T, K,
    tags), `settings` (JSON). `maps` is zero where not valid.
    """
    sources = list(found.confidence)
    arrays = {
        "maps": found.maps.astype(np.float16),
        "valid": found.valid,
        "time": found.time,
        "fps": np.float64(found.fps),
        "boxes": found.boxes,
        "sources": np.array(sources),
        "confidence": np.stack([found.confidence[name] for name in sources], 1),
        "sure": np.stack([found.sure[name] for name in sources], 1),
        "settings": np.array(json.dumps(dict(settings), sort_keys=True)),
    }
    with replacing(path) as part, writing(path), part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def write_pictures(folder: Path, source: Source, found: PseudoFixations, *, video: bool = True) -> None:
    """Read the clip's frames once more, for `overlay.mp4` and `strip.png`.

    Frames without a valid map are shown without heat.
    """
    moments = dict.fromkeys(np.linspace(0, len(found.maps) - 1, MOMENTS).round().astype(int).tolist())
    rows: list[np.ndarray] = []
    display, writer = Display(), None
    try:
        for number, frame in enumerate(source.frames()):
            if number == len(found.maps):
                break
            if number in moments:
                rows += _row(frame.image, found, number)
            if video and writer is None:
                height, width = frame.image.shape[:2]
                sound = source.path if source.has_sound else None
                writer = VideoWriter(folder / "overlay.mp4", width=width, height=height, fps=found.fps, sound_from=sound)
                writer.__enter__()
            if writer is not None:
                writer.write(overlay(frame.image, display.scale(found.maps[number].astype(np.float32))), frame.time)
    except BaseException as error:
        if writer is not None:
            writer.__exit__(type(error), error, error.__traceback__)
        raise
    if writer is not None:
        writer.__exit__(None, None, None)
    columns = len(rows) // max(len(moments), 1)
    labels = [label for number in moments for label in _labels(found, number)]
    save_png(folder / "strip.png", contact_sheet(rows, columns, labels))


def _row(image: np.ndarray, found: PseudoFixations, number: int) -> list[np.ndarray]:
    """Pictures of one moment: the frame with its box, the coarse map, each source's CAM, and what they become."""
    small = squash(image, SIDE)
    boxed = small.copy()
    top, left, bottom, right = np.clip(np.rint(found.boxes[number] * (SIDE - 1)).astype(int), 0, SIDE - 1)
    for offset in range(2):
        boxed[[min(top + offset, bottom), max(bottom - offset, top)], left : right + 1] = _BOX
        boxed[top : bottom + 1, [min(left + offset, right), max(right - offset, left)]] = _BOX
    maps = [found.coarse[number], *(found.cams[name][number] for name in found.cams), found.maps[number]]
    return [boxed, *(overlay(small, np.asarray(saliency, np.float32)) for saliency in maps)]


def _labels(found: PseudoFixations, number: int) -> list[str]:
    def of(name: str) -> str:
        """Its confidence, and an x where another class had a larger one, so that it does not count."""
        return f"{name} {found.confidence[name][number].max():.2f}{'' if found.sure[name][number].any() else ' x'}"

    result = "pseudo-fixations" if found.valid[number] else "not valid"
    return [f"{found.time[number]:.1f} s, box", "coarse", *(of(name) for name in found.cams), result]
