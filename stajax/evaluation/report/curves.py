"""The metrics over time: what the page's script draws, as JSON, and the place where it does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from stajax.evaluation.report.markup import embedded, name_of, predictions, section, text
from stajax.evaluation.results import LABELS, Evaluation

POINTS = 600  # of a curve at most: no screen shows more
FEWEST = 40  # of a curve, even where the page grows large
BUDGET = 300_000  # values in all, of 4 bytes each

_CHANCE = {"auc_shuffled": 0.5, "cc": 0, "nss": 0, "auc": 0.5, "auc_borji": 0.5}  # the others' differ from frame to frame


class Curves(NamedTuple):
    """What the page draws. videos: as the script reads them; links: data set, split, video -> fragment; per_point: how many
    frames a point is the mean of at most."""

    videos: list[dict]
    links: dict[tuple[str, str, str], str]
    per_point: int


def curves(evaluation: Evaluation) -> Curves:
    """The curves of all videos that have more than one frame.

    A video listed in several splits has one entry for those that share all values. Long videos are shortened to means of
    neighbouring frames, so that a page stays small. Values are thousandths, null for NaN.
    """
    series = {key: group for key, group in _series(evaluation).items() if max(map(len, group.values())) > 1}
    points = int(np.clip(BUDGET // max(1, len(series) * len(evaluation.models) * len(_drawn(evaluation))), FEWEST, POINTS))
    several = [len({key[i] for key in series}) > 1 for i in range(2)]  # data sets, splits
    means, videos, links, identifiers = _means(evaluation), [], {}, {}
    for (dataset, split, video), group in series.items():
        content = dataset, video, *((model, _bytes(evaluation, index)) for model, index in sorted(group.items()))
        if content not in identifiers:
            identifiers[content] = "/".join([dataset, video] + [split] * (split != ""))
            label = " · ".join([dataset] * several[0] + [video] + [f"split {split}"] * (several[1] and split != ""))
            entry = {"name": video, "id": identifiers[content], "label": label} | _lines(evaluation, group, points)
            videos.append(entry | {"means": _thousandths(means[dataset, split, video])})
        links[dataset, split, video] = "#video=" + quote(identifiers[content], safe="", errors="replace")
    longest = max((len(index) for group in series.values() for index in group.values()), default=0)
    return Curves(videos, links, -(-longest // points))


def over_time(evaluation: Evaluation, drawn: Curves) -> str:
    """The section "Over time"."""
    if not drawn.videos:
        return section("time", "Over time", "<p>No curves: no video has more than one frame.</p>")
    baselines = len(evaluation.models) - len(predictions(evaluation))
    words = "One line for each model" + (", baselines thin" if baselines and predictions(evaluation) else "")
    words += (
        ". A gap is a frame without a value, a dotted line is chance. To read values, point at a curve, or focus the curves "
    )
    words += "and use the arrow keys."
    if drawn.per_point > 1:
        words += (
            f" To keep this page small, a point is the mean of up to {drawn.per_point} frames; the CSV files have each frame."
        )
    options = "".join(f'<option value="{i}">{text(video["label"])}</option>' for i, video in enumerate(drawn.videos))
    content = {
        "models": [name_of(model) for model in evaluation.models],
        "predictions": len(predictions(evaluation)),
        "metrics": [{"label": LABELS[metric], "chance": _CHANCE.get(metric)} for metric in _drawn(evaluation)],
        "videos": drawn.videos,
    }
    body = (
        f"<p>{words}</p><noscript><p>The curves need JavaScript.</p></noscript>"
        f'<p class="controls"><label>Video <select id="video">{options}</select></label><span id="at" role="status"></span></p>'
        '<ul id="legend" class="legend"></ul><div id="charts" class="charts" role="group" tabindex="0" '
        'aria-label="Curves of the metrics over time; the arrow keys move along them"></div>'
        f'<script type="application/json" id="curves">{embedded(content)}</script>'
    )
    return section("time", "Over time", body)


def _series(evaluation):
    """(data set, split, video) -> model -> indices of its rows in order of frame."""
    rows, series = evaluation.rows, {}
    keys = zip(*(rows[name].tolist() for name in ("dataset", "split", "video", "model")), strict=True)
    for i, (dataset, split, video, model) in enumerate(keys):
        series.setdefault((dataset, split, video), {}).setdefault(model, []).append(i)
    return {
        key: {model: np.array(index)[np.argsort(rows["frame"][index], kind="stable")] for model, index in group.items()}
        for key, group in series.items()
    }


def _bytes(evaluation, index):
    return b"".join(evaluation.rows[name][index].tobytes() for name in ("frame", *_drawn(evaluation)))


def _drawn(evaluation):
    """The metrics with a curve."""
    return [metric for metric in evaluation.metrics if metric != "auc_judd_chance"]


def _lines(evaluation, group, points):
    """frames, times (null if unknown) and values [model][metric][point] of one video; models may differ in frames."""
    rows, metrics = evaluation.rows, _drawn(evaluation)
    frames = np.unique(np.concatenate([rows["frame"][index] for index in group.values()]))
    values = np.full((len(evaluation.models), len(metrics), len(frames)), np.nan)
    times = np.full(len(frames), np.nan)
    for model, index in group.items():
        place = np.searchsorted(frames, rows["frame"][index])
        values[evaluation.models.index(model)][:, place] = [rows[metric][index] for metric in metrics]
        times[place] = rows["time"][index]
    starts = np.unique(np.linspace(0, len(frames), min(points, len(frames)) + 1).astype(int))[:-1]
    first, time = (_mean_of(array, starts) for array in (frames.astype(float), times))
    return {
        "frames": np.rint(first).astype(int).tolist(),
        "times": None if np.isnan(time).any() else np.round(time, 2).tolist(),
        "values": _thousandths(_mean_of(values, starts)),
    }


def _mean_of(values, starts):
    """Means of the values that are not NaN, from each start to the next, on the last axis; NaN where all are."""
    there = ~np.isnan(values)
    sums = np.add.reduceat(np.where(there, values, 0), starts, axis=-1)
    counts = np.add.reduceat(there.astype(int), starts, axis=-1)
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _means(evaluation) -> Mapping[tuple[str, str, str], np.ndarray]:
    """(data set, split, video) -> (models, metrics), NaN for a model that does not have the video."""
    videos, means, metrics = evaluation.per_video(), {}, _drawn(evaluation)
    for i in range(len(videos["video"])):
        key = videos["dataset"][i], videos["split"][i], videos["video"][i]
        table = means.setdefault(key, np.full((len(evaluation.models), len(metrics)), np.nan))
        table[evaluation.models.index(videos["model"][i])] = [videos[metric][i] for metric in metrics]
    return means


def _thousandths(values):
    """Nested lists of whole numbers, None for NaN."""
    if isinstance(values, np.ndarray) and values.ndim:
        return [_thousandths(value) for value in values]
    return None if np.isnan(values) else round(float(values) * 1000)
