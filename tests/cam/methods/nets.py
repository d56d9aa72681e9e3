"""The nets of tests/goldens/cam in JAX, and the same functions in float64 NumPy."""

from __future__ import annotations

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from stajax.cam.methods.split import Split, gap_linear

GOLDENS = dict(np.load(Path(__file__).parents[2] / "goldens/cam/cam_family.npz"))
TARGETS = GOLDENS["targets"].tolist()
WEIGHTS = {name.removeprefix("weights/"): value for name, value in GOLDENS.items() if name.startswith("weights/")}


def model(head: str, stride: int = 3) -> Split:
    """Convolution and ReLU as features; `head` one of linear, mlp, deep."""
    w = WEIGHTS

    def features(x):
        """(N, h, w, 3) -> (N, h', w', 6)."""
        return jax.nn.relu(_conv(x, w["conv.weight"], stride, int(stride == 1)) + w["conv.bias"])

    def mlp(a):
        hidden = jax.nn.softplus(a.mean((1, 2)) @ w["mlp.0.weight"].T + w["mlp.0.bias"])
        return hidden @ w["mlp.2.weight"].T + w["mlp.2.bias"]

    def deep(a):
        hidden = jnp.tanh(_conv(a, w["deep.0.weight"], 1, 1) + w["deep.0.bias"])
        return hidden.mean((1, 2)) @ w["deep.4.weight"].T + w["deep.4.bias"]

    if head == "linear":
        return gap_linear(features, w["linear.weight"].T, w["linear.bias"])
    return Split(features, {"mlp": mlp, "deep": deep}[head])


def images(name: str = "x") -> np.ndarray:
    """The golden's pictures, (2, h, w, 3)."""
    return GOLDENS[name].transpose(0, 2, 3, 1)


def features64(x: np.ndarray, stride: int = 3) -> np.ndarray:
    pad = int(stride == 1)
    return np.maximum(_conv64(x, WEIGHTS["conv.weight"], stride, pad) + WEIGHTS["conv.bias"].astype(np.float64), 0)


def deep64(a: np.ndarray) -> np.ndarray:
    hidden = np.tanh(_conv64(a, WEIGHTS["deep.0.weight"], 1, 1) + WEIGHTS["deep.0.bias"])
    return hidden.mean((1, 2)) @ WEIGHTS["deep.4.weight"].T.astype(np.float64) + WEIGHTS["deep.4.bias"]


def gradients64(a: np.ndarray, targets) -> np.ndarray:
    """Central differences of each item's score under the deep head."""
    shape, step = a.shape[1:], 1e-5
    moves = step * np.eye(np.prod(shape)).reshape(-1, *shape)

    def scores(sign: int) -> np.ndarray:
        moved = deep64((a[:, None] + sign * moves).reshape(-1, *shape))
        return moved.reshape(len(a), len(moves), -1)[np.arange(len(a)), :, targets]

    return ((scores(1) - scores(-1)) / (2 * step)).reshape(a.shape)


def _conv(x, weight, stride, pad):
    return jax.lax.conv_general_dilated(
        x,
        weight.transpose(2, 3, 1, 0),
        (stride, stride),
        ((pad, pad),) * 2,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision="highest",
    )


def _conv64(x, weight, stride, pad):
    x = np.pad(np.asarray(x, np.float64), ((0, 0), (pad, pad), (pad, pad), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, weight.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
    return np.einsum("nhwcij,ocij->nhwo", windows, weight.astype(np.float64), optimize=True)
