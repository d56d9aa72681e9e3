"""A data set in a plain folder: fixations as CSV, one file per clip or image, and what else there is.

    ROOT/fixations/<name>.csv                   header frame,x,y[,observer]; an image needs no column frame
    ROOT/stimuli/<name>.jpg|png                 the image, or
    ROOT/stimuli/<name>/*.jpg|png               the frames of the clip; sorted by name they are frames 0, 1, ..
    ROOT/sizes.csv                              header name,width,height[,fps]; only what has no stimulus needs a line
    ROOT/density/<name>.png|jpg                 a grey density map of the image, optional, or
    ROOT/density/<name>/<number>.png|jpg        of the frames of the clip; the number is the frame's

Frames count from 0. x and y are pixels of the frame, x to the right; pixel c covers c <= x < c + 1. An observer is any text.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.pictures import listed, read_colour, read_grey, shape_of


@dataclass(frozen=True)
class PlainClip:
    """A clip, or an image as a clip of frame 0. Read with `load_plain`.

    Attributes:
        name: of its file of fixations.
        shape: (h, w).
        fps: NaN if unknown.
        frame, points, observer: (n,) int64, (n, 2) float64 x, y, and (n,) str or None, of each fixation.
        pictures: the stimulus of each frame, in order; () if there is none.
        densities: frame -> path of its density map; {} if they are to be made from the points.
    """

    name: str
    shape: tuple[int, int]
    fps: float
    frame: np.ndarray
    points: np.ndarray
    observer: np.ndarray | None
    pictures: tuple[Path, ...]
    densities: dict[int, Path]

    def frames(self):
        """The frames that somebody looked at, sorted."""
        return tuple(np.unique(self.frame).tolist())

    def fixations(self, frame):
        """(n, 2) x, y of all observers."""
        return self.points[self.frame == frame]

    def observers(self, frame):
        """The observer of each of `fixations(frame)`, (n,) str."""
        if self.observer is None:
            raise DataError(f"plain: the fixations of {self.name} have no column observer")
        return self.observer[self.frame == frame]

    def density(self, frame):
        """(h, w) float64 in [0, 1], or None if it is to be made from the points."""
        if not self.densities:
            return None
        if frame not in self.densities:
            raise DataError(f"plain: {self.name} has density maps, but none of frame {frame}")
        density = read_grey(self.densities[frame], "plain")
        if density.shape != self.shape:
            size, expected = (f"{shape[1]}x{shape[0]}" for shape in (density.shape, self.shape))
            raise DataError(f"plain: {self.densities[frame]} is {size}, the stimulus {expected}")
        return density

    def picture(self, frame):
        """The path of a frame's picture; DataError if there is none."""
        if frame >= len(self.pictures):
            raise DataError(f"plain: no picture of frame {frame} of {self.name} in stimuli")
        return self.pictures[frame]

    def image(self, frame):
        """(h, w, 3) uint8 RGB."""
        return read_colour(self.picture(frame), "plain")


def load_plain(root):
    """Reads all fixations of a data set and lists its other files.

    Returns:
        name -> `PlainClip`, sorted by name.

    Raises:
        DataError: a missing folder, no file of fixations, a broken one, or one whose frame size nothing tells.
    """
    root = Path(root)
    paths = sorted((root / "fixations").glob("*.csv"))
    if not paths:
        raise DataError(f"plain: {root} must hold the folder fixations with a file <name>.csv for each clip or image")
    sizes = _sizes(root / "sizes.csv")
    return {path.stem: _clip(root, path, sizes) for path in paths}


def _clip(root, path, sizes):
    name = path.stem
    frame, points, observer = _fixations(path)
    pictures = tuple(listed(root / "stimuli" / name)) or tuple(_named(root / "stimuli", name))
    if name in sizes:
        shape, fps = sizes[name]
    elif pictures:
        shape, fps = shape_of(pictures[0], "plain"), np.nan
    else:
        raise DataError(f"plain: how large is {name}? Put it into {root / 'stimuli'}, or a line into {root / 'sizes.csv'}")
    densities = {_number(density): density for density in listed(root / "density" / name)}
    densities = densities or dict(enumerate(_named(root / "density", name)[:1]))
    return PlainClip(name, shape, fps, frame, points, observer, pictures, densities)


def _named(folder, name):
    return [path for path in listed(folder) if path.stem == name]


def _number(path):
    digits = re.search(r"(\d+)$", path.stem)
    if not digits:
        raise DataError(f"plain: {path} must end in the number of its frame")
    return int(digits[1])


def _fixations(path):
    columns = _table(path, ("x", "y"))
    n = len(columns["x"])
    frame = columns.get("frame", ["0"] * n)
    try:
        points = np.array([columns["x"], columns["y"]], np.float64).T.reshape(-1, 2)
        frame = np.array(frame, np.int64)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"plain: {path}: frame must be a whole number, x and y must be numbers, on every line") from None
    if frame.size and frame.min() < 0:
        raise DataError(f"plain: {path} has a frame below 0")
    observer = np.array(columns["observer"], str) if "observer" in columns else None
    return frame, points, observer


def _sizes(path):
    if not path.is_file():
        return {}
    columns = _table(path, ("name", "width", "height"))
    fps = columns.get("fps", ["nan"] * len(columns["name"]))
    try:
        shapes = [(int(height), int(width)) for width, height in zip(columns["width"], columns["height"], strict=True)]
        rates = [float(rate or "nan") for rate in fps]
    except (ValueError, TypeError):
        raise DataError(f"plain: {path}: width and height must be whole numbers, fps a number, on every line") from None
    if any(min(shape) < 1 for shape in shapes):
        raise DataError(f"plain: {path}: width and height must be at least 1")
    return dict(zip(columns["name"], zip(shapes, rates, strict=True), strict=True))


def _table(path, needed):
    """The columns of a CSV file with a header, name -> list of str."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *lines = list(csv.reader(file)) or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"plain: {path} is not a readable CSV file ({error})") from error
    header = [name.strip().lower() for name in header]
    if missing := [name for name in needed if name not in header]:
        raise DataError(f"plain: {path} lacks the column {missing[0]}; its first line must name {', '.join(needed)}")
    lines = [line for line in lines if line]
    if any(len(line) != len(header) for line in lines):
        raise DataError(f"plain: {path} has a line with another number of cells than the first")
    return {name: [line[i].strip() for line in lines] for i, name in enumerate(header)}
