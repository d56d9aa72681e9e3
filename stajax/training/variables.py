"""Which variables are trained, which stay, and what they start from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
from flax import nnx
from ml_collections import ConfigDict

from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor
from stajax.encoders.params import WEIGHTS, WeightsError, check_fit, flatten, read_params
from stajax.models import folder
from stajax.models.network import NetworkConfig, Structure, jit_draws
from stajax.training.config import STAGES, ConfigError, net_config

KINDS = {"classification": ("classifier", "classifier+"), "fixation": ("STA", "STA+")}


def network_config(config: ConfigDict) -> NetworkConfig:
    """The network of a stage: its encoders, its one net or switch, and the trained switch that it is to heed."""
    what, model = STAGES[config.stage], config.model
    own = net_config(config)
    nets = {}
    if what.task != "switch":
        nets[what.net] = (KINDS[what.task][what.granularity != "none"], own)
    switch = own if what.task == "switch" else None
    if heeds_switch(config):
        switch = folder.read(config.switch).config.switch
        if switch is None:
            raise ConfigError(f"switch={config.switch}: this model has no audio switch")
    sound = model.sound if own.listens or what.task == "switch" else None
    return NetworkConfig(frames=model.frames, sound=sound, size=model.size, hop=model.hop, nets=nets, switch=switch)


def heeds_switch(config: ConfigDict) -> bool:
    """Whether a trained switch decides for the net, fixed: `config.switch` names a folder, and the net listens."""
    return config.switch not in ("heard", "open") and STAGES[config.stage].task != "switch" and net_config(config).listens


def initial(config: ConfigDict, structure: Structure) -> dict:
    """Variables to start from: random nets on encoders with their weights, then what `config.init` and `config.switch` hold.

    Random encoders are the same for every stage, whatever its seed.

    Raises WeightsError: encoder weights that are not there, or do not fit.
    """
    variables = jax.device_get(structure.initialise(config.seed, encoders=False))
    for part in ("frames", "sound"):
        if part in structure.shapes:
            variables[part] = encoder_variables(config.model, part, structure.shapes[part])
    if config.init:
        start = folder.read(config.init)
        found, wanted = flatten(start.variables), flatten(variables)
        taken = {key for key in wanted if key in found and found[key].shape == wanted[key].shape}
        if not any(key.startswith(("nets", "switch")) for key in taken):
            raise WeightsError(f"init={config.init}: nothing of its nets fits this one")
        variables = _nest({key: found[key] if key in taken else value for key, value in wanted.items()})
    if heeds_switch(config):
        trained = folder.read(config.switch).variables
        if other := [part for part in ("frames", "sound") if not folder.equal(trained[part], variables[part])]:
            raise WeightsError(
                f"switch={config.switch}: made for other numbers of {' and '.join(other)}; its φ would mean nothing"
            )
        variables |= check_fit({"switch": trained["switch"]}, {"switch": structure.shapes["switch"]}, config.switch)
    return variables


def encoder_variables(model: ConfigDict, part: str, shapes: dict) -> dict:
    """The weights of an encoder, ``frames`` or ``sound``, from where `config.model` says they are. Raises WeightsError."""
    source, name = model[f"{part}_weights"], model[part]
    if source == "random":
        known, size = {"frames": (FRAME_ENCODERS, {"size": model.size}), "sound": (SOUND_ENCODERS, {})}[part]
        make = lambda: nnx.to_pure_dict(nnx.state(constructor(name, known)(**size, rngs=nnx.Rngs(0))))  # noqa: E731
        return jax.device_get(jit_draws(make)())
    if not source:
        raise WeightsError(
            f"model.{part}_weights: where are the weights of {name}? `stajax weights` lists and fetches checkpoints, `stajax "
            f"convert` makes a folder of one; give it as --config.model.{part}_weights=FOLDER, or random"
        )
    path = WEIGHTS / "encoders" / f"{source.removeprefix('shared:')}.npz" if source.startswith("shared:") else Path(source)
    if path.is_dir():
        found = sorted(path.glob("params/*.npz"))
        if len(found) != 1:
            raise WeightsError(f"{path}: {len(found)} files in params/; the folder of one converted encoder is needed")
        path = found[0]
    return check_fit(read_params(path), shapes, str(path))


def is_trained(structure: Structure, freeze: Sequence[str], fixed_switch: bool) -> dict[str, bool]:
    """path -> whether it is trained: no statistic, no match of `freeze` at its beginning, no switch that is only heeded."""
    statistics = flatten(structure.statistics)
    try:
        frozen = re.compile("|".join(f"(?:{pattern})" for pattern in freeze) or "(?!)")
    except re.error as error:
        raise ConfigError(f"freeze={tuple(freeze)}: no regular expression ({error})") from None
    return {
        path: path not in statistics and not frozen.match(path) and not (fixed_switch and path.startswith("switch."))
        for path in flatten(structure.shapes)
    }


def split(variables: dict, chosen: dict[str, bool]) -> tuple[dict, dict]:
    """(those chosen, the others), nested dicts."""
    flat = flatten(variables)
    return tuple(_nest({path: x for path, x in flat.items() if chosen[path] == wanted}) for wanted in (True, False))


def merge(*parts: dict) -> dict:
    """Nested dicts without a path in common to one; of a path that is in several, the last one's."""
    flat: dict = {}
    for part in parts:
        flat |= flatten(part)
    return _nest(flat)


def _nest(flat: dict[str, np.ndarray]) -> dict:
    tree: dict = {}
    for path, value in flat.items():
        *parents, leaf = (int(name) if name.isdigit() else name for name in path.split("."))  # NNX numbers its lists
        node = tree
        for name in parents:
            node = node.setdefault(name, {})
        node[leaf] = value
    return tree
