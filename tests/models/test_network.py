"""Network, its configuration and its audio switch, against float64 NumPy and against the parts called one by one."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from restatement import switch_logits

from stajax.models.classifiers import ClassifierConfig, CompanyClassifierConfig
from stajax.models.fixation import STAConfig, STAPlusConfig
from stajax.models.fragments import Fragments
from stajax.models.network import NETS, SWITCHES, Network, NetworkConfig, Structure
from stajax.models.switch import AudioSwitch, SwitchConfig

TINY = NetworkConfig(
    frames="tiny",
    sound="tiny",
    size=64,
    nets={"sta": ("STA", STAConfig.tiny()), "seen": ("STA", dataclasses.replace(STAConfig.tiny(), use_sound=False))},
    switch=SwitchConfig.tiny(),
)
SOURCES, SIZES = ("s", "st", "sa", "sta"), ("paper", "lite", "tiny")
FRAGMENTS = Fragments.of(
    frames=[[[0, 1, 2], [3, 3, 4]], [[4, 2, 0], [1, 0, 3]], [[2, 4, 2], [0, 4, 1]]],
    audio=[[0, 3], [1, 1], [2, 0]],
    switch=[[1, 0], [0.5, 1], [1, 1]],
)


@pytest.fixture(scope="module")
def structure():
    return Structure(TINY)


@pytest.fixture(scope="module")
def variables(structure):
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), structure.shapes)


def made_up(structure, rng):
    """Levels of five frames and vectors of four sounds, of the shapes that the encoders announce."""
    frames, sound = structure.module.frames, structure.module.sound
    shapes = {
        f"stride{s}": (5, frames.side(s), frames.side(s), c) for s, c in zip(frames.strides, frames.channels, strict=True)
    }
    levels = {name: rng.normal(size=shape) for name, shape in shapes.items()}
    return jax.tree.map(jnp.float32, (levels, rng.normal(size=(4, sound.features))))


@pytest.mark.parametrize("size", [64, 256])
@pytest.mark.parametrize("decision", ["argmax", "positive"])
def test_audio_switch_equals_float64_numpy(make_case, size, decision):
    config = SwitchConfig(deconv_width=6, decision=decision)
    seen = set()
    for seed in range(6):
        case = make_case(lambda *encoders, rngs: AudioSwitch(config, *encoders, rngs=rngs), size, seed=seed)
        phi, aux = jax.jit(case.apply)(case.variables, case.features, case.audio, FRAGMENTS)
        assert phi.shape == (3, 2) and phi.dtype == jnp.float32
        for b, node in np.ndindex(3, 2):
            vector = case.audio[FRAGMENTS.audio[b, node]]
            off, on = switch_logits(case.flat, config, case.features["stride32"], FRAGMENTS.frames[b, node], vector)
            np.testing.assert_allclose(aux["logits"][b, node], [off, on], atol=1e-4)
            expected_phi = on > off if decision == "argmax" else on > 0
            assert phi[b, node] == expected_phi
            seen.add((bool(on > off), bool(on > 0)))
        np.testing.assert_allclose(aux["maps"].mean((1, 2)).reshape(3, 2, 2), aux["logits"], atol=1e-5)
    assert {(True, False), (False, True)} & seen  # the two decisions were told apart


def test_the_trained_switch_multiplies_the_fragments_own(structure, variables):
    rng = np.random.default_rng(0)
    features, audio = made_up(structure, rng)

    @jax.jit
    def run(variables, fragments):
        def call(method, *args):
            return structure.apply(variables, method, *args)

        phi, switch = call(lambda net, *args: net.switch(*args), features, audio, fragments)
        by_hand = dataclasses.replace(fragments, switch=fragments.switch * phi)
        expected, _ = call(lambda net, *args: net.nets["sta"](*args), features, audio, by_hand)
        both = {"sta": fragments, "seen": fragments}
        (heard, aux), (silent, _) = (call(Network.__call__, features, sound, both) for sound in (audio, None))
        return phi, expected, heard, silent, aux["sta"]["phi"], switch["logits"]

    variables, logits = jax.tree.map(np.copy, variables), run(variables, FRAGMENTS)[-1]
    variables["switch"]["classifier"]["bias"][0] += np.median(logits[..., 1] - logits[..., 0])  # one in two is open
    phi, expected, heard, silent, heeded, _ = run(variables, FRAGMENTS)
    np.testing.assert_array_equal(heeded, phi * FRAGMENTS.switch)
    assert set(heard) == {"sta", "seen"} and heard["sta"].shape == (3, 2, 16, 16)
    assert 0 < phi.sum() < 6  # open for some fragments, closed for others
    np.testing.assert_allclose(heard["sta"], expected, atol=1e-5)
    np.testing.assert_allclose(heard["seen"], silent["seen"], atol=1e-5)
    shut = np.asarray(phi * FRAGMENTS.switch) == 0
    np.testing.assert_allclose(heard["sta"][shut], silent["sta"][shut], atol=1e-5)
    assert (np.abs(heard["sta"] - silent["sta"]).max((2, 3))[~shut] > 1e-3).all()


def test_frames_encoded_once_and_gathered_equal_frames_encoded_for_each_fragment(structure, variables):
    rng = np.random.default_rng(1)
    views = rng.integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    windows = rng.uniform(-1, 1, (4, 1600)).astype(np.float32)
    rows, sounds = np.asarray(FRAGMENTS.frames), np.asarray(FRAGMENTS.audio)
    own = dataclasses.replace(
        FRAGMENTS, frames=jnp.arange(rows.size).reshape(rows.shape), audio=jnp.arange(sounds.size).reshape(sounds.shape)
    )

    @jax.jit
    def maps(views, windows, fragments):
        features = structure.apply(variables, Network.encode_frames, views)
        audio = structure.apply(variables, Network.encode_audio, windows)
        return structure.apply(variables, Network.__call__, features, audio, {"sta": fragments})[0]["sta"]

    separate = maps(views[rows.reshape(-1)], windows[sounds.reshape(-1)], own)
    np.testing.assert_allclose(maps(views, windows, FRAGMENTS), separate, atol=1e-6)


def test_initialise_is_a_function_of_the_seed():
    structure = Structure(dataclasses.replace(TINY, nets={"s": ("classifier", ClassifierConfig.tiny("s"))}, switch=None))
    one, again, other = (structure.initialise(seed) for seed in (0, 0, 1))
    assert jax.tree.structure(one) == jax.tree.structure(structure.shapes)
    for first, same, different, shape in zip(*map(jax.tree.leaves, (one, again, other, structure.shapes)), strict=True):
        np.testing.assert_array_equal(first, same)
        assert (first.shape, first.dtype) == (shape.shape, shape.dtype)
        assert len(np.unique(first)) == 1 or np.any(first != different)  # biases begin as one number


def test_nets_say_what_the_engine_asks(structure):
    listening = {name: config.use_sound for name, (_, config) in TINY.nets.items()}
    for name, net in structure.module.nets.items():
        assert net.listens == listening[name] and net.span.nodes == ((-1, 0, 1),)
        assert net.output_size == (TINY.nets[name][1].output_size or (TINY.size, TINY.size))


def test_nets_with_banks_read_each_its_own():
    """Company of two nets that share the encoders, gathered from banks that `nodes` made, equals company at hand."""
    nets = {
        "long": ("STA+", STAPlusConfig.tiny("long")),
        "cross": ("classifier+", CompanyClassifierConfig.tiny("sa", "cross", classes=5)),
    }
    structure = Structure(dataclasses.replace(TINY, nets=nets))
    rng = np.random.default_rng(0)
    variables = jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), structure.shapes)
    features, audio = made_up(structure, rng)
    own, others = (Fragments.of(rng.integers(5, size=(*b, 3)), rng.integers(4, size=b)) for b in ((2, 1), (1, 6)))
    rows = {"long": jnp.array([[0, 5], [2, 2]]), "cross": jnp.array([[3, 1], [4, 0]])}

    @jax.jit
    def run():
        banks = structure.apply(variables, Network.nodes, features, audio, dict.fromkeys(nets, others))
        beside = {f"{name}.bank": bank[0] for name, bank in banks.items()}
        in_banks = {name: dataclasses.replace(own, company=rows[name]) for name in nets}
        at_hand = {
            name: jax.tree.map(lambda x, more, name=name: jnp.concatenate([x, more[0][rows[name]]], 1), own, others)
            for name in nets
        }
        far, _ = structure.apply(variables, Network.__call__, features | beside, audio, in_banks)
        return far, structure.apply(variables, Network.__call__, features, audio, at_hand)[0], banks

    far, near, banks = run()
    assert banks["long"].shape == (1, 6, 8, 8, 4) and banks["cross"].shape == (1, 6, 8, 8, 8)
    np.testing.assert_allclose(far["cross"], near["cross"], atol=1e-5)
    np.testing.assert_allclose(far["long"], near["long"][:, :1], atol=1e-5)


EVERY_KIND = {
    **{f"{s} {size}": ("classifier", getattr(ClassifierConfig, size)(s, 5)) for s in SOURCES for size in SIZES},
    **{
        f"{s}+ {granularity} {size}": ("classifier+", getattr(CompanyClassifierConfig, size)(s, granularity, 5))
        for s in SOURCES
        for granularity in ("short", "long", "cross")
        for size in SIZES
    },
    **{f"STA {size}": ("STA", getattr(STAConfig, size)()) for size in SIZES},
    **{f"STA+ {g} {size}": ("STA+", getattr(STAPlusConfig, size)(g)) for g in ("short", "long") for size in SIZES},
    "other choices": ("classifier", ClassifierConfig("sa", switch_position="inside", audio_fuse="bilinear", head=3)),
    "other levels": ("STA", STAConfig(stride=16, strides=(8,), fuse_spatial=True, use_sound=False)),
    **{kind: (kind, config()) for kind, (_, config) in NETS.items() if kind.startswith("released.")},
}


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(),
        TINY,
        dataclasses.replace(TINY, hop=0.1, size=128, switch=None),
        NetworkConfig(nets={}, switch=SwitchConfig.lite()),
        NetworkConfig(nets=EVERY_KIND, switch=SWITCHES["released"][1]()),
    ],
)
def test_config_survives_json(config):
    text = json.dumps(config.to_json())
    assert NetworkConfig.from_json(json.loads(text)) == config


def test_every_kind_of_net_is_among_those_that_survive_json():
    assert {kind for kind, _ in EVERY_KIND.values()} == set(NETS)


@pytest.mark.parametrize(
    ("encoders", "nets", "sides"),
    [
        (("vgg16", "vggsound"), {s: ("classifier", ClassifierConfig.paper(s)) for s in SOURCES}, (8, None)),
        (("efficientnet_lite0", "yamnet"), {s: ("classifier", ClassifierConfig.lite(s)) for s in SOURCES}, (8, None)),
        (
            ("vgg16_d1", "vggsound"),
            {s: ("classifier+", CompanyClassifierConfig.paper(s, "long")) for s in SOURCES}
            | {"STA+": ("STA+", STAPlusConfig.paper())},
            (32, 32),
        ),
        (
            ("efficientnet_lite0", "yamnet"),
            {s: ("classifier+", CompanyClassifierConfig.lite(s, "long")) for s in SOURCES}
            | {"STA+": ("STA+", STAPlusConfig.lite())},
            (8, 16),
        ),
    ],
    ids=["paper", "lite", "paper, company", "lite, company"],
)
def test_named_sizes_fit_their_encoders_and_give_the_shapes_of_the_paper(encoders, nets, sides):
    """At 256 px: s of 8x8 (section 3.3) and nodes of 28x32x32 (Eq. 10) in the paper's size. Nothing is computed.

    sides: of class maps, and of the nodes of STA+.
    """
    structure = Structure(NetworkConfig(*encoders, nets=nets))
    fragments = Fragments.of(np.zeros((2, 3, 3)), np.zeros((2, 3)))
    frames, sound = structure.module.frames, structure.module.sound
    levels = {
        f"stride{stride}": jax.ShapeDtypeStruct((4, frames.side(stride), frames.side(stride), c), jnp.float32)
        for stride, c in zip(frames.strides, frames.channels, strict=True)
    }
    audio = jax.ShapeDtypeStruct((4, sound.features), jnp.float32)

    def predict(variables, levels, audio):
        return structure.apply(variables, Network.__call__, levels, audio, dict.fromkeys(nets, fragments))

    predictions, aux = jax.eval_shape(predict, structure.shapes, levels, audio)
    for name in nets:
        side = sides[name == "STA+"]
        if name == "STA+":
            assert predictions[name].shape == (2, 3, *structure.module.nets[name].output_size)
        else:
            assert predictions[name].shape == (2, 3, 28) and aux[name]["class_maps"].shape == (2, 3, side, side, 28)
        if sides[1]:
            assert aux[name]["nodes"].shape == (2, 3, side, side, 28)


def test_named_sizes_are_the_settled_choices_of_the_paper():
    paper = STAConfig.paper()
    assert (paper.stride, paper.strides, paper.width) == (32, (16, 8), 32)
    assert (paper.switch_position, paper.fuse_spatial) == ("outside", False)
    assert paper.use_temporal and paper.use_sound


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nets": {"x": {"kind": "SAT"}}}, f"net 'x' is of the unknown kind 'SAT'; known: {', '.join(NETS)}"),
        ({"nets": {"x": {}}}, f"net 'x' is of the unknown kind None; known: {', '.join(NETS)}"),
        ({"nets": {"x": {"kind": "STA", "depth": 3, "a": 1}}}, "STAConfig has no field a, depth; written by a newer version?"),
        ({"switch": {"gain": 1}}, "SwitchConfig has no field gain; written by a newer version?"),
        ({"nets": {}, "switch": None}, "a network without nets predicts nothing; name at least one under 'nets'"),
        ({"nets": {"switch": {"kind": "STA"}}}, "a net cannot be called 'switch'; that is the audio switch's name"),
        ({"switch": {"kind": "dip"}}, f"the switch is of the unknown kind 'dip'; known: {', '.join(SWITCHES)}"),
        ({"fps": 25}, "NetworkConfig has no field fps; written by a newer version?"),
    ],
)
def test_an_unknown_kind_or_field_is_one_line(change, message):
    with pytest.raises(ValueError) as caught:
        NetworkConfig.from_json({**TINY.to_json(), **change})
    assert str(caught.value) == message


def test_named_sizes_of_the_switch_fit_their_encoders():
    assert SwitchConfig() == SwitchConfig.paper() and SwitchConfig.paper().deconv_width == 512
    for config in (SwitchConfig.paper(), SwitchConfig.lite()):
        deconv = Structure(NetworkConfig(switch=config)).shapes["switch"]["branch"]["sound"]["deconv"]["layers"]
        assert [deconv[key]["kernel"].shape[2] for key in sorted(deconv)] == [config.deconv_width, config.deconv_width, 320]
    assert "switch" in Structure(dataclasses.replace(TINY, switch=SwitchConfig.tiny())).shapes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": "resnet"}, "unknown encoder 'resnet'; known: "),
        ({"sound": "ear"}, "unknown encoder 'ear'; known: "),
        ({"switch": dataclasses.replace(SwitchConfig.tiny(), decision="max")}, "decision 'max'; known: argmax, positive"),
        ({"switch": SwitchConfig(stride=64)}, "a branch reads stride 64; the encoder has (8, 16, 32)"),
    ],
)
def test_a_config_of_parts_that_do_not_exist_is_one_line(change, message):
    with pytest.raises(ValueError) as caught:
        Structure(dataclasses.replace(TINY, **change))
    assert str(caught.value).startswith(message) and "\n" not in str(caught.value)
