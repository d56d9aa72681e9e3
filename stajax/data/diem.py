"""DIEM's raw gaze: where each observer's two eyes were at each frame of a video.

    ROOT/<video>_<width>x<height>.npz
        gaze_x10_i16 (observers, frames, 6) int16    ten times left x, y, pupil, right x, y, pupil
        event (observers, frames, 2) int8            of left and right: -1 error, 0 blink, 1 fixation, 2 saccade

Coordinates are pixels of the 1280x960 screen, on which the video was shown centred at its own size.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stajax.data.archives import read_npz
from stajax.data.fixations import DataError, inside

SCREEN = (960, 1280)  # (h, w)
FPS = 30.0
_FIXATION = 1


@dataclass(frozen=True)
class Gaze:
    """The gaze on one video. Read with `load_gaze`.

    Attributes:
        name: the file's name without suffix, ending in the size.
        shape: (h, w) of the video.
        points: (observers, frames, 2) float32 x, y in pixels of the video, NaN where the observer does not fixate inside it.
    """

    name: str
    shape: tuple[int, int]
    points: np.ndarray

    def fixations(self, frame):
        """The fixations of all observers on a frame, counted from 0: (n, 2) x, y."""
        points = self.points[:, frame]
        return points[~np.isnan(points[:, 0])]

    def observers(self, frame):
        """The observer of each of `fixations(frame)`, (n,)."""
        return np.flatnonzero(~np.isnan(self.points[:, frame, 0]))


def load_gaze(path):
    """Reads the gaze on one video: the mean position of the eyes that fixate, if it is inside the picture.

    Args:
        path: a file as above. The size of the video is the end of its name.

    Returns:
        A `Gaze`.

    Raises:
        DataError: no such file, arrays of the wrong shape, or a name without a size that fits the screen.
    """
    path = Path(path)
    size = re.search(r"_(\d+)x(\d+)$", path.stem)
    if not size:
        raise DataError(f"DIEM: {path} must end in the video's size, as in arctic_bears_1066x710.npz")
    shape = int(size[2]), int(size[1])
    if not (0 < shape[0] <= SCREEN[0] and 0 < shape[1] <= SCREEN[1]):
        raise DataError(f"DIEM: {path}: a video of {shape[1]}x{shape[0]} does not fit the screen of 1280x960")
    gaze, event = read_npz(path, ("gaze_x10_i16", "event"), "DIEM")
    if gaze.ndim != 3 or gaze.shape[2] != 6 or event.shape != (*gaze.shape[:2], 2):
        raise DataError(f"DIEM: {path}: gaze {gaze.shape} and event {event.shape} must be (n, frames, 6) and (n, frames, 2)")
    points = np.full((*gaze.shape[:2], 2), np.nan, np.float32)
    left, right = (gaze[..., i : i + 2] / np.float32(10) for i in (0, 3))
    fixating = event == _FIXATION
    weight = fixating / np.maximum(fixating.sum(axis=2, keepdims=True), 1)
    mean = left * weight[..., :1] + right * weight[..., 1:]
    mean -= ((SCREEN[1] - shape[1]) / 2, (SCREEN[0] - shape[0]) / 2)
    keep = fixating.any(axis=2) & inside(mean.reshape(-1, 2), shape).reshape(gaze.shape[:2])
    points[keep] = mean[keep]
    return Gaze(path.stem, shape, points)
