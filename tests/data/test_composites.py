"""Composites against the clips that they are made of: halves, sound, tags, and that a draw is a function of its number."""

import numpy as np
import pytest

from stajax.data.composites import Composites
from stajax.data.fixations import DataError
from stajax.data.jpeg import decode_jpeg, encode_jpeg
from stajax.data.records import Clip, write_records

COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]


def clip(number, frames=20, sound=True):
    """Of one colour and one level of sound: class `number`."""
    picture = encode_jpeg(np.full((40, 60, 3), COLOURS[number], np.uint8))
    samples = np.full(frames * 1600 if sound else 0, 1000 * (number + 1), np.int16)
    times = (np.arange(frames) / 10).astype(np.float32)
    return Clip(f"clip{number}{'' if sound else ' silent'}", np.array([number]), [picture] * frames, times, 10.0, samples)


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    clips = [clip(0), clip(1, frames=7), clip(2), clip(2, sound=False)]
    return write_records(tmp_path_factory.mktemp("records"), clips, ["red", "green", "blue"])


def test_the_half_of_the_heard_clip_shows_its_tag_and_the_other_half_another(records):
    made, layouts = Composites(records, 40, size=64, seconds=1.0), set()
    for i in range(40):
        composite = made[i]
        (tag,) = composite.tags.tolist()
        rows, columns = (slice(round(64 * part.start), round(64 * part.stop)) for part in made.heard_half(i))
        layouts.add((rows.start, rows.stop, columns.start, columns.stop))
        picture = decode_jpeg(composite.frames[-1]).astype(float)
        own = np.zeros((64, 64), bool)
        own[rows, columns] = True
        inner = [np.median(picture[mask], axis=0) for mask in (own, ~own)]
        nearest = [int(np.abs(np.array(COLOURS) - colour).sum(1).argmin()) for colour in inner]
        assert picture.shape == (64, 64, 3) and nearest[0] == tag != nearest[1]
        assert set(composite.sound.tolist()) == {1000 * (tag + 1)}
        assert len(composite.sound) == 1600 * len(composite.frames)
        assert composite.times[0] == 0 and len(composite.frames) == len(composite.times) <= 11
    assert len(layouts) == 4  # beside and above each other, in either order


def test_each_picture_is_heard_with_the_sound_of_either_clip(records):
    made = Composites(records, 20, size=64, seconds=1.0)
    for i in range(0, 20, 2):
        one, other = made[i], made[i + 1]
        assert one.frames == other.frames and one.times.tolist() == other.times.tolist()
        assert one.tags.tolist() != other.tags.tolist() and set(one.sound.tolist()) != set(other.sound.tolist())
        assert made.heard_half(i) != made.heard_half(i + 1)
        assert made.seen(i) == f"clip{int(other.tags[0])}" and made.seen(i + 1) == f"clip{int(one.tags[0])}"


def test_the_second_clip_shows_what_it_shows_at_the_times_of_the_first(tmp_path):
    """Clips of 10 and of 5 frames a second, whose shade is the time: 20 levels a second."""

    def timed(number, fps):
        times = np.arange(int(4 * fps)) / fps
        frames = [encode_jpeg(np.full((16, 16, 3), round(20 * t), np.uint8)) for t in times]
        sound = np.full(64000, 1000 * (number + 1), np.int16)
        return Clip(f"clip{number}", np.array([number]), frames, times.astype(np.float32), fps, sound)

    records = write_records(tmp_path, [timed(0, 10.0), timed(1, 5.0)], ["red", "green"])
    made = Composites(records, 8, size=32, seconds=2.0)
    for i in range(8):
        composite, swift = made[i], made._draw(i)[0][0] == 0
        shades = np.array([decode_jpeg(frame)[::31, ::31].astype(float).mean(-1) for frame in composite.frames])
        first, second = shades[:, 0, 0] - shades[0, 0, 0], shades[:, 1, 1] - shades[0, 1, 1]
        shown = composite.times * 20
        assert len(composite.times) == (20 if swift else 10)
        np.testing.assert_allclose(first, shown, atol=1.1)  # JPEG
        np.testing.assert_allclose(second, np.floor(shown / 4 + 1e-3) * 4 if swift else shown, atol=1.1)
        assert len(composite.sound) == round(2.0 * 16000)


def test_a_composite_is_a_function_of_seed_and_number(records):
    one, again, other = (Composites(records, n, seed=s) for n, s in ((9, 1), (5, 1), (9, 2)))
    assert one[4].frames == again[4].frames and one[4].name == again[4].name == "composite_1_0004"
    assert any(one[i].frames != other[i].frames for i in range(9))


def test_only_the_rows_given_take_part(records):
    made = Composites(records, 30, rows=[0, 2, 3])
    assert {int(made[i].tags[0]) for i in range(30)} == {0, 2}
    with pytest.raises(DataError, match=r"^composites: no two clips with sound and other tags"):
        Composites(records, 1, rows=[2, 3])


def test_it_tells_the_clip_that_is_seen_and_not_heard(records):
    made = Composites(records, 20, size=64)
    for i in range(20):
        assert made.seen(i) in {f"clip{n}" for n in range(3)} - {f"clip{int(made[i].tags[0])}"}
