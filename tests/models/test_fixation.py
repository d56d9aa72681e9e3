"""The STA net and its fuse modules against the paper's goldens, the equations in float64 NumPy, and properties."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from restatement import sta_map

from stajax.layers.conv import conv
from stajax.models.fixation import STA, STAConfig
from stajax.models.fragments import Fragments
from stajax.models.fuse import gate, sa_fuse, st_fuse, sta_concat

GOLDENS = Path(__file__).parents[1] / "goldens/nets/paper"
FRAGMENTS = Fragments.of(
    frames=[[[0, 1, 2], [3, 3, 4]], [[4, 2, 0], [1, 2, 3]], [[2, 2, 2], [0, 4, 1]]],
    audio=[[0, 3], [1, 1], [2, 0]],
    switch=[[1, 0], [0.5, 1], [1, 1]],
)


def golden(name):
    """Channel axis 0 there; here last, with a batch axis."""
    arrays = np.load(GOLDENS / f"{name}.npz")
    return {key: arrays[key].transpose(1, 2, 0)[None] if arrays[key].ndim == 3 else arrays[key] for key in arrays.files}


def test_sa_and_st_fuse_equal_the_goldens_of_eqs_5_and_6():
    g = golden("eq05_06_fuse")
    np.testing.assert_allclose(sa_fuse(g["in_s"], g["in_a"]), g["out_sa"], atol=1e-6)
    np.testing.assert_allclose(sa_fuse(g["in_s"], g["in_a"], 0.0), g["out_sa_phi0_outside"], atol=1e-6)
    np.testing.assert_allclose(st_fuse(g["in_s"], g["in_v"]), g["out_st"], atol=1e-6)


def test_sta_fuse_equals_the_golden_of_eq_15():
    g = golden("eq15_sta_fuse")
    inside = sta_concat(g["in_s"], g["in_a"], g["in_v"])
    weight = g["in_W"].T[None, None]
    fused = jax.nn.relu(conv(inside, weight, strides=(1, 1), padding=((0, 0), (0, 0))) + g["in_b"])
    np.testing.assert_allclose(fused, g["out"], atol=2e-6)


def test_a_path_that_is_off_equals_a_closed_gate():
    s, a = np.random.default_rng(0).normal(size=(2, 1, 3, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(gate(s, None), s)
    np.testing.assert_array_equal(gate(s, a, 0.0), s)
    np.testing.assert_array_equal(sta_concat(s, None, None), np.concatenate([s, s], -1))


TINY, MID = STAConfig.tiny(), STAConfig(width=3, deconv_width=6, output_size=(40, 24))
NETS = {
    "tiny": (64, TINY),
    "tiny, to the view's own size": (64, dataclasses.replace(TINY, output_size=None)),
    "256 px": (256, MID),
    "256 px, switch inside": (256, dataclasses.replace(MID, switch_position="inside")),
    "256 px, with the plain s": (256, dataclasses.replace(MID, fuse_spatial=True)),
    "256 px, no motion": (256, dataclasses.replace(MID, use_temporal=False)),
    "256 px, no sound": (256, dataclasses.replace(MID, use_sound=False, fuse_spatial=True)),
    "384 px, strided deconvolutions": (384, dataclasses.replace(MID, switch_position="inside")),
}


@pytest.mark.parametrize("name", NETS)
def test_sta_equals_eqs_15_and_16_in_float64(make_case, name):
    size, config = NETS[name]
    case = make_case(lambda *encoders, rngs: STA(config, *encoders, rngs=rngs), size)
    logits, aux = jax.jit(case.apply)(case.variables, case.features, case.audio, FRAGMENTS)
    output_size = config.output_size or (size, size)
    expected = np.zeros((3, 2, *output_size))
    for b, node in np.ndindex(3, 2):
        expected[b, node] = sta_map(
            case.flat,
            config,
            [case.features[f"stride{stride}"] for stride in (32, 16, 8)],
            np.asarray(FRAGMENTS.frames[b, node]),
            case.audio[FRAGMENTS.audio[b, node]],
            float(FRAGMENTS.switch[b, node]),
            output_size,
        )
    assert logits.shape == expected.shape
    np.testing.assert_allclose(logits, expected, atol=1e-5 * np.abs(expected).max())
    assert expected.std() > 0.05  # the restatement is no constant map
    side, c = size // 32, 5
    shapes = {"s": c, "v": c, "a": c, "sta": config.width}
    for key, channels in shapes.items():
        off = (key == "v" and not config.use_temporal) or (key == "a" and not config.use_sound)
        assert (key not in aux) if off else aux[key].shape == (6, side, side, channels)
    assert aux["decoder"].shape == (6, size // 8, size // 8, config.width)


@pytest.fixture(scope="module")
def tiny(make_case):
    """Jitted tiny STA nets by position of the switch; a call gives maps (3, 2, 16, 16)."""

    def net(position):
        config = dataclasses.replace(TINY, switch_position=position)
        case = make_case(lambda *encoders, rngs: STA(config, *encoders, rngs=rngs), 64)
        forward = jax.jit(lambda features, audio, fragments: case.apply(case.variables, features, audio, fragments)[0])

        def call(fragments=FRAGMENTS, audio=case.audio, features=case.features):
            return np.asarray(forward(features, audio, fragments))

        call.case = case
        return call

    return {position: net(position) for position in ("outside", "inside")}


def with_switch(value):
    return dataclasses.replace(FRAGMENTS, switch=jnp.full((3, 2), float(value)))


def test_a_switch_closed_outside_makes_the_map_independent_of_the_sound(tiny):
    net = tiny["outside"]
    closed = net(with_switch(0))
    np.testing.assert_array_equal(closed, net(with_switch(0), audio=net.case.audio[::-1] * 5))
    np.testing.assert_allclose(closed, net(audio=None), atol=1e-6)
    assert np.abs(closed - net(with_switch(1))).max() > 1e-2


def test_a_switch_closed_inside_leaves_the_gate_of_the_deconvolutions_biases(tiny):
    net = tiny["inside"]
    closed, silent = net(with_switch(0)), np.zeros_like(net.case.audio)
    np.testing.assert_array_equal(closed, net(with_switch(0), audio=net.case.audio[::-1] * 5))
    np.testing.assert_allclose(closed, net(with_switch(1), audio=silent), atol=1e-6)
    assert np.abs(closed - net(audio=None)).max() > 1e-2  # sigmoid(bias) * s is still there


def test_both_switch_positions_agree_when_the_switch_is_open(tiny):
    np.testing.assert_allclose(tiny["outside"](with_switch(1)), tiny["inside"](with_switch(1)), atol=1e-6)


def test_permuting_the_batch_or_the_nodes_permutes_the_maps(tiny):
    net, maps = tiny["outside"], tiny["outside"]()
    rows = np.array([2, 0, 1])
    np.testing.assert_allclose(net(jax.tree.map(lambda x: x[rows], FRAGMENTS)), maps[rows], atol=1e-6)
    np.testing.assert_allclose(net(jax.tree.map(lambda x: x[:, ::-1], FRAGMENTS)), maps[:, ::-1], atol=1e-6)


def test_shared_rows_gathered_by_index_equal_rows_of_their_own(tiny):
    net, frames, sounds = tiny["outside"], np.asarray(FRAGMENTS.frames), np.asarray(FRAGMENTS.audio)
    features = {name: level[frames.reshape(-1)] for name, level in net.case.features.items()}
    own = dataclasses.replace(
        FRAGMENTS,
        frames=jnp.arange(frames.size).reshape(frames.shape),
        audio=jnp.arange(sounds.size).reshape(sounds.shape),
    )
    np.testing.assert_allclose(net(own, net.case.audio[sounds.reshape(-1)], features), net(), atol=1e-6)


def test_the_temporal_convolution_sees_the_order_of_the_frames(tiny):
    swapped = dataclasses.replace(FRAGMENTS, frames=FRAGMENTS.frames[..., ::-1])
    difference = np.abs(tiny["outside"](swapped) - tiny["outside"]()).max((2, 3))
    still = np.asarray(FRAGMENTS.frames[..., 0] == FRAGMENTS.frames[..., 2])
    np.testing.assert_allclose(difference[still], 0, atol=1e-6)
    assert (difference[~still] > 1e-3).all() and still.sum() == 1


def test_valid_changes_no_map(tiny):
    invalid = dataclasses.replace(FRAGMENTS, valid=jnp.zeros((3, 2), bool))
    np.testing.assert_array_equal(tiny["outside"](invalid), tiny["outside"]())


@pytest.mark.parametrize(
    ("config", "size", "message"),
    [
        (TINY, 96, "no deconvolutions from 1x1 to 3x3 are known; sides that have them: 2, 4, 8, 11, 12, 16, 32"),
        (STAConfig(strides=(64, 8)), 256, "STA reads strides (32, 64, 8); the encoder has (8, 16, 32) (missing [64])"),
        (STAConfig(stride=4), 256, "STA reads strides (4, 16, 8); the encoder has (8, 16, 32) (missing [4])"),
    ],
)
def test_a_config_that_does_not_fit_the_encoder_is_one_line(make_case, config, size, message):
    with pytest.raises(ValueError) as caught:  # `match` would see the note that JAX adds, too
        make_case(lambda *encoders, rngs: STA(config, *encoders, rngs=rngs), size)
    assert str(caught.value) == message
