"""What the five metrics cost: ms per map, one by one in NumPy and in batches in JAX, beside pysaliency on the same maps.

    python benchmarks/metrics.py                                        # about a minute
    python benchmarks/metrics.py --pysaliency-python PATH/bin/python    # with the ratio

pysaliency wants older packages than stajax, so it runs in a process of its own, with a Python that has it:

    python3 -m venv PATH && PATH/bin/pip install "pysaliency==0.2.22" "setuptools<81" "numpy<2.4"

Run it on an idle machine. All ways take turns in one run, and the best of the rounds counts. Only the column that says so
was measured elsewhere.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

SETTINGS = [((256, 256), 16), ((256, 256), 50), ((480, 640), 16), ((480, 640), 50)]
BATCH = 16
ROUNDS = 5
# The MIT benchmark's code under Octave 7.3, 100 draws for s-AUC; measured elsewhere, on 2 cores.
OCTAVE = {SETTINGS[0]: 30, SETTINGS[1]: 36, SETTINGS[2]: 49, SETTINGS[3]: 70}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pysaliency-python", metavar="PATH", help="a Python that has pysaliency 0.2.22")
    parser.add_argument("--child", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _answer_with_pysaliency(arguments.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        child = _Pysaliency(arguments.pysaliency_python, Path(folder)) if arguments.pysaliency_python else None
        rows = [_measure(shape, n, child, Path(folder)) for shape, n in SETTINGS]
        if child:
            child.close()
    _print(rows)


def _maps(shape: tuple[int, int], n: int) -> tuple[np.ndarray, ...]:
    """A batch of smooth maps, n fixations each, density, 20 n candidates for the shuffled AUC; seeded."""
    from scipy.ndimage import gaussian_filter

    rng, size = np.random.default_rng(0), shape[0] * shape[1]
    saliency = np.stack([gaussian_filter(rng.random(shape), 10) for _ in range(BATCH)])
    fixations, other = np.zeros((2, BATCH, size), bool)
    for i in range(BATCH):
        fixations[i, rng.choice(size, n, replace=False)] = True
        other[i, rng.choice(size, 20 * n, replace=False)] = True
    fixations, other = fixations.reshape(saliency.shape), other.reshape(saliency.shape)
    return saliency, fixations, np.stack([gaussian_filter(one * 1.0, 20) for one in fixations]), other


def _measure(shape: tuple[int, int], n: int, child: _Pysaliency | None, folder: Path) -> dict:
    from stajax.evaluation import metrics, metrics_jax

    maps = _maps(shape, n)
    file = folder / f"{shape[0]}_{n}.npz"
    np.savez(file, *(one[0] for one in maps))
    saliency, fixations, density, other = maps
    batch = saliency.astype(np.float32), fixations, density.astype(np.float32), other

    def one_by_one() -> dict:
        return metrics.five(saliency[0], fixations[0], density[0], other[0])

    def together() -> dict:
        return {name: np.asarray(values) for name, values in metrics_jax.five(*batch).items()}

    row = {"shape": shape, "fixations": n, "octave": OCTAVE[shape, n], "numpy": np.inf, "jax": np.inf, "pysaliency": np.inf}
    row["differs"] = max(abs(together()[name][0] - value) for name, value in one_by_one().items())
    for _ in range(ROUNDS):
        row["numpy"] = min(row["numpy"], _ms(one_by_one, 25))
        row["jax"] = min(row["jax"], _ms(together, 4) / BATCH)
        if child:
            answer = child.ask(file)
            row["pysaliency"] = min(row["pysaliency"], answer["ms"])
    if child:
        theirs = metrics.five(saliency[0], fixations[0], density[0], other[0], compat="pysaliency")
        row["differs_pysaliency"] = max(abs(theirs[name] - value) for name, value in answer["values"].items())
    return row


def _ms(function: Callable[[], object], repeats: int) -> float:
    best = np.inf
    for _ in range(repeats):
        begun = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - begun)
    return 1e3 * best


class _Pysaliency:
    """The other process: a file name goes in, ms and values come out."""

    def __init__(self, python: str, folder: Path) -> None:
        command = [python, __file__, "--child", str(folder)]
        try:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            sys.exit(f"benchmarks/metrics.py: cannot start {python}: {error.strerror}")

    def ask(self, file: Path) -> dict:
        try:
            self.process.stdin.write(f"{file}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            sys.exit("benchmarks/metrics.py: pysaliency does not run there, its message is above; see --help for how to get it")
        return json.loads(line)

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def _answer_with_pysaliency(folder: str) -> None:
    """In the other process. Takes pysaliency's quickest way to each value: no jitter, no model classes around it."""
    warnings.simplefilter("ignore")
    try:
        import torch  # noqa: F401
    except ImportError:  # needed by its deep models only, but imported with it
        sys.modules["torch"] = types.ModuleType("torch")
    from pysaliency.metrics import CC, NSS, SIM
    from pysaliency.roc import general_roc

    def five(saliency: np.ndarray, fixations: np.ndarray, density: np.ndarray, other: np.ndarray) -> dict:
        ys, xs = np.nonzero(fixations)
        return {
            "auc_judd": general_roc(saliency[ys, xs], saliency[~fixations], judd=1)[0],
            "similarity": SIM(saliency, density),
            "auc_shuffled": general_roc(saliency[ys, xs], saliency[other])[0],
            "cc": CC(saliency, density),
            "nss": NSS(saliency, xs, ys).mean(),
        }

    for line in sys.stdin:
        with np.load(line.strip()) as file:
            maps = [file[name] for name in sorted(file.files)]
        values = five(*maps)  # the first call compiles
        answer = {"values": {name: float(value) for name, value in values.items()}, "ms": _ms(partial(five, *maps), 10)}
        print(json.dumps(answer), flush=True)


def _print(rows: list[dict]) -> None:
    print("\nfive metrics, ms per map (best of the rounds), and how many times as fast as pysaliency")
    titles = (("map", ""), ("fixations", ""), ("NumPy", ""), (f"JAX x{BATCH}", ""), ("pysaliency", ""))
    titles += (("NumPy", "faster"), ("JAX", "faster"), ("MIT, Octave", "(elsewhere)"))
    for line in zip(*titles, strict=True):
        print(("  {:<9}{:>10}{:>9}{:>9}{:>12}{:>9}{:>9}{:>14}".format(*line)).rstrip())
    for row in rows:
        size, beside = f"{row['shape'][1]}x{row['shape'][0]}", row["pysaliency"]
        ratios = [f"{beside / row[way]:.1f}x" if np.isfinite(beside) else "-" for way in ("numpy", "jax")]
        beside = f"{beside:.2f}" if np.isfinite(beside) else "see below"
        print(f"  {size:<9}{row['fixations']:>10}{row['numpy']:>9.2f}{row['jax']:>9.2f}{beside:>12}", end="")
        print(f"{ratios[0]:>9}{ratios[1]:>9}{row['octave']:>14}")
    print(f"  JAX in float32 differs from NumPy in float64 by {max(row['differs'] for row in rows):.0e} at most")
    if "differs_pysaliency" in rows[0]:
        print(f"  compat='pysaliency' differs from pysaliency by {max(row['differs_pysaliency'] for row in rows):.0e} at most")
    else:
        print('  pysaliency: python3 -m venv PATH && PATH/bin/pip install "pysaliency==0.2.22" "setuptools<81" "numpy<2.4",')
        print("  then --pysaliency-python PATH/bin/python")


if __name__ == "__main__":
    main()
