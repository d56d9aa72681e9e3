"""Makes cam_family.npz: what grad-cam and torchcam give for nets small enough to be stored beside their maps.

    python3 -m venv PATH && PATH/bin/pip install torch==2.13.0 grad-cam==1.5.7 torchcam==0.5.0
    PATH/bin/python tests/goldens/cam/make_cam_goldens.py

Run by hand; the tests read the file alone. README.md beside it lists the keys.
"""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
from torch import nn
from torchcam import methods as torchcam

CLASSES = 5
TARGETS = [3, 1]  # of both items
SAMPLES = 3


def main() -> None:
    rng = np.random.default_rng(20)
    weights = {
        # A stride of 3 enlarges by an odd factor: the input has pixels exactly at the activations' places.
        "conv.weight": rng.normal(0, 0.6, (6, 3, 3, 3)),
        "conv.bias": rng.normal(0.3, 0.3, 6),
        "linear.weight": rng.normal(0, 6, (CLASSES, 6)),
        "linear.bias": rng.normal(0, 1, CLASSES),
        "mlp.0.weight": rng.normal(0, 2, (7, 6)),
        "mlp.0.bias": rng.normal(0, 1, 7),
        "mlp.2.weight": rng.normal(0, 6, (CLASSES, 7)),
        "mlp.2.bias": rng.normal(0, 1, CLASSES),
        "deep.0.weight": rng.normal(0, 0.5, (4, 6, 3, 3)),
        "deep.0.bias": rng.normal(0, 0.5, 4),
        "deep.4.weight": rng.normal(0, 20, (CLASSES, 4)),
        "deep.4.bias": rng.normal(0, 1, CLASSES),
    }
    weights = {name: value.astype(np.float32) for name, value in weights.items()}
    x = rng.normal(0, 1, (2, 3, 12, 18)).astype(np.float32)
    small = rng.normal(0, 1, (2, 3, 4, 6)).astype(np.float32)  # for the net of stride 1: no enlarging at all
    found = {f"weights/{name}": value for name, value in weights.items()} | {"x": x, "small": small, "targets": TARGETS}
    torch.manual_seed(0)
    with_grad_cam(found, weights, torch.from_numpy(x), torch.from_numpy(small))
    with_torchcam(found, weights, torch.from_numpy(x))
    np.savez_compressed(Path(__file__).with_name("cam_family.npz"), **found)
    print(f"{len(found)} arrays")


def net(weights: dict[str, np.ndarray], head: str, stride: int = 3) -> nn.Sequential:
    """Convolution and ReLU (the layer that is explained), then one of three heads."""
    mean = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    heads = {
        "linear": [*mean, nn.Linear(6, CLASSES)],
        "mlp": [*mean, nn.Linear(6, 7), nn.Softplus(), nn.Linear(7, CLASSES)],  # gradients: alike at all places
        "deep": [nn.Conv2d(6, 4, 3, padding=1), nn.Tanh(), *mean, nn.Linear(4, CLASSES)],  # different at each place
    }
    model = nn.Sequential(nn.Conv2d(3, 6, 3, stride=stride, padding=int(stride == 1)), nn.ReLU(), *heads[head]).eval()
    names = ["conv", *{name.rpartition(".")[0]: None for name in weights if name.startswith(head)}]
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.Linear)]
    with torch.no_grad():
        for name, layer in zip(names, layers, strict=True):
            layer.weight.copy_(torch.from_numpy(weights[f"{name}.weight"]))
            layer.bias.copy_(torch.from_numpy(weights[f"{name}.bias"]))
    return model


def import_grad_cam():
    """The package `pytorch_grad_cam`, and its target class."""
    # It imports torchvision for functions that nothing here calls, and a CPU build of PyTorch may have none that fits.
    for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional"):
        sys.modules[name] = MagicMock()
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    return pytorch_grad_cam, ClassifierOutputTarget


def with_grad_cam(found: dict, weights: dict, x: torch.Tensor, small: torch.Tensor) -> None:
    """Raw maps before its ReLU, and `.../final`: ReLU, on [0, 1], at the size of the input."""
    package, target_class = import_grad_cam()

    def add(name: str, method: type, head: str, images: torch.Tensor, stride: int = 3, targets=TARGETS) -> None:
        model = net(weights, head, stride)
        extractor, raw = method(model=model, target_layers=[model[1]]), []
        plain = extractor.get_cam_image
        extractor.get_cam_image = lambda *arguments: raw.append(plain(*arguments)) or raw[-1]
        final = extractor(input_tensor=images, targets=[target_class(target) for target in targets])
        found[f"grad-cam/{name}"], found[f"grad-cam/{name}/final"] = raw[0], final

    for head in ("linear", "deep"):
        for name in ("GradCAM", "GradCAMPlusPlus", "XGradCAM", "LayerCAM", "EigenCAM", "EigenGradCAM"):
            add(f"{name}/{head}", getattr(package, name), head, x)
        logits = net(weights, head)(x).detach().numpy()
        found[f"logits/{head}"] = logits
        best, worst = logits.argmax(1), logits.argmin(1)  # scores above and below zero
        assert (logits.max(1) > 0).all() and (logits.min(1) < 0).all()
        add(f"AblationCAM/{head}/best", package.AblationCAM, head, x, targets=best)
        add(f"AblationCAM/{head}/worst", package.AblationCAM, head, x, targets=worst)
    add("ScoreCAM/deep", package.ScoreCAM, "deep", small, stride=1)


def with_torchcam(found: dict, weights: dict, x: torch.Tensor) -> None:
    """Raw maps (CAM's before ReLU, the others' after it); what the random ones drew, in order, and their channel weights."""

    def add(name: str, method: type, head: str, **options) -> None:
        model = net(weights, head)
        extractor, noise = method(model, model[1], input_shape=(3, 12, 18), **options), []
        if hasattr(extractor, "_distrib"):
            draw = extractor._distrib.sample
            extractor._distrib.sample = lambda shape: noise.append(draw(shape)) or noise[-1]
        weights_of, used = extractor._get_weights, []
        extractor._get_weights = lambda *arguments, **named: used.append(weights_of(*arguments, **named)) or used[-1]
        scores = model(x)
        (maps,) = extractor(TARGETS, scores, normalized=False)
        extractor.remove_hooks()
        found[f"torchcam/{name}"] = maps.detach().numpy()
        if noise:
            found[f"torchcam/{name}/noise"] = torch.stack(noise).numpy()
            found[f"torchcam/{name}/weights"] = used[0][0].detach().numpy()

    add("CAM/linear", torchcam.CAM, "linear", fc_layer="4")
    for name in ("GradCAM", "XGradCAM", "LayerCAM", "ScoreCAM"):
        add(f"{name}/deep", getattr(torchcam, name), "deep")
    add("GradCAMpp/mlp", torchcam.GradCAMpp, "mlp")
    add("SmoothGradCAMpp/mlp", torchcam.SmoothGradCAMpp, "mlp", num_samples=1, std=0.3)
    add("SSCAM/deep", torchcam.SSCAM, "deep", num_samples=SAMPLES, std=0.5)
    add("ISCAM/deep", torchcam.ISCAM, "deep", num_samples=SAMPLES)


if __name__ == "__main__":
    main()
