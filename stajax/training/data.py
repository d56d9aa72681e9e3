"""A stage's records, their split, and batches for training and evaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from stajax.data.augment import Augment
from stajax.data.examples import Examples, Sampling
from stajax.data.feature_cache import FeatureCache
from stajax.data.heard import HEARD, read_heard
from stajax.data.records import Records
from stajax.data.split import held_out
from stajax.models.network import Structure
from stajax.training.config import STAGES, ConfigError, net_config


@dataclass(frozen=True)
class StageData:
    """training, validation: the examples; validation is None where nothing is held out. classes: {name: aliases}."""

    training: Examples
    validation: Examples | None
    classes: dict[str, tuple[str, ...]]


def stage_data(config: ConfigDict, structure: Structure, cache: FeatureCache | None = None) -> StageData:
    """Read what a stage learns from. Raises DataError or ConfigError."""
    records, what, own = Records(config.records), STAGES[config.stage], net_config(config)
    classes = getattr(own, "classes", None)
    if classes is not None and classes != len(records.classes):
        raise ConfigError(f"net.classes={classes}, but {config.records} has {len(records.classes)} classes; give that many")
    sound = structure.module.sound
    sampling = Sampling(
        source=what.source,
        company=what.granularity,
        n=getattr(own, "company", 1),
        size=config.model.size,
        window=None if sound is None else sound.window,
        maps=_map_size(structure) if what.task == "fixation" else None,
        augment=_augment(config),
    )
    heard = _heard(config)
    if heard is None and (what.task == "switch" or (config.switch == "heard" and own.listens)):
        raise ConfigError(
            f"heard: no {HEARD} beside {config.records}; let a tagger hear them first (docs/training.md), or switch=open"
        )
    rows = {"training": np.arange(len(records)), "validation": np.zeros(0, int)}
    if config.validation:
        rows = held_out(records.entries, config.validation, seed=0)  # one split, whatever the seed of training
    options = {"sampling": sampling, "seed": config.seed, "heard": heard, "cache": cache}
    training = Examples(records, rows["training"], **options)
    validation = None
    if len(rows["validation"]):
        plain = {"sampling": replace(sampling, augment=Augment.none()), "seed": 0}
        validation = Examples(records, rows["validation"], **{**options, **plain})
    return StageData(training, validation, records.classes)


def with_classes(config: ConfigDict) -> ConfigDict:
    """A copy whose classification net tells apart as many classes as the records have, where it does not say how many."""
    if not config.records:
        raise ConfigError("records: where are the records? give --config.records=FOLDER")
    config = config.copy_and_resolve_references()
    if config.net.get("classes", None) == 0:
        config.net.classes = len(Records(config.records).classes)
    return config


def _map_size(structure: Structure) -> tuple[int, int]:
    (net,) = structure.module.nets.values()
    return net.output_size


def _augment(config: ConfigDict) -> Augment:
    made = {"none": Augment.none, "default": Augment.default, "released": Augment.released}
    if config.augment not in made:
        raise ConfigError(f"augment={config.augment}: known: {', '.join(made)}")
    return replace(made[config.augment](), flip=config.flip)


def _heard(config: ConfigDict) -> dict | None:
    beside = Path(config.heard or config.records)
    return read_heard(beside) if (beside / HEARD).exists() else None


def label_weights(data: StageData) -> tuple[float, float]:
    """Weights of the audio switch's labels 0 and 1 that make both count the same over what is heard in the training clips."""
    examples = data.training
    names = {examples.records.entries[row].name: examples.records.entries[row].tags for row in examples.rows.tolist()}
    found = [np.isin(examples.heard[name], tags) for name, tags in names.items() if name in examples.heard]
    share = float(np.concatenate(found).mean()) if found else 0.5
    if not 0 < share < 1:
        what = "no sound is" if share == 0 else "every sound is"
        raise ConfigError(f"switch: {what} heard as its clip's tag; the audio switch has nothing to tell apart")
    return 0.5 / (1 - share), 0.5 / share
