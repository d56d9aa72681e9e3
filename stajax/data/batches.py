"""Batches of examples, by grain: shuffled and endless for training, in order and once for evaluation.

A batch is a dict of arrays, B rows each; the target is node 0, its company follows:

    views    (B, nodes, f, size, size, 3) uint8; from a cache instead features {level: (B, nodes, f, h, w, C) float16}
    sound    (B, nodes, window) float32;         from a cache instead vectors (B, nodes, D) float32
    audible  (B, nodes) float32   0 where there is no sound, or its peak is below 0.001
    heard    (B, nodes) float32   1 where what is heard is among the clip's tags
    tags     (B, classes) float32, of the target's clip
    maps     (B, nodes, h, w) float32 and valid (B, nodes) bool, for tasks with maps
    weight   (B,) float32         0 for rows that fill up the last batch of an evaluation, or stand for a damaged clip
    record   (B,) int32           number of the target's record; moment (B,) int32: its frame
    skipped  (B,) int32           clips that were left out before this one could be taken

`batches[step]` is the batch of a step, whatever was read before, and batch b of process p of P holds rows p::P of the whole
batch b: how many processes or workers there are changes nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grain.python as grain

from stajax.data.examples import Examples

_AHEAD = 2  # batches that each worker, or the thread, may be ahead of the caller


def training_batches(examples: Examples, batch: int, *, process: int = 0, processes: int = 1) -> grain.MapDataset:
    """Batches without end: each epoch goes through all clips in an order of its own.

    Args:
        examples: to draw from; their seed is that of the order too.
        batch: rows of the whole batch, over all processes.
        process, processes: which of how many this is.

    Raises:
        ValueError: the batch cannot be divided by the processes.
    """
    stream = grain.MapDataset.range(len(examples)).shuffle(seed=examples.seed).repeat()
    return _share(stream.map_with_index(examples.training), batch, process, processes)


def evaluation_batches(
    examples: Examples, batch: int, *, moments: int = 4, process: int = 0, processes: int = 1
) -> grain.MapDataset:
    """Each clip once, as `moments` moments spread over it; the last batch is filled up with rows of weight 0.

    Args and raises as `training_batches`.
    """
    count = len(examples) * moments
    whole = grain.MapDataset.range(-(-count // batch) * batch)

    def example(i: int) -> dict:
        found = examples.evaluation(i % count // moments, i % moments, moments)
        return found if i < count else found | {"weight": 0 * found["weight"]}

    return _share(whole.map(example), batch, process, processes)


@contextmanager
def reading(batches: grain.MapDataset, *, start: int = 0, workers: int = 0) -> Iterator[Iterator[dict]]:
    """Batches from `start` on, made ahead by a thread or by worker processes, which end with the context.

        with reading(training_batches(examples, 8), start=step, workers=4) as batches:
            for batch in batches:

    Workers import the program's main module again: what it runs must stand under ``if __name__ == "__main__"``.
    """
    # A thread for each batch that is being made; grain's own 500 batches ahead would fill the memory.
    options = grain.ReadOptions(num_threads=_AHEAD, prefetch_buffer_size=_AHEAD)
    ahead = batches[start:].to_iter_dataset(options)
    if workers:
        _parse_flags()
        ahead = ahead.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=_AHEAD))
    iterator = iter(ahead)
    try:
        yield iterator
    finally:
        iterator.close()


def _share(stream: grain.MapDataset, batch: int, process: int, processes: int) -> grain.MapDataset:
    if batch % processes:
        raise ValueError(f"a batch of {batch} cannot be divided by {processes} processes; give a multiple of {processes}")
    return stream[process::processes].batch(batch // processes)


def _parse_flags() -> None:
    """grain reads absl's flags to start workers, which a program that has no absl main never parses."""
    from absl import flags

    if not flags.FLAGS.is_parsed():
        flags.FLAGS.mark_as_parsed()
