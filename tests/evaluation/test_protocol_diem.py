"""DIEM's raw gaze: points against the arrays they come from, truth against its definition, real files against what is known."""

import numpy as np
import pytest

from stajax.data.diem import load_gaze
from stajax.data.fixations import DataError, density_map, fixation_map
from stajax.evaluation.evaluate import evaluate
from stajax.evaluation.protocols import open_protocol


def write(folder, name, gaze, event):
    np.savez(folder / f"{name}.npz", gaze_x10_i16=np.round(np.multiply(gaze, 10)).astype(np.int16), event=np.int8(event))


@pytest.fixture
def folder(tmp_path):
    """Two videos of 640x480, so that the screen's offset is 320, 240; 6 observers, 5 frames, all looking near (100, 200)."""
    rng = np.random.default_rng(0)
    for name in ("one_640x480", "two_640x480"):
        eyes = np.array([100 + 320, 200 + 240]) + rng.integers(-30, 31, (6, 5, 1, 2)) + np.zeros((2, 1))
        gaze = np.concatenate([eyes, np.full((6, 5, 2, 1), 1000)], axis=-1).reshape(6, 5, 6)
        write(tmp_path, name, gaze, np.ones((6, 5, 2)))
    return tmp_path


def test_points_are_the_mean_of_the_fixating_eyes_less_the_offset(tmp_path):
    gaze = np.array([[[330, 260, 0, 334, 262, 0]] * 5, [[319, 300, 0, 319, 300, 0]] * 5])
    event = np.array([[[1, 1], [1, 2], [0, 1], [0, 2], [-1, -1]], [[1, 1]] * 5])
    write(tmp_path, "clip_640x480", gaze, event)
    points = load_gaze(tmp_path / "clip_640x480.npz").points
    np.testing.assert_allclose(points[0, :3], [[12, 21], [10, 20], [14, 22]])
    assert np.isnan(points[0, 3:]).all()  # nobody fixates
    assert np.isnan(points[1]).all()  # a pixel left of the video


def test_real_gaze_lies_inside_as_often_as_known(shared):
    """99.2 % of the samples inside the frame for dolphins, if the offset is subtracted; 92.6 % if it is not."""
    path = shared / "data/diem_gaze/documentary_dolphins_1280x720.npz"
    gaze = load_gaze(path)
    with np.load(path) as file:
        fixating = (file["event"] == 1).any(axis=2)
    assert (~np.isnan(gaze.points[..., 0]))[fixating].mean() == pytest.approx(0.992, abs=2e-3)


def test_truth_is_all_observers_now_against_all_frames(folder):
    rules = open_protocol("diem", folder, sigma=7)
    (video, _), gaze = rules.videos, load_gaze(folder / "one_640x480.npz")
    truth = rules.truth(video, 3, rules.gather(video))
    np.testing.assert_array_equal(truth.fixations, fixation_map(gaze.points[:, 3], (480, 640)))
    np.testing.assert_array_equal(truth.density, density_map(gaze.points[:, 3], (480, 640), 7))
    everyone = fixation_map(gaze.points.reshape(-1, 2), (480, 640))
    np.testing.assert_array_equal(truth.other, everyone & ~truth.fixations)


def test_people_beat_the_other_video_and_chance(folder):
    e = evaluate(None, folder, "diem", baselines=("centre_prior", "human", "chance"))
    nss = {score.model: score.scores["nss"].mean for score in e.per_dataset()}
    assert nss["centre_prior"] > 3 and nss["human"] > 3  # both videos are looked at in the same place
    assert abs(nss["chance"]) < 0.5
    assert e.settings["centre_prior"] == ["all but one_640x480", "all but two_640x480"]
    np.testing.assert_allclose(e.select(model="human", video="one_640x480")["time"], np.arange(5) / 30)


def test_what_is_not_there_is_one_clear_line(folder, tmp_path):
    with pytest.raises(DataError, match="diem: this protocol has no pictures"):
        evaluate(None, folder, "diem", baselines=["itti"])
    write(tmp_path, "clip", np.zeros((1, 1, 6)), np.ones((1, 1, 2)))
    with pytest.raises(DataError, match="must end in the video's size"):
        load_gaze(tmp_path / "clip.npz")
    write(tmp_path, "clip_1920x1080", np.zeros((1, 1, 6)), np.ones((1, 1, 2)))
    with pytest.raises(DataError, match="does not fit the screen"):
        load_gaze(tmp_path / "clip_1920x1080.npz")
    write(tmp_path, "clip_64x48", np.zeros((1, 2, 6)), np.ones((1, 1, 2)))
    with pytest.raises(DataError, match=r"gaze \(1, 2, 6\) and event \(1, 1, 2\)"):
        load_gaze(tmp_path / "clip_64x48.npz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no gaze"):
        open_protocol("diem", tmp_path / "empty")
