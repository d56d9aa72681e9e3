"""What each component of the procedure is worth where the truth is known: hits of pseudo-fixations on synthetic clips.

    for seed in 0 1 2; do
        stajax pipeline --config configs/synthetic_tiny.py --workdir runs/tiny$seed --config.seed=$seed
        stajax pipeline --config configs/synthetic_tiny.py --workdir runs/frl$seed --config.seed=$seed \\
            --like runs/tiny$seed "--config.stages.*.net.refine=False" --until scam
        stajax pipeline --config configs/synthetic_tiny.py --workdir runs/open$seed --config.seed=$seed \\
            --like runs/tiny$seed --config.switch=False --until scam
    done
    python benchmarks/ablation.py runs/tiny0 runs/tiny1 runs/tiny2 --without-frl runs/frl0 runs/frl1 runs/frl2 \\
        --without-switch runs/open0 runs/open1 runs/open2

A hit is a map whose peak lies in the object that sounds. Each row changes one thing of the whole procedure; its difference from
the whole is taken seed by seed, mean and standard deviation over the seeds. Rows of silent clips tell what the sound is worth.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from stajax.inference.pseudofix import Settings
from stajax.media import MediaWarning
from stajax.pipeline.predicted import silent
from stajax.pipeline.synthetic import hit_rates, pseudo_maker

WHOLE = Settings()
ROWS = {
    "the whole procedure": WHOLE,
    "without selective fusion (average of all CAMs)": replace(WHOLE, selective=False),
    "without coarse-to-fine": replace(WHOLE, fine=False),
    "without company (SCAM)": replace(WHOLE, company=False),
    "SCAM, without coarse-to-fine": replace(WHOLE, company=False, fine=False),
    "S alone, coarse": replace(WHOLE, company=False, fine=False, sources=("S",)),
    "ST alone, coarse": replace(WHOLE, company=False, fine=False, sources=("ST",)),
    "SA alone, coarse": replace(WHOLE, company=False, fine=False, sources=("SA",)),
}
SILENT = ("the whole procedure", "without company (SCAM)", "SA alone, coarse")  # of clips made silent, too
MORE = {"without_frl": "without the refine layer", "without_switch": "without the audio switch"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="working directories of pipelines, one of each seed")
    for name, what in MORE.items():
        parser.add_argument(f"--{name.replace('_', '-')}", nargs="+", type=Path, default=[], help=f"of the same seeds, {what}")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", MediaWarning)  # clips without a sound track, tags with one clip
    hits: dict[str, list[float]] = {}
    for run in arguments.runs:
        makers = {row: pseudo_maker(run / "scam", settings) for row, settings in ROWS.items()}
        makers |= {f"{row}, silent clips": lambda clip, maker=makers[row]: maker(silent(clip)) for row in SILENT}
        for row, hit in hit_rates(makers, run / "records" / "test").items():
            hits.setdefault(row, []).append(hit)
    for name, what in MORE.items():
        others = getattr(arguments, name)
        if others and len(others) != len(arguments.runs):
            parser.error(f"--{name.replace('_', '-')}: {len(others)} folders for {len(arguments.runs)} runs")
        if others:
            makers = [pseudo_maker(other / "scam", WHOLE) for other in others]
            pairs = zip(makers, arguments.runs, strict=True)
            hits[what] = [hit_rates({what: maker}, run / "records" / "test")[what] for maker, run in pairs]
    _print(hits)


def _print(hits: dict[str, list[float]]) -> None:
    whole = np.array(next(iter(hits.values())))
    print("| pseudo-fixations | hits | less the whole |\n|---|---|---|")
    for row, values in hits.items():
        print(f"| {row} | {_mean(values)} | {_mean(np.array(values) - whole, sign='+')} |")


def _mean(values: Sequence[float], sign: str = "") -> str:
    """With the standard deviation over the seeds, where there are several."""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):{sign}.3f}{spread}"


if __name__ == "__main__":
    main()
