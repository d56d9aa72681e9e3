"""Rebuild the encoder weights that ship with the package from the files they came in.

    python -m stajax.encoders.ship WEIGHTS

WEIGHTS is the folder of those files (third_party/README.md has the credits): EfficientNet-Lite0 in PyTorch's names, float16;
YAMNet in int8 per channel.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from stajax.encoders import efficientnet, yamnet
from stajax.encoders.params import WEIGHTS, write_params

SOURCES = {
    "efficientnet_lite0": ("efficientnet_lite0_imagenet_oihw_fp16.npz", efficientnet.from_pytorch),
    "yamnet": ("yamnet_audioset521_oihw_int8.npz", yamnet.from_onnx),
}


def main(source: str) -> None:
    for name, (file, convert) in SOURCES.items():
        with np.load(Path(source) / file, allow_pickle=False) as arrays:
            tree = convert({key: arrays[key] for key in arrays.files})
        target = WEIGHTS / "encoders" / f"{name}.npz"
        write_params(target, tree)
        print(f"{target}: {target.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
