"""Pictures that tag themselves: each size's confidences against the head in float64 NumPy, and how sizes become one map."""

import jax
import numpy as np
import pytest
from inference.tiny import noise

from stajax.encoders.params import check_fit
from stajax.inference import self_tagged
from stajax.inference.self_tagged import ENCODER, SelfTagged
from stajax.layers.resize import resize
from stajax.media import squash
from stajax.models import folder
from stajax.models.network import NetworkConfig, Structure


def z(x):
    return (x - x.min()) / (x.max() - x.min())


def test_the_mean_of_the_sizes_each_between_0_and_1(monkeypatch):
    views, rng = {}, np.random.default_rng(0)
    answers = {64: rng.random((1, 2, 2), np.float32), 96: rng.random((1, 3, 3), np.float32)}

    def compiled(size):
        def look(view):
            views[size] = view[0]
            return answers[size]

        return look

    monkeypatch.setattr(self_tagged, "_compiled", compiled)
    image = noise(1, (100, 60))[0]
    saliency, confidence = SelfTagged(side=12, sizes=(64, 96))(image)
    for size, view in views.items():
        np.testing.assert_array_equal(view, squash(image, size))
    expected = z(sum(np.asarray(resize(z(found[0])[..., None], (12, 12)))[..., 0] for found in answers.values()))
    np.testing.assert_allclose(saliency, expected, atol=1e-6)
    np.testing.assert_array_equal(confidence, [answers[64].max(), answers[96].max()])


@pytest.mark.slow
def test_a_place_is_as_sure_as_the_softmax_of_the_head_there():
    image = noise(1, (64, 64))
    sure = np.asarray(self_tagged._compiled(64)(image))[0]
    structure = Structure(NetworkConfig(frames=ENCODER, sound=None, size=64, nets={}))
    variables = {"frames": check_fit(folder.read_shared(ENCODER), structure.shapes["frames"], ENCODER)}
    look = jax.jit(lambda v, x: structure.apply(v, lambda network, y: network.frames.classify(network.frames(y)), x))
    logits, aux = jax.device_get(look(variables, image))
    features, head = aux["features"][0].astype(np.float64), variables["frames"]["classifier"]
    kernel, bias = (np.asarray(head[name], np.float64) for name in ("kernel", "bias"))
    scores = features @ kernel.reshape(features.shape[-1], -1) + bias
    np.testing.assert_allclose(scores.mean((0, 1)), logits[0], atol=1e-3)  # these are the net's own logits, before pooling
    each = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(sure, (each / each.sum(-1, keepdims=True)).max(-1), rtol=1e-3)


def test_a_picture_in_which_no_place_is_surer_than_another_gives_zeros(monkeypatch):
    monkeypatch.setattr(self_tagged, "_compiled", lambda size: lambda view: np.full((1, 2, 2), 0.1, np.float32))
    assert not SelfTagged(side=8)(noise(1, (32, 32))[0])[0].any()
