"""Features of frozen encoders on disk, so that training need not encode again: a folder a clip, read through memory maps.

    FOLDER/cache.json             what they were made with
    FOLDER/CLIP/stride8.npy ..    a level of the frame encoder: (T, h, w, C) float16, row t is frame t of the record
    FOLDER/CLIP/vectors.npy       of the sound encoder: (A, D) float16, row i is the window centred on i * 0.2 s

A clip's folder appears whole or not at all.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.heard import hops
from stajax.media.atomic import replacing, writing

MADE_WITH = "cache.json"
_VECTORS = "vectors"
_parsing = threading.Lock()  # NumPy's headers are Python, and CPython 3.11 fails when two threads parse that at once
_OPEN = 512  # memory maps kept open: opening one takes longer than reading a row
_SMALL, _HELD = 2**20, 2**28  # bytes: files up to the one are read whole and stay, until they are the other together


class FeatureCache:
    """The features of clips, by name.

    Args:
        folder: made by `create`.
        levels: of the frame encoder that `features` gives; all by default.

    Attributes:
        made_with: what `create` was given.

    Raises:
        DataError: the folder is no cache.
    """

    def __init__(self, folder: str | os.PathLike, levels: Sequence[str] | None = None):
        self.folder, self.levels = Path(folder), None if levels is None else tuple(levels)
        made_with = _made_with(self.folder)
        if made_with is None:
            raise DataError(f"{self.folder}: no {MADE_WITH} here; this is no folder of cached features")
        self.made_with = made_with
        self._forget()

    def _forget(self) -> None:
        self._opened: dict[tuple[str, str], np.ndarray] = {}  # memory maps
        self._held: dict[tuple[str, str], np.ndarray] = {}  # whole arrays
        self._room = _HELD

    def __getstate__(self) -> tuple:
        return self.folder, self.levels, self.made_with  # what is open would be pickled with all that it shows

    def __setstate__(self, state: tuple) -> None:
        self.folder, self.levels, self.made_with = state
        self._forget()

    @classmethod
    def create(cls, folder: str | os.PathLike, made_with: Mapping) -> FeatureCache:
        """The cache in `folder`, which is made if need be.

        Args:
            made_with: what the features depend on (encoders, their weights, sizes), as plain JSON.

        Raises:
            DataError: the folder holds features made with something else. OutputError: it cannot be written.
        """
        folder = Path(folder)
        wanted = json.loads(json.dumps(dict(made_with)))
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        there = _made_with(folder)
        if there is None:
            with replacing(folder / MADE_WITH) as part, writing(folder):
                part.write_text(json.dumps(wanted, indent=1) + "\n")
        elif there != wanted:
            differing = [key for key in sorted({*there, *wanted}) if there.get(key) != wanted.get(key)]
            raise DataError(
                f"{folder}: holds features made with another {', '.join(differing)}; delete it or give another folder"
            )
        return cls(folder)

    def __contains__(self, clip: str) -> bool:
        return self._place(clip).is_dir()

    def write(self, clip: str, levels: Mapping[str, np.ndarray], vectors: np.ndarray | None = None) -> None:
        """Put in the features of a clip; what was there of it is replaced.

        Args:
            clip: its name.
            levels: {level: (T, h, w, C)}, kept as float16.
            vectors: (A, D), kept as float16; None without a sound encoder.

        Raises:
            OutputError: it cannot be written.
        """
        place = self._place(clip)
        part = place.with_name(f".{place.name}.part")
        arrays = dict(levels) | ({} if vectors is None else {_VECTORS: vectors})
        with writing(place):
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir()
            for name, array in arrays.items():
                np.save(part / f"{name}.npy", np.asarray(array, np.float16))
            if place.is_dir():
                shutil.rmtree(place)
            os.replace(part, place)
        self._forget()

    def features(self, clip: str, frames: np.ndarray) -> dict[str, np.ndarray]:
        """{level: (..., h, w, C) float16} of the frames numbered `frames` (...,). Raises DataError if they are not there."""
        names = self.levels or sorted(path.stem for path in self._place(clip).glob("*.npy") if path.stem != _VECTORS)
        if not names:
            raise self._missing(clip, "it holds no level")
        return {name: self._rows(clip, name, frames) for name in names}

    def vectors(self, clip: str, times: np.ndarray) -> np.ndarray:
        """(..., D) float16 of the windows nearest to `times` (...,) in seconds. Raises DataError if they are not there."""
        array = self._open(clip, _VECTORS)
        return np.array(array[hops(times, len(array))])

    def _rows(self, clip: str, name: str, frames: np.ndarray) -> np.ndarray:
        array = self._open(clip, name)
        if len(array) <= np.max(frames):
            raise self._missing(clip, f"{name} has {len(array)} frames, number {np.max(frames)} is asked for")
        return np.array(array[frames])

    def _open(self, clip: str, name: str) -> np.ndarray:
        key = clip, name
        array = self._held.get(key, self._opened.get(key))
        if array is not None:
            return array
        path = self._place(clip) / f"{name}.npy"
        try:
            size = path.stat().st_size
            small = size <= min(_SMALL, self._room)
            with _parsing:
                array = np.load(path, mmap_mode=None if small else "r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise self._missing(clip, f"no {name}" if isinstance(error, FileNotFoundError) else str(error)) from error
        if small:
            self._held[key], self._room = array, self._room - size
            return array
        if len(self._opened) >= _OPEN:
            self._opened.clear()
        self._opened[key] = array
        return array

    def _missing(self, clip: str, reason: str) -> DataError:
        return DataError(f"{self.folder}: no cached features of clip {clip} ({reason}); encode it again")

    def _place(self, clip: str) -> Path:
        """The clip's folder: its name, without what would make it a path or hide it."""
        name = clip.replace("%", "%25").replace("/", "%2F")
        return self.folder / (f"%2E{name[1:]}" if name.startswith(".") else name)


class Caches:
    """Several caches as one: a clip's features come from the first that holds it.

    levels: that all of them give.
    """

    def __init__(self, caches: Sequence[FeatureCache]):
        self.caches = list(caches)

    @property
    def levels(self) -> tuple[str, ...] | None:
        return self.caches[0].levels

    @levels.setter
    def levels(self, levels: Sequence[str]) -> None:
        for cache in self.caches:
            cache.levels = tuple(levels)

    def features(self, clip: str, frames: np.ndarray) -> dict[str, np.ndarray]:
        return self._of(clip).features(clip, frames)

    def vectors(self, clip: str, times: np.ndarray) -> np.ndarray:
        return self._of(clip).vectors(clip, times)

    def _of(self, clip: str) -> FeatureCache:
        if len(self.caches) == 1:  # no need to ask the disk
            return self.caches[0]
        return next((cache for cache in self.caches if clip in cache), self.caches[0])


def _made_with(folder: Path) -> dict | None:
    path = folder / MADE_WITH
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]}); delete the folder and encode again") from error
    if not isinstance(found, dict):
        raise DataError(f"{path}: not a table of settings; delete the folder and encode again")
    return found
