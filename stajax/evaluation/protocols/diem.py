"""DIEM's raw gaze (`stajax.data.diem`): every observer at every frame, without the pictures.

So there are fixations of each observer, which a human ceiling needs, and none of the baselines that look at pictures. Truth
of a frame, at the video's own size: the pixels that observers fixate at that frame; their density; and for the shuffled AUC
the pixels fixated on all frames of the same video, as STAViS has it. Frames count from 0.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from stajax.data.diem import FPS, load_gaze
from stajax.data.fixations import DataError, fixation_map
from stajax.evaluation.protocols.base import CANVAS, Observers, Training, Video, default_sigma, on_canvas, truth_of_points

HALVES = {"protocol": "halves", "draws": 1}  # of 50 to 120 observers; each against all others would take minutes a second
STRIDE = 30  # a centre prior sees one frame a second


class Diem:
    """See `protocols/base.py`.

    Args:
        root: a folder of <video>_<width>x<height>.npz.
        sigma: of the density map, px of the video; default a fortieth of its width. For degrees multiply with
            `stajax.data.fixations.pixels_per_degree`.
        step: score every so many frames.

    Raises:
        DataError: no such folder or no such file in it.
        ValueError: an unknown data set or split.
    """

    name, compat, empty = "diem", "mit", "drop"

    def __init__(self, root, datasets=None, splits=None, *, sigma=None, step=1):
        if set(datasets or ()) - {"DIEM"} or splits:
            raise ValueError("diem: there is one data set, DIEM, and no split")
        self.paths = {path.stem: path for path in sorted(Path(root).glob("*.npz"))}
        if not self.paths:
            raise DataError(f"DIEM: {root} holds no gaze, such as arctic_bears_1066x710.npz")
        self.sigma = sigma
        self.settings = {"sigma": sigma or "width / 40", "step": step, "empty": self.empty}
        self.settings["other"] = "all frames of the same video"
        self.videos = tuple(
            Video("DIEM", name, range(0, _gaze(path).points.shape[1], step), fps=FPS, shelves=("DIEM", "diem"))
            for name, path in self.paths.items()
        )

    def _sigma(self, gaze):
        return self.sigma or default_sigma(gaze.shape)

    def gather(self, video):
        """The pixels fixated on any frame of the video, (h, w) bool."""
        gaze = _gaze(self.paths[video.name])
        return fixation_map(gaze.points.reshape(-1, 2), gaze.shape)

    def truth(self, video, frame, gathered):
        gaze = _gaze(self.paths[video.name])
        return truth_of_points(gaze.fixations(frame), gaze.shape, self._sigma(gaze), gathered)

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
