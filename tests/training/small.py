"""Small stages on made clips, which the tests of training and of the pipeline train."""

import dataclasses
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax
import numpy as np

from stajax.data.batches import training_batches
from stajax.data.records import Records, write_records
from stajax.data.synthetic import TRUTH, SyntheticAVE, SyntheticConfig, write_synthetic
from stajax.models.network import Structure
from stajax.training.config import STAGES, change, stage_config
from stajax.training.data import label_weights, stage_data, with_classes
from stajax.training.optimiser import make_optimiser, make_schedule
from stajax.training.step import initial_state, make_step
from stajax.training.variables import heeds_switch, initial, is_trained, network_config, split

CLIPS, CLASSES, MAP = 12, 3, 16


def quick(function):
    """`function` jitted, by a compiler that hurries: the tests' arrays are small."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def write_clips(folder: Path) -> SimpleNamespace:
    """records: 12 clips of 8 frames of 64 px, of 3 classes. pseudo: the same with maps, a blob on what sounds; in every third
    clip the last frame's is not valid.
    """
    places = SimpleNamespace(records=folder / "records", pseudo=folder / "pseudo")
    like = SyntheticConfig(size=64, seconds=0.8, fps=10, classes=CLASSES, foreign=0.25)
    write_synthetic(places.records, SyntheticAVE(CLIPS, seed=1, config=like))
    records = Records(places.records)
    with np.load(places.records / TRUTH) as truth:
        clips = [with_maps(clip, truth[clip.name][:, 0], number) for number, clip in enumerate(records)]
    write_records(places.pseudo, clips, records.classes)
    return places


def with_maps(clip, boxes: np.ndarray, number: int):
    """boxes: (T, 4) left, top, right, bottom in 64 px."""
    x, y = ((boxes[:, k] + boxes[:, k + 2]) / 2 * MAP / 64 - 0.5 for k in (0, 1))
    at = np.arange(MAP)
    distance = (at - y[:, None])[:, :, None] ** 2 + (at - x[:, None])[:, None] ** 2
    valid = np.ones(len(boxes), bool)
    valid[-1] = number % 3 != 0
    return dataclasses.replace(clip, maps=np.rint(255 * np.exp(-distance / 8)).astype(np.uint8), valid=valid)


def small(stage: str, places: SimpleNamespace, **changes: Any):
    """The tiny configuration of a stage on these clips; "__" stands for a dot in the names of changes."""
    config = stage_config(stage, "tiny")
    folder = places.pseudo if STAGES[stage].task == "fixation" else places.records
    own = {"records": str(folder), "heard": str(places.records), "batch": 8, "steps": 4, "validation": 0, "log.every": 1}
    return change(config, own | {name.replace("__", "."): value for name, value in changes.items()})


class Ready(NamedTuple):
    """What `train` makes before its loop, on one device. make: the step of a mesh. step: compiled when it is called."""

    config: Any
    structure: Structure
    data: Any
    make: Any
    step: Any
    state: dict
    fixed: dict
    weights: tuple[float, float]
    batch: dict


def ready(config, batch: dict | None = None) -> Ready:
    """The state to begin with and the batch of the first step, or the one given."""
    config = with_classes(config)
    structure = Structure(network_config(config))
    trained, fixed = split(initial(config, structure), is_trained(structure, config.freeze, heeds_switch(config)))
    data = stage_data(config, structure)
    schedule = make_schedule(config.optimiser, config.steps)
    optimiser = make_optimiser(config.optimiser, schedule)
    state, fixed = initial_state(structure, config, optimiser, trained, fixed)
    weights = label_weights(data) if STAGES[config.stage].task == "switch" else (1.0, 1.0)
    make = partial(make_step, structure, config, optimiser, schedule, weights)
    batch = training_batches(data.training, config.batch)[0] if batch is None else batch
    return Ready(config, structure, data, make, quick(make()), state, fixed, weights, dict(batch))
