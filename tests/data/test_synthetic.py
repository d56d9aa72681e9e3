"""The made clips: what their truth says is in the picture and in the sound, and nothing else tells which object sounds."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from stajax.data.heard import HOP, hops, read_heard, write_heard
from stajax.data.records import Records
from stajax.data.synthetic import SyntheticAVE, SyntheticConfig, sheet, write_synthetic
from stajax.data.synthetic_picture import COLOURS

COUNT = 600


@pytest.fixture(scope="module")
def truths():
    """The truth of many clips, whose pictures are not drawn."""
    return list(SyntheticAVE(COUNT, seed=1))


@pytest.fixture(scope="module")
def drawn():
    """Clips with a sound of their own, drawn: [(SyntheticClip, frames (T, 64, 64, 3) float64)]."""
    clips = SyntheticAVE(40, seed=2, config=SyntheticConfig(foreign=0, silent=0))
    return [(clip, np.stack([pixels(frame) for frame in clip.clip.frames])) for clip in clips]


def pixels(frame):
    return np.asarray(Image.open(io.BytesIO(frame)), float)


def farthest(one, other):
    """The Kolmogorov-Smirnov distance of two samples, over its 0.1 % bound."""
    values = np.sort(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(x), values, side="right") / len(x) for x in (one, other)]
    distance = np.abs(shares[0] - shares[1]).max()
    return distance / (1.95 * np.sqrt(1 / len(one) + 1 / len(other)))


def test_a_clip_is_a_function_of_seed_and_number():
    some = SyntheticAVE(5, seed=3)
    again = SyntheticAVE(9, seed=3)
    for i in (4, 0):
        one, other = some[i].clip, again[i].clip
        assert one.name == other.name and one.frames == other.frames
        np.testing.assert_array_equal(one.sound, other.sound)
    assert SyntheticAVE(5, seed=4)[0].clip.frames != some[0].clip.frames
    assert some[-1].name == some[4].name
    with pytest.raises(IndexError):
        some[5]


def test_scenes_are_as_they_are_called(truths):
    for truth in truths:
        tag, others = truth.classes[0], truth.classes[1:]
        if truth.scene == "motion":
            assert truth.moving.tolist() == [True, False, False, False]
            assert (others == tag).sum() == 1  # the twin
            assert set(np.unique(truth.classes, return_counts=True)[1].tolist()) == {2}  # counting tells no class from another
            assert (np.ptp(truth.centres, axis=0).max(axis=-1) > 0).tolist() == truth.moving.tolist()
        else:
            assert truth.moving.all() and tag not in others
            assert len(set(others.tolist())) == 3 or not truth.voiced
    assert 0.33 < np.mean([truth.scene == "motion" for truth in truths]) < 0.47


@pytest.mark.parametrize("scene", ["motion", "voice"])
@pytest.mark.parametrize("what", ["x", "y", "radius", "from the centre", "to the nearest"])
def test_places_and_sizes_do_not_tell_what_sounds(truths, scene, what):
    target, others = [], []
    for truth in truths:
        if truth.scene == scene:
            centres = truth.centres[17] / truth.config.size
            apart = np.hypot(*(centres[:, None] - centres).transpose(2, 0, 1)) + 9 * np.eye(4)
            values = {
                "x": centres[:, 0],
                "y": centres[:, 1],
                "radius": truth.radii,
                "from the centre": np.hypot(*(centres - 0.5).T),
                "to the nearest": apart.min(axis=1),
            }[what]
            target.append(values[0])
            others.extend(values[1:])
    assert len(target) > 200 and farthest(np.array(target), np.array(others)) < 1


def test_paths_do_not_tell_what_sounds_among_voices(truths):
    speeds = np.array([np.hypot(*np.diff(x.centres, axis=0).T).mean(axis=1) for x in truths if x.scene == "voice"])
    assert farthest(speeds[:, 0], speeds[:, 1:].ravel()) < 1


@pytest.mark.parametrize(("count", "alike"), [(4, 1), (8, 2), (7, 2)])
def test_classes_do_not_tell_what_sounds(count, alike):
    """Every class is as often the sounding object's as another's, within four deviations of a share."""
    truths = list(SyntheticAVE(COUNT, seed=1, config=SyntheticConfig(classes=count, alike=alike)))
    classes = np.array([truth.classes for truth in truths])
    shares = np.stack([np.bincount(x.ravel(), minlength=count) / x.size for x in (classes[:, 0], classes[:, 1:])])
    assert np.abs(shares[0] - shares[1]).max() < 4 * np.sqrt(2 * 0.25 * 0.75 / COUNT)
    assert shares.min() > 0.5 / count


def test_of_classes_that_sound_alike_one_is_in_a_scene():
    """So the sound tells the object, and only who sees it can tell the class."""
    alike = SyntheticConfig(classes=8, alike=2)
    truths = list(SyntheticAVE(200, seed=3, config=alike))
    for truth in truths:
        kinds = np.unique(truth.classes)
        assert len(np.unique(kinds // 2)) == len(kinds)
        assert truth.heard[0] < 0 or truth.voiced or truth.heard[0] // 2 not in truth.classes // 2
    first = truths[0]
    sounds = [dataclasses.replace(first, heard=np.full(len(first.heard), kind)).clip.sound for kind in (4, 5, 6)]
    np.testing.assert_array_equal(sounds[0], sounds[1])
    assert (sounds[1] != sounds[2]).any()


def test_objects_stay_in_the_picture(truths):
    boxes = np.concatenate([truth.boxes.reshape(-1, 4) for truth in truths])
    assert boxes.min() >= 0 and boxes.max() <= 64


def test_shades_do_not_tell_what_sounds(drawn):
    """The colours at the centres of discs, which no other shape covers there."""
    colours = {True: [], False: []}
    for clip, frames in drawn:
        for i in np.flatnonzero(clip.classes == 0):
            x, y = clip.centres[0, i].astype(int)
            apart = np.hypot(*(np.delete(clip.centres[0], i, axis=0) - clip.centres[0, i]).T)
            if apart.min() > 2 * clip.radii.max():
                colours[i == 0].append(frames[0, y, x])
    for found in colours.values():
        mean, error = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
        assert (np.abs(mean - COLOURS["disc"]) < 4 * error + 4).all()


def test_what_moves_is_where_the_truth_says(drawn):
    """Between frames pixels change by noise alone outside the boxes of moving objects, and by more at the edges inside each."""
    y, x = np.mgrid[:64, :64] + 0.5
    for clip, frames in drawn:
        change = np.abs(np.diff(frames.mean(-1), axis=0))
        left, top, right, bottom = clip.boxes.transpose(2, 0, 1)[..., None, None]
        around = (x > left - 8) & (x < right + 8) & (y > top - 8) & (y < bottom + 8)  # a JPEG block wide
        still = change[~around[1:, clip.moving].any(axis=1) & ~around[:-1, clip.moving].any(axis=1)]
        assert still.mean() < 3  # of noise with a deviation of 2 levels: 2.3
        inside = (x > left) & (x < right) & (y > top) & (y < bottom)
        for i in np.flatnonzero(clip.moving):
            assert np.percentile(change[inside[1:, i]], 98) > 3 * still.mean()


def test_the_sound_tells_the_class(drawn):
    """Nearest mean of band energies: the first half of the clips teaches, the second half is told without a mistake."""
    bands, tags = [], np.array([clip.classes[0] for clip, _ in drawn])
    for clip, _ in drawn:
        power = np.abs(np.fft.rfft(clip.clip.waveform())) ** 2
        edges = np.searchsorted(np.fft.rfftfreq(48000, 1 / 16000), np.geomspace(80, 8000, 25))
        bands.append(np.log(np.add.reduceat(power, edges[:-1]) + 1))
    bands = np.array(bands)
    means = np.stack([bands[:20][tags[:20] == tag].mean(axis=0) for tag in range(4)])
    told = ((bands[20:, None] - means) ** 2).sum(-1).argmin(axis=1)
    np.testing.assert_array_equal(told, tags[20:])


def test_foreign_sounds_and_silence(truths):
    foreign = [x for x in truths if not x.voiced and x.heard[0] >= 0]
    silent = [x for x in truths if x.heard[0] < 0]
    for found in (foreign, silent):
        assert 0.06 < len(found) / COUNT < 0.14
    assert all(truth.heard[0] not in truth.classes for truth in foreign)
    assert all((truth.heard == truth.classes[0]).all() for truth in truths if truth.voiced)
    assert len(silent[0].clip.sound) == 0 and len(foreign[0].clip.sound) == 48000


def test_sound_is_louder_while_the_object_moves_faster():
    """At 40 frames a second, several to a swing; the voices' own rhythms average out over the clips."""
    clips = SyntheticAVE(12, seed=2, config=SyntheticConfig(foreign=0, silent=0, fps=40))
    fitting = []
    for clip in clips:
        speed = np.hypot(*np.diff(clip.centres[:, 0], axis=0).T)
        loudness = np.sqrt(np.square(clip.clip.waveform().reshape(120, 400)).mean(axis=1))
        fitting.append(np.corrcoef(speed, loudness[:-1])[0, 1])
    assert np.mean(fitting) > 0.2


def test_records_give_back_the_clips_and_their_truth(tmp_path):
    clips = SyntheticAVE(3, seed=5, config=SyntheticConfig(seconds=0.5))
    write_synthetic(tmp_path, clips, shards=2)
    records = Records(tmp_path)
    assert list(records.classes) == ["disc", "square", "triangle", "ring"]
    heard = read_heard(tmp_path)
    truth = dict(np.load(tmp_path / "truth.npz"))
    by_name = {clip.name: clip for clip in records}
    assert set(by_name) == set(heard) == set(truth) == {clip.name for clip in clips}
    for clip in clips:
        assert by_name[clip.name].frames == clip.clip.frames
        assert by_name[clip.name].tags.tolist() == [clip.classes[0]]
        np.testing.assert_array_equal(heard[clip.name], clip.heard)
        np.testing.assert_array_equal(truth[clip.name], clip.boxes)


def test_a_sheet_has_a_row_for_each_clip():
    picture = sheet(list(SyntheticAVE(2, config=SyntheticConfig(seconds=0.5))), 3)
    assert picture.dtype == np.uint8 and picture.shape[0] > 2 * 64 and picture.shape[1] > 3 * 64


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": 9}, "3 to 8 are possible"),
        ({"objects": 7}, "2 to 6 have room"),
        ({"classes": 5, "alike": 2}, "2 of 5 classes sound alike; three voices are needed"),
    ],
)
def test_impossible_sets_are_an_error(change, message):
    with pytest.raises(ValueError, match=message):
        SyntheticConfig(**change)


def test_hops_are_the_nearest_windows(tmp_path):
    np.testing.assert_array_equal(hops([0, 0.09, 0.11, 0.52, 7], 5), [0, 0, 1, 3, 4])
    assert HOP == 0.2
    write_heard(tmp_path, {"a/b": [1, -1], "c": [0]})
    heard = read_heard(tmp_path)
    assert heard["a/b"].tolist() == [1, -1] and heard["c"].dtype == np.int32
