"""Where the shuffled AUC takes its negatives: the option `other` of every protocol.

    "video"       all frames of the same video, as STAViS has it, without the pixels fixated on the frame itself
    "dataset"     all frames of the other videos of the data set, as pysaliency has it
    "n_random"    `n_random` frames of other videos, drawn by seed, video and frame; ten images in the MIT benchmark
    a file        a grey picture or a .npy array of two axes: where it is above 0

Places on a frame of another size are brought to this one's, in proportion; a pixel counts once. An image is a video of one
frame. Which videos a data set has does not depend on the splits that are scored.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stajax.data.fixations import DataError, density_map, fixation_map, inside
from stajax.data.pictures import read_grey
from stajax.evaluation.protocols.base import Truth, Video, rescaled

SOURCES = ("video", "dataset", "n_random")
N_RANDOM = 10


@dataclass(frozen=True)
class VideoFixations:
    """Where people looked in one video, small enough to be held for all videos of a data set.

    Attributes:
        shape: (h, w).
        first: the number of the first frame.
        start, pixels: frame i owns start[i - first]..start[i - first + 1] of pixels, flat (row-major) numbers.
    """

    shape: tuple[int, int]
    first: int
    start: np.ndarray
    pixels: np.ndarray

    def of(self, frame: int) -> slice:
        """Which of `pixels` are a frame's."""
        return slice(self.start[frame - self.first], self.start[frame - self.first + 1])

    def union(self) -> np.ndarray:
        """(h, w) bool, fixated on any frame."""
        fixated = np.zeros(self.shape, bool)
        fixated.ravel()[self.pixels] = True
        return fixated

    def points(self, pixels: np.ndarray) -> np.ndarray:
        """(n, 2) x, y of the centres of some pixels."""
        return np.stack([pixels % self.shape[1], pixels // self.shape[1]], axis=1) + 0.5


def video_fixations(shape: tuple[int, int], frame: np.ndarray, points: np.ndarray, frames: int) -> VideoFixations:
    """`VideoFixations` from points (n, 2) x, y on the frames (n,), counted from 0, of a video of so many. Those outside go."""
    points = np.asarray(points, float).reshape(-1, 2)
    kept = inside(points, shape)
    order = np.argsort(frame[kept], kind="stable")
    columns, rows = points[kept][order].astype(np.int32).T
    start = np.searchsorted(frame[kept][order], np.arange(frames + 1))
    return VideoFixations(shape, 0, start, rows * shape[1] + columns)


@dataclass(frozen=True)
class Others:
    """The choice. source: of SOURCES, the path of a file, or None: "video", but "n_random" for an image; n_random, seed: of the
    draw."""

    source: str | None
    n_random: int = N_RANDOM
    seed: int = 0

    def source_for(self, video: Video) -> str:
        return self.source or ("video" if len(video.frames) > 1 else "n_random")

    def __str__(self):
        """What follows "the pixels fixated on" in a report."""
        if self.source is None:
            return "; for an image, ".join(str(replace(self, source=source)) for source in ("video", "n_random"))
        return {
            "video": "all frames of the same video",
            "dataset": "all frames of the other videos of the data set",
            "n_random": f"{self.n_random} frames of other videos of the data set, drawn at random (seed {self.seed})",
        }.get(self.source, f"the map {self.source}")


def gather(rules, video: Video) -> VideoFixations:
    """What the frames of a video share. Where negatives come from other videos, those are read too, so that a broken file
    among them shows here, once, and not at every frame."""
    if rules.others.source_for(video) in ("dataset", "n_random"):
        _read_all(rules, video.dataset)
    return rules.fixations(video)


def negatives(rules, video: Video, frame: int, gathered: VideoFixations, free: np.ndarray) -> np.ndarray:
    """The pixels that give a frame its negatives.

    Args:
        rules: the protocol: `others` is its choice, `pool` and `fixations` are asked about other videos.
        video, frame: the frame.
        gathered: `gather`'s, of the video.
        free: (h, w) bool, the pixels that are not fixated on this frame.

    Returns:
        (h, w) bool.
    """
    source = rules.others.source_for(video)
    if source == "video":
        return gathered.union() & free
    if source == "dataset":
        return _elsewhere(rules, video.dataset, video.name, free.shape)
    if source == "n_random":
        return _drawn(rules, video, frame, free.shape)
    return read_map(source, free.shape)


def truth_of_points(rules, video, frame, gathered, points, shape, sigma, density=None) -> Truth:
    """The truth of a frame from its fixations.

    Args:
        rules, video, frame, gathered: as for `negatives`; with None for `gathered` there are none.
        points: (n, 2) x, y in pixels.
        shape: (h, w).
        sigma: of the density map, px.
        density: (h, w), instead of a map made from the points.
    """
    fixations = fixation_map(points, shape)
    if density is None:
        density = density_map(points, shape, sigma)
    if gathered is None:
        return Truth(fixations, density, np.zeros(shape, bool))
    return Truth(fixations, density, negatives(rules, video, frame, gathered, ~fixations))


def check(rules) -> None:
    """Refuses a choice that gives no frame a negative.

    Raises:
        ValueError: "dataset" or "n_random" where no data set has two videos.
        DataError: a file that cannot be read.
    """
    source = rules.others.source
    if source in ("dataset", "n_random"):
        datasets = dict.fromkeys(video.dataset for video in rules.videos)
        if all(len(rules.pool(dataset)) < 2 for dataset in datasets):
            raise ValueError(f"{rules.name}: other={source} needs a second video, and there is one; give other=video")
    elif source not in (None, "video"):
        read_map(source, (1, 1))


@lru_cache(maxsize=4)
def read_map(path: str, shape: tuple[int, int]) -> np.ndarray:
    """(h, w) bool: where the map in a file is above 0, each of its pixels brought to a picture of that shape.

    Raises:
        DataError: not a readable picture or array of two axes.
    """
    if Path(path).suffix != ".npy":
        values = read_grey(Path(path), "other")
    else:
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"other: {path} is not a readable .npy file ({error})") from error
    if values.ndim != 2 or values.dtype.kind not in "biuf":
        raise DataError(f"other: {path} must hold numbers on two axes, got {values.dtype} of shape {values.shape}")
    return fixation_map(rescaled(np.argwhere(values > 0)[:, ::-1] + 0.5, values.shape, shape), shape)


class _Pool(NamedTuple):
    videos: tuple[Video, ...]
    lengths: np.ndarray


@lru_cache(maxsize=8)
def _pool(rules, dataset):
    videos = tuple(rules.pool(dataset))
    return _Pool(videos, np.array([len(video.frames) for video in videos]))


@lru_cache(maxsize=256)  # more videos than any of the six data sets has
def _fixations(rules, dataset, place):
    return rules.fixations(_pool(rules, dataset).videos[place])


@lru_cache(maxsize=8)
def _read_all(rules, dataset):
    for place in range(len(_pool(rules, dataset).videos)):
        _fixations(rules, dataset, place)


@lru_cache(maxsize=4)
def _looked_at(rules, dataset, shape):
    """(h, w): on how many videos of the data set somebody looked there."""
    videos = (_fixations(rules, dataset, place) for place in range(len(_pool(rules, dataset).videos)))
    return sum(_moved(one, one.pixels, shape).astype(np.int32) for one in videos)


@lru_cache(maxsize=4)
def _elsewhere(rules, dataset, name, shape):
    """(h, w) bool: somebody looked there on a video other than the one of that name."""
    own = [place for place, video in enumerate(_pool(rules, dataset).videos) if video.name == name]
    fixations = [_fixations(rules, dataset, place) for place in own]
    return _looked_at(rules, dataset, shape) > sum(_moved(one, one.pixels, shape).astype(np.int32) for one in fixations)


def _drawn(rules, video, frame, shape):
    videos, lengths = _pool(rules, video.dataset)
    ends = np.cumsum(lengths * [other.name != video.name for other in videos])
    rng = np.random.default_rng([rules.others.seed, zlib.crc32(f"{video.dataset}/{video.name}/{frame}".encode())])
    fixated = np.zeros(shape, bool)
    if not ends[-1]:
        return fixated
    for number in rng.choice(ends[-1], min(rules.others.n_random, ends[-1]), replace=False).tolist():
        place = int(np.searchsorted(ends, number, "right"))
        one = _fixations(rules, video.dataset, place)
        chosen = videos[place].frames[number - ends[place]]  # from the end, so that no start is needed
        fixated |= _moved(one, one.pixels[one.of(chosen)], shape)
    return fixated


def _moved(one, pixels, shape):
    """(h, w) bool: some pixels of a video on a picture of that shape."""
    return fixation_map(rescaled(one.points(pixels), one.shape, shape), shape)
