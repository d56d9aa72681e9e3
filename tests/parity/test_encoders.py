"""The encoders alone: deterministic weights, through the real converter into an encoder folder, against the authors' code."""

from __future__ import annotations

import json
import re

import detw
import jax
import pytest
from flax import nnx
from safetensors.numpy import save_file
from taps import VGG, in_torch_layout

from stajax.convert.checkpoint import convert
from stajax.convert.tables.encoders import VGG_LAYERS
from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor
from stajax.encoders.params import check_fit, read_params
from stajax.encoders.vgg import CONV_NAMES

# family of goldens -> (spec of its weights, encoder that the converter must recognise, encoder to run)
FAMILIES = {
    "resnext101": ("resnext101_32x8d", "resnext101_32x8d_imagenet", "resnext101_32x8d_imagenet"),
    "vgg16_D1": ("vgg16_D1", "vgg16", "vgg16_d1"),
    "vggsound": ("vggsound_netvlad", "vggsound_309", "vggsound_309"),
}
# Theirs -> our stage. A convolution of ours ends with its ReLU, which is the next child of theirs.
OURS = {
    "stem_relu": "stem",
    "netvlad_8192": "netvlad",
    **{f"features.{i + 1}": name for i, name in zip(VGG_LAYERS, CONV_NAMES, strict=True)},
    **{f"features.{i}": name for i, name in VGG.items()},
}


def covers(name: str) -> bool:
    return _family(name) is not None


def slow(name: str) -> bool:
    return name == "resnext101_356"


def _family(name: str) -> str | None:
    """resnext101_256 -> resnext101"""
    return next((family for family in FAMILIES if name.startswith(f"{family}_")), None)


def test_the_encoder_equals_the_authors_code(golden, converted):
    family, params, salt = _family(golden.name), golden.index["params"], golden.index["salt"]
    spec, recognised, name = FAMILIES[family]
    net = _filled(name, converted(spec, recognised, golden))
    (source,) = re.findall(r"detw\.\w+\('([^']+)'", golden.index["note"])
    if family == "vggsound":
        x = detw.audio(source, params["batch"], 257, params["T"], salt=salt)[..., None]
    else:
        x = detw.image(source, params["batch"], *params["hw"], salt=salt).transpose(0, 2, 3, 1)

    @jax.jit
    def taps(net, x):
        found = net.stages(x)
        if getattr(net, "fc", None) is not None:
            logits, aux = net.classify(net.levels(found))
            found |= {"fc": logits, "fc_logits": logits, **aux}
        return {tap: found[OURS.get(tap, tap)] for tap in golden.taps}

    with jax.default_matmul_precision("highest"):
        found = jax.device_get(taps(net, x))
    golden.check({tap: in_torch_layout(array, golden.taps[tap]["shape"]) for tap, array in found.items()})


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Parameters of an encoder folder that the converter wrote; the same spec and salt are converted once."""
    known = {}

    def parameters(spec: str, recognised: str, golden) -> dict:
        key = spec, golden.index["salt"]
        if key not in known:
            folder = tmp_path_factory.mktemp(spec)
            save_file(detw.weights(golden.spec(spec), golden.index["salt"]), folder / "weights.safetensors")
            convert([folder / "weights.safetensors"], folder / "encoder")
            (folder / "weights.safetensors").unlink()
            config = json.loads((folder / "encoder/config.json").read_text())
            assert config["encoder"] == recognised
            (place,) = config["params"].values()
            known[key] = read_params(folder / "encoder" / place)
            (folder / "encoder" / place).unlink()
        return known[key]

    return parameters


def _filled(name: str, parameters: dict) -> nnx.Module:
    """The encoder with these parameters, not one too many or too few."""
    make = constructor(name, {**FRAME_ENCODERS, **SOUND_ENCODERS})
    graphdef, state = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))))
    return nnx.merge(graphdef, check_fit(parameters, nnx.to_pure_dict(state), name))
