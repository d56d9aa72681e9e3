"""The protocol of STAViS, which STANet and most papers since report: six data sets, test lists in three folds.

Truth root: `stajax.data.stavis`. What equals STAViS' evaluation code by default: which frames are scored, the pixels that the
shuffled AUC takes its negatives from (all frames of the same video, not of others), SIM = 0 on frames without fixations, and
the averages. With compat="stavis" so do the metrics, up to the expectations that stand for their random draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.stavis import DATASETS, Files, list_path, read_list
from stajax.evaluation.protocols.base import CANVAS, Training, Truth, Video, default_sigma, on_canvas
from stajax.evaluation.protocols.others import N_RANDOM, Others, VideoFixations, gather, negatives

FIRST = 9  # STAViS predicts the middle of 16 frames, and saves it as frame 9 for the first window: 1..8 are never scored
MEAN_OF_SPLITS = ("DIEM",)
STRIDE = 25  # a centre prior sees every 25th frame of the training videos: 1 a second


@dataclass(frozen=True)
class FixationMaps(VideoFixations):
    """What a video's fixation maps hold, so that a file, slow to unpack, is read once. values: what stands at each of `pixels`;
    missing: frames without a file, which own none."""

    values: np.ndarray
    missing: frozenset[int]

    def map(self, frame):
        """(h, w) as in the file."""
        fixations = np.zeros(self.shape, self.values.dtype)
        fixations.ravel()[self.pixels[self.of(frame)]] = self.values[self.of(frame)]
        return fixations


class Stavis:
    """See `protocols/base.py`.

    Args:
        root: the folder with fold_lists and annotations.
        datasets: names of those to score, as in the paper's Table 7; default all that have test lists in `root`.
        splits: folds to score, "1", "2", "3"; default all.
        first_frame: the first frame to score, counted from 1.
        all: 1 scores every video of the training and test lists once, without splits, for a model trained on none of them.
        other, n_random, seed: see `others.py`. A data set's videos are those of its test lists, under `all` of all its lists.

    Raises:
        DataError: no such folder, no test list in it, a list that is broken, or one of two lists that disagree on a video.
        ValueError: an unknown data set or split, or splits together with `all`.
    """

    name, compat, empty, blank = "stavis", "stavis", "zero", "drop"

    def __init__(self, root, datasets=None, splits=None, *, first_frame=FIRST, all=0, other="video", n_random=N_RANDOM, seed=0):
        self.root = Path(root)
        known = {dataset.name: dataset for dataset in DATASETS}
        if unknown := set(datasets or ()) - set(known):
            raise ValueError(f"stavis: no data set {', '.join(sorted(unknown))}; there are {', '.join(known)}")
        if unknown := set(splits or ()) - set("123"):
            raise ValueError(f"stavis: no split {', '.join(sorted(unknown))}; there are 1, 2, 3")
        if not (self.root / "fold_lists").is_dir() or not (self.root / "annotations").is_dir():
            raise DataError(f"STAViS: {self.root} must hold the folders fold_lists and annotations")
        if all and splits:
            raise ValueError("stavis: all=1 scores every video once; leave the splits out")
        self.splits, self.all, self.first_frame = tuple(splits or "123"), bool(all), first_frame
        self.datasets = {name: known[name] for name in known if name in (datasets or known)}
        if not datasets:
            self.datasets = {name: dataset for name, dataset in self.datasets.items() if self._lists(dataset)}
        self.videos = tuple(video for name in self.datasets for video in self._videos(name, self.splits))
        if not self.videos:
            raise DataError(f"STAViS: {self.root / 'fold_lists'} holds no test list, such as AVAD_list_test_1_fps.txt")
        self.others = Others(other, n_random, seed)
        self.settings = {"first_frame": first_frame, "other": str(self.others)}
        self.settings["mean_of_splits"] = [name for name in MEAN_OF_SPLITS if name in self.datasets and not all]

    def _lists(self, dataset):
        return [path for fold in self.splits if (path := list_path(self.root, dataset, "test", fold)).is_file()]

    def _listings(self, dataset, splits):
        """(split, list) of those folds."""
        if not self.all:
            return [(split, list_path(self.root, dataset, "test", split)) for split in splits]
        return [("", list_path(self.root, dataset, part, fold)) for part in ("train", "test") for fold in splits]

    def _videos(self, name, splits):
        dataset, listed = self.datasets[name], {}
        for split, path in self._listings(dataset, splits):
            for entry in read_list(path):
                entries = listed.setdefault(entry.video, {})
                if entries.setdefault(split, entry) != entry or len(set(entries.values())) > 1:
                    raise DataError(f"STAViS: the lists of {dataset.folder} disagree on the frames or fps of {entry.video}")
        for video, entries in listed.items():
            entry = next(iter(entries.values()))
            yield Video(
                dataset=name,
                name=video,
                frames=range(self.first_frame, entry.frames + 1),
                splits=tuple(entries),
                first=1,
                fps=entry.fps,
                shelves=(dataset.results, dataset.folder, name),
            )

    def files(self, video):
        return Files(self.root, self.datasets[video.dataset], video.name)

    def pool(self, dataset):
        """The videos of all folds whose annotations are there."""
        there = [fold for fold in "123" if list_path(self.root, self.datasets[dataset], "test", fold).is_file()]
        return [video for video in self._videos(dataset, there) if self.files(video).annotations.is_dir()]

    def gather(self, video):
        return gather(self, video)

    def fixations(self, video):
        """`FixationMaps` of the video."""
        files, maps, shape = self.files(video), [], None
        frames = range(1, video.frames[-1] + 1)
        missing = frozenset(frame for frame in frames if not files.fixations_path(frame).is_file())
        if len(missing) == len(frames):
            raise DataError(f"STAViS: no file {files.fixations_path(1)}, nor any other fixation map of {video.name}")
        for frame in frames:
            if frame in missing:
                maps.append((np.zeros(0, int), np.zeros(0, np.uint8)))
                continue
            fixations = files.fixations(frame)
            shape = shape or fixations.shape
            if fixations.shape != shape:
                path, size = files.fixations_path(frame), "x".join(map(str, shape[::-1]))
                raise DataError(f"STAViS: {path} is {_size(fixations)}, those of the frames before {size}")
            pixels = np.flatnonzero(fixations > 0)
            maps.append((pixels, fixations.ravel()[pixels]))
        pixels, values = (np.concatenate(part) for part in zip(*maps, strict=True))
        start = np.cumsum([0] + [len(part) for part, _ in maps])
        return FixationMaps(shape, 1, start, pixels.astype(np.int32), values, missing)

    def truth(self, video, frame, gathered):
        files = self.files(video)
        there = gathered is not None and frame not in gathered.missing
        fixations = gathered.map(frame) if there else files.fixations(frame)
        density = files.density(frame)
        if fixations.shape != density.shape:
            paths = files.fixations_path(frame), files.density_path(frame)
            raise DataError(f"STAViS: {paths[0]} is {_size(fixations)}, {paths[1]} is {_size(density)}; they must agree")
        if gathered is None:
            return Truth(fixations, density, np.zeros(fixations.shape, bool))
        return Truth(fixations, density, negatives(self, video, frame, gathered, fixations != 1))

    def image(self, video, frame):
        return self.files(video).image(frame)

    def picture(self, video, frame):
        return self.files(video).image_path(frame)

    def observers(self, video, frame):
        raise DataError("STAViS: its fixation maps do not say who looked where")

    def training_part(self, video):
        """The training list of a fold that tests the video; None if `root` has no such list, or if all videos are tested."""
        if self.all:
            return None
        lists = [list_path(self.root, self.datasets[video.dataset], "train", split) for split in video.splits]
        return next((f"{video.dataset}/{path.name}" for path in lists if path.is_file()), None)

    def training(self, part):
        """Every 25th frame of the videos in a training list."""
        name, file = part.split("/")
        points = []
        for entry in read_list(self.root / "fold_lists" / file):
            files = Files(self.root, self.datasets[name], entry.video)
            for frame in range(FIRST, entry.frames + 1, STRIDE):
                fixated = files.fixations(frame) > 0
                rows, columns = np.nonzero(fixated)
                points.append(on_canvas(np.stack([columns + 0.5, rows + 0.5], axis=1), fixated.shape))
        return Training(points, CANVAS, default_sigma(CANVAS))


def _size(array):
    return "x".join(map(str, array.shape[::-1]))
