"""What tasks make of a batch: losses and metrics restated in NumPy, and `forward` against the net called by itself."""

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from training.small import quick, ready, small

from stajax.data.batches import training_batches
from stajax.data.records import Records
from stajax.models.fragments import Fragments
from stajax.models.network import Network
from stajax.training.data import stage_data
from stajax.training.feature_cache import cached_levels, make_cache
from stajax.training.step import make_evaluation
from stajax.training.tasks import TASKS, Found, correlation, forward, mean_loss
from stajax.training.variables import merge

B, NODES = 5, 3
RNG = np.random.default_rng(0)
LOSS = ConfigDict({"loss": {"company": 0.25, "balance": True}})


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def bce(logits, target):
    p = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean()


def test_classification_is_eq_7_of_the_target_and_so_much_of_its_company():
    logits = RNG.normal(0, 2, (B, NODES, 4)).astype(np.float32)
    tags = np.float32([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 0, 0, 1], [1, 1, 0, 0]])
    loss, metrics = TASKS["classification"].loss(Found(logits, {}, {}), {"tags": tags}, LOSS)
    each = np.array([[bce(logits[b, k], tags[b]) for k in range(NODES)] for b in range(B)])
    np.testing.assert_allclose(loss, each[:, 0] + 0.25 * each[:, 1:].sum(1), rtol=1e-5)
    scores = softmax(logits[:, 0])
    tagged = [max(scores[b][tags[b] == 1]) for b in range(B)]
    np.testing.assert_allclose(metrics["confidence"], tagged, rtol=1e-5)
    np.testing.assert_array_equal(metrics["accuracy"], [tags[b][scores[b].argmax()] for b in range(B)])
    assert 0 < np.mean(metrics["accuracy"]) < 1


def test_the_switch_weighs_its_labels():
    logits = RNG.normal(0, 2, (B, 1, 2)).astype(np.float32)
    heard, weight = np.float32([[1], [0], [1], [1], [0]]), np.float32([0.6, 2, 0.6, 0.6, 2])
    loss, metrics = TASKS["switch"].loss(Found(logits, {}, {}), {"heard": heard, "label_weight": weight}, LOSS)
    label = heard[:, 0].astype(int)
    np.testing.assert_allclose(loss, -weight * np.log(softmax(logits[:, 0])[range(B), label]), rtol=1e-5)
    np.testing.assert_array_equal(metrics["accuracy"], logits[:, 0].argmax(-1) == label)


def test_fixation_is_bce_and_kl_of_every_node_with_a_valid_map():
    logits = RNG.normal(0, 2, (B, NODES, 6, 6)).astype(np.float32)
    maps = RNG.random((B, NODES, 6, 6)).astype(np.float32)
    valid = RNG.random((B, NODES)) < 0.6
    valid[:2] = [[True] * 3, [True, False, False]]
    loss, metrics = TASKS["fixation"].loss(Found(logits, {}, {}), {"maps": maps, "valid": valid}, LOSS)
    for b in range(B):
        terms = {"bce": 0.0, "kl": 0.0}
        for k in np.flatnonzero(valid[b]):
            p = 1 / (1 + np.exp(-logits[b, k].astype(np.float64)))
            q, p = maps[b, k] / maps[b, k].sum(dtype=np.float64), p / p.sum()
            terms = {"bce": terms["bce"] + bce(logits[b, k], maps[b, k]), "kl": terms["kl"] + (q * np.log(q / p)).sum()}
        assert float(loss[b]) == pytest.approx(sum(terms.values()), rel=1e-4)
        assert {name: float(metrics[name][b]) for name in terms} == pytest.approx(terms, rel=1e-4)
        shown = 1 / (1 + np.exp(-logits[b, 0]))
        assert float(metrics["cc"][b]) == pytest.approx(np.corrcoef(shown.ravel(), maps[b, 0].ravel())[0, 1], abs=1e-5)


def test_a_flat_map_correlates_with_nothing():
    one, flat = RNG.random((2, 4, 4)), np.full((2, 4, 4), 0.3)
    np.testing.assert_array_equal(correlation(one.astype(np.float32), flat.astype(np.float32)), [0, 0])


def test_rows_count_by_their_weight():
    logits = RNG.normal(0, 2, (B, 1, 4)).astype(np.float32)
    tags = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0]]
    task, weight = TASKS["classification"], np.float32([1, 0, 1, 0.5, 0])
    each, metrics = task.loss(Found(logits, {}, {}), {"tags": tags}, LOSS)
    loss, means = mean_loss(task, Found(logits, {}, {}), {"tags": tags, "weight": weight}, LOSS)
    assert float(loss) == pytest.approx(np.average(each, weights=weight), rel=1e-6)
    assert float(means["confidence"]) == pytest.approx(np.average(metrics["confidence"], weights=weight), rel=1e-6)
    assert float(mean_loss(task, Found(logits, {}, {}), {"tags": tags, "weight": 0 * weight}, LOSS)[0]) == 0


@pytest.fixture(scope="module")
def long(stage):
    """STA+long with numbers that make it depend on everything, its encoded batch and φ."""
    made = stage("sta_plus_long")
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda x: rng.normal(0, 0.5, x.shape).astype(np.float32), merge(made.fixed, made.state["trained"]))
    phi = rng.integers(0, 2, made.batch["heard"].shape).astype(np.float32)
    return made, variables, {**made.batch, "switch": phi}


def test_forward_is_the_net_called_with_fragments_of_the_whole_batch(long):
    made, variables, batch = long
    found = quick(lambda v, b: forward(made.structure, v, b, "long"))(variables, batch)

    @quick
    def directly(variables, batch):
        """All views in one table; node k of example b is rows 9 b + 3 k + (0, 1, 2) of it."""
        features = made.structure.apply(variables, Network.encode_frames, batch["views"].reshape(-1, 64, 64, 3))
        audio = made.structure.apply(variables, Network.encode_audio, batch["sound"].reshape(-1, 1600))
        rows = np.arange(8 * 3 * 3).reshape(8, 3, 3)
        fragments = Fragments.of(rows, np.arange(8 * 3).reshape(8, 3), batch["switch"])
        predictions, aux = made.structure.apply(variables, Network.__call__, features, audio, {"long": fragments})
        return predictions["long"], aux["long"]["phi"]

    expected, phi = directly(variables, batch)
    assert found.prediction.shape == (8, 3, 16, 16) and np.std(expected) > 0.05
    np.testing.assert_allclose(found.prediction, expected, rtol=2e-4, atol=2e-5)
    np.testing.assert_array_equal(phi, batch["switch"])
    other = quick(lambda v, b: forward(made.structure, v, b, "long"))(variables, {**batch, "switch": 1 - batch["switch"]})
    assert np.abs(other.prediction - found.prediction).max(axis=(1, 2, 3)).min() > 1e-4  # every example hears


def test_cached_features_are_the_encoders_own_and_train_as_pictures_do(stage, places, tmp_path):
    """To float16's precision. Vectors are of the nearest 0.2 s, so a batch's own sound is encoded for the loss."""
    made, records = stage("sa_plus_cross"), Records(places.records)
    variables = merge(made.fixed, made.state["trained"])
    encode = quick(lambda v, x: made.structure.apply(v, Network.encode_frames, x)["stride8"])
    hear = quick(lambda v, x: made.structure.apply(v, Network.encode_audio, x))
    cache = make_cache(tmp_path / "cache", records, made.config.model)
    cache.levels = cached_levels(made.structure)
    assert cache.levels == ("stride8",)
    cached = training_batches(stage_data(made.config, made.structure, cache).training, 8)[0]
    for key in ("tags", "record", "moment", "weight"):
        np.testing.assert_array_equal(cached[key], made.batch[key])
    features = cached["features"]["stride8"]
    assert features.dtype == np.float16 and features.shape == (8, 3, 1, 8, 8, 16)
    expected = encode(variables, made.batch["views"].reshape(-1, 64, 64, 3))
    np.testing.assert_allclose(features.reshape(expected.shape), expected, rtol=2e-3, atol=1e-4)
    for row in range(8):  # the target's sound; of its company the batch does not tell the clips
        clip = records[int(made.batch["record"][row])]
        begin = 3200 * round(float(clip.times[made.batch["moment"][row]]) / 0.2)  # of 0.1 s around it, 0.05 s before the clip
        window = np.pad(clip.waveform() if len(clip.sound) else np.zeros(16000, np.float32), 800)[begin : begin + 1600]
        np.testing.assert_allclose(cached["vectors"][row, 0], hear(variables, window[None])[0], atol=2e-3)
    vectors = hear(variables, made.batch["sound"].reshape(-1, 1600)).reshape(8, 3, -1)
    mixed = {key: x for key, x in made.batch.items() if key not in ("views", "sound")}
    mixed |= {"features": cached["features"], "vectors": np.asarray(vectors)}
    evaluate = make_evaluation(made.structure, made.config, made.weights)
    one, other = (quick(evaluate)(made.state, made.fixed, batch)[0] for batch in (made.batch, mixed))
    for key, value in one.items():
        assert float(other[key]) == pytest.approx(float(value), rel=2e-3), key


@pytest.mark.parametrize("name", ["s", "st"])
def test_a_node_of_one_frame_stands_for_all_three(places, name):
    """S looks at the target's frame, ST at it and its neighbours, clamped at the clip's ends."""
    made = ready(small(name, places))
    frames = 3 if name == "st" else 1
    assert made.batch["views"].shape == (8, 1, frames, 64, 64, 3)
    variables = merge(made.fixed, made.state["trained"])
    aux = jax.eval_shape(
        lambda b: forward(made.structure, variables, {**b, "switch": b["audible"]}, name.upper()), made.batch
    ).aux
    assert aux["s"].shape[:2] == (8, 1) and ("v" in aux) == (name == "st")
