"""The groups of learning rates: of every tensor of the authors' nets, against the group that their code put it in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import optax
import pytest

from stajax.training.optimiser import released_group, released_sgd

FOLDER = Path(__file__).parents[1] / "goldens/nets/state_dict_spec"
# Parts that were not trained by themselves, and the audio switch, which had one learning rate.
WITHOUT_GROUPS = ("ConvGRUCell28", "resnext101_32x8d", "vgg16_D1", "vggsound_netvlad", "att_Model", "att_Model_train")
NETS = sorted(path for path in FOLDER.glob("*.json") if path.stem not in WITHOUT_GROUPS)


@pytest.mark.parametrize("path", NETS, ids=lambda path: path.stem)
def test_groups_equal_the_authors(path):
    tensors = json.loads(path.read_text())["tensors"]
    groups = {entry["name"]: entry["lr_group"] for entry in tensors if entry["kind"] == "param"}
    assert groups and {name: released_group(name) for name in groups} == groups


def test_a_schedule_multiplies_every_group_and_the_path_is_joined_by_dots():
    params = {"nets": {"s": {"0": np.float32(1)}}, "frames": np.float32(1)}
    groups = {"nets.s.0": 3, "frames": 0}
    optimiser = released_sgd(optax.piecewise_constant_schedule(1.0, {1: 0.1}), 0.0, groups.__getitem__)
    state = optimiser.init(params)
    gradients = {"nets": {"s": {"0": np.float32(1)}}, "frames": np.float32(1)}
    first, state = optimiser.update(gradients, state, params)
    second, _ = optimiser.update(gradients, state, params)
    # The trace is 1 and then 1.9, looked ahead 1.9 and then 2.71.
    np.testing.assert_allclose([first["frames"], second["frames"]], [-1.9, -0.271], rtol=1e-6)
    np.testing.assert_allclose([first["nets"]["s"]["0"], second["nets"]["s"]["0"]], [-38, -5.42], rtol=1e-6)
