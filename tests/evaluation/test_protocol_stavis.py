"""STAViS' protocol on its packaging in small, from files on disk, against what its own MATLAB code gave (run under Octave)."""

import json
from pathlib import Path

import numpy as np
import pytest

from stajax.evaluation.evaluate import evaluate
from stajax.evaluation.results import METRICS

GOLDENS = Path(__file__).parents[1] / "goldens/metrics"
MINI = GOLDENS / "stavis_mini"
SCRIPT_NAMES = {"cc": "CC", "similarity": "similarity", "nss": "NSS", "auc_judd": "AUC_Judd", "auc_shuffled": "AUC_shuffled1"}
FINAL_NAMES = SCRIPT_NAMES | {"similarity": "Similarity", "auc_shuffled": "AUC_shuffled"}
# auc_judd: the goldens' jitter is random; auc_shuffled: so are its draws, the mean over 6 runs of 100 of them
TOLERANCE = {"cc": 1e-12, "similarity": 1e-13, "nss": 1e-12, "auc_judd": 3e-5}


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(MINI / "experiment", MINI / "data", "stavis")


@pytest.fixture(scope="module")
def expected():
    return json.loads((GOLDENS / "stavis_expected.json").read_text())["matlab_resize_semantics"]


def close(metric, values, golden):
    """golden: a number or list, or the mean and standard deviation of 6 random ones."""
    if metric == "auc_shuffled":
        error = np.abs(np.subtract(values, golden["mean_over_reps"]))
        np.testing.assert_array_less(error, 4 * np.array(golden["std_over_reps"]) / np.sqrt(6) + 1e-3)
    else:
        golden = golden["mean_over_reps"] if isinstance(golden, dict) else golden
        np.testing.assert_allclose(values, golden, rtol=0, atol=TOLERANCE[metric])


def keys(expected):
    for key, golden in expected["videos"].items():
        folder, video = key.split("/")
        dataset, _, _, split = folder.split("_")
        yield {"dataset": dataset.upper(), "split": split[-1], "video": video}, golden


def test_every_frame_equals_the_reference(evaluation, expected):
    compared = 0
    for where, golden in keys(expected):
        rows = evaluation.select(**where)
        for metric in METRICS:
            kept = rows[metric][~np.isnan(rows[metric])]
            close(metric, kept, golden["per_frame_after_NaN_removal"][SCRIPT_NAMES[metric]])
            compared += len(kept)
    assert compared == (~np.isnan([evaluation.rows[metric] for metric in METRICS])).sum() > 200


def test_every_video_equals_the_reference(evaluation, expected):
    table = evaluation.per_video()
    found = list(keys(expected))
    assert len(found) == len(table["video"]) == 10
    for where, golden in found:
        (i,) = np.flatnonzero(np.all([table[name] == value for name, value in where.items()], axis=0))
        for metric in METRICS:
            close(metric, table[metric][i], golden["video_mean"][SCRIPT_NAMES[metric]])


def test_every_data_set_equals_the_reference(evaluation, expected):
    scores = {score.dataset: score for score in evaluation.per_dataset("splits")}
    assert set(scores) == set(expected["final_results_txt_4_decimals_per_rep"])
    for name, golden in expected["final_results_txt_4_decimals_per_rep"].items():
        for metric in METRICS:
            values = np.array(golden[FINAL_NAMES[metric]])
            random = 4 * values.std(ddof=1) / np.sqrt(6) + 1e-3 if metric == "auc_shuffled" else 0
            assert abs(scores[name].scores[metric].mean - values.mean()) <= 5e-5 + random + (
                1e-6 if metric == "auc_judd" else 0
            )


def test_frames_without_fixation_count_as_zero_in_sim_only_and_are_said(evaluation):
    rows = evaluation.select(video="V2")
    assert rows["frame"].tolist() == [9, 10, 11, 12, 13, 14, 15]
    blank, zero = 1, 3  # frame 10 has no fixation, the prediction of frame 12 is all zero
    assert rows["similarity"][blank] == 0 and np.isnan(rows["similarity"][zero])
    for metric in set(METRICS) - {"similarity"}:
        assert np.flatnonzero(np.isnan(rows[metric])).tolist() == [blank, zero]
    assert rows["note"][[0, blank, zero]].tolist() == ["", "no fixation, SIM counted as 0", "all-zero map"]
    assert evaluation.notes == {"no fixation, SIM counted as 0": 3, "all-zero map": 1}


def test_frame_numbers_and_times_count_from_one(evaluation):
    rows = evaluation.select(video="D2", split="1")
    assert rows["frame"].tolist() == [9, 10, 11, 12]
    np.testing.assert_allclose(rows["time"], np.array([8, 9, 10, 11]) / 30)


def test_maps_in_one_folder_are_scored_once_and_count_for_each_split(tmp_path, evaluation):
    from PIL import Image

    for folder, name in ((MINI / "experiment/split1_results/diem", "D2"), (MINI / "experiment/split1_results/avad", "V1")):
        pictures = sorted((folder / name).iterdir())
        maps = np.stack([np.asarray(Image.open(path)) for path in pictures])
        (tmp_path / "pred" / name).mkdir(parents=True)
        early = np.zeros((8, *maps.shape[1:]), np.uint8)  # map 0 is frame 1, the pictures begin with frame 9
        np.savez(tmp_path / "pred" / name / "maps.npz", maps=np.concatenate([early, maps]), time=np.arange(8 + len(maps)) / 30)
    e = evaluate(tmp_path / "pred", MINI / "data", "stavis")
    assert e.settings["videos_without_prediction"] == ["AVAD/V2", "AVAD/V3", "AVAD/V4", "DIEM/D1_clip_1280x720"]
    for metric in METRICS:
        for split in "123":
            d2 = evaluation.select(video="D2", split="1")[metric]
            np.testing.assert_array_equal(e.select(video="D2", split=split)[metric], d2)
        np.testing.assert_array_equal(e.select(video="V1")[metric], evaluation.select(video="V1")[metric])
