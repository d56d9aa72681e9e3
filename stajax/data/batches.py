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

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import grain.python as grain
import numpy as np
from absl import flags

from stajax.data.examples import Examples
from stajax.data.records import Clip, decode, encode

_AHEAD = 2  # batches that are made at once and kept ahead, in each process
_SHARED = 1 << 10  # bytes from which on arrays go through shared memory: a worker whose pipe is full ends late


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
    """Batches from `start` on, made ahead by threads or by worker processes, which end with the context.

        with reading(training_batches(examples, 8), start=step, workers=4) as ahead:
            for batch in ahead:

    Workers import the program's main module again: what it runs must stand under ``if __name__ == "__main__"``.
    """
    # grain's own 16 threads and 500 batches ahead would fill the memory.
    ahead = batches[start:].to_iter_dataset(grain.ReadOptions(num_threads=_AHEAD, prefetch_buffer_size=_AHEAD))
    if workers:
        if not flags.FLAGS.is_parsed():  # grain reads absl's flags, which a program without absl's main never parses
            flags.FLAGS.mark_as_parsed()
        options = grain.experimental.DatasetOptions(min_shm_size=_SHARED)
        processes = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=_AHEAD)
        ahead = grain.experimental.WithOptionsIterDataset(ahead, options).mp_prefetch(processes, _get_ready)
    else:
        _get_ready()
    iterator = iter(ahead)
    stream = (_own(batch) if workers else batch for batch in iterator)
    try:
        yield stream
    finally:
        stream.close()
        iterator.close()
        # What was made ahead lies in shared memory until it is collected, and grain's iterators are in cycles.
        del iterator
        gc.collect()


def _own(batch: dict) -> dict:
    """The batch out of shared memory, so that this is given back at once and not whenever the caller's last batch goes."""
    return {name: _own(part) if isinstance(part, dict) else np.array(part) for name, part in batch.items()}


def _get_ready(*_) -> None:
    """Let one thread import what parses records: threads that start it at once lock each other out (TFDS imports lazily)."""
    decode(encode(Clip("", np.zeros(0, np.int64), [], np.zeros(0, np.float32), 1.0, np.zeros(0, np.int16))))


def _share(stream: grain.MapDataset, batch: int, process: int, processes: int) -> grain.MapDataset:
    if batch % processes:
        raise ValueError(f"a batch of {batch} cannot be divided by {processes} processes; give a multiple of {processes}")
    return stream[process::processes].batch(batch // processes)
