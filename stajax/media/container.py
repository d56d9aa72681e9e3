"""Opening a media file with PyAV (FFmpeg): which tracks count, where its clock starts, what an error says."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from stajax.media.errors import MediaError


class Damaged(Exception):
    """Raised inside a decoder, after its last good output, with the reason; becomes one MediaWarning at the door."""


def open_container(path):
    """Open `path` for reading; the caller closes it (a context manager).

    Only local files are opened, and a playlist inside one cannot make FFmpeg reach for the network.

    Raises:
        MediaError: missing file, a directory, no permission, or nothing that FFmpeg can read.
    """
    import av

    path = Path(path)
    if path.is_dir():
        raise MediaError(f"{path}: is a directory; give the files inside it")
    if not path.exists():
        raise MediaError(f"{path}: no such file; check the path")
    if path.is_file() and path.stat().st_size == 0:
        raise MediaError(f"{path}: the file is empty; copy or download it again")
    try:
        # "file:" keeps names such as "take:2.mp4" from being read as a protocol.
        return av.open(f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file,crypto,data"})
    except PermissionError:
        raise MediaError(f"{path}: no permission to read it; change the file's permissions") from None
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: not a readable media file ({reason(error)}); check that it plays") from None


def video_track(container):
    """The container's main video stream, or None. Cover art is not a video."""
    tracks = [s for s in container.streams.video if not s.disposition & s.disposition.attached_pic]
    return _main(container, "video", tracks)


def sound_track(container):
    """The container's main audio stream, or None."""
    return _main(container, "audio", list(container.streams.audio))


def _main(container, kind, tracks):
    best = container.streams.best(kind)
    return best if best in tracks else next(iter(tracks), None)


def origin(container) -> Fraction:
    """Where the container's clock starts, in seconds; every time in this package is relative to it."""
    return Fraction(container.start_time or 0, 1_000_000)


def duration(container, stream) -> float | None:
    """Length of `stream` in seconds, else the container's, else None."""
    if stream.duration and stream.duration > 0:
        return float(stream.duration * stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / 1e6
    return None


def decode(container, stream) -> Iterator:
    """Decoded frames of `stream`, over corrupt packets and up to where the file breaks.

    Raises:
        Damaged: after the last frame, if packets were skipped or the file broke off.
    """
    import av

    frames, corrupt, broken = 0, 0, None
    noun = "frames" if stream.type == "video" else "blocks of sound"
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError) as error:
            packet, broken = None, error
        try:
            decoded = stream.decode(packet)  # None asks for what the decoder still holds
        except EOFError:
            decoded = []
        except av.FFmpegError:
            decoded = []
            corrupt += 1
        for frame in decoded:
            frames += 1
            yield frame
        if packet is None:
            break
    if broken is not None:
        raise Damaged(f"stopped after {frames} {noun}: {reason(broken)}")
    if corrupt:
        raise Damaged(f"skipped {corrupt} corrupt packets of {stream.type}")


def reason(error: BaseException) -> str:
    """FFmpeg's own words for `error`, without number and file name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
