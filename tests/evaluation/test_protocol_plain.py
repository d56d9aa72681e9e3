"""A plain folder: what is read against what was written, truth against its definition."""

import numpy as np
import pytest
from PIL import Image

from stajax.data.fixations import DataError, density_map, fixation_map, pixels_per_degree
from stajax.evaluation.evaluate import evaluate
from stajax.evaluation.protocols import open_protocol

CLIP = "frame,x,y,observer\n0,1.5,2.5,anna\n0,8,6,ben\n4,3,3,anna\n4,3.2,3.9,ben\n"
IMAGE = "x,y\n4,5\n9.99,7.5\n-1,3\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("fixations", "stimuli/clip", "density"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "fixations/clip.csv").write_text(CLIP)
    (tmp_path / "fixations/photo.csv").write_text(IMAGE)
    (tmp_path / "fixations/other.csv").write_text("x,y\n10,4\n")
    for frame in range(5):
        Image.new("RGB", (12, 8), (frame, 0, 0)).save(tmp_path / f"stimuli/clip/img{frame + 7:03d}.png")
    Image.new("RGB", (10, 8)).save(tmp_path / "stimuli/photo.png")
    (tmp_path / "sizes.csv").write_text("name,width,height,fps\nother,20,16,\nclip,12,8,25\n")
    return tmp_path


def test_a_clip_is_scored_on_the_frames_that_were_looked_at(folder):
    rules = open_protocol("plain", folder, sigma=2)
    clip = next(video for video in rules.videos if video.name == "clip")
    assert tuple(clip.frames) == (0, 4)
    assert clip.time(4) == 4 / 25
    truth = rules.truth(clip, 4, rules.gather(clip))
    assert np.argwhere(truth.fixations).tolist() == [[3, 3]]
    np.testing.assert_array_equal(truth.density, density_map([(3, 3), (3.2, 3.9)], (8, 12), 2))
    assert np.argwhere(truth.other).tolist() == [[2, 1], [6, 8]]
    assert rules.image(clip, 4)[0, 0].tolist() == [4, 0, 0]
    assert rules.observers(clip, 0).observers.tolist() == ["anna", "ben"]


def test_an_image_has_the_frames_of_others_as_negatives_at_its_own_size(folder):
    rules = open_protocol("plain", folder)
    photo = next(video for video in rules.videos if video.name == "photo")
    truth = rules.truth(photo, 0, rules.gather(photo))
    np.testing.assert_array_equal(truth.fixations, fixation_map([(4, 5), (9.99, 7.5)], (8, 10)))
    elsewhere = [
        (1.5 * 10 / 12, 2.5),
        (8.5 * 10 / 12, 6.5),
        (3.5 * 10 / 12, 3.5),
        (10.5 / 2, 4.5 / 2),
    ]  # three frames, all drawn
    np.testing.assert_array_equal(truth.other, fixation_map(elsewhere, (8, 10)))
    np.testing.assert_array_equal(truth.density, density_map([(4, 5), (9.99, 7.5)], (8, 10), 10 / 40))
    with pytest.raises(DataError, match="no column observer"):
        rules.observers(photo, 0)


def test_density_pictures_go_before_the_points(folder):
    levels = np.random.default_rng(0).integers(0, 256, (8, 10), np.uint8)
    Image.fromarray(levels).save(folder / "density/photo.png")
    rules = open_protocol("plain", folder)
    photo = next(video for video in rules.videos if video.name == "photo")
    np.testing.assert_array_equal(rules.truth(photo, 0, None).density, levels / 255)


def test_evaluate_runs_over_clips_and_images(folder, tmp_path):
    maps = np.random.default_rng(0).random((5, 8, 12)).astype(np.float16)
    (tmp_path / "pred/clip").mkdir(parents=True)
    np.savez(tmp_path / "pred/clip/maps.npz", maps=maps)
    Image.fromarray((maps[0] * 255).astype(np.uint8)).save(tmp_path / "pred/photo.jpg")
    e = evaluate(tmp_path / "pred", folder, "plain", baselines=("chance", "centre_prior"))
    assert e.select(model="pred")["video"].tolist() == ["clip", "clip", "photo"]
    assert e.settings["videos_without_prediction"] == ["plain/other"]
    assert np.isfinite(e.rows["nss"]).all()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("fixations/clip.csv", "frame,x\n1,2\n", "lacks the column y"),
        ("fixations/clip.csv", "", "lacks the column x"),
        ("fixations/clip.csv", "frame,x,y\n1,2\n", "another number of cells"),
        ("fixations/clip.csv", "frame,x,y\n1.5,2,3\n", "frame must be a whole number"),
        ("fixations/clip.csv", "frame,x,y\n1,two,3\n", "x and y must be numbers"),
        ("fixations/clip.csv", "frame,x,y\n-1,2,3\n", "a frame below 0"),
        ("fixations/new.csv", "x,y\n1,2\n", "how large is new"),
        ("sizes.csv", "name,width,height\nother,20,high\n", "must be whole numbers"),
        ("sizes.csv", "name,width,height\nother,0,4\n", "at least 1"),
    ],
)
def test_broken_tables_are_one_clear_line(folder, file, text, message):
    (folder / file).write_text(text)
    with pytest.raises(DataError, match=message) as error:
        open_protocol("plain", folder)
    assert "\n" not in str(error.value)


def test_no_fixations_at_all_is_one_clear_line(tmp_path):
    with pytest.raises(DataError, match="must hold the folder fixations"):
        open_protocol("plain", tmp_path)


def test_pixels_per_degree_against_the_angle_of_the_whole_screen():
    """A degree straight ahead: the angle of the middle pixel, from the arctangent of its edges, goes 1 / n times into it."""
    per_degree = pixels_per_degree(1600, 52.0, 90)
    pixel = 2 * np.degrees(np.arctan(52.0 / 1600 / 2 / 90))
    assert per_degree == pytest.approx(1 / pixel, rel=2e-4)
