"""The compiled step: every kind of net overfits eight examples, and its parts are what their equations say."""

import jax
import numpy as np
import pytest
from training.small import quick, ready, small

from stajax.encoders.params import flatten
from stajax.training.step import make_evaluation
from stajax.training.variables import merge

# stage -> the metric, its value after 120 steps
OVERFITS = {
    "s": ("accuracy", 1.0),
    "sa_plus_cross": ("accuracy", 1.0),
    "switch": ("accuracy", 1.0),
    "sta": ("cc", 0.95),
    "sta_plus_long": ("cc", 0.85),
}


@pytest.mark.parametrize("name", OVERFITS)
def test_a_stage_of_each_task_overfits_eight_examples(stage, name):
    made, (metric, value) = stage(name), OVERFITS[name]
    state, losses = made.state, []
    for _ in range(120):
        state, measured = made.step(state, made.fixed, made.batch)
        losses.append(float(measured["loss"]))
    assert losses[-1] < 0.35 * losses[0] and measured[metric] >= value
    assert state["step"] == 120 and state["bad"] == -1
    if name == "sa_plus_cross":  # the company's own loss has no weight; it learns through the target's
        assert measured["confidence"] > 0.95


def test_averaged_variables_follow_their_recursion(stage):
    """mean ← d mean + (1 - d) x after each step, d = min(ema, (1 + n) / (10 + n)) of step n; optax's, written out."""
    made = stage("s")
    state, mean = made.state, flatten(made.state["trained"])
    for number in range(1, 6):
        state, _ = made.step(state, made.fixed, made.batch)
        decay = min(made.config.optimiser.ema, (1 + number) / (10 + number))
        mean = {path: decay * mean[path] + (1 - decay) * x for path, x in flatten(state["trained"]).items()}
    for path, x in flatten(state["mean"]).items():
        np.testing.assert_allclose(x, mean[path], rtol=1e-5, atol=1e-7, err_msg=path)
    assert any(np.abs(x - flatten(state["trained"])[path]).max() > 1e-3 for path, x in mean.items())


def test_a_step_is_the_optimisers_on_the_gradient_of_the_loss(stage, places):
    """SGD with its groups is undone on paper, which leaves the gradient; it against differences of the evaluation's loss."""
    options = {"optimiser__name": "released_sgd", "optimiser__rate": 1e-2, "optimiser__decay": 0.1, "optimiser__clip": 0.0}
    made = ready(small("s", places, optimiser__ema=0.0, optimiser__schedule="constant", freeze=("sound",), **options))
    evaluate = quick(make_evaluation(made.structure, made.config, made.weights))
    before = {path: np.asarray(x, np.float64) for path, x in flatten(made.state["trained"]).items()}
    state, measured = made.step(made.state, made.fixed, made.batch)
    gradient = {}
    for path, x in flatten(state["trained"]).items():
        factor = {"frames.kernel": 1, "frames.bias": 2, "nets.kernel": 10, "nets.bias": 20}[
            f"{path.split('.')[0]}.{path.split('.')[-1]}"
        ]
        gradient[path] = (before[path] - np.asarray(x, np.float64)) / (1e-2 * factor * 1.9) - 0.1 * before[path]
    assert {path.split(".")[0] for path in gradient} == {"frames", "nets"}
    norm = np.sqrt(sum((x**2).sum() for x in gradient.values()))
    assert float(measured["gradient"]) == pytest.approx(norm, rel=1e-3)
    assert float(measured["rate"]) == pytest.approx(1e-2)

    def loss(step, direction):
        moved = merge({path: (x + step * direction[path]).astype(np.float32) for path, x in before.items()})
        sums, _ = evaluate({"trained": moved}, made.fixed, made.batch)
        return float(sums["loss"]) / float(sums["weight"])

    assert float(measured["loss"]) == pytest.approx(loss(0, before), rel=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(4):  # downhill and something
        direction = {path: x / norm + rng.normal(0, 0.05, x.shape) for path, x in gradient.items()}
        slope = sum((x * direction[path]).sum() for path, x in gradient.items())
        assert (loss(0.01, direction) - loss(-0.01, direction)) / 0.02 == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize("name", ["s", "switch"])
def test_a_batch_in_pieces_is_the_batch(stage, places, name):
    """Loss, metrics and the step; of the switch, rows without sound count nowhere, and pieces have more or fewer of them."""
    made = stage(name)
    freeze = tuple(made.config.freeze)
    batch = {**made.batch, "audible": np.float32([[0], [1], [0], [1], [0], [1], [1], [1]])}
    whole, measured = made.step(made.state, made.fixed, batch)
    pieces = ready(small(name, places, optimiser__schedule="constant", freeze=freeze, accumulate=2), batch)
    parts, found = pieces.step(made.state, made.fixed, batch)
    for key in measured:
        assert float(found[key]) == pytest.approx(float(measured[key]), rel=1e-5, abs=1e-7), key
    for path, x in flatten(whole["trained"]).items():
        # AdamW moves every number by about its rate, 0.05, however small the gradient is that rounding enters.
        np.testing.assert_allclose(x, flatten(parts["trained"])[path], rtol=1e-4, atol=2e-4, err_msg=path)
    silent = {**batch, "heard": np.where(batch["audible"] == 0, 1 - batch["heard"], batch["heard"])}
    assert name == "s" or float(made.step(made.state, made.fixed, silent)[1]["loss"]) == float(measured["loss"])


def test_bfloat16_computes_near_float32_and_keeps_float32(stage, places):
    made = stage("switch")
    config = small("switch", places, optimiser__schedule="constant", dtype="bfloat16")
    half = ready(config, made.batch)
    state, measured = half.step(made.state, made.fixed, made.batch)
    _, expected = made.step(made.state, made.fixed, made.batch)
    assert float(measured["loss"]) == pytest.approx(float(expected["loss"]), rel=0.02)
    assert float(measured["gradient"]) == pytest.approx(float(expected["gradient"]), rel=0.1)
    assert float(measured["loss"]) != float(expected["loss"])
    assert all(x.dtype == np.float32 for part in ("trained", "mean") for x in jax.tree.leaves(state[part]))


def test_the_first_step_without_a_finite_loss_stays_marked(stage):
    made = stage("s")
    torn = {**made.state, "trained": jax.tree.map(lambda x: np.full_like(x, np.nan), made.state["trained"])}
    state, measured = made.step({**torn, "step": np.int32(6)}, made.fixed, made.batch)
    assert (int(measured["bad"]), int(state["bad"])) == (7, 7)
    state, measured = made.step({**state, "trained": made.state["trained"]}, made.fixed, made.batch)
    assert np.isfinite(measured["loss"]) and int(measured["bad"]) == 7


def test_a_rows_weight_counts_in_loss_and_metrics(stage):
    """Rows of weight 0 might as well hold anything."""
    made = stage("s")
    weight = np.array([1, 1, 1, 0, 1, 0, 1, 1], np.float32)
    other = {**made.batch, "weight": weight, "views": made.batch["views"].copy()}
    other["views"][weight == 0] = 255 - other["views"][weight == 0]
    evaluate = quick(make_evaluation(made.structure, made.config, made.weights))
    sums = [evaluate(made.state, made.fixed, batch)[0] for batch in ({**made.batch, "weight": weight}, other)]
    for key, value in sums[0].items():
        assert float(value) == pytest.approx(float(sums[1][key]), rel=1e-6), key
    single = [evaluate(made.state, made.fixed, {**made.batch, "weight": np.eye(8, dtype=np.float32)[r]})[0] for r in range(8)]
    for key in ("loss", "accuracy", "confidence", "weight"):
        alone = [float(one[key]) for one in single]
        assert float(sums[0][key]) == pytest.approx(float(np.dot(alone, weight)), rel=1e-5), key
