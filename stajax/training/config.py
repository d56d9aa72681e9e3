"""Configurations: the defaults of every stage in three sizes, files that change some, changes on the command line."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from stajax.models.classifiers import ClassifierConfig, CompanyClassifierConfig
from stajax.models.fixation import STAConfig, STAPlusConfig
from stajax.models.switch import SwitchConfig

SIZES = ("paper", "lite", "tiny")
AVE_FRAGMENTS = 3339 * 10  # clips of AVE's training split, seconds of each


class ConfigError(ValueError):
    """A configuration that cannot be used; the message is one line."""


class Stage(NamedTuple):
    """What a stage trains. net: its name in a model folder."""

    task: str  # classification, switch or fixation
    net: str
    source: str
    granularity: str = "none"
    fine: bool = False


# In the order of the procedure; `stajax.pipeline` puts the making of crops and of pseudo-fixations between them.
STAGES = {
    "switch": Stage("switch", "switch", "sa"),
    "s": Stage("classification", "S", "s"),
    "st": Stage("classification", "ST", "st"),
    "sa": Stage("classification", "SA", "sa"),
    "s_fine": Stage("classification", "S", "s", fine=True),
    "st_fine": Stage("classification", "ST", "st", fine=True),
    "sa_fine": Stage("classification", "SA", "sa", fine=True),
    "s_plus_short": Stage("classification", "S+short", "s", "short"),
    "s_plus_long": Stage("classification", "S+long", "s", "long"),
    "s_plus_cross": Stage("classification", "S+cross", "s", "cross"),
    "st_plus_short": Stage("classification", "ST+short", "st", "short"),
    "st_plus_long": Stage("classification", "ST+long", "st", "long"),
    "st_plus_cross": Stage("classification", "ST+cross", "st", "cross"),
    "sa_plus_long": Stage("classification", "SA+long", "sa", "long"),
    "sa_plus_cross": Stage("classification", "SA+cross", "sa", "cross"),
    # CAM_sta of Table 2, one net of all three sources; no part of the procedure.
    "cam_sta": Stage("classification", "CAM_sta", "sta"),
    "cam_sta_fine": Stage("classification", "CAM_sta", "sta", fine=True),
    "sta": Stage("fixation", "sta", "sta"),
    "sta_plus_short": Stage("fixation", "short", "sta", "short"),
    "sta_plus_long": Stage("fixation", "long", "sta", "long"),
}


def stage_config(stage: str, size: str = "lite") -> ConfigDict:
    """The defaults of a stage; docs/training.md says what the fields are. net.classes 0 is as many as the records have."""
    if stage not in STAGES:
        raise ConfigError(f"unknown stage {stage!r}; known: {', '.join(STAGES)}")
    if size not in SIZES:
        raise ConfigError(f"unknown size {size!r}; known: {', '.join(SIZES)}")
    what = STAGES[stage]
    return ConfigDict(
        {
            "stage": stage,
            "size": size,
            "seed": 0,
            **_data(size),
            "model": _model(what, size),
            "net": _net(what, size),
            # φ in training: "heard", the labels that the switch learns; "open"; or a model folder with a trained switch.
            "switch": "heard",
            "init": "",
            **_optimisation(what, size),
            "loss": {"company": 0.0, "balance": True},
            "dtype": "float32",
            "fsdp": 1,
            "eval": {"every": 500, "moments": 4, "keep": "loss" if what.task == "fixation" else "accuracy"},
            "checkpoint": {"every": 500, "keep": 2},
            "log": {"every": 50, "profile": ""},
        }
    )


def _data(size: str) -> dict:
    """records: folders of them, with ; between several sets. repeats: how often each set comes in an epoch, once by default.

    cache: a folder for each set with features of frozen encoders, made if need be. heard: folders with a `heard.npz`, by
    default those of the records. validation: of each tag of the first set every so manyth clip is held out; 0 for none.
    validation_records: a folder of records to evaluate on instead, with the last place in cache. augment: none, default or
    released (`data.augment`); cached features cannot be augmented.
    """
    augment = "default" if size == "paper" else "none"
    sets = {"records": "", "repeats": (), "cache": "", "heard": ""}
    return {**sets, "validation": 5, "validation_records": "", "augment": augment, "flip": False, "workers": 0}


def _model(what: Stage, size: str) -> dict:
    if size == "tiny":
        model = {"frames": "tiny", "sound": "tiny", "size": 64, "hop": 0.2}
        weights = {"frames_weights": "random", "sound_weights": "random"}
    elif size == "lite":
        model = {"frames": "efficientnet_lite0", "sound": "yamnet", "size": 356 if what.fine else 256, "hop": 0.2}
        weights = {"frames_weights": "shared:efficientnet_lite0", "sound_weights": "shared:yamnet"}
    else:
        encoder = "vgg16" if what.granularity == "none" else "vgg16_d1"
        views = 356 if what.fine or what.net == "sta" else 256
        model = {"frames": encoder, "sound": "vggsound", "size": views, "hop": 0.2}
        weights = {
            "frames_weights": "",
            "sound_weights": "",
        }  # model folders that `stajax convert` made of a fetched checkpoint
    return {**model, **weights, "norm": "frozen"}


def _net(what: Stage, size: str) -> dict:
    if what.task == "switch":
        config = getattr(SwitchConfig, size)()
    elif what.task == "fixation":
        plus = what.granularity != "none"
        config = getattr(STAPlusConfig, size)(what.granularity) if plus else getattr(STAConfig, size)()
    elif what.granularity == "none":
        config = getattr(ClassifierConfig, size)(what.source, 0)
    else:
        config = getattr(CompanyClassifierConfig, size)(what.source, what.granularity, 0)
    if size == "tiny":  # of 64 px only the finest level tells objects apart
        finest = {"stride": 8, "strides": (8,), "width": 8, "deconv_width": 8}
        config = dataclasses.replace(config, **{key: value for key, value in finest.items() if hasattr(config, key)})
    # None would forbid other values later; (0, 0) stands for it.
    return {key: (0, 0) if value is None else value for key, value in dataclasses.asdict(config).items()}


def net_config(config: ConfigDict):
    """The config of the net itself, such as an `STAConfig`."""
    what = STAGES[config.stage]
    kinds = {"switch": (SwitchConfig,) * 2, "fixation": (STAConfig, STAPlusConfig)}
    plain, plus = kinds.get(what.task, (ClassifierConfig, CompanyClassifierConfig))
    values = {key: None if tuple_(value) == (0, 0) else value for key, value in config.net.items()}
    return (plain if what.granularity == "none" else plus)(**values)


def tuple_(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def _optimisation(what: Stage, size: str) -> dict:
    """batch: rows over all processes. freeze: regular expressions of parameter paths (``frames.blocks.0.kernel``)."""
    if size == "tiny":
        return {
            "batch": 32,
            "steps": 600,
            "accumulate": 1,
            "freeze": ("frames", "sound"),
            "optimiser": _optimiser("adamw", 5e-2, 1e-4, ema=0.98),
        }
    if size == "lite":
        rate = 1e-3 if what.granularity == "none" else 3e-3  # reasoning makes states small
        return {
            "batch": 16,
            "steps": 2000,
            "accumulate": 1,
            "freeze": ("frames", "sound"),
            "optimiser": _optimiser("adamw", rate, 0.05, ema=0.99),
        }
    # Section 6.1: batches, and the fixation nets' rate. The classifiers' rate, the decays and 15 epochs are the release's; it
    # lowers the rate after 5 and 10 in classifiers alone, and clips nothing. An epoch is a fragment of every second of AVE.
    batch = 3 if what.fine or what.task == "fixation" else 20 if what.granularity == "none" else 16
    rate, decay, schedule = (5e-5, 1e-4, "constant") if what.task == "fixation" else (1e-4, 5e-4, "steps")
    return {
        "batch": batch,
        "steps": 15 * AVE_FRAGMENTS // batch,
        "accumulate": 1,
        "freeze": ("sound",),
        "optimiser": {**_optimiser("released_sgd", rate, decay, schedule=schedule), "clip": 0.0},
    }


def _optimiser(name: str, rate: float, decay: float, *, schedule: str = "cosine", ema: float = 0.0) -> dict:
    """schedule: cosine, steps (a tenth after one and two thirds) or constant; each after `warmup`, a share of all steps."""
    warmup = 0.05 if schedule == "cosine" else 0.0
    return {"name": name, "rate": rate, "decay": decay, "schedule": schedule, "warmup": warmup, "clip": 1.0, "ema": ema}


def stage_from(arg: str, **variants: str) -> ConfigDict:
    """The config of "SIZE" or "SIZE,VARIANT", such as "lite,fine". variants: name -> stage, the first one by default.

    Raises ConfigError that lists what there is.
    """
    words = [word.strip() for word in arg.split(",") if word.strip()]
    size = next((word for word in words if word in SIZES), "lite")
    chosen = [word for word in words if word in variants] or [next(iter(variants))]
    if unknown := [word for word in words if word not in SIZES and word not in variants]:
        raise ConfigError(f"unknown argument {unknown[0]!r}; sizes: {', '.join(SIZES)}; variants: {', '.join(variants)}")
    return stage_config(variants[chosen[0]], size)


def load(file: str, changes: Sequence[str] = ()) -> ConfigDict:
    """The configuration of ``FILE.py`` or ``FILE.py:ARG``: its `get_config()` or `get_config(ARG)`, with changes such as
    "net.steps=2".

    Raises ConfigError: no such file, a file that fails, an unknown field, or a value of another type.
    """
    path, _, argument = file.partition(":")
    if not Path(path).is_file():
        raise ConfigError(f"{path}: no such configuration file")
    module = _module(Path(path))
    if not hasattr(module, "get_config"):
        raise ConfigError(f"{path}: has no function get_config")
    try:
        config = module.get_config(argument) if argument else module.get_config()
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"{file}: get_config failed ({type(error).__name__}: {error})") from error
    return change(config, changes)


def sweep(file: str) -> list[dict]:
    """What the `sweep()` of a configuration file gives: dicts of dotted changes, each perhaps with a "name"."""
    path = Path(file.partition(":")[0])
    if not path.is_file():
        raise ConfigError(f"{path}: no such configuration file")
    module = _module(path)
    if not hasattr(module, "sweep"):
        raise ConfigError(f"{path}: has no function sweep")
    return list(module.sweep())


def _module(path: Path):
    spec = importlib.util.spec_from_file_location(f"stajax_config_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path}: cannot be read as a configuration ({type(error).__name__}: {error})") from error
    return module


def change(config: ConfigDict, changes: Sequence[str] | Mapping[str, Any]) -> ConfigDict:
    """`config` with "a.b=value" set, or with {"a.b": value}; it is changed in place, too.

    "a.*.b" means every a that has a b. Raises ConfigError: an unknown field, or a value of another type.
    """
    pairs = changes.items() if isinstance(changes, Mapping) else (text.partition("=")[::2] for text in changes)
    for key, value in pairs:
        found = [(node, leaf) for node, leaf in _places(config, key.split(".")) if not isinstance(node[leaf], ConfigDict)]
        if not found:
            raise ConfigError(f"no field {key!r} in this configuration{_near(config, key)}")
        for node, leaf in found:
            node[leaf] = _converted(key, value, node[leaf])
    return config


def _places(node: Any, path: Sequence[str]) -> list[tuple[ConfigDict, str]]:
    """Where a dotted path leads, with "*" for any name: (config, name of its field) each."""
    if not isinstance(node, ConfigDict):
        return []
    names = list(node) if path[0] == "*" else [path[0]] if path[0] in node else []
    if len(path) == 1:
        return [(node, name) for name in names]
    return [place for name in names for place in _places(node[name], path[1:])]


def _converted(key: str, value: Any, old: Any) -> Any:
    """`value`, perhaps a text, as the type of `old`."""
    if isinstance(value, str) and not isinstance(old, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            raise ConfigError(f"{key}={value}: {_kind(old)} is needed, such as {old!r}") from None
    value = tuple_(value)
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if isinstance(old, tuple) and not isinstance(value, tuple):
        value = (value,)
    if type(value) is not type(old):
        raise ConfigError(f"{key}={value!r}: {_kind(old)} is needed, such as {old!r}")
    return value


def _kind(value: Any) -> str:
    return {bool: "True or False", int: "a whole number", float: "a number", tuple: "a tuple"}.get(type(value), "a text")


def _near(config: ConfigDict, key: str) -> str:
    """A hint: the fields that read most alike, else what the part of the configuration has that the key does lead to."""
    if alike := difflib.get_close_matches(key, flat(config), n=3, cutoff=0.75):
        return f"; did you mean {' or '.join(alike)}?"
    known, node = [], config
    for name in key.split("."):
        if not isinstance(node.get(name), ConfigDict):
            break
        node = node[name]
        known.append(name)
    return f"; {'.'.join(known) or 'it'} has {', '.join(node)}"


def flat(config: Mapping, prefix: str = "") -> dict[str, Any]:
    """{"a.b": value} of nested mappings, tuples for lists."""
    found = {}
    for key, value in config.items():
        if isinstance(value, Mapping | ConfigDict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = tuple_(value)
    return found
