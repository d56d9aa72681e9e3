"""Opening a media file with PyAV (FFmpeg): which tracks count, where its clock starts, what an error says."""

from __future__ import annotations

from collections.abc import Iterator
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
        return av.open(f"file:{path}", options={"protocol_whitelist": "file,crypto,data"}, **_lenient_tags())
    except PermissionError:
        raise MediaError(f"{path}: no permission to read it; change the file's permissions") from None
    except (av.FFmpegError, OSError) as error:
        raise MediaError(f"{path}: not a readable media file ({reason(error)}); check that it plays") from None


def _lenient_tags() -> dict:
    """A title in a forgotten encoding must not cost the clip; from PyAV 19 on it never does, and the argument is gone."""
    import av

    return {"metadata_errors": "replace"} if int(av.__version__.split(".")[0]) < 19 else {}


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


def origin(container) -> float:
    """Where the container's clock starts, in seconds; every time in this package is relative to it."""
    return (container.start_time or 0) / 1e6


def duration(container, stream) -> float | None:
    """Length of `stream` in seconds, else the container's, else None."""
    if stream.duration and stream.duration > 0:
        return stream.duration * float(stream.time_base)
    if container.duration and container.duration > 0:
        return container.duration / 1e6
    return None


def read_packets(container, stream) -> Iterator:
    """Encoded packets of `stream`, without the empty ones.

    Raises:
        Damaged: after the last packet, if the file breaks or ends before the time that its index announces.
    """
    import av

    reached = 0
    try:
        for packet in container.demux(stream):
            if packet.size:
                reached = max(reached, (packet.pts or 0) + (packet.duration or 0))
                yield packet
    except (av.FFmpegError, OSError) as error:
        raise Damaged(reason(error)) from None
    except IndexError:  # PyAV 18.1 looks the packet's track up in the list that it made at the start
        raise Damaged("a new track begins in the middle") from None
    missing = _announced_end(stream) - reached * float(stream.time_base)
    if missing > _SLACK:
        raise Damaged(f"the file ends {missing:.1f} s early")


def decode(container, stream) -> Iterator:
    """Decoded frames of `stream`, over corrupt packets and up to where the file breaks.

    Raises:
        Damaged: after the last frame, if packets were skipped or the file broke off.
    """
    import av

    frames, corrupt, broken = 0, 0, None

    def decoded(packet):
        nonlocal frames, corrupt
        try:
            found = stream.decode(packet)
        except EOFError:
            found = []
        except av.FFmpegError:
            found = []
            corrupt += 1
        frames += len(found)
        return found

    try:
        for packet in read_packets(container, stream):
            if packet.is_corrupt:
                corrupt += 1
            else:
                yield from decoded(packet)
    except Damaged as damage:
        broken = damage
    for frame in decoded(None):  # what the decoder still holds; without a packet PyAV does not know its clock
        frame.time_base = stream.time_base
        yield frame
    if broken is not None:
        noun = "frames" if stream.type == "video" else "blocks of sound"
        raise Damaged(f"stopped after {frames} {noun}: {broken}")
    if corrupt:
        raise Damaged(f"skipped {corrupt} corrupt packets of {stream.type}")


_SLACK = 0.5  # s by which a whole file may end before the time that it announces


def _announced_end(stream) -> float:
    """When `stream` ends, in seconds on its own clock, by the file's index; 0 where there is only an estimate.

    FFmpeg calls the end of a truncated file its end; only the index tells. Matroska keeps it in a tag.
    """
    if "mov" in stream.container.format.name and stream.duration:
        return ((stream.start_time or 0) + stream.duration) * float(stream.time_base)
    tag = stream.metadata.get("DURATION", "") if "matroska" in stream.container.format.name else ""
    try:
        hours, minutes, seconds = tag.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    except ValueError:
        return 0.0


def reason(error: BaseException) -> str:
    """FFmpeg's own words for `error`, without number and file name."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
