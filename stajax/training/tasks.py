"""What each task makes of a batch: predictions, a loss, and what an evaluation measures.

Batches are those of `data.batches`: B examples of `nodes` nodes, the target first. Each example's views are encoded once, and
the nets read them by index, example by example, so that under a mesh nothing but gradients crosses between devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.sharding import Mesh, PartitionSpec
from ml_collections import ConfigDict

from stajax.encoders.params import flatten
from stajax.layers.resize import resize
from stajax.models.fragments import Fragments
from stajax.models.losses import company_fixation_loss, multilabel_soft_margin
from stajax.models.network import Network, Structure
from stajax.training.mesh import AXES
from stajax.training.variables import merge, split

Batch = Mapping[str, jax.Array]


class Found(NamedTuple):
    """What a net makes of a batch."""

    prediction: jax.Array  # (B, nodes, ...): class logits, switch logits, or logits of maps
    aux: dict
    statistics: dict  # of batch norms, moved by this batch where they are trained; else empty


@dataclass(frozen=True)
class Task:
    """loss: (found, batch, config) -> each row's loss (B,), and metrics (B,) beside it. Rows count by `batch["weight"]`.

    higher: whether a larger `config.eval.keep` is better, by metric.
    """

    loss: Callable[[Found, Batch, ConfigDict], tuple[jax.Array, dict[str, jax.Array]]]
    higher: Mapping[str, bool]


def forward(
    structure: Structure,
    variables: dict,
    batch: Batch,
    net: str,
    *,
    dtype=jnp.float32,
    training: bool = False,
    mesh: Mesh | None = None,
) -> Found:
    """The net's predictions of a batch.

    net: its name in the network, or "switch". dtype: of the computation. training: batch norms use the batch. mesh: where the
    batch lies on several devices.
    """
    as_asked = lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x  # noqa: E731
    exact, variables, statistics = variables, jax.tree.map(as_asked, variables), {}
    if "features" in batch:
        b, nodes, f = jax.tree.leaves(batch["features"])[0].shape[:3]
        levels = {name: x.reshape(b * nodes * f, *x.shape[3:]).astype(dtype) for name, x in batch["features"].items()}
        features = structure.apply(variables, Network.read_levels, levels)
    else:
        b, nodes, f = batch["views"].shape[:3]
        views = batch["views"].reshape(b * nodes * f, *batch["views"].shape[3:])
        if training:
            exact, _ = split(exact, {path: path in flatten(structure.statistics) for path in flatten(exact)})
            features, statistics = structure.apply_training(merge(variables, exact), _encode_in(dtype), views)
        else:
            features = structure.encode_frames(variables, views, together=mesh is not None)
    vectors = batch.get("vectors")
    if vectors is None and "sound" in batch:
        sound = batch["sound"].reshape(b * nodes, -1)
        encode = lambda variables, sound: structure.apply(variables, Network.encode_audio, sound)  # noqa: E731
        if mesh is not None:  # left alone, XLA brings all rows to every device for a Fourier transform
            rows = PartitionSpec(AXES)
            encode = jax.shard_map(encode, mesh=mesh, in_specs=(PartitionSpec(), rows), out_specs=rows)
        vectors = encode(variables, sound).reshape(b, nodes, -1)
    # A node is t-1, t, t+1; one that is a single frame stands for all three.
    frames = jnp.arange(nodes)[:, None] * f + (jnp.arange(3) if f == 3 else jnp.zeros(3, int))

    def one(features, vectors, switch):
        """A single example, as a batch of one."""
        fragments = Fragments.of(frames[None], jnp.arange(nodes)[None], switch[None])
        if net == "switch":
            _, found = structure.apply(variables, Network.decision, features, vectors, fragments)
            return found["logits"][0], {"maps": found["maps"]}
        predictions, aux = structure.apply(variables, Network.__call__, features, vectors, {net: fragments})
        return predictions[net][0], aux[net]

    features = {name: x.reshape(b, nodes * f, *x.shape[1:]) for name, x in features.items()}
    vectors = None if vectors is None else vectors.astype(dtype)
    prediction, aux = jax.vmap(one)(features, vectors, batch["switch"].astype(dtype))
    return Found(prediction.astype(jnp.float32), aux, statistics)


def _encode_in(dtype) -> Callable:
    """`Network.encode_frames` whose batch norms compute in `dtype`, on statistics that stay float32: they move by a hundredth
    of a difference, which is lost among bfloat16's 8 bits.
    """

    def encode(network: Network, views: jax.Array) -> dict[str, jax.Array]:
        network.set_attributes(nnx.BatchNorm, raise_if_not_found=False, dtype=dtype)
        return network.encode_frames(views)

    return encode


def _classification(found: Found, batch: Batch, config: ConfigDict) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Eq. 7 of the target; `loss.company` weighs that of its company, which shares the tag."""
    each = jax.vmap(jax.vmap(multilabel_soft_margin, in_axes=(0, None)))(found.prediction, batch["tags"])
    loss = each[:, 0] + config.loss.company * each[:, 1:].sum(1)
    scores = jax.nn.softmax(found.prediction[:, 0])
    tagged = (scores * batch["tags"]).max(-1)
    return loss, {"accuracy": (tagged >= scores.max(-1)).astype(jnp.float32), "confidence": tagged}


def _switch(found: Found, batch: Batch, config: ConfigDict) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Softmax cross-entropy of off and on (section 3.3), for the target's sound where there is one."""
    label = batch["heard"][:, 0].astype(int)
    loss = optax.softmax_cross_entropy_with_integer_labels(found.prediction[:, 0], label) * batch["label_weight"]
    right = found.prediction[:, 0].argmax(-1) == label
    return loss, {"accuracy": right.astype(jnp.float32)}


def _fixation(found: Found, batch: Batch, config: ConfigDict) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Eq. 17 or 20: BCE + KL of every node that has a map. cc: linear correlation with the target's map."""
    size = found.prediction.shape[2:]
    maps = resize(batch["maps"][..., None], size, antialias=True, border="drop")[..., 0]
    valid = batch["valid"].astype(jnp.float32)

    def one(logits, maps, valid):
        loss, terms = company_fixation_loss(logits[None], maps[None], weight=valid[None])
        return loss, terms

    loss, terms = jax.vmap(one)(found.prediction, maps, valid)
    return loss, {**terms, "cc": correlation(jax.nn.sigmoid(found.prediction[:, 0]), maps[:, 0])}


def correlation(one: jax.Array, other: jax.Array) -> jax.Array:
    """Pearson's correlation of maps (B, h, w) and (B, h, w): (B,); 0 where one of them is flat."""
    a, b = (x - x.mean((1, 2), keepdims=True) for x in (one, other))
    norm = jnp.sqrt((a * a).sum((1, 2)) * (b * b).sum((1, 2)))
    return jnp.where(norm > 1e-12, (a * b).sum((1, 2)) / jnp.maximum(norm, 1e-12), 0)


TASKS = {
    "classification": Task(_classification, {"accuracy": True, "confidence": True, "loss": False}),
    "switch": Task(_switch, {"accuracy": True, "loss": False}),
    "fixation": Task(_fixation, {"cc": True, "loss": False}),
}


def mean_loss(task: Task, found: Found, batch: Batch, config: ConfigDict) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The loss and metrics averaged over the rows of a batch, by their weight."""
    loss, metrics = task.loss(found, batch, config)
    weight = batch["weight"]
    total = jnp.maximum(weight.sum(), 1e-12)
    return (loss * weight).sum() / total, {name: (x * weight).sum() / total for name, x in metrics.items()}
