"""Training and validation without a clip in both: clips are held out by a draw that keeps the shares of the tags."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from stajax.data.fixations import DataError
from stajax.data.records import Entry


def held_out(entries: Sequence[Entry], every: int = 5, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Of each tag every `every`-th clip is kept for validation, in an order drawn by seed.

    A clip counts to the first of its tags, one without tags to a group of their own; groups of fewer than `every` clips train.
    A clip's part depends on the clips of its tag and on their names, not on their order.

    Args:
        entries: of the records; `Records.entries`.
        every: at least 2.
        seed: of the draw.

    Returns:
        {"training", "validation"}: numbers of records, int64, ascending.
    """
    if every < 2:
        raise ValueError(f"every {every}: give 2 or more, so that clips are left for training")
    groups: dict[int, list[int]] = {}
    for i in sorted(range(len(entries)), key=lambda i: entries[i].name):
        groups.setdefault(next(iter(entries[i].tags), -1), []).append(i)
    kept = [
        np.random.default_rng((seed, tag + 1)).permutation(rows)[every - 1 :: every] for tag, rows in sorted(groups.items())
    ]
    validation = np.sort(np.concatenate([np.zeros(0, np.int64), *kept]))
    return {"training": np.setdiff1d(np.arange(len(entries)), validation), "validation": validation}


def named(entries: Sequence[Entry], names: Iterable[str]) -> np.ndarray:
    """Numbers of the records with these names, int64, ascending: a data set's own split. Raises DataError for unknown names."""
    number = {entry.name: i for i, entry in enumerate(entries)}
    names = list(names)
    if unknown := [name for name in names if name not in number]:
        raise DataError(f"split: no record of {unknown[0]} and {len(unknown) - 1} others; the records are of another data set")
    return np.unique(np.array([number[name] for name in names], np.int64))
