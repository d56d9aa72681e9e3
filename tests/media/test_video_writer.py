"""What is written, read back: pictures, times, and the sound of the source at its place."""

import resource
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
from media.made import pictures, tone

from stajax.media import MediaError, MediaWarning, VideoWriter, probe, read_frames, read_sound


def write(path, n=38, size=(64, 48), times=None, **settings):
    with VideoWriter(path, width=size[0], height=size[1], **({"fps": 25} | settings)) as writer:
        for i, image in enumerate(pictures(n, *size)):
            writer.write(image, None if times is None else times[i])
    return path


def streams(path):
    with av.open(str(path)) as container:
        return {s.type: s.codec_context.name for s in container.streams}


def onset(sound):
    return np.argmax(np.abs(sound) > 0.1) / 16000


def test_pictures_survive_and_browsers_can_play_them(tmp_path):
    path = write(tmp_path / "a.mp4")
    frames = list(read_frames(path))
    for frame, image in zip(frames, pictures(38, 64, 48), strict=True):
        assert np.abs(frame.image.astype(int) - image).mean() < 4
    np.testing.assert_allclose([f.time for f in frames], np.arange(38) / 25, atol=1e-4)
    assert probe(path).duration == pytest.approx(38 / 25, abs=1e-3) and probe(path).fps == pytest.approx(25)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.colorspace) == ("h264", "yuv420p", 1)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # faststart
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_variable_times_are_kept(tmp_path):
    times = [0.1, 0.14, 0.5, 0.5, 0.51, 1.7]
    read = [f.time for f in read_frames(write(tmp_path / "a.mp4", n=6, times=times))]
    # A file that starts at 0.1 s has its clock start there when nothing else is in it.
    np.testing.assert_allclose(np.diff(read), np.diff(times), atol=1e-4)


@pytest.mark.parametrize("size", [(63, 47), (1, 1), (64, 47)])
def test_odd_sizes_are_padded(tmp_path, size):
    info = probe(write(tmp_path / "a.mp4", n=3, size=size))
    assert (info.width, info.height) == (size[0] + size[0] % 2, size[1] + size[1] % 2)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "kept"),
    [
        ("a.mp4", "aac", 48000, "aac"),
        ("a.mkv", "aac", 44100, "aac"),
        ("a.ts", "aac", 48000, "aac"),
        ("a.avi", "mp3", 44100, "mp3"),
        ("a.mkv", "pcm_s16le", 8000, "aac"),
        ("a.webm", "libopus", 48000, "aac"),
        ("a.mkv", "flac", 44100, "aac"),
    ],
)
@pytest.mark.parametrize("start", [0.0, 0.7])
def test_sound_is_kept_at_its_place(tmp_path, make_clip, name, codec, rate, kept, start):
    if name == "a.avi" and start:
        pytest.skip("AVI has no late starts")
    if name != "a.webm":
        source = make_clip(tmp_path / name, n=38, sound=tone(2, rate), rate=rate, sound_codec=codec, sound_start=start)
    else:
        source = make_clip(tmp_path / name, n=38, codec="libvpx-vp9", sound=tone(2, rate), sound_codec=codec, sound_start=start)
    path = write(tmp_path / "out.mp4", sound_from=source)
    assert streams(path) == {"video": "h264", "audio": "mp3float" if kept == "mp3" else kept}
    before, after = read_sound(source), read_sound(path)
    assert abs(onset(before) - start) < 0.03 and abs(onset(after) - onset(before)) < 0.03
    assert 1.45 < len(after) / 16000 < 1.65  # to the end of the pictures
    middle = slice(round((start + 0.2) * 16000), round(1.4 * 16000))
    peaks = [np.abs(np.fft.rfft(s[middle] * np.hanning(middle.stop - middle.start))).max() for s in (before, after)]
    assert peaks[1] == pytest.approx(peaks[0], rel=0.1)


def test_copied_sound_is_the_same_to_the_bit(tmp_path, make_clip):
    stereo = np.stack([tone(2, 48000), tone(2, 48000, 900)])
    source = make_clip(tmp_path / "a.mp4", n=50, sound=stereo, layout="stereo")
    before, after = read_sound(source), read_sound(write(tmp_path / "out.mp4", n=50, sound_from=source))
    np.testing.assert_array_equal(after[:31000], before[:31000])


def test_stereo_stays_stereo_when_encoded(tmp_path, make_clip):
    stereo = np.stack([tone(2, 48000), np.zeros(96000, np.float32)])
    source = make_clip(tmp_path / "a.mkv", n=50, sound=stereo, layout="stereo", sound_codec="pcm_s16le")
    with av.open(str(write(tmp_path / "out.mp4", n=50, sound_from=source))) as container:
        left, right = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    assert np.abs(left).max() > 0.4 and np.abs(right).max() < 0.05


def test_picture_and_sound_stay_in_step_at_variable_frame_rate(tmp_path, make_clip):
    """A flash and a click at 1.2 s, in a transport stream whose clock starts elsewhere."""
    times = [0, 0.04, 0.3, 0.5, 1.2, 1.24, 1.5]
    sound = np.zeros(96000, np.float32)
    sound[57600:62400] = tone(0.1, 48000)
    source = make_clip(tmp_path / "a.ts", n=7, times=times, sound=sound)
    with VideoWriter(tmp_path / "out.mp4", width=64, height=48, fps=25, sound_from=source) as writer:
        for frame in read_frames(source):
            writer.write(frame.image, frame.time)
    flash = [f.time for f in read_frames(tmp_path / "out.mp4")][4]
    assert abs(onset(read_sound(tmp_path / "out.mp4")) - flash) < 0.05
    assert abs(onset(read_sound(source)) - list(read_frames(source))[4].time) < 0.05


def test_source_without_sound_gives_video_without(tmp_path, make_clip):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = write(tmp_path / "out.mp4", sound_from=make_clip(tmp_path / "a.mp4"))
    assert streams(path) == {"video": "h264"}


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_broken_sound_never_costs_the_pictures(tmp_path, make_clip, codec):
    source = Path(make_clip(tmp_path / "a.mkv", n=0, sound=tone(3, 16000), rate=16000, sound_codec=codec))
    data = source.read_bytes()
    source.write_bytes(data[: len(data) // 2])
    with pytest.warns(MediaWarning, match="sound") as caught:
        path = write(tmp_path / "out.mp4", n=38, times=np.arange(38) / 12, sound_from=source)
    assert len(caught) == 1 and str(source) in str(caught[0].message)
    assert len(list(read_frames(path))) == 38 and 0.5 < len(read_sound(path)) / 16000 < 2.5


def test_undecodable_sound_never_costs_the_pictures(tmp_path, make_clip):
    source = Path(make_clip(tmp_path / "a.mkv", sound=tone(1, 16000), rate=16000, sound_codec="flac"))
    source.write_bytes(source.read_bytes().replace(b"fLaC", b"\0\0\0\0").replace(b"\xff\xf8", b"\0\0"))
    with pytest.warns(MediaWarning, match="sound is not kept"):
        path = write(tmp_path / "out.mp4", n=5, sound_from=source)
    assert streams(path) == {"video": "h264"} and len(list(read_frames(path))) == 5


def test_packets_that_the_muxer_refuses_never_cost_the_pictures(tmp_path, make_clip, monkeypatch):
    from stajax.media import video_writer

    honest = video_writer.open_sound

    def backward(*args):
        for i, (time, packet) in enumerate(honest(*args)):
            if i == 9:
                packet.pts = packet.dts = 0
            yield time, packet

    # Not a generator itself: the stream has to be added before the first picture.
    monkeypatch.setattr(video_writer, "open_sound", lambda *args: iter(list(backward(*args))))
    source = make_clip(tmp_path / "a.mp4", n=38, sound=tone(2, 48000))
    with pytest.warns(MediaWarning, match="sound is not kept") as caught:
        path = write(tmp_path / "out.mp4", sound_from=source)
    assert len(caught) == 1 and len(list(read_frames(path))) == 38


def test_an_exception_leaves_nothing_behind(tmp_path, make_clip):
    source = make_clip(tmp_path / "a.mp4", sound=tone(1, 48000))
    with (
        pytest.raises(OSError, match="mine"),
        VideoWriter(tmp_path / "out.mp4", width=64, height=48, fps=25, sound_from=source) as writer,
    ):
        writer.write(pictures(1, 64, 48)[0])
        assert (tmp_path / ".out.mp4.part").exists() and not (tmp_path / "out.mp4").exists()
        raise OSError("mine")
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_an_existing_file_is_replaced_only_by_a_whole_one(tmp_path):
    path = write(tmp_path / "a.mp4", n=3)
    before = path.read_bytes()
    with pytest.raises(MediaError, match="no image"), VideoWriter(path, width=64, height=48, fps=25):
        pass
    assert path.read_bytes() == before
    assert len(list(read_frames(write(path, n=7)))) == 7


def test_the_door_says_what_is_wrong(tmp_path):
    with pytest.raises(MediaError, match="no folder"):
        write(tmp_path / "absent" / "a.mp4")
    with pytest.raises(MediaError, match="no such file"):
        write(tmp_path / "a.mp4", sound_from=tmp_path / "absent.mp4")
    with pytest.raises(MediaError, match="cannot write 0x4"):
        VideoWriter(tmp_path / "a.mp4", width=0, height=4, fps=25)
    with (
        pytest.raises(MediaError, match=r"\(48, 64, 3\) uint8 is needed"),
        VideoWriter(tmp_path / "a.mp4", width=64, height=48, fps=25) as writer,
    ):
        writer.write(np.zeros((48, 60, 3), np.uint8))
    assert not list(tmp_path.iterdir())


def test_full_disk_is_one_line(tmp_path):
    """A limit on the size of files stands for the full disk."""
    code = f"""
import resource, signal, numpy as np
from stajax.media import MediaError, VideoWriter
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with VideoWriter({str(tmp_path / "a.mp4")!r}, width=320, height=240, fps=25) as writer:
        for i in range(60):
            writer.write(np.random.default_rng(i).integers(0, 256, (240, 320, 3), np.uint8))
except MediaError as error:
    print(error)
"""
    assert hasattr(signal, "SIGXFSZ") and resource
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "a.mp4: cannot be written" in run.stdout and run.stdout.count("\n") == 1, run.stderr
    assert not list(tmp_path.iterdir())
