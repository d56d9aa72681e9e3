"""The options of protocols and what they may be. What they mean: `base.py`, `others.py`, `sigma.py`, the protocols' classes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

from stajax.evaluation.protocols.others import SOURCES


class Option(NamedTuple):
    """What it may be. values: all that there are; least: of a whole number; without either, any positive number."""

    values: tuple[str | int, ...] = ()
    least: int | None = None


OPTIONS = {
    "empty": Option(("zero", "drop")),
    "blank": Option(("drop", "chance")),
    "other": Option(SOURCES),  # or the path of a file
    "n_random": Option(least=1),
    "seed": Option(least=0),
    "sigma": Option(),
    "sigma_degrees": Option(),
    "pixels_per_degree": Option(),
    "screen_cm": Option(),
    "distance_cm": Option(),
    "first_frame": Option(least=1),
    "all": Option((0, 1)),
    "step": Option(least=1),
}
POLICIES = ("empty", "blank")  # attributes of a protocol, whichever it is; the others are arguments of its class


def check(protocol: str, given: dict, allowed: tuple[str, ...]) -> None:
    """Refuses options that a protocol does not have, and values that they do not take.

    Raises:
        ValueError: one line that says what there is.
    """
    if unknown := sorted(set(given) - set(allowed)):
        raise ValueError(f"{protocol}: no option {', '.join(unknown)}; there are {', '.join(allowed)}")
    for name, value in given.items():
        if problem := _problem(OPTIONS[name], name, value):
            raise ValueError(f"{protocol}: {name} is {value}, {problem}")


def _problem(option, name, value):
    """What is wrong with a value, "" if nothing is."""
    if name == "other" and isinstance(value, str) and Path(value).is_file():
        return ""
    if option.values:
        *others, last = [*map(str, option.values), *["the path of a map"] * (name == "other")]
        return "" if value in option.values else f"give {', '.join(others)} or {last}"
    if option.least is not None:
        whole = isinstance(value, int) and value >= option.least
        return "" if whole else f"it must be a whole number of at least {option.least}"
    return "" if isinstance(value, int | float) and 0 < value < math.inf else "it must be a positive number"
