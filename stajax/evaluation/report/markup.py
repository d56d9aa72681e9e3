"""Pieces of HTML. Whatever comes from outside (names, paths, notes) goes through `text`."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence

from stajax.evaluation.baselines import BASELINES
from stajax.evaluation.results import Evaluation

NOTHING = "–"  # where a value is NaN


def text(value: object) -> str:
    """Escaped for element content and for attributes in double quotes."""
    return html.escape(str(value))


def number(value: float) -> str:
    """Three digits behind the point, as in the paper; a dash for NaN."""
    return f"{value:.3f}".replace("-0.000", "0.000") if value == value else NOTHING


def count(value: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def counted(value: int, what: str) -> str:
    """ "1 frame", "2 frames"."""
    return f"{count(value)} {what}{'s' * (value != 1)}"


def name_of(model: str) -> str:
    """How the page calls a model, not escaped."""
    return BASELINES[model].title if model in BASELINES else model


def predictions(evaluation: Evaluation) -> list[str]:
    """The models that are not baselines."""
    return [model for model in evaluation.models if model not in BASELINES]


def embedded(content: object) -> str:
    """JSON for a script element: no `<`, so that no text in it can end the element or open a comment."""
    dumped = json.dumps(content, separators=(",", ":"), allow_nan=False)
    return dumped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def section(identifier: str, heading: str, body: str) -> str:
    """Part of the page; `body` is HTML, the rest plain."""
    name = f"{identifier}-heading"
    return f'<section id="{identifier}" aria-labelledby="{name}">\n<h2 id="{name}">{heading}</h2>\n{body}\n</section>\n'


def table(label: str, caption: str, head: Sequence[str], bodies: Iterable[str], *, kind: str = "") -> str:
    """A table in a box of its own that scrolls.

    label: plain words for who cannot see it; caption, head, bodies: HTML; head holds whole th elements, bodies whole tbody;
    kind: a class of the table, whose box may then be wider than the text.
    """
    return (
        f'<div class="scroll{" wide" * (kind != "")}" role="region" tabindex="0" aria-label="{text(label)}">'
        f'<table class="{kind}"><caption>{caption}</caption>\n<thead><tr>{"".join(head)}</tr></thead>\n'
        + "\n".join(bodies)
        + "</table></div>"
    )


def heads(words: Iterable[str], numbers: Iterable[str] = ()) -> list[str]:
    """Column headers, from plain words: first those of columns of words, then those of columns of numbers."""
    return [f'<th scope="col">{text(name)}</th>' for name in words] + [
        f'<th scope="col" class="num">{text(name)}</th>' for name in numbers
    ]
