"""What the numbers mean, and how to get them again."""

from __future__ import annotations

from stajax.evaluation.baselines import BASELINES
from stajax.evaluation.report.markup import heads, name_of, predictions, section, table, text
from stajax.evaluation.results import LABELS, METRICS, Evaluation

_COMPAT = {
    "stavis": "STAViS’ evaluation: the MIT benchmark’s definitions, after the map is scaled to [0, 1] and blurred (2 px)",
    "mit": "the MIT saliency benchmark’s MATLAB code",
    "pysaliency": "the package pysaliency 0.2.22",
}
_BESIDE = {
    "auc": "How often a fixated pixel is above another one, ties half (Mann-Whitney). Unlike AUC-J it is not biased where "
    "fixations are few. Chance is 0.5.",
    "auc_judd_chance": "What AUC-J gives a random map on the same frames: 0.5 + 1 / (2 (P + 1)) for P fixated pixels.",
    "auc_borji": "As s-AUC, with all pixels of the frame as negatives. Chance is 0.5.",
    "kl_divergence": "Kullback-Leibler divergence of the map from the density of fixations, each divided by its sum, in nats; "
    "lower is better. A frame without fixations is left out.",
    "info_gain": "What the map tells about the fixations beyond the centre prior, in bits per fixation; above 0 it tells more.",
}
_FIXATIONS = (1, 5, 10, 16, 50)


def definitions(evaluation: Evaluation) -> str:
    """The section "Definitions"."""
    settings = evaluation.settings
    compat = _COMPAT.get(evaluation.compat, text(evaluation.compat))
    terms = {
        "Conventions": f"“{text(evaluation.compat)}”: {compat}. Where that code draws random numbers, their exact expectation.",
        "AUC-J": "Thresholds are the map’s values at the fixated pixels, all other pixels are negative. It is biased upward "
        "where fixations are few: for P fixated pixels chance is 0.5 + 1 / (2 (P + 1)), not 0.5. Compare only models "
        "on the same frames.",
        "s-AUC": f"Shuffled AUC. Negatives are the pixels that people fixated on {_other(settings)}. Chance is 0.5.",
        "NSS": "Mean over the fixated pixels of the map, standardised to mean 0 and variance 1. Chance is 0; there is no upper "
        "bound.",
        "CC": "Pearson’s correlation of the map with the density of fixations.",
        "SIM": f"Map and density each scaled to [0, 1], then to the sum 1; the sum of the pixelwise minimum.{_empty(settings)}",
        "Means": f"Frames are averaged to a video, videos to a data set, each with the same weight.{_splits(settings)}",
        "Blank maps": _blank(settings),
        "Intervals": "Percentiles 2.5 and 97.5 of 2 000 means over videos drawn with replacement; a data set with one video "
        "has none. Two overlapping intervals may still belong to models that differ on nearly every video: see the table of "
        "videos.",
    }
    terms |= {LABELS[name]: _BESIDE[name] for name in evaluation.metrics if name not in METRICS}
    terms |= {f"Baseline {name_of(name)}": f"{BASELINES[name].what}." for name in evaluation.models if name in BASELINES}
    listed = "".join(f"<dt>{text(term)}</dt><dd>{words}</dd>" for term, words in terms.items())
    chance = "".join(f'<td class="num">{0.5 + 1 / (2 * (p + 1)):.3f}</td>' for p in _FIXATIONS)
    chance = f'<tbody><tr><th scope="row">Chance level of AUC-J</th>{chance}</tr></tbody>'
    head = heads(["Fixated pixels"], map(str, _FIXATIONS))
    biased = table("Chance level of AUC-J", "What AUC-J gives a map of random numbers", head, [chance])
    return section("definitions", "Definitions", f"<dl>{listed}</dl>{biased}")


def _other(settings):
    other = text(settings.get("other") or "other frames or images")
    if "same" in other:
        other += " (so it is a within-video score, not comparable with one whose negatives come from other videos)"
    return other


def _empty(settings):
    return {
        "zero": " A frame without fixations counts as 0, as in STAViS’ code, and so lowers the mean.",
        "drop": " A frame without fixations is left out.",
    }.get(settings.get("empty"), "")


def _blank(settings):
    words = "Maps of zeros, of one value or with NaN "
    if settings.get("blank") == "chance":
        return words + "count in every mean, with what a map that says nothing would score; how many there were stands above."
    return words + "are left out of the means of the metrics that have no value for them; how many there were stands above."


def _splits(settings):
    first = settings.get("mean_of_splits") or []
    words = " A video that several test lists hold counts once for each."
    if first:
        words += f" {text(' and '.join(first))}: within each split first, then over the splits, as STAViS does."
    return words


def reproduce(evaluation: Evaluation, command: str | None) -> str:
    """The section "How to get these numbers again". command: as typed."""
    parts = [f"<p>As typed:</p><pre><code>{text(command)}</code></pre>"] if command else []
    if "truth" in evaluation.settings:
        parts.append(f"<p>In Python:</p><pre><code>{text(_call(evaluation))}</code></pre>")
    if not parts:
        parts.append("<p>The evaluation does not say what it was made from.</p>")
    return section("reproduce", "How to get these numbers again", "".join(parts))


def _call(evaluation):
    """The Python that makes the evaluation."""
    settings = evaluation.settings
    baselines = tuple(model for model in evaluation.models if model in BASELINES)
    keywords = {
        "compat": evaluation.compat,
        "baselines": baselines or None,
        "also": tuple(name for name in evaluation.metrics if name not in METRICS) or None,
        "datasets": settings.get("datasets"),
        "splits": settings.get("splits"),
        "name": next(iter(predictions(evaluation)), None),
        "options": settings.get("options") or None,
    }
    arguments = [f"    {value!r}," for value in (settings.get("pred"), settings["truth"], evaluation.protocol)]
    arguments += [f"    {name}={value!r}," for name, value in keywords.items() if value is not None]
    return "\n".join(["from stajax.evaluation.evaluate import evaluate", "", "evaluation = evaluate(", *arguments, ")"])
