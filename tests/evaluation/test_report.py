"""stajax/evaluation/report: what the page says against the evaluation, whatever names it holds, and nothing from elsewhere."""

import base64
import hashlib
import io
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_examples import HOSTILE, Page, cells, evaluation

import stajax
from stajax.evaluation.evaluate import evaluate
from stajax.evaluation.report import Picture, example_frames, write_html
from stajax.evaluation.report.curves import BUDGET, curves
from stajax.evaluation.report.pictures import draw
from stajax.evaluation.report.table7 import printed
from stajax.evaluation.results import METRICS, Evaluation
from stajax.evaluation.shown import Shown, look_up
from stajax.media.draw import overlay

MINI = Path(__file__).parents[1] / "goldens/metrics/stavis_mini"
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")


def report(e, tmp_path, **options):
    write_html(e, tmp_path / "report.html", **options)
    return Page((tmp_path / "report.html").read_text(encoding="utf-8"))


def curves_of(page):
    return json.loads(page.one("script", id="curves").text)


def rows_of_table(page, kind):
    return [row for body in page.one("table", class_=kind).all("tbody") for row in body.all("tr")]


def shown(value):
    return "–" if np.isnan(value) else f"{value:.3f}"


def test_nothing_is_loaded_from_elsewhere(tmp_path):
    picture = Picture("Best", PNG, "caption", "alt")
    page = report(evaluation(), tmp_path, pictures=[picture], command="stajax evaluate")
    for element in page.all("a") + page.all("img") + page.all("link") + page.all("script"):
        for name in ("src", "href"):
            assert element.attributes.get(name, "#")[0] == "#" or element.attributes[name].startswith("data:"), (
                element.attributes
            )
    assert not re.search(r"@import|url\(", page.one("style").text)
    addresses = re.findall(r"\w+://[^\"' ]*", (tmp_path / "report.html").read_text())
    assert addresses == ["http://www.w3.org/2000/svg"]  # the name of a namespace


def test_policy_allows_the_one_script_by_its_digest(tmp_path):
    page = report(evaluation(), tmp_path)
    (script,) = [element for element in page.all("script") if "type" not in element.attributes]
    policy = page.one("meta", http_equiv="Content-Security-Policy").attributes["content"]
    assert base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode() in policy
    assert "default-src 'none'" in policy


def test_a_wheel_holds_the_style_and_the_script():
    root = Path(stajax.__file__).parents[1]
    packaged = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    folder = root / "stajax/evaluation/report"
    held = {path for pattern in packaged["stajax.evaluation.report"] for path in folder.glob(pattern)}
    assert held == {path for path in folder.iterdir() if path.is_file() and path.suffix != ".py"} != set()


def test_summary_equals_per_dataset(tmp_path):
    e = evaluation(models=("net", "centre_prior", "human"))
    page = report(e, tmp_path)
    tables = [table for table in page.all("table", class_="scores") if "once" not in table.text]
    rows = [row for table in tables for row in table.all("tr", class_="prediction") + table.all("tr", class_="baseline")]
    scores = e.per_dataset()
    assert len(rows) == len(scores) == 6
    for row, score in zip(rows, scores, strict=True):
        for cell, metric in zip(row.all("td"), METRICS, strict=False):
            interval = score.scores[metric]
            between = "" if np.isnan(interval.low) else f"{interval.low:.3f} to {interval.high:.3f}"
            assert cell.text == f"{interval.mean:.3f}{between}"
        assert [cell.text for cell in row.all("td")[5:]] == [str(score.videos), str(score.frames)]


def test_bold_is_the_highest_mean_of_a_column_but_for_the_ceiling(tmp_path):
    e = evaluation(models=("net", "chance", "human"), listed=[("X", "", "a"), ("X", "", "b")])
    e.rows["nss"][e.rows["model"] == "human"] += 5
    for metric in METRICS:  # all miss what the prediction misses
        missing = np.isnan(e.rows[metric][e.rows["model"] == "net"])
        e.rows[metric][np.tile(missing, 3)] = np.nan
    page = report(e, tmp_path)
    means = {score.model: score.scores for score in e.per_dataset()}
    for row in page.all("tr", class_="prediction") + page.all("tr", class_="baseline"):
        model = cells(row)[0].removesuffix("prediction").removesuffix("baseline")
        for cell, metric in zip(row.all("td"), METRICS, strict=False):
            best = model in means and means[model][metric].mean == max(means[m][metric].mean for m in ("net", "chance"))
            assert bool(cell.all("b")) == best


def test_the_definition_of_the_human_row_says_what_compares(tmp_path):
    page = report(evaluation(models=("net", "human")), tmp_path)
    assert any("Only its NSS and s-AUC compare with a model’s" in element.text for element in page.all("dd"))


def test_nothing_is_bold_where_the_rows_cover_different_frames(tmp_path):
    e = evaluation(models=("net", "chance"), listed=[("X", "", "a"), ("X", "", "b")])
    frames = {score.model: score.frames for score in e.per_dataset()}
    assert frames["net"] < frames["chance"]
    table = report(e, tmp_path).one("table", class_="scores")
    assert not [
        cell for row in table.all("tr", class_="prediction") + table.all("tr", class_="baseline") for cell in row.all("b")
    ]


def test_a_video_in_two_splits_is_also_counted_once(tmp_path):
    e = evaluation()
    page = report(e, tmp_path)
    (table,) = [
        table for detail in page.all("details") for table in detail.all("table", class_="scores") if "AVAD" in table.text
    ]
    once = {score.model: score for score in e.per_dataset("once") if score.dataset == "AVAD"}
    assert table.all("td")[0].text.startswith(f"{once['net'].scores['auc_judd'].mean:.3f}")
    listed_once = [("AVAD", "1", "A1"), ("AVAD", "2", "A2")]
    assert "counted once" not in report(evaluation(listed=listed_once), tmp_path).root.text


def test_paper_rows_stand_below_only_under_its_protocol(tmp_path):
    page = report(evaluation(), tmp_path)
    bodies = page.all("tbody", class_="paper")
    assert len(bodies) == 2
    assert "not measured here" in bodies[0].text
    names = [cells(row)[0] for row in bodies[0].all("tr")[1:]]
    assert "STANetweakly supervised" in names and "STANet+weakly supervised" in names
    assert not report(evaluation(protocol="plain"), tmp_path).all("tbody", class_="paper")
    assert not report(evaluation(listed=[("Other", "1", "a")]), tmp_path).all("tbody", class_="paper")


def test_paper_rows_equal_the_papers_table_7(shared):
    lines = (shared / "reference/PAPER.md").read_text().split("\nTABLE 7\n")[1].split("7 CONCLUSION")[0].split("\n")
    compared, datasets = 0, []
    for line in (line.split("\t") for line in lines if "\t" in line):
        if line[1] == "Dataset":
            datasets = [name.split(" [")[0] for name in line[2:] if name]
        values = {dataset: tuple(line[2 + 5 * i : 7 + 5 * i]) for i, dataset in enumerate(datasets)}
        method = re.sub(r" \[.*|OUR\(|\)", "", line[1])
        for dataset in datasets:
            for row in printed(dataset):
                if row.method == method:
                    assert row.values == tuple(map(float, values[dataset])), (method, dataset)
                    compared += 1
    assert compared == 6 * 8


def test_video_table_equals_per_video(tmp_path):
    e = evaluation()
    videos, rows = e.per_video(), rows_of_table(report(e, tmp_path), "videos")
    assert len(rows) == len(videos["video"])
    for i, row in enumerate(rows):
        values = [shown(videos[metric][i]) for metric in METRICS]
        where = [videos["dataset"][i], videos["split"][i], videos["model"][i].replace("_", " ")]
        assert cells(row) == [videos["video"][i], *where, *values, str(videos["frames"][i])]


def test_headers_of_the_video_table_can_be_sorted_by(tmp_path):
    page = report(evaluation(), tmp_path)
    heads = page.one("table", class_="videos").all("thead")[0].all("th")
    metrics = ["AUC-J", "SIM", "s-AUC", "CC", "NSS"]
    assert [head.text for head in heads] == ["Video", "Data set", "Split", "Model", *metrics, "Frames"]
    for head in heads:
        assert head.attributes["aria-sort"] == "none" and len(head.all("button", type="button")) == 1


def test_every_table_has_a_caption_and_scopes_and_every_picture_a_text(tmp_path):
    page = report(evaluation(), tmp_path, pictures=[Picture("Best", PNG, "caption", "what is seen")])
    for table in page.all("table"):
        assert len(table.all("caption")) == 1
        assert all(head.attributes.get("scope") in ("col", "row", "rowgroup") for head in table.all("th"))
    assert [image.attributes["alt"] for image in page.all("img")] == ["what is seen"]
    identifiers = [element.attributes["id"] for tag in ("section", "h2", "select") for element in page.all(tag)]
    assert len(set(identifiers)) == len(identifiers)
    assert all(link.attributes["href"][1:] in identifiers for link in page.one("nav").all("a"))


def test_curves_equal_the_rows(tmp_path):
    e = evaluation()
    content = curves_of(report(e, tmp_path))
    assert [video["label"] for video in content["videos"]] == [
        "AVAD · A10 · split 1",
        "AVAD · A9 · split 1",
        "AVAD · A9 · split 2",
        "ETMD · E1 · split 3",
    ]
    video = content["videos"][2]
    assert video["frames"] == list(range(9, 21))
    assert video["times"] == [round((frame - 1) / 25, 2) for frame in range(9, 21)]
    for model, values in zip(e.models, video["values"], strict=True):
        rows = e.select(model=model, dataset="AVAD", video="A9", split="2")
        for metric, curve in zip(METRICS, values, strict=True):
            np.testing.assert_allclose(np.array(curve) / 1000, rows[metric], atol=5e-4)
    gap = content["videos"][0]["values"][0][0]
    assert [i for i, value in enumerate(gap) if value is None] == [3, 4]


def test_splits_with_the_same_values_share_a_curve():
    e = evaluation()
    for metric in METRICS:
        second = (e.rows["video"] == "A9") & (e.rows["split"] == "2")
        e.rows[metric][second] = e.rows[metric][(e.rows["video"] == "A9") & (e.rows["split"] == "1")]
    drawn = curves(e)
    assert len(drawn.videos) == 3
    assert drawn.links["AVAD", "2", "A9"] == drawn.links["AVAD", "1", "A9"] == "#video=AVAD%2FA9%2F1"


def test_shortened_curves_are_means_of_neighbouring_frames_and_say_so(tmp_path):
    e = evaluation(models=("net",), listed=[("X", "", "long")], frames=3000)
    page = report(e, tmp_path)
    video = curves_of(page)["videos"][0]
    assert len(video["frames"]) == 600
    assert "mean of up to 5 frames" in page.root.text
    groups = e.rows["cc"].reshape(600, 5)
    expected = [np.nanmean(group) for group in groups]
    np.testing.assert_allclose(np.array(video["values"][0][3]) / 1000, expected, atol=5e-4)


def test_many_long_videos_stay_within_the_budget():
    listed = [("X", "", f"v{i}") for i in range(150)]
    drawn = curves(evaluation(listed=listed, frames=400))
    assert sum(len(curve) for video in drawn.videos for model in video["values"] for curve in model) <= BUDGET


@pytest.mark.parametrize("name", [HOSTILE, "a\u2028b", "\ud800", "'\"", "a/b#c&d=e"])
def test_names_are_text_whatever_they_hold(tmp_path, name):
    e = evaluation(models=(name, "chance"), listed=[(name, name, name), (name, name, name + "2")])
    e.rows["note"][0] = f"broken prediction: {name}"
    e.notes[name] = 1
    e.settings.update(truth=name, pred=name, videos_without_prediction=[name], **{name: name})
    picture = Picture(name, PNG, name, name)
    page = report(e, tmp_path, title=name, pictures=[picture], command=name)
    seen = name.replace("\ud800", "?")
    assert len(page.all("script")) == 2 and len(page.all("img")) == 1
    assert page.one("title").text == page.one("h1").text == seen
    assert {cells(row)[0] for row in rows_of_table(page, "videos")} == {seen, f"{seen}2"}
    assert page.one("img").attributes["alt"] == page.one("figcaption").text == seen
    content = curves_of(page)
    assert content["videos"][0]["name"] == content["models"][0] == name
    assert "<" not in page.one("script", id="curves").text


def test_reasons_and_missing_frames_equal_the_notes(tmp_path):
    e = evaluation(videos_without_prediction=["AVAD/A3"])
    text = report(e, tmp_path).one("section", id="left-out").text
    assert "no prediction2 (4.2%)net" in text
    assert "no fixation1 (2.1%)net" in text and "no fixation1 (2.1%)centre prior" in text
    assert "AVAD, A10: 12 to 13" in text
    assert "AVAD/A3" in text
    for metric, column in zip(METRICS, range(2, 7), strict=True):
        coverage = report(e, tmp_path).one("section", id="left-out").all("table")[1].all("tr")
        expected = [np.isfinite(e.select(model=model)[metric]).sum() for model in e.models]
        assert [cells(row)[column] for row in coverage[1:]] == list(map(str, expected))


def test_python_of_the_page_names_what_was_scored(tmp_path):
    e = evaluation(models=("net", "chance", "human"), options={"step": 5}, splits=["1"])
    page = report(e, tmp_path, command="stajax evaluate --pred 'maps/net'")
    typed, called = (block.text for block in page.one("section", id="reproduce").all("pre"))
    assert typed == "stajax evaluate --pred 'maps/net'"
    got = {}
    exec(called.split("\n\n", 1)[1], {"evaluate": lambda *arguments, **named: got.update(named, given=arguments)})
    assert got == {
        "given": ("maps/net", "data", "stavis"),
        "compat": "stavis",
        "baselines": ("chance", "human"),
        "splits": ["1"],
        "name": "net",
        "options": {"step": 5},
    }


@pytest.mark.parametrize(
    "e",
    [
        evaluation(models=("net",)),
        evaluation(models=("centre_prior", "chance")),
        evaluation(listed=[("X", "", "one")]),
        evaluation(listed=[("X", "", "one")], frames=1),
        evaluation(fps=np.nan),
        Evaluation("plain", "mit", ("net",), evaluation(models=("net",)).rows),
    ],
    ids=["no baseline", "no prediction", "one video", "images", "no times", "no settings"],
)
def test_odd_evaluations_have_a_whole_page(tmp_path, e):
    page = report(e, tmp_path)
    assert len(page.all("section")) == 7
    assert len(rows_of_table(page, "videos")) == len(e.per_video()["video"])
    assert "There are no pictures here" in page.root.text
    for part in ("scores", "videos", "left-out"):
        assert not re.search(r"\b(nan|NaN|None|inf)\b", page.one("section", id=part).text)
    assert len(page.all("script", id="curves")) == (1 if len(set(e.rows["frame"].tolist())) > 1 else 0)


def test_where_nothing_could_be_scored_there_are_dashes(tmp_path):
    e = evaluation()
    for metric in METRICS:
        e.rows[metric][:] = np.nan
    page = report(e, tmp_path)
    assert all(cells(row)[4:9] == ["–"] * 5 for row in rows_of_table(page, "videos"))
    assert all(cell.text == "–" for row in page.all("tr", class_="prediction") for cell in row.all("td")[:5])
    assert example_frames(e, lambda *where: pytest.fail("nothing to look at")) == []


def test_no_rows_are_refused(tmp_path):
    e = evaluation()
    empty = Evaluation("stavis", "stavis", e.models, e.select(model="nobody"))
    with pytest.raises(ValueError, match="has no rows"):
        write_html(empty, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_a_picture_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match="neither JPEG nor PNG"):
        report(evaluation(), tmp_path, pictures=[Picture("Best", b"GIF89a", "caption", "alt")])


def blank(*where):
    return Shown(np.zeros((30, 40, 3), np.uint8), np.zeros((3, 4)), np.zeros((30, 40)), None)


def test_example_frames_are_those_of_highest_and_lowest_nss_of_different_videos():
    e = evaluation(listed=[("X", split, f"v{i}") for i in range(8) for split in "12"], frames=30)
    pictures = example_frames(e, blank)
    rows = e.select(model="net")
    by_video = {}
    for video, value in zip(rows["video"].tolist(), rows["nss"].tolist(), strict=True):
        by_video.setdefault(video, []).append(value)
    best = sorted((np.nanmax(values) for values in by_video.values()), reverse=True)[:3]
    worst = sorted(np.nanmin(values) for values in by_video.values())[:3]
    said = [float(re.search(r"NSS (-?[\d.]+)", picture.caption)[1]) for picture in pictures]
    assert [picture.group for picture in pictures] == ["Best"] * 3 + ["Worst"] * 3
    np.testing.assert_allclose(said, [*best, *worst], atol=5e-4)
    assert all(Image.open(io.BytesIO(picture.data)).format == "JPEG" for picture in pictures)


def test_example_frames_of_one_video_are_a_tenth_of_it_apart():
    e = evaluation(models=("net",), listed=[("X", "", "v")], frames=100)
    e.rows["nss"][:] = np.sin(np.arange(100) / 30)
    frames = [int(re.search(r"frame (\d+)", picture.caption)[1]) for picture in example_frames(e, blank)]
    assert len(frames) == 6
    assert np.diff(sorted(frames)).min() >= 9.9
    assert frames[0] == 9 + e.rows["nss"].argmax() and frames[3] == 9 + e.rows["nss"].argmin()


def test_no_example_frames_without_prediction_or_pictures():
    e = evaluation()
    assert example_frames(evaluation(models=("chance",)), blank) == []
    assert example_frames(e, lambda *where: blank()._replace(image=None)) == []
    assert example_frames(e, lambda *where: blank()._replace(saliency=None)) == []


def test_example_frames_of_the_mini_data_set_are_those_whose_pictures_it_has(tmp_path):
    e = evaluate(MINI / "experiment", MINI / "data", "stavis")
    look, seen = look_up(e), []

    def remembering(*where):
        seen.append(look(*where))
        return seen[-1]

    pictures = example_frames(e, remembering)
    assert len(pictures) == sum(frame.image is not None for frame in seen) > 0
    assert pictures == example_frames(e)
    dots = [np.count_nonzero(frame.fixations > 0) for frame in seen if frame.image is not None]
    assert [f"with {n} fixated pixels" in picture.alt for n, picture in zip(dots, pictures, strict=True)] == [True] * len(dots)
    assert len(report(e, tmp_path, pictures=pictures).all("img")) == len(pictures)


def test_draw_is_the_overlay_with_white_dots_where_the_fixations_are():
    rng = np.random.default_rng(0)
    image, saliency = np.full((240, 320, 3), 90, np.uint8), rng.random((12, 16))
    fixations = np.zeros((120, 160))
    fixations[30, 40] = fixations[90, 120] = 1
    drawn = draw(Shown(image, saliency, fixations, None))
    assert drawn.shape == image.shape
    scaled = (saliency - saliency.min()) / (saliency.max() - saliency.min())
    plain = overlay(image, scaled).astype(int)
    for row, column in ((61, 81), (181, 241)):
        assert drawn[row, column].min() > 230
    away = np.ones((240, 320), bool)
    for row, column in ((61, 81), (181, 241)):
        away[row - 8 : row + 8, column - 8 : column + 8] = False
    assert np.abs(drawn - plain)[away].mean() < 2


def test_draw_shrinks_large_frames():
    image = np.zeros((500, 1200, 3), np.uint8)
    assert draw(Shown(image, np.ones((5, 12)), None, None)).shape == (200, 480, 3)
