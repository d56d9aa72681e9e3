"""What an evaluation found: one row per scored frame, its means over videos and data sets, files, and a table to print."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stajax.evaluation.metrics import BESIDE, FIVE
from stajax.media.atomic import replacing, writing

METRICS = FIVE  # what every evaluation has; those of `metrics.BESIDE` are there if they were asked for
LABELS = {
    "auc_judd": "AUC-J",
    "similarity": "SIM",
    "auc_shuffled": "s-AUC",
    "cc": "CC",
    "nss": "NSS",
    "auc": "AUC",
    "auc_judd_chance": "AUC-J chance",
    "auc_borji": "AUC-B",
    "kl_divergence": "KL",
    "info_gain": "IG",
}
TEXT = ("model", "dataset", "split", "video", "note")
COLUMNS = ("model", "dataset", "split", "video", "frame", "time", *METRICS, "note")  # if nothing more was asked for
FORMAT = 1  # of results.json; raise it when an older reader would misread the file


class Interval(NamedTuple):
    """A mean with its 95 % confidence interval; NaN where there is none (fewer than two videos)."""

    mean: float
    low: float
    high: float


class DatasetScore(NamedTuple):
    """A model on a data set. videos: different ones with a value in some metric; frames: with a value in some metric."""

    model: str
    dataset: str
    videos: int
    frames: int
    scores: dict[str, Interval]  # metric -> mean over videos


@dataclass(frozen=True)
class Evaluation:
    """The scores of a prediction, and of baselines, on the videos of a protocol. Made by `evaluate.evaluate`.

    Attributes:
        protocol: its name, "stavis".
        compat: which implementation's conventions hold, "stavis", "mit" or "pysaliency".
        models: names, the prediction's first, then the baselines'.
        rows: column -> (n,) array, all of the same length, one entry per model, listing of a video, and frame. "model",
            "dataset", "split" ("" where the protocol has none), "video" and "note" hold str; "frame" int64, counted as the
            data set counts; "time" float64, s, NaN where unknown; the `metrics` float64, NaN where the metric says nothing.
            "note" says why one is missing, "" if none is; what follows a colon is detail. An image is a video of one frame.
        notes: reason -> how many frames of the prediction carry it, each listed frame counted once.
        settings: what was scored and how; survives a trip through JSON. "mean_of_splits": data sets that are averaged within
            each split first (STAViS does so for DIEM).
    """

    protocol: str
    compat: str
    models: tuple[str, ...]
    rows: dict[str, np.ndarray]
    notes: dict[str, int] = field(default_factory=dict)
    settings: dict = field(default_factory=dict)

    def __post_init__(self):
        if set(self.rows) != set(self.columns):
            raise ValueError(f"an evaluation's rows need the columns {', '.join(COLUMNS)}; got {', '.join(self.rows)}")
        if len({len(column) for column in self.rows.values()}) != 1:
            raise ValueError("the columns of an evaluation's rows differ in length")

    def __len__(self) -> int:
        return len(self.rows["frame"])

    @property
    def metrics(self) -> tuple[str, ...]:
        """METRICS, and those of `metrics.BESIDE` that it has."""
        return METRICS + tuple(name for name in BESIDE if name in self.rows)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of `rows`, in the order of the files."""
        return columns_with(self.metrics)

    def select(self, **wanted: str) -> dict[str, np.ndarray]:
        """The rows whose text columns equal what is given: `select(model="centre_prior", video="V1")`."""
        keep = np.ones(len(self), bool)
        for column, value in wanted.items():
            keep &= self.rows[column] == value
        return {name: values[keep] for name, values in self.rows.items()}

    def per_video(self) -> dict[str, np.ndarray]:
        """Means over frames: each metric over the frames that have it, so that the metrics may cover different frames.

        Returns:
            "model", "dataset", "split", "video", "frames" and the metrics, in order of first appearance; a video that is
            listed in two splits has two entries. "frames": how many have a value in some metric.
        """
        first, group = _groups(*(self.rows[name] for name in COLUMNS[:4]))
        table = {name: self.rows[name][first] for name in COLUMNS[:4]}
        scored = ~np.all([np.isnan(self.rows[metric]) for metric in self.metrics], axis=0)
        table["frames"] = np.bincount(group[scored], minlength=len(first))
        for metric in self.metrics:
            sums, counts = _sums(self.rows[metric], group, len(first))
            table[metric] = np.divide(sums, counts, out=np.full(len(first), np.nan), where=counts > 0)
        return table

    def per_dataset(self, average: str = "splits", *, resamples: int = 2000, seed: int = 0) -> list[DatasetScore]:
        """Means over videos, each weighing the same whatever its length, with bootstrap intervals over videos.

        Args:
            average: "splits", as STAViS: the test videos of all splits concatenated (one that is in two counts twice); the
                data sets of settings["mean_of_splits"] within each split first, then over the splits. "once": every video
                counts once, as the mean of its splits.
            resamples: bootstrap samples of the videos, drawn with replacement; a video brings all its splits.
            seed: of those draws, which are the same for all models of a data set.

        Returns:
            One entry per data set and model, data sets in order of appearance, models in that of `models`.

        Raises:
            ValueError: unknown `average`.
        """
        if average not in ("splits", "once"):
            raise ValueError(f"average is {average!r}, give 'splits' or 'once'")
        videos = self.per_video()
        scores = []
        for dataset in dict.fromkeys(videos["dataset"].tolist()):
            by_split = average == "splits" and dataset in self.settings.get("mean_of_splits", ())
            names = np.unique(videos["video"][videos["dataset"] == dataset])
            draws = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
            for model in self.models:
                mine = (videos["dataset"] == dataset) & (videos["model"] == model)
                if not mine.any():
                    continue
                place = np.searchsorted(names, videos["video"][mine])
                stratum = np.unique(videos["split"][mine], return_inverse=True)[1] if by_split else np.zeros(mine.sum(), int)
                shape = (stratum.max() + 1, len(names))
                cell = stratum * len(names) + place
                intervals, seen = {}, np.zeros(len(names), bool)
                for metric in self.metrics:
                    sums, counts = (x.reshape(shape) for x in _sums(videos[metric][mine], cell, shape[0] * shape[1]))
                    if average == "once":
                        sums, counts = sums / np.maximum(counts, 1), np.minimum(counts, 1)
                    intervals[metric] = _interval(sums, counts, draws)
                    seen |= counts.any(axis=0)
                scores.append(DatasetScore(model, dataset, int(seen.sum()), int(videos["frames"][mine].sum()), intervals))
        return scores

    def table(self, average: str = "splits") -> str:
        """`per_dataset` as aligned text, a line per data set and model, and below it what was dropped and why."""
        lines = [["data set", "model", "videos", "frames", *(LABELS[metric] for metric in self.metrics)]]
        previous = None
        for score in self.per_dataset(average):
            cells = [_cell(score.scores[metric]) for metric in self.metrics]
            shown = "" if score.dataset == previous else score.dataset
            lines.append([shown, score.model, str(score.videos), str(score.frames), *cells])
            previous = score.dataset
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
        text.append("mean over videos, ± half of its 95 % interval (bootstrap over videos)")
        details = self._first_details()
        of = np.count_nonzero(self.rows["model"] == self.models[0])
        text += [f"{count} of {of} frames: {reason}{details.get(reason, '')}" for reason, count in self.notes.items()]
        return "\n".join(text)

    def _first_details(self):
        details = {}
        for note in self.rows["note"][self.rows["model"] == self.models[0]].tolist():
            reason, _, detail = note.partition(":")
            if detail:
                details.setdefault(reason, f", the first: {detail.strip()}")
        return details

    def write_csv(self, folder: Path) -> None:
        """`per_frame.csv` and `per_video.csv` in an existing folder; an empty cell stands for NaN."""
        for name, columns, table in (
            ("per_frame.csv", self.columns, self.rows),
            ("per_video.csv", (*COLUMNS[:4], "frames", *self.metrics), self.per_video()),
        ):
            with replacing(Path(folder) / name) as part, writing(part), part.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(columns)
                writer.writerows(zip(*(_plain(table[column], "") for column in columns), strict=True))

    def write_json(self, path: Path) -> None:
        """All of it, to be read by `read_json`, and "summary", the means over data sets, for other readers. null is NaN."""
        rows = {name: _plain(self.rows[name], None) for name in self.columns if name not in TEXT}
        for name in TEXT:
            values, codes = np.unique(self.rows[name], return_inverse=True)
            rows[name] = {"values": values.tolist(), "codes": codes.tolist()}
        content = {
            "format": FORMAT,
            "protocol": self.protocol,
            "compat": self.compat,
            "models": self.models,
            "settings": self.settings,
            "notes": self.notes,
            "summary": {average: [_summary(score) for score in self.per_dataset(average)] for average in ("splits", "once")},
            "rows": rows,
        }
        with replacing(path) as part, writing(path), part.open("w", encoding="utf-8") as file:
            json.dump(content, file, allow_nan=False)


def read_json(path: Path) -> Evaluation:
    """The evaluation that `Evaluation.write_json` wrote.

    Raises:
        ValueError: the file is missing or is not such a file.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = json.load(file)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {FORMAT}")
        names = [*COLUMNS, *(name for name in BESIDE if name in content["rows"])]
        rows = {name: np.array(content["rows"][name], float) for name in names if name not in TEXT}
        rows["frame"] = rows["frame"].astype(np.int64)
        for name in TEXT:
            rows[name] = np.array(content["rows"][name]["values"], str)[np.array(content["rows"][name]["codes"], int)]
        head = (content["protocol"], content["compat"], tuple(content["models"]))
        return Evaluation(*head, rows, content["notes"], content["settings"])
    except (OSError, KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"{path}: not a readable results.json of stajax evaluate ({error})") from error


def columns_with(metrics: Sequence[str]) -> tuple[str, ...]:
    """The columns of `Evaluation.rows` for these metrics."""
    return (*COLUMNS[:6], *metrics, "note")


def rows_of(columns: dict[str, Sequence]) -> dict[str, np.ndarray]:
    """The columns of `Evaluation.rows` as arrays of their types, from lists."""
    types = dict.fromkeys(TEXT, str) | {"frame": np.int64}
    return {name: np.array(values, types.get(name, np.float64)) for name, values in columns.items()}


def count_notes(notes: np.ndarray) -> dict[str, int]:
    """Reason -> how many of the column "note" give it, without its detail, most frequent first."""
    return dict(Counter(note.split(":")[0] for note in notes.tolist() if note).most_common())


def _groups(*columns):
    """The index of each group's first row, in order of appearance, and the group of every row."""
    codes = np.stack([np.unique(column, return_inverse=True)[1] for column in columns], axis=1)
    _, first, group = np.unique(codes, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[group.ravel()]


def _sums(values, group, n_groups):
    """Sum and count of the values that are not NaN, by group."""
    there = ~np.isnan(values)
    return np.bincount(group[there], values[there], n_groups), np.bincount(group[there], minlength=n_groups)


def _interval(sums, counts, draws):
    """sums, counts: (splits, videos) of the values to average. The mean of the splits' means, its percentiles over draws."""
    mean = _mean_of_splits(np.ones((1, sums.shape[1])), sums, counts)[0]
    if np.isnan(mean) or np.count_nonzero(counts.any(axis=0)) < 2:
        return Interval(float(mean), np.nan, np.nan)
    sampled = _mean_of_splits(draws, sums, counts)
    low, high = np.nanpercentile(sampled, [2.5, 97.5])
    return Interval(float(mean), float(low), float(high))


def _mean_of_splits(weights, sums, counts):
    """weights (n, videos) -> (n,)"""
    with np.errstate(invalid="ignore"):
        return ((weights @ sums.T) / (weights @ counts.T)).mean(axis=1)


def _cell(interval):
    half = (interval.high - interval.low) / 2
    if np.isnan(interval.mean):
        return "-"
    return f"{interval.mean:.3f}" + (f" ±{half:.3f}" if np.isfinite(half) else "")


def _summary(score):
    scores = {metric: dict(zip(Interval._fields, map(_finite, values), strict=True)) for metric, values in score.scores.items()}
    return score._replace(scores=scores)._asdict()


def _finite(value):
    return value if np.isfinite(value) else None


def _plain(column, empty):
    """A column as a list of Python values, NaN replaced."""
    if column.dtype.kind != "f":
        return column.tolist()
    return [empty if value != value else value for value in column.tolist()]
