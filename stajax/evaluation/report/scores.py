"""The summary: a table for each data set with the means, their intervals, and the paper's numbers below."""

from __future__ import annotations

import numpy as np

from stajax.evaluation.report.markup import count, heads, name_of, number, predictions, section, table, text
from stajax.evaluation.report.table7 import Printed, printed
from stajax.evaluation.results import LABELS, METRICS, DatasetScore, Evaluation, Interval

_WIDTH, _HEIGHT = 72, 8  # of the drawing of an interval, px


def summary(evaluation: Evaluation) -> str:
    """The section "Scores"."""
    datasets: dict[str, list[DatasetScore]] = {}
    for score in evaluation.per_dataset():
        datasets.setdefault(score.dataset, []).append(score)
    once: dict[str, list[DatasetScore]] = {}
    for score in evaluation.per_dataset("once") if _listed_twice(evaluation) else ():
        once.setdefault(score.dataset, []).append(score)
    parts = [f"<p>{_reading(evaluation)}</p>"]
    for dataset, scores in datasets.items():
        paper = printed(dataset) if evaluation.protocol == "stavis" else []
        parts.append(_table(evaluation, dataset, scores, paper))
        if dataset in once:
            inside = _table(evaluation, dataset, once[dataset], [], "every video once, as the mean of its splits")
            parts.append(f"<details><summary>{text(dataset)} with every video counted once</summary>{inside}</details>")
    return section("scores", "Scores", "\n".join(parts))


def _listed_twice(evaluation):
    rows = evaluation.rows
    listed = set(zip(*(rows[name].tolist() for name in ("dataset", "video", "split")), strict=True))
    return len({(dataset, video) for dataset, video, _ in listed}) < len(listed)


def _reading(evaluation):
    """How to read the tables, HTML."""
    words = [
        "Means over videos, each weighing the same, with 95 % intervals (bootstrap over videos: what other videos of the same "
        "kind might have given). The best value measured here is <b>bold</b>"
    ]
    words.append(", the human ceiling aside" if "human" in evaluation.models else "")
    words.append("; none is where the rows cover different numbers of videos or frames. ")
    if evaluation.protocol == "stavis":
        words.append(
            "Rows under “The paper’s Table 7” are the paper’s numbers, not measured here: they come without intervals, from "
            "the whole test lists, and from the random draws of the authors’ MATLAB code. "
        )
        if evaluation.compat != "stavis":
            words.append(
                f"<strong>Careful:</strong> here the metrics follow “{text(evaluation.compat)}”, the paper’s follow "
                "STAViS’ code, which also blurs each map. "
            )
    return "".join(words)


def _table(evaluation, dataset, scores, paper, how=""):
    best = _best(scores, evaluation.metrics)
    scales = {metric: _scale(scores, paper, metric) for metric in evaluation.metrics}
    rows = [_measured(evaluation, score, best, scales) for score in scores]
    title = f"Measured here{f', {how}' if how else ''}"
    columns = 3 + len(evaluation.metrics)
    bodies = [f"<tbody>{_group(title, columns)}{''.join(rows)}</tbody>"]
    if paper:
        rows = [_printed(row, scales, columns) for row in paper]
        title = _group("The paper’s Table 7, not measured here", columns)
        bodies.append(f'<tbody class="paper">{title}{"".join(rows)}</tbody>')
    head = heads(["Model"], [*(LABELS[metric] for metric in evaluation.metrics), "Videos", "Frames"])
    return table(f"Scores on {dataset}", f"{text(dataset)}", head, bodies, kind="scores")


def _group(title, columns):
    return f'<tr class="group"><th colspan="{columns}" scope="rowgroup">{title}</th></tr>\n'


def _best(scores, metrics):
    """metric -> the best mean as shown; the human ceiling counts only if nothing else is there. {} where the rows cover
    different videos or frames, so that their means do not compare."""
    rivals = [score for score in scores if score.model != "human"] or scores
    if len({(score.videos, score.frames) for score in rivals}) > 1:
        return {}
    means = {metric: [score.scores[metric].mean for score in rivals] for metric in metrics if metric != "auc_judd_chance"}
    means = {metric: values for metric, values in means.items() if not np.isnan(values).all()}
    return {metric: number((np.nanmin if metric == "kl_divergence" else np.nanmax)(values)) for metric, values in means.items()}


def _measured(evaluation, score, best, scales):
    ours = score.model in predictions(evaluation)
    cells = []
    for metric, scale in scales.items():
        interval = score.scores[metric]
        shown = number(interval.mean)
        if shown == best.get(metric) and score.model != "human":
            shown = f"<b>{shown}</b>"
        if np.isfinite(interval.low):
            shown += f'<span class="ci">{number(interval.low)} to {number(interval.high)}</span>'
        cells.append(f'<td class="num">{shown}{_drawing(interval, scale)}</td>')
    tag = "prediction" if ours else "baseline"
    return (
        f'<tr class="{tag}"><th scope="row">{text(name_of(score.model))}<span class="tag">{tag}</span></th>'
        f'{"".join(cells)}<td class="num">{count(score.videos)}</td><td class="num">{count(score.frames)}</td></tr>\n'
    )


def _printed(row: Printed, scales, columns):
    values = zip(row.values, METRICS, strict=True)
    cells = "".join(
        f'<td class="num">{number(value)}{_drawing(Interval(value, np.nan, np.nan), scales[metric])}</td>'
        for value, metric in values
    )
    cells += "<td></td>" * (columns - 1 - len(METRICS))
    return f'<tr><th scope="row">{row.method}<span class="tag">{row.kind}</span></th>{cells}</tr>\n'


def _scale(scores, paper, metric):
    """Lowest and highest number of a column, which the drawings span; None without any, or if they are shown as one."""
    values = [value for score in scores for value in score.scores[metric]]
    values += [row.values[METRICS.index(metric)] for row in paper if metric in METRICS]
    values = [value for value in values if np.isfinite(value)]
    return (min(values), max(values)) if values and number(min(values)) != number(max(values)) else None


def _drawing(interval, scale):
    """The mean as a dot on its interval as a line."""
    if scale is None or not np.isfinite(interval.mean):
        return ""
    x = [4 + (value - scale[0]) / (scale[1] - scale[0]) * (_WIDTH - 8) for value in interval]
    line = f'<path d="M{x[1]:.1f} 4H{x[2]:.1f}"/>' if np.isfinite(interval.low) else ""
    return (
        f'<svg class="whisker" width="{_WIDTH}" height="{_HEIGHT}" aria-hidden="true">{line}'
        f'<circle cx="{x[0]:.1f}" cy="4" r="3"/></svg>'
    )
