"""What `stajax predict` writes for a clip: `maps.npz`, `overlay.mp4`, pictures. Streamed to temporary names, then renamed."""

from __future__ import annotations

import json
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from queue import Queue
from typing import IO

import numpy as np

from stajax.inference.predict import Shown, stretch
from stajax.media import VideoInfo, VideoWriter, overlay, save_png
from stajax.media.atomic import replacing, writing

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

QUEUE = 32  # frames that may wait for the writer


class ClipWriter:
    """Writes one clip's results in a thread of its own, as a context manager.

    Everything appears at a successful end, `maps.npz` last; an exception leaves what was there before. settings: kept inside
    `maps.npz`, so that a rerun can tell whether it is up to date. outdated: what is there has other settings, so that what
    this run does not replace is removed.
    """

    def __init__(
        self,
        folder: Path,
        info: VideoInfo,
        settings: dict,
        *,
        size: tuple[int, int] | None = None,
        overlay: bool = True,
        png: bool = False,
        outdated: bool = False,
    ):
        self.folder, self.info, self.settings, self.size = folder, info, settings, size
        self.with_overlay, self.with_png, self.outdated = overlay, png, outdated
        self.frames = 0
        self._queue: Queue[Shown | None] = Queue(QUEUE)
        self._error: BaseException | None = None
        self._ended = threading.Event()

    def __enter__(self) -> ClipWriter:
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        self._thread = threading.Thread(target=self._run, name="stajax-writer", daemon=True)
        self._thread.start()
        return self

    def write(self, shown: Shown) -> None:
        """Queue one frame; raises what went wrong with an earlier one."""
        if self._error is not None:
            raise self._error
        self._queue.put(shown)

    def __exit__(self, kind, error, traceback) -> None:
        self._error = self._error or error
        try:
            self._end()
        except BaseException as interruption:  # Ctrl-C in that wait must not leave the thread to be killed half-way
            self._error = self._error or interruption
            self._end()
            raise
        if self._error is not None:
            with suppress(OSError):
                self.folder.rmdir()  # if nothing was there before
            if kind is None:
                raise self._error

    def _end(self) -> None:
        self._queue.put(None)
        self._ended.wait()  # Ctrl-C in `join` makes CPython 3.11 take a running thread for ended, and join no more
        self._thread.join()

    def _run(self) -> None:
        queued = iter(self._queue.get, None)
        try:
            self._write_all(queued)
        except BaseException as error:
            self._error = error
            for _ in queued:  # so that `write` never waits for a reader that is gone
                pass
        finally:
            self._ended.set()

    def _write_all(self, queued: Iterator[Shown]) -> None:
        with ExitStack() as stack:
            archive = stack.enter_context(MapsFile(self.folder / "maps.npz"))
            pictures = stack.enter_context(_replacing_folder(self.folder / "png")) if self.with_png else None
            video = None
            if self.with_overlay:
                video = stack.enter_context(
                    VideoWriter(
                        self.folder / "overlay.mp4",
                        width=self.info.width,
                        height=self.info.height,
                        fps=self.info.fps,
                        sound_from=self.info.path if self.info.has_sound else None,
                    )
                )
            display = Display()
            for shown in queued:
                saliency = shown.map if self.size is None else stretch(shown.map, self.size)
                archive.append(saliency, shown.time)
                if pictures is not None:
                    save_png(pictures / f"{self.frames:06d}.png", np.rint(saliency * 255).astype(np.uint8))
                if video is not None:
                    video.write(overlay(shown.image, display.scale(shown.map)), shown.time)
                self.frames += 1
            if self._error is not None:  # the caller failed: leave without publishing anything
                raise self._error
            archive.finish(fps=np.float64(self.info.fps), settings=np.array(json.dumps(self.settings, sort_keys=True)))
            if self.outdated and video is None:
                (self.folder / "overlay.mp4").unlink(missing_ok=True)
            if self.outdated and pictures is None:
                shutil.rmtree(self.folder / "png", ignore_errors=True)


class Display:
    """Brightness of an overlay: each map over a running maximum, which rises at once and falls slowly, so nothing flickers."""

    def __init__(self, fall: float = 0.97, floor: float = 0.1):
        self.fall, self.floor, self.peak = fall, floor, 0.0

    def scale(self, saliency: np.ndarray) -> np.ndarray:
        self.peak = max(float(saliency.max()), self.fall * self.peak, self.floor)
        return saliency / self.peak


class MapsFile:
    """`maps.npz`, written frame by frame in bounded memory: `maps` (T, h, w) float16, `time` (T,) float64, and extras.

    NumPy's header needs T, so frames go to a raw file first and are copied into the archive by `finish`.
    """

    def __init__(self, path: Path):
        self.path = path
        self.raw = path.with_name(f".{path.name}.raw")
        self._times: list[float] = []
        self._shape: tuple[int, ...] = ()

    def __enter__(self) -> MapsFile:
        with ExitStack() as stack:
            self._part = stack.enter_context(replacing(self.path))
            stack.callback(self.raw.unlink, missing_ok=True)
            stack.enter_context(writing(self.path))  # also for the close, which may write what is left in the buffer
            self._file = stack.enter_context(self.raw.open("wb"))
            self._stack = stack.pop_all()
        return self

    def append(self, saliency: np.ndarray, time: float) -> None:
        self._shape = saliency.shape
        self._times.append(time)
        with writing(self.path):
            self._file.write(np.ascontiguousarray(saliency, np.float16).tobytes())

    def finish(self, **extras: np.ndarray) -> None:
        """Assemble the archive; `extras` become further arrays in it."""
        header = {"descr": "<f2", "fortran_order": False, "shape": (len(self._times), *self._shape)}
        with writing(self.path), zipfile.ZipFile(self._part, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
            self._file.close()
            with archive.open("maps.npy", "w", force_zip64=True) as member, self.raw.open("rb") as raw:
                np.lib.format.write_array_header_2_0(member, header)
                shutil.copyfileobj(raw, member, 1 << 20)
            for name, array in {"time": np.array(self._times), **extras}.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)

    def __exit__(self, *exception) -> None:
        self._stack.__exit__(*exception)


@contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Keep other runs out of the results of a clip; gives False if another run is at work there. Makes the folder.

    The kernel releases the lock of a killed process. Where a lock cannot be had (Windows, some network drives, a folder that
    cannot be written) it gives True. At the end the lock file goes, and the folder if it is empty.
    """
    path, file, free = folder / ".lock", None, True
    try:
        file = _lock(path) if fcntl else None
    except BlockingIOError:
        free = False
    except OSError:  # no locks here; or no folder, of which the writer has more to say
        pass
    try:
        yield free
    finally:
        if free:
            with suppress(OSError):
                path.unlink(missing_ok=True)
                folder.rmdir()
        if file is not None:
            file.close()


def _lock(path: Path) -> IO:
    """The file at `path`, made if need be, with the lock on it. Raises BlockingIOError: another run holds the lock."""
    for _ in range(100):  # each round lost to a run that ended meanwhile, and took the file or its folder away
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError), ExitStack() as stack:
            file = stack.enter_context(path.open("w"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                stack.pop_all()
                return file
    raise OSError(f"{path}: no lock to be had")


@contextmanager
def _replacing_folder(path: Path) -> Iterator[Path]:
    """A folder that appears whole or not at all; an existing one is replaced."""
    part = path.with_name(f".{path.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        with writing(path):
            part.mkdir()
        yield part
        shutil.rmtree(path, ignore_errors=True)
        with writing(path):
            part.rename(path)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
