"""Writing a clip that browsers play: H.264 pictures at their own times, with the sound of another file kept."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from stajax.media import container as media
from stajax.media import soundtrack
from stajax.media.atomic import replacing
from stajax.media.errors import MediaError, MediaWarning

_TICKS = 90_000  # per second: the clock of the pictures, fine enough for every camera's frame rate
_AAC_BIT_RATE = 128_000


class VideoWriter:
    """Write an mp4, as a context manager; the file appears at a successful close, whole or not at all.

        with VideoWriter("overlay.mp4", width=640, height=480, fps=25, sound_from="clip.mp4") as writer:
            for image, time in frames:
                writer.write(image, time)

    Args:
        path: the mp4 to write; an existing one is replaced.
        width, height: of the images in pixels; odd sizes are padded by one pixel.
        fps: frames per second, for images that come without a time.
        sound_from: a file whose sound is kept from time 0 to the end of the pictures: copied if it is AAC or MP3, else
            encoded as AAC. A clip without sound gives a video without; sound that breaks costs the sound and one
            MediaWarning.

    Raises:
        MediaError: at entry, `sound_from` cannot be opened or `path`'s folder is missing; later, the disk is full, or
            no image was written.
    """

    def __init__(self, path, *, width: int, height: int, fps: float, sound_from=None):
        if width < 1 or height < 1 or not 0 < fps < math.inf:
            raise MediaError(f"{path}: cannot write {width}x{height} at {fps} frames/s")
        self.path = Path(path)
        self._shape, self._fps, self._sound_from = (height, width, 3), float(fps), sound_from

    def __enter__(self) -> VideoWriter:
        import av

        with ExitStack() as stack:
            source = None
            if self._sound_from is not None:
                source = stack.enter_context(media.open_container(self._sound_from))
            part = stack.enter_context(replacing(self.path))
            try:
                self._container = av.open(f"file:{part}", "w", format="mp4", options={"movflags": "+faststart"})
            except av.FFmpegError as error:
                raise MediaError(f"{self.path}: cannot be written ({media.reason(error)})") from error
            stack.callback(self._abandon)
            self._stream = _picture_stream(self._container, self._shape, self._fps)
            self._sound = None if source is None else _open_sound(source, self._container, self._sound_from)
            self._stack = stack.pop_all()
        self._last = None  # ticks of the newest image
        return self

    def write(self, image: np.ndarray, time: float | None = None) -> None:
        """Add one picture.

        Args:
            image: (height, width, 3) uint8 RGB.
            time: seconds since the start; rises from call to call (a tick is added where it does not). Without it, the
                previous time plus 1/fps.

        Raises:
            MediaError: another shape or type, or the disk is full.
        """
        import av

        if image.shape != self._shape or image.dtype != np.uint8:
            raise MediaError(f"{self.path}: an image of {image.shape}, {image.dtype}; {self._shape} uint8 is needed")
        image = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.time_base = self._ticks(time), Fraction(1, _TICKS)
        with self._one_line():
            self._container.mux(self._stream.encode(frame))
            self._mux_sound(until=frame.pts / _TICKS)

    def __exit__(self, kind, error, trace):
        if kind is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            if self._last is None:
                raise MediaError(f"{self.path}: no image was written")
            with self._one_line():
                self._container.mux(self._stream.encode(None))
                self._mux_sound(until=self._last / _TICKS + 1 / self._fps)
                self._container.close()

    def _ticks(self, time) -> int:
        step = round(_TICKS / self._fps)
        wanted = round(time * _TICKS) if time is not None else 0 if self._last is None else self._last + step
        self._last = max(wanted, 0 if self._last is None else self._last + 1)
        return self._last

    def _mux_sound(self, until: float) -> None:
        import av
