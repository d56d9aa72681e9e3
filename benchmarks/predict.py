"""What `stajax predict` costs: frames/s end to end and its split, encoder views per frame, memory, cold start.

    python benchmarks/predict.py                 # everything, about 10 minutes on 2 cores
    python benchmarks/predict.py --only memory --minutes 1

Run it on an idle machine. Each figure is measured in this run; ratios compare two ways of doing the same thing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

FRAMES = 752  # 47 batches of 16: no padding blurs the count of views
SIZE = (640, 480)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="sta-lite")
    parser.add_argument("--minutes", type=float, default=10, help="length of the long clip (default: 10)")
    parser.add_argument("--only", choices=["speed", "start", "memory"], help="one part of it")
    parser.add_argument("--child", choices=["first-map", "long"], help=argparse.SUPPRESS)
    parser.add_argument("--clip", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        {"first-map": _child_first_map, "long": _child_long}[arguments.child](arguments.weights, arguments.clip)
        return
    from stajax.inference.doctor import synthetic_clip

    with tempfile.TemporaryDirectory() as folder:
        clip = synthetic_clip(Path(folder) / "clip.mp4", seconds=FRAMES / 25, size=SIZE)
        if arguments.only in (None, "speed"):
            _end_to_end(arguments.weights, clip, Path(folder))
        if arguments.only in (None, "start"):
            _cold_start(arguments.weights, clip, Path(folder))
        if arguments.only in (None, "memory"):
            _memory(arguments.weights, arguments.minutes, Path(folder))


def _table(title: str, rows: Iterable[tuple[str, str]]) -> None:
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<58} {value}")
    sys.stdout.flush()


def _seconds(function: Callable[[], object], repeats: int = 1) -> float:
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        function()
        times.append(time.perf_counter() - begun)
    return min(times)


def _end_to_end(weights: str, clip: Path, folder: Path) -> None:
    import jax

    import stajax
    from stajax.encoders.efficientnet import EfficientNetLite0
    from stajax.inference import predict_clips
    from stajax.inference.outputs import Display
    from stajax.media import VideoWriter, overlay, read_frames, squash, stream_sound
    from stajax.models.fragments import Fragments
    from stajax.models.network import Network

    model = stajax.load(weights)
    engine = model.engine
    model.predict(clip)  # compiles
    both = _seconds(lambda: predict_clips(model, [clip], folder / "both", overwrite=True), 2)
    maps = _seconds(lambda: predict_clips(model, [clip], folder / "maps", overlay=False, overwrite=True), 2)
    _table(
        f"end to end, {FRAMES} frames of {SIZE[0]}x{SIZE[1]} with sound, {os.cpu_count()} cores, {jax.devices()[0]}",
        [
            ("maps.npz and overlay.mp4", f"{FRAMES / both:6.1f} frames/s"),
            ("maps.npz alone", f"{FRAMES / maps:6.1f} frames/s"),
        ],
    )

    images = [frame.image for frame in read_frames(clip)]
    (size,) = engine.sizes
    views = np.stack([squash(image, size) for image in images[: engine.batch]])
    features, audio = engine.rings()
    windows = np.zeros((engine.sound_group, engine.window), np.float32)
    shape = (engine.batch, 1)
    fragments = {
        name: Fragments(
            np.zeros((*shape, 3), np.int32), np.zeros(shape, np.int32), np.ones(shape, np.float32), np.ones(shape, bool)
        )
        for name in engine.nets
    }

    def encode():
        nonlocal features
        features = jax.block_until_ready(engine.encode_frames(features, {size: views}, 0))

    def listen():
        nonlocal audio
        audio = jax.block_until_ready(engine.encode_audio(audio, {engine.window: windows}, 0))

    def heads():
        jax.block_until_ready(engine.predict(features, audio, fragments))

    def write():
        with VideoWriter(folder / "w.mp4", width=SIZE[0], height=SIZE[1], fps=25, sound_from=clip) as writer:
            for image in images[:200]:
                writer.write(image)

    saliency, display = np.random.default_rng(0).random((64, 64), np.float32), Display()
    encode(), listen(), heads()
    decode_s = _seconds(lambda: sum(1 for _ in read_frames(clip)), 2) / FRAMES
    windows_per_frame = 1 / (engine.hop * 25) if engine.listens else 0
    rows = [
        ("decode", decode_s),
        ("decode sound", _seconds(lambda: sum(len(x) for x in stream_sound(clip)), 2) / FRAMES),
        ("squash to the net's view", _seconds(lambda: [squash(image, size) for image in images[:100]], 3) / 100),
        ("frame encoder", _seconds(encode, 10) / engine.batch),
        ("sound encoder (5 windows a second)", _seconds(listen, 10) / engine.sound_group * windows_per_frame),
        ("heads", _seconds(heads, 10) / engine.batch),
        ("draw the overlay", _seconds(lambda: [overlay(image, display.scale(saliency)) for image in images[:100]], 3) / 100),
        ("encode the overlay (H.264)", _seconds(write, 2) / 200),
    ]
    _table("split, each alone, ms a frame", [(name, f"{seconds * 1e3:6.2f}") for name, seconds in rows])

    # Inside the encoder's call, at run time: how many rows does it really compute?
    counted: list[int] = []
    plain = EfficientNetLite0.__call__

    def counting(self, x):
        jax.debug.callback(lambda first: counted.append(first.shape[0]), x)
        return plain(self, x)

    EfficientNetLite0.__call__ = counting
    try:
        once = stajax.load(weights)
        count = len(once.predict(clip).maps)
        jax.effects_barrier()
    finally:
        EfficientNetLite0.__call__ = plain
    per_frame = sum(counted) / count

    structure, variables = model.members[0].structure, engine.variables[0]
    group = lambda x: structure.apply(variables, Network.encode_frames, x)  # noqa: E731
    pairs = views.reshape(-1, 2, *views.shape[1:])
    mapped, whole = jax.jit(lambda x: jax.lax.map(group, x)), jax.jit(group)
    jax.block_until_ready((mapped(pairs), whole(views)))
    two, sixteen = (
        _seconds(lambda: jax.block_until_ready(mapped(pairs)), 5),
        _seconds(lambda: jax.block_until_ready(whole(views)), 5),
    )
    one = views[:2]
    native = _native_encoder(model)
    native_s = _seconds(lambda: jax.block_until_ready(native(one)), 3) / 2
    _table(
        "ratios",
        [
            ("views through the encoder, per frame shown", f"{per_frame:.3f} (the fragments' own way: 3)"),
            (
                "encoder, 16 frames at once over two at a time",
                f"{sixteen / two:6.2f}x ({sixteen / 16e-3:.1f} / {two / 16e-3:.1f} ms a frame)",
            ),
            (
                "encoder, XLA's depthwise convolutions over taps",
                f"{native_s / (two / 16):6.2f}x ({native_s * 1e3:.1f} / {two / 16e-3:.1f} ms a frame)",
            ),
        ],
    )


def _native_encoder(model):
    import jax
    from flax import nnx

    from stajax.encoders.efficientnet import EfficientNetLite0

    module = nnx.eval_shape(lambda: EfficientNetLite0(implementation="native", rngs=nnx.Rngs(0)))
    graphdef, _ = nnx.split(module)
    variables = model.engine.variables[0]["frames"]
    call = jax.jit(lambda variables, x: nnx.merge(graphdef, variables)(x))
    call(variables, np.zeros((2, 256, 256, 3), np.uint8))
    return lambda x: call(variables, x)


def _child(arguments: list[str], cache: Path) -> str:
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(
        command, env={**os.environ, "STAJAX_CACHE": str(cache)}, check=True, capture_output=True, text=True
    ).stdout


def _cold_start(weights: str, clip: Path, folder: Path) -> None:
    rows = []
    for name in ("empty compile cache", "warm compile cache"):
        begun = time.time()
        first = float(_child(["--child", "first-map", "--weights", weights, "--clip", str(clip)], folder / "cache"))
        rows.append((f"process start to first map, {name}", f"{first - begun:6.2f} s"))
    _table("cold start", rows)


def _child_first_map(weights: str, clip: str) -> None:
    import stajax
    from stajax.inference import compile_cache

    compile_cache.enable()
    next(stajax.load(weights).shown(clip))
    print(time.time())


def _memory(weights: str, minutes: float, folder: Path) -> None:
    from stajax.inference.doctor import synthetic_clip

    clip = synthetic_clip(folder / "long.mp4", seconds=60 * minutes, size=SIZE)
    peaks = json.loads(_child(["--child", "long", "--weights", weights, "--clip", str(clip)], folder / "cache"))
    rows = [(f"peak memory after {frames / 1500:.1f} min of {SIZE[0]}x{SIZE[1]}", f"{peak:6.0f} MB") for frames, peak in peaks]
    _table("memory, predict to a folder with overlay", rows)


def _child_long(weights: str, clip: str) -> None:
    import stajax
    from stajax.inference import compile_cache, predict_clips

    compile_cache.enable()
    peaks, frames = [], 0

    def report(progress):
        nonlocal frames
        frames = progress.frames
        if progress.kind == "frame" and frames % 1500 == 0:
            peaks.append((frames, _peak()))

    with tempfile.TemporaryDirectory() as out:
        predict_clips(stajax.load(weights), [clip], out, report=report)
    print(json.dumps([peaks[0], peaks[len(peaks) // 2], peaks[-1]]))


def _peak() -> float:
    """Peak resident memory of this process in MB. Not getrusage's, which counts what the parent had before exec."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


if __name__ == "__main__":
    main()
