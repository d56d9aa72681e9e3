"""Sound against the signal that was put in: the mean of the channels, at its time, whatever the file."""

import os
import warnings
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media.made import tone

from stajax.media import MediaError, MediaWarning, cut_windows, read_sound, stream_sound, to_mono_16k


def spectrum_peaks(sound):
    """Amplitude at each whole hertz of the middle second."""
    middle = sound[len(sound) // 2 - 8000 : len(sound) // 2 + 8000]
    return np.abs(np.fft.rfft(middle * np.hanning(16000))) / 4000


def onset(sound, level=0.1):
    """Seconds until it is first loud."""
    return np.argmax(np.abs(sound) > level) / 16000


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_rates_and_length(tmp_path, make_clip, rate):
    path = make_clip(tmp_path / "a.mkv", sound=tone(2, rate), rate=rate, sound_codec="pcm_s16le")
    sound = read_sound(path)
    assert sound.dtype == np.float32 and abs(len(sound) - 32000) <= 32
    np.testing.assert_allclose(sound[800:-800], tone(2.1, 16000)[: len(sound)][800:-800], atol=1e-3)


@pytest.mark.parametrize(
    ("layout", "rate", "codec"),
    [
        ("stereo", 48000, "pcm_s16le"),
        ("5.1", 48000, "flac"),
        ("5.1", 16000, "pcm_s16le"),
        ("5.1", 48000, "aac"),
        ("7.1", 48000, "aac"),  # planes of 8 channels crash PyAV's own conversion
        ("7.1", 48000, "pcm_s16le"),
    ],
)
def test_channels_are_averaged_plainly(tmp_path, make_clip, layout, rate, codec):
    """Each channel hums its own note; the mean holds each at 1/channels of its level."""
    hertz = [400, 900, 1400, 60, 1900, 2400, 2900, 3400][: {"stereo": 2, "5.1": 6, "7.1": 8}[layout]]
    sound = np.stack([tone(2, rate, f, level=0.6) for f in hertz])
    mono = read_sound(make_clip(tmp_path / "a.mkv", sound=sound, rate=rate, layout=layout, sound_codec=codec))
    np.testing.assert_allclose(spectrum_peaks(mono)[hertz], 0.6 / len(hertz), rtol=0.05)


def test_identical_loud_channels_do_not_clip(tmp_path, make_clip):
    loud = np.repeat(tone(1, 16000, level=0.95)[None], 2, axis=0)
    path = make_clip(tmp_path / "a.mkv", sound=loud, rate=16000, layout="stereo", sound_codec="pcm_s16le")
    np.testing.assert_allclose(read_sound(path), loud[0], atol=1e-4)


def test_silence_stays_silent_and_counts(tmp_path, make_clip):
    sound = read_sound(make_clip(tmp_path / "a.mp4", sound=np.zeros((1, 48000), np.float32)))
    assert abs(len(sound) - 16000) < 1024 and not sound.any()


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_late_sound_is_preceded_by_silence(tmp_path, make_clip, name):
    sound = read_sound(make_clip(tmp_path / name, n=50, sound=tone(1, 48000), sound_start=0.7))
    assert abs(onset(sound) - 0.7) < 0.03
    assert abs(len(sound) - 1.7 * 16000) < 1600


def test_gap_in_the_middle_is_filled(tmp_path, make_clip):
    import av

    path = str(tmp_path / "a.mkv")
    with av.open(path, "w") as output:
        stream = output.add_stream("pcm_s16le", rate=16000)
        stream.layout = "mono"
        for start in (0.0, 1.5):
            block = np.rint(tone(0.5, 16000) * 32767).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, round(start * 16000)
            output.mux(stream.encode(frame))
    sound = read_sound(path)
    assert abs(len(sound) - 32000) < 32
    assert not sound[8100:23900].any() and abs(onset(sound[8100:]) * 16000 + 8100 - 24000) < 32


def test_rate_change_in_the_middle(tmp_path, make_clip):
    """A broadcast that goes from 48 to 16 kHz after 2 s."""
    import av

    path, start = str(tmp_path / "both.ts"), 0
    with av.open(path, "w") as output:
        stream = None
        for rate in (48000, 16000):
            part = make_clip(tmp_path / f"{rate}.aac", n=0, sound=tone(2, rate), rate=rate, format="adts")
            with av.open(part) as source:
                stream = stream or output.add_stream_from_template(source.streams.audio[0])
                for packet in source.demux(audio=0):
                    if packet.size:
                        packet.stream, packet.time_base = stream, Fraction(1, 90000)
                        packet.pts = packet.dts = start
                        start += 1024 * 90000 // rate
                        output.mux(packet)
    sound = read_sound(path)
    assert abs(len(sound) / 16000 - 4) < 0.2
    for half in (sound[: len(sound) // 2], sound[len(sound) // 2 :]):
        assert spectrum_peaks(half)[440] == pytest.approx(0.5, rel=0.1)


def test_early_start_is_cut_and_broken_clocks_are_ignored(monkeypatch, tmp_path, make_clip):
    """Block times as a broken muxer might write them."""
    from stajax.media import container

    class Timed:
        def __init__(self, frame, time):
            self.frame, self.time = frame, time

        def __getattr__(self, name):
            return getattr(self.frame, name)

    path = make_clip(tmp_path / "a.mkv", sound=tone(1, 16000), rate=16000, sound_codec="pcm_s16le")
    whole, honest = read_sound(path), container.decode
    for first, later, expected in [
        (-0.25, None, whole[4000:]),
        (0.0, 1e6, whole),
        (0.0, -1e6, whole),
        (None, None, whole),
    ]:

        def decode(*args, first=first, later=later):
            for i, frame in enumerate(honest(*args)):
                yield Timed(frame, first if i == 0 else later)

        monkeypatch.setattr(container, "decode", decode)
        np.testing.assert_array_equal(read_sound(path), expected)


def test_no_sound_track_is_silence_with_one_warning(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4")
    with pytest.warns(MediaWarning, match="no sound track; treated as silence") as caught:
        sound = read_sound(path)
    assert len(caught) == 1 and sound.shape == (0,) and sound.dtype == np.float32
    assert list(stream_sound(path)) == []


def test_truncated_track_gives_its_beginning_and_one_warning(tmp_path, make_clip):
    path = Path(make_clip(tmp_path / "a.mkv", n=75, sound=tone(3, 16000), rate=16000, sound_codec="pcm_s16le"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sound = read_sound(path)
    assert 0.5 * 16000 < len(sound) < 2.5 * 16000
    np.testing.assert_allclose(sound[:8000], tone(0.5, 16000), atol=1e-3)
    assert len(caught) == 1 and "stopped after" in str(caught[0].message) and str(path) in str(caught[0].message)


def test_the_door_opens_at_once(tmp_path):
    (tmp_path / "text.mp4").write_text("no sound in words")
    for path in (tmp_path / "absent.mp4", tmp_path / "text.mp4"):
        with pytest.raises(MediaError):
            stream_sound(path)


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_array_types_reach_the_same_sound(kind):
    stereo = np.stack([tone(1, 44100, level=0.5), tone(1, 44100, level=0.3)], axis=1)
    expected = tone(1, 16000, level=0.4)
    if kind == np.uint8:
        stereo = np.rint(stereo * 127 + 128).astype(kind)
    elif np.issubdtype(kind, np.integer):
        stereo = (stereo * np.float64(np.iinfo(kind).max)).astype(kind)
    sound = to_mono_16k(stereo.astype(kind), 44100)
    assert sound.dtype == np.float32 and sound.shape == (16000,)
    np.testing.assert_allclose(sound[300:-300], expected[300:-300], atol=0.01 if kind == np.uint8 else 1e-3)


def test_resampling_is_close_to_soxr_below_the_cutoff():
    soxr = pytest.importorskip("soxr")
    rng = np.random.default_rng(0)
    spectrum = np.zeros(48001, complex)
    spectrum[20:13000] = rng.standard_normal(12980) + 1j * rng.standard_normal(12980)  # 2 s, up to 6.5 kHz
    sound = np.fft.irfft(spectrum)
    sound = (0.3 * sound / np.abs(sound).max()).astype(np.float32)
    ours, theirs = to_mono_16k(sound, 48000), soxr.resample(sound, 48000, 16000)
    assert np.abs(ours - theirs)[200:-200].max() < 2e-3


def test_wrong_arrays_are_named():
    for samples, rate, words in [
        (np.zeros((2, 2, 2)), 16000, "shape"),
        (np.array([0, np.nan]), 16000, "NaN"),
        (np.array([0, np.inf]), 8000, "NaN or infinity"),
        (np.zeros(4, complex), 16000, "complex"),
        (np.zeros(4), 0, "rate"),
    ]:
        with pytest.raises(MediaError, match=words):
            to_mono_16k(samples, rate)
    assert to_mono_16k(np.zeros(0), 8000).shape == (0,)
    assert np.abs(to_mono_16k(np.full(100, 3.0), 16000)).max() == 1


def test_windows_are_centred_and_zero_padded():
    samples = np.arange(1, 16001, dtype=np.float32)
    windows = cut_windows(samples, [0.0, 0.5, 1.0, 9.0], 400)
    assert windows.shape == (4, 400) and windows.dtype == np.float32
    np.testing.assert_array_equal(windows[0], np.r_[np.zeros(200), samples[:200]])
    np.testing.assert_array_equal(windows[1], samples[7800:8200])
    np.testing.assert_array_equal(windows[2], np.r_[samples[-200:], np.zeros(200)])
    assert not windows[3].any()
    assert cut_windows(np.zeros(0, np.float32), [0.0, 1.0], 7).shape == (2, 7)
    assert cut_windows(samples, [], 7).shape == (0, 7)


def test_real_clips_have_sound_as_long_as_their_pictures():
    from stajax.media import probe

    folder = Path(os.environ.get("STAJAX_DATA", "../shared")) / "data" / "clips"
    clips = sorted(folder.glob("*.mp4"))[::14]
    if not clips:
        pytest.skip(f"no clips under {folder}; set STAJAX_DATA")
    for path in clips:
        assert abs(len(read_sound(path)) / 16000 - probe(path).duration) < 0.2
