"""`evaluate` on small data sets: workers against one process, what is missing or broken against what was taken away."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stajax.data.fixations import DataError
from stajax.evaluation.evaluate import Progress, evaluate, possible_baselines, write
from stajax.evaluation.results import COLUMNS, METRICS, read_json
from stajax.evaluation.scoring import Scorer
from stajax.evaluation.shown import look_up

MINI = Path(__file__).parents[1] / "goldens/metrics/stavis_mini"
EXPERIMENT, DATA = MINI / "experiment", MINI / "data"
V2 = "split1_results/avad/V2/pred_sal_000011.jpg"


@pytest.fixture
def experiment(tmp_path):
    return Path(shutil.copytree(EXPERIMENT, tmp_path / "experiment"))


@pytest.fixture
def data(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def row(evaluation, frame, **where):
    rows = evaluation.select(**where)
    (i,) = np.flatnonzero(rows["frame"] == frame)
    return {name: values[i] for name, values in rows.items()}


@pytest.mark.slow
def test_workers_score_the_same_bits_without_jax(tmp_path):
    """In a fresh process, as the command runs it; what it imported is looked at there."""
    script = tmp_path / "run.py"
    script.write_text(f"""
import sys
from stajax.evaluation.evaluate import evaluate
if __name__ == "__main__":
    for workers in (1, 2):
        e = evaluate({str(EXPERIMENT)!r}, {str(DATA)!r}, "stavis", baselines=("chance", "centre_prior"), workers=workers)
        e.write_json(f"{tmp_path}/{{workers}}.json")
assert "jax" not in sys.modules, "at import of " + __name__
""")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    one, two = (json.loads((tmp_path / f"{workers}.json").read_text()) for workers in (1, 2))
    assert one == two
    assert len(one["rows"]["frame"]) == (22 + 3 * 9) * 3


def test_progress_counts_every_frame_once():
    seen = []
    evaluate(EXPERIMENT, DATA, "stavis", progress=seen.append)
    assert all(isinstance(progress, Progress) for progress in seen)
    assert [progress.done for progress in seen] == sorted({progress.done for progress in seen})
    assert (seen[-1].done, seen[-1].total) == (31, 31)
    assert {progress.video for progress in seen} == {"V1", "V2", "V3", "V4", "D1_clip_1280x720", "D2"}


def test_progress_in_one_process_comes_with_the_frames(monkeypatch):
    monkeypatch.setattr("stajax.evaluation.evaluate.CHUNK", 2)
    scored, seen = [], []
    score = Scorer.score

    def counted(self, video, frames, *rest):
        scored.extend(frames)
        return score(self, video, frames, *rest)

    monkeypatch.setattr(Scorer, "score", counted)
    evaluate(EXPERIMENT, DATA, "stavis", progress=lambda progress: seen.append((progress.done, len(scored))))
    assert len(seen) > 10 and all(done == there for done, there in seen)


def test_a_missing_and_a_broken_map_are_rows_with_a_reason(experiment):
    whole = evaluate(EXPERIMENT, DATA, "stavis", datasets=["AVAD"])
    (experiment / V2).unlink()
    (experiment / V2.replace("11", "13")).write_text("no picture")
    e = evaluate(experiment, DATA, "stavis", datasets=["AVAD"])
    assert row(e, 11, video="V2")["note"] == "no prediction"
    assert "pred_sal_000013.jpg is not a readable image" in row(e, 13, video="V2")["note"]
    assert e.notes["no prediction"] == e.notes["broken prediction"] == 1
    changed = (e.rows["video"] == "V2") & np.isin(e.rows["frame"], [11, 13])
    for metric in METRICS:
        assert np.isnan(e.rows[metric][changed]).all()
        np.testing.assert_array_equal(e.rows[metric][~changed], whole.rows[metric][~changed])
    with pytest.raises(DataError, match="no prediction: AVAD V2, frame 11"):
        evaluate(experiment, DATA, "stavis", strict=True)


def test_maps_with_nan_or_out_of_range_are_broken_and_others_are_not(tmp_path):
    maps = np.random.default_rng(0).random((14, 6, 8))
    maps[9, 0, 0], maps[10, 0, 0] = np.nan, 3
    (tmp_path / "V1").mkdir()
    np.savez(tmp_path / "V1/maps.npz", maps=maps)
    e = evaluate(tmp_path, DATA, "stavis")
    assert row(e, 9, video="V1")["note"] == ""
    assert "NaN or infinity" in row(e, 10, video="V1")["note"]
    assert "values outside [0, 1]" in row(e, 11, video="V1")["note"]
    assert e.notes == {"broken prediction": 2}
    assert row(evaluate(tmp_path, DATA, "stavis", compat="mit"), 11, video="V1")["note"] == ""


def test_a_clip_that_is_too_short_misses_its_last_frames(tmp_path):
    (tmp_path / "V1").mkdir()
    np.savez(tmp_path / "V1/maps.npz", maps=np.random.default_rng(0).random((12, 6, 8)))
    e = evaluate(tmp_path, DATA, "stavis")
    assert e.rows["frame"][e.rows["note"] == "no prediction"].tolist() == [13, 14]


def test_a_broken_archive_counts_as_broken_frames(experiment, tmp_path):
    for name in ("V1", "V3"):
        (tmp_path / "pred" / name).mkdir(parents=True)
    np.savez(tmp_path / "pred/V1/maps.npz", maps=np.random.default_rng(0).random((14, 6, 8)))
    (tmp_path / "pred/V3/maps.npz").write_text("nothing")
    e = evaluate(tmp_path / "pred", DATA, "stavis")
    assert e.notes == {"broken prediction": 5}
    with pytest.raises(DataError, match="not a readable npz"):
        evaluate(tmp_path / "pred", DATA, "stavis", datasets=["AVAD"], splits=["2"], strict=True)


def test_a_broken_truth_spoils_its_frame_or_its_video(data):
    (data / "annotations/AVAD/V1/maps/eyeMap_00010.jpg").write_text("no picture")
    (data / "annotations/AVAD/V3/fixMap_00002.mat").write_bytes(b"nothing")
    e = evaluate(EXPERIMENT, data, "stavis", datasets=["AVAD"])
    assert "eyeMap_00010.jpg is not a readable image" in row(e, 10, video="V1")["note"]
    notes = e.select(video="V3")["note"]  # the shuffled AUC needs all frames of a video
    assert all("fixMap_00002.mat is not a readable .mat file" in note for note in notes)
    assert e.notes["broken truth"] == 1 + len(notes)
    with pytest.raises(DataError, match="eyeMap_00010"):
        evaluate(EXPERIMENT, data, "stavis", strict=True)


def test_a_missing_fixation_map_breaks_its_frame_alone(data):
    whole = evaluate(EXPERIMENT, data, "stavis", datasets=["AVAD"])
    for frame in (2, 10):  # 2 is never scored
        (data / f"annotations/AVAD/V1/fixMap_{frame:05d}.mat").unlink()
    e = evaluate(EXPERIMENT, data, "stavis", datasets=["AVAD"])
    here = e.rows["video"] == "V1"
    broken = np.char.startswith(e.rows["note"], "broken truth: STAViS: no file")
    assert e.rows["frame"][here & broken].tolist() == [10] and broken.sum() == 1
    np.testing.assert_array_equal(e.rows["nss"][~broken], whole.rows["nss"][~broken])
    assert "1 of 22 frames: broken truth, the first: STAViS: no file" in e.table()


def test_a_prediction_without_a_score_is_refused_with_the_reason(tmp_path):
    (tmp_path / "V1").mkdir()
    (tmp_path / "V1/maps.npz").write_text("nothing")
    with pytest.raises(
        DataError, match=r"no frame could be scored; the first, AVAD V1, frame 9: broken prediction: .*not a readable npz"
    ):
        evaluate(tmp_path, DATA, "stavis", baselines=["chance"])


@pytest.mark.parametrize("call", [lambda *where: evaluate(EXPERIMENT, *where), possible_baselines])
def test_no_frame_to_score_is_one_clear_line(data, tmp_path, call):
    for fold in "123":
        (data / f"fold_lists/AVAD_list_test_{fold}_fps.txt").write_text("V1 8 25\n")
    for path in (data / "fold_lists").glob("DIEM*"):
        path.unlink()
    (tmp_path / "plain/fixations").mkdir(parents=True)
    (tmp_path / "plain/fixations/a.csv").write_text("frame,x,y\n")
    (tmp_path / "plain/sizes.csv").write_text("name,width,height\na,8,6\n")
    for root, protocol in ((data, "stavis"), (tmp_path / "plain", "plain")):
        with pytest.raises(DataError, match=f"{protocol}: no frame to score in {root}"):
            call(root, protocol)


def test_a_frame_without_a_human_score_has_a_note(tmp_path):
    (tmp_path / "fixations").mkdir()
    (tmp_path / "fixations/a.csv").write_text("x,y\n1,1\n2,2\n")  # it is not known whose
    (tmp_path / "fixations/b.csv").write_text("x,y,observer\n1,1,p\n90,90,q\n")  # q's lies outside
    (tmp_path / "fixations/c.csv").write_text("x,y,observer\n1,1,p\n3,4,q\n")
    (tmp_path / "sizes.csv").write_text("name,width,height\na,8,6\nb,8,6\nc,8,6\n")
    notes = evaluate(None, tmp_path, "plain", baselines=["human"]).rows["note"].tolist()
    assert notes == [
        "no human score: plain: the fixations of a have no column observer",
        "no human score: human: needs 2 observers with fixations on the image, got 1",
        "",
    ]


def test_a_training_part_without_annotations_has_no_centre_prior(data):
    (data / "fold_lists/AVAD_list_train_1_fps.txt").write_text("gone 12 30\n")
    e = evaluate(EXPERIMENT, data, "stavis", datasets=["AVAD"], splits=["1", "2"], baselines=["centre_prior"])
    rows = e.select(model="centre_prior", split="1")
    assert np.isnan(rows["nss"]).all() and all(note.startswith("no centre prior: STAViS: no file") for note in rows["note"])
    alone = e.select(model="centre_prior", video="V3")  # of the second fold, which has no training list
    assert np.isfinite(alone["nss"]).any()


def test_all_scores_every_video_of_the_lists_once(data):
    (data / "fold_lists/AVAD_list_test_1_fps.txt").write_text("V2 15 25\n")
    for fold in "123":
        (data / f"fold_lists/AVAD_list_train_{fold}_fps.txt").write_text("V1 14 25\nV2 15 25\n")
    e = evaluate(None, data, "stavis", datasets=["AVAD"], baselines=["chance"], options={"all": 1})
    pairs = list(zip(e.rows["video"].tolist(), e.rows["frame"].tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) and set(e.rows["split"]) == {""}
    assert set(e.rows["video"]) == {"V1", "V2", "V3", "V4"}
    with pytest.raises(ValueError, match="leave the splits out"):
        evaluate(None, data, "stavis", splits=["1"], baselines=["chance"], options={"all": 1})


def test_a_truth_in_two_sizes_is_one_clear_line(data):
    path = data / "annotations/AVAD/V1/maps/eyeMap_00010.jpg"
    Image.new("L", (20, 10), 100).save(path)
    note = row(evaluate(EXPERIMENT, data, "stavis", datasets=["AVAD"]), 10, video="V1")["note"]
    assert "eyeMap_00010.jpg is 20x10; they must agree" in note


def test_videos_without_prediction_are_listed_and_strict_refuses(experiment):
    shutil.rmtree(experiment / "split2_results/avad/V3")
    e = evaluate(experiment, DATA, "stavis")
    assert e.settings["videos_without_prediction"] == ["AVAD/V3"]
    assert "V3" not in e.rows["video"]
    with pytest.raises(DataError, match="no prediction for AVAD/V3"):
        evaluate(experiment, DATA, "stavis", strict=True)


def test_a_centre_prior_is_fitted_to_the_training_list_of_the_fold(data, monkeypatch):
    monkeypatch.setattr("stajax.evaluation.protocols.stavis.STRIDE", 1)
    (data / "fold_lists/AVAD_list_train_1_fps.txt").write_text("V4 12 30\n")
    e = evaluate(None, data, "stavis", datasets=["AVAD"], splits=["1"], baselines=["centre_prior"])
    assert e.settings["centre_prior"] == ["AVAD/AVAD_list_train_1_fps.txt"]
    assert set(e.rows["video"]) == {"V1", "V2"}
    fixed = evaluate(None, DATA, "stavis", datasets=["AVAD"], splits=["1"], baselines=["centre_prior"])
    assert "no training split" in fixed.settings["centre_prior"]
    assert not np.array_equal(e.rows["nss"], fixed.rows["nss"], equal_nan=True)


def test_a_baseline_without_pictures_says_so_frame_by_frame():
    e = evaluate(EXPERIMENT, DATA, "stavis", datasets=["AVAD"], baselines=["itti"])
    assert np.isfinite(e.select(model="itti", video="V1")["nss"]).all()  # the only one with pictures
    assert all(note.startswith("no picture: STAViS: no image") for note in e.select(model="itti", video="V3")["note"])


def test_written_files_and_the_frames_to_look_at(tmp_path):
    e = evaluate(EXPERIMENT, DATA, "stavis", datasets=["AVAD"], name="net")
    assert e.models == ("net",)
    paths = write(e, tmp_path / "new/out")
    assert sorted(path.name for path in (tmp_path / "new/out").iterdir()) == sorted(path.name for path in paths)
    again = read_json(tmp_path / "new/out/results.json")
    for column in COLUMNS:
        np.testing.assert_array_equal(again.rows[column], e.rows[column])
    shown = look_up(again)("AVAD", "1", "V1", 9)
    with Image.open(EXPERIMENT / "split1_results/avad/V1/pred_sal_000009.jpg") as file:
        np.testing.assert_array_equal(shown.saliency, np.asarray(file) / 255)
    with Image.open(DATA / "annotations/AVAD/V1/maps/eyeMap_00009.jpg") as file:
        np.testing.assert_array_equal(shown.density, np.asarray(file) / 255)
    assert shown.image.shape[2] == 3 and shown.fixations.shape == shown.density.shape
    assert look_up(again)("AVAD", "2", "V3", 9).image is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"protocol": "dhf1k"}, "no protocol 'dhf1k'; there are stavis, diem, osie, ucf, plain"),
        ({"compat": "matlab"}, "compat is 'matlab', give one of mit, stavis, pysaliency"),
        ({"baselines": ["random"]}, "no baseline 'random'"),
        ({"baselines": ["chance", "chance"]}, "named twice"),
        ({"baselines": ["chance"], "name": "chance"}, "the prediction has the name of a baseline"),
        ({"name": "gbvs"}, "the prediction has the name of a baseline"),
        ({"baselines": ["human"]}, "do not say who looked where"),
        ({"datasets": ["DHF1K"]}, "stavis: no data set DHF1K; there are AVAD, DIEM"),
        ({"splits": ["4"]}, "stavis: no split 4"),
        ({"options": {"sigma": 3}}, "stavis: no option sigma; there are first_frame"),
        ({"workers": 0}, "0 workers"),
        ({"pred": None}, "give predictions or baselines"),
        ({"truth": EXPERIMENT}, "must hold the folders fold_lists and annotations"),
        ({"pred": DATA}, r"no prediction for any of 6 videos; looked for such as V1/maps\.npz"),
    ],
)
def test_bad_arguments_are_one_clear_line(arguments, message):
    arguments = {"pred": EXPERIMENT, "truth": DATA, "protocol": "stavis"} | arguments
    with pytest.raises(ValueError, match=message) as error:
        evaluate(**arguments)
    assert "\n" not in str(error.value)
