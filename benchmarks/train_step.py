"""What training costs: the loop over the bare step, the data alone, what devices tell each other, TFLOP/s on an accelerator.

    python benchmarks/train_step.py CLIPS               # a folder with a subfolder for each tag, or a CSV of path,tag
    python benchmarks/train_step.py --only moved        # without CLIPS, clips are made
    python benchmarks/train_step.py --only peak         # of the paper's nets on VGG-16, in bfloat16; for accelerators
    python benchmarks/train_step.py --tiny              # the same code on nets of size tiny, in a minute

Prints

  loop     ms a step of `stajax train` (JPEG records, batches made beside the step, metrics, one checkpoint) over the compiled
           step alone on one batch; and the same with cached features
  data     examples/s of the pipeline alone, with 0, 1 and 2 workers, of pictures and of cached features
  moved    bytes that a device puts into collectives in a step, by kind, for 1, 2, 4 and 8 pretended devices, and with fsdp=2
  peak     ms and TFLOP/s of forward passes and of steps, their share of the device's peak and of the best matrix product
           that was measured; FLOPs are XLA's count of the program before it is optimised

Run it on an idle machine. Bare steps are timed before and after the loop; the ratio is to their mean. Processor time is of all
threads, and says what the loop adds where the machine is not idle.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

STAGE = "sta"
DEVICES = ((1, 1), (2, 1), (4, 1), (8, 1), (8, 2))  # and fsdp
PAPER = ("s", "sa", "sta", "s_plus_short", "sta_plus_short")
PARTS = ("loop", "data", "moved", "peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="?", type=Path)
    parser.add_argument("--only", choices=PARTS, help="one part of it")
    parser.add_argument("--stage", default=STAGE, help=f"of size lite (default: {STAGE})")
    parser.add_argument("--steps", type=int, default=30, help="of each measurement (default: 30)")
    parser.add_argument("--batch", type=int, default=0, help="examples of a step (default: 16, for peak 32)")
    parser.add_argument("--tiny", action="store_true", help="nets of size tiny")
    parser.add_argument("--moved", type=int, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    size = "tiny" if arguments.tiny else "lite"
    if arguments.moved:
        _moved(arguments.stage, size, *arguments.moved)
        return
    parts = [arguments.only] if arguments.only else PARTS
    with tempfile.TemporaryDirectory() as folder:
        if {"loop", "data"} & set(parts):
            config = _config(arguments.stage, size, _records(arguments.clips, size, Path(folder)))
            config.batch = arguments.batch or 16
        if "loop" in parts:
            _loop(config, Path(folder), arguments.steps)
        if "data" in parts:
            _data(config, Path(folder), arguments.steps)
    if "moved" in parts:
        _all_moved(arguments)
    if "peak" in parts:
        _peak("tiny" if arguments.tiny else "paper", arguments.batch or 32, arguments.steps)


def _table(title: str, rows: Iterable[tuple[str, str]]) -> None:
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<44} {value}", flush=True)


def _records(clips: Path | None, size: str, folder: Path) -> Path:
    """Records of the clips, or of made ones, with a map of noise at every frame."""
    from stajax.data.clip_lists import read_clips, tag_names
    from stajax.data.preparation import prepare
    from stajax.data.recording import Recording
    from stajax.data.records import Records, write_records
    from stajax.data.synthetic import SyntheticAVE, SyntheticConfig, write_synthetic

    side = 64 if size == "tiny" else 256
    if clips is None:
        write_synthetic(folder / "clips", SyntheticAVE(24, config=SyntheticConfig(size=side, fps=25, seconds=2)))
    else:
        listed = read_clips(clips)
        prepare(listed, tag_names(listed), folder / "clips", recording=Recording(short_side=side), workers=2)
    records = Records(folder / "clips")
    rng = np.random.default_rng(0)

    class WithMaps:
        def __len__(self) -> int:
            return len(records)

        def __getitem__(self, number: int):
            clip, frames = records[number], len(records[number].frames)
            maps = rng.integers(0, 256, (frames, 64, 64), np.uint8)
            return dataclasses.replace(clip, maps=maps, valid=np.ones(frames, bool))

    write_records(folder / "pseudo", WithMaps(), records.classes)
    frames = sum(entry.frames for entry in records.entries)
    megabytes = sum(shard.stat().st_size for shard in records.shards) / 1e6
    print(f"{len(records)} clips, {frames} frames of {side} px at the short side, {megabytes:.0f} MB")
    return folder / "pseudo"


def _config(stage: str, size: str, records: Path | str, **changes):
    from stajax.training.config import change, stage_config

    own = {"records": str(records), "switch": "open", "validation": 0, "log.every": 5, "checkpoint.every": 10**6}
    return change(stage_config(stage, size), own | changes)


class _Ready(NamedTuple):
    """A stage before its loop. step: not compiled yet."""

    structure: object
    step: Callable
    state: dict
    fixed: dict
    shardings: tuple
    mesh: object


def _ready(config, *, classes: int = 28, fsdp: int = 1) -> _Ready:

    from stajax.models.network import Structure
    from stajax.training.mesh import batch_sharding, make_mesh, state_sharding
    from stajax.training.optimiser import make_optimiser, make_schedule
    from stajax.training.step import initial_state, make_step
    from stajax.training.variables import initial, is_trained, network_config, split

    if config.net.get("classes", None) == 0:
        config.net.classes = classes
    structure, mesh = Structure(network_config(config)), make_mesh(fsdp)
    trained, fixed = split(initial(config, structure), is_trained(structure, config.freeze, False))
    schedule = make_schedule(config.optimiser, config.steps)
    optimiser = make_optimiser(config.optimiser, schedule)
    state, fixed = initial_state(structure, config, optimiser, trained, fixed)
    step = make_step(structure, config, optimiser, schedule, (1.0, 1.0), mesh=mesh if mesh.size > 1 else None)
    return _Ready(
        structure, step, state, fixed, (state_sharding(mesh, state), state_sharding(mesh, fixed), batch_sharding(mesh)), mesh
    )


# The loop.


def _loop(config, folder: Path, steps: int) -> None:
    from stajax.training.train import train

    rows = []
    for name, cache in (("pictures", ""), ("cached features", str(folder / "features"))):
        config.cache, config.steps = cache, 10 + steps
        if cache:
            train(_with(config, steps=1), folder / "fill", quiet=True)  # makes the features
        bare = _bare(config, steps)
        next(bare)
        before, marks = next(bare), []
        train(config, folder / f"run {name}", quiet=True, stop=lambda step, marks=marks: bool(marks.append(_now())))
        whole = (marks[-1] - marks[9]) / steps
        after = next(bare)
        alone = (before + after) / 2
        rows.append((f"{name}: the step alone, before and after", f"{before[0]:6.0f}, {after[0]:.0f} ms"))
        rows.append(("    in the loop", f"{whole[0]:6.0f} ms: {whole[0] / alone[0]:.2f} times"))
        rows.append(("    processor time", f"{alone[1]:6.0f} ms, {whole[1]:.0f} ms: {whole[1] / alone[1]:.2f} times"))
    _table(f"loop: {config.stage}, size {config.size}, batches of {config.batch}, {config.steps - 10} steps", rows)


def _with(config, **changes):
    from stajax.training.config import change

    return change(config.copy_and_resolve_references(), changes)


def _now() -> np.ndarray:
    """Milliseconds of the clock and of all threads' processor time."""
    return 1e3 * np.array([time.perf_counter(), time.process_time()])


def _bare(config, steps: int) -> Iterator[np.ndarray | None]:
    """None once the step is compiled, then, each time it is asked, what a step takes on a batch that lies on the device."""
    import jax

    from stajax.data.batches import training_batches
    from stajax.training.data import stage_data
    from stajax.training.mesh import put_batch, put_state

    ready = _ready(config)
    data = stage_data(config, ready.structure, _cache(config, ready.structure))
    batch = put_batch(ready.mesh, training_batches(data.training, config.batch)[0])
    state, fixed = put_state(ready.state, ready.shardings[0]), put_state(ready.fixed, ready.shardings[1])
    step = jax.jit(ready.step, in_shardings=ready.shardings, donate_argnums=0)
    state, measured = step(state, fixed, batch)
    jax.block_until_ready(measured)
    yield None
    while True:
        begun = _now()
        for _ in range(steps):
            state, measured = step(state, fixed, batch)
        jax.block_until_ready((state, measured))
        yield (_now() - begun) / steps


def _cache(config, structure):
    if not config.cache:
        return None
    from stajax.data.feature_cache import Caches, FeatureCache
    from stajax.training.feature_cache import cached_levels

    cache = Caches([FeatureCache(config.cache)])
    cache.levels = cached_levels(structure)
    return cache


# The data.


def _data(config, folder: Path, steps: int) -> None:
    from stajax.data.batches import reading, training_batches
    from stajax.data.records import Records
    from stajax.models.network import Structure
    from stajax.training.data import stage_data
    from stajax.training.feature_cache import make_cache
    from stajax.training.variables import network_config

    structure, rows = Structure(network_config(config)), []
    make_cache(folder / "features", Records(config.records), config.model)
    for name, cache in (("pictures", ""), ("cached features", str(folder / "features"))):
        config.cache = cache
        batches = training_batches(stage_data(config, structure, _cache(config, structure)).training, config.batch)
        for workers in (0, 1, 2):
            with reading(batches, workers=workers) as ahead:
                for _ in range(4 + 2 * workers):  # those that are made ahead
                    batch = next(ahead)
                begun = time.perf_counter()
                for _ in range(steps):
                    batch = next(ahead)
                rate = steps * config.batch / (time.perf_counter() - begun)
            rows.append((f"{name}, {workers} workers", f"{rate:6.0f} examples/s"))
        size = sum(x.nbytes for x in _leaves(batch)) / config.batch / 1e6
        rows.append((f"{name}, megabytes an example", f"{size:6.2f}"))
    _table(f"data: {config.stage}, size {config.size}, on {os.cpu_count()} cores", rows)


def _leaves(tree) -> Iterator[np.ndarray]:
    for value in tree.values():
        yield from _leaves(value) if isinstance(value, dict) else [value]


# What devices tell each other.

_OPERATIONS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
_BYTES = {"pred": 1, "s8": 1, "u8": 1, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "f32": 4, "s64": 8, "u64": 8, "f64": 8}


def collectives(text: str) -> Counter:
    """Bytes of the results of each kind of collective in the text of a compiled program."""
    found: Counter = Counter()
    text = re.sub(r"/\*.*?\*/", "", text)  # in long tuples: /*index=5*/
    for shapes, kind in re.findall(rf" = (\(?[^()=]*\)?) ({_OPERATIONS})(?:-start)?\(", text):
        for dtype, shape in re.findall(r"([a-z]+\d*)\[([\d,]*)\]", shapes):
            found[kind] += _BYTES[dtype] * math.prod(int(length) for length in shape.split(",") if length)
    return found


def _moved(stage: str, size: str, devices: int, fsdp: int) -> None:
    """In a process of its own: compile a step for so many devices, and print what it moves."""
    import jax

    jax.config.update("jax_num_cpu_devices", devices)
    config = _config(stage, size, "")
    ready = _ready(config, fsdp=fsdp)
    shapes = lambda tree: jax.tree.map(lambda x: jax.ShapeDtypeStruct(np.shape(x), np.asarray(x).dtype), tree)  # noqa: E731
    arguments = (shapes(ready.state), shapes(ready.fixed), shapes(_batch(ready.structure, config, 16, numbers=False)))
    step = jax.jit(ready.step, in_shardings=ready.shardings, out_shardings=(ready.shardings[0], None), donate_argnums=0)
    compiled = step.lower(*arguments).compile(compiler_options={"xla_backend_optimization_level": 0})
    found = collectives(compiled.as_text())
    numbers = sum(np.size(x) for x in jax.tree.leaves(ready.state["trained"]))
    moved = ", ".join(f"{kind} {count:,}" for kind, count in sorted(found.items())) or "nothing"
    print(f"{moved}; gradients are {4 * numbers:,}")


def _all_moved(arguments: argparse.Namespace) -> None:
    rows = []
    for devices, fsdp in DEVICES:
        command = [sys.executable, __file__, "--moved", str(devices), str(fsdp), "--stage", arguments.stage]
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [*command, *(["--tiny"] if arguments.tiny else [])], env=environment, capture_output=True, text=True, check=False
        )
        name = f"{devices} devices" + (f", fsdp={fsdp}" if fsdp > 1 else "")
        rows.append((name, done.stdout.strip() if done.returncode == 0 else done.stderr.strip().splitlines()[-1]))
    _table(f"moved: {arguments.stage}, a batch of 16, bytes a step and device", rows)


def _batch(structure, config, rows: int, *, numbers: bool = True) -> dict:
    """A batch of noise, or of nothing."""
    from stajax.training.config import STAGES, net_config

    what, rng = STAGES[config.stage], np.random.default_rng(0)
    nodes = 1 + (net_config(config).company if what.granularity != "none" else 0)
    frames = 3 if what.source in ("st", "sta") else 1
    shape = (rows, nodes, frames, config.model.size, config.model.size, 3)
    views = rng.integers(0, 256, shape, np.uint8) if numbers else np.zeros(shape, np.uint8)
    ones = np.ones((rows, nodes), np.float32)
    batch = {"views": views, "audible": ones, "heard": ones, "weight": ones[:, 0], "skipped": np.zeros(rows, np.int32)}
    batch["tags"] = np.eye(getattr(net_config(config), "classes", 1), dtype=np.float32)[np.zeros(rows, int)]
    if structure.module.sound is not None:
        batch["sound"] = rng.normal(0, 0.1, (rows, nodes, structure.module.sound.window)).astype(np.float32)
    if what.task == "fixation":
        (net,) = structure.module.nets.values()
        batch["maps"] = rng.random((rows, nodes, *net.output_size), np.float32)
        batch["valid"] = np.ones((rows, nodes), bool)
    return batch


# An accelerator.


def _peak(size: str, batch: int, steps: int) -> None:
    import jax

    from stajax.training.config import STAGES
    from stajax.training.mesh import put_batch, put_state
    from stajax.training.tasks import forward
    from stajax.training.throughput import PEAK
    from stajax.training.variables import merge

    kind = jax.devices()[0].device_kind
    peak = next((flops for name, flops in PEAK.items() if kind.startswith(name)), None)
    ceiling = _ceiling(256 if size == "tiny" else 8192)
    print(
        f"\npeak: {kind}, data sheet {peak / 1e12 if peak else math.nan:.0f} TFLOP/s; best matrix product {ceiling / 1e12:.3g}"
    )
    rows = []
    for stage in PAPER:
        random = {"model.frames_weights": "random", "model.sound_weights": "random"}
        config = _config(stage, size, "", **random, dtype="bfloat16", batch=batch)
        ready = _ready(config)
        state, fixed = put_state(ready.state, ready.shardings[0]), put_state(ready.fixed, ready.shardings[1])
        given = put_batch(ready.mesh, _batch(ready.structure, config, batch))

        def see(state, fixed, given, ready=ready, config=config):
            variables, net = merge(fixed, state["trained"]), STAGES[config.stage].net
            shown = {**given, "switch": given["audible"]}
            options = {"dtype": jax.numpy.bfloat16}
            return state, forward(ready.structure, variables, shown, net, **options).prediction

        for name, function in (("forward", see), ("step", ready.step)):
            lowered = jax.jit(function, in_shardings=ready.shardings, donate_argnums=0).lower(state, fixed, given)
            flops, compiled = float(lowered.cost_analysis()["flops"]), lowered.compile()
            seconds, state = _timed(partial(_on, compiled, fixed, given), state, steps)
            rate = flops / seconds
            share = f", {100 * rate / peak:.0f} % of the data sheet" if peak else ""
            found = f"{1e3 * seconds:7.1f} ms  {rate / 1e12:6.3g} TFLOP/s{share}, {100 * rate / ceiling:.0f} % of the product"
            rows.append((f"{stage}, {name}, {batch} examples", found))
    _table("nets of size " + size, rows)


def _on(step: Callable, fixed: dict, given: dict, state: dict):
    return step(state, fixed, given)


def _timed(function: Callable, state, steps: int) -> tuple[float, object]:
    """Seconds of a call that hands on its first result; the best of three rounds."""
    import jax

    state, found = function(state)
    jax.block_until_ready(found)
    best = math.inf
    for _ in range(3):
        begun = time.perf_counter()
        for _ in range(steps):
            state, found = function(state)
        jax.block_until_ready((state, found))
        best = min(best, (time.perf_counter() - begun) / steps)
    return best, state


def _ceiling(side: int) -> float:
    """FLOP/s of a product of bfloat16 matrices."""
    import jax

    product = jax.jit(lambda x, y: (x @ y).astype(x.dtype))
    x, y = (jax.random.normal(jax.random.key(k), (side, side), jax.numpy.bfloat16) for k in (0, 1))
    seconds, _ = (
        _timed(lambda x: (product(x, y) * 0 + x, x), x, 20) if side < 1024 else _timed(lambda x: (product(x, y), x), x, 20)
    )
    return 2 * side**3 / seconds


if __name__ == "__main__":
    main()
