"""What `stajax pseudofix` costs: frames/s of SCAM, SCAM+ and the fine stage, and encoder passes per frame and stage.

    python benchmarks/pseudofix.py                                # nets of size lite with random numbers, a made clip
    python benchmarks/pseudofix.py CLIP --weights DIR --tag TAG   # a model and a clip of one's own
    python benchmarks/pseudofix.py --tiny                         # the same code on nets of size tiny, in a minute
    python benchmarks/pseudofix.py --cam --torch-python PATH/bin/python   # and what the CAM family costs beside its packages

Passes are counted inside the encoder while it runs, as rows that it really computes. Each figure is measured in this run, on
frames that lie in memory, after a first run that compiles. Run it on an idle machine.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from stajax.media.errors import MediaWarning

FRAMES, FPS = 256, 12.5  # 16 batches of 16: no padding blurs the count of passes
SOURCES = ("s", "st", "sa")
COMPANY = tuple(f"{source}_plus_{which}" for source in ("s", "st") for which in ("short", "long", "cross"))
COMPANY += ("sa_plus_long", "sa_plus_cross")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--weights", help="a model with classification nets; by default one is made")
    parser.add_argument("--tag", help="of the clip, with --weights")
    parser.add_argument("--tiny", action="store_true", help="nets of size tiny")
    parser.add_argument("--cam", action="store_true", help="run benchmarks/cam.py too")
    parser.add_argument("--torch-python", metavar="PATH", help="handed on to it")
    arguments = parser.parse_args()
    if bool(arguments.weights) != bool(arguments.tag):
        parser.error("--weights and --tag go together")
    warnings.simplefilter("ignore", MediaWarning)  # the clip is its only one of the tag
    with tempfile.TemporaryDirectory() as folder:
        size = "tiny" if arguments.tiny else "lite"
        weights = arguments.weights or _random_model(Path(folder), size)
        _speed(weights, arguments.tag or "one", _source(arguments.clip))
    if arguments.cam:
        command = [sys.executable, Path(__file__).with_name("cam.py")]
        subprocess.run([*command, *(["--torch-python", arguments.torch_python] if arguments.torch_python else [])], check=True)


def _random_model(folder: Path, size: str) -> Path:
    """All nets of the paper's procedure, never trained."""
    from stajax.models import folder as models
    from stajax.models.network import Structure
    from stajax.pipeline.assemble import assemble
    from stajax.training.config import stage_config
    from stajax.training.variables import initial, network_config

    classes = {"one": (), "two": (), "three": ()}

    def made(stage: str) -> Path:
        config, path = stage_config(stage, size), folder / "nets" / stage
        if "classes" in config.net:
            config.net.classes = len(classes)
        structure = Structure(network_config(config))
        shared = {
            part: config.model[f"{part}_weights"].removeprefix("shared:")
            for part in ("frames", "sound")
            if part in structure.shapes and config.model[f"{part}_weights"].startswith("shared:")
        }
        models.write(path, structure, initial(config, structure), name=stage, shared=shared, classes=classes, dtype="float32")
        return path

    coarse, fine = [made(stage) for stage in (*SOURCES, *COMPANY)], [made(f"{stage}_fine") for stage in SOURCES]
    assemble(folder / "scam", {"coarse": coarse, "fine": fine}, switch=made("switch"), name="random", classes=classes)
    return folder / "scam"


def _source(clip: Path | None):
    from stajax.inference.source import ArraySource
    from stajax.media import probe, read_frames, stream_sound

    if clip is not None:
        images = np.stack([frame.image for frame, _ in zip(read_frames(clip), range(FRAMES), strict=False)])
        info = probe(clip)
        return ArraySource(images, np.concatenate(list(stream_sound(clip))) if info.has_sound else None, info.fps)
    rng = np.random.default_rng(0)
    still = rng.integers(0, 256, (300, 400, 3), np.uint8)
    images = np.stack([np.roll(still, 2 * number, axis=1) for number in range(FRAMES)])
    return ArraySource(images, rng.normal(0, 0.1, int(FRAMES / FPS * 16000)).astype(np.float32), FPS)


def _speed(weights, tag: str, source) -> None:
    import jax

    from stajax.inference import pseudofix
    from stajax.inference.pseudofix import Settings

    count = len(source.images)
    height, width = source.images.shape[1:3]
    print(f"{count} frames of {width}x{height} in memory, {os.cpu_count()} cores, {jax.devices()[0]}")
    print(f"\n  {'':<34} {'frames/s':>9}  {'coarse':>7} {'fine':>7} {'bank':>7}   encoder passes per frame; counted inside")
    for name, settings in (
        ("SCAM, coarse", Settings(company=False, fine=False)),
        ("SCAM, coarse and fine", Settings(company=False)),
        ("SCAM+, coarse", Settings(fine=False)),
        ("SCAM+, coarse and fine", Settings()),
    ):
        model = pseudofix.load(weights, settings=settings)
        with _Counted(model) as counted:
            pseudofix.pseudo_fixations(model, source, tag)
            jax.effects_barrier()
            first = sum(counted)
            begun = time.perf_counter()
            found = pseudofix.pseudo_fixations(model, source, tag)
            seconds = time.perf_counter() - begun
            jax.effects_barrier()
        passes = [found.views.get(stage, 0) / count for stage in ("coarse", "fine", "bank")]
        inside = (sum(counted) - first) / count
        print(f"  {name:<34} {count / seconds:9.1f}  " + " ".join(f"{x:7.2f}" for x in passes) + f"   {inside:.2f}", flush=True)


class _Counted:
    """Rows that a model's frame encoder computes while it runs."""

    def __init__(self, model):
        networks = [*model.whole.structures, *(model.crops.structures if model.crops is not None else ())]
        self.kinds = {type(structure.module.frames) for structure in networks}
        self.plain = {}

    def __enter__(self) -> list[int]:
        import jax

        counted: list[int] = []

        def counting(plain):
            def call(encoder, x):
                jax.debug.callback(lambda first: counted.append(first.shape[0]), x)
                return plain(encoder, x)

            return call

        for kind in self.kinds:
            self.plain[kind] = kind.__call__
            kind.__call__ = counting(kind.__call__)
        return counted

    def __exit__(self, *exception) -> None:
        for kind, plain in self.plain.items():
            kind.__call__ = plain


if __name__ == "__main__":
    main()
