"""What a protocol is: videos to score, and what each of their frames is scored against.

A protocol is an object with these attributes and methods. It is pickled once for each worker process, so it holds paths and
small arrays, and reads pictures and maps when they are asked for.

    name          "stavis"
    compat        the conventions of the metrics that it is usually scored with, see `stajax.evaluation.compat`
    empty         what SIM is on a frame without fixations: "zero", as the MATLAB code has it, or "drop"
    blank         what a map of zeros, of one value or with NaN scores: "drop", what `compat` gives it, NaN being left out; or
                  "chance", the chance level of each metric
    others        where the shuffled AUC takes its negatives, see `others.py`
    settings      dict: the choices made, for the report
    videos        tuple of `Video`
    gather(video) -> anything    what all frames of a video share; worked out once per video, in a worker
    truth(video, frame, gathered) -> Truth; `other` is empty if gathered is None, for whoever only looks
    pool(dataset) -> all `Video`s of a data set, scored or not
    fixations(video) -> `others.VideoFixations`, where people looked on each frame; asked for by `others.py` alone
    image(video, frame) -> (h, w, 3) uint8 RGB; DataError if the protocol has no pictures
    picture(video, frame) -> path of that picture, for whoever needs only its size; DataError as `image`
    observers(video, frame) -> Observers; DataError if it is not known who looked where
    training_part(video) -> the name of the part that a centre prior for this video is fitted to, which leaves it out, or None
    training(part) -> Training

All of them raise a `DataError` of one line for files that are missing or broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

CANVAS = (120, 160)  # (h, w)
LEAVE_ONE_OUT = {"protocol": "leave-one-out"}


@dataclass(frozen=True)
class Video:
    """One video, or one image as a video of one frame.

    Attributes:
        dataset: the name that tables show.
        name: what its prediction is called: the folder, or the file without suffix.
        frames: numbers of the frames to score, as the data set counts.
        splits: the test lists that hold it, ("",) if there are none. Where a prediction has a part for each split it is scored
            in each, else once, and counts for each.
        first: the number of the first frame of the clip: 0 or 1.
        fps: frames per second, NaN if unknown.
        shelves: names that a folder of all predictions for this data set may have.
        stems: frame -> its file's name without suffix, where each frame is a file with a name of its own.
    """

    dataset: str
    name: str
    frames: Sequence[int]
    splits: tuple[str, ...] = ("",)
    first: int = 0
    fps: float = float("nan")
    shelves: tuple[str, ...] = ()
    stems: dict[int, str] | None = None

    def time(self, frame: int) -> float:
        """When a frame is shown, s from the start of the clip; NaN if the rate is unknown."""
        return (frame - self.first) / self.fps


class Truth(NamedTuple):
    """What a frame is scored against, all (h, w): pixels > 0 where somebody looked, density >= 0, pixels > 0 that give s-AUC
    its negatives."""

    fixations: np.ndarray
    density: np.ndarray
    other: np.ndarray


class Observers(NamedTuple):
    """Who looked where. points: (n, 2) x, y in pixels of the truth; observers: (n,) labels; sigma: of density maps, px; how:
    the arguments of `baselines.human` that say which observers are held against which."""

    points: np.ndarray
    observers: np.ndarray
    sigma: float
    how: dict


class Training(NamedTuple):
    """What a centre prior is fitted to. points: (n, 2) x, y for each training image; shape: (h, w) they lie on; sigma: px."""

    points: list[np.ndarray]
    shape: tuple[int, int]
    sigma: float


def default_sigma(shape):
    """Sigma of a density map where neither pixels nor degrees are given: a fortieth of the width, px."""
    return shape[1] / 40


def rescaled(points, shape, new):
    """Points on a picture of `shape` where they lie on the same picture of shape `new`, both (h, w)."""
    return np.asarray(points, float).reshape(-1, 2) * (new[1] / shape[1], new[0] / shape[0])


def on_canvas(points, shape):
    """`rescaled` to CANVAS, on which pictures of several sizes share a centre prior."""
    return rescaled(points, shape, CANVAS)
