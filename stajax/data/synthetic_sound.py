"""The voices of the made clips: timbres that differ in spectrum and in rhythm, so that any sound encoder tells them apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from stajax.media.audio import SAMPLE_RATE


def voice(kind: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """A sound of class `kind`, 0 to 7: (count,) float32 at 16 kHz with peak 1; pitch and pace differ by up to 5 % each time."""
    timbre, pitch, pace = VOICES[kind]
    times = np.arange(count) / SAMPLE_RATE + rng.uniform(0, 1)  # somewhere in its rhythm
    sound = timbre(times, pitch * rng.uniform(0.95, 1.05), pace * rng.uniform(0.95, 1.05), rng)
    return (sound / np.abs(sound).max()).astype(np.float32)


def _hum(times, pitch, pace, rng):
    """Six harmonics, swelling `pace` times a second."""
    harmonics = np.arange(1, 7)
    tones = np.sin(2 * np.pi * pitch * harmonics[:, None] * times + rng.uniform(0, 2 * np.pi, (6, 1)))
    return (tones / harmonics[:, None]).sum(0) * (1 + 0.3 * np.sin(2 * np.pi * pace * times))


def _bell(times, pitch, pace, rng):
    """The partials of a free bar, struck `pace` times a second."""
    partials = np.array([1, 2.76, 5.4])
    since = times * pace % 1 / pace
    return (np.sin(2 * np.pi * pitch * partials[:, None] * times) / partials[:, None]).sum(0) * np.exp(-since / 0.1)


def _hiss(times, pitch, pace, rng):
    """Noise of the octave above `pitch`, in `pace` puffs a second."""
    spectrum = np.fft.rfft(rng.standard_normal(len(times)))
    frequency = np.fft.rfftfreq(len(times), 1 / SAMPLE_RATE)
    noise = np.fft.irfft(np.where((frequency > pitch) & (frequency < 2 * pitch), spectrum, 0), len(times))
    return noise * np.clip(3 * np.sin(2 * np.pi * pace * times), 0.02, 1)


def _chirp(times, pitch, pace, rng):
    """A tone that rises by an octave, `pace` times a second."""
    part = times * pace % 1
    phase = pitch / pace * (part + part**2 / 2)
    return np.sin(2 * np.pi * phase) * np.sin(np.pi * part)


# of each class: timbre, pitch in Hz, pace in Hz
VOICES: tuple[tuple[Callable, float, float], ...] = (
    (_hum, 150, 3),
    (_bell, 600, 3),
    (_hiss, 3500, 7),
    (_chirp, 1000, 4),
    (_hum, 420, 6),
    (_bell, 1500, 6),
    (_hiss, 900, 3),
    (_chirp, 2400, 9),
)
