"""The metrics beside the five, on request: their columns against the functions, in every file, on screen and in the report."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from commands import stajax
from PIL import Image
from report_examples import Page, cells

from stajax.evaluation import metrics
from stajax.evaluation.evaluate import evaluate, write
from stajax.evaluation.protocols import open_protocol
from stajax.evaluation.report import write_html
from stajax.evaluation.results import LABELS, METRICS, read_json
from stajax.evaluation.scoring import fixed_prior

MINI = Path(__file__).parents[1] / "goldens/metrics/stavis_mini"
PRED, DATA = MINI / "experiment", MINI / "data"


@pytest.fixture(scope="module")
def e():
    return evaluate(PRED, DATA, "stavis", datasets=["AVAD"], baselines=["centre_prior"], also=metrics.BESIDE)


def test_measure_equals_the_single_functions(metric_goldens):
    saliency, fixations, density, other = metric_goldens.case("good_60x80")
    prior = np.outer(np.hanning(60), np.hanning(80))
    for compat in metrics.COMPAT:
        found = metrics.measure(
            metrics.BESIDE[::-1], saliency, fixations, density, other, baseline=prior, compat=compat, nan_policy="matlab"
        )
        assert list(found) == list(metrics.BESIDE[::-1])
        assert found == {
            "auc": metrics.auc(saliency, fixations, compat=compat),
            "auc_judd_chance": metrics.auc_judd_chance(np.count_nonzero(fixations)),
            "auc_borji": metrics.auc_borji(saliency, fixations, compat=compat),
            "kl_divergence": metrics.kl_divergence(saliency, density, compat=compat),
            "info_gain": metrics.info_gain(saliency, fixations, prior, compat=compat),
        }


def test_measure_refuses_what_it_cannot():
    flat = np.eye(3)
    with pytest.raises(ValueError, match="no metric 'kl'; there are auc_judd, similarity"):
        metrics.measure(["kl"], flat, flat, flat, flat)
    with pytest.raises(ValueError, match="info_gain needs a baseline"):
        metrics.measure(["info_gain"], flat, flat, flat, flat)


def test_every_column_equals_its_function(e):
    rules = open_protocol("stavis", DATA, datasets=["AVAD"])
    video = next(video for video in rules.videos if video.name == "V3")
    rows = {name: values[e.rows["frame"] == 11] for name, values in e.rows.items()}
    i = np.flatnonzero((rows["video"] == "V3") & (rows["model"] == "experiment"))[0]
    with Image.open(PRED / "split2_results/avad/V3/pred_sal_000011.jpg") as file:
        saliency = np.asarray(file) / 255
    truth = rules.truth(video, 11, rules.gather(video))
    expected = metrics.measure(metrics.BESIDE, saliency, *truth, baseline=fixed_prior(), compat="stavis")
    assert {name: rows[name][i] for name in metrics.BESIDE} == expected
    prior = e.select(model="centre_prior")["info_gain"]  # over itself; STAViS blurs the map and not the baseline
    assert np.nanmax(np.abs(prior)) < 0.1 < np.nanmax(np.abs(e.select(model="experiment")["info_gain"]))
    assert "no training split" in e.settings["centre_prior"]


def test_the_five_are_as_without_the_others(e):
    plain = evaluate(PRED, DATA, "stavis", datasets=["AVAD"], baselines=["centre_prior"])
    for metric in METRICS:
        np.testing.assert_array_equal(plain.rows[metric], e.rows[metric])
    assert plain.metrics == METRICS and e.metrics == METRICS + metrics.BESIDE
    few = evaluate(PRED, DATA, "stavis", datasets=["AVAD"], also=["kl_divergence", "auc"])
    assert few.metrics == (*METRICS, "auc", "kl_divergence") and "centre_prior" not in few.settings


def test_files_hold_them_and_give_them_back(e, tmp_path):
    write(e, tmp_path)
    again = read_json(tmp_path / "results.json")
    assert again.metrics == e.metrics
    for name in e.columns:
        np.testing.assert_array_equal(again.rows[name], e.rows[name])
    with (tmp_path / "per_frame.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == e.columns
    assert [float(line["auc"] or "nan") for line in lines] == pytest.approx(e.rows["auc"].tolist(), abs=0, nan_ok=True)
    with (tmp_path / "per_video.csv").open() as file:
        lines = list(csv.DictReader(file))
    chance = [float(line["auc_judd_chance"]) for line in lines]
    assert chance == e.per_video()["auc_judd_chance"].tolist()
    summary = json.loads((tmp_path / "results.json").read_text())["summary"]["splits"][0]["scores"]
    assert list(summary) == list(e.metrics)


def test_chance_of_auc_judd_is_the_mean_over_the_frames_that_have_an_auc_judd(e):
    rows = e.select(model="experiment", video="V2")
    np.testing.assert_array_equal(np.isnan(rows["auc_judd_chance"]), np.isnan(rows["auc_judd"]))
    rules = open_protocol("stavis", DATA, datasets=["AVAD"])
    video = next(video for video in rules.videos if video.name == "V2")
    counts = [np.count_nonzero(rules.truth(video, frame, None).fixations > 0) for frame in video.frames]
    there = ~np.isnan(rows["auc_judd"])
    expected = [0.5 + 0.5 / (n + 1) for n, kept in zip(counts, there, strict=True) if kept]
    assert rows["auc_judd_chance"][there].tolist() == pytest.approx(expected)


def test_the_report_has_their_columns_curves_and_definitions(e, tmp_path):
    write_html(e, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text())
    labels = [LABELS[metric] for metric in e.metrics]
    heads = [head.text for head in page.all("table", class_="scores")[0].all("thead")[0].all("th")]
    assert heads == ["Model", *labels, "Videos", "Frames"]
    (row,) = page.all("table", class_="scores")[0].all("tr", class_="prediction")
    score = e.per_dataset()[0]
    assert [cell.startswith(f"{score.scores[m].mean:.3f}") for cell, m in zip(cells(row)[1:], e.metrics, strict=False)] == [
        True
    ] * 10
    paper = page.all("tbody", class_="paper")[0].all("tr")[1]
    assert len(cells(paper)) == len(heads) and cells(paper)[6:] == [""] * 7
    drawn = [metric["label"] for metric in json.loads(page.one("script", id="curves").text)["metrics"]]
    assert drawn == [label for label in labels if label != "AUC-J chance"]
    terms = [term.text for term in page.one("section", id="definitions").all("dt")]
    assert set(labels[5:]) <= set(terms)
    called = page.one("section", id="reproduce").all("pre")[-1].text
    assert "also=('auc', 'auc_judd_chance', 'auc_borji', 'kl_divergence', 'info_gain')" in called


def test_bold_is_the_lowest_divergence_and_no_chance_level(tmp_path):
    both = evaluate(None, DATA, "stavis", datasets=["AVAD"], baselines=["centre_prior", "chance"], also=metrics.BESIDE)
    write_html(both, tmp_path / "report.html")
    table = Page((tmp_path / "report.html").read_text()).all("table", class_="scores")[0]
    bold = {}
    for row in table.all("tr", class_="baseline"):
        for cell, metric in zip(row.all("td"), both.metrics, strict=False):
            bold.setdefault(metric, []).append(bool(cell.all("b")))
    means = {score.model: score.scores for score in both.per_dataset()}
    lowest = [means[model]["kl_divergence"].mean for model in both.models]
    assert bold["kl_divergence"] == [value == min(lowest) for value in lowest]
    assert bold["auc_judd_chance"] == [False, False]


def test_observers_have_them_too(tmp_path):
    (tmp_path / "fixations").mkdir()
    points = np.random.default_rng(0).random((40, 2)) * (60, 40)
    for name in "ab":
        lines = "".join(f"{x:.2f},{y:.2f},{'pqrs'[i % 4]}\n" for i, (x, y) in enumerate(points))
        (tmp_path / f"fixations/{name}.csv").write_text("x,y,observer\n" + lines)
    (tmp_path / "sizes.csv").write_text("name,width,height\na,60,40\nb,60,40\n")
    e = evaluate(None, tmp_path, "plain", baselines=["human"], also=metrics.BESIDE)
    assert all(np.isfinite(e.rows[metric]).all() for metric in e.metrics)
    assert e.rows["auc_judd_chance"][0] == pytest.approx(0.5 + 0.5 / 11)  # ten fixations of each observer


def test_the_command_takes_some_or_all_and_shows_them(tmp_path):
    given = ["evaluate", "--pred", PRED, "--truth", DATA, "--protocol", "stavis", "--datasets", "AVAD", "--splits", "2"]
    result = stajax(*given, "--also", "auc,auc_judd_chance", "-o", tmp_path / "some")
    head, row = result.out.splitlines()[:2]
    assert result.code == 0 and head.split("  ")[-1].strip() == "AUC-J chance"
    e = read_json(tmp_path / "some/results.json")
    (score,) = e.per_dataset()
    assert row.rstrip().endswith(f"{score.scores['auc_judd_chance'].mean:.3f}")
    result = stajax(*given, "--also", "all", "--option", "other=dataset", "empty=drop", "-o", tmp_path / "all")
    assert result.code == 0
    e = read_json(tmp_path / "all/results.json")
    assert e.metrics == METRICS + metrics.BESIDE
    assert (e.settings["empty"], e.settings["options"]["other"]) == ("drop", "dataset")
