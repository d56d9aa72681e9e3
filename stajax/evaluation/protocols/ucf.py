"""UCF Sports with gaze (`stajax.data.ucf`): density maps as they come, fixated pixels.

The shuffled AUC takes its negatives from all frames of the same video, as STAViS has it. Frames count from 0 in the sorted
order of the maps; a prediction's pictures may have the frames' file names instead.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from stajax.data.fixations import DataError, fixation_map
from stajax.data.ucf import FIXATIONS, load_ucf
from stajax.evaluation.protocols.base import CANVAS, Training, Video, default_sigma, on_canvas, truth_of_points


class Ucf:
    """See `protocols/base.py`.

    Args:
        root: the folder of a video, or a folder of such folders.

    Raises:
        DataError: no such folder, or `load_ucf`'s.
        ValueError: an unknown data set or split.
    """

    name, compat, empty = "ucf", "mit", "drop"

    def __init__(self, root, datasets=None, splits=None):
        if set(datasets or ()) - {"UCF"} or splits:
            raise ValueError("ucf: there is one data set, UCF, and no split")
        root = Path(root)
        folders = [root] if (root / FIXATIONS).is_file() else sorted(path.parent for path in root.glob(f"*/{FIXATIONS}"))
        if not folders:
            raise DataError(f"UCF: neither {root} nor a folder in it holds {FIXATIONS}")
        self.folders = {folder.resolve().name: folder for folder in folders}
        self.settings = {"other": "all frames of the same video", "empty": self.empty}
        self.videos = tuple(_video(name, load_ucf(folder)) for name, folder in self.folders.items())

    def gather(self, video):
        """The pixels fixated on any frame of the video, (h, w) bool."""
        ucf = _ucf(self.folders[video.name])
        return fixation_map(ucf.points[:, 1:] + 0.5, ucf.shape)

    def truth(self, video, frame, gathered):
        ucf = _ucf(self.folders[video.name])
        return truth_of_points(ucf.fixations(frame), ucf.shape, None, gathered, ucf.density(frame))

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
