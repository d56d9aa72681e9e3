"""Predicted maps on disk, in whatever layout: what `stajax predict` writes, pictures, STAViS' own result folders.

A prediction is a folder. The maps of a video are looked for in a folder of its data set's name, then in the folder itself:

    PRED/[<data set>/]<video>/maps.npz                maps (T, h, w), map i is the clip's frame i; what `stajax predict` writes
    PRED/[<data set>/]<video>/pseudo.npz              the same; what `stajax pseudofix` writes
    PRED/[<data set>/]<video>/[png/]*.png|jpg         the frame's file name, or a name that ends in the frame's number
    PRED/[<data set>/]<video>.png|jpg                 an image, or a frame that has this file name
    PRED/[<data set>/]<frame's file name>/maps.npz    or pseudo.npz: the same, predicted as an image
    PRED/split{1,2,3}_results/<data set>/<video>/pred_sal_%06d.jpg    STAViS: a part per split; only .jpg counts

A picture's number is the last one in its name. Numbers count as the data set counts; pictures numbered from 0 for a data set
that counts from 1 are moved by one, and so are pictures numbered from 1 to one past the last frame of a set that counts from 0.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stajax.data.archives import read_npz, reading_npz
from stajax.data.fixations import DataError
from stajax.data.pictures import listed, read_grey

SUFFIXES = (".png", ".jpg", ".jpeg")
ARCHIVES = ("maps.npz", "pseudo.npz")


class MapsArchive:
    """The maps of one clip in a `maps.npz` or `pseudo.npz`.

    Frames are read one by one, without the rest, unless the file is compressed.
    """

    def __init__(self, path: Path, first: int):
        self.path, self.first = path, first
        self._maps: np.ndarray | None = None
        with reading_npz(path, "prediction"), zipfile.ZipFile(path) as archive:
            if "maps.npy" not in archive.namelist():
                raise DataError(f"prediction: {path} lacks an array: maps")
            self._read_header(archive)
        if len(self.shape) != 3 or self._dtype.kind not in "fiu" or min(self.shape) < 1:
            raise DataError(f"{path}: maps must be numbers of shape (T, h, w), got {self._dtype} of shape {self.shape}")
        self.frames = range(first, first + self.shape[0])

    def _read_header(self, archive):
        info = archive.getinfo("maps.npy")
        with archive.open(info) as member:
            version = np.lib.format.read_magic(member)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            self.shape, in_columns, self._dtype = read_header(member)
            stored = info.compress_type == zipfile.ZIP_STORED and not in_columns
            self._offset = _data_offset(self.path, info) + member.tell() if stored else None

    def read(self, frame: int) -> np.ndarray:
        """(h, w) float64; whole numbers of 8 bits are divided by 255."""
        with reading_npz(self.path, "prediction"):
            if self._maps is None:
                self._maps = self._open()
            saliency = self._maps[frame - self.first]
            return saliency / 255 if saliency.dtype == np.uint8 else np.asarray(saliency, np.float64)

    def _open(self):
        if self._offset is not None:
            return np.memmap(self.path, self._dtype, "r", self._offset, self.shape)
        return read_npz(self.path, ("maps",), "prediction")[0]

    def __getstate__(self):
        return self.__dict__ | {"_maps": None}


@dataclass(frozen=True)
class Pictures:
    """The maps of one clip as pictures. paths: frame -> file."""

    paths: dict[int, Path]

    @property
    def frames(self):
        return self.paths.keys()

    def read(self, frame: int) -> np.ndarray:
        """(h, w) float64 in [0, 1]."""
        return read_grey(self.paths[frame], "prediction")


@dataclass(frozen=True)
class PicturesAsClips:
    """Frames that were predicted as images of their own. archives: frame -> its file of maps."""

    archives: dict[int, Path]

    @property
    def frames(self):
        return self.archives.keys()

    def read(self, frame: int) -> np.ndarray:
        return MapsArchive(self.archives[frame], 0).read(0)


@dataclass(frozen=True)
class Broken:
    """Maps that cannot be read, so that each of the frames is counted as broken. problem: why, one line."""

    frames: Sequence[int]
    problem: str

    def read(self, frame: int) -> np.ndarray:
        raise DataError(self.problem)


class Predictions:
    """The predictions in a folder.

    Attributes:
        splits: the parts that it has, ("1", "2", "3") or fewer; () if there is one for all splits.

    Raises:
        DataError: no such folder, or an empty one.
    """

    def __init__(self, root):
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(f"no folder of predictions {root}")
        if not any(self.root.iterdir()):
            raise DataError(f"the folder of predictions {root} is empty")
        self.splits = tuple(split for split in "123" if self._part(split).is_dir())

    def _part(self, split):
        return self.root / f"split{split}_results"

    def find(self, video, split=None):
        """The maps of a video (`protocols.base.Video`), for one of `splits` where there are any.

        Returns:
            An object with `frames` and `read(frame)`; None if there are none.

        Raises:
            DataError: a file of maps that is broken, or two pictures for one frame.
        """
        root = self._part(split) if self.splits else self.root
        suffixes, number = ((".jpg",), _number_of_stavis) if self.splits else (SUFFIXES, _number)
        for shelf in [*(root / shelf for shelf in video.shelves), root]:
            if shelf.is_dir() and (maps := _find(shelf, video, suffixes, number)):
                return maps
        return None


def _find(shelf, video, suffixes, number):
    folder, stems = shelf / video.name, video.stems or {}
    if len(video.frames) == 1:
        stems = {video.frames[0]: video.name} | stems
    if archive := _archive(folder):
        return MapsArchive(archive, video.first)
    for inside in (folder, folder / "png"):
        if numbered := _numbered(listed(inside, suffixes), video, stems, number):
            return Pictures(numbered)
    named = {frame: _existing(shelf, stem, suffixes) for frame, stem in stems.items()}
    if named := {frame: path for frame, path in named.items() if path}:
        return Pictures(named)
    archives = {frame: _archive(shelf / stem) for frame, stem in stems.items()}
    if archives := {frame: path for frame, path in archives.items() if path}:
        return PicturesAsClips(archives)
    return None


def _archive(folder):
    return next((folder / name for name in ARCHIVES if (folder / name).is_file()), None)


def _existing(shelf, stem, suffixes):
    return next((path for suffix in suffixes if (path := shelf / f"{stem}{suffix}").is_file()), None)


def _number(path):
    digits = re.findall("[0-9]+", path.stem)
    return int(digits[-1]) if digits else None


def _number_of_stavis(path):
    """What its evaluation takes: the number at the end of the name's part before the first dot."""
    digits = re.search("[0-9]+$", path.name.split(".")[0])
    return int(digits[0]) if digits else None


def _numbered(pictures, video, stems, number):
    """frame -> path. A frame's own file name goes before its number; pictures with neither are left out."""
    frame_of = {stem: frame for frame, stem in stems.items()}
    if any(path.stem in frame_of for path in pictures):
        return _unique([(frame_of[path.stem], path) for path in pictures if path.stem in frame_of])
    numbered = [(n, path) for path in pictures if (n := number(path)) is not None]
    shift = _shift({n for n, _ in numbered}, video)
    return _unique([(n + shift, path) for n, path in numbered])


def _shift(numbers, video):
    """From the pictures' numbers to the data set's."""
    if 0 in numbers:
        return video.first
    end = video.frames.stop if isinstance(video.frames, range) else video.frames[-1] + 1  # a range may have a step
    return -1 if video.first == 0 and max(numbers, default=0) == end else 0


def _unique(pairs):
    found = {}
    for frame, path in pairs:
        if frame in found:
            raise DataError(f"prediction: {found[frame]} and {path.name} are both frame {frame}")
        found[frame] = path
    return found


def _data_offset(path, info):
    """Where a member's bytes begin: behind its local header, whose two lengths may differ from the directory's."""
    with path.open("rb") as file:
        file.seek(info.header_offset + 26)
        name, extra = np.frombuffer(file.read(4), "<u2")
    return info.header_offset + 30 + int(name) + int(extra)
