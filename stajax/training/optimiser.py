"""Optimisers: AdamW, and the SGD that the authors' nets were trained with; their schedules, clipping and accumulation."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

FACTORS = (1, 2, 10, 20)  # of the learning rate, by group


def released_group(author_name: str) -> int:
    """The group, 0 to 3, of a parameter by its name in the authors' checkpoint, such as ``extra_projf.weight``.

    "extra" marks a new layer, and "weight" a kernel or a norm's scale: 0 old weights, 1 the rest of the old (biases, NetVLAD's
    centroids), 2 new weights, 3 the rest of the new. The transposed convolutions ``Aup.*`` are new, but count as old.
    """
    return 2 * ("extra" in author_name) + ("weight" not in author_name)


def paper_group(path: str) -> int:
    """The same groups for a parameter of ours, by its path: encoders are old, nets and the switch new."""
    return 2 * (path.split(".")[0] not in ("frames", "sound")) + (path.split(".")[-1] not in ("kernel", "scale"))


def released_sgd(
    learning_rate: optax.ScalarOrSchedule, weight_decay: float, group_of: Callable[[str], int]
) -> optax.GradientTransformation:
    """SGD with Nesterov momentum 0.9, the learning rate times 1, 2, 10, 20 by group; `update` needs the parameters.

    Equals torch.optim.SGD(momentum=0.9, nesterov=True): with d = gradient + weight_decay * p, the trace is m = d + 0.9 m (zero
    before the first step), and p falls by rate * (d + 0.9 m), which is ``optax.trace(0.9, nesterov=True)`` with the decay
    added before it. Everything decays, biases and norms included; running statistics are no parameters and must not be here.

    Args:
        learning_rate: of group 0; a number, or a schedule over steps.
        weight_decay: 5e-4 for the classification nets, 1e-4 for the fixation nets.
        group_of: path of a parameter in our variables, joined by dots -> its group, 0 to 3: `paper_group`. Of a converted
            checkpoint it is `released_group` of the name that the conversion report gives the path.
    """

    def scale(updates, params=None):
        def scaled(path, update):
            return FACTORS[group_of(jax.tree_util.keystr(path, simple=True, separator="."))] * update

        return jax.tree_util.tree_map_with_path(scaled, updates)

    return optax.chain(
        optax.add_decayed_weights(weight_decay),
        optax.trace(decay=0.9, nesterov=True),
        optax.stateless(scale),
        optax.scale_by_learning_rate(learning_rate),
    )


def make_schedule(config: ConfigDict, steps: int) -> Callable[[jax.Array], jax.Array]:
    """The learning rate of a step, from `config.optimiser`: cosine to 0, steps (SPEC: a tenth after 1/3 and 2/3) or constant,
    after a linear warm-up over a share of all steps.
    """
    rate, warm = config.rate, round(config.warmup * steps)
    if config.schedule == "cosine":
        after = optax.cosine_decay_schedule(rate, max(steps - warm, 1))
    elif config.schedule == "steps":
        after = optax.piecewise_constant_schedule(rate, {round(steps / 3) - warm: 0.1, round(2 * steps / 3) - warm: 0.1})
    elif config.schedule == "constant":
        after = optax.constant_schedule(rate)
    else:
        raise ValueError(f"optimiser.schedule {config.schedule!r}; known: cosine, steps, constant")
    return optax.join_schedules([optax.linear_schedule(rate / max(warm, 1), rate, warm), after], [warm]) if warm else after


def make_optimiser(config: ConfigDict, schedule: optax.Schedule) -> optax.GradientTransformation:
    """From `config.optimiser`. `update` needs the parameters. AdamW decays kernels alone."""
    if config.name == "adamw":
        kernels = lambda params: jax.tree.map(lambda x: jnp.ndim(x) > 1, params)  # noqa: E731
        method = optax.adamw(schedule, weight_decay=config.decay, mask=kernels)
    elif config.name == "released_sgd":
        method = released_sgd(schedule, config.decay, paper_group)
    else:
        raise ValueError(f"optimiser.name {config.name!r}; known: adamw, released_sgd")
    return optax.chain(optax.clip_by_global_norm(config.clip), method) if config.clip else method
