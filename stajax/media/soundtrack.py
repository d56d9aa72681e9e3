"""A sound track placed on its clip's clock: late starts, gaps, overlaps and changes of rate are all settled here."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stajax.media import container as media
from stajax.media.errors import MediaError

_TOLERANCE = 0.05  # s that a block's time may stray before silence is put in or an overlap dropped
_BACKWARD = 1.0  # s backward, from where on a time is a broken clock rather than an overlap
_BLIND_GAP = 600.0  # s, the longest silence believed where the container does not tell its length


def blocks_on_the_clock(container, track, *, rate: int, channels: int) -> Iterator[np.ndarray]:
    """Sound of `track`, block by block, sample 0 being the start of the container.

    Args:
        container, track: as opened by `stajax.media.container`.
        rate: wanted sample rate in Hz.
        channels: 1 for the plain mean of the channels (what nets hear), 2 for FFmpeg's stereo downmix (what people hear).

    Yields:
        (channels, n) float32 in [-1, 1], contiguous in time.

    Raises:
        container.Damaged: after the last good block, if packets were skipped or the track broke off.
    """
    start = media.origin(container)
    end = container.duration / 1e6 + 1 if container.duration else None
    resampler, expected, written, overlap = None, None, 0, 0

    def cut(block):
        """The block without what overlaps with sound already given."""
        nonlocal written, overlap
        dropped = min(overlap, block.shape[1])
        overlap -= dropped
        written += block.shape[1] - dropped
        return np.clip(np.nan_to_num(block[:, dropped:]), -1, 1)

    damage = None
    try:
        for frame in media.decode(container, track):
            time = None if frame.time is None else frame.time - start
            limit = end if end is not None else (expected or 0.0) + _BLIND_GAP
            believed = time is not None and (expected or 0.0) - _BACKWARD < time < limit
            jumped = believed and (expected is None or abs(time - expected) > _TOLERANCE)
            if resampler is not None and (jumped or not resampler.fits(frame)):
                yield cut(resampler.rest())
                resampler = None
            if jumped:
                expected, target = time, round(time * rate)
                while written < target:
                    silence = np.zeros((channels, min(target - written, rate)), np.float32)
                    written += silence.shape[1]
                    yield silence
                overlap = written - target
            if resampler is None:
                resampler = Resampler(frame.sample_rate, rate, channels, frame.layout.name, frame.format.name)
            expected = (expected or 0.0) + frame.samples / frame.sample_rate
            yield cut(resampler(to_mono_frame(frame) if channels == 1 else frame))
    except media.Damaged as error:
        damage = error
    if resampler is not None:
        yield cut(resampler.rest())
    if damage is not None:
        raise damage


def to_mono_frame(frame):
    """Audio frame of any format to a mono float one, by `mean_of_channels`."""
    if frame.format.is_planar and frame.layout.nb_channels >= 8:
        array = _packed(frame)
    else:
        array = frame.to_ndarray()
    samples = array.T if array.shape[0] == frame.layout.nb_channels else array.reshape(-1, frame.layout.nb_channels)
    return mono_frame(mean_of_channels(samples), frame.sample_rate)


def _packed(frame) -> np.ndarray:
    """(1, n * channels) of a planar frame, by swresample.

    `AudioFrame.to_ndarray` (PyAV 18.1) walks the list of planes to its null pointer, which a list of 8 or more has not:
    it crashes the process on 7.1 sound.
    """
    import av

    resampler = av.AudioResampler(format=frame.format.packed.name, layout=frame.layout, rate=frame.sample_rate)
    frame.pts = None
    return np.concatenate([f.to_ndarray() for f in resampler.resample(frame) + resampler.resample(None)], axis=1)


def mono_frame(mono: np.ndarray, rate: int):
    """(n,) float32 as an FFmpeg audio frame."""
    import av

    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(mono)[None], format="fltp", layout="mono")
    frame.sample_rate = rate
    return frame


def mean_of_channels(samples: np.ndarray) -> np.ndarray:
    """(n,) or (n, channels) of any sample type to (n,) float32, full scale = 1.

    The plain mean, as in the authors' release, taken here because FFmpeg's own downmix weighs the channels (stereo by 0.707
    each).
    """
    kind, bits = samples.dtype.kind, 8 * samples.dtype.itemsize
    if kind != "f" and (kind, bits) not in (("u", 8), ("i", 16), ("i", 32), ("i", 64)):
        raise MediaError(f"a sound array of type {samples.dtype}; uint8, int16, int32 or float is needed")
    mono = samples.mean(axis=1, dtype=np.float64) if samples.ndim == 2 else samples.astype(np.float64)
    if kind == "u":
        mono = (mono - 128) / 128
    elif kind == "i":
        mono = mono / 2.0 ** (bits - 1)
    return mono.astype(np.float32)


class Resampler:
    """FFmpeg's swresample, frame by frame: audio frames in, (channels, n) float32 out."""

    def __init__(self, source_rate: int, rate: int, channels: int, source_layout: str = "", source_format: str = ""):
        import av

        self.channels = channels
        self._source = (source_rate, source_layout, source_format)
        self._resampler = av.AudioResampler(format="fltp", layout="mono" if channels == 1 else "stereo", rate=rate)

    def fits(self, frame) -> bool:
        """Whether `frame` continues what went in before; mono frames only change in rate."""
        source = (frame.sample_rate, frame.layout.name, frame.format.name)
        return self._source[: 1 if self.channels == 1 else 3] == source[: 1 if self.channels == 1 else 3]

    def __call__(self, frame) -> np.ndarray:
        if frame is not None:
            frame.pts = None  # placing is the caller's work; swresample must not try it too
        blocks = [block.to_ndarray() for block in self._resampler.resample(frame)]
        return np.concatenate([np.zeros((self.channels, 0), np.float32), *blocks], axis=1)

    def rest(self) -> np.ndarray:
        """What the filter still holds; the resampler is used up then."""
        return self(None)
