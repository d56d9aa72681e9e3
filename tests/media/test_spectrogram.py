"""Spectrograms against the released code's numbers and against float64 restatements of their definitions."""

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import spectrogram

from stajax.media import MediaError, log_mel_patches, mel_filterbank, paper_spectrogram, released_spectrogram
from stajax.media.spectrogram import log_spectrogram

GOLDEN = Path(__file__).parents[1] / "goldens" / "nets" / "stft.json"


def golden_sound(n):
    t = np.arange(n) / 16000
    noise = np.random.Generator(np.random.PCG64(zlib.crc32(b"wav:0"))).standard_normal(n)
    return 0.6 * np.sin(2 * np.pi * 440 * t) + 0.3 * np.sin(2 * np.pi * 3000 * t * (1 + 0.1 * t)) + 0.25 * noise


def test_released_golden_every_tap():
    golden = json.loads(GOLDEN.read_text())
    params, arrays = golden["params"], np.load(GOLDEN.with_suffix(".npz"))
    sound = golden_sound(params["n_samples"])
    normalised = released_spectrogram(sound, params["n_frames"], params["window"])
    raw = released_spectrogram(sound, params["n_frames"], params["window"], normalise=False)
    assert normalised.shape == (7, 257, 48) and normalised.dtype == np.float32
    got = {f"norm_window{p}": normalised[p] for p in range(7)}
    got |= {"raw_log_window0": raw[0], "one_second_norm": paper_spectrogram(sound[:16000])}
    for tap in golden["taps"]:
        ours = got[tap["name"]]
        assert list(ours.shape) == tap["shape"]
        sample = ours.reshape(-1)[:: tap["stride"]]
        np.testing.assert_allclose(sample, arrays[tap["key"]], rtol=0, atol=2e-6 * tap["absmax"])


def golden_in_float32(xp_name):
    """Every tap of the golden by `log_spectrogram` in float32, and the golden itself."""
    golden, arrays = json.loads(GOLDEN.read_text()), np.load(GOLDEN.with_suffix(".npz"))
    if xp_name == "numpy":
        transform = log_spectrogram
    else:
        jax = pytest.importorskip("jax")
        transform = jax.jit(
            lambda w, normalise: log_spectrogram(w, jax.numpy, normalise=normalise), static_argnames="normalise"
        )
    sound, hop = golden_sound(golden["params"]["n_samples"]).astype(np.float32), golden["params"]["hop"]
    windows = np.stack([sound[hop * p : hop * p + 8000] for p in range(7)])
    got = {f"norm_window{p}": ours for p, ours in enumerate(np.asarray(transform(windows, normalise=True)))}
    got["raw_log_window0"] = np.asarray(transform(windows[:1], normalise=False))[0]
    got["one_second_norm"] = np.asarray(transform(sound[None, :16000], normalise=True))[0]
    assert all(ours.dtype == np.float32 for ours in got.values())
    return [(got[tap["name"]].reshape(-1)[:: tap["stride"]], arrays[tap["key"]]) for tap in golden["taps"]]


@pytest.mark.parametrize("xp_name", ["numpy", "jax.numpy"])
def test_float32_is_near_the_float64_golden(xp_name):
    """Measured: 1e-5 of values to 16. A symmetric Tukey window is off by 0.1, a Hann window by 4, no detrending by 3."""
    for ours, expected in golden_in_float32(xp_name):
        np.testing.assert_allclose(ours, expected, rtol=0, atol=5e-5)


@pytest.mark.parametrize("n_samples", [512, 670, 671, 8000])
def test_log_spectrogram_equals_scipys_with_an_offset(n_samples):
    """Any length, two windows at once, and an offset that detrending must take out; clipped to [-1, 1]."""
    sound = 0.3 + 0.4 * np.random.default_rng(0).standard_normal((2, n_samples))
    _, _, power = spectrogram(np.clip(sound, -1, 1), 16000, nperseg=512, noverlap=353)
    ours = log_spectrogram(sound, normalise=False)
    assert ours.shape == power.shape
    np.testing.assert_allclose(ours, np.log(power + 1e-7), rtol=1e-12)
    whole = log_spectrogram(sound)
    for normalised, log in zip(whole, np.log(power + 1e-7), strict=True):
        np.testing.assert_allclose(normalised, (log - log.mean()) / (log.std() + 1e-9), atol=1e-9)


@pytest.mark.parametrize("xp_name", ["numpy", "jax.numpy"])
def test_silence_is_zeros_in_float32_too(xp_name):
    silence = np.zeros((2, 8000), np.float32)
    if xp_name == "numpy":
        spectrograms = log_spectrogram(silence)
    else:
        jax = pytest.importorskip("jax")
        spectrograms = jax.jit(lambda w: log_spectrogram(w, xp=jax.numpy))(silence)
    np.testing.assert_array_equal(spectrograms, np.zeros((2, 257, 48)))


def test_hop_rule_is_the_release_own_formula():
    """hop = 8000 - ceil(8000 - (L - 8000) / (T - 1)), and a window starts at its frame."""
    for n_samples, n_frames in [(160000, 300), (16000, 30), (8000, 5), (37123, 7)]:
        sound = golden_sound(n_samples)
        hop = 8000 - int(np.ceil(8000 - (n_samples - 8000) / (n_frames - 1)))
        last = np.clip(sound[hop * (n_frames - 1) :][:8000], -1, 1)
        _, _, power = spectrogram(last, 16000, nperseg=512, noverlap=353)
        ours = released_spectrogram(sound, n_frames, normalise=False)[-1]
        np.testing.assert_allclose(ours, np.log(power + 1e-7), rtol=1e-6)


def test_too_little_is_an_error():
    with pytest.raises(MediaError, match="less than one window of 8000"):
        released_spectrogram(np.zeros(7999), 5)
    with pytest.raises(MediaError, match="at least 2 frames"):
        released_spectrogram(np.zeros(9000), 1)
    with pytest.raises(MediaError, match="one second"):
        paper_spectrogram(np.zeros(15999))
    for shape in [(8000,), (2, 511)]:
        with pytest.raises(MediaError, match="at least 512"):
            log_spectrogram(np.zeros(shape))
    assert np.abs(released_spectrogram(np.zeros(9000), 2)).max() < 1e-5  # silence: 0 / 1e-9, not NaN


def mel_restated():
    """tf.signal.linear_to_mel_weight_matrix(64, 257, 16000, 125, 7500), entry by entry, in float64."""
    mel = lambda hertz: 1127.0 * np.log(1.0 + hertz / 700.0)  # noqa: E731
    edges = [mel(125.0) + i * (mel(7500.0) - mel(125.0)) / 65 for i in range(66)]
    weights = np.zeros((257, 64))
    for k in range(1, 257):  # the DC bin is left out
        x = mel(k * 8000.0 / 256)
        for m in range(64):
            low, mid, high = edges[m : m + 3]
            weights[k, m] = max(0.0, min((x - low) / (mid - low), (high - x) / (high - mid)))
    return weights


def test_mel_filters_are_yamnets():
    ours = mel_filterbank()
    assert ours.shape == (257, 64) and ours.dtype == np.float32
    np.testing.assert_allclose(ours, mel_restated(), atol=1e-7)
    assert not ours[0].any()
    assert mel_filterbank(fmin=0.0)[0].sum() == 0


def test_log_mel_against_a_float64_restatement():
    rng = np.random.default_rng(0)
    windows = (0.2 * rng.standard_normal((3, 15600))).astype(np.float32)
    windows[2] = 0
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    expected, filters = np.empty((3, 96, 64)), mel_restated()
    for a in range(3):
        for f in range(96):
            frame = windows[a, 160 * f : 160 * f + 400].astype(np.float64) * hann
            expected[a, f] = np.log(np.abs(np.fft.rfft(frame, 512)) @ filters + 0.001)
    ours = log_mel_patches(windows)
    assert ours.shape == (3, 96, 64) and ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=2e-5)
    assert log_mel_patches(windows[:0]).shape == (0, 96, 64)


def test_log_mel_is_the_same_function_inside_jit():
    jax = pytest.importorskip("jax")
    windows = (0.2 * np.random.default_rng(1).standard_normal((2, 15600))).astype(np.float32)
    jitted = jax.jit(lambda w: log_mel_patches(w, xp=jax.numpy))(windows)
    assert jitted.dtype == np.float32
    np.testing.assert_allclose(jitted, log_mel_patches(windows), atol=1e-4)


def test_log_mel_wants_whole_windows():
    with pytest.raises(MediaError, match="15600"):
        log_mel_patches(np.zeros((2, 16000), np.float32))
