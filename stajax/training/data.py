"""A stage's records, their split, and batches for training and evaluation."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict

from stajax.data.augment import Augment
from stajax.data.examples import Examples, Sampling
from stajax.data.feature_cache import Caches
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


def stage_data(config: ConfigDict, structure: Structure, cache: Caches | None = None) -> StageData:
    """Read what a stage learns from. Raises DataError or ConfigError."""
    records, what, own = Records(folders(config.records)), STAGES[config.stage], net_config(config)
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
    if not heard and (what.task == "switch" or (config.switch == "heard" and own.listens)):
        raise ConfigError(
            f"heard: no {HEARD} beside {config.records}; let a tagger hear them first (docs/training.md), or switch=open"
        )
    rows = _rows(config, records)
    options = {"sampling": sampling, "seed": config.seed, "heard": heard or None, "cache": cache}
    training = Examples(records, rows["training"], **options)
    validation, plain = None, {**options, "sampling": replace(sampling, augment=Augment.none()), "seed": 0}
    if config.validation_records:
        validation = Examples(Records(config.validation_records), **plain)
    elif len(rows["validation"]):
        validation = Examples(records, rows["validation"], **plain)
    return StageData(training, validation, records.classes)


def with_classes(config: ConfigDict) -> ConfigDict:
    """A copy whose classification net tells apart as many classes as the records have, where it does not say how many."""
    if not config.records:
        raise ConfigError("records: where are the records? give --config.records=FOLDER")
    config = config.copy_and_resolve_references()
    if config.net.get("classes", None) == 0:
        config.net.classes = len(Records(folders(config.records)).classes)
    return config


def folders(text: str) -> list[str]:
    """The folders of "A;B"."""
    return [part for part in text.split(";") if part]


def all_sets(config: ConfigDict) -> list[str]:
    """The folders of all records that a stage reads, those to evaluate on last."""
    return [*folders(config.records), *folders(config.validation_records)]


def _rows(config: ConfigDict, records: Records) -> dict[str, np.ndarray]:
    """Numbers of the records to learn from, those of a set as often as `config.repeats` says, and of those held out.

    Clips are held out of the first set alone, by a split that does not depend on the seed; the further ones add to it.
    """
    sets = [len(Records(folder)) for folder in folders(config.records)]
    repeats = tuple(config.repeats) or (1,) * len(sets)
    if len(repeats) != len(sets) or min(repeats) < 1:
        raise ConfigError(f"repeats={repeats}: a whole number from 1 is needed for each of {len(sets)} sets of records")
    split = {"training": np.arange(sets[0]), "validation": np.zeros(0, int)}
    if config.validation and not config.validation_records:
        split = held_out(records.entries[: sets[0]], config.validation, seed=0)
    begin = np.cumsum([0, *sets])
    parts = [split["training"], *(np.arange(*ends) for ends in itertools.pairwise(begin[1:]))]
    return {**split, "training": np.concatenate([np.repeat(part, n) for part, n in zip(parts, repeats, strict=True)])}


def _map_size(structure: Structure) -> tuple[int, int]:
    (net,) = structure.module.nets.values()
    return net.output_size


def _augment(config: ConfigDict) -> Augment:
    made = {"none": Augment.none, "default": Augment.default, "released": Augment.released}
    if config.augment not in made:
        raise ConfigError(f"augment={config.augment}: known: {', '.join(made)}")
    return replace(made[config.augment](), flip=config.flip)


def _heard(config: ConfigDict) -> dict[str, np.ndarray]:
    """What is heard in the clips of all sets that a tagger has heard."""
    found: dict[str, np.ndarray] = {}
    for folder in map(Path, folders(config.heard or config.records)):
        found |= read_heard(folder) if (folder / HEARD).exists() else {}
    return found


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
