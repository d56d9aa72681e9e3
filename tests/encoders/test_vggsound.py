"""VGGSound's ResNet-18 with NetVLAD against the released code's goldens, and its front end against the float64 spectrogram."""

import re

import jax
import numpy as np
import pytest
from released_goldens import assert_taps, detw, filled, from_torch, state_dict, without_numbers

from stajax.encoders.params import flatten
from stajax.media import released_spectrogram


def ours(module):
    """Our name of the checkpoint's module: audnet.layer1.0.bn1 -> trunk.layers.0.0.bn1, audnet.avgpool -> netvlad"""
    module = module.removeprefix("audnet.")
    if module == "fc_":
        return "fc"
    if module.startswith("avgpool"):
        return module.replace("avgpool", "netvlad").replace("conv", "assignment")
    module = re.sub(r"^layer(\d)", lambda match: f"layers.{int(match[1]) - 1}", module)
    return "trunk." + module.replace("downsample.0", "downsample.conv").replace("downsample.1", "downsample.bn")


@pytest.fixture(scope="module")
def parameters():
    return from_torch(state_dict("vggsound_netvlad"), ours)


@pytest.mark.parametrize("columns", [48, 98])
def test_vggsound_equals_the_released_golden(parameters, columns):
    net = filled("vggsound_309", parameters)
    batch = {48: 2, 98: 1}[columns]
    sound = detw.audio("vggsound:aud0", batch, 257, columns)[..., None]

    @jax.jit
    def forward(net, sound):
        stages = net.stages(sound)
        vectors = net.levels(stages)
        return {**stages, "netvlad_8192": vectors, "fc_logits": net.classify(vectors)[0]}

    with jax.default_matmul_precision("highest"):
        assert_taps(f"vggsound_T{columns}", forward(net, sound))


def test_a_window_goes_through_the_released_spectrogram(parameters):
    sound = (0.3 * np.random.default_rng(0).standard_normal(9000)).clip(-1, 1).astype(np.float32)
    spectrograms = released_spectrogram(sound, 3)  # windows at samples 0, 500 and 1000
    windows = np.stack([sound[start : start + 8000] for start in (0, 500, 1000)])
    del parameters["fc"]
    net = filled("vggsound", parameters)
    with jax.default_matmul_precision("highest"):
        vectors, inputs, expected = jax.jit(lambda net, w, s: (net(w), net.normalise(w), net.stages(s)["netvlad"]))(
            net, windows, spectrograms[..., None]
        )
    assert inputs.shape == (3, 257, 48, 1)
    np.testing.assert_allclose(inputs[..., 0], spectrograms, atol=5e-5)
    assert vectors.shape == (3, net.features)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_classifier_is_there_only_when_asked_for():
    bare, whole = (flatten(without_numbers(name)[1]) for name in ("vggsound", "vggsound_309"))
    assert set(whole) - set(bare) == {"fc.kernel", "fc.bias"}
    assert whole["fc.kernel"].shape == (8192, 309)
