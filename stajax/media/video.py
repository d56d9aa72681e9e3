"""Pictures of a clip: what a file holds, its frames in display orientation with their times, and the net's square."""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from queue import SimpleQueue
from typing import NamedTuple

import numpy as np

from stajax.media import container as media
from stajax.media.errors import MediaError, MediaWarning


@dataclass(frozen=True)
class VideoInfo:
    """What `probe` found out about a clip."""

    path: str
    width: int  # of the frames that `read_frames` gives: rotated, square pixels, longer side <= max_side, even
    height: int
    source_width: int  # as stored
    source_height: int
    rotation: int  # degrees counterclockwise that the stored picture is turned for display: 0, 90, 180, 270
    fps: float  # average, frames per second
    duration: float | None  # seconds
    n_frames: int | None  # an estimate
    has_sound: bool
    video_codec: str


class Frame(NamedTuple):
    """One picture of a clip."""

    image: np.ndarray  # (H, W, 3) uint8 RGB
    time: float  # seconds since the start of the container


def probe(path, *, max_side: int = 1280) -> VideoInfo:
    """Look at a clip (or a single image) and decode its first frame.

    Args:
        path: a local file in any container that FFmpeg reads.
        max_side: longest side of the frames to be read, in pixels; smaller ones are not enlarged.

    Raises:
        MediaError: missing, a directory, not a media file, no video track, or no frame that can be decoded.
    """
    with media.open_container(path) as container:
        stream = media.video_track(container)
        if stream is None:
            what = "only sound" if media.sound_track(container) else "no video track"
            raise MediaError(f"{path}: {what} in this file; a clip with pictures is needed")
        if stream.codec_context is None:
            raise MediaError(f"{path}: no decoder for its video here; re-encode it, for example as H.264")
        rotation = _first_frame(container, stream, path).rotation % 360
        context, seconds = stream.codec_context, media.duration(container, stream)
        fps = _plausible_rate(stream.average_rate, stream.guessed_rate, stream.base_rate)
        width, height = _display_size(context.width, context.height, stream.sample_aspect_ratio, rotation, max_side)
        return VideoInfo(
            path=str(path),
            width=width,
            height=height,
            source_width=context.width,
            source_height=context.height,
            rotation=round(rotation / 90) % 4 * 90,
            fps=fps,
            duration=seconds,
            n_frames=stream.frames or (round(seconds * fps) if seconds else None),
            has_sound=media.sound_track(container) is not None,
            video_codec=context.name,
        )


def read_frames(clip, *, max_side: int = 1280, queue_size: int = 16) -> Iterator[Frame]:
    """Frames of a clip in display orientation, decoded ahead by a thread.

    Times come from the file and rise strictly: a missing or backward one becomes the previous plus 1/fps. At most
    `queue_size` decoded frames wait, however long the clip. Closing the iterator stops the thread and closes the file.
    A file that breaks in the middle gives what came before it and one MediaWarning.

    Args:
        clip: a local file in any container that FFmpeg reads, or what `probe` found out about it.
        max_side: longest side of the frames, in pixels; smaller ones are not enlarged. A `VideoInfo` has its own.
        queue_size: frames that may be decoded ahead.

    Raises:
        MediaError: at once, as `probe`.
    """
    # Outside the generator, so that a bad file fails here and not at next().
    info = clip if isinstance(clip, VideoInfo) else probe(clip, max_side=max_side)
    return _warn_if_damaged(_ahead(lambda: _decode(info), queue_size), info.path)


def read_moments(clip, times: Sequence[float], *, max_side: int = 1280) -> Iterator[tuple[Frame, Frame, Frame]]:
    """Three consecutive frames around each of some moments, in display orientation, reading only what lies near them.

    Args:
        clip, max_side: as in `read_frames`.
        times: seconds, ascending. The middle frame is the first that begins half a frame before the moment or later, and the
            last one of the clip where none does; at an end of the clip a frame is its own neighbour.

    Raises:
        MediaError: as `probe`, at once; while reading: the file cannot be seeked, or breaks before a moment.
    """
    info = clip if isinstance(clip, VideoInfo) else probe(clip, max_side=max_side)
    return _moments(info, times)


def squash(image: np.ndarray, size: int, *, box: Sequence[float] | None = None) -> np.ndarray:
    """Frame to the square that a net wants: aspect ignored, antialiased bilinear (Pillow's, as the authors' release does).

    Args:
        image: (H, W, 3) uint8.
        size: side of the square in pixels.
        box: (top, left, bottom, right) in pixels, the part of the frame that becomes the square; by default all of it.

    Returns:
        (size, size, 3) uint8; the image itself when it has that size already.
    """
    from PIL import Image

    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise MediaError(f"an image of shape {image.shape} and type {image.dtype}; (H, W, 3) uint8 is needed")
    if image.shape[:2] == (size, size) and box is None:
        return image
    if box is not None:
        top, left, bottom, right = box
        box = (left, top, right, bottom)  # Pillow's order
    # reducing_gap: from a factor of 4 on, whole pixels are box-averaged first; half the time there, the same look.
    picture = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=box, reducing_gap=2.0)
    return np.array(picture)


def _first_frame(container, stream, path):
    try:
        for frame in media.decode(container, stream):
            return frame
    except media.Damaged as damage:
        raise MediaError(f"{path}: no frame can be decoded ({damage}); re-encode or download it again") from None
    raise MediaError(f"{path}: its video track holds no frames; re-encode or download it again")


def _plausible_rate(*rates) -> float:
    """The first rate that a camera could have; some containers report their clock instead."""
    known = (float(rate) for rate in rates if rate)
    return next((rate for rate in known if 0.01 <= rate <= 1000), 25.0)


def _display_size(width, height, pixel_aspect, rotation, max_side) -> tuple[int, int]:
    """Size as shown: square pixels, turned, not above max_side, even (the encoder of the overlay needs that)."""
    width = width * float(pixel_aspect or 1)
    if round(rotation / 90) % 2:
        width, height = height, width
    scale = min(1.0, max_side / max(width, height))
    return max(2, 2 * round(width * scale / 2)), max(2, 2 * round(height * scale / 2))


def _decode(info: VideoInfo) -> Iterator[Frame]:
    """Frames of `info.path` at its display size; raises `media.Damaged` after the last good one."""
    with media.open_container(info.path) as container:
        stream = media.video_track(container)
        stream.thread_type = "AUTO"
        for frame, time in _timed(container, stream, media.origin(container), 1 / info.fps):
            yield Frame(_picture(frame, info), time)


def _picture(frame, info: VideoInfo) -> np.ndarray:
    """A decoded frame as it is shown, (info.height, info.width, 3) uint8 RGB."""
    quarter_turns = info.rotation // 90
    width, height = (info.height, info.width) if quarter_turns % 2 else (info.width, info.height)
    image = frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
    return np.ascontiguousarray(np.rot90(image, quarter_turns))


_SEEK = 2.0  # s ahead from where on seeking beats decoding what lies between
_BACK = (0.0, 2.0, 10.0, 60.0)  # s further back to seek, where a container without an index lands too late


def _moments(info: VideoInfo, times: Sequence[float]) -> Iterator[tuple[Frame, Frame, Frame]]:
    step = 1 / info.fps
    with media.open_container(info.path) as container:
        stream = media.video_track(container)
        stream.thread_type = "AUTO"
        decoded = None
        seen: deque = deque(maxlen=3)  # decoded frames with their times
        for wanted in times:
            try:
                if decoded is None or wanted - seen[-1][1] > _SEEK:
                    decoded = _from_before(wanted, container, stream, step, info.path)
                    seen.clear()
                while len(seen) < 2 or seen[-2][1] + step / 2 < wanted:
                    seen.append(next(decoded))
            except StopIteration:
                if len(seen) < 2 or seen[-1] is not seen[-2]:
                    seen.append(seen[-1])
            except media.Damaged as damage:
                raise MediaError(f"{info.path}: {damage}") from None
            chosen = (seen[0] if len(seen) == 3 else seen[-2], seen[-2], seen[-1])
            yield tuple(Frame(_picture(frame, info), time) for frame, time in chosen)


def _from_before(wanted: float, container, stream, step: float, path: str) -> Iterator[tuple]:
    """Decoded frames, of which the first is surely earlier than the one around `wanted` seconds, or the clip's first one."""
    import av

    start = media.origin(container)
    for back in _BACK:
        place = wanted - 1.5 * step - back
        try:
            container.seek(int((max(place, 0) + start) * 1e6))
        except (av.FFmpegError, OSError) as error:
            raise MediaError(f"{path}: cannot be seeked ({media.reason(error)})") from None
        decoded = _timed(container, stream, start, step)
        first = next(decoded, None)
        if first is not None and (place <= 0 or first[1] + step / 2 < wanted):
            return chain([first], decoded)
    raise MediaError(f"{path}: cannot be seeked (no frame near {wanted:.2f} s)")


def _timed(container, stream, start: float, step: float) -> Iterator[tuple]:
    """Decoded frames with their times, which rise strictly; see `read_frames`."""
    previous = None
    for frame in media.decode(container, stream):
        time = None if frame.time is None else max(0.0, frame.time - start)
        if previous is None:
            time = time or 0.0
        elif time is None or time <= previous:
            time = previous + step
        previous = time
        yield frame, time


def _ahead(make: Callable[[], Iterator], size: int) -> Iterator:
    """Items of the generator that `make` returns, run by a thread that is at most `size` items ahead."""
    items, room, closed = SimpleQueue(), threading.Semaphore(size), threading.Event()

    def run():
        source = make()
        try:
            for item in source:
                room.acquire()
                if closed.is_set():
                    return
                items.put((item, None))
            items.put((None, StopIteration()))
        except BaseException as error:  # whatever it is, it belongs to the consumer
            items.put((None, error))
        finally:
            source.close()

    thread = threading.Thread(target=run, name="stajax-decode", daemon=True)
    thread.start()
    try:
        while True:
            item, error = items.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            room.release()
            yield item
    finally:
        closed.set()
        room.release()
        thread.join()


def _warn_if_damaged(items: Iterator, path) -> Iterator:
    try:
        yield from items
    except media.Damaged as damage:
        warnings.warn(f"{path}: {damage}", MediaWarning, stacklevel=2)
