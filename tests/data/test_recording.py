"""A recorded clip has the frames of the file at their times, thinned out and made smaller as asked, and its sound."""

import dataclasses

import numpy as np
import pytest
from films import film, numbers, truncated, turned, without_frames

from stajax.data.jpeg import decode_jpeg
from stajax.data.recording import Recording, record_clip
from stajax.media import MediaError, read_frames, read_sound


def test_every_frame_is_kept_at_its_time_with_the_sound(tmp_path):
    path = film(tmp_path / "a.mp4", frames=12, seconds=0.48)
    clip, notes = record_clip(path, "a", (3, 1))
    assert (clip.name, clip.tags.tolist(), clip.fps, notes) == ("a", [3, 1], 25, [])
    assert numbers(clip.frames) == list(range(12))
    np.testing.assert_allclose(clip.times, [frame.time for frame in read_frames(path)], atol=1e-6)
    np.testing.assert_allclose(clip.waveform(), read_sound(path), atol=1 / 65535)
    assert len(clip.sound) >= 0.48 * 16000


@pytest.mark.parametrize(("source", "kept"), [(50, 25), (30, 25), (60, 25), (30, 10), (29.97, 10)])
def test_a_high_frame_rate_is_thinned_out_evenly(tmp_path, source, kept):
    """One frame for each 1 / fps, none more than half of that off the grid."""
    path = film(tmp_path / "a.mp4", frames=40, fps=round(source))
    clip, _ = record_clip(path, "a", (), Recording(fps=kept))
    assert clip.fps == kept
    grid = np.arange(len(clip.times)) / kept
    assert np.abs(clip.times - grid).max() <= 0.5 / kept + 1e-4
    assert len(clip.times) == pytest.approx(40 / source * kept, abs=1)
    assert numbers(clip.frames) == [round(time * round(source)) % 40 for time in clip.times]


@pytest.mark.parametrize(("fps", "recording"), [(12, Recording()), (25, Recording()), (50, Recording(fps=None))])
def test_a_frame_rate_that_is_low_enough_stays(tmp_path, fps, recording):
    clip, _ = record_clip(film(tmp_path / "a.mp4", frames=9, fps=fps), "a", (), recording)
    assert clip.fps == fps and numbers(clip.frames) == list(range(9))


@pytest.mark.parametrize(
    ("size", "short_side", "shape"), [((64, 48), 24, (24, 32)), ((64, 48), 256, (48, 64)), ((64, 48), None, (48, 64))]
)
def test_the_shorter_side_is_limited_and_nothing_is_enlarged(tmp_path, size, short_side, shape):
    clip, _ = record_clip(film(tmp_path / "a.mp4", frames=2, size=size), "a", (), Recording(short_side=short_side))
    assert decode_jpeg(clip.frames[0]).shape == (*shape, 3)


def test_a_turned_clip_is_upright(tmp_path):
    clip, _ = record_clip(turned(film(tmp_path / "a.mp4", frames=2)), "a", (), Recording(short_side=24))
    image = decode_jpeg(clip.frames[0]).astype(int)
    assert image.shape == (32, 24, 3)
    red = (image[..., 0] - image[..., 1]) > 100
    assert red[:12, -8:].all() and not red[16:].any() and not red[:, :10].any()  # top right


def test_only_the_first_seconds(tmp_path):
    path = film(tmp_path / "a.mp4", frames=25, seconds=1)
    clip, (note,) = record_clip(path, "a", (), Recording(seconds=0.4))
    assert numbers(clip.frames) == list(range(10)) and len(clip.sound) == 0.4 * 16000
    assert note == f"{path}: only its first 0.4 s are kept"
    whole, notes = record_clip(path, "a", (), Recording(seconds=None))
    assert len(whole.frames) == 25 and not notes
    np.testing.assert_array_equal(whole.sound[:6400], clip.sound)


def test_no_sound_track_is_no_sound(tmp_path):
    clip, notes = record_clip(film(tmp_path / "a.mp4"), "a", ())
    assert clip.sound.shape == (0,) and clip.sound.dtype == np.int16 and not notes


def test_one_frame_is_a_clip(tmp_path):
    clip, _ = record_clip(film(tmp_path / "a.mp4", frames=1), "a", ())
    assert len(clip.frames) == 1 and clip.times.tolist() == [0]


def test_full_scale_sound_does_not_wrap_around(tmp_path):
    path = film(tmp_path / "a.mp4", seconds=0.4, level=1.4)
    clip, _ = record_clip(path, "a", ())
    assert clip.sound.max() == 32767 and clip.sound.min() == -32768
    np.testing.assert_allclose(clip.waveform(), read_sound(path), atol=1 / 32768)


def test_what_is_left_of_a_broken_file_is_kept_and_noted(tmp_path):
    path = truncated(film(tmp_path / "a.mp4", frames=38, size=(160, 120), seconds=1.5, faststart=True))
    clip, notes = record_clip(path, "a", ())
    assert 5 < len(clip.frames) < 36 and numbers(clip.frames[:5]) == [0, 1, 2, 3, 4]
    assert notes and all(note.startswith(f"{path}: ") for note in notes)


@pytest.mark.parametrize(
    "make", [lambda p: p.mkdir(), lambda p: None, lambda p: p.touch(), lambda p: without_frames(film(p, faststart=True))]
)
def test_what_cannot_be_read_says_so(tmp_path, make):
    make(tmp_path / "a.mp4")
    with pytest.raises(MediaError, match=r"a\.mp4: ") as error:
        record_clip(tmp_path / "a.mp4", "a", ())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "field",
    [{"fps": 0}, {"fps": -1.0}, {"short_side": 0}, {"seconds": 0}, {"seconds": float("nan")}, {"quality": 0}, {"quality": 101}],
)
def test_settings_that_make_no_sense_are_refused(field):
    with pytest.raises(ValueError, match=next(iter(field))):
        dataclasses.replace(Recording(), **field)
