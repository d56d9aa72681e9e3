"""A video file to a clip as records hold it: its frames thinned out and made smaller, its sound on the same clock."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from stajax.data.clip import Clip
from stajax.data.jpeg import encode_jpeg
from stajax.media import SAMPLE_RATE, Frame, MediaWarning, VideoInfo, probe, read_frames, stream_sound


@dataclass(frozen=True)
class Recording:
    """How much of a clip a record keeps.

    fps: frames a second at most; None keeps all. short_side: pixels of the shorter side at most; None keeps the size. quality:
    of the JPEGs, 1 to 95. seconds: of the clip from its start; None keeps the whole, and a record must fit in memory.
    """

    fps: float | None = 25.0
    short_side: int | None = 256
    quality: int = 90
    seconds: float | None = 60.0

    def __post_init__(self):
        for name in ("fps", "short_side", "seconds"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise ValueError(f"{name} {value}: a positive number is needed, or None for all")
        if not 1 <= self.quality <= 95:
            raise ValueError(f"quality {self.quality}: JPEG has 1 to 95")


DEFAULT = Recording()


def record_clip(
    path: str | os.PathLike, name: str, tags: Sequence[int], recording: Recording = DEFAULT
) -> tuple[Clip, list[str]]:
    """Decode a video file.

    A file that breaks off gives what came before. A frame rate above `recording.fps` is thinned out on a grid of 1 / fps; a
    lower one stays. Frames are in display orientation.

    Args:
        name, tags: of the clip.

    Returns:
        The clip, and a line for each thing that is not as it should be: damage, a cut.

    Raises:
        MediaError: nothing can be made of the file.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", MediaWarning)
        info = _smaller(probe(path, max_side=1 << 20), recording.short_side)
        fps = info.fps if recording.fps is None else min(info.fps, recording.fps)
        frames, times, cut = [], [], False
        with closing(read_frames(info)) as shown:
            for frame in _thinned(shown, info.fps, fps):
                if recording.seconds is not None and frame.time >= recording.seconds:
                    cut = True
                    break
                frames.append(encode_jpeg(frame.image, recording.quality))
                times.append(frame.time)
        sound = _sound(path, recording.seconds) if info.has_sound else np.zeros(0, np.int16)
    notes = list(dict.fromkeys(str(w.message) for w in caught if issubclass(w.category, MediaWarning)))
    if cut:
        notes.append(f"{path}: only its first {recording.seconds:g} s are kept")
    return Clip(name, np.array(tags, np.int64), frames, np.array(times, np.float32), fps, sound), notes


def _smaller(info: VideoInfo, short_side: int | None) -> VideoInfo:
    """The same clip to be read at that size, never enlarged."""
    scale = 1.0 if short_side is None else min(1.0, short_side / min(info.width, info.height))
    return dataclasses.replace(info, width=round(info.width * scale), height=round(info.height * scale))


def _thinned(frames: Iterator[Frame], source_fps: float, fps: float) -> Iterator[Frame]:
    """The first frame of each slot of 1 / fps seconds, centred on its multiples; all where there are no more than fps."""
    slot = -1
    for frame in frames:
        of_frame = int(frame.time * fps + 0.5)
        if fps >= source_fps or of_frame > slot:
            slot = of_frame
            yield frame


def _sound(path: str | os.PathLike, seconds: float | None) -> np.ndarray:
    """(S,) int16, of the first `seconds`."""
    wanted = None if seconds is None else round(seconds * SAMPLE_RATE)
    blocks, length = [np.zeros(0, np.float32)], 0
    with closing(stream_sound(path)) as stream:
        for block in stream:
            blocks.append(block)
            length += len(block)
            if wanted is not None and length >= wanted:
                break
    return np.clip(np.rint(np.concatenate(blocks)[:wanted] * 32768), -32768, 32767).astype(np.int16)
