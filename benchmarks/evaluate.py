"""How `stajax evaluate` scales over processes: 2000 synthetic frames of 640x480, with 1, 2, ... workers in one run.

    python benchmarks/evaluate.py                     # a few minutes on 2 cores
    python benchmarks/evaluate.py --frames 4000 --workers 1,4,16

Ten videos of 16 fixations a frame in the layout of the protocol `plain`, predictions of 64x64 as `stajax predict` writes them.
Run it on an idle machine. The scores of all runs are compared.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np

VIDEOS, WIDTH, HEIGHT, FIXATIONS = 10, 640, 480, 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2000, metavar="N")
    parser.add_argument("--workers", default=f"1,{os.cpu_count()}", metavar="N,N", help="default: 1 and one for each core")
    arguments = parser.parse_args()
    from stajax.evaluation.evaluate import evaluate
    from stajax.evaluation.results import METRICS

    with tempfile.TemporaryDirectory() as folder:
        pred, truth = _make(Path(folder), arguments.frames // VIDEOS)
        print(f"five metrics of {arguments.frames // VIDEOS * VIDEOS} frames of {WIDTH}x{HEIGHT}, {os.cpu_count()} cores")
        first = alone = None
        for workers in map(int, arguments.workers.split(",")):
            start = time.perf_counter()
            evaluation = evaluate(pred, truth, "plain", workers=workers)
            took = time.perf_counter() - start
            rows = np.stack([evaluation.rows[metric] for metric in METRICS])
            first, alone = (rows, took) if first is None else (first, alone)
            same = "the same scores" if np.array_equal(first, rows, equal_nan=True) else "OTHER SCORES"
            print(f"  {workers:3d} workers  {took:6.1f} s  {rows.shape[1] / took:7.1f} frames/s  {alone / took:5.2f}x  {same}")


def _make(folder: Path, frames: int) -> tuple[Path, Path]:
    """Predictions and a plain data set; seeded."""
    rng = np.random.default_rng(0)
    pred, truth = folder / "pred", folder / "truth"
    (truth / "fixations").mkdir(parents=True)
    names = [f"video{number}" for number in range(VIDEOS)]
    sizes = "".join(f"{name},{WIDTH},{HEIGHT},25\n" for name in names)
    (truth / "sizes.csv").write_text("name,width,height,fps\n" + sizes)
    for name in names:
        points = rng.random((frames * FIXATIONS, 2)) * (WIDTH, HEIGHT)
        lines = [f"{row // FIXATIONS},{x:.1f},{y:.1f}\n" for row, (x, y) in enumerate(points)]
        (truth / "fixations" / f"{name}.csv").write_text("frame,x,y\n" + "".join(lines))
        (pred / name).mkdir(parents=True)
        maps = rng.random((frames, 64, 64)).astype(np.float16)
        np.savez(pred / name / "maps.npz", maps=maps, time=np.arange(frames) / 25, fps=25.0)
    return pred, truth


if __name__ == "__main__":
    main()
