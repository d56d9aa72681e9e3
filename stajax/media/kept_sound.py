"""The sound of one file as packets for another: copied where an mp4 may hold it, else encoded as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from stajax.media import container as media
from stajax.media import soundtrack

_AAC_BITS_PER_CHANNEL = 80_000  # per second; AAC-LC is transparent to most ears from there on


def open_sound(source, output) -> Iterator[tuple[float, object]] | None:
    """Add the sound of an open `source` to `output` as a stream, before anything is written there.

    Returns:
        Pairs of time in seconds since the start of `source` and packet to mux, in order; None without a sound track.
        While it runs it raises `container.Damaged` or an FFmpegError where the track breaks.

    Raises:
        container.Damaged: nothing of the track can be decoded.
    """
    track = media.sound_track(source)
    if track is None:
        return None
    _check_decodable(source.name.removeprefix("file:"))
    if _fits_mp4(track.codec_context):
        return _copied(source, track, output.add_stream_from_template(track))
    channels = 1 if track.codec_context.layout.nb_channels == 1 else 2
    rate = 44_100 if track.codec_context.sample_rate == 44_100 else 48_000
    stream = output.add_stream("aac", rate=rate)
    stream.layout = "mono" if channels == 1 else "stereo"
    stream.bit_rate = channels * _AAC_BITS_PER_CHANNEL
    return _encoded(source, track, stream, rate, channels)


def _check_decodable(path) -> None:
    """A track without one good block would spoil the header of the output, and with it the pictures."""
    with media.open_container(path) as trial:
        track = media.sound_track(trial)
        if track.codec_context is None:
            raise media.Damaged("no decoder for its sound")
        if next(media.decode(trial, track), None) is None:
            raise media.Damaged("its sound track is empty")


def _fits_mp4(context) -> bool:
    return context.name == "aac" or (context.name in ("mp3", "mp3float") and context.sample_rate >= 16_000)


def _copied(source, track, stream):
    shift, newest = round(media.origin(source) / float(track.time_base)), None
    for packet in media.read_packets(source, track):
        if packet.dts is None or packet.is_corrupt or (newest is not None and packet.dts <= newest):
            continue  # a muxer refuses such, and with them the whole file
        newest = packet.dts
        packet.pts = (newest if packet.pts is None else packet.pts) - shift
        packet.dts = newest - shift
        packet.stream = stream
        yield packet.pts * float(packet.time_base), packet


def _encoded(source, track, stream, rate, channels):
    import av

    position, damage = 0, None
    try:
        for block in soundtrack.blocks_on_the_clock(source, track, rate=rate, channels=channels):
            if block.shape[1] == 0:
                continue
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=stream.layout.name)
            frame.sample_rate, frame.pts, frame.time_base = rate, position, Fraction(1, rate)
            position += block.shape[1]
            for packet in stream.encode(frame):
                yield packet.pts * float(packet.time_base), packet
    except media.Damaged as error:
        damage = error
    for packet in stream.encode(None):
        yield packet.pts * float(packet.time_base), packet
    if damage is not None:
        raise damage
