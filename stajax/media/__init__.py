"""Clips on disk and arrays in memory: decoding, encoding, spectrograms, drawing. Public names load on first use."""

from importlib import import_module

_HOMES = {
    "MediaError": "errors",
    "MediaWarning": "errors",
    "OutputError": "errors",
    "Frame": "video",
    "VideoInfo": "video",
    "probe": "video",
    "read_frames": "video",
    "squash": "video",
    "VideoWriter": "video_writer",
    "SAMPLE_RATE": "audio",
    "cut_windows": "audio",
    "read_sound": "audio",
    "stream_sound": "audio",
    "to_mono_16k": "audio",
    "log_mel_patches": "spectrogram",
    "mel_filterbank": "spectrogram",
    "paper_spectrogram": "spectrogram",
    "released_spectrogram": "spectrogram",
    "contact_sheet": "draw",
    "display_scale": "draw",
    "heatmap_colours": "draw",
    "overlay": "draw",
    "save_png": "draw",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__():
    return __all__
