"""The doctor of data sets: a sound one has no finding, and each harm done to it has one, with the file."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from stajax.data.fixations import DataError
from stajax.evaluation.dataset_doctor import examine

DATA = Path(__file__).parents[1] / "goldens/metrics/stavis_mini/data"
V1 = "annotations/AVAD/V1"


@pytest.fixture
def data(tmp_path):
    """V1 and V4 of the small packaging, with sound, and fixations on every frame."""
    root = tmp_path / "data"
    shutil.copytree(DATA, root, ignore=shutil.ignore_patterns("DIEM*", "V2", "V3"))
    lists = root / "fold_lists"
    for fold, line in zip("123", ("V1 14 25", "V4 12 30", "V4 12 30"), strict=True):
        (lists / f"AVAD_list_test_{fold}_fps.txt").write_text(line + "\n")
    (lists / "AVAD_list_test_3_fps.txt").write_text("")
    (root / "video_audio/AVAD/V4").mkdir()
    shutil.copy(root / "video_audio/AVAD/V1/V1.wav", root / "video_audio/AVAD/V4/V4.wav")
    for frame in (9, 11):
        shutil.copy(root / "annotations/AVAD/V4/fixMap_00010.mat", root / f"annotations/AVAD/V4/fixMap_{frame:05d}.mat")
    return root


def harm_missing_map(root):
    (root / V1 / "maps/eyeMap_00003.jpg").unlink()


def harm_png_map(root):
    path = root / V1 / "maps/eyeMap_00003.jpg"
    path.rename(path.with_suffix(".png"))


def harm_missing_fixations(root):
    (root / V1 / "fixMap_00014.mat").unlink()


def harm_broken_mat(root):
    (root / V1 / "fixMap_00002.mat").write_bytes(b"nothing")


def harm_new_mat(root):
    header = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    (root / V1 / "fixMap_00002.mat").write_bytes(header + bytes(400))


def harm_other_variable(root):
    savemat(root / V1 / "fixMap_00002.mat", {"fixations": np.eye(3)})


def harm_colour(root):
    path = root / V1 / "maps/eyeMap_00005.jpg"
    with Image.open(path) as file:
        Image.new("RGB", file.size, (250, 20, 20)).save(path)


def harm_odd_size(root):
    with Image.open(root / V1 / "maps/eyeMap_00005.jpg") as file:
        width, height = file.size
    savemat(root / V1 / "fixMap_00005.mat", {"eyeMap": np.ones((2 * height, 2 * width))})
    Image.new("L", (2 * width, 2 * height), 90).save(root / V1 / "maps/eyeMap_00005.jpg")


def harm_empty(root):
    with Image.open(root / V1 / "maps/eyeMap_00005.jpg") as file:
        savemat(root / V1 / "fixMap_00005.mat", {"eyeMap": np.zeros(file.size[::-1])})


def harm_sound(root):
    (root / "video_audio/AVAD/V4/V4.wav").unlink()


def harm_frames(root):
    (root / "video_frames/AVAD/V1/img_00014.jpg").unlink()


def harm_cropped_picture(root):
    Image.new("RGB", (64, 64)).save(root / "video_frames/AVAD/V1/img_00004.jpg")


def harm_count(root):
    (root / "fold_lists/AVAD_list_test_1_fps.txt").write_text("V1 13 25\n")


def harm_twice(root):
    (root / "fold_lists/AVAD_list_test_1_fps.txt").write_text("V1 14 25\nV1 14 25\n")


def harm_folds(root):
    (root / "fold_lists/AVAD_list_test_3_fps.txt").write_text("V4 12 30\n")


def harm_training(root):
    (root / "fold_lists/AVAD_list_train_1_fps.txt").write_text("V1 14 25\n")


def harm_never(root):
    (root / "fold_lists/AVAD_list_test_2_fps.txt").write_text("")


def harm_folder(root):
    shutil.rmtree(root / "annotations/AVAD/V4")


def harm_line(root):
    (root / "fold_lists/AVAD_list_test_1_fps.txt").write_text("V1 14\n")


def harm_training_line(root):
    (root / "fold_lists/AVAD_list_train_1_fps.txt").write_text("V1\n")


def harm_lists(root):
    shutil.rmtree(root / "fold_lists")


HARMS = [
    (harm_missing_map, "error", "eyeMap_00003.jpg", "no density map of frame 3; the list says 14 frames"),
    (harm_png_map, "error", "eyeMap_00003.jpg", "no density map of frame 3"),
    (harm_missing_fixations, "error", "fixMap_00014.mat", "no fixation map of frame 14"),
    (harm_broken_mat, "error", "V1", "fixMap_00002.mat is not a readable .mat file"),
    (harm_new_mat, "error", "V1", "is a version 7.3 file (HDF5); save it in MATLAB with -v7"),
    (harm_other_variable, "error", "V1", "lacks the variable eyeMap"),
    (harm_colour, "error", "V1", "eyeMap_00005.jpg is in colour; a map must be grey"),
    (harm_odd_size, "error", "V1", "but some"),
    (harm_empty, "warning", "V1", "1 of 14 frames have no fixation, the first is 5"),
    (harm_sound, "warning", "V4.wav", "no sound"),
    (harm_frames, "warning", "V1", "13 pictures, the list says 14 frames"),
    (harm_cropped_picture, "warning", "V1", "other proportions in frame 4"),
    (harm_count, "warning", "fixMap_00014.mat", "a fixation map after the list's 13 frames"),
    (harm_twice, "error", "AVAD_list_test_1_fps.txt", "V1 is listed twice"),
    (harm_folds, "warning", "fold_lists", "V4: in the test lists of folds 2 and 3"),
    (harm_training, "error", "AVAD_list_test_1_fps.txt", "V1: in the training list of the same fold"),
    (harm_never, "warning", "AVAD", "V4: annotated, but in no test list"),
    (harm_folder, "error", "V4", "listed, but there is no such folder"),
    (harm_line, "error", "fold_lists", "line 1: 'V1 14' is not 'name frames fps'"),
    (harm_training_line, "error", "AVAD_list_train_1_fps.txt", "line 1: 'V1' is not"),
    (harm_lists, "error", "fold_lists", "must hold the folders fold_lists and annotations"),
]


def test_a_sound_packaging_has_no_finding(data):
    assert list(examine(data, "stavis")) == []


@pytest.mark.parametrize(("harm", "severity", "file", "problem"), HARMS, ids=[case[0].__name__[5:] for case in HARMS])
def test_each_harm_is_found_with_its_file_and_a_mend(data, harm, severity, file, problem):
    harm(data)
    findings = list(examine(data, "stavis"))
    found = [finding for finding in findings if problem in finding.problem]
    assert len(found) == 1, findings
    assert (found[0].severity, Path(found[0].file).name) == (severity, file)
    assert found[0].mend and "\n" not in found[0].problem


def test_a_png_where_a_jpeg_is_needed_is_named(data):
    harm_png_map(data)
    (finding,) = (finding for finding in examine(data, "stavis") if finding.severity == "error")
    assert finding.mend == "there is eyeMap_00003.png: only .jpg counts, convert it"


def test_sizes_of_pictures_come_from_their_headers(data, monkeypatch):
    harm_cropped_picture(data)
    monkeypatch.setattr("stajax.data.stavis.read_colour", None)  # a call would fail
    assert any("picture and truth have other proportions" in finding.problem for finding in examine(data, "stavis"))


def test_the_small_packaging_has_its_known_oddities_and_no_error():
    findings = list(examine(DATA, "stavis"))
    assert {finding.severity for finding in findings} == {"warning"}
    empty = [finding for finding in findings if "no fixation" in finding.problem]
    assert [(Path(finding.file).name, finding.problem[:15]) for finding in empty] == [
        ("V2", "1 of 15 frames "),
        ("V4", "2 of 12 frames "),
    ]
    assert sum(finding.problem == "no sound" for finding in findings) == 5


def test_plain_folder(tmp_path):
    (tmp_path / "fixations").mkdir()
    (tmp_path / "stimuli").mkdir()
    (tmp_path / "fixations/a.csv").write_text("x,y\n1,2\n3,4\n30,4\n")
    for name in ("a", "b"):
        Image.new("RGB", (12, 8)).save(tmp_path / f"stimuli/{name}.png")
    problems = [(finding.severity, finding.problem) for finding in examine(tmp_path, "plain")]
    assert problems == [
        ("error", "1 of 3 fixations lie outside the frame of 12x8"),
        ("warning", "b: without a file in fixations"),
    ]


def test_diem_gaze_that_was_shifted_already(tmp_path):
    gaze = np.zeros((2, 3, 6), np.int16)
    gaze[..., [0, 1, 3, 4]] = 1000  # 100, 100: of the video, not of the screen
    np.savez(tmp_path / "clip_640x480.npz", gaze_x10_i16=gaze, event=np.ones((2, 3, 2), np.int8))
    findings = list(examine(tmp_path, "diem"))
    assert findings[0].problem == "only 0% of the fixations lie inside the video"
    assert "1280x960 screen" in findings[0].mend


def test_diem_makes_no_density_and_counts_empty_frames(tmp_path, monkeypatch):
    event = np.ones((2, 3, 2), np.int8)
    event[:, 1] = 0
    gaze = np.full((2, 3, 6), 6400, np.int16)
    np.savez(tmp_path / "clip_640x480.npz", gaze_x10_i16=gaze, event=event)
    monkeypatch.setattr("stajax.evaluation.protocols.others.density_map", None)  # a call would fail
    assert [finding.problem for finding in examine(tmp_path, "diem")] == ["1 of 3 frames have no fixation, the first is 1"]


@pytest.mark.parametrize(
    ("protocol", "folder"), [("ucf", "ucf_diving_side_001"), pytest.param("osie", "osie", marks=pytest.mark.slow)]
)
def test_real_data_has_no_error(shared, protocol, folder):
    findings = list(examine(shared / "data" / folder, protocol))
    assert [finding for finding in findings if finding.severity == "error"] == []


def test_a_folder_that_is_not_there_and_an_unknown_protocol(tmp_path):
    for path, problem in ((tmp_path / "no", "no such folder"), (Path(__file__), "a file, not a folder")):
        with pytest.raises(DataError, match=f"{path.name}: {problem}"):
            list(examine(path, "ucf"))
    (finding,) = examine(tmp_path, "osie")
    assert "must hold fixations.npz" in finding.problem
    with pytest.raises(ValueError, match="no protocol 'x'"):
        list(examine(tmp_path, "x"))
