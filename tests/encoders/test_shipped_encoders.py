"""EfficientNet-Lite0 and YAMNet with the weights that ship, against float64 NumPy and against real pictures and sounds."""

import csv
import itertools
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor, efficientnet, yamnet
from stajax.encoders.params import WEIGHTS, check_fit, flatten, read_params
from stajax.encoders.tiny import TinyFrames, TinySound
from stajax.encoders.yamnet import YAMNet
from stajax.media import cut_windows, read_frames, read_sound, squash


def raw(name):
    """The shipped arrays in float64, as the file has them: dotted keys, int8 kernels multiplied out here."""
    with np.load(WEIGHTS / "encoders" / f"{name}.npz", allow_pickle=False) as archive:
        stored = {key: archive[key] for key in archive.files}
    return {
        key: value.astype(np.float64) * stored.get(f"{key}_scale", 1).astype(np.float64)
        if f"{key}_scale" in stored
        else value.astype(np.float64)
        for key, value in stored.items()
        if not key.endswith("kernel_scale")
    }


def with_shipped_weights(name, **options):
    make = constructor(name, {**FRAME_ENCODERS, **SOUND_ENCODERS})
    graphdef, state = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0), **options)))
    return nnx.merge(graphdef, check_fit(read_params(WEIGHTS / "encoders" / f"{name}.npz"), nnx.to_pure_dict(state), name))


def same_conv_in_float64(x, kernel, stride=1, depthwise=False):
    """TensorFlow's conv2d or depthwise_conv2d, padding SAME: x (N, H, W, C), kernel (k, k, C or 1, O)."""
    k, out = kernel.shape[0], [-(-n // stride) for n in x.shape[1:3]]
    total = [max((m - 1) * stride + k - n, 0) for m, n in zip(out, x.shape[1:3], strict=True)]
    x = np.pad(x, ((0, 0), *((t // 2, t - t // 2) for t in total), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))[:, ::stride, ::stride]  # N h w C k k
    return np.einsum(
        "nhwcij,ijc->nhwc" if depthwise else "nhwcij,ijco->nhwo", windows, kernel[:, :, 0] if depthwise else kernel
    )


# Table 1 of Tan and Le 2019: stages of repeated blocks, as (repeats, kernel, stride, expansion)
STAGES = [(1, 3, 1, 1), (2, 3, 2, 6), (2, 5, 2, 6), (3, 3, 2, 6), (3, 5, 1, 6), (4, 5, 2, 6), (1, 3, 1, 6)]


def lite0_in_float64(p, images):
    """Every block's output, then the logits."""

    def conv_norm(x, name, relu6=True, **options):
        norm = {leaf: p[f"{name}.norm.{leaf}"] for leaf in ("scale", "bias", "mean", "var")}
        x = same_conv_in_float64(x, p[f"{name}.kernel"], **options)
        x = (x - norm["mean"]) / np.sqrt(norm["var"] + 1e-3) * norm["scale"] + norm["bias"]
        return np.minimum(np.maximum(x, 0), 6) if relu6 else x

    x, outputs = conv_norm((images - 127.0) / 128.0, "stem", stride=2), []
    for repeats, kernel, stride, expansion in STAGES:
        for repeat in range(repeats):
            name = f"blocks.{len(outputs)}"
            y = conv_norm(x, f"{name}.expand") if expansion > 1 else x
            assert p[f"{name}.depthwise.kernel"].shape[:2] == (kernel, kernel)
            y = conv_norm(y, f"{name}.depthwise", stride=1 if repeat else stride, depthwise=True)
            y = conv_norm(y, f"{name}.project", relu6=False)
            x = x + y if y.shape == x.shape and repeat else y
            outputs.append(x)
    pooled = conv_norm(x, "head").mean((1, 2))
    return outputs, pooled @ p["classifier.kernel"] + p["classifier.bias"]


def log_mel_in_float64(sound):
    """YAMNet's front end (tensorflow/models, research/audioset/yamnet/params.py and features.py), by a plain DFT."""
    n, mel = np.arange(400), lambda hertz: 2595 * np.log10(1 + np.asarray(hertz, np.float64) / 700)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * n / 400)
    dft = np.exp(-2j * np.pi * np.outer(n, np.arange(257)) / 512)
    frames = np.stack([sound[160 * t : 160 * t + 400] * hann for t in range(96)])
    edges, bins = np.linspace(mel(125), mel(7500), 66), mel(np.arange(257) * 16000 / 512)
    filters = np.zeros((257, 64))
    for band, (low, peak, high) in enumerate(zip(edges[:-2], edges[1:-1], edges[2:], strict=True)):
        filters[:, band] = np.interp(bins, [low, peak, high], [0, 1, 0])
    return np.log(np.abs(frames @ dft) @ filters + 0.001)


def yamnet_in_float64(p, sounds):
    """Every layer's output, then the logits."""
    x, outputs = np.stack([log_mel_in_float64(sound) for sound in sounds])[..., None], []
    strides = [2, *[s for block in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1) for s in (block, 1)]]
    for i, stride in enumerate(strides):
        kernel = p[f"layers.{i}.kernel"]
        depthwise = kernel.shape[2] == 1 and i > 0
        x = np.maximum(same_conv_in_float64(x, kernel, stride, depthwise) + p[f"layers.{i}.bias"], 0)
        outputs.append(x)
    vector = x.mean((1, 2))
    return outputs, vector @ p["classifier.kernel"] + p["classifier.bias"]


def close(actual, expected, tolerance):
    """Within `tolerance` of the largest absolute value."""
    expected = np.asarray(expected)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


@pytest.fixture(scope="module")
def images():
    """Two smooth random colour pictures, uint8."""
    coarse = np.random.default_rng(0).uniform(0, 255, (2, 8, 8, 3))
    return np.kron(coarse, np.ones((1, 8, 8, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def sounds():
    """A chord under noise, and silence."""
    t = np.arange(15600) / 16000
    noise = np.random.default_rng(1).normal(size=15600)
    chord = sum(np.sin(2 * np.pi * f * t) for f in (440, 554, 2637))
    return np.stack([0.2 * chord + 0.02 * noise, 0 * t]).astype(np.float32)


@pytest.fixture(scope="module")
def lite0_outputs(images):
    """implementation -> (stem, first two blocks, levels, logits), each from one jitted pass at 64 px."""

    @jax.jit
    def forward(net, views):
        x = net.stem((views.astype(jnp.float32) - 127) / 128)
        first = net.blocks[0](x)
        levels = net(views)
        return [x, first, net.blocks[1](first)], levels, net.classify(levels)[0]

    encoders = {i: with_shipped_weights("efficientnet_lite0", size=64, implementation=i) for i in ("taps", "native")}
    return {name: jax.tree.map(np.asarray, forward(net, images)) for name, net in encoders.items()}


@pytest.fixture(scope="module")
def yamnet_outputs(sounds):
    @jax.jit
    def forward(net, windows):
        vectors = net(windows)
        return vectors, net.classify(vectors)

    encoders = {i: with_shipped_weights("yamnet", implementation=i) for i in ("taps", "native")}
    return {name: jax.tree.map(np.asarray, forward(net, sounds)) for name, net in encoders.items()}


@pytest.mark.parametrize("implementation", ["taps", "native"])
def test_efficientnet_equals_float64_numpy(lite0_outputs, images, implementation):
    blocks, expected_logits = lite0_in_float64(raw("efficientnet_lite0"), images)
    (_, first, second), levels, logits = lite0_outputs[implementation]
    close(first, blocks[0], 1e-5)
    close(second, blocks[1], 1e-5)
    for name, index in [("stride8", 4), ("stride16", 10), ("stride32", 15)]:
        close(levels[name], blocks[index], 1e-4)
    close(logits, expected_logits, 1e-4)


@pytest.mark.parametrize("implementation", ["taps", "native"])
def test_yamnet_equals_float64_numpy(yamnet_outputs, sounds, implementation):
    layers, expected_logits = yamnet_in_float64(raw("yamnet"), sounds.astype(np.float64))
    vectors, logits = yamnet_outputs[implementation]
    close(vectors, layers[-1].mean((1, 2)), 1e-4)
    close(logits, expected_logits, 1e-4)


def test_yamnet_first_layers_equal_float64_numpy(sounds):
    net, p = with_shipped_weights("yamnet"), raw("yamnet")
    expected, _ = yamnet_in_float64(p, sounds.astype(np.float64))

    @jax.jit
    def first_layers(x):
        outputs = []
        for layer in net.layers[:5]:
            outputs.append(x := layer(x))
        return outputs

    patches = np.stack([log_mel_in_float64(sound) for sound in sounds.astype(np.float64)])[..., None]
    for i, actual in enumerate(first_layers(jnp.asarray(patches, jnp.float32))):
        close(actual, expected[i], 1e-5)


def test_taps_equal_native_through_whole_encoders(lite0_outputs, yamnet_outputs):
    for outputs in (lite0_outputs, yamnet_outputs):
        for taps, native in zip(jax.tree.leaves(outputs["taps"]), jax.tree.leaves(outputs["native"]), strict=True):
            close(taps, native, 3e-5)


@pytest.mark.parametrize(
    ("name", "size"), [("efficientnet_lite0", 256), ("efficientnet_lite0", 100), ("tiny", 64), ("tiny", 256)]
)
def test_frame_levels_have_the_announced_strides_and_channels(name, size):
    net = nnx.eval_shape(lambda: constructor(name, FRAME_ENCODERS)(size=size, rngs=nnx.Rngs(0)))
    graphdef, state = nnx.split(net)
    views = jax.ShapeDtypeStruct((3, size, size, 3), jnp.uint8)
    levels = jax.eval_shape(lambda s, v: nnx.merge(graphdef, s)(v), state, views)
    assert set(levels) == {f"stride{stride}" for stride in net.strides}
    for stride, channels in zip(net.strides, net.channels, strict=True):
        side = -(-size // stride)
        assert levels[f"stride{stride}"].shape == (3, side, side, channels)
        assert levels[f"stride{stride}"].dtype == jnp.float32


@pytest.mark.parametrize("name", ["yamnet", "tiny"])
def test_sound_vectors_have_the_announced_length(name):
    net = nnx.eval_shape(lambda: constructor(name, SOUND_ENCODERS)(rngs=nnx.Rngs(0)))
    graphdef, state = nnx.split(net)
    windows = jax.ShapeDtypeStruct((2, net.window), jnp.float32)
    assert jax.eval_shape(lambda s, w: nnx.merge(graphdef, s)(w), state, windows).shape == (2, net.features)


def test_tiny_encoders_equal_contrasts_of_squares_and_powers_of_bands():
    rng = np.random.default_rng(0)

    def with_random_weights(make):
        graphdef, state = nnx.split(nnx.eval_shape(make))
        variables = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), nnx.to_pure_dict(state))
        return nnx.merge(graphdef, variables), {key: value.astype(np.float64) for key, value in flatten(variables).items()}

    frames, p = with_random_weights(lambda: TinyFrames(size=64, rngs=nnx.Rngs(0)))
    views = rng.integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    square = 4 * (views[1, 16:32, 48:64].mean((0, 1)) - views[1].mean((0, 1))) / 127.5
    expected = np.maximum(square @ p["convs.1.kernel"][0, 0] + p["convs.1.bias"], 0)
    np.testing.assert_allclose(jax.jit(frames)(views)["stride16"][1, 1, 3], expected, atol=1e-5)

    sound, p = with_random_weights(lambda: TinySound(rngs=nnx.Rngs(0)))
    window = rng.uniform(-1, 1, 1600).astype(np.float32)
    edges, frequency = 65 * (7995 / 65) ** (np.arange(9) / 8), np.arange(801) * 10.0
    waves = np.exp(-2j * np.pi * np.outer(np.arange(801), np.arange(1600)) / 1600)
    spectrum = np.abs(waves @ (window * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1600) / 1599)))) ** 2 / 1600
    power = [spectrum[(frequency >= low) & (frequency < high)].sum() for low, high in itertools.pairwise(edges)]
    expected = np.tanh(np.log(np.array(power) + 1e-4) / 4 @ p["linear.kernel"] + p["linear.bias"])
    np.testing.assert_allclose(jax.jit(sound)(window[None])[0], expected, atol=1e-5)


def test_an_unknown_encoder_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"^unknown encoder 'vgg19'; known: efficientnet_lite0, tiny$"):
        constructor("vgg19", {name: FRAME_ENCODERS[name] for name in ("tiny", "efficientnet_lite0")})


# ImageNet's classes (0-based): 151..268 are dogs, 541 drum, 594 harp
PICTURES = {
    "vas_drum_video_02480.mp4": {541},
    "vas_drum_video_02542.mp4": {541},
    "vggsound_playing_bass_drum_-Qowmc0P9ic.mp4": {541},
    "vggsound_playing_bongo_D1NO38P8vqI.mp4": {541},
    "vggsound_playing_harp_6zlMP_kQ_-w.mp4": {594},
    "vas_dog_video_02677.mp4": set(range(151, 269)),
    "vas_dog_video_02754.mp4": set(range(151, 269)),
    "vggsound_dog_barking_3qesirWAGt4.mp4": set(range(151, 269)),
    "avsync_dog_foleycrafter0.mp4": set(range(151, 269)),
}
SOUNDS = {
    "vas_dog_video_02754.mp4": "Dog",
    "vas_baby_video_01951.mp4": "Baby cry, infant cry",
    "vggsound_baby_crying_1aDnyPubxdY.mp4": "Baby cry, infant cry",
    "vggsound_playing_harp_6zlMP_kQ_-w.mp4": "Harp",
    "audioset_toilet_flush_-DSNfC2EJhU.mp4": "Toilet flush",
    "ave_female_speech_0lFf-HP86Q0.mp4": "Speech",
    "audioset_speech_shop_1HNGJDppKG0.mp4": "Speech",
}


def test_efficientnet_names_what_labelled_clips_show(shared):
    net = with_shipped_weights("efficientnet_lite0", size=256)
    classify = jax.jit(lambda views: net.classify(net(views))[0])
    wrong = []
    for file, classes in PICTURES.items():
        frame = next(islice(read_frames(shared / "data/clips" / file), 50, None))
        best = np.argsort(-np.asarray(classify(squash(frame.image, 256)[None]))[0])[:5]
        if not classes & set(best.tolist()):
            wrong.append((file, best))
    assert not wrong


def test_yamnet_names_what_labelled_clips_sound_like(shared):
    net = with_shipped_weights("yamnet")
    scores = jax.jit(lambda windows: jax.nn.sigmoid(net.classify(net(windows))))
    with (shared / "data/metadata/yamnet_class_map.csv").open(newline="") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    assert len(names) == yamnet.CLASSES
    wrong = []
    for file, label in SOUNDS.items():
        windows = cut_windows(read_sound(shared / "data/clips" / file), np.arange(0.5, 9), YAMNet.window)
        best = np.argsort(-np.asarray(scores(windows)).mean(0))[:3]
        if label not in (heard := [names[i] for i in best]):
            wrong.append((file, heard))
    assert not wrong


@pytest.mark.parametrize(
    ("name", "source", "convert"),
    [
        ("efficientnet_lite0", "efficientnet_lite0_imagenet_oihw_fp16.npz", efficientnet.from_pytorch),
        ("yamnet", "yamnet_audioset521_oihw_int8.npz", yamnet.from_onnx),
    ],
)
def test_shipped_weights_equal_their_sources_rounded_to_float16(shared, name, source, convert):
    with np.load(shared / "weights" / source, allow_pickle=False) as arrays:
        expected = flatten(convert({key: arrays[key] for key in arrays.files}))
    with np.load(WEIGHTS / "encoders" / f"{name}.npz", allow_pickle=False) as stored:
        assert set(stored.files) == set(expected)
        for key in stored.files:
            value = expected[key]
            rounded = value.astype(np.float16) if value.dtype.kind == "f" and not key.endswith("kernel_scale") else value
            np.testing.assert_array_equal(stored[key], rounded)


def test_from_pytorch_names_a_stranger_and_drops_the_batch_counter():
    weight = np.arange(24.0).reshape(4, 1, 2, 3)
    tree = efficientnet.from_pytorch(
        {
            "_blocks.3._depthwise_conv.weight": weight,
            "_blocks.3._bn1.running_var": np.ones(4),
            "_blocks.3._bn1.num_batches_tracked": np.int64(7),
            "_bn1.num_batches_tracked": np.int64(7),
            "_bn1.weight": np.full(2, 3.0),
            "_fc.weight": np.zeros((5, 2)),
        }
    )
    flat = flatten(tree)
    assert set(flat) == {"blocks.3.depthwise.kernel", "blocks.3.depthwise.norm.var", "head.norm.scale", "classifier.kernel"}
    assert flat["blocks.3.depthwise.kernel"][1, 2, 0, 3] == weight[3, 0, 1, 2]
    assert flat["classifier.kernel"].shape == (2, 5)
    for stranger in ("_blocks.0._se_reduce.weight", "_blocks.0._bn1.foo", "_bn2.weight", "module._fc.weight"):
        with pytest.raises(KeyError, match=rf"not a tensor of EfficientNet-Lite0: {stranger}'$"):
            efficientnet.from_pytorch({stranger: np.zeros(1)})


def test_from_onnx_names_a_stranger_and_keeps_int8():
    kernel = np.arange(-12, 12, dtype=np.int8).reshape(4, 2, 1, 3)
    flat = flatten(yamnet.from_onnx({"meta": np.array(0), "l03/w_i8": kernel, "l27/w_i8": np.zeros((521, 1024), np.int8)}))
    assert flat["layers.3.kernel"].dtype == np.int8
    assert flat["layers.3.kernel"][0, 2, 1, 3] == kernel[3, 1, 0, 2]
    assert flat["classifier.kernel"].shape == (1024, 521)
    for stranger in ("l28/w_i8", "l03/zero", "l3/bias", "conv"):
        with pytest.raises(KeyError, match=f"not a tensor of YAMNet: {stranger}'$"):
            yamnet.from_onnx({stranger: np.zeros(1)})


def test_classify_of_efficientnet_is_a_linear_layer_on_averaged_features(lite0_outputs):
    """Eq. 1 wants class maps: the classifier applied to every place, averaged, must be the logits."""
    net = with_shipped_weights("efficientnet_lite0", size=64)
    _, levels, logits = lite0_outputs["taps"]
    _, aux = net.classify(jax.tree.map(jnp.asarray, levels))
    maps = np.asarray(aux["features"], np.float64) @ np.asarray(net.classifier.kernel[...], np.float64)
    close(logits, maps.mean((1, 2)) + np.asarray(net.classifier.bias[...], np.float64), 1e-5)
