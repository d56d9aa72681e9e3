"""UCF Sports with gaze (`stajax.data.ucf`): density maps as they come, fixated pixels.

The shuffled AUC takes its negatives from all frames of the same video, as STAViS has it, or what `other` says. Frames count
from 0 in the sorted order of the maps; a prediction's pictures may have the frames' file names instead.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from stajax.data.fixations import DataError
from stajax.data.ucf import FIXATIONS, load_ucf
from stajax.evaluation.protocols.base import CANVAS, Training, Video, default_sigma, on_canvas
from stajax.evaluation.protocols.others import N_RANDOM, Others, gather, truth_of_points, video_fixations


class Ucf:
    """See `protocols/base.py`.

    Args:
        root: the folder of a video, or a folder of such folders.
        other, n_random, seed: see `others.py`.

    Raises:
        DataError: no such folder, or `load_ucf`'s.
        ValueError: an unknown data set or split.
    """

    name, compat, empty, blank = "ucf", "mit", "drop", "drop"

    def __init__(self, root, datasets=None, splits=None, *, other="video", n_random=N_RANDOM, seed=0):
        if set(datasets or ()) - {"UCF"} or splits:
            raise ValueError("ucf: there is one data set, UCF, and no split")
        root = Path(root)
        folders = [root] if (root / FIXATIONS).is_file() else sorted(path.parent for path in root.glob(f"*/{FIXATIONS}"))
        if not folders:
            raise DataError(f"UCF: neither {root} nor a folder in it holds {FIXATIONS}")
        self.folders = {folder.resolve().name: folder for folder in folders}
        self.others = Others(other, n_random, seed)
        self.settings = {"other": str(self.others)}
        self.videos = tuple(_video(name, load_ucf(folder)) for name, folder in self.folders.items())

    def pool(self, dataset):
        return self.videos

    def fixations(self, video):
        ucf = _ucf(self.folders[video.name])
        return video_fixations(ucf.shape, ucf.points[:, 0], ucf.points[:, 1:] + 0.5, len(ucf.densities))

    def gather(self, video):
        return gather(self, video)

    def truth(self, video, frame, gathered):
        ucf = _ucf(self.folders[video.name])
        points, density = ucf.fixations(frame), ucf.density(frame)
        return truth_of_points(self, video, frame, gathered, points, ucf.shape, None, density)

    def image(self, video, frame):
        return _ucf(self.folders[video.name]).image(frame)

    def picture(self, video, frame):
        return _ucf(self.folders[video.name]).picture(frame)

    def observers(self, video, frame):
        raise DataError("ucf: its fixations do not say who looked where")

    def training_part(self, video):
        return f"all but {video.name}" if len(self.folders) > 1 else None

    def training(self, part):
        """The other videos."""
        others = [_ucf(folder) for name, folder in self.folders.items() if part != f"all but {name}"]
        points = [on_canvas(ucf.fixations(frame), ucf.shape) for ucf in others for frame in range(len(ucf.densities))]
        return Training(points, CANVAS, default_sigma(CANVAS))


def _video(name, ucf):
    stems = {frame: path.stem for frame, path in enumerate(ucf.densities)}
    return Video("UCF", name, range(len(stems)), shelves=("UCF", "ucf"), stems=stems)


@lru_cache(maxsize=2)
def _ucf(folder):
    return load_ucf(folder)
