"""S+, ST+, SA+ and STA+ against the equations in float64 NumPy, whole, with every granularity, and what must hold of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from restatement import class_logits, classified, node, read_out, reasoned

from stajax.models.classifiers import CompanyClassifier, CompanyClassifierConfig
from stajax.models.fixation import STAPlus, STAPlusConfig
from stajax.models.fragments import ONE_FRAME, STA_SPAN, short_span

PLUS = CompanyClassifierConfig(stride=8, deconv_width=3, width=4, classes=6)
FIXATIONS = STAPlusConfig(deconv_width=3, width=4, readout=3, output_size=(20, 12))
NETS = {
    "S+": dataclasses.replace(PLUS, source="s"),
    "S+ with one, one step": dataclasses.replace(PLUS, source="s", company=1, steps=1),
    "S+ without reasoning": dataclasses.replace(PLUS, source="s", steps=0),
    "S+ with positive maps": dataclasses.replace(PLUS, source="s", positive=True),
    "S+, other thresholds": dataclasses.replace(PLUS, source="s", threshold=0.5, rate=0.2),
    "ST+": dataclasses.replace(PLUS, source="st"),
    "ST+ with three, without the refine layer": dataclasses.replace(PLUS, source="st", company=3, refine=False),
    "SA+": dataclasses.replace(PLUS, source="sa"),
    "SA+, not rectified, by addition": dataclasses.replace(PLUS, source="sa", rectify=False, audio_fuse="addition"),
    "SA+ at stride 16, switch inside": dataclasses.replace(PLUS, source="sa", stride=16, switch_position="inside"),
    "CAM_sta+": dataclasses.replace(PLUS, source="sta", company=3, steps=1),
    "STA+": FIXATIONS,
    "STA+ with one, to the view's own size": dataclasses.replace(FIXATIONS, company=1, output_size=None),
    "STA+ with three, switch inside, with the plain s": dataclasses.replace(
        FIXATIONS, company=3, switch_position="inside", fuse_spatial=True
    ),
    "STA+ without reasoning, no sound": dataclasses.replace(FIXATIONS, steps=0, use_sound=False),
    "STA+, one step, no motion": dataclasses.replace(FIXATIONS, steps=1, refine=False, use_temporal=False),
}
KINDS = ("S+", "ST+", "SA+", "STA+")  # one of every source, with the settled choices


@pytest.fixture(scope="module")
def net(make_case):
    """By its name in NETS and a granularity: a call gives the prediction and aux of fragments. Each is made once."""

    @functools.cache
    def made(name, granularity="short"):
        config = dataclasses.replace(NETS[name], granularity=granularity)
        kind = STAPlus if isinstance(config, STAPlusConfig) else CompanyClassifier
        size = 128 if config.stride == 16 else 64
        case = make_case(lambda *encoders, rngs: kind(config, *encoders, rngs=rngs), size, frames=9)
        forward = jax.jit(functools.partial(case.apply, case.variables), static_argnames="method")

        def call(fragments, method="__call__", **more):
            return jax.tree.map(np.asarray, forward(case.features | more, case.audio, fragments, method=method))

        call.case, call.config, call.fragments = case, config, case.fragments(2, 1 + config.company)
        return call

    return made


def in_float64(call, fragments):
    """h⁰, h^m, and the predictions of all nodes: class maps, or logits of fixations."""
    case, config = call.case, call.config
    nodes = case.of_each(functools.partial(node, case.flat, config), fragments, config.stride)
    states = np.stack([reasoned(case.flat, config, item) for item in nodes])
    if not isinstance(config, STAPlusConfig):
        return nodes, states, np.stack([[classified(case.flat, config, h) for h in item] for item in states])
    spatial = case.of_each(lambda level, triplet, *_: level[triplet[1]], fragments, config.stride)
    read = functools.partial(read_out, case.flat, output_size=config.output_size or (64, 64))
    return nodes, states, np.stack([list(map(read, *item)) for item in zip(states, spatial, strict=True)])


def close(actual, expected):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", NETS)
def test_a_net_with_company_equals_its_equations_in_float64(net, name):
    call = net(name)
    prediction, aux = call(call.fragments)
    nodes, states, expected = in_float64(call, call.fragments)
    close(aux["nodes"], nodes)
    if isinstance(call.config, STAPlusConfig):
        close(aux["states"], states)
        close(prediction, expected)
    else:
        close(aux["class_maps"], expected)
        close(prediction, class_logits(call.case.flat, call.config, expected))
    assert expected.std((2, 3)).min() > 1e-3  # no constant maps


@pytest.fixture(scope="module")
def both(net):
    """By its name in NETS: a net with long-term company, fragments with that at hand, the same with it in a bank, the bank."""

    @functools.cache
    def made(name):
        call = net(name, "long")
        others, own = call.case.fragments(1, 5, seed=1), call.case.fragments(2, 1, seed=2)
        rows = jnp.array([[4, 1], [1, 3]])
        company = jax.tree.map(lambda x: x[0][rows], others)
        at_hand = jax.tree.map(lambda one, more: jnp.concatenate([one, more], axis=1), own, company)
        bank = call(others, method="nodes")[0]
        return call, at_hand, dataclasses.replace(own, company=rows), bank

    return made


@pytest.mark.parametrize("name", KINDS)
def test_company_in_a_bank_equals_company_at_hand_and_float64(both, name):
    call, at_hand, in_bank, bank = both(name)
    prediction, aux = call(in_bank, bank=bank)
    near, near_aux = call(at_hand)
    _, states, expected = in_float64(call, at_hand)
    close(aux["nodes"], near_aux["nodes"])
    if name == "STA+":
        assert near.shape == (2, 3, 20, 12) and prediction.shape == (2, 1, 20, 12)  # a bank has no S to read its rows out with
        close(prediction, near[:, :1])
        close(near, expected)
        close(aux["states"], states)
    else:
        close(prediction, near)
        close(near_aux["class_maps"], expected)


@pytest.mark.parametrize("name", KINDS)
def test_only_the_rows_that_are_named_enter_from_a_bank(both, name):
    call, _, in_bank, bank = both(name)
    other = bank.copy()
    other[[0, 2]] = 7
    np.testing.assert_array_equal(call(in_bank, bank=other)[0], call(in_bank, bank=bank)[0])
    other[1] = 7
    assert np.abs(call(in_bank, bank=other)[0] - call(in_bank, bank=bank)[0])[:, 0].max(axis=-1).min() > 1e-4


@pytest.mark.parametrize("name", KINDS)
def test_the_order_of_the_company_does_not_change_the_target(both, net, name):
    call = net(name)
    order = np.array([0, 2, 1])
    prediction, swapped = call(call.fragments)[0], call(jax.tree.map(lambda x: x[:, order], call.fragments))[0]
    np.testing.assert_allclose(swapped, prediction[:, order], atol=1e-5)
    assert np.abs(prediction[:, 1] - prediction[:, 2]).max() > 1e-3
    call, _, in_bank, bank = both(name)
    swapped = call(dataclasses.replace(in_bank, company=in_bank.company[:, ::-1]), bank=bank)[0]
    np.testing.assert_allclose(swapped[:, 0], call(in_bank, bank=bank)[0][:, 0], atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_reasoning_brings_the_company_to_the_target(net, name):
    call = net(name)
    frames = call.fragments.frames
    other = dataclasses.replace(call.fragments, frames=frames.at[:, 1:].set((frames[:, 1:] + 1) % 9))
    assert np.abs(call(other)[0][:, 0] - call(call.fragments)[0][:, 0]).max() > 1e-3


def test_without_reasoning_the_nodes_are_concatenated(net):
    """Their equation is held to above; here: no C-GCN, and the company enters."""
    for name in ("S+ without reasoning", "STA+ without reasoning, no sound"):
        call = net(name)
        frames = call.fragments.frames
        other = dataclasses.replace(call.fragments, frames=frames.at[:, 1:].set((frames[:, 1:] + 1) % 9))
        assert np.abs(call(other)[0][:, 0] - call(call.fragments)[0][:, 0]).max() > 1e-3
        assert call.case.net.company.cgcn is None


@pytest.mark.parametrize("name", NETS)
def test_a_net_with_company_says_what_the_engine_asks(net, name):
    config = NETS[name]
    moves = config.source in ("st", "sta") and config.use_temporal
    hears = config.source in ("sa", "sta") and config.use_sound
    for granularity in ("short", "long", "cross"):
        module, short = net(name, granularity).case.net, granularity == "short"
        assert module.span == (short_span(moves, config.company) if short else STA_SPAN if moves else ONE_FRAME)
        assert module.bank == (0 if short else config.company)
        assert module.listens == module.switched == hears
        assert module.levels == (f"stride{config.stride}",)
        assert module.predicts == ("fixations" if name.startswith("STA+") else "classes")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"granularity": "medium"}, "granularity 'medium'; known: short, long, cross"),
        ({"company": 0}, "0 nodes of company, 3 steps; at least 1 and 0 are needed"),
        ({"steps": -1}, "2 nodes of company, -1 steps; at least 1 and 0 are needed"),
    ],
)
@pytest.mark.parametrize("config", [PLUS, FIXATIONS])
def test_a_graph_that_cannot_be_is_one_line(config, fields, message):
    with pytest.raises(ValueError) as caught:
        dataclasses.replace(config, **fields)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"source": "v"}, "source 'v'; known: s, st, sa, sta"),
        ({"stride": 4}, "a branch reads stride 4; the encoder has (8, 16, 32)"),
    ],
)
@pytest.mark.parametrize(("kind", "config"), [(CompanyClassifier, PLUS), (STAPlus, FIXATIONS)])
def test_a_branch_that_cannot_be_is_one_line(make_case, kind, config, fields, message):
    with pytest.raises(ValueError) as caught:  # `match` would see the note that JAX adds, too
        make_case(lambda *encoders, rngs: kind(dataclasses.replace(config, **fields), *encoders, rngs=rngs), 64)
    assert str(caught.value) == message
