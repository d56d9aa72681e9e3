"""What the means leave out: frames without a value and why, frames and videos without a prediction."""

from __future__ import annotations

from collections import Counter

import numpy as np

from stajax.evaluation.report.markup import count, counted, heads, name_of, predictions, section, table, text
from stajax.evaluation.results import LABELS, Evaluation, count_notes

MANY = 30  # entries of a list before the rest is only counted

_MEANING = {
    "no prediction": "there is no map for it; in no mean",
    "broken prediction": "its map could not be read or scored; in no mean",
    "broken truth": "the data set’s files for it could not be read; in no mean of any model",
    "no picture": "the baseline needs the picture; in none of its means",
    "no fixation": "nobody looked at the picture then: no AUC-J, s-AUC, NSS",
    "SIM counted as 0": "SIM is 0 there and stays in the mean, as STAViS’ code has it",
    "a single fixation": "only one pixel is fixated: no AUC-B",
    "nothing but fixations": "every pixel is fixated: no AUC-J",
    "no other fixation": "nobody looked elsewhere at another time: no s-AUC",
    "constant density": "the truth is the same everywhere: no CC, no SIM unless it is all zero",
    "all-zero map": "the map is zero everywhere; metrics that compare its values have none",
    "constant map": "the map has one value everywhere; metrics that compare its values have none",
    "NaN in the map": "some values of the map are no numbers",
    "counted at chance": "it stays in every mean, with what a map that says nothing would score",
    "NaN in the density": "some values of the truth are no numbers",
    "fewer than two observers": "one observer cannot be held against others",
}


def left_out(evaluation: Evaluation) -> str:
    """The section "What was left out"."""
    parts = [_reasons(evaluation), _details(evaluation), _missing_frames(evaluation), _missing_videos(evaluation)]
    return section("left-out", "What was left out", "\n".join([*filter(None, parts), _coverage(evaluation)]))


def _reasons(evaluation):
    """Reason, how many frames, what follows from it; the prediction's as the evaluation counts them, then the baselines'."""
    first, *others = evaluation.models
    counts = {first: evaluation.notes} | {model: count_notes(evaluation.select(model=model)["note"]) for model in others}
    rows = []
    for model, notes in counts.items():
        total = np.count_nonzero(evaluation.rows["model"] == model)
        for reason, n in notes.items():
            meaning = "; ".join(_MEANING.get(part, "") for part in reason.split(", ")).strip("; ")
            share = f" ({n / total:.1%})" if total else ""
            rows.append(
                f'<tr><th scope="row">{text(reason)}</th><td class="num">{count(n)}{share}</td>'
                f'<td>{text(name_of(model))}</td><td class="prose">{meaning}</td></tr>'
            )
    if not rows:
        return "<p>Nothing: every listed frame has every metric, for every model.</p>"
    head = [*heads(["Reason"], ["Frames"]), *heads(["Model", "What follows"])]
    body = "<tbody>" + "\n".join(rows) + "</tbody>"
    return table("Why frames lack a metric", "Frames that lack a metric, or have one by convention", head, [body])


def _details(evaluation):
    """What was wrong with the files, in the words of the reader."""
    details = Counter(note for note in evaluation.rows["note"].tolist() if ":" in note)
    if not details:
        return ""
    lines = [f"<li>{text(note)}" + (f" ({count(n)} times)" if n > 1 else "") + "</li>" for note, n in details.most_common(MANY)]
    return f"<details><summary>What was wrong with files</summary><ul>{''.join(lines)}{_more(len(details))}</ul></details>"


def _missing_frames(evaluation):
    """Which frames have no prediction, or a broken one, by video."""
    names = predictions(evaluation)
    if not names:
        return ""
    rows, missing = evaluation.select(model=names[0]), {}
    for i, note in enumerate(rows["note"].tolist()):
        if note.startswith(("no prediction", "broken prediction")):
            missing.setdefault((rows["dataset"][i], rows["video"][i]), set()).add(int(rows["frame"][i]))
    if not missing:
        return f"<p>Every scored frame has a prediction by {text(names[0])}.</p>"
    lines = [
        f"<li>{text(dataset)}, {text(video)}: {text(_ranges(sorted(frames)))}</li>"
        for (dataset, video), frames in list(missing.items())[:MANY]
    ]
    total = sum(map(len, missing.values()))
    return (
        f"<p>Without a prediction that can be scored: {counted(total, 'frame')} of {counted(len(missing), 'video')}.</p>"
        f"<details><summary>Which frames</summary><ul>{''.join(lines)}{_more(len(missing))}</ul></details>"
    )


def _missing_videos(evaluation):
    names = evaluation.settings.get("videos_without_prediction") or []
    if not names:
        return ""
    lines = "".join(f"<li>{text(name)}</li>" for name in names[:MANY])
    return (
        f"<p>Without any prediction: {counted(len(names), 'video')} of the data set, in no table here, for no model.</p>"
        f"<details><summary>Which videos</summary><ul>{lines}{_more(len(names))}</ul></details>"
    )


def _coverage(evaluation):
    """How many frames stand behind each metric."""
    rows = []
    for model in evaluation.models:
        frames = evaluation.select(model=model)
        values = [len(frames["frame"]), *(np.count_nonzero(np.isfinite(frames[metric])) for metric in evaluation.metrics)]
        cells = "".join(f'<td class="num">{count(value)}</td>' for value in values)
        rows.append(f'<tr><th scope="row">{text(name_of(model))}</th>{cells}</tr>')
    head = heads(["Model"], ["Listed", *(LABELS[metric] for metric in evaluation.metrics)])
    caption = "Frames with a value, by metric; one that two splits list counts twice"
    return table("Frames with a value", caption, head, ["<tbody>" + "\n".join(rows) + "</tbody>"])


def _ranges(numbers):
    """ "1 to 3, 7" for 1, 2, 3, 7."""
    runs = []
    for value in numbers:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    shown = [str(low) if low == high else f"{low} to {high}" for low, high in runs[:MANY]]
    return ", ".join(shown) + (f" and {len(runs) - MANY} more stretches" if len(runs) > MANY else "")


def _more(n):
    return f"<li>and {count(n - MANY)} more</li>" if n > MANY else ""
