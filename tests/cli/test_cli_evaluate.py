"""`stajax evaluate` on the small STAViS packaging: its files, its table against the reference, and one line for bad input."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from commands import bad, stajax
from inference.tiny import no_file_over

from stajax.evaluation.results import COLUMNS, read_json

GOLDENS = Path(__file__).parents[1] / "goldens/metrics"
PRED, TRUTH = GOLDENS / "stavis_mini/experiment", GOLDENS / "stavis_mini/data"
STAVIS = ["--truth", TRUTH, "--protocol", "stavis"]
FILES = ["per_frame.csv", "per_video.csv", "report.html", "results.json"]
BY_EVERYONE = ["chance", "centre_prior"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with baselines, and what it wrote."""
    out = tmp_path_factory.mktemp("evaluation") / "new/scores"
    return stajax("evaluate", "--pred", PRED, *STAVIS, "--baselines", "-o", out), out


def rows(text):
    """data set, model -> the row's cells."""
    found, dataset = {}, ""
    for line in text.splitlines()[1:]:
        if line.startswith("mean over"):
            break
        dataset = line.split()[0] if not line.startswith(" ") else dataset
        model, *cells = line.split()[not line.startswith(" ") :]
        found[dataset, model] = [cell for cell in cells if not cell.startswith("±")]
    return found


def test_files_and_screen_of_a_run_with_baselines(run):
    result, out = run
    assert (result.code, result.err) == (0, "")
    assert sorted(path.name for path in out.iterdir()) == FILES
    assert f"{out / 'report.html'}, with results.json, per_frame.csv and per_video.csv beside it" in result.out.splitlines()
    assert "3 of 49 frames: no fixation, SIM counted as 0" in result.out and "1 of 49 frames: all-zero map" in result.out
    models = {model for _, model in rows(result.out)}
    assert {"experiment", *BY_EVERYONE, "itti", "gbvs"} <= models and "human" not in models
    page = (out / "report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html") and not re.search(r'(src|href)="https?:[^"]*\.(js|css|png)', page)
    with (out / "per_frame.csv").open() as file:
        assert sum(row["model"] == "experiment" for row in csv.DictReader(file)) == 22 + 3 * 9


def test_the_table_against_the_reference(run):
    """STAViS's own averages, of four digits, but for the shuffled AUC, which it draws at random."""
    reference = json.loads((GOLDENS / "stavis_expected.json").read_text())["matlab_resize_semantics"]
    reference = reference["final_results_txt_4_decimals_per_rep"]
    names = {"AUC-J": "AUC_Judd", "SIM": "Similarity", "CC": "CC", "NSS": "NSS"}
    columns = run[0].out.splitlines()[0].split()[3:]
    for dataset, averages in reference.items():
        shown = dict(zip(columns, rows(run[0].out)[dataset, "experiment"], strict=True))
        for column, name in names.items():
            assert float(shown[column]) == pytest.approx(averages[name][0], abs=0.00056), (dataset, column)


def test_workers_give_the_same_files(run, tmp_path):
    result = stajax("evaluate", "--pred", PRED, *STAVIS, "--baselines", "chance,centre_prior", "--workers", 2, "-o", tmp_path)
    assert (result.code, result.err) == (0, "")
    one, two = (read_json(out / "results.json").rows for out in (run[1], tmp_path))
    chosen = np.isin(one["model"], ["experiment", *BY_EVERYONE])
    for column in COLUMNS:
        np.testing.assert_array_equal(two[column], one[column][chosen], err_msg=column)
    ours = {key: cells for key, cells in rows(run[0].out).items() if key[1] in ("experiment", *BY_EVERYONE)}
    assert rows(result.out) == ours


def test_baselines_alone(tmp_path):
    result = stajax("evaluate", *STAVIS, "--baselines", "centre_prior", "--datasets", "DIEM", "-o", tmp_path / "out")
    assert result.code == 0 and list(rows(result.out)) == [("DIEM", "centre_prior")]


@pytest.fixture
def maps(tmp_path):
    """Results as `stajax predict` writes them, of one of the two videos of AVAD's first fold."""
    (tmp_path / "pred/V1").mkdir(parents=True)
    values = np.random.default_rng(0).random((14, 6, 8)).astype(np.float16)
    np.savez(tmp_path / "pred/V1/maps.npz", maps=values, time=np.arange(14) / 25, fps=25.0)
    return tmp_path / "pred"


FIRST = [*STAVIS, "--datasets", "AVAD", "--splits", "1"]


def test_videos_without_prediction_are_told(maps, tmp_path):
    result = stajax("evaluate", "--pred", maps, *FIRST, "-o", tmp_path / "out", "--name", "mine")
    assert result.code == 0 and rows(result.out)["AVAD", "mine"][0] == "1"
    assert result.lines == ["stajax: warning: without a prediction and left out: AVAD/V2"]
    line = bad("evaluate", "--pred", maps, *FIRST, "-o", tmp_path / "strict", "--strict")
    assert line == f"stajax: {maps}: no prediction for AVAD/V2"
    assert not (tmp_path / "strict").exists()


def test_a_map_with_nan_is_counted_and_stops_a_strict_run(maps, tmp_path):
    values = np.random.default_rng(0).random((14, 6, 8))
    values[9, 2, 3] = np.nan
    np.savez(maps / "V1/maps.npz", maps=values)
    shutil.copytree(maps / "V1", maps / "V2")
    np.savez(maps / "V2/maps.npz", maps=np.random.default_rng(1).random((15, 6, 8)))
    result = stajax("evaluate", "--pred", maps, *FIRST, "-o", tmp_path / "out")
    assert result.code == 0 and "1 of 13 frames: broken prediction, the first: " in result.out
    with (tmp_path / "out/per_frame.csv").open() as file:
        (row,) = (row for row in csv.DictReader(file) if row["note"].startswith("broken"))
    assert (row["video"], row["frame"]) == ("V1", "10") and "NaN" in row["note"]
    for workers in (1, 2):
        line = bad("evaluate", "--pred", maps, *FIRST, "-o", tmp_path / "strict", "--strict", "--workers", workers)
        assert "V1" in line and "NaN" in line
    assert not (tmp_path / "strict").exists()


def test_a_prediction_without_a_score_leaves_no_folder(maps, tmp_path):
    (maps / "V1/maps.npz").write_text("nothing")
    line = bad("evaluate", "--pred", maps, *FIRST, "-o", tmp_path / "out", "--baselines", "chance", code=2)
    assert "no frame could be scored; the first, AVAD V1, frame 9: broken prediction: " in line
    assert "V1/maps.npz is not a readable npz" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"--protocol": "dhf1k"}, "no protocol 'dhf1k'; there are stavis, diem, osie, ucf, plain"),
        ({"--option": "bad"}, "--option bad: give KEY=VALUE, such as sigma=32"),
        ({"--option": "first_frame=two"}, "stavis: first_frame is two, it must be a whole number of at least 1"),
        ({"--option": "first_frame=nan"}, "stavis: first_frame is nan, it must be a whole number of at least 1"),
        ({"--option": "other=vdeo"}, "stavis: other is vdeo, give video, dataset, n_random or the path of a map"),
        ({"--option": "n_random=0"}, "stavis: n_random is 0, it must be a whole number of at least 1"),
        ({"--option": "empty=keep"}, "stavis: empty is keep, give zero or drop"),
        ({"--option": "blank=0"}, "stavis: blank is 0, give drop or chance"),
        (
            {"--also": "kl"},
            "no metric beside the five 'kl'; there are auc, auc_judd_chance, auc_borji, kl_divergence, info_gain",
        ),
        ({"--option": "sigma=3"}, "stavis: no option sigma; there are first_frame"),
        ({"--compat": "matlab"}, "compat is 'matlab', give one of mit, stavis, pysaliency"),
        ({"--baselines": "gvbs"}, "no baseline 'gvbs'; there are chance, "),
        ({"--baselines": "human"}, "do not say who looked where"),
        ({"--datasets": "avad"}, "stavis: no data set avad; there are AVAD, DIEM"),
        ({"--splits": "4"}, "stavis: no split 4"),
        ({"--pred": "nowhere"}, "no folder of predictions nowhere"),
        ({"--pred": "EMPTY"}, "the folder of predictions EMPTY is empty"),
        ({"--pred": TRUTH}, "no prediction for any of 6 videos; looked for such as V1/maps.npz"),
        ({"--truth": "nowhere"}, "nowhere must hold the folders fold_lists and annotations"),
        ({"--truth": "EMPTY"}, "EMPTY must hold the folders fold_lists and annotations"),
        ({"--pred": None}, "nothing to score: give predictions or baselines"),
        ({"--truth": None}, "the following arguments are required: --truth"),
        ({"--protocol": None}, "the following arguments are required: --protocol"),
        ({"--workers": "0"}, "argument --workers: '0' is not a whole number in 1..1024"),
        ({"--average": "mean"}, "argument --average: invalid choice: 'mean'"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(tmp_path, monkeypatch, changes, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    options = {"--pred": PRED, "--truth": TRUTH, "--protocol": "stavis", **changes}
    given = [x for key, value in options.items() if value is not None for x in (key, value)]
    assert says in bad("evaluate", *given, "-o", "out")
    assert [path.name for path in tmp_path.iterdir()] == ["EMPTY"]


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    command = ["evaluate", "--pred", PRED, *STAVIS, "-o"]
    assert bad(*command, tmp_path / "file", code=1) == f"stajax: {tmp_path / 'file'}: a file, not a folder; choose another -o"
    assert "below: cannot be written (Not a directory)" in bad(*command, tmp_path / "file/below", code=1)
    with no_file_over(1000):
        line = bad(*command, tmp_path / "out", code=1)
    assert "cannot be written (File too large)" in line and not list((tmp_path / "out").iterdir())
