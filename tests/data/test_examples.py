"""Examples, held against the records that they come from."""

import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from stajax.data.augment import Augment
from stajax.data.examples import Examples, Sampling
from stajax.data.feature_cache import FeatureCache
from stajax.data.fixations import DataError
from stajax.data.heard import HOP, read_heard
from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Records, write_records
from stajax.media import MediaWarning

PLAIN = Sampling(size=32, window=1600)


def drawn(examples, count=40):
    return [examples.training(position, position % len(examples)) for position in range(count)]


@pytest.mark.parametrize("source", ["s", "st", "sa", "sta"])
@pytest.mark.parametrize("company", ["none", "short", "long", "cross"])
def test_nodes_show_the_target_and_its_company(records, places, source, company):
    examples = Examples(records, sampling=replace(PLAIN, source=source, company=company), seed=3)
    tags = [set(entry.tags) for entry in records.entries]
    for example in drawn(examples):
        found, record, target = places(example["views"]), int(example["record"]), int(example["moment"])
        moments = found[:, found.shape[1] // 2, 1]
        assert found.shape == (1 if company == "none" else 3, 3 if source in ("st", "sta") else 1, 2)
        assert (found[..., 0] == found[:, :1, 0]).all()  # a node's frames are of one clip
        if source in ("st", "sta"):
            np.testing.assert_array_equal(found[:, 0, 1], np.maximum(moments - 1, 0))
            np.testing.assert_array_equal(found[:, 2, 1], np.minimum(moments + 1, 11))
        assert (found[0, 0, 0], moments[0]) == (record, target)
        others = set(found[1:, 0, 0].tolist())
        if company == "cross" and record not in np.flatnonzero([e.name in examples.alone for e in records.entries]):
            assert record not in others and all(tags[other] & tags[record] for other in others)
        elif company != "none":
            assert others == {record}
        if company == "short":
            step = 3 if source in ("st", "sta") else 1
            assert moments.tolist() == [target, max(target - step, 0), min(target + step, 11)]
        if company == "long":
            outside = (abs(np.arange(12) - target) > 4).sum()
            assert (abs(moments[1:] - target) > 4).sum() == min(2, outside) and moments[1] != moments[2]


def test_an_example_depends_on_seed_and_position_alone(records):
    sampling = replace(PLAIN, company="long", augment=Augment.default())
    one, again = (Examples(records, sampling=sampling, seed=5) for _ in range(2))
    found = [one.training(position, 2) for position in (4, 9)]
    for example, position in zip(found[::-1], (9, 4), strict=True):
        for name, array in again.training(position, 2).items():
            np.testing.assert_array_equal(array, example[name])
    assert found[0]["views"].tobytes() != found[1]["views"].tobytes()
    other = Examples(records, sampling=sampling, seed=6).training(4, 2)
    assert other["views"].tobytes() != found[0]["views"].tobytes()


def test_every_moment_may_be_a_target(records):
    examples = Examples(records, sampling=PLAIN)
    assert {int(examples.training(position, 0)["moment"]) for position in range(150)} == set(range(12))


def test_sound_is_the_window_around_the_middle_frame(records, made):
    examples = Examples(records, sampling=replace(PLAIN, company="short"), heard=read_heard(made))
    heard = read_heard(made)
    seen = set()
    for example in drawn(examples):
        clip = records[int(example["record"])]
        time = clip.times[int(example["moment"])]
        padded = np.pad(clip.waveform(), 1600) if len(clip.sound) else np.zeros(30000)
        middle = 1600 + round(16000 * float(time))
        np.testing.assert_array_equal(example["sound"][0], padded[middle - 800 : middle + 800].astype(np.float32))
        assert example["audible"].tolist() == [float(len(clip.sound) > 0)] * 3
        label = float(heard[clip.name][round(float(time) / HOP)] in clip.tags)
        assert example["heard"][0] == label
        seen.add((example["audible"][0], label))
        np.testing.assert_array_equal(np.flatnonzero(example["tags"]), clip.tags)
    assert seen == {(0, 0), (1, 0), (1, 1)}  # silent, foreign and voiced clips


def test_what_is_audible_counts_as_heard_without_a_tagger(records):
    for example in drawn(Examples(records, sampling=PLAIN), 20):
        assert example["heard"] == example["audible"]


def test_without_a_sound_encoder_there_is_no_sound(records):
    example = Examples(records, sampling=replace(PLAIN, window=None)).training(0, 0)
    assert "sound" not in example and example["audible"] == example["heard"] == 0


def test_cross_term_company_is_long_term_where_no_other_clip_has_the_tag(made, places):
    records = Records(made)
    tag = records.entries[0].tags
    rows = [0, *(row for row, entry in enumerate(records.entries) if entry.tags != tag)]
    examples = Examples(records, rows, sampling=replace(PLAIN, source="s", company="cross"))
    assert records.entries[0].name in examples.alone
    found = places(examples.training(1, 0)["views"])
    assert (found[..., 0] == 0).all() and len(set(found[:, 0, 1].tolist())) == 3


def test_company_comes_from_the_same_part_of_the_split(records, places):
    rows = [0, 2, 4, 6, 8]
    examples = Examples(records, rows, sampling=replace(PLAIN, company="cross"))
    for example in drawn(examples, 20):
        assert set(places(example["views"])[..., 0].ravel().tolist()) <= set(rows)


@pytest.fixture
def with_maps(records, tmp_path):
    """Records with maps: frames 2, 5 and 6 of each clip are valid, but none of the last clip; the map is the frame's red."""
    clips = []
    for row, clip in enumerate(records):
        maps = np.stack([decode_jpeg(frame)[::2, ::2, 0] for frame in clip.frames])
        clips.append(replace(clip, maps=maps, valid=np.isin(np.arange(12), [2, 5, 6]) & (row < 9)))
    return write_records(tmp_path / "maps", clips, list(records.classes))


def test_targets_of_fixation_tasks_have_a_map(with_maps):
    examples = Examples(with_maps, sampling=replace(PLAIN, company="short", maps=(16, 16)))
    for example in drawn(examples):
        assert example["moment"] in (2, 5, 6) and example["record"] != 9
        clip, target = with_maps[int(example["record"])], int(example["moment"])
        moments = [target, max(target - 3, 0), target + 3]
        np.testing.assert_array_equal(example["valid"], clip.valid[moments])
        np.testing.assert_allclose(example["maps"], clip.maps[moments] / 255, atol=1e-6)
    assert examples.training(0, 9)["skipped"] == 1


def test_maps_are_cropped_and_mirrored_with_their_views(with_maps):
    """The map is the red channel, so that a map at the view's size shows what the view shows."""
    augment = Augment(enlarge=40 / 32, flip=True)
    examples = Examples(with_maps, sampling=replace(PLAIN, maps=(32, 32), augment=augment))
    for example in drawn(examples, 12):
        red = example["views"][0, 1, ..., 0] / 255
        fitting = np.corrcoef(red.ravel(), example["maps"][0].ravel())[0, 1]
        assert fitting > 0.8 > np.corrcoef(red.ravel(), example["maps"][0, :, ::-1].ravel())[0, 1]


def test_records_without_maps_are_one_line_for_fixation_tasks(records):
    with pytest.warns(MediaWarning), pytest.raises(DataError, match=r"none of 10 clips can be used .*its record has no maps"):
        Examples(records, sampling=replace(PLAIN, maps=(8, 8))).training(0, 0)


@pytest.fixture
def damaged(made, tmp_path):
    """The records with clip 3 damaged in its middle."""
    shutil.copytree(made, tmp_path / "damaged")
    path = tmp_path / "damaged" / "clips-00003-of-00010.array_record"
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    return Records(tmp_path / "damaged")


def test_another_clip_takes_the_place_of_a_damaged_one(damaged):
    name, found = damaged.entries[3].name, []
    for _ in range(2):
        examples = Examples(damaged, sampling=PLAIN)
        with pytest.warns(MediaWarning, match=f"{name}.*left out") as caught:
            found.append([examples.training(position, 3) for position in range(8)])
        assert len(caught) == 1 and list(examples.damaged) == [name]
        assert [int(example["skipped"]) for example in found[-1]] == [1] * 8
    records = [[int(example["record"]) for example in run] for run in found]
    assert records[0] == records[1] and 3 not in records[0] and len(set(records[0])) > 3


def test_a_damaged_clip_has_no_weight_in_evaluation(damaged):
    examples = Examples(damaged, sampling=PLAIN)
    with pytest.warns(MediaWarning, match="left out"):
        weights = [float(examples.evaluation(clip, 0, 1)["weight"]) for clip in range(10)]
    assert weights == [1, 1, 1, 0, 1, 1, 1, 1, 1, 1]


def test_damaged_company_is_drawn_again(damaged, places):
    tag = damaged.entries[3].tags
    target = next(row for row, entry in enumerate(damaged.entries) if entry.tags == tag and row != 3)
    examples = Examples(damaged, [3, target], sampling=replace(PLAIN, company="cross"))
    with pytest.warns(MediaWarning, match="left out"):
        example = examples.training(0, 1)
    assert example["skipped"] == 0 and (places(example["views"])[..., 0] == target).all()


def test_a_damaged_frame_leaves_its_clip_out(records, tmp_path):
    clips = [replace(records[row], frames=[b"no picture"] * 12 if row == 1 else records[row].frames) for row in range(3)]
    examples = Examples(write_records(tmp_path, clips, list(records.classes)), sampling=PLAIN)
    with pytest.warns(MediaWarning, match="frame [0-9]+ is 10 bytes that are not a readable JPEG"):
        assert examples.training(0, 1)["record"] != 1


def test_no_clip_left_is_an_error(damaged):
    with pytest.warns(MediaWarning), pytest.raises(DataError, match=r"none of 1 clips can be used .*is damaged"):
        Examples(damaged, [3], sampling=PLAIN).training(0, 0)
    with pytest.raises(DataError, match="none of the records holds a frame"):
        Examples(damaged, [], sampling=PLAIN)


def test_clips_that_the_tagger_has_not_heard_are_left_out(records, made):
    heard = read_heard(made)
    del heard[records.entries[0].name]
    examples = Examples(records, sampling=PLAIN, heard=heard)
    with pytest.warns(MediaWarning, match="not in what is heard; let the tagger hear these records again"):
        assert examples.training(0, 0)["record"] != 0


@pytest.fixture
def cache(records, tmp_path):
    """Features that say which frame and window they are of: level (T, 2, 2, 1), vectors (A, 1)."""
    cache = FeatureCache.create(tmp_path / "cache", {"frames": "numbers"})
    for row, clip in enumerate(records):
        numbers = 100 * row + np.arange(12)
        cache.write(
            clip.name, {"stride8": np.tile(numbers[:, None, None, None], (1, 2, 2, 1))}, 100 * row + np.arange(7)[:, None]
        )
    return cache


@pytest.mark.parametrize("company", ["none", "long", "cross"])
def test_cached_features_are_of_the_frames_that_would_be_shown(records, cache, places, company):
    sampling = replace(PLAIN, company=company)
    shown, cached = Examples(records, sampling=sampling), Examples(records, sampling=sampling, cache=cache)
    for one, other in zip(drawn(shown), drawn(cached), strict=True):
        assert "views" not in other and "sound" not in other
        found = places(one["views"])
        expected = 100 * found[..., 0] + found[..., 1]
        assert other["features"]["stride8"].dtype == np.float16
        np.testing.assert_array_equal(other["features"]["stride8"], np.tile(expected[..., None, None, None], (2, 2, 1)))
        middle = found[:, 1]
        hop = np.rint(records[0].times[middle[:, 1]].astype(float) / HOP)
        assert other["vectors"].dtype == np.float32
        np.testing.assert_array_equal(other["vectors"][:, 0], 100 * middle[:, 0] + hop)
        for name in ("tags", "heard", "audible", "record", "moment", "skipped"):
            np.testing.assert_array_equal(one[name], other[name])


def test_clips_that_are_not_cached_are_left_out(records, cache):
    shutil.rmtree(cache.folder / records.entries[4].name)
    examples = Examples(records, sampling=PLAIN, cache=cache)
    with pytest.warns(MediaWarning, match=f"no cached features of clip {records.entries[4].name}"):
        assert examples.training(0, 4)["record"] != 4


def test_cached_features_cannot_be_augmented(records, cache):
    with pytest.raises(ValueError, match="cached features cannot be augmented"):
        Examples(records, sampling=replace(PLAIN, augment=Augment.default()), cache=cache)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "ta"}, "source 'ta': give one of s, st, sa, sta"),
        ({"company": "middle"}, "company 'middle': give one of none, short, long, cross"),
        ({"company": "long", "n": 0}, "0 nodes of long company"),
    ],
)
def test_bad_sampling_is_one_line(change, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**change)


def test_examples_import_neither_jax_nor_tensorflow():
    code = "import sys, stajax.data.examples, stajax.data.synthetic; print({'jax', 'tensorflow', 'grain'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "set()"
