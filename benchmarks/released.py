"""What the authors' nets cost in stajax: frames/s of STA and STA+ against their backbone passes in plain PyTorch.

    pip install "stajax[torch]"
    python benchmarks/released.py                # everything, about 10 minutes on 2 cores
    python benchmarks/released.py --only grouped # one part of it
    python benchmarks/released.py --tiny         # does it run? less than a minute, the figures mean nothing

Run it on an idle machine. The ways that a ratio compares take turns, yet other work slows PyTorch more than XLA, because its
threads wait for each other at every layer: believe the ratios where the encoder got nearly all of the cores. Weights are random
and come through the converter. The naive way runs the backbone anew for every frame that a fragment reads: STA 3 passes of
ResNeXt-101 32x8d at 356 px, STA+ 9 of VGG-16 D1 with its head at 256 px. It is given its input ready made, and does nothing
else: no decoding, sound or fusion.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

SPECS = Path(__file__).parents[1] / "tests/goldens/nets/state_dict_spec"  # names and shapes of the authors' tensors
CORES = len(os.sched_getaffinity(0))
TARGETS = 4  # frames that PyTorch works on in a round


class Net(NamedTuple):
    """spec: file in SPECS. size: of a view, px. passes: of the backbone for a frame, the naive way."""

    spec: str
    size: int
    passes: int
    backbone: str


NETS = {
    "STA": Net("STA.json", 356, 3, "ResNeXt-101 32x8d"),
    "STA+": Net("STAplus.json", 256, 9, "VGG-16 D1 and head"),
}

# The 3x3 convolutions of ResNeXt-101 32x8d at 356 px, 32 groups each: side, channels, stride, how many there are
GROUPED = (
    (89, 256, 1, 3),
    (89, 512, 2, 1),
    (45, 512, 1, 3),
    (45, 1024, 2, 1),
    (23, 1024, 1, 22),
    (23, 2048, 2, 1),
    (12, 2048, 1, 2),
)


def main() -> None:
    parts = {**{name: functools.partial(_net, name) for name in NETS}, "grouped": _grouped, "accelerator": _accelerator}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=48, help="length of the clip (default: 48, three batches)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way (default: 3)")
    parser.add_argument("--tiny", action="store_true", help="small views, shallow nets, few frames: does it run?")
    parser.add_argument("--only", choices=parts, help="one part of it")
    arguments = parser.parse_args()
    if min(arguments.frames, arguments.rounds) < 1:
        parser.error("--frames and --rounds are at least 1")
    if arguments.only != "accelerator" and find_spec("torch") is None:
        parser.error("PyTorch is not installed; run: pip install 'stajax[torch]'")
    if arguments.only:
        parts[arguments.only](arguments)
        return
    for part in parts:  # each in a process of its own, whose peak memory is its own
        subprocess.run([sys.executable, __file__, *sys.argv[1:], "--only", part], check=True)


def _table(title: str, rows: Iterable[tuple[str, str]]) -> None:
    print(f"\n{title}")
    for name, value in rows:
        print(f"  {name:<72} {value}")
    sys.stdout.flush()


def _seconds(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def _spread(values: Iterable[float], digits: int = 2) -> str:
    """The median, and the range in brackets."""
    values = sorted(values)
    return f"{np.median(values):7.{digits}f}  ({values[0]:.{digits}f} to {values[-1]:.{digits}f})"


def _net(name: str, arguments: argparse.Namespace) -> None:
    import jax

    import stajax
    from stajax.inference.doctor import synthetic_clip

    net, frames, batch = NETS[name], arguments.frames, 16
    if arguments.tiny:
        net, frames, batch = net._replace(size=32), min(frames, 4), 2
    counted = _count_views(tiny=arguments.tiny)
    with tempfile.TemporaryDirectory() as folder:
        clip = synthetic_clip(Path(folder) / "clip.mp4", seconds=frames / 25, size=(640, 480))
        _convert(net, Path(folder), tiny=arguments.tiny)
        _forget_peak()
        model = stajax.load(Path(folder) / "model", batch=batch)
        model.predict(clip)  # compiles
        jax.effects_barrier()
        peak, per_frame = _peak(), sum(counted) / frames
        views = np.random.default_rng(0).integers(0, 256, (batch, net.size, net.size, 3), np.uint8)
        features = model.engine.encode_frames(model.engine.rings()[0], {net.size: views}, 0)

        def encode() -> None:
            nonlocal features
            features = jax.block_until_ready(model.engine.encode_frames(features, {net.size: views}, 0))

        naive, how = _naive(name, net, arguments.tiny)
        error = _difference(name, model, naive.net, views[:2])
        targets = 1 if arguments.tiny else TARGETS
        ours, encoder, theirs, given = [], [], [], []
        for _ in range(arguments.rounds):
            ours.append(_seconds(lambda: model.predict(clip)) / frames)
            theirs.append(_seconds(lambda: [naive.target() for _ in range(targets)]) / targets)
            computed = time.process_time()
            encoder.append(_seconds(encode) / batch)
            given.append((time.process_time() - computed) / (encoder[-1] * batch) / CORES)
    ours, encoder, theirs = np.array(ours), np.array(encoder), np.array(theirs)
    where = f"{CORES} threads each, load average {os.getloadavg()[0]:.1f}, {jax.devices()[0]}"
    _table(
        f"{name}, views of {net.size} px, {frames} frames of 640x480 with sound, {where}; median (range) of {arguments.rounds}",
        [
            ("stajax, clip to maps, frames/s", _spread(1 / ours)),
            ("stajax, encoder and each frame's own part alone, frames/s", _spread(1 / encoder)),
            (f"PyTorch, {net.passes} passes of {net.backbone} a frame, {how}, frames/s", _spread(1 / theirs)),
            ("clip to maps, stajax over PyTorch", _spread(theirs / ours) + "x"),
            ("the rest in stajax (decoding, sound, the net), ms a frame", _spread(1e3 * (ours - encoder), 0)),
            ("one pass in stajax, ms", _spread(1e3 * encoder, 0)),
            ("one pass in PyTorch, ms", _spread(1e3 * theirs / net.passes, 0)),
            ("one pass, stajax over PyTorch in speed", _spread(theirs / net.passes / encoder) + "x"),
            ("share of the cores that the encoder in stajax got", f"{np.median(given):7.0%}"),
            ("difference of the two backbones on the same weights", f"{error:7.0e} of the largest value"),
            ("views through the encoder, per frame shown", f"{per_frame:7.3f}"),
            ("peak memory of stajax, compilation included", f"{peak:7.0f} MB"),
            ("peak memory with PyTorch's net beside it", f"{_peak():7.0f} MB"),
        ],
    )


def _count_views(*, tiny: bool) -> list[int]:
    """Rows of each call of an encoder from now on, counted inside the call when it runs. tiny: also makes ResNeXt shallow."""
    import jax

    from stajax.encoders import resnext
    from stajax.encoders.vgg import VGG16

    counted: list[int] = []

    def counting(plain):
        def call(self, views):
            jax.debug.callback(lambda rows: counted.append(len(rows)), views[:, 0, 0, 0])
            return plain(self, views)

        return call

    for encoder in (resnext.ResNet, VGG16):
        encoder.__call__ = counting(encoder.__call__)
    if tiny:
        resnext.resnext101_32x8d = _shallow
    return counted


def _shallow(**options):
    from stajax.encoders.resnext import Bottleneck, ResNet

    return ResNet(Bottleneck, (1, 1, 1, 1), groups=32, width_per_group=8, **options)


def _checkpoint(net: Net, *, tiny: bool) -> dict[str, np.ndarray]:
    """The authors' tensors with random numbers that keep activations in range; the same for the same name."""
    shapes = {entry["name"]: entry["shape"] for entry in json.loads((SPECS / net.spec).read_text())["tensors"]}
    if tiny:
        shapes = {name: shape for name, shape in shapes.items() if not re.match(r"features(0\.[45]|[12])\.[1-9]", name)}
    return {name: _values(name, shape, f"{name.rpartition('.')[0]}.running_mean" in shapes) for name, shape in shapes.items()}


def _values(name: str, shape: list[int], is_norm: bool) -> np.ndarray:
    noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, np.float32)
    if name.endswith("running_var") or (is_norm and name.endswith("weight")):
        # A residual block adds to what it is given, 33 times in a row: its last norm keeps the addition small.
        return (np.float32(0.2) if name.endswith("bn3.weight") else np.float32(1)) + np.abs(noise) / 10
    if len(shape) < 2:
        return noise / 100
    return noise * np.float32(np.sqrt(2 / np.prod(shape[1:])))


def _convert(net: Net, folder: Path, *, tiny: bool) -> None:
    """Writes `folder`/model."""
    from stajax.convert.checkpoint import convert

    np.savez(folder / "net.npz", **_checkpoint(net, tiny=tiny))
    convert([folder / "net.npz"], folder / "model")
    (folder / "net.npz").unlink()
    if tiny:
        config = json.loads((folder / "model/config.json").read_text())
        config["network"]["size"] = net.size
        (folder / "model/config.json").write_text(json.dumps(config))


class Naive(NamedTuple):
    """A backbone in PyTorch, and the passes of one target frame through it."""

    net: Callable
    target: Callable[[], object]


def _naive(name: str, net: Net, tiny: bool) -> tuple[Naive, str]:
    """The faster of two ways to make a target's passes, and its name."""
    import torch
    from released_torch import VGGD1, ResNeXt, with_weights

    torch.set_num_threads(CORES)
    module = VGGD1() if name == "STA+" else ResNeXt((1, 1, 1, 1) if tiny else (3, 4, 23, 3))
    module = with_weights(module, _checkpoint(net, tiny=tiny))
    views = torch.randn(net.passes, 3, net.size, net.size)
    inference = torch.inference_mode()
    ways = {
        f"a batch of {net.passes}": inference(lambda: module(views)),
        f"{net.passes} calls": inference(lambda: [module(view) for view in views.split(1)]),
    }
    taken = {how: min(_seconds(way) for _ in range(1 if tiny else 3)) for how, way in ways.items()}
    how = min(taken, key=taken.get)
    return Naive(inference(module), ways[how]), how


def _difference(name: str, model, theirs: Callable, views: np.ndarray) -> float:
    """Of the two backbones' values for `views`, over the largest value; what differs much is not compared in speed."""
    import jax
    import torch

    from stajax.encoders.imagenet import MEAN, STD

    ((structure, variables),) = [(member.structure, member.variables) for member in model.members]
    call = jax.jit(lambda variables, views: structure.apply(variables, _stride32 if name == "STA" else _head, views))
    ours = np.asarray(call(variables, views)).transpose(0, 3, 1, 2)
    expected = theirs(torch.from_numpy(((views / np.float32(255) - MEAN) / STD).transpose(0, 3, 1, 2).copy())).numpy()
    error = np.abs(ours - expected).max() / np.abs(expected).max()
    if not error < 1e-3:
        sys.exit(f"{name}: the encoders of stajax and PyTorch differ by {error:.1e} of the largest value; nothing is compared")
    return float(error)


def _stride32(network, views):
    return network.frames(views)["stride32"]


def _head(network, views):
    (net,) = network.nets.values()
    return net.head(network.frames(views)["stride8"])


def _grouped(arguments: argparse.Namespace) -> None:
    """Each of ResNeXt's grouped convolutions on a pair of views, as the encoder has them on CPU."""
    import jax
    import jax.numpy as jnp
    import torch

    from stajax.layers.conv import grouped_conv

    torch.set_num_threads(CORES)
    rounds = 5 * arguments.rounds
    where = f"{CORES} threads, load average {os.getloadavg()[0]:.1f}"
    print(f"\ngrouped 3x3 convolutions of ResNeXt-101 32x8d, 32 groups, ms a view in pairs, best of {rounds}, {where}")
    print(f"  {'input':<22}{'in a pass':>9}{'native':>10}{'taps':>10}{'PyTorch':>10}{'native/taps':>13}{'taps/PyTorch':>13}")
    total = np.zeros(3)
    for side, channels, stride, count in GROUPED[-2:] if arguments.tiny else GROUPED:
        random = np.random.default_rng(0)
        x = random.standard_normal((2, side, side, channels), np.float32)
        kernel = random.standard_normal((3, 3, channels // 32, channels), np.float32)
        options = {"stride": stride, "padding": ((1, 1), (1, 1)), "groups": 32}
        calls = [
            functools.partial(
                jax.jit(functools.partial(grouped_conv, implementation=how, **options)), jnp.asarray(x), jnp.asarray(kernel)
            )
            for how in ("native", "taps")
        ]
        planes, weight = (torch.from_numpy(a.transpose(p).copy()) for a, p in ((x, (0, 3, 1, 2)), (kernel, (3, 2, 0, 1))))
        convolve = functools.partial(torch.nn.functional.conv2d, planes, weight, None, stride, 1, 1, 32)
        calls.append(torch.inference_mode()(convolve))
        expected = calls[-1]().numpy().transpose(0, 2, 3, 1)
        for call in calls[:2]:  # compiles
            np.testing.assert_allclose(call(), expected, atol=1e-4 * np.abs(expected).max())
        turns = [[_seconds(lambda: jax.block_until_ready(call())) for call in calls] for _ in range(rounds)]  # noqa: B023
        best = 1e3 / 2 * np.min(turns, axis=0)
        total += count * best
        _grouped_row(f"{side}x{side}x{channels}" + (", stride 2" if stride == 2 else ""), str(count), best)
    _grouped_row("all of a pass", "", total)


def _grouped_row(name: str, count: str, times: np.ndarray) -> None:
    native, taps, theirs = times
    ratios = f"{native / taps:12.1f}x{taps / theirs:12.1f}x"
    print(f"  {name:<22}{count:>9}{native:10.1f}{taps:10.1f}{theirs:10.1f}{ratios}", flush=True)


def _accelerator(arguments: argparse.Namespace) -> None:
    """How much of what a GPU can do the two encoders get, beside one large matrix product in the same type."""
    import jax
    import jax.numpy as jnp

    from stajax.encoders.resnext import resnext101_32x8d
    from stajax.encoders.vgg import VGG16D1

    title = f"encoders on an accelerator, {jax.devices()[0].device_kind}; FLOPs from XLA's cost analysis"
    if jax.default_backend() != "gpu" and not arguments.tiny:
        _table(title, [("TFLOP/s and share of the matrix product's", "not measured: JAX finds no GPU")])
        return
    batch, side, sizes = (2, 256, (32, 32)) if arguments.tiny else (32, 8192, (356, 256))
    resnext = functools.partial(_shallow if arguments.tiny else resnext101_32x8d, implementation="native")
    encoders = (("ResNeXt-101 32x8d", resnext, sizes[0]), ("VGG-16 D1", VGG16D1, sizes[1]))
    rows = []
    for dtype in (jnp.float32, jnp.bfloat16):
        with jax.default_matmul_precision("highest"):  # as the engine has it: float32 is float32
            matrix = _noise((side, side), dtype)
            ceiling = 2 * side**3 / _queued_seconds(jax.jit(jnp.matmul), matrix, matrix)
            rows.append((f"{dtype.__name__}, product of {side}x{side} matrices", f"{ceiling / 1e12:8.2f} TFLOP/s"))
            for name, constructor, size in encoders:
                call, variables = _encoder(functools.partial(constructor, size=size), dtype)
                views = _noise((batch, size, size, 3), dtype)
                flops = call.lower(variables, views).cost_analysis()["flops"]
                taken = _queued_seconds(call, variables, views)
                rate = f"{flops / taken / 1e12:8.2f} TFLOP/s, {flops / taken / ceiling:4.0%}, {batch / taken:.0f} views/s"
                rows.append((f"{dtype.__name__}, {name}, {batch} x {size} px, {flops / batch / 1e9:.1f} GFLOP a view", rate))
    _table(title, rows)


def _noise(shape: tuple[int, ...], dtype):
    import jax.numpy as jnp

    return jnp.asarray(np.random.default_rng(0).standard_normal(shape, np.float32), dtype)


def _encoder(constructor: Callable, dtype) -> tuple[Callable, dict]:
    """The jitted encoder from normalised views to its levels, and random variables, all of `dtype`."""
    import jax
    import jax.numpy as jnp
    from flax import nnx

    graphdef, state = nnx.split(nnx.eval_shape(lambda: constructor(rngs=nnx.Rngs(0))))

    def values(leaf):
        kernel = len(leaf.shape) > 1
        return _noise(leaf.shape, dtype) * np.sqrt(2 / np.prod(leaf.shape[:-1])) if kernel else jnp.ones(leaf.shape, dtype)

    def levels(variables, views):
        encoder = nnx.merge(graphdef, variables)
        return encoder.levels(encoder.stages(views))

    return jax.jit(levels), jax.tree.map(lambda leaf: values(leaf).astype(dtype), nnx.to_pure_dict(state))


def _queued_seconds(call: Callable, *operands, calls: int = 10) -> float:
    """Seconds of one call among several that are queued; the best of three such queues."""
    import jax

    jax.block_until_ready(call(*operands))
    return min(_seconds(lambda: jax.block_until_ready([call(*operands) for _ in range(calls)])) for _ in range(3)) / calls


def _peak() -> float:
    """Peak resident memory of this process in MB since `_forget_peak`."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak becomes what is resident now


if __name__ == "__main__":
    main()
