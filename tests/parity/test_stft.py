"""The authors' spectrograms of a clip's sound, and the paper's of one second, against SciPy's float64 values."""

from __future__ import annotations

import re

import detw
import numpy as np
import pytest

from stajax.media import paper_spectrogram, released_spectrogram


def covers(name: str) -> bool:
    return name == "stft"


def test_spectrograms_equal_the_released_recipe(golden):
    params = golden.index["params"]
    sound = _sound(params["n_samples"], golden.index["salt"])
    golden.check({tap: _tap(tap, sound, params) for tap in golden.taps})


def _tap(name: str, sound: np.ndarray, params: dict) -> np.ndarray:
    if match := re.fullmatch(r"(norm|raw_log)_window(\d+)", name):
        return released_spectrogram(sound, params["n_frames"], params["window"], normalise=match[1] == "norm")[int(match[2])]
    if name == "one_second_norm":
        return paper_spectrogram(sound[:16000])
    pytest.fail(f"stft: no spectrogram of ours is {name}")


def _sound(samples: int, salt: str) -> np.ndarray:
    """A tone, a rising tone and noise at 16 kHz, float64, as `rule` of the JSON has it."""
    t = np.arange(samples) / 16000
    noise = detw.stream("wav:0", salt).standard_normal(samples)
    return 0.6 * np.sin(2 * np.pi * 440 * t) + 0.3 * np.sin(2 * np.pi * 3000 * t * (1 + 0.1 * t)) + 0.25 * noise
