"""Clips held out: none in both parts, the tags' shares kept, whatever the order of the records."""

import numpy as np
import pytest

from stajax.data.fixations import DataError
from stajax.data.records import Entry
from stajax.data.split import held_out, named

ENTRIES = [Entry(f"clip{i:03d}", (i % 3,) if i % 10 else (), 10, 0) for i in range(100)] + [
    Entry("two", (1, 2), 10, 0),
    Entry("rare", (9,), 10, 0),
]


@pytest.mark.parametrize("every", [2, 5])
def test_every_so_many_clips_of_each_tag_are_held_out(every):
    parts = held_out(ENTRIES, every, seed=3)
    together = np.concatenate([parts["training"], parts["validation"]])
    assert sorted(together.tolist()) == list(range(len(ENTRIES)))
    for tag in (0, 1, 2, 9, None):
        of_tag = [i for i, entry in enumerate(ENTRIES) if next(iter(entry.tags), None) == tag]
        assert np.isin(parts["validation"], of_tag).sum() == len(of_tag) // every


def test_the_split_is_drawn_by_seed_and_not_by_order():
    names = [sorted(ENTRIES[i].name for i in held_out(ENTRIES, 5, seed=seed)["validation"]) for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]
    backwards = ENTRIES[::-1]
    assert sorted(backwards[i].name for i in held_out(backwards, 5, seed=0)["validation"]) == names[0]


def test_a_set_may_name_its_own_split():
    np.testing.assert_array_equal(named(ENTRIES, ["two", "clip004", "two"]), [4, 100])
    with pytest.raises(DataError, match="no record of nobody and 0 others"):
        named(ENTRIES, ["two", "nobody"])


def test_a_split_leaves_clips_for_training():
    with pytest.raises(ValueError, match="every 1: give 2 or more"):
        held_out(ENTRIES, 1)
