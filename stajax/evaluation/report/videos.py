"""The table of videos, which sorts by any column and shows one model or all."""

from __future__ import annotations

from collections.abc import Mapping

from stajax.evaluation.report.markup import name_of, number, section, table, text
from stajax.evaluation.results import LABELS, Evaluation


def per_video(evaluation: Evaluation, links: Mapping[tuple[str, str, str], str]) -> str:
    """The section "Videos".

    Args:
        links: data set, split, video -> the fragment that shows its curve; without one a name is no link.
    """
    videos = evaluation.per_video()
    listed = [name for name in ("dataset", "split") if len(set(videos[name].tolist())) > 1]
    head = [_head(name) for name in ("Video", *({"dataset": "Data set", "split": "Split"}[name] for name in listed), "Model")]
    head += [_head(name, "num") for name in (*(LABELS[metric] for metric in evaluation.metrics), "Frames")]
    rows = []
    for i in range(len(videos["video"])):
        row = {name: values[i] for name, values in videos.items()}
        video, link = text(row["video"]), links.get((row["dataset"], row["split"], row["video"]))
        video = f'<a href="{text(link)}">{video}</a>' if link else video
        values = [*(number(row[metric]) for metric in evaluation.metrics), str(row["frames"])]
        words = [*(row[name] for name in listed), name_of(row["model"])]
        cells = "".join(f'<td class="word">{text(value)}</td>' for value in words)
        cells += "".join(f'<td class="num">{value}</td>' for value in values)
        place = evaluation.models.index(row["model"])
        rows.append(f'<tr data-m="{place}"><th scope="row">{video}</th>{cells}</tr>')
    options = "".join(f'<option value="{i}">{text(name_of(model))}</option>' for i, model in enumerate(evaluation.models))
    body = (
        "<p>A column’s name sorts by it; a second time turns the order round. Frames: those with a value in some metric.</p>"
        f'<p class="controls"><label>Model <select id="model">{options}<option value="all">all models</option></select></label>'
        '<span id="sorted" role="status"></span></p>'
        + table("Scores of each video", "Mean over the frames of each video", head, [_body(rows)], kind="videos")
    )
    return section("videos", "Videos", body)


def _body(rows):
    return "<tbody>" + "\n".join(rows) + "</tbody>"


def _head(name, kind="words"):
    return f'<th scope="col" aria-sort="none" class="{kind}"><button type="button">{text(name)}</button></th>'
