"""S, ST, SA and CAM_sta, and the fuses of Table 3, against the equations in float64 NumPy, and what must hold of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from restatement import STRIDES, class_logits, class_maps, deconvolutions

from stajax.encoders.params import flatten
from stajax.models.classifiers import Classifier, ClassifierConfig, balance
from stajax.models.classifiers import class_maps as class_maps_of
from stajax.models.fragments import ONE_FRAME, STA_SPAN
from stajax.models.fuse import DECONVOLUTIONS, DeConv

TINY = ClassifierConfig(stride=8, deconv_width=3, width=4, classes=6)
FUSES = ("sa_fuse", "addition", "multiplication", "concatenation", "bilinear")
# name -> size of the views, the parts beside s that enter (v: motion, a: sound), fields of the config
NETS = {
    "S": (64, "", {"source": "s"}),
    "S with three 3x3 convolutions": (64, "", {"source": "s", "head": 3}),
    "S with the refine layer": (64, "", {"source": "s", "refine": True}),
    "S with positive maps": (64, "", {"source": "s", "positive": True}),
    "ST": (64, "v", {"source": "st"}),
    "ST with a 3x3 convolution, stride 16": (128, "v", {"source": "st", "head": 1, "stride": 16}),
    "SA at 384 px, strided deconvolutions": (384, "a", {"source": "sa", "stride": 32}),
    "SA, switch inside": (64, "a", {"source": "sa", "switch_position": "inside"}),
    "SA by addition, switch inside": (64, "a", {"source": "sa", "audio_fuse": "addition", "switch_position": "inside"}),
    **{f"SA by {how}": (64, "a", {"source": "sa", "audio_fuse": how}) for how in FUSES},
    "STA": (64, "va", {"source": "sta"}),
    "STA, switch inside, with the plain s": (64, "va", {"source": "sta", "switch_position": "inside", "fuse_spatial": True}),
    "STA, no motion": (64, "a", {"source": "sta", "use_temporal": False}),
    "STA, no sound": (64, "v", {"source": "sta", "use_sound": False}),
}


@pytest.fixture(scope="module")
def net(make_case):
    """By its name in NETS: a call gives logits and aux of fragments. Each is made and compiled once."""

    @functools.cache
    def made(name):
        size, _, fields = NETS[name]
        config = dataclasses.replace(TINY, **fields)
        case = make_case(lambda *encoders, rngs: Classifier(config, *encoders, rngs=rngs), size)
        forward = jax.jit(functools.partial(case.apply, case.variables))

        def call(fragments, audio=case.audio, features=case.features):
            return jax.tree.map(np.asarray, forward(features, audio, fragments))

        call.case, call.config, call.fragments = case, config, case.fragments(3, 2)
        return call

    return made


def switched(fragments, value):
    return dataclasses.replace(fragments, switch=jnp.full_like(fragments.switch, value))


@pytest.mark.parametrize("name", NETS)
def test_a_classifier_equals_its_equations_in_float64(net, name):
    call = net(name)
    config, case = call.config, call.case
    logits, aux = call(call.fragments)
    expected = case.of_each(functools.partial(class_maps, case.flat, config), call.fragments, config.stride)
    assert logits.shape == (3, 2, 6) and aux["class_maps"].shape == expected.shape
    np.testing.assert_allclose(aux["class_maps"], expected, atol=1e-5 * np.abs(expected).max())
    np.testing.assert_allclose(logits, class_logits(case.flat, config, expected), atol=1e-5 * np.abs(expected).max())
    assert expected.std((2, 3)).min() > 1e-2  # no constant maps
    assert set(aux) == {"s", *NETS[name][1], config.source, "class_maps"}


@pytest.mark.parametrize("name", NETS)
def test_a_classifier_says_what_the_engine_asks(net, name):
    module, (size, parts, _), stride = net(name).case.net, NETS[name], net(name).config.stride
    assert module.span == (STA_SPAN if "v" in parts else ONE_FRAME)
    assert module.listens == module.switched == ("a" in parts)
    assert (module.predicts, module.bank, module.levels) == ("classes", 0, (f"stride{stride}",))
    assert module.output_size == (size // stride,) * 2


@pytest.mark.parametrize("how", FUSES)
def test_a_closed_switch_keeps_the_sound_out_of_every_fuse(net, how):
    call = net(f"SA by {how}")
    closed, other = switched(call.fragments, 0), call.case.audio[::-1] * 5
    np.testing.assert_array_equal(call(closed)[0], call(closed, audio=other)[0])
    np.testing.assert_allclose(call(closed)[0], call(closed, audio=None)[0], atol=1e-6)
    opened = call.fragments.opened()
    assert np.abs(call(opened)[0] - call(opened, audio=other)[0]).max() > 1e-2
    assert np.abs(call(opened)[0] - call(closed)[0]).max() > 1e-2


def test_a_switch_closed_inside_hears_silence(net):
    call = net("SA, switch inside")
    closed, opened = switched(call.fragments, 0), call.fragments.opened()
    np.testing.assert_allclose(call(closed)[0], call(opened, audio=np.zeros_like(call.case.audio))[0], atol=1e-6)
    assert np.abs(call(closed)[0] - call(closed, audio=None)[0]).max() > 1e-3  # σ(bias) is still there


@pytest.mark.parametrize("name", ["S", "SA by sa_fuse", "STA, no motion", "ST", "STA"])
def test_frames_beside_the_middle_one_enter_where_motion_does(net, name):
    call = net(name)
    middle = call.fragments.frames[..., 1]
    still = dataclasses.replace(call.fragments, frames=jnp.stack([middle] * 3, axis=-1))
    difference = np.abs(call(still)[0] - call(call.fragments)[0]).max()
    assert difference > 1e-2 if "v" in NETS[name][1] else difference == 0


def test_nodes_of_a_batch_do_not_mix(net):
    call = net("STA")
    logits, rows = call(call.fragments)[0], np.array([2, 0, 1])
    mixed = jax.tree.map(lambda x: x[rows][:, ::-1], call.fragments)
    np.testing.assert_allclose(call(mixed)[0], logits[rows][:, ::-1], atol=1e-6)


@pytest.mark.parametrize("side", DECONVOLUTIONS)
def test_deconvolutions_equal_float64_at_every_side_that_is_listed(side):
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: DeConv(7, 3, 2, side, rngs=nnx.Rngs(0))))
    rng = np.random.default_rng(side)
    state = jax.tree.map(lambda leaf: rng.normal(0, 0.4, leaf.shape).astype(np.float32), nnx.to_pure_dict(shapes))
    vectors = rng.normal(size=(2, 7)).astype(np.float32)
    p = {f"deconv.{key}": value.astype(np.float64) for key, value in flatten(state).items()}
    expected = np.stack([deconvolutions(p, "deconv", vector.astype(np.float64), STRIDES[side]) for vector in vectors])
    assert expected.shape == (2, side, side, 2)
    actual = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x))(state, vectors)
    np.testing.assert_allclose(actual, expected, atol=1e-5 * np.abs(expected).max())


def one_line(message, case):
    with pytest.raises(ValueError) as caught:  # `match` would see the note that JAX adds, too
        case()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "as"}, "source 'as'; known: s, st, sa, sta"),
        ({"stride": 4}, "a branch reads stride 4; the encoder has (8, 16, 32)"),
        ({"source": "sa", "switch_position": "Inside"}, "switch_position 'Inside'; known: outside, inside"),
        (
            {"source": "sa", "audio_fuse": "sum"},
            "audio_fuse 'sum'; known: sa_fuse, addition, multiplication, concatenation, bilinear",
        ),
    ],
)
def test_a_field_that_does_not_fit_is_one_line(make_case, fields, message):
    config = dataclasses.replace(TINY, **fields)
    one_line(message, lambda: make_case(lambda *encoders, rngs: Classifier(config, *encoders, rngs=rngs), 64))


@pytest.mark.parametrize("source", ["sa", "sta"])
def test_a_source_that_listens_wants_a_sound_encoder(make_case, source):
    config = dataclasses.replace(TINY, source=source)
    deaf = lambda frames, sound, rngs: Classifier(config, frames, None, rngs=rngs)  # noqa: E731
    one_line(f"source {source!r} listens, but this network has no sound encoder", lambda: make_case(deaf, 64))


@pytest.mark.parametrize("classes", [2, 6])
def test_of_positive_maps_each_class_is_as_likely_as_the_others_at_the_start(classes):
    config = dataclasses.replace(TINY, classes=classes, positive=True)
    logits, maps = class_maps_of(lambda x: x, balance(config), jnp.zeros((1, 8, 8, classes)))
    np.testing.assert_allclose(jax.nn.sigmoid(logits), 1 / classes, atol=1e-6)
    assert (maps > 0).all() and balance(dataclasses.replace(config, positive=False)) is None
