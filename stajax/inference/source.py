"""What a clip is to the engine, wherever it comes from: pictures with their times, and its sound on the same clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Clip
from stajax.media import Frame, MediaError, VideoInfo, read_frames, read_moments, stream_sound


class Source(Protocol):
    name: str
    path: str  # for messages
    fps: float
    has_sound: bool
    moves: bool  # False for a single picture, of which nobody expects a sound
    duration: float | None  # seconds
    n_frames: int | None

    def frames(self) -> Iterator[Frame]:
        """All of them, in order; each call begins anew."""
        ...

    def sound(self) -> Iterator[np.ndarray]:
        """Blocks (n,) float32 mono 16 kHz, sample 0 at time 0."""
        ...

    def moments(self, times: Sequence[float]) -> Iterator[tuple[Frame, Frame, Frame]]:
        """Three consecutive frames around each of the ascending `times`. Raises MediaError where that cannot be had."""
        ...


class ArraySource:
    """Frames in memory, (H, W, 3) uint8 each, `fps` a second, and their sound as the nets hear it (None: there is none)."""

    name = path = "frames"
    moves = False  # whoever gives arrays knows what they hold

    def __init__(self, images: Sequence[np.ndarray], sound: np.ndarray | None, fps: float):
        self.images, self.waveform, self.fps = images, sound, fps
        self.has_sound, self.n_frames = sound is not None, len(images)
        self.duration = self.n_frames / fps if fps > 0 else None

    def frames(self) -> Iterator[Frame]:
        return (self._frame(i) for i in range(self.n_frames))

    def sound(self) -> Iterator[np.ndarray]:
        return iter([] if self.waveform is None else [self.waveform])

    def moments(self, times: Sequence[float]) -> Iterator[tuple[Frame, Frame, Frame]]:
        return around(np.arange(self.n_frames) / self.fps, times, self._frame, self.path)

    def _frame(self, i: int) -> Frame:
        return Frame(self.images[i], i / self.fps)


class VideoSource:
    """A clip on disk, as `media.probe` found it. name: by default the file's."""

    def __init__(self, info: VideoInfo, name: str = ""):
        self.info = info
        self.name, self.path = name or Path(info.path).name, info.path
        self.fps, self.has_sound = info.fps, info.has_sound
        self.moves, self.duration, self.n_frames = info.duration is not None, info.duration, info.n_frames

    def frames(self) -> Iterator[Frame]:
        return read_frames(self.info)

    def sound(self) -> Iterator[np.ndarray]:
        return stream_sound(self.path) if self.has_sound else iter(())

    def moments(self, times: Sequence[float]) -> Iterator[tuple[Frame, Frame, Frame]]:
        return read_moments(self.info, times)


class RecordSource:
    """A clip record, in memory."""

    def __init__(self, clip: Clip):
        self.clip = clip
        self.name = self.path = clip.name
        self.fps, self.has_sound = float(clip.fps), len(clip.sound) > 0
        self.n_frames = len(clip.frames)
        self.moves, self.duration = True, float(clip.times[-1]) + 1 / self.fps if self.n_frames else 0.0

    def frames(self) -> Iterator[Frame]:
        return (self._frame(i) for i in range(self.n_frames))

    def sound(self) -> Iterator[np.ndarray]:
        return iter([self.clip.waveform()] if self.has_sound else [])

    def moments(self, times: Sequence[float]) -> Iterator[tuple[Frame, Frame, Frame]]:
        return around(np.asarray(self.clip.times, np.float64), times, self._frame, self.path)

    def _frame(self, i: int) -> Frame:
        return Frame(decode_jpeg(self.clip.frames[i]), float(self.clip.times[i]))


def around(
    starts: np.ndarray, times: Sequence[float], frame: Callable[[int], Frame], path: str
) -> Iterator[tuple[Frame, Frame, Frame]]:
    """`Source.moments` of frames that are at hand by number and begin at `starts` (T,); the nearest one is the middle."""
    if not len(starts):
        raise MediaError(f"{path}: no frames")
    last = len(starts) - 1
    for time in times:
        at = int(np.abs(starts - time).argmin())
        yield tuple(frame(i) for i in (max(at - 1, 0), at, min(at + 1, last)))
