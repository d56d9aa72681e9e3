"""One training function for every net of the paper, on a laptop's CPU, a GPU, or all hosts of a TPU slice.

In this order: what is trained, mesh, variables, data, optimiser, step, restore, loop with evaluations and checkpoints, model
folder. A run that is killed at any moment goes on from its last checkpoint when it is started again, on as many devices as
there are then.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from ml_collections import ConfigDict

from stajax.data.batches import evaluation_batches, reading, training_batches
from stajax.encoders.params import flatten
from stajax.models import folder
from stajax.models.network import Structure
from stajax.training.card import model_card
from stajax.training.checkpoint import Checkpoints, git_state
from stajax.training.config import STAGES, ConfigError
from stajax.training.data import StageData, label_weights, stage_data, with_classes
from stajax.training.feature_cache import cached_levels, make_caches
from stajax.training.log import Log
from stajax.training.mesh import batch_sharding, make_mesh, put_batch, put_state, replicated, state_sharding
from stajax.training.optimiser import make_optimiser, make_schedule
from stajax.training.pictures import picture
from stajax.training.preflight import preflight
from stajax.training.settled import settle
from stajax.training.step import initial_state, make_evaluation, make_step
from stajax.training.tasks import TASKS
from stajax.training.throughput import Throughput
from stajax.training.variables import heeds_switch, initial, is_trained, merge, network_config, split


class Interrupted(Exception):
    """Asked to stop; what was learned is saved."""


class Diverged(Exception):
    """The loss is no number any more."""


class Result(NamedTuple):
    """model: the folder. step: of the variables in it. metrics: their scores, else those of the last report."""

    model: Path
    step: int
    metrics: dict[str, float]


def train(
    config: ConfigDict,
    workdir: str | os.PathLike,
    *,
    quiet: bool = False,
    stop: Callable[[int], bool] = lambda step: False,
) -> Result:
    """Train one net and write it to ``workdir/model``.

    Args:
        config: of `training.config.stage_config`.
        workdir: for checkpoints, `metrics.jsonl`, TensorBoard events and the model; an unfinished run there is resumed.
        stop: told each finished step; True ends the run as SIGTERM does.

    Raises:
        ConfigError, DataError, WeightsError: something to begin with is missing or does not fit. Interrupted, Diverged.
    """
    _check(config)
    config, workdir, what = with_classes(config), Path(workdir), STAGES[config.stage]
    first, share = jax.process_index() == 0, {"process": jax.process_index(), "processes": jax.process_count()}
    with ExitStack() as stack:
        # What is trained, on which devices.
        structure, mesh = Structure(network_config(config)), make_mesh(config.fsdp)
        devices = preflight(mesh)
        if config.batch % (mesh.size * config.accumulate):
            by = f"{mesh.size} devices" + (f" x accumulate={config.accumulate}" if config.accumulate > 1 else "")
            raise ConfigError(f"batch={config.batch}: cannot be shared by {by}; give a multiple")
        settle(config, workdir, writes=first)
        log = stack.enter_context(Log(workdir, stream=None if quiet else sys.stderr, writes=first))
        log.say(f"{config.stage}, size {config.size}: {devices}")

        # Variables, to begin with.
        variables = initial(config, structure)
        chosen = is_trained(structure, config.freeze, heeds_switch(config))
        trained, fixed = split(variables, chosen)
        if not trained:
            raise ConfigError(f"freeze={config.freeze}: nothing is left to train")
        counts = [sum(int(np.size(x)) for x in flatten(part).values()) for part in (trained, fixed)]
        log.say(f"{counts[0]:,} numbers are trained, {counts[1]:,} stay; {_overview(trained)}")

        # Data.
        cache = None
        if config.cache:
            if trained.keys() & {"frames", "sound"} or config.model.norm == "trained":
                raise ConfigError(
                    "cache: only frozen encoders' features can be kept; freeze frames and sound, norms too, or leave it out"
                )
            cache = make_caches(config, share, log)
            _wait_for_all("features")
            cache.levels = cached_levels(structure)
        data = stage_data(config, structure, cache)
        held = 0 if data.validation is None else len(data.validation)
        log.say(f"{len(data.training)} clips to learn from, {held} held out, {len(data.classes)} classes")

        # Optimiser and state.
        schedule = make_schedule(config.optimiser, config.steps)
        optimiser = make_optimiser(config.optimiser, schedule)
        state, fixed = initial_state(structure, config, optimiser, trained, fixed)
        shardings, fixed_shardings = state_sharding(mesh, state), state_sharding(mesh, fixed)
        state, fixed = put_state(state, shardings), put_state(fixed, fixed_shardings)

        # Step.
        weights = label_weights(data) if what.task == "switch" and config.loss.balance else (1.0, 1.0)
        options = {"mesh": mesh if mesh.size > 1 else None}
        placed = {"in_shardings": (shardings, fixed_shardings, batch_sharding(mesh))}
        step_fn = jax.jit(
            make_step(structure, config, optimiser, schedule, weights, **options),
            out_shardings=(shardings, replicated(mesh)),
            donate_argnums=0,
            **placed,
        )
        evaluate_fn = jax.jit(make_evaluation(structure, config, weights, **options), out_shardings=replicated(mesh), **placed)

        # Restore.
        metric = config.eval.keep if data.validation is not None else None
        higher = TASKS[what.task].higher[config.eval.keep]
        notes = {"config": json.loads(config.to_json()), "git": git_state()}
        checkpoints = stack.enter_context(
            Checkpoints(workdir, keep=config.checkpoint.keep, metric=metric, higher=higher, notes=notes)
        )
        state, start = _restore(checkpoints, state, config, log)

        # Loop.
        batches = training_batches(data.training, config.batch, **share)
        asked, profile = stack.enter_context(_asked_to_stop()), _profiler(config, workdir)
        throughput = Throughput(config.batch)
        run = _Run(config, data, log, throughput)
        compiled = None
        with jax.transfer_guard("disallow"), reading(batches, start=start, workers=config.workers) as ahead:
            for step in range(start + 1, config.steps + 1):
                profile(step)
                batch = put_batch(mesh, next(ahead))
                if compiled is None:
                    compiled = step_fn.lower(state, fixed, batch).compile()
                    throughput.take_flops(compiled, config.accumulate)
                    throughput.restart()
                state, measured = compiled(state, fixed, batch)
                throughput.tick()
                last, stopping, scores = step == config.steps, asked(step) or stop(step), None
                if step % config.log.every == 0 or last or stopping:
                    run.measured(step, measured)
                evaluating = data.validation is not None and (step % config.eval.every == 0 or last)
                if step % config.checkpoint.every == 0 or last or stopping or evaluating:
                    run.flush()
                    run.check(step, measured)
                    if evaluating:
                        scores = _evaluate(evaluate_fn, state, fixed, mesh, run, step)
                    with jax.transfer_guard("allow"):
                        checkpoints.save(step, state, scores)
                if stopping and not last:
                    checkpoints.wait()
                    raise Interrupted(f"stopped after step {step} of {config.steps}; the same command goes on from there")
        profile(None)

        # Model folder.
        checkpoints.wait()
        best = checkpoints.best()
        if best != int(jax.device_get(state["step"])):
            state = checkpoints.load(best, state)
        scores = checkpoints.metrics(best)
        model = _write_model(workdir, config, structure, state, fixed, data, scores, best)
        log.say(f"{model}: the variables of step {best}")
        return Result(model, best, scores or run.latest)


def _check(config: ConfigDict) -> None:
    """Raises ConfigError for values that no run can be made with."""
    counts = {key: config[key] for key in ("batch", "steps", "accumulate", "fsdp")}
    counts |= {"eval.every": config.eval.every, "eval.moments": config.eval.moments, "log.every": config.log.every}
    counts |= {f"checkpoint.{key}": config.checkpoint[key] for key in ("every", "keep")}
    for key, value in counts.items():
        if value < 1:
            raise ConfigError(f"{key}={value}: a whole number from 1 is needed")
    known = {"eval.keep": tuple(TASKS[STAGES[config.stage].task].higher), "model.norm": ("frozen", "trained")}
    known |= {"dtype": ("float32", "bfloat16", "float16")}
    for key, value in (("eval.keep", config.eval.keep), ("model.norm", config.model.norm), ("dtype", config.dtype)):
        if value not in known[key]:
            raise ConfigError(f"{key}={value!r}: known: {', '.join(known[key])}")


def _restore(checkpoints: Checkpoints, state: dict, config: ConfigDict, log: Log) -> tuple[dict, int]:
    """The state to go on from, and its step. In this order:

    1. The working directory has a checkpoint: all of it, the optimiser included, from whatever devices wrote it.
    2. `config.init` names a model folder: its numbers where they fit; `variables.initial` has put them in.
    3. Encoders with weights: those, under random nets; `variables.initial` has put them in, too.
    4. Nothing: random numbers by `config.seed`.
    """
    if checkpoints.latest is not None:
        step = checkpoints.latest
        if step > config.steps:
            raise ConfigError(
                f"steps={config.steps}: this run has made {step} already; give more, or another working directory"
            )
        log.say(f"going on after step {step}")
        return checkpoints.load(step, state), step
    log.say(f"starting from {config.init or 'random nets'}")
    return state, 0


class _Run:
    """What the loop has measured. Numbers are read from the device one report late, so that the loop does not wait for it."""

    def __init__(self, config: ConfigDict, data: StageData, log: Log, throughput: Throughput):
        self.config, self.data, self.log, self.throughput = config, data, log, throughput
        self.latest: dict[str, float] = {}  # of the last report
        self._pending: tuple[int, dict] | None = None
        self._last = 0

    def measured(self, step: int, metrics: dict) -> None:
        self.flush()
        self._pending = (step, metrics)

    def flush(self) -> None:
        """Report what is pending. Raises Diverged."""
        if self._pending is None:
            return
        (step, metrics), self._pending = self._pending, None
        self.check(step, metrics)
        values = {name: float(x) for name, x in jax.device_get(metrics).items() if name != "bad"}
        self._last, self.latest = step, values
        values |= self.throughput.look()
        self.log.scalars(step, values)
        shown = ", ".join(f"{name} {values[name]:.3g}" for name in values if name in ("loss", "accuracy", "cc", "rate"))
        speed = f", {values['examples_per_second']:.1f} examples/s" if "examples_per_second" in values else ""
        self.log.say(f"step {step}/{self.config.steps}: {shown}{speed}")

    def check(self, step: int, metrics: dict) -> None:
        """Wait for a step. Raises Diverged, before its variables are evaluated or saved."""
        if (bad := int(jax.device_get(metrics["bad"]))) >= 0:
            names = ", ".join(self._clips(bad))
            raise Diverged(
                f"the loss of step {bad} (between {self._last + 1} and {step}) is no finite number; its clips: {names}. "
                "Checkpoints before it are whole; lower optimiser.rate, and start again in another working directory"
            )

    def _clips(self, step: int) -> list[str]:
        """Names of the clips in the batch of a step: it is a function of the step."""
        batch = training_batches(self.data.training, self.config.batch)[step - 1]
        entries = self.data.training.records.entries
        return sorted({entries[row].name for row in batch["record"].tolist()})


def _evaluate(evaluate_fn: Callable, state: dict, fixed: dict, mesh, run: _Run, step: int) -> dict[str, float]:
    """Loss and metrics over the held-out clips; a picture of the first batch."""
    share = {"process": jax.process_index(), "processes": jax.process_count()}
    data, batches = (
        run.data,
        evaluation_batches(run.data.validation, run.config.batch, moments=run.config.eval.moments, **share),
    )
    total: dict[str, float] = {}
    pending = None  # read one batch late
    for number in range(len(batches)):
        batch = batches[number]
        sums, maps = evaluate_fn(state, fixed, put_batch(mesh, batch))
        if number == 0 and share["processes"] == 1:
            names = list(data.classes)
            run.log.picture(step, "validation", picture(data.validation.records, batch, jax.device_get(maps), names))
        if pending is not None:
            total = _added(total, jax.device_get(pending))
        pending = sums
    total = _added(total, jax.device_get(pending))
    weight = max(total.pop("weight"), 1e-12)
    scores = {name: value / weight for name, value in total.items()}
    run.log.scalars(step, {f"eval/{name}": value for name, value in scores.items()})
    run.log.say(f"step {step}, held out: " + ", ".join(f"{name} {value:.3g}" for name, value in scores.items()))
    run.throughput.restart()
    return scores


def _added(total: dict, sums: dict) -> dict[str, float]:
    return {name: total.get(name, 0.0) + float(value) for name, value in sums.items()}


def _write_model(workdir, config, structure, state, fixed, data, scores, step) -> Path:
    """The model folder, by the first process; every process gives its part of what is split over devices."""
    whole = jax.jit(lambda x: x, out_shardings=replicated(jax.tree.leaves(fixed or state["trained"])[0].sharding.mesh))
    state = whole({"mean": state.get("mean", state["trained"]), "statistics": state.get("statistics", {}), "fixed": fixed})
    state = jax.tree.map(lambda x: np.asarray(x.addressable_data(0)), state)
    path = workdir / "model"
    if jax.process_index() == 0:
        variables = merge(state["fixed"], state["statistics"], state["mean"])
        changed = state["mean"].keys() | state["statistics"].keys()
        frozen = {part for part in ("frames", "sound") if part in state["fixed"] and part not in changed}
        weights = {part: config.model[f"{part}_weights"] for part in frozen}
        shared = {part: name.removeprefix("shared:") for part, name in weights.items() if name.startswith("shared:")}
        card = model_card(config, scores, step)
        classes = data.classes if STAGES[config.stage].task != "fixation" else None
        folder.write(
            path, structure, variables, name=config.stage, model_card=card, shared=shared, classes=classes, dtype="float32"
        )
    _wait_for_all("model")
    return path


def _overview(trained: dict) -> str:
    parts = {name: sum(int(np.size(x)) for x in flatten(tree).values()) for name, tree in trained.items()}
    return ", ".join(f"{name} {count:,}" for name, count in parts.items())


def _wait_for_all(what: str) -> None:
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(f"stajax: {what}")


@contextmanager
def _asked_to_stop() -> Iterator[Callable[[int], bool]]:
    """A function of the step that says whether SIGTERM has come, at all processes for the same step."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        yield multihost_utils.reached_preemption_sync_point  # JAX's coordination service takes the signal
        return
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # signals belong to that one
        yield lambda step: False
        return
    before = signal.signal(signal.SIGTERM, lambda *_: came.set())
    try:
        yield lambda step: came.is_set()
    finally:
        signal.signal(signal.SIGTERM, before)


def _profiler(config: ConfigDict, workdir: Path) -> Callable[[int | None], None]:
    """Told each step, and None at the end: traces those of `log.profile`, such as "100:110", for TensorBoard."""
    if not config.log.profile:
        return lambda step: None
    try:
        begin, end = (int(part) for part in config.log.profile.split(":"))
    except ValueError:
        raise ConfigError(f"log.profile={config.log.profile!r}: give a window of steps, such as 100:110") from None
    running = False

    def told(step: int | None) -> None:
        nonlocal running
        if running and (step is None or step >= end):
            jax.profiler.stop_trace()
            running = False
        elif not running and step is not None and begin <= step < end:
            jax.profiler.start_trace(str(workdir / "tensorboard"))
            running = True

    return told
