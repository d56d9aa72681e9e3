"""What `stajax pseudofix` writes for a clip: `pseudo.npz`, `overlay.mp4` with the sound, and `strip.png`, the procedure in
pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np

from stajax.inference.outputs import Display
from stajax.inference.pseudofix import PseudoFixations
from stajax.inference.source import VideoSource
from stajax.media import VideoWriter, contact_sheet, overlay, save_png
from stajax.media.atomic import replacing, writing

NPZ, VIDEO, STRIP = "pseudo.npz", "overlay.mp4", "strip.png"
_MOMENTS, _WIDTH = 5, 160  # rows of the strip, and pixels of a picture in it
_BOX, _GROUND = (255, 220, 60), (24, 24, 28)


def write_npz(path: Path, found: PseudoFixations, settings: Mapping) -> None:
    """`maps` and `scam` (T, h, w) float16, zero where not valid; `valid` (T,); `time` (T,) s; `fps`; `boxes` (T, 4); `sources`;
    of these `confidence` and `sure` (T, sources, tags); `settings` (JSON).

    Raises:
        OutputError: it cannot be written.
    """
    sources = list(found.confidence)
    arrays = {
        "maps": found.maps.astype(np.float16),
        "scam": found.scam,
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


def write_pictures(
    folder: Path,
    source: VideoSource,
    found: PseudoFixations,
    *,
    video: bool = True,
    report: Callable[[int], None] = lambda frames: None,
) -> None:
    """Read the clip's frames once more, for `strip.png` and, unless not wanted, `overlay.mp4`.

    Frames without a valid map are shown without heat.

    Raises:
        OutputError: they cannot be written.
    """
    info, display = source.info, Display()
    moments = dict.fromkeys(np.linspace(0, len(found.maps) - 1, _MOMENTS).round().astype(int).tolist())
    with ExitStack() as stack:
        writer = None
        if video:
            sound = info.path if info.has_sound else None
            writer = VideoWriter(folder / VIDEO, width=info.width, height=info.height, fps=found.fps, sound_from=sound)
            stack.enter_context(writer)
        frames = stack.enter_context(closing(source.frames()))
        for number, (frame, saliency) in enumerate(zip(frames, found.maps, strict=False)):
            if number in moments:
                moments[number] = frame.image
            if writer is not None:
                writer.write(overlay(frame.image, display.scale(saliency)), frame.time)
            report(number + 1)
    save_png(folder / STRIP, strip(found, {number: image for number, image in moments.items() if image is not None}))


def strip(found: PseudoFixations, images: Mapping[int, np.ndarray]) -> np.ndarray:
    """The procedure in pictures, a row for each of some frames: (h, w, 3) uint8 RGB.

    The frame with its box; the coarse SCAM; what lies in the box; the CAM of each source with its confidence, grey and marked
    with an x where another class had a larger one, so that it does not count; SCAM; and SCAM+ where there is company.

    images: frame number -> (H, W, 3) uint8.
    """
    cams, cells = found.cams(list(images)), []
    for row, (number, image) in enumerate(images.items()):
        small, labels = _small(image), _labels(found, number)
        boxed = {"box": _boxed(small, found.boxes[number])}
        fine = {"coarse": overlay(small, found.coarse[number]), "crop": _crop(image, found.boxes[number], small.shape)}
        columns = boxed | (fine if found.evidence.crops else {})
        for name, maps in cams.items():
            heat = overlay(small, maps[row])
            columns[name] = heat if found.sure[name][number].any() else heat.mean(-1).astype(np.uint8)
        if len(found.own) < len(cams):
            columns["SCAM"] = overlay(small, found.scam[number])
        columns["result"] = overlay(small, found.maps[number])
        cells += [(picture, labels.get(column, column)) for column, picture in columns.items()]
    pictures, labels = zip(*cells, strict=True)
    return contact_sheet(pictures, len(cells) // len(images), labels)


def _labels(found: PseudoFixations, number: int) -> dict[str, str]:
    def of(name: str) -> str:
        return f"{name} {found.confidence[name][number].max():.2f}{'' if found.sure[name][number].any() else ' x'}"

    result = "SCAM+" if len(found.own) < len(found.confidence) else "SCAM"
    labels = {name: of(name) for name in found.confidence}
    return labels | {
        "box": f"{found.time[number]:.1f} s",
        "result": result if found.valid[number] else f"{result}: not valid",
    }


def _small(image: np.ndarray) -> np.ndarray:
    """The frame `_WIDTH` pixels wide, or as high if it is higher than wide."""
    height, width = image.shape[:2]
    scale = _WIDTH / max(height, width)
    return _resized(image, round(height * scale), round(width * scale), (0, 0, height, width))


def _boxed(small: np.ndarray, box: np.ndarray) -> np.ndarray:
    height, width = small.shape[:2]
    top, left, bottom, right = np.rint(box * [height - 1, width - 1, height - 1, width - 1]).astype(int)
    boxed = small.copy()
    for line in range(2):
        boxed[[min(top + line, bottom), max(bottom - line, top)], left : right + 1] = _BOX
        boxed[top : bottom + 1, [min(left + line, right), max(right - line, left)]] = _BOX
    return boxed


def _crop(image: np.ndarray, box: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What lies in the box, as large as fits into `shape`, on a dark ground."""
    top, left, bottom, right = box * [*image.shape[:2], *image.shape[:2]]
    scale = min(shape[0] / (bottom - top), shape[1] / (right - left))
    inside = _resized(image, round((bottom - top) * scale), round((right - left) * scale), (top, left, bottom, right))
    panel = np.full(shape, _GROUND, np.uint8)
    y, x = (shape[0] - inside.shape[0]) // 2, (shape[1] - inside.shape[1]) // 2
    panel[y : y + inside.shape[0], x : x + inside.shape[1]] = inside
    return panel


def _resized(image: np.ndarray, height: int, width: int, box: Sequence[float]) -> np.ndarray:
    """The part (top, left, bottom, right) of a picture, at least a pixel high and wide."""
    from PIL import Image

    top, left, bottom, right = map(float, box)
    size = max(1, width), max(1, height)
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box=(left, top, right, bottom)))
