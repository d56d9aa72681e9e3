"""The first model's trainer: it fits what it is shown, and its measures are what they say."""

import numpy as np
import pytest

from stajax.encoders.base import level
from stajax.encoders.tiny import TinyFrames
from stajax.models.fixation import STAConfig
from stajax.models.network import NetworkConfig, Structure
from stajax.training.first_model import Trainer, distance
from stajax.training.first_model_card import METRICS, write_card
from stajax.training.supervision import Examples, still


@pytest.fixture(scope="module")
def structure():
    return Structure(NetworkConfig(frames="tiny", sound="tiny", size=64, nets={"sta": ("STA", STAConfig.tiny())}))


def examples(seed=0, count=8):
    """Random features; the target is a blob on the side that the first channel of the coarsest level tells."""
    rng = np.random.default_rng(seed)
    sides = rng.integers(0, 2, count)
    levels = zip(TinyFrames.strides, TinyFrames.channels, strict=True)
    features = {level(stride): rng.normal(size=(count, 64 // stride, 64 // stride, channels)) for stride, channels in levels}
    features["stride8"][..., 0] = np.where(np.arange(8) // 4 == sides[:, None], 2, -2)[:, None, :]
    target = np.zeros((count, 16, 16), np.float16)
    for row, side in enumerate(sides):
        target[row, 4:12, 2 + 8 * side : 6 + 8 * side] = 1
    zeros = np.zeros(count)
    return Examples(features, still(np.arange(count)), np.zeros((1, 8), np.float32), zeros.astype(int), zeros, target)


def test_training_overfits_eight_examples_and_leaves_the_encoders_alone(structure):
    frozen = {part: structure.initialise(0)[part] for part in ("frames", "sound")}
    trainer, shown, losses = Trainer(structure, frozen, seed=0), examples(), []
    trainer.train([(shown, 8)], 300, 3e-2, np.random.default_rng(0), lambda step, loss: losses.append(loss))
    assert losses[-1] < losses[0]
    maps = trainer.predict(shown)
    inside = np.array([m[t > 0].mean() for m, t in zip(maps, shown.target, strict=True)])
    outside = np.array([m[t == 0].mean() for m, t in zip(maps, shown.target, strict=True)])
    assert (inside > 3 * outside).all()
    assert trainer.frozen.keys() == frozen.keys()


def test_the_same_seed_trains_the_same_model(structure):
    maps = []
    for _ in range(2):
        frozen = {part: structure.initialise(0)[part] for part in ("frames", "sound")}
        trainer = Trainer(structure, frozen, seed=3)
        trainer.train([(examples(), 4)], 5, 1e-2, np.random.default_rng(1))
        maps.append(trainer.predict(examples()))
    np.testing.assert_array_equal(*maps)


def test_distance_is_total_variation():
    one, other = np.zeros((2, 2, 4, 4))
    one[:, 0, 0], other[:, 3, 3] = 1, 7
    assert distance(one, other) == 1 and distance(one, 5 * one) == 0
    half = one + np.eye(4)[None] * 0
    half[:, 3, 3] = 1
    assert distance(one, half) == pytest.approx(0.5)


def test_the_card_names_every_metric_and_number():
    rows = {"sta-lite": dict.fromkeys(METRICS, 0.123), "centre prior": dict.fromkeys(METRICS, 0.456)}
    sound = {"clips": 11, "true_silent": 0.02, "true_foreign": 0.01, "moving_frozen": 0.03}
    sound |= {"half_right": 0.75, "half_shift": 0.03, "half_asked": 0.43}
    sound |= {"disc_right": 0.98, "disc_gain": 0.05, "disc_asked": 0.42}
    card = write_card(rows, sound, training_clips=33, minutes=8, seed=0)
    assert all(name in card for name in METRICS.values()) and "0.123" in card and "75 %" in card and "33" in card
    assert "{" not in card
