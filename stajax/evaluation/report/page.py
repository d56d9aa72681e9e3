"""The report as one HTML file: no fonts, scripts or pictures from elsewhere, so it opens from disk and travels by mail."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files

from stajax.evaluation.report.curves import curves, over_time
from stajax.evaluation.report.definitions import definitions, reproduce
from stajax.evaluation.report.left_out import left_out
from stajax.evaluation.report.markup import count, name_of, predictions, text
from stajax.evaluation.report.pictures import Picture, gallery
from stajax.evaluation.report.scores import summary
from stajax.evaluation.report.videos import per_video
from stajax.evaluation.results import Evaluation
from stajax.media.atomic import replacing, writing

_SECTIONS = {
    "scores": "Scores",
    "videos": "Videos",
    "time": "Over time",
    "frames": "Best and worst frames",
    "left-out": "What was left out",
    "definitions": "Definitions",
    "reproduce": "How to get these numbers again",
}
_ELSEWHERE = {"pred", "truth", "options", "videos_without_prediction"}  # settings that other parts of the page show
_TERMS = {
    "datasets": "data sets",
    "other": "negatives of s-AUC from",
    "empty": "SIM of a frame without fixations",
    "blank": "maps that say nothing",
    "prediction_splits": "the prediction has splits",
    "mean_of_splits": "averaged by split",
}
_POLICY = {"zero": "0", "drop": "left out", "chance": "scored at chance"}


def write_html(
    evaluation: Evaluation,
    path: str | os.PathLike,
    *,
    title: str | None = None,
    pictures: Sequence[Picture] = (),
    command: str | None = None,
) -> None:
    """Writes the report of an evaluation, whole or not at all.

    A link may say what the page shows first: `report.html#model=all&sort=NSS&order=ascending&video=AVAD/V1`.

    Args:
        evaluation: with at least one row.
        path: the file.
        title: its heading; by default what was scored on what.
        pictures: as `example_frames` makes them.
        command: the command line that made the evaluation, to be shown.

    Raises:
        ValueError: an evaluation without rows, or a picture that is neither JPEG nor PNG.
        OutputError: the file cannot be written.
    """
    if not len(evaluation):
        raise ValueError("the evaluation has no rows, so there is nothing to report")
    page = _page(evaluation, title or _title(evaluation), pictures, command)
    with replacing(path) as part, writing(path):
        part.write_text(page, encoding="utf-8", errors="replace")  # a file name may hold bytes that are no text


def _page(evaluation, title, pictures, command):
    style, script = (files(__package__).joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    # Only this script may run, and nothing may be fetched, whatever the names in the page hold.
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    drawn = curves(evaluation)
    body = [
        summary(evaluation),
        per_video(evaluation, drawn.links),
        over_time(evaluation, drawn),
        gallery(evaluation, pictures),
        left_out(evaluation),
        definitions(evaluation),
        reproduce(evaluation, command),
    ]
    links = "".join(f'<a href="#{identifier}">{name}</a>' for identifier, name in _SECTIONS.items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<header>
<h1>{text(title)}</h1>
{_facts(evaluation)}
</header>
<nav aria-label="Parts of this page">{links}</nav>
<main>
{"".join(body)}
</main>
<footer>Written by stajax {text(version("stajax"))}. This file is complete in itself and loads nothing.</footer>
<script>{script}</script>
</body>
</html>
"""


def _title(evaluation):
    datasets = list(dict.fromkeys(evaluation.rows["dataset"].tolist()))
    return f"{', '.join(predictions(evaluation)) or 'Baselines'} on {', '.join(datasets)}"


def _facts(evaluation):
    """What was scored, how, when."""
    rows = evaluation.rows
    videos = set(zip(rows["dataset"].tolist(), rows["video"].tolist(), strict=True))
    frames = {*zip(*(rows[name].tolist() for name in ("dataset", "video", "frame")), strict=True)}
    facts = {
        "Protocol": evaluation.protocol,
        "Metrics as": evaluation.compat,
        "Videos": count(len(videos)),
        "Frames": count(len(frames)),
        "Models": ", ".join(name_of(model) for model in evaluation.models),
        "Written": f"{datetime.now().astimezone():%Y-%m-%d %H:%M} by stajax {version('stajax')}",
    }
    settings = {k: v for k, v in evaluation.settings.items() if k not in _ELSEWHERE and v not in (None, [], {}, "")}
    settings = (evaluation.settings.get("options") or {}) | settings  # which say the same in words
    for name, value in settings.items():
        term = _TERMS.get(name, name.replace("_", " "))
        facts[term[0].upper() + term[1:]] = _POLICY[value] if name in ("empty", "blank") else _value(value)
    return (
        '<dl class="facts">' + "".join(f"<div><dt>{text(k)}</dt><dd>{text(v)}</dd></div>" for k, v in facts.items()) + "</dl>"
    )


def _value(value):
    if isinstance(value, dict):
        return ", ".join(f"{key} {_value(inner)}" for key, inner in value.items())
    return ", ".join(map(_value, value)) if isinstance(value, (list, tuple)) else str(value)
