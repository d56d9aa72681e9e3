"""Where the shuffled AUC takes its negatives: each source against a loop over the files, in every protocol that has it."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from stajax.data.fixations import DataError
from stajax.evaluation import metrics
from stajax.evaluation.evaluate import evaluate
from stajax.evaluation.protocols import open_protocol
from stajax.evaluation.protocols.others import video_fixations

MINI = Path(__file__).parents[1] / "goldens/metrics/stavis_mini"
DATA = MINI / "data"
AVAD = ("V1", "V2", "V3", "V4")  # 128x96, 128x96, 160x120, 150x90


def fixated(video, frame, shape, dataset="AVAD"):
    """A file's map on a frame of another shape: pixel by pixel, by where its centre comes to lie."""
    there = loadmat(DATA / f"annotations/{dataset}/{video}/fixMap_{frame:05d}.mat")["eyeMap"]
    moved = np.zeros(shape, bool)
    for row, column in np.argwhere(there > 0):
        moved[int((row + 0.5) * shape[0] / there.shape[0]), int((column + 0.5) * shape[1] / there.shape[1])] = True
    return moved


def frames_of(video):
    return range(1, len(list((DATA / f"annotations/AVAD/{video}").glob("fixMap_*.mat"))) + 1)


def others_of(name, frame, data=DATA, **options):
    """The map that the protocol gives a frame, and the frame's fixations."""
    rules = open_protocol("stavis", data, **options)
    video = next(video for video in rules.videos if video.name == name)
    truth = rules.truth(video, frame, rules.gather(video))
    return truth.other, truth.fixations


@pytest.mark.parametrize("name", AVAD)
def test_dataset_is_what_is_fixated_on_any_frame_of_any_other_video(name):
    other, fixations = others_of(name, 9, other="dataset")
    expected = np.zeros(fixations.shape, bool)
    for video in set(AVAD) - {name}:
        for frame in frames_of(video):
            expected |= fixated(video, frame, fixations.shape)
    np.testing.assert_array_equal(other, expected)
    assert expected.any()


@pytest.mark.parametrize("name", ["V1", "V3"])
def test_two_random_frames_are_two_scored_frames_of_other_videos(name):
    rules = open_protocol("stavis", DATA)
    candidates = [(v.name, frame) for v in rules.videos if v.dataset == "AVAD" and v.name != name for frame in v.frames]
    drawn = [others_of(name, 10, other="n_random", n_random=2, seed=seed) for seed in range(4)]
    shape = drawn[0][0].shape
    maps = {place: fixated(*place, shape) for place in candidates}
    pairs = [maps[a] | maps[b] for a, b in combinations(candidates, 2)]
    assert all(any(np.array_equal(other, pair) for pair in pairs) for other, _ in drawn)
    assert len({other.tobytes() for other, _ in drawn}) > 1  # the seed matters
    again, _ = others_of(name, 10, other="n_random", n_random=2, seed=0)
    np.testing.assert_array_equal(again, drawn[0][0])


def test_more_random_frames_than_there_are_is_all_of_them():
    other, fixations = others_of("V4", 9, other="n_random", n_random=10**6)
    rules = open_protocol("stavis", DATA)
    expected = np.zeros(fixations.shape, bool)
    for video in rules.videos:
        for frame in video.frames if video.dataset == "AVAD" and video.name != "V4" else ():
            expected |= fixated(video.name, frame, fixations.shape)
    np.testing.assert_array_equal(other, expected)


@pytest.mark.parametrize("source", ["dataset", "n_random"])
def test_which_splits_are_scored_does_not_matter(source):
    every, _ = others_of("V3", 9, other=source, n_random=3)
    one, _ = others_of("V3", 9, other=source, n_random=3, splits=["2"])
    np.testing.assert_array_equal(one, every)


def test_a_file_gives_the_places_above_zero(tmp_path):
    values = np.zeros((48, 64))
    values[10, 20], values[47, 63] = 0.2, 9
    np.save(tmp_path / "map.npy", values)
    Image.fromarray((values > 0).astype(np.uint8)).save(tmp_path / "map.png")
    for name in ("map.npy", "map.png"):
        other, fixations = others_of("V1", 9, other=str(tmp_path / name))
        assert fixations.shape == (96, 128)
        assert np.argwhere(other).tolist() == [[21, 41], [95, 127]]


@pytest.mark.parametrize("source", ["video", "dataset", "n_random"])
def test_scores_follow_the_source_and_the_report_says_it(source):
    options = {"other": source, "n_random": 3}
    e = evaluate(MINI / "experiment", DATA, "stavis", datasets=["AVAD"], options=options)
    with Image.open(MINI / "experiment/split2_results/avad/V3/pred_sal_000011.jpg") as file:
        saliency = np.asarray(file) / 255
    other, fixations = others_of("V3", 11, **options)
    rows = e.select(video="V3")
    found = rows["auc_shuffled"][rows["frame"] == 11]
    assert found == [metrics.auc_shuffled(saliency, fixations, other, compat="stavis")]
    plain = evaluate(MINI / "experiment", DATA, "stavis", datasets=["AVAD"])
    for metric in ("auc_judd", "similarity", "cc", "nss"):
        np.testing.assert_array_equal(e.rows[metric], plain.rows[metric])
    changed = np.array_equal(e.rows["auc_shuffled"], plain.rows["auc_shuffled"], equal_nan=True)
    assert changed == (source == "video")
    assert (
        e.settings["other"]
        == {
            "video": "all frames of the same video",
            "dataset": "all frames of the other videos of the data set",
            "n_random": "3 frames of other videos of the data set, drawn at random (seed 0)",
        }[source]
    )


def test_a_broken_file_of_another_video_is_told_once_a_video_and_a_missing_folder_is_left_out(tmp_path):
    import shutil

    data = Path(shutil.copytree(DATA, tmp_path / "data"))
    shutil.rmtree(data / "annotations/AVAD/V4")
    other, fixations = others_of("V1", 9, data, other="dataset")
    expected = sum(fixated(video, frame, fixations.shape) for video in ("V2", "V3") for frame in frames_of(video)) > 0
    np.testing.assert_array_equal(other, expected)
    (data / "annotations/AVAD/V3/fixMap_00002.mat").write_bytes(b"nothing")
    rules = open_protocol("stavis", data, other="dataset")
    with pytest.raises(DataError, match=r"fixMap_00002\.mat is not a readable \.mat file"):
        rules.gather(rules.videos[0])
    e = evaluate(MINI / "experiment", data, "stavis", splits=["1"], datasets=["AVAD"], options={"other": "video"})
    assert not any("fixMap_00002" in note for note in e.rows["note"])  # of V3, which is not scored


def plain(folder, clips):
    """A plain folder. clips: name -> ((w, h), rows of frame, x, y)."""
    (folder / "fixations").mkdir(parents=True)
    sizes = "".join(f"{name},{w},{h}\n" for name, ((w, h), _) in clips.items())
    (folder / "sizes.csv").write_text("name,width,height\n" + sizes)
    for name, (_, rows) in clips.items():
        lines = "".join(f"{frame},{x},{y}\n" for frame, x, y in rows)
        (folder / f"fixations/{name}.csv").write_text("frame,x,y\n" + lines)
    return folder


def test_a_plain_folder_and_ucf_and_diem_take_it_too(tmp_path):
    clips = {"a": ((10, 8), [(0, 1, 1), (3, 5, 5)]), "b": ((20, 8), [(0, 19, 7), (1, 2, 2)]), "c": ((10, 8), [(2, 9, 0)])}
    rules = open_protocol("plain", plain(tmp_path / "plain", clips), other="dataset")
    first = rules.videos[0]
    assert np.argwhere(rules.truth(first, 0, rules.gather(first)).other).tolist() == [[0, 9], [2, 1], [7, 9]]

    for name, points in (("one", [(0, 1, 1), (1, 4, 4)]), ("two", [(0, 2, 3), (0, 1, 1)])):
        (tmp_path / f"ucf/{name}/maps").mkdir(parents=True)
        for frame in range(2):
            Image.new("L", (6, 5), 9).save(tmp_path / f"ucf/{name}/maps/{frame}.png")
        np.savez(
            tmp_path / f"ucf/{name}/fixation_pixels_frame_x_y.npz", fixations=np.array(points, np.int16), width=6, height=5
        )
    rules = open_protocol("ucf", tmp_path / "ucf", other="dataset")
    first = rules.videos[0]  # what is fixated now stays: other people looked there
    assert np.argwhere(rules.truth(first, 0, rules.gather(first)).other).tolist() == [[1, 1], [3, 2]]

    for name, x in (("one", 10.0), ("two", 30.0)):
        gaze = np.tile(np.int16([10 * (320 + x), 10 * (240 + x), 0] * 2), (2, 3, 1))
        (tmp_path / "diem").mkdir(exist_ok=True)
        np.savez(tmp_path / f"diem/{name}_640x480.npz", gaze_x10_i16=gaze, event=np.ones((2, 3, 2), np.int8))
    rules = open_protocol("diem", tmp_path / "diem", other="n_random", n_random=1)
    first = rules.videos[0]
    assert np.argwhere(rules.truth(first, 1, rules.gather(first)).other).tolist() == [[30, 30]]


def test_osie_takes_all_other_images_of_the_split(small_osie):
    from stajax.data.osie import osie_split
    from stajax.evaluation.osie import truth

    root = small_osie.root
    table = np.zeros((len(small_osie.points), 5), np.float32)
    table[:, 0], table[:, 2:4] = np.repeat(np.arange(60), 20), small_osie.points * 2
    np.savez(root / "fixations.npz", names=np.array(small_osie.names), fixations=table, width=800, height=600)
    rules = open_protocol("osie", root, other="dataset")
    i = osie_split(60)["test"][0]
    expected = np.zeros((300, 400), bool)
    for j in osie_split(60)["test"][1:]:
        columns, rows = small_osie.fixations(j).astype(int).T
        expected[rows, columns] = True
    np.testing.assert_array_equal(rules.truth(rules.videos[0], 0, None).other, expected)
    default = open_protocol("osie", root)
    np.testing.assert_array_equal(default.truth(default.videos[0], 0, None).other, truth(small_osie, i)[2])
    with pytest.raises(
        ValueError, match="osie: an image has no other frames; give other=n_random, dataset or the path of a map"
    ):
        open_protocol("osie", root, other="video")


def test_video_fixations_keep_what_lies_inside_by_frame():
    points = [(0.5, 0.5), (3.9, 2.9), (4.0, 1.0), (1.2, 1.7), (np.nan, 1)]
    found = video_fixations((3, 4), np.array([2, 0, 0, 2, 1]), points, 4)
    assert [found.pixels[found.of(frame)].tolist() for frame in range(4)] == [[11], [], [0, 5], []]
    assert found.points(found.pixels[found.of(2)]).tolist() == [[0.5, 0.5], [1.5, 1.5]]
    assert np.flatnonzero(found.union()).tolist() == [0, 5, 11]


@pytest.mark.parametrize("source", ["dataset", "n_random"])
def test_one_video_alone_is_one_clear_line(tmp_path, source):
    root = plain(tmp_path / "plain", {"a": ((10, 8), [(0, 1, 1), (3, 5, 5)])})
    with pytest.raises(ValueError, match=f"plain: other={source} needs a second video, and there is one; give other=video"):
        open_protocol("plain", root, other=source)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("map.npy", b"nothing", r"other: .*map\.npy is not a readable \.npy file"),
        ("map.png", b"nothing", r"other: .*map\.png is not a readable image"),
        (
            "cube.npy",
            np.zeros((2, 3, 4)),
            r"other: .*cube\.npy must hold numbers on two axes, got float64 of shape \(2, 3, 4\)",
        ),
        ("words.npy", np.array([["a"]]), r"other: .*words\.npy must hold numbers on two axes, got <U1"),
    ],
)
def test_a_broken_map_is_one_clear_line(tmp_path, file, content, message):
    path = tmp_path / file
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(DataError, match=message) as error:
        open_protocol("stavis", DATA, other=str(path))
    assert "\n" not in str(error.value)
