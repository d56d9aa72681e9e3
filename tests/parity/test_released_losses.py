"""The authors' losses and their optimiser: three steps and every total, against the authors' own code and torch's SGD."""

from __future__ import annotations

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
from part_inputs import part_inputs

from stajax.models.losses import binary_cross_entropy, kl_divergence
from stajax.models.released import losses
from stajax.training.optimiser import FACTORS, released_sgd


def covers(name: str) -> bool:
    return name == "losses_released"


def test_losses_and_three_steps_equal_the_authors_code(golden):
    inputs, params = part_inputs(golden), golden.index["params"]
    golden.check({**jax.jit(_totals)(inputs, np.array(params["label_index"])), **_three_steps(inputs, params["sgd"])})


def _totals(inputs: dict, labels: jax.Array) -> dict:
    logits = jnp.stack([inputs[f"logit{i}"][:, 0] for i in range(9)], axis=1)  # (B, 9, H, W)
    maps = jnp.stack([inputs[f"gt{i}"][:, 0] for i in range(3)], axis=1).clip(0, 1)
    heads = jnp.stack([inputs[f"cls{i}"] for i in range(12)], axis=1)  # (B, 12, classes)
    tags = jax.nn.one_hot(labels, heads.shape[-1])

    def of_scales(scales: int) -> jax.Array:
        """The first logits as (B, frames, scales, H, W), frame by frame."""
        return logits[:, : 3 * scales].reshape(len(logits), 3, scales, *logits.shape[-2:])

    is_on = jnp.arange(len(heads)) % 2
    return {
        "kld(sigmoid(l0),g0)": kl_divergence(jax.nn.sigmoid(logits[:, 0]), maps[:, 0], normalise="batch"),
        "bce_logits(l0,g0)": binary_cross_entropy(logits[:, 0], maps[:, 0]),
        "STAplus_total(map0,map1,map2=l0,l1,l2)": losses.sta_plus_total(logits[:, :3], maps),
        "STA_train_total_9(p04,p03,p02,p14,..=l0..l8 ; frames 0,1,2)": losses.sta_total(of_scales(3), maps),
        "STA_total_6(out0_1,out0_0,out1_1,out1_0,out2_1? see spec =l0..l5 ; frames 0,0,1,1,2,2)": losses.sta_total(
            of_scales(2), maps
        ),
        "msm(cls0)": losses.multilabel_soft_margin(heads[:, 0], tags),
        "S_total(cls0,cls1)": losses.s_total(heads[:, 0], heads[:, 1], tags),
        "ST_total(x1ss..=cls0,2,4 ; x1sss..=cls1,3,5)": losses.st_total(heads[:, 0:6:2], heads[:, 1:6:2], tags),
        "STplus_total(9 'ss'=cls0..8 ; 3 'sss'=cls9..11)": losses.st_total(
            heads[:, :9].reshape(len(heads), 3, 3, -1), heads[:, 9:], tags
        ),
        "crossentropy_switch(cls0[:, :2], target=arange%2)": losses.switch_cross_entropy(heads[:, 0, :2], is_on),
    }


def _three_steps(inputs: dict, settings: str) -> dict:
    groups = range(len(FACTORS))
    rate, decay = (float(re.search(rf"{name} (\S+?)(?:,|\s|$)", settings)[1]) for name in ("lr", "weight_decay"))
    params = {f"group{group}": inputs[f"p{group}"] for group in groups}
    optimiser = released_sgd(rate, decay, group_of=lambda path: int(path.removeprefix("group")))
    state, found = optimiser.init(params), {}
    for step in range(3):
        gradients = {f"group{group}": inputs[f"g{group}_{step}"] for group in groups}
        updates, state = optimiser.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        found |= {f"sgd_step{step}_{name}": value for name, value in params.items()}
    return found
