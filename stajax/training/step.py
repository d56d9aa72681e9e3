"""The compiled parts of training: one optimisation step, and one batch of an evaluation."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from stajax import cam
from stajax.encoders.params import flatten
from stajax.models.network import Structure
from stajax.training.config import STAGES
from stajax.training.tasks import TASKS, Found, forward, mean_loss
from stajax.training.variables import merge, split

State = dict  # trained, optimiser, step, bad (the first step without a finite loss, or -1), perhaps mean and statistics


def initial_state(
    structure: Structure, config: ConfigDict, optimiser: optax.GradientTransformation, trained: dict, fixed: dict
) -> tuple[State, dict]:
    """The state before the first step, and the variables that stay: `fixed` without the statistics that batches move."""
    state = {"trained": trained, "optimiser": jax.jit(optimiser.init)(trained), "step": np.int32(0), "bad": np.int32(-1)}
    if config.model.norm == "trained":
        statistics = flatten(structure.statistics)
        state["statistics"], fixed = split(fixed, {path: path in statistics for path in flatten(fixed)})
    if config.optimiser.ema:
        state["mean"] = trained
    return jax.device_get(state), fixed


def make_step(
    structure: Structure,
    config: ConfigDict,
    optimiser: optax.GradientTransformation,
    schedule: optax.Schedule,
    label_weights: tuple[float, float],
    *,
    mesh: Mesh | None = None,
) -> Callable[[State, dict, dict], tuple[State, dict]]:
    """(state, fixed variables, batch) -> (state, metrics, scalars on the device). Pure: jit it outside.

    label_weights: of the audio switch's labels 0 and 1. mesh: where it has several devices.
    """
    what = STAGES[config.stage]
    task, moves_statistics = TASKS[what.task], config.model.norm == "trained"

    def step(state: State, fixed: dict, batch: dict) -> tuple[State, dict]:
        batch = _with_switch(batch, config, label_weights)

        def loss(trained, batch):
            variables = merge(fixed, state.get("statistics", {}), trained)
            options = {"dtype": jnp.dtype(config.dtype), "training": moves_statistics, "mesh": mesh}
            found = forward(structure, variables, batch, what.net, **options)
            value, metrics = mean_loss(task, found, batch, config)
            return value, (metrics, found.statistics)

        gradient = jax.value_and_grad(loss, has_aux=True)
        if config.accumulate == 1:
            (value, (metrics, statistics)), grads = gradient(state["trained"], batch)
        else:
            value, metrics, statistics, grads = _accumulated(gradient, state["trained"], batch, config.accumulate)
        updates, optimiser_state = optimiser.update(grads, state["optimiser"], state["trained"])
        number = state["step"] + 1
        bad = jnp.where((state["bad"] < 0) & ~jnp.isfinite(value), number, state["bad"])
        trained = optax.apply_updates(state["trained"], updates)
        new = {**state, "trained": trained, "optimiser": optimiser_state, "step": number, "bad": bad}
        if moves_statistics:
            new["statistics"] = jax.tree.map(lambda old, moved: moved.astype(old.dtype), state["statistics"], statistics)
        if "mean" in state:
            decay = jnp.minimum(config.optimiser.ema, (1 + number) / (10 + number))
            new["mean"] = jax.tree.map(lambda mean, x: decay * mean + (1 - decay) * x, state["mean"], trained)
        measured = {"loss": value, **metrics, "gradient": optax.tree.norm(grads), "rate": schedule(state["step"])}
        return new, {**measured, "bad": bad, "skipped": batch["skipped"].sum()}

    return step


def make_evaluation(
    structure: Structure, config: ConfigDict, label_weights: tuple[float, float], *, mesh: Mesh | None = None
) -> Callable[[State, dict, dict], tuple[dict, jax.Array]]:
    """(state, fixed variables, batch) -> (sums of loss and metrics over rows by weight, and of the weights; maps (B, h, w) to
    show).

    The averaged variables are evaluated where there are any.
    """
    what = STAGES[config.stage]
    task = TASKS[what.task]

    def evaluate(state: State, fixed: dict, batch: dict) -> tuple[dict, jax.Array]:
        batch = _with_switch(batch, config, label_weights)
        variables = merge(fixed, state.get("statistics", {}), state.get("mean", state["trained"]))
        found = forward(structure, variables, batch, what.net, dtype=jnp.dtype(config.dtype), mesh=mesh)
        loss, metrics = task.loss(found, batch, config)
        weight = batch["weight"]
        sums = {name: (x * weight).sum() for name, x in {"loss": loss, **metrics}.items()}
        return {**sums, "weight": weight.sum()}, _shown(found, batch, what.task)

    return evaluate


def _shown(found: Found, batch: dict, task: str) -> jax.Array:
    """What is worth a picture: the fixation map; the CAM of the tag; of the switch, where it sees the sound's source."""
    if task == "fixation":
        return jax.nn.sigmoid(found.prediction[:, 0])
    if task == "switch":
        return cam.min_max(found.aux["maps"][:, 0, ..., 1].astype(jnp.float32))
    maps = found.aux["class_maps"][:, 0, 0].astype(jnp.float32)  # of a batch of one, its target
    return cam.cam_from_class_maps(maps, batch["tags"].argmax(-1))


def _with_switch(batch: dict, config: ConfigDict, label_weights: tuple[float, float]) -> dict:
    """With φ of each node as far as training knows it, and the weight of the switch's label; silent rows tell it nothing."""
    heeded = batch["heard"] if config.switch == "heard" else 1.0
    found = {**batch, "switch": batch["audible"] * heeded}
    if STAGES[config.stage].task == "switch":
        found["label_weight"] = jnp.where(batch["heard"][:, 0] > 0, label_weights[1], label_weights[0])
        found["weight"] = batch["weight"] * batch["audible"][:, 0]
    return found


def _accumulated(gradient: Callable, trained: dict, batch: dict, parts: int):
    """Loss, metrics and gradient of the batch from `parts` pieces of it, one after the other; the last one's statistics."""
    # Row r goes to piece r % parts, so that on a mesh each device keeps its rows.
    pieces = jax.tree.map(lambda x: jnp.moveaxis(x.reshape(-1, parts, *x.shape[1:]), 1, 0), batch)
    weight = jnp.maximum(batch["weight"].sum(), 1e-12)

    def one(total, piece):
        (value, (metrics, statistics)), grads = gradient(trained, piece)
        share = piece["weight"].sum() / weight
        return jax.tree.map(lambda x, y: x + share * y, total, (value, metrics, grads)), statistics

    (value, (metrics, _)), grads = jax.eval_shape(gradient, trained, jax.tree.map(lambda x: x[0], pieces))
    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (value, metrics, grads))
    (value, metrics, grads), statistics = jax.lax.scan(one, zeros, pieces)
    return value, metrics, jax.tree.map(lambda x: x[-1], statistics), grads
