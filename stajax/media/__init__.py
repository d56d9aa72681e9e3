"""Clips on disk and arrays in memory: decoding, encoding, spectrograms, drawing. Public names load on first use."""

from stajax.lazy import exports

__getattr__, __dir__, __all__ = exports(
    __name__,
    {
        "MediaError": "errors",
        "MediaWarning": "errors",
        "OutputError": "errors",
        "Frame": "video",
        "VideoInfo": "video",
        "probe": "video",
        "read_frames": "video",
        "read_moments": "video",
        "squash": "video",
        "VideoWriter": "video_writer",
        "SAMPLE_RATE": "audio",
        "SILENCE": "audio",
        "MonoResampler": "audio",
        "cut_windows": "audio",
        "is_loud": "audio",
        "read_sound": "audio",
        "stream_sound": "audio",
        "to_mono_16k": "audio",
        "log_mel_patches": "spectrogram",
        "mel_filterbank": "spectrogram",
        "paper_spectrogram": "spectrogram",
        "released_spectrogram": "spectrogram",
        "contact_sheet": "draw",
        "heatmap_colours": "draw",
        "overlay": "draw",
        "save_png": "draw",
    },
)
