"""VGG-16, plain and D1: the released code's goldens, a float64 NumPy restatement, and real weights on real pictures."""

from itertools import islice

import jax
import numpy as np
import pytest
from released_goldens import assert_taps, detw, filled, from_torch, level_shapes, state_dict

from stajax.encoders.params import flatten
from stajax.encoders.vgg import from_npz
from stajax.media import read_frames, squash

# torchvision's vgg16().features: indices of the convolutions, and of the ReLUs and pools whose outputs are taps
CONVS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
NAMES = [f"conv{s}_{i}" for s, n in ((1, 2), (2, 2), (3, 3), (4, 3), (5, 3)) for i in range(1, n + 1)]
TAPS = {f"features.{i + 1}": name for i, name in zip(CONVS, NAMES, strict=True)}
TAPS |= {"features.4": "pool1", "features.9": "pool2", "features.16": "pool3", "features.23": "pool4"}


@pytest.fixture(scope="module")
def parameters():
    return from_torch(state_dict("vgg16_D1"), lambda module: f"convs.{CONVS.index(int(module.removeprefix('features.')))}")


@pytest.mark.parametrize("size", [256, 356])
def test_d1_equals_the_released_golden(parameters, size):
    net = filled("vgg16_d1", parameters)
    image = detw.image("vgg:img0", 1, size).transpose(0, 2, 3, 1)
    with jax.default_matmul_precision("highest"):
        stages = jax.jit(net.stages)(image)
    assert "pool5" not in stages
    assert_taps(f"vgg16_D1_{size}", {tap: stages[name] for tap, name in TAPS.items()})
    np.testing.assert_array_equal(net.levels(stages)["stride8"], stages["conv5_3"])


def plain_vgg16_in_float64(p, x):
    """Simonyan and Zisserman's configuration D: every stage's last convolution and its pool."""
    outputs, index = {}, 0
    for stage, repeats in enumerate((2, 2, 3, 3, 3), start=1):
        for i in range(1, repeats + 1):
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), axis=(1, 2))
            x = np.tensordot(windows, p[f"convs.{index}.kernel"].transpose(2, 0, 1, 3), 3) + p[f"convs.{index}.bias"]
            outputs[f"conv{stage}_{i}"] = x = np.maximum(x, 0)
            index += 1
        n, h, w, c = x.shape
        outputs[f"pool{stage}"] = x = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).max((2, 4))
    return outputs


def test_plain_vgg16_equals_float64_numpy(parameters):
    net, flat = filled("vgg16", parameters), {k: np.asarray(v, np.float64) for k, v in flatten(parameters).items()}
    views = np.random.default_rng(0).integers(0, 256, (2, 34, 49, 3), dtype=np.uint8)  # odd sizes: pools drop the last row
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = plain_vgg16_in_float64(flat, (views / 255.0 - mean) / std)
    with jax.default_matmul_precision("highest"):
        stages, levels = jax.jit(lambda v: (net.stages(net.normalise(v)), net(v)))(views)
    assert set(stages) == set(expected)
    for name, array in expected.items():
        assert stages[name].shape == array.shape
        np.testing.assert_allclose(stages[name], array, rtol=0, atol=1e-5 * np.abs(array).max(), err_msg=name)
    for name, stage in [("stride8", "pool3"), ("stride16", "pool4"), ("stride32", "pool5")]:
        np.testing.assert_array_equal(levels[name], stages[stage])


@pytest.mark.parametrize("name", ["vgg16", "vgg16_d1"])
@pytest.mark.parametrize("size", [256, 356])
def test_levels_have_the_announced_strides_and_channels(name, size):
    announced, shapes = level_shapes(name, size)
    assert shapes == {f"stride{stride}": (2, size // stride, size // stride, c) for stride, c in announced.items()}
    assert announced == {"vgg16": {8: 256, 16: 512, 32: 512}, "vgg16_d1": {8: 512}}[name]


def test_from_npz_goes_by_name_and_names_a_stranger():
    flat = flatten(from_npz({"conv5_3/bias": np.float16([1, 2]), "conv3_1/kernel": np.zeros((3, 3, 2, 2), np.float16)}))
    assert set(flat) == {"convs.12.bias", "convs.4.kernel"}
    assert flat["convs.12.bias"].dtype == np.float32
    for stranger in ("conv5_4/bias", "conv1_1/weight", "fc6/kernel", "conv1_1"):
        with pytest.raises(KeyError, match=f"not a tensor of VGG-16: {stranger}'$"):
            from_npz({stranger: np.zeros(1)})


DOGS = (
    "vas_dog_video_02677.mp4",
    "vas_dog_video_02754.mp4",
    "vggsound_dog_barking_3qesirWAGt4.mp4",
    "avsync_dog_foleycrafter0.mp4",
)
DRUMS = ("vas_drum_video_02480.mp4", "vas_drum_video_02542.mp4", "vggsound_playing_bass_drum_-Qowmc0P9ic.mp4")


def test_imagenet_weights_fill_it_and_tell_dogs_from_drums(shared):
    with np.load(shared / "weights" / "vgg16_imagenet_conv_hwio_fp16.npz", allow_pickle=False) as archive:
        arrays = {key: archive[key] for key in archive.files}
    tree = from_npz(arrays)
    for index, name in enumerate(NAMES):
        np.testing.assert_array_equal(tree["convs"][str(index)]["kernel"], arrays[f"{name}/kernel"])
        np.testing.assert_array_equal(tree["convs"][str(index)]["bias"], arrays[f"{name}/bias"])
    net = filled("vgg16", tree)
    frames = [next(islice(read_frames(shared / "data/clips" / file), 50, None)).image for file in DOGS + DRUMS]
    responses = np.asarray(
        jax.jit(lambda v: net.stages(net.normalise(v))["conv5_3"])(np.stack([squash(f, 192) for f in frames]))
    )
    assert np.isfinite(responses).all()
    vectors = responses.mean((1, 2), dtype=np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T - 2 * np.eye(len(frames))
    nearest = alike.argmax(1)
    is_dog = np.arange(len(frames)) < len(DOGS)
    np.testing.assert_array_equal(is_dog[nearest], is_dog)
