"""Best and worst frames of an evaluation as small pictures: the frame under its map, fixations as dots."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stajax.evaluation.report.markup import number, predictions, section, text
from stajax.evaluation.results import LABELS, METRICS, Evaluation
from stajax.evaluation.shown import Shown, look_up
from stajax.media.draw import overlay

SIDE = 480  # px, the longest of a picture
QUALITY = 82  # of the JPEG: about 30 kB each

_RANKED_BY = "nss"
_NONE = (
    "There are no pictures here: they need a prediction with a value for NSS, and the frames of the data set, which some "
    "protocols do not have."
)


class Picture(NamedTuple):
    """A picture of the page. group: the heading that it stands under, "Best" or "Worst"; data: a JPEG or PNG file's bytes;
    caption: plain text below it; alt: what is to be seen, for who cannot see it."""

    group: str
    data: bytes
    caption: str
    alt: str


def example_frames(
    evaluation: Evaluation, look: Callable[[str, str, str, int], Shown] | None = None, *, n: int = 3
) -> list[Picture]:
    """The frames where the prediction has its highest and lowest NSS, drawn.

    One frame a video as long as there are videos, then frames at least a tenth of the video apart.

    Args:
        evaluation: what was scored.
        look: from data set, split, video and frame to what was scored there; by default `shown.look_up`, which reads the
            folders that the settings name.
        n: of best and of worst frames.

    Returns:
        The best, highest first, then the worst, lowest first; without those whose frame or map cannot be read. [] without a
        prediction.

    Raises:
        ValueError: `look_up`'s.
    """
    names = predictions(evaluation)
    if not names:
        return []
    rows = evaluation.select(model=names[0])
    scored = np.isfinite(rows[_RANKED_BY])
    rows = {name: values[scored] for name, values in rows.items()}
    look = look or look_up(evaluation)
    order = np.argsort(rows[_RANKED_BY], kind="stable")
    best = _apart(rows, order[::-1], n)
    worst = _apart(rows, order, n, taken=best)
    chosen = [("Best", i) for i in best] + [("Worst", i) for i in worst]
    return [picture for group, i in chosen if (picture := _picture(group, rows, i, look))]


def gallery(evaluation: Evaluation, pictures: Sequence[Picture]) -> str:
    """The section "Best and worst frames".

    Raises:
        ValueError: a picture that is neither JPEG nor PNG.
    """
    if not pictures:
        return section("frames", "Best and worst frames", f"<p>{_NONE}</p>")
    names = predictions(evaluation)
    of = f" of {text(names[0])}" if names else ""
    parts = [f"<p>By NSS{of}. Colours from dark blue to red are the map, dots are where people looked.</p>"]
    for group in dict.fromkeys(picture.group for picture in pictures):
        figures = [_figure(picture) for picture in pictures if picture.group == group]
        parts.append(f'<h3>{text(group)}</h3><div class="gallery">{"".join(figures)}</div>')
    return section("frames", "Best and worst frames", "\n".join(parts))


def draw(shown: Shown) -> np.ndarray:
    """A frame under its map, which is scaled to [0, 1] first, with a dot at each fixated pixel.

    Args:
        shown: `image` and `saliency` must be there.

    Returns:
        (h, w, 3) uint8 RGB, the longest side SIDE or, for a smaller frame, the frame's.
    """
    from PIL import Image, ImageDraw

    height, width = shown.image.shape[:2]
    scale = min(1, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    twice = 2 * size[0], 2 * size[1]  # dots are drawn at twice the size, since Pillow does not smooth their edges
    low, high = np.nanmin(shown.saliency), np.nanmax(shown.saliency)
    scaled = (shown.saliency - low) / (high - low) if high > low else np.zeros_like(shown.saliency, float)
    canvas = Image.fromarray(overlay(np.array(Image.fromarray(shown.image).resize(twice, Image.Resampling.BICUBIC)), scaled))
    pen, radius = ImageDraw.Draw(canvas), max(3, twice[0] / 180)
    fixations = np.zeros((1, 1)) if shown.fixations is None else shown.fixations
    y, x = (np.argwhere(fixations > 0).T + 0.5) * np.array([[twice[1]], [twice[0]]]) / np.array(fixations.shape)[:, None]
    for colour, r in (("black", radius), ("white", 0.7 * radius)):  # all rims first: crowded dots stay white
        for box in zip(x - r, y - r, x + r, y + r, strict=True):
            pen.ellipse(box, fill=colour)
    return np.array(canvas.resize(size, Image.Resampling.LANCZOS))


def _apart(rows, order, n, taken=()):
    """The first n rows in an order, of different videos first, then frames that are no neighbours; none near one taken."""
    chosen = []
    for different in (True, False):
        videos = set()
        for i in order if len(chosen) < n else ():
            video = rows["dataset"][i], rows["video"][i]
            if (different and video in videos) or _near(rows, i, [*chosen, *taken]):
                continue
            chosen.append(i)
            videos.add(video)
            if len(chosen) == n:
                break
    return sorted(chosen, key=order.tolist().index)


def _near(rows, i, chosen):
    """Whether a row is a frame of `chosen`, or closer to one than a tenth of the video."""
    same = (rows["dataset"] == rows["dataset"][i]) & (rows["video"] == rows["video"][i])
    frames = rows["frame"][same]
    apart = max(1, (frames.max() - frames.min()) / 10)
    return any(same[k] and abs(rows["frame"][k] - rows["frame"][i]) < apart for k in chosen)


def _picture(group, rows, i, look):
    from PIL import Image

    dataset, split, video = (str(rows[name][i]) for name in ("dataset", "split", "video"))
    frame = int(rows["frame"][i])
    shown = look(dataset, split, video, frame)
    if shown.image is None or shown.saliency is None or not np.isfinite(shown.saliency).any():
        return None
    file = io.BytesIO()
    Image.fromarray(draw(shown)).save(file, "JPEG", quality=QUALITY)
    dots = 0 if shown.fixations is None else np.count_nonzero(shown.fixations > 0)
    scores = ", ".join(f"{LABELS[metric]} {number(rows[metric][i])}" for metric in (_RANKED_BY, *METRICS[:4]))
    is_image = np.count_nonzero((rows["dataset"] == dataset) & (rows["video"] == video)) == 1
    place = f"{dataset}, {video}" + ("" if is_image else f", frame {frame}")
    alt = f"{place}: the picture under its saliency map, with {dots} fixated pixels as dots"
    return Picture(group, file.getvalue(), f"{place}. {scores}", alt)


def _figure(picture):
    kinds = {b"\xff\xd8": "jpeg", b"\x89P": "png"}
    if picture.data[:2] not in kinds:
        raise ValueError(f"the picture “{picture.caption}” is neither JPEG nor PNG")
    source = f"data:image/{kinds[picture.data[:2]]};base64,{base64.b64encode(picture.data).decode()}"
    return f'<figure><img src="{source}" alt="{text(picture.alt)}"><figcaption>{text(picture.caption)}</figcaption></figure>'
