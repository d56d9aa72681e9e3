"""The six audio-visual benchmarks as STAViS packages them: fold lists, fixation pixels, density maps, frames, sound.

    ROOT/fold_lists/<folder>_list_{train,test}_{1,2,3}_fps.txt   lines "name frames fps"; DIEM_list_{train,test}_fps.txt
    ROOT/annotations/<folder>/<video>/fixMap_%05d.mat            variable eyeMap: (h, w), 1 at fixated pixels
    ROOT/annotations/<folder>/<video>/maps/eyeMap_%05d.jpg       grey density map of the same size
    ROOT/video_frames/<folder>/<video>/img_%05d.jpg              not needed to score
    ROOT/video_audio/<folder>/<video>/<video>.wav                not needed to score

Frames count from 1.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.pictures import read_colour, read_grey


class Dataset(NamedTuple):
    """One of the six. folder: in the packaging; results: in STAViS's own predictions; folds: of its lists, () for one list."""

    name: str
    folder: str
    results: str
    folds: tuple[str, ...]


_FOLDS = ("1", "2", "3")
DATASETS = (
    Dataset("AVAD", "AVAD", "avad", _FOLDS),
    Dataset("DIEM", "DIEM", "diem", ()),
    Dataset("SumMe", "SumMe", "summe", _FOLDS),
    Dataset("ETMD", "ETMD_av", "etmd", _FOLDS),
    Dataset("Coutrot1", "Coutrot_db1", "coutrot1", _FOLDS),
    Dataset("Coutrot2", "Coutrot_db2", "coutrot2", _FOLDS),
)  # the names and the order of the paper's Table 7


class Listed(NamedTuple):
    """A line of a fold list."""

    video: str
    frames: int
    fps: float


def list_path(root, dataset, part, fold):
    """Where a fold list lies. part: "train" or "test"; fold: "1", "2", "3"; DIEM has one list, whatever the fold."""
    number = f"_{fold}" if dataset.folds else ""
    return Path(root) / "fold_lists" / f"{dataset.folder}_list_{part}{number}_fps.txt"


def read_list(path):
    """The lines of a fold list.

    Raises:
        DataError: no such file, or a line that is not "name frames fps".
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise DataError(f"STAViS: no fold list {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"STAViS: {path} is not a readable text file ({error})") from error
    return tuple(_entry(path, number, line) for number, line in enumerate(lines, 1) if line.strip())


def _entry(path, number, line):
    try:
        video, frames, fps = line.split()
        entry = Listed(video, int(frames), float(fps))
    except ValueError:
        raise DataError(f"STAViS: {path}, line {number}: {line.strip()!r} is not 'name frames fps'") from None
    if entry.frames < 1 or not 0 < entry.fps < np.inf:
        raise DataError(f"STAViS: {path}, line {number}: frames and fps must be positive")
    return entry


class Files:
    """The files of one video. root: the packaging's root; dataset: of DATASETS."""

    def __init__(self, root, dataset, video):
        root = Path(root)
        self.annotations = root / "annotations" / dataset.folder / video
        self.frames = root / "video_frames" / dataset.folder / video
        self.sound = root / "video_audio" / dataset.folder / video / f"{video}.wav"

    def fixations_path(self, frame):
        return self.annotations / f"fixMap_{frame:05d}.mat"

    def density_path(self, frame):
        return self.annotations / "maps" / f"eyeMap_{frame:05d}.jpg"

    def image_path(self, frame):
        return self.frames / f"img_{frame:05d}.jpg"

    def fixations(self, frame):
        """(h, w) as stored, 1 at fixated pixels."""
        return read_mat(self.fixations_path(frame), "eyeMap")

    def density(self, frame):
        """(h, w) float64 in [0, 1]."""
        return read_grey(self.density_path(frame), "STAViS")

    def image(self, frame):
        """(h, w, 3) uint8 RGB."""
        return read_colour(self.image_path(frame), "STAViS")


def read_mat(path, name):
    """A 2-D numeric variable of a MATLAB file.

    Raises:
        DataError: no such file, not a readable one, one of version 7.3 (HDF5), or without such a variable.
    """
    loadmat, sparse = _scipy()
    try:
        values = loadmat(str(path), variable_names=[name]).get(name)
    except FileNotFoundError as error:
        raise DataError(f"STAViS: no file {path}") from error
    except NotImplementedError as error:
        raise DataError(f"STAViS: {path} is a version 7.3 file (HDF5); save it in MATLAB with -v7 or -v6") from error
    except Exception as error:  # loadmat raises whatever a broken file makes it stumble over
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"STAViS: {path} is not a readable .mat file ({reason})") from error
    if values is None:
        raise DataError(f"STAViS: {path} lacks the variable {name}")
    values = values.toarray() if sparse(values) else values
    if values.ndim != 2 or values.dtype.kind not in "biuf" or not values.size:
        raise DataError(f"STAViS: {name} in {path} must be a 2-D array of numbers, got {values.dtype} of shape {values.shape}")
    return values


@lru_cache(maxsize=1)
def _scipy():
    from scipy.io import loadmat
    from scipy.sparse import issparse

    return loadmat, issparse
