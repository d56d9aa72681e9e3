"""stajax/evaluation/results.py: means and intervals against loops over the rows, files against what was written."""

import csv
import json

import numpy as np
import pytest

from stajax.evaluation.results import COLUMNS, METRICS, Evaluation, read_json, rows_of


def evaluation(seed=0, mean_of_splits=("DIEM",)):
    """Two models; A1 is in splits 1 and 2; DIEM's D1 and D2 in all three; frames without a value here and there."""
    rng = np.random.default_rng(seed)
    listed = [("AVAD", "1", "A1"), ("AVAD", "2", "A1"), ("AVAD", "2", "A2"), ("AVAD", "3", "A3")]
    listed += [("DIEM", split, video) for video in ("D1", "D2") for split in "123"]
    columns = {column: [] for column in COLUMNS}
    for model in ("net", "chance"):
        for k, (dataset, split, video) in enumerate(listed):
            for frame in range(9, 12 + k):
                row = {"model": model, "dataset": dataset, "split": split, "video": video, "frame": frame, "time": frame / 25}
                row |= dict(zip(METRICS, rng.random(5), strict=True)) | {"note": ""}
                if frame == 10:
                    row |= {"nss": np.nan, "cc": np.nan, "note": "no fixation"}
                for column in COLUMNS:
                    columns[column].append(row[column])
    settings = {"mean_of_splits": list(mean_of_splits)}
    return Evaluation("stavis", "stavis", ("net", "chance"), rows_of(columns), {"no fixation": 10}, settings)


def mean(values):
    values = [value for value in values if not np.isnan(value)]
    return sum(values) / len(values)


def videos_of(e, model, dataset, metric):
    """(split, video) -> mean over frames, by a loop."""
    values = {}
    for i in range(len(e)):
        if e.rows["model"][i] == model and e.rows["dataset"][i] == dataset:
            values.setdefault((str(e.rows["split"][i]), str(e.rows["video"][i])), []).append(e.rows[metric][i])
    return {key: mean(found) for key, found in values.items()}


def test_video_means_equal_a_loop_and_leave_out_nan():
    e = evaluation()
    table = e.per_video()
    assert len(table["video"]) == 2 * 10
    for i in range(20):
        for metric in METRICS:
            expected = videos_of(e, table["model"][i], table["dataset"][i], metric)[table["split"][i], table["video"][i]]
            assert table[metric][i] == pytest.approx(expected, rel=1e-14)
    assert table["frames"].tolist() == list(range(3, 13)) * 2
    assert table["video"][:4].tolist() == ["A1", "A1", "A2", "A3"]


def test_dataset_means_equal_the_rules_written_as_loops():
    e = evaluation()
    for score in e.per_dataset("splits"):
        for metric in METRICS:
            values = videos_of(e, score.model, score.dataset, metric)
            if score.dataset == "DIEM":
                expected = mean([mean([v for (split, _), v in values.items() if split == one]) for one in "123"])
            else:
                expected = mean(values.values())  # A1, in two splits, counts twice
            assert score.scores[metric].mean == pytest.approx(expected, rel=1e-14)
    for score in e.per_dataset("once"):
        for metric in METRICS:
            values = videos_of(e, score.model, score.dataset, metric)
            names = {video for _, video in values}
            expected = mean([mean([v for (_, video), v in values.items() if video == name]) for name in names])
            assert score.scores[metric].mean == pytest.approx(expected, rel=1e-14)
    assert [(s.dataset, s.model, s.videos) for s in e.per_dataset()] == [
        ("AVAD", "net", 3),
        ("AVAD", "chance", 3),
        ("DIEM", "net", 2),
        ("DIEM", "chance", 2),
    ]


def test_mean_of_splits_differs_from_concatenation_where_a_split_lacks_a_video():
    e = evaluation()
    drop = (e.rows["video"] == "D2") & (e.rows["split"] == "1")
    for metric in METRICS:
        e.rows[metric][drop] = np.nan
    values = {key: v for key, v in videos_of(evaluation(), "net", "DIEM", "nss").items() if key != ("1", "D2")}
    expected = mean([mean([v for (split, _), v in values.items() if split == one]) for one in "123"])
    by_split = next(s for s in e.per_dataset() if (s.dataset, s.model) == ("DIEM", "net"))
    assert by_split.scores["nss"].mean == pytest.approx(expected, rel=1e-14)
    joined = Evaluation(e.protocol, e.compat, e.models, e.rows)
    joined = next(s for s in joined.per_dataset() if (s.dataset, s.model) == ("DIEM", "net"))
    assert joined.scores["nss"].mean == pytest.approx(mean(values.values()), rel=1e-14)


def test_interval_equals_resampling_in_a_loop():
    e = evaluation()
    score = next(s for s in e.per_dataset(resamples=500, seed=3) if (s.dataset, s.model) == ("AVAD", "net"))
    values = videos_of(e, "net", "AVAD", "cc")
    draws = np.random.default_rng(3).multinomial(3, [1 / 3] * 3, 500)
    means = []
    for draw in draws:
        times = dict(zip(("A1", "A2", "A3"), draw.tolist(), strict=True))
        means.append(mean([v for (_, video), v in values.items() for _ in range(times[video])]))
    low, high = np.percentile(means, [2.5, 97.5])
    assert score.scores["cc"] == pytest.approx((mean(values.values()), low, high), rel=1e-12)


def test_interval_covers_the_mean_of_normal_videos_as_often_as_it_says():
    rng, hits, videos = np.random.default_rng(0), 0, 40
    for _ in range(200):
        values = rng.normal(0.5, 0.1, videos)
        columns = {column: [""] * videos for column in COLUMNS}
        columns |= {"model": ["net"] * videos, "dataset": ["X"] * videos, "video": [f"{i:02d}" for i in range(videos)]}
        columns |= {"frame": [0] * videos, "time": [0.0] * videos} | dict.fromkeys(METRICS, values)
        interval = Evaluation("plain", "mit", ("net",), rows_of(columns)).per_dataset(resamples=400)[0].scores["nss"]
        hits += interval.low <= 0.5 <= interval.high
    assert 0.88 <= hits / 200 <= 0.99


def test_one_video_has_no_interval():
    e = evaluation()
    rows = e.select(video="A3")
    score = Evaluation("stavis", "stavis", e.models, rows).per_dataset()[0].scores["nss"]
    assert np.isfinite(score.mean) and np.isnan(score.low) and np.isnan(score.high)


def test_json_and_csv_give_back_the_rows_exactly(tmp_path):
    e = evaluation()
    e.write_json(tmp_path / "results.json")
    again = read_json(tmp_path / "results.json")
    assert (again.protocol, again.compat, again.models) == (e.protocol, e.compat, e.models)
    assert (again.notes, again.settings) == (e.notes, e.settings)
    for column in COLUMNS:
        np.testing.assert_array_equal(again.rows[column], e.rows[column])
        assert again.rows[column].dtype.kind == e.rows[column].dtype.kind
    summary = json.loads((tmp_path / "results.json").read_text())["summary"]["splits"]
    assert summary[0]["scores"]["nss"]["mean"] == e.per_dataset()[0].scores["nss"].mean

    e.write_csv(tmp_path)
    with (tmp_path / "per_frame.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["nss"] or "nan") for line in lines] == pytest.approx(e.rows["nss"].tolist(), abs=0, nan_ok=True)
    assert [line["note"] for line in lines] == e.rows["note"].tolist()
    with (tmp_path / "per_video.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["cc"]) for line in lines] == e.per_video()["cc"].tolist()


def test_table_shows_the_means_and_the_notes():
    e = evaluation()
    lines = e.table().splitlines()
    assert len({len(line.rstrip()) for line in lines[1:5]}) == 1  # aligned
    assert f"{e.per_dataset()[0].scores['auc_judd'].mean:.3f} ±" in lines[1]
    assert lines[1].startswith("AVAD") and lines[2].split()[0] == "chance"
    assert lines[-1] == f"10 of {len(e) // 2} frames: no fixation"


@pytest.mark.parametrize("content", [None, "", "{}", '{"format": 99}', "[1]"])
def test_read_json_refuses_other_files(tmp_path, content):
    path = tmp_path / "results.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"results\.json: not a readable results\.json"):
        read_json(path)


def test_wrong_columns_and_rules_are_refused():
    e = evaluation()
    with pytest.raises(ValueError, match="need the columns"):
        Evaluation("stavis", "stavis", ("net",), {"model": e.rows["model"]})
    with pytest.raises(ValueError, match="differ in length"):
        Evaluation("stavis", "stavis", ("net",), e.rows | {"nss": e.rows["nss"][:-1]})
    with pytest.raises(ValueError, match="give 'splits' or 'once'"):
        e.per_dataset("both")
