"""DIEM's raw gaze (`stajax.data.diem`): every observer at every frame, without the pictures.

So there are fixations of each observer, which a human ceiling needs, and none of the baselines that look at pictures. Truth
of a frame, at the video's own size: the pixels that observers fixate at that frame; their density; and for the shuffled AUC
the pixels fixated on all frames of the same video, as STAViS has it, or what `other` says. Frames count from 0.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from stajax.data.diem import FPS, SCREEN, load_gaze
from stajax.data.fixations import DataError
from stajax.evaluation.protocols.base import CANVAS, Observers, Training, Video, default_sigma, on_canvas
from stajax.evaluation.protocols.others import N_RANDOM, Others, gather, truth_of_points, video_fixations
from stajax.evaluation.protocols.sigma import Sigma

HALVES = {"protocol": "halves", "draws": 1}  # of 50 to 120 observers; each against all others would take minutes a second
STRIDE = 30  # a centre prior sees one frame a second


class Diem:
    """See `protocols/base.py`.

    Args:
        root: a folder of <video>_<width>x<height>.npz.
        step: score every so many frames.
        sigma, sigma_degrees, pixels_per_degree, screen_cm, distance_cm: of the density map, see `sigma.py`; `screen_cm` is
            the width of the screen of 1280 px.
        other, n_random, seed: see `others.py`.

    Raises:
        DataError: no such folder or no such file in it.
        ValueError: an unknown data set or split; `Sigma`'s.
    """

    name, compat, empty, blank = "diem", "mit", "drop", "drop"

    def __init__(
        self,
        root,
        datasets=None,
        splits=None,
        *,
        step=1,
        sigma=None,
        sigma_degrees=None,
        pixels_per_degree=None,
        screen_cm=None,
        distance_cm=None,
        other="video",
        n_random=N_RANDOM,
        seed=0,
    ):
        if set(datasets or ()) - {"DIEM"} or splits:
            raise ValueError("diem: there is one data set, DIEM, and no split")
        self.paths = {path.stem: path for path in sorted(Path(root).glob("*.npz"))}
        if not self.paths:
            raise DataError(f"DIEM: {root} holds no gaze, such as arctic_bears_1066x710.npz")
        self.sigma = Sigma(sigma, sigma_degrees, pixels_per_degree, screen_cm, distance_cm)
        self.others = Others(other, n_random, seed)
        self.settings = {"sigma": str(self.sigma), "step": step, "other": str(self.others)}
        self.videos = tuple(
            Video("DIEM", name, range(0, _gaze(path).points.shape[1], step), fps=FPS, shelves=("DIEM", "diem"))
            for name, path in self.paths.items()
        )

    def _sigma(self, gaze):
        return self.sigma.pixels(gaze.shape, SCREEN[1])

    def pool(self, dataset):
        return self.videos

    def fixations(self, video):
        gaze = _gaze(self.paths[video.name])
        observers, frames, _ = gaze.points.shape
        return video_fixations(gaze.shape, np.tile(np.arange(frames), observers), gaze.points, frames)

    def gather(self, video):
        return gather(self, video)

    def truth(self, video, frame, gathered):
        gaze = _gaze(self.paths[video.name])
        return truth_of_points(self, video, frame, gathered, gaze.fixations(frame), gaze.shape, self._sigma(gaze))

    def image(self, video, frame):
        raise DataError("diem: this protocol has no pictures, only gaze")

    def picture(self, video, frame):
        raise DataError("diem: this protocol has no pictures, only gaze")

    def observers(self, video, frame):
        gaze = _gaze(self.paths[video.name])
        return Observers(gaze.fixations(frame), gaze.observers(frame), self._sigma(gaze), HALVES)

    def training_part(self, video):
        return f"all but {video.name}" if len(self.paths) > 1 else None

    def training(self, part):
        """The other videos, one frame a second."""
        others = [_gaze(path) for name, path in self.paths.items() if part != f"all but {name}"]
        frames = [(gaze, frame) for gaze in others for frame in range(0, gaze.points.shape[1], STRIDE)]
        points = [on_canvas(gaze.fixations(frame), gaze.shape) for gaze, frame in frames]
        return Training(points, CANVAS, default_sigma(CANVAS))


@lru_cache(maxsize=2)
def _gaze(path):
    return load_gaze(path)
