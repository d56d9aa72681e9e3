"""What preparing and reading records costs, and what the sound tagger hears in clips whose tag is known.

    python benchmarks/records.py CLIPS [--workers 2]

CLIPS is a folder with a subfolder for each tag, or a CSV with columns path and tag (docs/data.md). Prints

  prepare      clips a second, processor time a frame, megabytes a record
  read         ms to read and parse one record in random order; of it the 9 JPEGs that an example of three fragments decodes,
               and all of them, which nothing does
  heard        per class the share of 0.2 s hops in which its own tag is heard, another class, or none, for several thresholds

Milliseconds are processor time, of all threads, so that other work on the machine counts little.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stajax.data.clip_lists import read_clips, tag_names
from stajax.data.heard import THRESHOLD, columns, count_hops, heard
from stajax.data.jpeg import decode_jpeg
from stajax.data.preparation import prepare
from stajax.data.records import Records
from stajax.training.tagger import sound_names, sound_scores

JPEGS = 9  # of an example with two company fragments, three frames each
THRESHOLDS = (0.02, 0.05, 0.1, 0.2, 0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    clips = read_clips(arguments.clips)
    with tempfile.TemporaryDirectory() as folder:
        start, before = time.perf_counter(), _processor()
        summary = prepare(clips, tag_names(clips), folder, workers=arguments.workers)
        seconds, processor = time.perf_counter() - start, _processor() - before
        records = Records(folder)
        size = sum(shard.stat().st_size for shard in records.shards) / summary.records / 1e6
        print(f"prepare  {summary.records / seconds:.2f} clips/s with {arguments.workers} workers,", end=" ")
        print(
            f"{1e3 * processor / summary.frames:.1f} ms a frame; {size:.1f} MB a record, {len(summary.skipped)} clips skipped"
        )
        _read(records)
        _heard(records)


def _processor() -> float:
    """Seconds of this process and of those that it has waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _read(records: Records) -> None:
    order = np.random.default_rng(0).permutation(len(records))
    for index in order:  # once before, so that the files are in memory
        clip = records[int(index)]
    read = _milliseconds(lambda: [records[int(index)] for index in order]) / len(records)
    some = _milliseconds(lambda: [decode_jpeg(data) for data in clip.frames[:JPEGS]])
    every = _milliseconds(lambda: [decode_jpeg(data) for data in clip.frames])
    print(f"read     {read:.1f} ms a record; {JPEGS} JPEGs {some:.1f} ms, all {len(clip.frames)} {every:.0f} ms")


def _milliseconds(work: Callable, rounds: int = 5) -> float:
    """The best of the rounds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        times.append(1e3 * (time.process_time() - start))
    return min(times)


def _heard(records: Records) -> None:
    sounds, hops = columns(records.classes, sound_names()), 0
    sound_scores(np.zeros(0, np.float32), 1)  # compiles
    scores, start = [], time.process_time()
    for clip in records:
        if len(clip.tags) and len(clip.sound):
            scores.append((clip.tags, sound_scores(clip.waveform(), count_hops(clip.times[-1]))))
            hops += len(scores[-1][1])
    print(f"heard    {hops} hops, {1e3 * (time.process_time() - start) / hops:.1f} ms each")
    names = list(records.classes)
    for threshold in THRESHOLDS:
        shares = defaultdict(list)  # class -> (own, other) of each hop
        for tags, of_clip in scores:
            found = heard(of_clip, sounds, tags, threshold=threshold)
            own = np.isin(found, tags)
            shares[names[tags[0]]] += list(zip(own, (found >= 0) & ~own, strict=True))
        rows = {"all": [hop for of_class in shares.values() for hop in of_class]}
        for name, of_hops in (rows | (shares if threshold == THRESHOLD else {})).items():
            own, other = np.mean(of_hops, axis=0)
            print(f"         threshold {threshold:<4}  {name:<32} own {own:.2f}  other {other:.2f}  none {1 - own - other:.2f}")


if __name__ == "__main__":
    main()
