"""Every net of the authors: deterministic weights, through the real converter, against their own code's values."""

from __future__ import annotations

import dataclasses
import shutil

import detw
import jax
import jax.numpy as jnp
import numpy as np
from safetensors.numpy import save_file
from taps import NETS, find, in_torch_layout

from stajax.convert.checkpoint import convert
from stajax.models import folder
from stajax.models.fragments import Fragments
from stajax.models.network import Network, Structure

FAST = ("S", "Splus")
KINDS = {"S_356": "S", "att_Model_train": "att_Model"}  # the same net called otherwise


def covers(name: str) -> bool:
    return KINDS.get(name, name) in NETS


def slow(name: str) -> bool:
    return name not in FAST


def test_the_released_net_equals_the_authors_code(golden, tmp_path):
    net, index = NETS[KINDS.get(golden.name, golden.name)], golden.index
    structure, variables = _converted(golden, tmp_path)
    structure = Structure(dataclasses.replace(structure.config, size=index["image_hw"][0]))
    batch, salt = index["batch"], index["salt"]
    images = np.concatenate([detw.image(name, batch, *index["image_hw"], salt=salt) for name in index["images"]])
    sounds = [detw.audio(name, batch, *index["audio_shape"], salt=salt) for name in index["audios"]]
    sounds = np.concatenate(sounds)[..., None] if sounds else None
    fragments = _fragments(net, batch, index["switches"])

    def taps(variables, images, sounds):
        values = structure.apply(variables, _everything, images, sounds, fragments)
        found = {name: find(name, net, batch, values) for name in golden.taps}
        return {name: array for name, array in found.items() if array is not None}

    with jax.default_matmul_precision("highest"):
        found = jax.device_get(jax.jit(taps)(variables, images.transpose(0, 2, 3, 1), sounds))
    golden.check({name: in_torch_layout(array, golden.taps[name]["shape"]) for name, array in found.items()})


def _converted(golden, tmp_path) -> tuple[Structure, dict]:
    """The deterministic state dict, saved, converted, and read back."""
    save_file(detw.weights(golden.spec(), golden.index["salt"]), tmp_path / "net.safetensors")
    convert([tmp_path / "net.safetensors"], tmp_path / "model")
    (tmp_path / "net.safetensors").unlink()
    model = folder.read(tmp_path / "model")
    shutil.rmtree(tmp_path / "model")  # up to 1.5 GB, which pytest would keep
    return model.structure, model.variables


def _fragments(net, batch: int, switches: list[float] | None) -> Fragments:
    """Row view * batch + item for every place, as the images and sounds are stacked."""

    def rows(views):
        return np.stack([np.asarray(views) * batch + item for item in range(batch)])

    audio = rows(net.sounds if net.sounds is not None else [0] * len(net.frames))
    phi = np.ones(audio.shape, np.float32) if switches is None else np.asarray(switches, np.float32)[audio // batch]
    frames = rows(net.frames)
    return Fragments(jnp.asarray(frames), jnp.asarray(audio), jnp.asarray(phi), jnp.ones(frames.shape[:2], bool))


def _everything(network: Network, images, sounds, fragments) -> dict:
    """All that the encoders, the heads and the net work out."""
    stages = network.frames.stages(images)
    levels = network.frames.levels(stages)
    features = network.read_levels(levels)
    heard = network.sound.stages(sounds) if sounds is not None else None
    audio = None if heard is None else network.sound.levels(heard)
    ((name, net),) = network.nets.items() or [("switch", network.switch)]
    _, heads = net.heads(levels)
    own = {key.removeprefix(f"{name}."): x for key, x in features.items()}
    prediction, aux = net(own, audio, fragments)
    return {"frames": stages, "sounds": heard, "heads": heads, "aux": aux, "prediction": prediction}
