"""Writing a clip that browsers play: H.264 pictures at their own times, with the sound of another file kept."""

from __future__ import annotations

import errno
import math
import warnings
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from stajax.media import container as media
from stajax.media.atomic import replacing, writing
from stajax.media.errors import MediaError, MediaWarning
from stajax.media.kept_sound import open_sound

_TICKS = 90_000  # per second: the clock of the pictures, fine enough for every camera's frame rate
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EISDIR}


class VideoWriter:
    """Write an mp4, as a context manager; the file appears at a successful close, whole or not at all.

        with VideoWriter("overlay.mp4", width=640, height=480, fps=25, sound_from="clip.mp4") as writer:
            for image, time in frames:
                writer.write(image, time)

    Args:
        path: the mp4 to write; an existing one is replaced.
        width, height: of the images in pixels; odd sizes are padded by one pixel.
        fps: frames per second, for images that come without a time and for the length of the last one.
        sound_from: a file whose sound is kept from its start to the end of the pictures: copied if it is AAC or MP3,
            else encoded as AAC. A clip without sound gives a video without. Sound that breaks costs the sound from
            there on and one MediaWarning, never the pictures.

    Raises:
        MediaError: at entry, if `sound_from` cannot be opened or `path` cannot be written; later, if the disk is full or
            no image was written.
    """

    def __init__(self, path, *, width: int, height: int, fps: float, sound_from=None):
        if width < 1 or height < 1 or not 0 < fps < math.inf:
            raise MediaError(f"{path}: cannot write {width}x{height} at {fps} frames/s")
        self.path = Path(path)
        self._shape, self._fps, self._sound_from = (height, width, 3), float(fps), sound_from
        self._newest = None  # time of the newest image in ticks

    def __enter__(self) -> VideoWriter:
        import av

        with ExitStack() as stack:
            source = None
            if self._sound_from is not None:
                source = stack.enter_context(media.open_container(self._sound_from))
            part = stack.enter_context(replacing(self.path))
            with writing(self.path, av.FFmpegError):
                self._output = av.open(f"file:{part}", "w", format="mp4", options={"movflags": "+faststart"})
            stack.callback(self._abandon)
            self._pictures = self._add_pictures()
            self._sound = self._add_sound(source)
            self._next_sound = None  # a packet read but not due yet
            self._stack = stack.pop_all()
        return self

    def write(self, image: np.ndarray, time: float | None = None) -> None:
        """Add one picture.

        Args:
            image: (height, width, 3) uint8 RGB.
            time: seconds since the start, rising from call to call (one that does not is put a tick after the previous
                one). Without it, the previous time plus 1/fps.

        Raises:
            MediaError: another shape or type, or the disk is full.
        """
        import av

        if image.shape != self._shape or image.dtype != np.uint8:
            raise MediaError(f"{self.path}: an image of {image.shape}, {image.dtype}; {self._shape} uint8 is needed")
        if image.shape[0] % 2 or image.shape[1] % 2:
            image = np.pad(image, ((0, image.shape[0] % 2), (0, image.shape[1] % 2), (0, 0)), mode="edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.pts, frame.time_base = self._ticks(time), Fraction(1, _TICKS)
        with writing(self.path, av.FFmpegError):
            self._output.mux(self._pictures.encode(frame))
            self._mux_sound(until=frame.pts / _TICKS)

    def __exit__(self, kind, error, trace):
        import av

        if kind is not None:
            return self._stack.__exit__(kind, error, trace)
        with self._stack:
            if self._newest is None:
                raise MediaError(f"{self.path}: no image was written")
            with writing(self.path, av.FFmpegError):
                self._output.mux(self._pictures.encode(None))
                self._mux_sound(until=self._newest / _TICKS + 1 / self._fps)
                self._output.close()

    def _add_pictures(self):
        import av

        rate = Fraction(self._fps).limit_denominator(1001) or Fraction(1, 1001)  # steers the bit rate, not the times
        try:
            stream = self._output.add_stream("libx264", rate=rate)
        except av.codec.codec.UnknownCodecError:
            raise MediaError(f"{self.path}: this PyAV cannot encode H.264; pip install av") from None
        height, width = self._shape[:2]
        stream.width, stream.height, stream.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        # superfast: 2.9 ms a 640x480 frame on 2 cores; ultrafast takes 1.6 at twice the bytes, veryfast 3.4 at 0.7.
        stream.options = {"preset": "superfast", "crf": "23"}
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS)
        # Said outright: players guess BT.601 or BT.709 by the size of an untagged picture.
        context.colorspace = context.color_primaries = context.color_trc = 1  # BT.709
        context.color_range = 1  # limited
        return stream

    def _add_sound(self, source):
        import av

        if source is None:
            return None
        try:
            return open_sound(source, self._output)
        except (media.Damaged, av.FFmpegError, OSError) as error:
            self._warn_of_sound(error)
            return None

    def _mux_sound(self, until: float) -> None:
        """Mux the sound packets that begin before `until` seconds, so that both streams advance together."""
        import av

        while self._sound is not None:
            if self._next_sound is None:
                self._next_sound = self._read_sound()
            if self._next_sound is None or self._next_sound[0] >= until:
                return
            try:
                self._output.mux(self._next_sound[1])
            except av.FFmpegError as error:
                if error.errno in _DISK_ERRORS:
                    raise
                self._warn_of_sound(error)  # the packet is at fault
                self._sound = None
            self._next_sound = None

    def _read_sound(self):
        import av

        try:
            packet = next(self._sound, None)
        except (media.Damaged, av.FFmpegError, OSError) as error:
            self._warn_of_sound(error)
            packet = None
        if packet is None:
            self._sound = None
        return packet

    def _warn_of_sound(self, error) -> None:
        text = f"{self._sound_from}: the sound is not kept to its end ({media.reason(error)})"
        warnings.warn(text, MediaWarning, stacklevel=4)

    def _ticks(self, time) -> int:
        if self._newest is None:
            self._newest = round(max(0.0, time or 0.0) * _TICKS)
        else:
            wanted = self._newest + round(_TICKS / self._fps) if time is None else round(time * _TICKS)
            self._newest = max(wanted, self._newest + 1)
        return self._newest

    def _abandon(self) -> None:
        with suppress(Exception):  # after an error the file is thrown away, whatever its trailer says
            self._output.close()
