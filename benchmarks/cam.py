"""What each class activation method costs, in forward passes of EfficientNet-Lite0 at 256 px, beside grad-cam and torchcam.

    python benchmarks/cam.py                                     # the methods of one forward pass, and Ablation-CAM; a minute
    python benchmarks/cam.py --masks                             # the masking methods too: some 4 000 forward passes
    python benchmarks/cam.py --torch-python PATH/bin/python      # with the packages beside it

The packages run in a process of their own, with a Python that has them:

    python3 -m venv PATH && PATH/bin/pip install torch==2.13.0 grad-cam==1.5.7 torchcam==0.5.0

A figure is the time from a picture to its map over the time of one forward pass in the same library, the same net on one
picture; they take turns, and the best of the rounds counts. Run it on an idle machine. SS-CAM and IS-CAM are measured with one
sample: multiply by the samples (35 and 10 by default). Smooth Grad-CAM++ is 1 here and samples + 1 elsewhere: the gradient of a
head of mean and linear layer does not depend on the picture, and XLA leaves the noisy passes out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

SIZE, TARGET, CHANNELS = 256, 150, 1280
PACKAGES = ("grad-cam", "torchcam")
NAMES = {  # ours -> grad-cam's, torchcam's
    "class_activation_map": (None, "CAM"),
    "grad_cam": ("GradCAM", "GradCAM"),
    "grad_cam_pp": ("GradCAMPlusPlus", "GradCAMpp"),
    "smooth_grad_cam_pp": (None, "SmoothGradCAMpp"),
    "xgrad_cam": ("XGradCAM", "XGradCAM"),
    "layer_cam": ("LayerCAM", "LayerCAM"),
    "eigen_cam": ("EigenCAM", None),
    "eigen_grad_cam": ("EigenGradCAM", None),
    "ablation_cam": ("AblationCAM", None),
    "score_cam": ("ScoreCAM", "ScoreCAM"),
    "ss_cam": (None, "SSCAM"),
    "is_cam": (None, "ISCAM"),
}
MASKING = ("score_cam", "ss_cam", "is_cam")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", metavar="PATH", help="a Python that has PyTorch, grad-cam and torchcam")
    parser.add_argument("--masks", action="store_true", help="measure the masking methods, and grad-cam's Ablation-CAM")
    parser.add_argument("--rounds", type=int, default=5, help="of the cheap methods; the others run once (default: 5)")
    parser.add_argument("--child", metavar="JSON", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds is at least 1")
    if arguments.child:
        print(json.dumps(_theirs(json.loads(arguments.child), arguments.masks, arguments.rounds)))
        return
    columns = {"stajax": _ours(arguments.masks, arguments.rounds)}
    if arguments.torch_python:
        columns |= _ask_child(arguments)
    _print(columns)


def _ours(masks: bool, rounds: int) -> dict[str, float]:
    """{function: forward passes}, and "forward" in ms."""
    import jax
    from flax import nnx

    from stajax.cam.methods import ablation, eigen, family, gradient, linear, score, smooth
    from stajax.cam.methods.split import gap_linear
    from stajax.encoders.efficientnet import EfficientNetLite0
    from stajax.encoders.params import WEIGHTS, read_params

    graphdef, state = nnx.split(EfficientNetLite0(size=SIZE, rngs=nnx.Rngs(0)))
    nnx.replace_by_pure_dict(state, read_params(WEIGHTS / "encoders/efficientnet_lite0.npz"))
    net = nnx.merge(graphdef, state)
    head = net.classifier.kernel[...], net.classifier.bias[...]
    model = gap_linear(lambda x: net.head(net(x * 128 + 127)["stride32"]), *head)
    x = jax.numpy.asarray(np.random.default_rng(0).uniform(-1, 1, (1, SIZE, SIZE, 3)), jax.numpy.float32)
    key = jax.random.key(0)
    methods = {
        "class_activation_map": linear.class_activation_map,
        **{name: getattr(gradient, name) for name in ("grad_cam", "grad_cam_pp", "xgrad_cam", "layer_cam")},
        "smooth_grad_cam_pp": lambda *a: smooth.smooth_grad_cam_pp(*a, key=key),
        "eigen_cam": eigen.eigen_cam,
        "eigen_grad_cam": eigen.eigen_grad_cam,
        "ablation_cam": ablation.ablation_cam,
        "gradient_family (six maps)": family.gradient_family,
    }
    if masks:
        methods["score_cam"] = score.score_cam
        methods["ss_cam"] = lambda *a: score.ss_cam(*a, key=key, samples=1)
        methods["is_cam"] = lambda *a: score.is_cam(*a, samples=1)

    def compiled(function: Callable) -> Callable[[], object]:
        ready = jax.jit(function).lower(x).compile()
        return lambda: jax.block_until_ready(ready(x))

    forward = compiled(model.logits)
    found = {}
    for name, method in methods.items():
        run = compiled(lambda x, method=method: method(model, x, TARGET))
        found[name] = _in_forwards(run, forward, 1 if name in MASKING else rounds)
    return {"forward": 1e3 * min(_seconds(forward) for _ in range(rounds)), **found}


def _theirs(blocks: list, masks: bool, rounds: int) -> dict[str, dict[str, float]]:
    """The same of both packages, in the Python that has them."""
    from unittest.mock import MagicMock

    import torch
    from torchcam import methods as torchcam

    # grad-cam imports torchvision for functions that nothing here calls, and a CPU build of PyTorch may have none that fits.
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = MagicMock()
    import pytorch_grad_cam
    import tqdm
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    tqdm.tqdm = lambda steps: steps  # no bars
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    x = torch.rand(1, 3, SIZE, SIZE)
    found: dict[str, dict[str, float]] = {package: {} for package in PACKAGES}
    for ours, names in NAMES.items():
        for package, name in zip(PACKAGES, names, strict=True):
            slow = ours in MASKING or ours == "ablation_cam"
            if name is None or (slow and not masks):
                continue
            model = _torch_lite0(blocks)
            if package == "grad-cam":
                extractor = getattr(pytorch_grad_cam, name)(model=model, target_layers=[model[-4]])
                run = lambda e=extractor: e(input_tensor=x, targets=[ClassifierOutputTarget(TARGET)])  # noqa: E731
            else:
                options = {"fc_layer": model[-1]} if name == "CAM" else {}
                options |= {"num_samples": 1} if name in ("SSCAM", "ISCAM") else {}
                extractor = getattr(torchcam, name)(model, model[-4], input_shape=(3, SIZE, SIZE), **options)
                run = lambda e=extractor, m=model: e(TARGET, m(x))  # noqa: E731
            plain = _torch_lite0(blocks)
            forward = torch.inference_mode()(lambda m=plain: m(x))
            if not slow:
                run()
            found[package][ours] = _in_forwards(run, forward, 1 if slow else rounds)
            found[package]["forward"] = 1e3 * min(_seconds(forward) for _ in range(rounds))
    return found


def _torch_lite0(blocks: list):
    """EfficientNet-Lite0 with random weights; its fourth module from the end is the last before the pooling."""
    import torch
    from torch import nn

    def conv(n_in: int, n_out: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True) -> list:
        layers = [nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(n_out)]
        return [*layers, nn.ReLU6()] if act else layers

    class Block(nn.Module):
        def __init__(self, n_in: int, kernel: int, stride: int, expansion: int, n_out: int):
            super().__init__()
            wide, self.residual = n_in * expansion, stride == 1 and n_in == n_out
            first = conv(n_in, wide, 1) if expansion > 1 else []
            self.body = nn.Sequential(*first, *conv(wide, wide, kernel, stride, wide), *conv(wide, n_out, 1, act=False))

        def forward(self, x):
            return x + self.body(x) if self.residual else self.body(x)

    torch.manual_seed(0)
    layers, channels = conv(3, 32, 3, 2), 32
    for kernel, stride, expansion, out in blocks:
        layers.append(Block(channels, kernel, stride, expansion, out))
        channels = out
    layers += [*conv(channels, CHANNELS, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 1000)]
    return nn.Sequential(*layers).eval()


def _ask_child(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    from stajax.encoders.efficientnet import BLOCKS

    command = [arguments.torch_python, __file__, "--child", json.dumps(BLOCKS), "--rounds", str(arguments.rounds)]
    answer = subprocess.run([*command, *["--masks"] * arguments.masks], stdout=subprocess.PIPE, text=True, check=False)
    if answer.returncode:
        sys.exit(f"{arguments.torch_python}: the packages did not run there; see above")
    return json.loads(answer.stdout.splitlines()[-1])


def _seconds(function: Callable[[], object]) -> float:
    begun = time.perf_counter()
    function()
    return time.perf_counter() - begun


def _in_forwards(run: Callable[[], object], forward: Callable[[], object], rounds: int) -> float:
    """Best time of `run` over the best of `forward`; both take turns."""
    forward()
    passes, runs = [], []
    for _ in range(rounds):
        passes += [_seconds(forward) for _ in range(5)]
        runs.append(_seconds(run))
    return min(runs) / min(passes)


def _print(columns: dict[str, dict[str, float]]) -> None:
    load = f"load average {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} cores"
    print(f"Forward passes of EfficientNet-Lite0 at {SIZE} px for one map; {load}")
    print(f"{'':30}" + "".join(f"{name:>12}" for name in columns))
    for name in columns["stajax"] | columns.get("grad-cam", {}):
        unit = " (ms)" if name == "forward" else ""
        values = [column.get(name) for column in columns.values()]
        print(f"{name + unit:30}" + "".join(f"{'':>12}" if v is None else f"{v:12.2f}" for v in values))


if __name__ == "__main__":
    main()
