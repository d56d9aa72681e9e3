"""Sound to pictures of it: the released and the paper's log spectrograms, and YAMNet's log-mel patches."""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from stajax.media.audio import SAMPLE_RATE
from stajax.media.errors import MediaError


def released_spectrogram(samples: np.ndarray, n_frames: int, window: int = 8000, *, normalise: bool = True) -> np.ndarray:
    """Log spectrogram of the sound at each frame of a clip, as the authors' release has it.

    Window p holds samples[p * hop : p * hop + window] with hop = floor((L - window) / (n_frames - 1)): it starts at
    the frame and is not centred on it. `log_spectrogram` of each, in float64.

    Args:
        samples: (L,) mono at 16 kHz, L >= window.
        n_frames: frames of the clip, at least 2.
        window: samples per window; 8000 (0.5 s) gives 48 columns, 16000 gives 98.
        normalise: False leaves the log spectrogram as it is.

    Returns:
        (n_frames, 257, T) float32, T = (window - 353) // 159.

    Raises:
        MediaError: too little sound or too few frames.
    """
    samples = np.asarray(samples)
    if len(samples) < window:
        raise MediaError(f"{len(samples)} samples of sound, less than one window of {window}; use a longer clip")
    if n_frames < 2:
        raise MediaError(f"n_frames is {n_frames}; the released hop needs at least 2 frames")
    hop = (len(samples) - window) // (n_frames - 1)
    return np.concatenate([_in_float64(samples[s : s + window], normalise) for s in hop * np.arange(n_frames)])


def paper_spectrogram(samples: np.ndarray, *, normalise: bool = True) -> np.ndarray:
    """Log spectrogram of one second of sound, the paper's window, by the same recipe as `released_spectrogram`.

    Args:
        samples: (16000,) mono at 16 kHz.
        normalise: False leaves the log spectrogram as it is.

    Returns:
        (257, 98) float32.
    """
    samples = np.asarray(samples)
    if samples.shape != (SAMPLE_RATE,):
        raise MediaError(f"a sound of shape {samples.shape}; one second, ({SAMPLE_RATE},), is needed")
    return _in_float64(samples, normalise)[0]


def log_spectrogram(windows, xp=np, *, normalise: bool = True):
    """The released log spectrogram of sound windows.

    Clipped to [-1, 1]; `scipy.signal.spectrogram` with 512-sample segments that overlap by 353 (Tukey 0.25, constant detrend,
    one-sided density); log(S + 1e-7); minus the window's mean, over its standard deviation + 1e-9.

    Args:
        windows: (A, n) mono at 16 kHz, float32 or float64; the result has their type.
        xp: `numpy`, or `jax.numpy` inside a jitted function.
        normalise: False leaves the log spectrogram as it is.

    Returns:
        (A, 257, T): frequency from 0 to 8000 Hz, time; T = (n - 353) // 159.

    Raises:
        MediaError: not an array of windows of at least 512 samples.
    """
    if windows.ndim != 2 or windows.shape[1] < _SEGMENT:
        raise MediaError(f"sound windows of shape {windows.shape}; (A, n) with n of at least {_SEGMENT} is needed")
    columns = (windows.shape[1] - _OVERLAP) // (_SEGMENT - _OVERLAP)
    index = (_SEGMENT - _OVERLAP) * np.arange(columns)[:, None] + np.arange(_SEGMENT)
    segments = xp.clip(windows, -1, 1)[:, index]
    segments = (segments - segments.mean(-1, keepdims=True)) * _density_window().astype(windows.dtype)
    spectrum = xp.fft.rfft(segments, axis=-1)
    power = spectrum.real**2 + spectrum.imag**2
    both_sides = np.full(_SEGMENT // 2 + 1, 2, windows.dtype)
    both_sides[[0, -1]] = 1  # 0 Hz and 8000 Hz have no mirror image
    # log(S + 1e-7) less its value for silence: exactly 0 there, where a rounded mean over 1e-9 would leave anything.
    log = xp.swapaxes(xp.log1p(power * (both_sides / _FLOOR)), 1, 2)
    if not normalise:
        return log + math.log(_FLOOR)
    mean, std = log.mean((1, 2), keepdims=True), log.std((1, 2), keepdims=True)
    return (log - mean) / (std + 1e-9)


def _in_float64(samples, normalise) -> np.ndarray:
    """(1, 257, T) float32 of one window, computed in float64 as the released features were; the tests hold it to 2e-6."""
    return log_spectrogram(samples[None].astype(np.float64), normalise=normalise).astype(np.float32)


_SEGMENT, _OVERLAP, _FLOOR = 512, 353, 1e-7


@cache
def _density_window() -> np.ndarray:
    """(512,) float64: `scipy.signal.get_window(("tukey", 0.25), 512)`, scaled so that squares are a density at 16 kHz."""
    n = np.arange(_SEGMENT)
    edge = np.minimum(n, _SEGMENT - n) / (0.125 * _SEGMENT)  # periodic: the last sample is not the first one mirrored
    window = np.where(edge < 1, 0.5 - 0.5 * np.cos(np.pi * edge), 1.0)
    return window / np.sqrt(SAMPLE_RATE * np.square(window).sum())


@cache
def mel_filterbank(
    n_mels: int = 64, n_fft: int = 512, rate: int = SAMPLE_RATE, fmin: float = 125.0, fmax: float = 7500.0
) -> np.ndarray:
    """YAMNet's mel filters: `tf.signal.linear_to_mel_weight_matrix`, that is HTK mels and peaks of height 1.

    The triangles are straight in mel and the DC bin is zero. `librosa.filters.mel(htk=True, norm=None)` takes the same
    corner frequencies but draws its triangles straight in Hz, which moves weights by up to 0.005.

    Returns:
        (n_fft // 2 + 1, n_mels) float32, read-only.
    """
    bins = _hertz_to_mel(np.linspace(0, rate / 2, n_fft // 2 + 1))[:, None]
    corners = np.linspace(_hertz_to_mel(fmin), _hertz_to_mel(fmax), n_mels + 2)
    lower, centre, upper = corners[:-2], corners[1:-1], corners[2:]
    weights = np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre)).clip(0)
    weights[0] = 0
    weights = weights.astype(np.float32)
    weights.flags.writeable = False
    return weights


def log_mel_patches(windows, xp=np):
    """Log-mel patches of sound windows, YAMNet's input: 25 ms frames every 10 ms, log(mel + 0.001).

    Args:
        windows: (A, 15600) mono at 16 kHz in [-1, 1], 0.975 s each.
        xp: `numpy`, or `jax.numpy` inside a jitted function.

    Returns:
        (A, 96, 64) float32: time, mel bands from 125 to 7500 Hz.
    """
    if windows.ndim != 2 or windows.shape[1] != _PATCH_SAMPLES:
        raise MediaError(f"sound windows of shape {windows.shape}; (A, {_PATCH_SAMPLES}) is needed")
    frames = windows[:, _FRAME_INDEX] * _periodic_hann()
    magnitude = xp.abs(xp.fft.rfft(frames, 512))
    return xp.log(magnitude.astype(np.float32) @ mel_filterbank() + np.float32(0.001))


_FRAME, _HOP, _N_FRAMES = 400, 160, 96
_PATCH_SAMPLES = _HOP * (_N_FRAMES - 1) + _FRAME
_FRAME_INDEX = _HOP * np.arange(_N_FRAMES)[:, None] + np.arange(_FRAME)


@cache
def _periodic_hann() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME) / _FRAME)).astype(np.float32)


def _hertz_to_mel(hertz):
    return 1127.0 * np.log1p(np.asarray(hertz, np.float64) / 700.0)
