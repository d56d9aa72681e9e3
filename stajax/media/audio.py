"""Sound of a clip: mono float32 at 16 kHz on the clip's clock, and the windows that the nets hear."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from stajax.media import container as media
from stajax.media import soundtrack
from stajax.media.errors import MediaError, MediaWarning

SAMPLE_RATE = 16000  # Hz
SILENCE = 1e-3  # peak of a sound window (full scale is 1) below which it is silent, and the audio switch off

_BLOCK = 1 << 16  # samples handed to the resampler at once


def stream_sound(path) -> Iterator[np.ndarray]:
    """Sound of a clip, block by block: mono (the mean of the channels) at 16 kHz, whatever it was.

    Sample 0 is the start of the container: sound that starts late is preceded by silence, what lies before the start is
    dropped, and gaps of over 50 ms are filled with silence. A track that breaks in the middle gives what came before
    it and one MediaWarning. A clip without a sound track gives nothing.

    Yields:
        (n,) float32 in [-1, 1].

    Raises:
        MediaError: at once, if the file cannot be opened.
    """
    media.open_container(path).close()  # outside the generator, so that a bad file fails here and not at next()
    return _stream(path)


def read_sound(path) -> np.ndarray:
    """The whole sound of a clip, as `stream_sound` gives it.

    Returns:
        (n,) float32 in [-1, 1]; empty, with one MediaWarning, for a clip without a sound track.

    Raises:
        MediaError: the file cannot be opened.
    """
    with media.open_container(path) as container:
        silent = media.sound_track(container) is None
    if silent:
        warnings.warn(f"{path}: no sound track; treated as silence", MediaWarning, stacklevel=2)
    return np.concatenate([np.zeros(0, np.float32), *stream_sound(path)])


class MonoResampler:
    """Sound arrays, block by block, to what the nets hear: the mean of the channels at 16 kHz, by FFmpeg's swresample.

    Blocks must be resampled by one object: each keeps the filter's state, and the lengths add up.
    """

    def __init__(self, rate: int):
        if rate != int(rate) or rate <= 0:
            raise MediaError(f"a sample rate of {rate}; a positive whole number of Hz is needed")
        self.rate = int(rate)
        self._taken = self._given = 0  # samples, at `rate` and at 16 kHz
        self._resampler = None if self.rate == SAMPLE_RATE else soundtrack.Resampler(self.rate, SAMPLE_RATE, channels=1)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        """`samples` (n,) or (n, channels); uint8, int16 or int32 at full scale, or float in [-1, 1] -> (m,) float32 in [-1, 1].

        Raises MediaError: not one or two axes, an unknown type, NaN or infinity.
        """
        samples = np.asarray(samples)
        if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] == 0):
            raise MediaError(f"a sound array of shape {samples.shape}; (n,) or (n, channels) is needed")
        mono = soundtrack.mean_of_channels(samples)
        if not np.isfinite(mono).all():
            raise MediaError("the sound array holds NaN or infinity; replace them first")
        self._taken += len(mono)
        if self._resampler is not None:
            frames = (soundtrack.mono_frame(mono[i : i + _BLOCK], self.rate) for i in range(0, len(mono), _BLOCK))
            mono = np.concatenate([np.zeros(0, np.float32), *(self._resampler(frame)[0] for frame in frames)])
        self._given += len(mono)
        return np.clip(mono, -1, 1)

    def rest(self) -> np.ndarray:
        """What the filter still holds, so that n samples have become ceil(n * 16000 / rate); the resampler is used up then."""
        left = math.ceil(self._taken * SAMPLE_RATE / self.rate) - self._given
        held = self._resampler.rest()[0] if self._resampler is not None and self._taken else np.zeros(0, np.float32)
        return np.clip(np.pad(held, (0, max(0, left - len(held))))[: max(0, left)], -1, 1)


def to_mono_16k(samples: np.ndarray, rate: int) -> np.ndarray:
    """A whole sound array to what the nets hear; see `MonoResampler` for blocks, arguments and errors.

    Returns:
        (m,) float32 in [-1, 1], m = ceil(n * 16000 / rate).
    """
    resampler = MonoResampler(rate)
    sound = np.concatenate([resampler(samples), resampler.rest()])
    return sound[: math.ceil(len(samples) * SAMPLE_RATE / rate)]


def is_loud(windows: np.ndarray) -> np.ndarray:
    """(A, window) -> (A,) bool: φ as far as the sound alone decides it."""
    return np.abs(windows).max(axis=-1) >= SILENCE


def cut_windows(samples: np.ndarray, centres_s: Sequence[float], length: int) -> np.ndarray:
    """Windows of a 16 kHz sound around given times, zero beyond its ends.

    Args:
        samples: (n,) float32, n may be 0.
        centres_s: (A,) times of the windows' middles in seconds; window a starts at sample
            round(16000 * centre) - length // 2.
        length: samples per window.

    Returns:
        (A, length) float32.
    """
    first = np.rint(np.asarray(centres_s, np.float64).reshape(-1) * SAMPLE_RATE).astype(np.int64) - length // 2
    index = first[:, None] + np.arange(length)
    inside = (index >= 0) & (index < len(samples))
    windows = np.zeros(index.shape, np.float32)
    windows[inside] = samples[index[inside]]
    return windows


def _stream(path) -> Iterator[np.ndarray]:
    try:
        with media.open_container(path) as container:
            track = media.sound_track(container)
            if track is None:
                return
            if track.codec_context is None:
                raise media.Damaged("no decoder for its sound; treated as silence")
            for block in soundtrack.blocks_on_the_clock(container, track, rate=SAMPLE_RATE, channels=1):
                yield block[0]
    except media.Damaged as damage:
        warnings.warn(f"{path}: {damage}", MediaWarning, stacklevel=2)
