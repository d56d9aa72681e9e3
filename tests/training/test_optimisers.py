"""Schedules, groups and optimisers, restated in NumPy."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from stajax.training.optimiser import FACTORS, make_optimiser, make_schedule, paper_group


def config(**fields):
    base = {"name": "adamw", "rate": 0.1, "decay": 0.01, "schedule": "constant", "warmup": 0.0, "clip": 0.0, "ema": 0.0}
    return ConfigDict(base | fields)


def warm(step):
    """Over 9 of 90 steps, from a ninth of the rate."""
    return 0.1 / 9 * (1 + 8 * step / 9)


def cosine(step, steps, warm):
    return 0.05 * (1 + np.cos(np.pi * min((step - warm) / (steps - warm), 1)))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"schedule": "constant"}, lambda step: 0.1),
        ({"schedule": "cosine"}, lambda step: cosine(step, 90, 0)),
        ({"schedule": "steps"}, lambda step: 0.1 * 0.1 ** ((step >= 30) + (step >= 60))),
        ({"schedule": "cosine", "warmup": 0.1}, lambda step: warm(step) if step < 9 else cosine(step, 90, 9)),
        (
            {"schedule": "steps", "warmup": 0.1},
            lambda step: warm(step) if step < 9 else 0.1 ** (1 + (step >= 30) + (step >= 60)),
        ),
    ],
    ids=["constant", "cosine", "steps", "warm cosine", "warm steps"],
)
def test_schedules_of_90_steps(fields, expected):
    schedule = make_schedule(config(**fields), 90)
    for step in (0, 1, 5, 8, 9, 10, 29, 30, 31, 59, 60, 61, 89, 95):
        assert float(schedule(step)) == pytest.approx(expected(step), rel=1e-4, abs=1e-9), step


def test_the_warm_up_begins_above_zero_and_reaches_the_rate():
    schedule = make_schedule(config(warmup=0.1), 90)
    rates = [float(schedule(step)) for step in range(12)]
    assert rates[0] > 0 and rates == sorted(rates) and rates[9] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("frames.convs.0.kernel", 0),
        ("frames.blocks.3.norm.scale", 0),
        ("frames.convs.0.bias", 1),
        ("sound.netvlad.centroids", 1),
        ("nets.S+short.company.cgcn.attention.first.kernel", 2),
        ("switch.classifier.kernel", 2),
        ("nets.sta.branch.cov.bias", 3),
    ],
)
def test_encoders_are_old_and_nets_new(path, group):
    assert paper_group(path) == group and FACTORS[group] == (1, 2, 10, 20)[group]


PARAMS = {"nets": {"kernel": np.float32([[1, -2], [3, 0.5]]), "bias": np.float32([0.5, -0.25])}}
GRADIENTS = [{"nets": {"kernel": np.float32([[k, 0.3], [-0.2, 0.1]]), "bias": np.float32([0.4, -0.1 * k])}} for k in (1, 2, 3)]


def run(config):
    optimiser = make_optimiser(config, make_schedule(config, 10))
    state, params = optimiser.init(PARAMS), PARAMS
    for gradient in GRADIENTS:
        updates, state = optimiser.update(gradient, state, params)
        params = {"nets": {name: x + updates["nets"][name] for name, x in params["nets"].items()}}
    return params["nets"]


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_adamw_decays_kernels_alone_and_clips_the_whole_gradient(clip):
    found = run(config(decay=0.1, clip=clip))
    params = {name: x.astype(np.float64) for name, x in PARAMS["nets"].items()}
    m, v = (dict.fromkeys(params, 0.0) for _ in range(2))
    for step, gradient in enumerate(GRADIENTS, 1):
        norm = np.sqrt(sum((g.astype(np.float64) ** 2).sum() for g in gradient["nets"].values()))
        for name, g in gradient["nets"].items():
            g = g * (min(1, clip / norm) if clip else 1)
            m[name], v[name] = 0.9 * m[name] + 0.1 * g, 0.999 * v[name] + 0.001 * g**2
            adam = (m[name] / (1 - 0.9**step)) / (np.sqrt(v[name] / (1 - 0.999**step)) + 1e-8)
            params[name] -= 0.1 * (adam + (0.1 * params[name] if name == "kernel" else 0))
    for name, x in params.items():
        np.testing.assert_allclose(found[name], x, rtol=1e-4, atol=1e-6, err_msg=name)


def test_released_sgd_by_name_has_the_groups_of_our_paths():
    """New kernels at 10 and biases at 20 times the rate; everything decays."""
    found = run(config(name="released_sgd", rate=1e-3, decay=0.1))
    for name, factor in (("kernel", 10), ("bias", 20)):
        x, trace = PARAMS["nets"][name].astype(np.float64), 0.0
        for gradient in GRADIENTS:
            d = gradient["nets"][name] + 0.1 * x
            trace = d + 0.9 * trace
            x = x - 1e-3 * factor * (d + 0.9 * trace)
        np.testing.assert_allclose(found[name], x, rtol=1e-5, err_msg=name)


@pytest.mark.parametrize(
    ("field", "value", "known"), [("name", "adam", "adamw, released_sgd"), ("schedule", "linear", "cosine, steps, constant")]
)
def test_an_unknown_name_lists_the_known_ones(field, value, known):
    with pytest.raises(ValueError, match=f"^optimiser.{field} '{value}'; known: {known}$"):
        make_optimiser(config(**{field: value}), make_schedule(config(**{field: value}), 10))
