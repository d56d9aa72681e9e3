"""Make docs/images/cam_family.jpg, the twelve methods on one picture: `python docs/make_cam_image.py`, in the project's root.

About 6 500 forward passes of EfficientNet-Lite0, nearly all for the masking methods: minutes on 2 cores.
"""

from itertools import islice
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from PIL import Image

from stajax import cam
from stajax.encoders.efficientnet import EfficientNetLite0
from stajax.encoders.params import WEIGHTS, check_fit, read_params
from stajax.media import contact_sheet, overlay, read_frames, squash

CLIP, FRAME = Path("third_party/media/big_buck_bunny.mp4"), 110
SEA_LION = 150  # what the net says of the rabbit, with 25 %
KEY = jax.random.key(0)
SAMPLES = 2  # of SS-CAM and IS-CAM; their papers take 35 and 10
METHODS = {
    "CAM": cam.class_activation_map,
    "Grad-CAM": cam.grad_cam,
    "Grad-CAM++": cam.grad_cam_pp,
    "Smooth Grad-CAM++": lambda *a, **k: cam.smooth_grad_cam_pp(*a, key=KEY, **k),
    "XGrad-CAM": cam.xgrad_cam,
    "Layer-CAM": cam.layer_cam,
    "Score-CAM": cam.score_cam,
    "SS-CAM": lambda *a, **k: cam.ss_cam(*a, key=KEY, samples=SAMPLES, **k),
    "IS-CAM": lambda *a, **k: cam.is_cam(*a, samples=SAMPLES, **k),
    "Ablation-CAM": cam.ablation_cam,
    "Eigen-CAM": cam.eigen_cam,
    "Eigen-Grad-CAM": cam.eigen_grad_cam,
}


def main() -> None:
    picture = squash(next(islice(read_frames(CLIP), FRAME, None)).image, 256)
    net = lite0()
    features = lambda x: net.head(net(x * 128 + 127)["stride32"])  # noqa: E731
    model = cam.gap_linear(features, net.classifier.kernel[...], net.classifier.bias[...])
    x = (picture[None].astype(np.float32) - 127) / 128
    assert jax.jit(model.logits)(x).argmax() == SEA_LION
    shown = []
    for name, method in METHODS.items():
        maps = jax.jit(lambda x, method=method: method(model, x, SEA_LION, normalise=True, size=(256, 256)))(x)
        shown.append(overlay(picture, np.asarray(maps[0])))
        print(name)
    sheet = contact_sheet(shown, 4, list(METHODS))
    Image.fromarray(sheet).save("docs/images/cam_family.jpg", quality=82)


def lite0() -> EfficientNetLite0:
    graphdef, state = nnx.split(nnx.eval_shape(lambda: EfficientNetLite0(size=256, rngs=nnx.Rngs(0))))
    params = read_params(WEIGHTS / "encoders/efficientnet_lite0.npz")
    return nnx.merge(graphdef, check_fit(params, nnx.to_pure_dict(state), "efficientnet_lite0"))


if __name__ == "__main__":
    main()
