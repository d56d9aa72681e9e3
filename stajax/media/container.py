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

    frames, corrupt, broken, reached = 0, 0, None, None
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except (av.FFmpegError, OSError) as error:
            packet, broken = None, reason(error)
        if packet is not None and packet.is_corrupt:
            corrupt += 1
            continue
        if packet is not None and packet.pts is not None:
            reached = max(reached or 0, packet.pts + (packet.duration or 0))
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
    missing = _announced_end(stream) - float((reached or 0) * stream.time_base)
    if broken is None and missing > _SLACK:
        broken = f"the file ends {missing:.1f} s early"
    if broken is not None:
        noun = "frames" if stream.type == "video" else "blocks of sound"
        raise Damaged(f"stopped after {frames} {noun}: {broken}; download it again if you need the rest")
    if corrupt:
        raise Damaged(f"skipped {corrupt} corrupt packets of {stream.type}")


_SLACK = 0.5  # s by which a whole file may end before the time that it announces


def _announced_end(stream) -> float:
    """When `stream` ends, in seconds on its own clock, by the file's index; 0 where there is only an estimate.

    FFmpeg calls the end of a truncated file its end; only the index tells. Matroska keeps it in a tag.
    """
    if "mov" in stream.container.format.name and stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    tag = stream.metadata.get("DURATION", "") if "matroska" in stream.container.format.name else ""
    try:
        hours, minutes, seconds = tag.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return 0.0


def reason(error: BaseException) -> str:
    """FFmpeg's own words for `error`, without number and file name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
