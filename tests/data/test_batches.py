"""Batches: what a step's batch holds does not depend on what was read before, on workers, or on processes."""

import numpy as np
import pytest

from stajax.data.augment import Augment
from stajax.data.batches import evaluation_batches, reading, training_batches
from stajax.data.examples import Examples, Sampling

SAMPLING = Sampling(size=32, window=1600, company="long", augment=Augment.default())


class Watching(Examples):
    """Examples that say whether jax has a backend where they are made."""

    def training(self, position, clip):
        from jax._src import xla_bridge

        return super().training(position, clip) | {"backends": np.int32(len(xla_bridge._backends))}


def equal(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_shapes_and_types(records):
    batch = training_batches(Examples(records, sampling=SAMPLING), 4)[0]
    assert {name: (x.shape, str(x.dtype)) for name, x in batch.items()} == {
        "views": ((4, 3, 3, 32, 32, 3), "uint8"),
        "sound": ((4, 3, 1600), "float32"),
        "audible": ((4, 3), "float32"),
        "heard": ((4, 3), "float32"),
        "tags": ((4, 4), "float32"),
        "weight": ((4,), "float32"),
        "record": ((4,), "int32"),
        "moment": ((4,), "int32"),
        "skipped": ((4,), "int32"),
    }


def test_an_epoch_shows_every_clip_once_in_an_order_of_its_own(records):
    batches = training_batches(Examples(records, sampling=SAMPLING, seed=1), 5)
    epochs = [np.concatenate([batches[2 * epoch + half]["record"] for half in (0, 1)]).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_rows_of_the_whole_batch(records, processes):
    """A batch of 4 of 10 clips: batches go over the ends of epochs."""
    examples = Examples(records, sampling=SAMPLING)
    whole = training_batches(examples, 4)
    parts = [training_batches(examples, 4, process=p, processes=processes) for p in range(processes)]
    for step in (0, 2, 7):
        for p, part in enumerate(parts):
            equal(part[step], {name: x[p::processes] for name, x in whole[step].items()})


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resume_reads_what_would_have_come(records, workers):
    """From step 3 on, ahead in threads or in workers: the batches of the steps, and no worker starts jax."""
    batches = training_batches(Watching(records, sampling=SAMPLING), 2)
    with reading(batches, start=3, workers=workers) as ahead:
        read = [next(ahead) for _ in range(5)]
    for step, batch in enumerate(read, 3):
        if workers:
            assert not batch["backends"].any() and type(batch["views"]) is np.ndarray
        equal({**batch, "backends": 0}, {**batches[step], "backends": 0})


def test_errors_in_the_making_arrive(records):
    examples = Examples(records, sampling=SAMPLING)
    examples.training = lambda position, clip: 1 / 0
    with pytest.raises(ZeroDivisionError), reading(training_batches(examples, 2)) as ahead:
        next(ahead)


def test_evaluation_shows_each_clip_at_moments_spread_over_it(records, places):
    """10 clips, 3 moments each, in batches of 8: 30 rows and 2 that fill up."""
    batches = evaluation_batches(Examples(records, sampling=SAMPLING), 8, moments=3)
    read = [batches[i] for i in range(len(batches))]
    rows = {name: np.concatenate([batch[name] for batch in read]) for name in ("weight", "record", "moment")}
    assert rows["weight"].tolist() == [1.0] * 30 + [0.0] * 2
    np.testing.assert_array_equal(rows["record"][:30], np.repeat(np.arange(10), 3))
    np.testing.assert_array_equal(rows["moment"][:30], np.tile([2, 6, 10], 10))
    found = places(read[0]["views"])  # as they are in the record: nothing is augmented
    np.testing.assert_array_equal(found[:, 0, 1, 1], read[0]["moment"])
    equal(read[3], batches[3])


def test_processes_share_an_evaluation(records):
    examples = Examples(records, sampling=SAMPLING)
    whole = evaluation_batches(examples, 4, moments=1)
    parts = [evaluation_batches(examples, 4, moments=1, process=p, processes=2) for p in range(2)]
    assert [len(part) for part in parts] == [len(whole)] * 2 == [3, 3]
    for p, part in enumerate(parts):
        equal(part[2], {name: x[p::2] for name, x in whole[2].items()})


def test_a_batch_that_cannot_be_shared_is_an_error(records):
    with pytest.raises(ValueError, match="a batch of 6 cannot be divided by 4 processes; give a multiple of 4"):
        training_batches(Examples(records, sampling=SAMPLING), 6, processes=4)
