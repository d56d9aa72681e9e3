"""`read_moments` against the frames that reading the whole file gives; `squash` of a part against Pillow."""

import numpy as np
import pytest
from PIL import Image

from stajax.media import MediaError, probe, read_frames, read_moments, squash


def around(path, moment):
    """The triplet by reading everything: the first frame half a frame before the moment or later, and its neighbours."""
    frames, step = list(read_frames(path)), 1 / probe(path).fps
    middle = next((k for k, frame in enumerate(frames) if frame.time + step / 2 >= moment), len(frames) - 1)
    return [frames[min(max(k, 0), len(frames) - 1)] for k in (middle - 1, middle, middle + 1)]


def check(path, moments):
    found = list(read_moments(path, moments))
    assert len(found) == len(moments)
    for moment, triplet in zip(moments, found, strict=True):
        for one, other in zip(triplet, around(path, moment), strict=True):
            np.testing.assert_array_equal(one.image, other.image)
            assert abs(one.time - other.time) < 2e-3


@pytest.mark.parametrize("name, codec", [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.ts", "libx264")])
@pytest.mark.parametrize(
    "moments",
    [
        [0.0, 0.0, 0.01, 0.04, 0.05, 0.08],  # close together, some in the same frame
        [0.2, 2.5, 2.54, 5.99],  # across what is seeked over
        [5.9, 5.96, 6.0, 7.0, 9.0],  # at the end and beyond it
        [3.0],
    ],
)
def test_moments_equal_the_frames_of_the_whole_file(tmp_path, make_clip, name, codec, moments):
    check(make_clip(tmp_path / name, n=150, codec=codec), moments)


def test_a_long_clip_is_seeked_and_not_read_through(tmp_path, make_clip, monkeypatch):
    from stajax.media import video

    path, decoded = make_clip(tmp_path / "a.mp4", n=750), []
    check(path, [1.0, 14.0, 14.1, 29.0])
    timed = video._timed

    def counted(*arguments):
        for frame in timed(*arguments):
            decoded.append(frame)
            yield frame

    monkeypatch.setattr(video, "_timed", counted)
    list(read_moments(path, [1.0, 14.0, 14.1, 29.0]))
    assert len(decoded) < 60  # keyframes are five frames apart


def test_moments_of_a_turned_clip_stand_upright(tmp_path, make_clip, turn_clip):
    path = make_clip(tmp_path / "a.mp4", n=100)
    turn_clip(path, 90)
    assert probe(path).rotation == 270
    check(path, [0.0, 1.0, 3.5, 4.0])


def test_moments_of_a_variable_frame_rate(tmp_path, make_clip):
    """Rate 2.75 on average; gaps of up to 4 s, over which a seek may land on the very frame that is wanted."""
    times = [0, 0.04, 0.3, 0.31, 0.5, 4.2, 4.21, 6.9, 7.0, 7.04, 11.0]
    path = make_clip(tmp_path / "a.mp4", n=len(times), times=times)
    check(path, [0.0, 0.3, 0.31, 2.0, 4.2, 4.3, 6.0, 6.9, 7.02, 9.0, 10.9, 11.5])


def test_moments_of_one_frame_are_that_frame(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", n=1)
    check(path, [0.0, 0.02, 3.0])
    check(make_clip(tmp_path / "b.mp4", n=2), [0.0, 0.04, 0.08])


def test_what_cannot_be_read_there_is_an_error(tmp_path, make_clip):
    path = make_clip(tmp_path / "a.mp4", n=100, options={"movflags": "+faststart"})
    data = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").write_bytes(data[: len(data) * 7 // 10])
    with pytest.raises(MediaError, match=r"a\.mp4") as caught:
        list(read_moments(path, [0.5, 3.9]))
    assert "\n" not in str(caught.value)
    with pytest.raises(MediaError, match="no such file"):
        read_moments(tmp_path / "none.mp4", [0.0])


@pytest.mark.parametrize("box", [(0, 0, 48, 64), (10, 20, 40, 50), (3.25, 7.5, 20.75, 63.5), (47, 63, 48, 64)])
@pytest.mark.parametrize("size", [16, 64])
def test_squash_of_a_part_equals_pillow_of_the_part(box, size):
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    top, left, bottom, right = box
    expected = Image.fromarray(image).resize((size, size), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
    difference = np.abs(squash(image, size, box=box).astype(int) - np.asarray(expected, int))
    # From a factor of 4 on whole pixels are averaged first, as of the whole picture.
    assert difference.mean() < 3 if max(bottom - top, right - left) / size >= 4 else difference.max() == 0


def test_squash_of_the_whole_is_squash():
    image = np.random.default_rng(1).integers(0, 256, (32, 32, 3), np.uint8)
    np.testing.assert_array_equal(squash(image, 24, box=(0, 0, 32, 32)), squash(image, 24))
    np.testing.assert_array_equal(squash(image, 32, box=(0, 0, 32, 32)), image)
    part = squash(np.ascontiguousarray(image[4:20, 8:24]), 16)
    np.testing.assert_array_equal(squash(image, 16, box=(4, 8, 20, 24)), part)
