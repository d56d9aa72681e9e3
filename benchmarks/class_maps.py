"""Maps of pictures by the class that EfficientNet-Lite0 sees in them, for rows of the README's table: no tag, no training.

    python benchmarks/class_maps.py cam osie/stimuli -o maps/cam                 # Eq. 1 of the likeliest of ImageNet's classes
    python benchmarks/class_maps.py grad_cam osie/stimuli -o maps/grad_cam
    python benchmarks/class_maps.py self_tagged osie/stimuli -o maps/self_tagged # of each place, four sizes
    stajax evaluate --pred maps/cam --truth osie --protocol osie

writes maps/cam/PICTURE/maps.npz, as `stajax predict` does.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from stajax import cam
from stajax.data.photographs import pictures_in
from stajax.data.pictures import read_colour
from stajax.encoders.efficientnet import EfficientNetLite0
from stajax.encoders.params import check_fit
from stajax.inference.outputs import MapsFile
from stajax.inference.self_tagged import ENCODER, SelfTagged
from stajax.media import squash
from stajax.models.folder import read_shared

SIZE = 256
METHODS = {"cam": cam.class_activation_map, "grad_cam": cam.grad_cam}


def looking(method: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function from a picture (H, W, 3) uint8 to its map (h, w) in [0, 1]."""
    if method == "self_tagged":
        look = SelfTagged()
        return lambda image: look(image)[0]
    graphdef, state = nnx.split(nnx.eval_shape(lambda: EfficientNetLite0(size=SIZE, rngs=nnx.Rngs(0))))
    net = nnx.merge(graphdef, check_fit(read_shared(ENCODER), nnx.to_pure_dict(state), ENCODER))
    head = net.classifier.kernel[...], net.classifier.bias[...]
    model = cam.gap_linear(lambda views: net.head(net(views)["stride32"]), *head)
    explain = jax.jit(lambda views: METHODS[method](model, views, normalise=True, size=(64, 64))[0])
    return lambda image: np.asarray(explain(squash(image, SIZE)[None].astype(np.float32)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=(*METHODS, "self_tagged"))
    parser.add_argument("pictures", help="a folder of pictures, or a text file that lists them")
    parser.add_argument("-o", "--out", type=Path, required=True)
    arguments = parser.parse_args()
    look, files = looking(arguments.method), pictures_in(arguments.pictures)
    for number, file in enumerate(files, 1):
        path = arguments.out / file.stem / "maps.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        with MapsFile(path) as maps:
            maps.append(look(read_colour(file)), 0.0)
            maps.finish(fps=np.float64(0))
        if number % 50 == 0 or number == len(files):
            print(f"{number} of {len(files)} pictures", file=sys.stderr)


if __name__ == "__main__":
    main()
