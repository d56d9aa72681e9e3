"""The sound that a stream has at hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from stajax.media import SAMPLE_RATE, cut_windows


def window_number(time: float, hop: float) -> int:
    """Which window of a grid of `hop` seconds is nearest to `time`; halfway the later one, whatever rounding did to the last
    bits.
    """
    return math.floor(time / hop + 0.5 + 1e-6)


class SoundBuffer:
    """The stretch of a sound that windows may still be cut from. Samples are mono 16 kHz, sample 0 at time 0.

    window: samples of the longest window.
    """

    def __init__(self, window: int):
        self.window = window
        self.first = 0  # number of the first sample kept
        self.samples = np.zeros(0, np.float32)
        self.closed = False

    @property
    def end(self) -> float:
        """Seconds of sound received."""
        return (self.first + len(self.samples)) / SAMPLE_RATE

    def append(self, samples: np.ndarray) -> None:
        self.samples = np.concatenate([self.samples, np.asarray(samples, np.float32)])

    def reaches(self, centre: float) -> bool:
        """Whether the window around `centre` seconds can be cut; at the end of the sound it is filled with silence."""
        return self.closed or self.end >= centre + self.window / SAMPLE_RATE / 2

    def cut(self, centres: Sequence[float], windows: Sequence[int]) -> dict[int, np.ndarray]:
        """{window: (A, window)} around ascending `centres`; what lies before the longest first window is forgotten."""
        keep = max(0, round(min(centres) * SAMPLE_RATE) - self.window // 2 - self.first)
        self.samples, self.first = self.samples[keep:], self.first + min(keep, len(self.samples))
        relative = np.asarray(centres) - self.first / SAMPLE_RATE
        return {window: cut_windows(self.samples, relative, window) for window in windows}
