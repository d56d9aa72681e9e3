"""Reading pictures: every kind of file a person may hand in, held against what was written into it."""

import os
import threading
import warnings
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from stajax.media import MediaError, MediaWarning, probe, read_frames, squash


def index_of(frame):
    """Which of conftest's pictures it is: brightness away from the red corner."""
    h, w = frame.image.shape[:2]
    return round((frame.image[h * 3 // 4 :, w * 3 // 4 :].mean() - 20) / 6)


def is_red(patch):
    r, g, b = patch.reshape(-1, 3).mean(axis=0)
    return r > 150 and g < 70 and b < 70


@pytest.mark.parametrize(
    ("name", "codec", "tolerance"),
    [
        ("a.mp4", "libx264", 1e-4),
        ("a.mkv", "libx264", 1e-3),
        ("a.avi", "mpeg4", 1e-4),
        ("a.webm", "libvpx-vp9", 1e-3),
        ("a.ts", "libx264", 1e-4),
        ("take 2: ü%03d.mp4", "libx264", 1e-4),
    ],
)
def test_frames_and_times_of_each_container(tmp_path, make_clip, name, codec, tolerance):
    path = make_clip(tmp_path / name, codec=codec)
    info, frames = probe(path), list(read_frames(path))
    assert (info.width, info.height, info.fps, info.has_sound) == (64, 48, 25.0, False)
    assert [index_of(f) for f in frames] == list(range(10))
    assert all(f.image.shape == (48, 64, 3) and f.image.dtype == np.uint8 for f in frames)
    np.testing.assert_allclose([f.time for f in frames], np.arange(10) / 25, atol=tolerance)
    assert is_red(frames[0].image[4:20, 4:28])
    assert info.n_frames in (10, None) or codec != "libx264"


def test_limited_range_is_stretched_to_full(tmp_path, make_clip, monkeypatch):
    monkeypatch.setitem(make_clip.__globals__, "pictures", lambda n, w, h: np.full((n, h, w, 3), 255, np.uint8))
    assert next(read_frames(make_clip(tmp_path / "white.mp4", n=1))).image.min() >= 253


@pytest.mark.parametrize("size", [(63, 47), (64, 47), (16, 2), (2, 2)])
def test_odd_sizes_become_even(tmp_path, make_clip, size):
    path = make_clip(tmp_path / "a.mkv", size=size, pix_fmt="yuv444p")
    info, frame = probe(path), next(read_frames(path))
    assert (info.source_width, info.source_height) == size
    assert frame.image.shape == (info.height, info.width, 3)
    assert info.width % 2 == info.height % 2 == 0 and abs(info.width - size[0]) <= 1


def test_longer_side_is_limited(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", size=(320, 120), n=2)
    assert (probe(path, max_side=100).width, probe(path, max_side=100).height) == (100, 38)
    assert next(read_frames(path, max_side=100)).image.shape == (38, 100, 3)


def test_sample_aspect_ratio_widens_the_picture(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", size=(64, 48), aspect="3/2", n=2)
    assert (probe(path).width, probe(path).height) == (96, 48)
    assert next(read_frames(path)).image.shape == (48, 96, 3)


@pytest.mark.parametrize(("turn", "red"), [(90, "top right"), (180, "bottom right"), (270, "bottom left")])
def test_rotation_metadata_turns_the_picture(tmp_path, make_clip, turn_clip, turn, red):
    path = make_clip(tmp_path / "a.mp4", n=3)
    turn_clip(path, turn)
    info, image = probe(path), next(read_frames(path)).image
    assert info.rotation == 360 - turn and (info.source_width, info.source_height) == (64, 48)
    h, w = image.shape[:2]
    assert (h, w) == ((48, 64) if turn == 180 else (64, 48)) == (info.height, info.width)
    corners = {"top left": image[: h // 3, : w // 3], "top right": image[: h // 3, -(w // 3) :]}
    corners |= {"bottom left": image[-(h // 3) :, : w // 3], "bottom right": image[-(h // 3) :, -(w // 3) :]}
    assert [name for name, patch in corners.items() if is_red(patch)] == [red]


def test_variable_frame_rate_keeps_its_times(tmp_path, make_clip):
    times = [0, 0.04, 0.3, 0.31, 0.5, 1.2, 1.21, 1.9]
    frames = list(read_frames(make_clip(tmp_path / "a.mp4", n=8, times=times)))
    np.testing.assert_allclose([f.time for f in frames], times, atol=1e-4)


def test_missing_and_backward_times_still_rise(tmp_path, make_clip, monkeypatch):
    from stajax.media import container

    class Timed:
        def __init__(self, frame, time):
            self.frame, self.time = frame, time

        def reformat(self, *args, **kwargs):
            return self.frame.reformat(*args, **kwargs)

    honest, times = container.decode, [None, 0.04, None, 0.02, 0.2, 0.2]
    path = make_clip(tmp_path / "a.mp4", n=6)
    frames = read_frames(path)
    monkeypatch.setattr(container, "decode", lambda *a: (Timed(f, t) for f, t in zip(honest(*a), times, strict=True)))
    np.testing.assert_allclose([f.time for f in frames], [0, 0.04, 0.08, 0.12, 0.2, 0.24])


def test_one_frame_and_single_images(tmp_path, make_clip):
    assert len(list(read_frames(make_clip(tmp_path / "a.mp4", n=1)))) == 1
    for name in ("a.png", "b.jpg", "c%02d.png"):
        Image.fromarray(np.full((30, 40, 3), (200, 10, 10), np.uint8)).save(tmp_path / name)
        (frame,) = read_frames(tmp_path / name)
        assert frame.image.shape == (30, 40, 3) and frame.time == 0 and is_red(frame.image)


def test_the_door_says_what_is_wrong(tmp_path, make_clip):
    tone = np.zeros((1, 4800), np.float32)
    (tmp_path / "text.mp4").write_text("this is not a video\n" * 50)
    (tmp_path / "empty.mp4").touch()
    whole = Path(make_clip(tmp_path / "whole.mp4")).read_bytes()
    (tmp_path / "headless.mp4").write_bytes(whole[: len(whole) // 2])  # its index was at the end
    wrongs = {
        tmp_path / "absent.mp4": "no such file",
        tmp_path: "is a directory",
        tmp_path / "text.mp4": "not a readable media file",
        tmp_path / "empty.mp4": "is empty",
        tmp_path / "headless.mp4": "not a readable media file",
        make_clip(tmp_path / "sound.mp4", n=0, sound=tone): "only sound",
    }
    for path, words in wrongs.items():
        for door in (probe, read_frames):
            with pytest.raises(MediaError, match=words) as caught:
                door(path)
            assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_cover_art_is_not_a_video(tmp_path, make_clip):
    from io import BytesIO

    cover = BytesIO()
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(cover, format="JPEG")
    mime, art = b"image/jpeg", cover.getvalue()
    body = b"\0" + mime + b"\0\x03\0" + art
    size = lambda n: bytes((n >> s) & 127 for s in (21, 14, 7, 0))  # noqa: E731
    tag = b"APIC" + len(body).to_bytes(4, "big") + b"\0\0" + body
    song = Path(make_clip(tmp_path / "a.mp3", n=0, sound=np.zeros((1, 48000), np.float32), sound_codec="mp3"))
    song.write_bytes(b"ID3\x03\0\0" + size(len(tag)) + tag + song.read_bytes())
    with av.open(str(song)) as container:
        assert len(container.streams.video) == 1  # the picture is there
    with pytest.raises(MediaError, match="only sound"):
        probe(song)


def test_zero_decodable_frames(tmp_path, make_clip):
    path = Path(make_clip(tmp_path / "a.mp4", options={"movflags": "+faststart"}))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"mdat") + 4] + b"\0" * 4)
    with pytest.raises(MediaError, match="fram"):
        read_frames(path)


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {"movflags": "+faststart"}), ("a.mkv", {})])
def test_truncated_file_gives_its_beginning_and_one_warning(tmp_path, make_clip, name, options):
    path = Path(make_clip(tmp_path / name, n=38, size=(160, 120), options=options))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frames = list(read_frames(path))
    assert 5 < len(frames) < 36
    assert [index_of(f) for f in frames[:5]] == [0, 1, 2, 3, 4]
    (warning,) = caught
    assert warning.category is MediaWarning and f"stopped after {len(frames)} frames" in str(warning.message)


def test_corrupt_packets_in_the_middle_are_skipped(tmp_path, make_clip):
    path = Path(make_clip(tmp_path / "a.mov", n=38, codec="png", pix_fmt="rgb24"))
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data[i : i + 4] == b"\x89PNG"]
    for start in starts[10:12]:
        data[start : start + 8] = b"\0" * 8
    path.write_bytes(data)
    with pytest.warns(MediaWarning, match="skipped 2 corrupt packets"):
        frames = list(read_frames(path))
    assert [index_of(f) for f in frames] == [*range(10), *range(12, 38)]


def decoding_threads():
    return [t for t in threading.enumerate() if t.name == "stajax-decode"]


def test_closing_early_leaves_no_thread_and_no_open_file(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", n=38)
    frames = read_frames(path, queue_size=2)
    next(frames)
    assert len(decoding_threads()) == 1
    frames.close()
    assert not decoding_threads()
    if os.path.isdir("/proc/self/fd"):
        open_files = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}
        assert os.path.realpath(path) not in open_files


def test_the_queue_is_bounded(tmp_path, make_clip, monkeypatch):
    from stajax.media import video

    seen = []
    honest = video._decode
    monkeypatch.setattr(video, "_decode", lambda info: (seen.append(1) or f for f in honest(info)))
    frames = read_frames(make_clip(tmp_path / "a.mp4", n=38), queue_size=3)
    next(frames)
    threading.Event().wait(0.3)
    assert 3 <= len(seen) <= 6
    frames.close()


def test_errors_in_the_thread_reach_the_consumer(tmp_path, make_clip, monkeypatch):
    from stajax.media import video

    def broken(info):
        raise RuntimeError("from the thread")
        yield

    monkeypatch.setattr(video, "_decode", broken)
    with pytest.raises(RuntimeError, match="from the thread"):
        next(read_frames(make_clip(tmp_path / "a.mp4")))
    assert not decoding_threads()


def test_squash_equals_pillows_antialiased_bilinear():
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (24, 32, 3)), np.ones((20, 20, 1))).astype(np.uint8)
    expected = np.asarray(Image.fromarray(image).resize((256, 256), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(squash(image, 256), expected)
    small = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8)
    assert squash(small, 8).std() < 0.5 * small.std()  # noise is averaged away, not sampled
    assert squash(np.full((70, 31, 3), 77, np.uint8), 256).tolist() == np.full((256, 256, 3), 77).tolist()
    with pytest.raises(MediaError, match="uint8"):
        squash(small.astype(np.float32), 8)


def test_real_clips_give_the_frames_that_they_announce():
    folder = Path(os.environ.get("STAJAX_DATA", "../shared")) / "data" / "clips"
    clips = sorted(folder.glob("*.mp4"))[::14]
    if not clips:
        pytest.skip(f"no clips under {folder}; set STAJAX_DATA")
    for path in clips:
        frames = list(read_frames(path))
        assert len(frames) == probe(path).n_frames
        assert (np.diff([f.time for f in frames]) > 0).all()
