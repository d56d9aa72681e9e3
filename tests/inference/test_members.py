"""A model of several networks against its members alone and the fusion, and against calling everything by hand."""

import dataclasses
import functools
import json
import shutil
from collections import Counter

import jax
import numpy as np
import pytest
from commands import bad
from inference.tiny import noise, swelling, variables
from media.made import clip

import stajax
from stajax.encoders import SOUND_ENCODERS
from stajax.encoders.params import WeightsError
from stajax.encoders.tiny import TinySound
from stajax.inference.engine import Engine
from stajax.inference.fusion import FUSIONS
from stajax.inference.stream import Stream
from stajax.media import cut_windows, save_png, squash
from stajax.models import folder
from stajax.models.fixation import STAConfig
from stajax.models.fragments import Fragments
from stajax.models.network import Network, NetworkConfig, Structure
from stajax.models.switch import SwitchConfig

FPS, HOP, COUNT = 10.0, 0.2, 13
FRAMES, SOUND = noise(COUNT, (96, 128)), swelling(COUNT / FPS)
LARGE = dataclasses.replace(STAConfig.tiny(), output_size=(24, 20))


class LongSound(TinySound):
    """A tiny sound encoder of windows twice as long."""

    window = 3200


CONFIGS = {
    "near": NetworkConfig("tiny", "tiny", 64, HOP, nets={"sta": ("STA", STAConfig.tiny())}),
    "far": NetworkConfig("tiny", "tiny_long", 256, HOP, nets={"short": ("STA", LARGE)}),
    "switch": NetworkConfig("tiny", "tiny", 64, HOP, nets={}, switch=SwitchConfig.tiny()),
}


@pytest.fixture(scope="module", autouse=True)
def long_sound():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SOUND_ENCODERS, "tiny_long", f"{__name__}:LongSound")
        yield


@pytest.fixture(scope="module")
def numbers(long_sound):
    """Of each member; the switch's are such that it opens for some frames and not for others."""
    found = {name: variables(Structure(config), seed) for seed, (name, config) in enumerate(CONFIGS.items())}
    bias = found["switch"]["switch"]["classifier"]["bias"]
    bias[0] = 0
    for bias[1] in np.linspace(-6, 6, 241):
        if 0.3 < decisions(found).mean() < 0.7:
            return found
    raise AssertionError("no bias makes the switch decide now so and now so")


@pytest.fixture(scope="module")
def both(tmp_path_factory, numbers):
    """Two nets without a switch."""
    return write(tmp_path_factory.mktemp("models") / "both", numbers, ("near", "far"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory, numbers):
    """Two nets and the switch."""
    return write(tmp_path_factory.mktemp("models") / "whole", numbers, CONFIGS)


def write(path, numbers, names):
    for name in names:
        folder.write(path / name, Structure(CONFIGS[name]), numbers[name], name="tiny", model_card="", dtype="float32")
    folder.write_members(path, list(names), model_card="# Several\n")
    return path


def predict(model):
    return model.predict(FRAMES, sound=SOUND, fps=FPS).maps


load = functools.cache(functools.partial(stajax.load, batch=5))  # of a good folder: compiled once


@pytest.fixture(scope="module")
def alone(both):
    """Maps of each member by itself."""
    return [predict(load(both / name)) for name in ("near", "far")]


def enlarged(maps):
    return jax.image.resize(maps, (len(maps), 24, 20), "bilinear")


@functools.cache
def structure(member):
    return Structure(CONFIGS[member])


@functools.partial(jax.jit, static_argnames=("member", "method"))
def called(member, method, numbers, *args):
    """A method of a member, compiled. What it sees are arguments: XLA sums constants in another order."""
    return structure(member).apply(numbers, getattr(Network, method), *args)


def encoded(member, numbers):
    """Every frame, and every frame's sound window, through a member's encoders: features and vectors."""
    views = np.stack([squash(frame, CONFIGS[member].size) for frame in FRAMES])
    centres = np.floor(np.arange(COUNT) / FPS / HOP + 0.5 + 1e-6) * HOP
    windows = cut_windows(SOUND, centres, structure(member).module.sound.window)
    assert np.abs(windows).max(1).min() > 1e-3  # no window is silent
    return called(member, "encode_frames", numbers[member], views), called(member, "encode_audio", numbers[member], windows)


def fragments(switch):
    t = np.arange(COUNT)
    frames = np.stack([np.maximum(t - 1, 0), t, np.minimum(t + 1, COUNT - 1)], -1)[:, None]
    return Fragments.of(frames, t[:, None], switch)


def decisions(numbers):
    """(COUNT, 1): what the switch says for each frame."""
    return called("switch", "decide", numbers["switch"], *encoded("switch", numbers), fragments(np.ones((COUNT, 1))))


def by_hand(numbers, switch):
    """Maps of both nets, everything called once for the whole clip, with the switch (COUNT, 1) given."""
    maps = []
    for member, net in (("near", "sta"), ("far", "short")):
        features, vectors = encoded(member, numbers)
        logits, _ = called(member, "__call__", numbers[member], features, vectors, {net: fragments(switch)})
        maps.append(jax.nn.sigmoid(logits[net][:, 0]))
    return maps


def test_maps_of_members_are_the_fusion_of_the_members_alone(both, alone):
    near, far = alone
    assert (near.shape, far.shape) == ((COUNT, 16, 16), (COUNT, 24, 20))
    expected = FUSIONS["paper"]([enlarged(near), far])
    model = load(both)
    assert model.output_size == (24, 20) and model.model_card == "# Several\n" and len(model.members) == 2
    np.testing.assert_allclose(predict(model), expected, atol=2e-6)


def test_the_members_alone_equal_calling_them_by_hand(alone, numbers):
    for found, expected in zip(alone, by_hand(numbers, np.ones((COUNT, 1))), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)
        assert np.ptp(expected, axis=0).max() > 1e-2  # the frames differ


def test_the_switch_of_one_member_multiplies_the_others_by_hand(whole, both, numbers):
    phi = np.asarray(decisions(numbers))
    assert set(np.unique(phi)) == {0, 1}
    near, far = by_hand(numbers, phi)
    found, open_ = predict(load(whole)), predict(load(both))
    np.testing.assert_allclose(found, FUSIONS["paper"]([enlarged(near), far]), atol=3e-5)
    closed = phi[:, 0] == 0
    np.testing.assert_allclose(found[~closed], open_[~closed], atol=2e-6)
    assert np.abs(found[closed] - open_[closed]).max((1, 2)).min() > 1e-3


def test_without_sound_the_switch_changes_nothing(whole, both):
    np.testing.assert_array_equal(*(load(path).predict(FRAMES, fps=FPS).maps for path in (whole, both)))


def test_one_net_is_picked_and_the_other_network_stays_away(both, alone):
    model = load(both, nets="short")
    np.testing.assert_array_equal(predict(model), alone[1])
    assert (model.engine.sizes, model.engine.windows, len(model.engine.variables)) == ([256], [3200], 1)


def test_the_push_api_equals_predict_however_it_is_cut(whole):
    model = load(whole)
    stream, parts = model.stream(fps=FPS, sound=True), []
    for start in range(0, COUNT, 4):
        block = SOUND[round(start / FPS * 16000) : round((start + 4) / FPS * 16000)]
        parts.append(stream.push(FRAMES[start : start + 4], sound=block))
    parts.append(stream.finish())
    np.testing.assert_array_equal(np.concatenate([part.maps for part in parts]), predict(model))


def test_each_network_encodes_each_frame_and_each_window_once(whole, monkeypatch):
    """Counted where the encoders run, by what they are given."""
    seen = Counter()
    frames, audio = Structure.encode_frames, Network.encode_audio

    def count(kind, config):
        name = next(name for name, known in CONFIGS.items() if known == config)
        return lambda batch: seen.update({(kind, name): sum(1 for item in batch if item.any())})

    def encode_frames(self, numbers, views):
        jax.debug.callback(count("frames", self.config), views)
        return frames(self, numbers, views)

    def encode_audio(self, windows):
        jax.debug.callback(count("windows", self.config), windows)
        return audio(self, windows)

    monkeypatch.setattr(Structure, "encode_frames", encode_frames)
    monkeypatch.setattr(Network, "encode_audio", encode_audio)
    members = folder.members(whole)
    engine = Engine([(member.structure, member.variables) for member in members], batch=1)
    stream = Stream(engine, fps=FPS, sound=True)
    stream.push(FRAMES, sound=SOUND)
    stream.finish()
    jax.effects_barrier()
    windows = 1 + int((COUNT - 1) / FPS / HOP + 0.5)
    assert stream.views_encoded == COUNT and stream.windows_encoded == windows
    assert seen == {(kind, name): n for kind, n in (("frames", COUNT), ("windows", windows)) for name in CONFIGS}


def test_a_file_equals_its_arrays(whole, tmp_path):
    """The whole way, from a file that is decoded."""
    save_png(tmp_path / "a.png", FRAMES[0])
    model = load(whole)
    np.testing.assert_array_equal(model.predict(tmp_path / "a.png").maps, model.predict(FRAMES[:1]).maps)


# Bad folders


@pytest.fixture
def changed(both, tmp_path):
    return shutil.copytree(both, tmp_path / "model")


def one_line(error, call, *parts):
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


def edit(path, **changes):
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(config | changes))


def test_two_members_with_a_net_of_one_name(changed):
    edit(changed, members=["near", "near"])
    one_line(ValueError, lambda: stajax.load(changed), "several networks of this model have a net called sta")


def test_two_switches(whole, tmp_path):
    model = shutil.copytree(whole, tmp_path / "model")
    shutil.copytree(model / "switch", model / "other")
    edit(model, members=["near", "switch", "other"])
    one_line(ValueError, lambda: stajax.load(model), "2 audio switches in this model; it can have one")


def test_a_switch_alone(whole):
    one_line(ValueError, lambda: stajax.load(whole / "switch"), "this model is an audio switch alone; it predicts no fixations")


def test_a_broken_member_is_named(changed):
    file = changed / "far/params/nets/short.npz"
    file.write_bytes(file.read_bytes()[:100])
    one_line(WeightsError, lambda: stajax.load(changed), f"{file}: not a readable .npz")


def test_a_missing_member_is_named(changed):
    shutil.rmtree(changed / "far")
    one_line(WeightsError, lambda: stajax.load(changed), str(changed / "far"), "no such model folder")


def test_a_member_that_holds_members_itself(changed):
    shutil.move(changed / "far", changed / "near/far")
    (changed / "far").mkdir()
    edit(changed / "near")
    folder.write_members(changed / "far", ["near"])
    one_line(WeightsError, lambda: stajax.load(changed), f"{changed / 'far'}: holds several networks (near)")


@pytest.mark.parametrize("members", [[], "near", [3], ["../near"], ["/near"], None])
def test_members_that_are_no_list_of_names(changed, members):
    edit(changed, members=members)
    one_line(WeightsError, lambda: stajax.load(changed), "config.json: members must list the folders inside this one")


def test_reading_one_network_of_several_names_them(both):
    one_line(WeightsError, lambda: folder.read(both), "both: holds several networks (near, far); name one of its folders")


def test_the_command_picks_nets_and_tells_what_is_wrong_in_one_line(both, changed, tmp_path):
    film = clip(tmp_path / "a.mp4", n=3)
    command = ["predict", film, "-o", tmp_path / "out", "--weights"]
    assert bad(*command, both, "--nets", "sta,long") == "stajax: no net long in this model; it has sta, short"
    assert bad(*command, both, "--fusion", "mean") == "stajax: unknown fusion 'mean'; known: paper, paper_agg, released_max"
    edit(changed, members=["near", "near"])
    assert bad(*command, changed) == "stajax: several networks of this model have a net called sta"
    assert not (tmp_path / "out").exists()
