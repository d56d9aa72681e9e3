"""Predicted maps on disk, in whatever layout: what `stajax predict` writes, pictures, STAViS' own result folders.

A prediction is a folder. The maps of a video are looked for in a folder of its data set's name, then in the folder itself:

    PRED/[<data set>/]<video>/maps.npz                maps (T, h, w), map i is the clip's frame i; what `stajax predict` writes
    PRED/[<data set>/]<video>/[png/]*.png|jpg         the frame's file name, or a name that ends in the frame's number
    PRED/[<data set>/]<video>.png|jpg                 an image, or a frame that has this file name
    PRED/[<data set>/]<frame's file name>/maps.npz    the same, predicted as an image
    PRED/split{1,2,3}_results/<data set>/<video>/pred_sal_%06d.jpg    STAViS: a part per split; only .jpg counts

Numbers count as the data set counts; pictures numbered from 0 for a data set that counts from 1 are moved by one.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.pictures import listed, read_grey

SUFFIXES = (".png", ".jpg", ".jpeg")


class MapsArchive:
    """The maps of one clip in a `maps.npz`; frames are read one by one, without the rest, unless the file is compressed."""

    def __init__(self, path: Path, first: int):
        self.path, self.first = path, first
        self._maps: np.ndarray | None = None
        with _reading(path), zipfile.ZipFile(path) as archive, archive.open("maps.npy") as member:
            version = np.lib.format.read_magic(member)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            self.shape, self._order, self._dtype = read_header(member)
            stored = archive.getinfo("maps.npy").compress_type == zipfile.ZIP_STORED and not self._order
            self._offset = _data_offset(path, archive.getinfo("maps.npy")) + member.tell() if stored else None
        if len(self.shape) != 3 or self._dtype.kind not in "fiu" or 0 in self.shape:
            raise DataError(f"{path}: maps must be numbers of shape (T, h, w), got {self._dtype} of shape {self.shape}")
        self.frames = range(first, first + self.shape[0])

    def read(self, frame: int) -> np.ndarray:
        """(h, w) float64; whole numbers of 8 bits are divided by 255."""
        with _reading(self.path):
            if self._maps is None:
                self._maps = self._open()
            saliency = self._maps[frame - self.first]
            return saliency / 255 if saliency.dtype == np.uint8 else np.asarray(saliency, np.float64)

    def _open(self):
        if self._offset is not None:
            return np.memmap(self.path, self._dtype, "r", self._offset, self.shape)
        with np.load(self.path, allow_pickle=False) as archive:
            return archive["maps"]

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
    """Frames that were predicted as images of their own. archives: frame -> its `maps.npz`."""

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
            DataError: a `maps.npz` that is broken, or two pictures for one frame.
        """
        root = self._part(split) if self.splits else self.root
        suffixes = (".jpg",) if self.splits else SUFFIXES
        for shelf in [*(root / shelf for shelf in video.shelves), root]:
            if shelf.is_dir() and (maps := _find(shelf, video, suffixes)):
                return maps
        return None


def _find(shelf, video, suffixes):
    folder, stems = shelf / video.name, video.stems or {}
    if len(video.frames) == 1:
        stems = {video.frames[0]: video.name} | stems
    if (folder / "maps.npz").is_file():
        return MapsArchive(folder / "maps.npz", video.first)
    for inside in (folder, folder / "png"):
        if pictures := listed(inside, suffixes):
            return Pictures(_numbered(pictures, video, stems))
    named = {frame: _existing(shelf, stem, suffixes) for frame, stem in stems.items()}
    if named := {frame: path for frame, path in named.items() if path}:
        return Pictures(named)
    archives = {frame: shelf / stem / "maps.npz" for frame, stem in stems.items()}
    if archives := {frame: path for frame, path in archives.items() if path.is_file()}:
        return PicturesAsClips(archives)
    return None


def _existing(shelf, stem, suffixes):
    return next((path for suffix in suffixes if (path := shelf / f"{stem}{suffix}").is_file()), None)


def _numbered(pictures, video, stems):
    """frame -> path. A frame's own file name goes before its number; pictures with neither are left out."""
    frame_of = {stem: frame for frame, stem in stems.items()}
    if any(path.stem in frame_of for path in pictures):
        return _unique([(frame_of[path.stem], path) for path in pictures if path.stem in frame_of])
    numbers = [(int(digits[1]), path) for path in pictures if (digits := re.search(r"(\d+)$", path.name.split(".")[0]))]
    shift = video.first if any(number == 0 for number, _ in numbers) else 0
    return _unique([(number + shift, path) for number, path in numbers])


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


@contextmanager
def _reading(path):
    """Turns what a broken npz raises into a DataError of one line."""
    try:
        yield
    except DataError:
        raise
    except KeyError as error:
        raise DataError(f"prediction: {path} holds no readable array maps") from error
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"prediction: {path} is not a readable npz of plain arrays ({error})") from error
