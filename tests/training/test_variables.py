"""What is trained and what stays, what a run starts from, norms, and the audio switch that a net heeds."""

import dataclasses

import jax
import numpy as np
import pytest
from training.small import quick, ready, small

from stajax.encoders import FRAME_ENCODERS
from stajax.encoders.params import WeightsError, flatten, write_params
from stajax.models import folder
from stajax.models.network import Network, Structure
from stajax.training.config import ConfigError
from stajax.training.data import label_weights, with_classes
from stajax.training.tasks import forward
from stajax.training.train import train
from stajax.training.variables import heeds_switch, initial, is_trained, merge, network_config, split


def structure_of(config) -> Structure:
    return Structure(network_config(with_classes(config)))


def random_model(path, config, seed=0):
    """A folder of normal numbers in a stage's net, on its own encoders."""
    structure = structure_of(config)
    rng = np.random.default_rng(seed)
    own = {
        part: jax.tree.map(lambda x: rng.normal(0, 0.6, x.shape).astype(np.float32), shapes)
        for part, shapes in structure.shapes.items()
        if part not in ("frames", "sound")
    }
    folder.write(path, structure, merge(initial(config, structure), own), dtype="float32")
    return path


@pytest.mark.parametrize(
    ("freeze", "trained"),
    [
        ((), {"frames", "sound", "nets"}),
        (("frames", "sound"), {"nets"}),
        (("sound", r"frames\.convs\.[12]"), {"frames.convs.0", "nets"}),
        ((".*kernel",), {"bias"}),
        (("convs",), {"frames", "sound", "nets"}),  # patterns match at the beginning of a path
    ],
)
def test_patterns_freeze_what_begins_with_them(places, freeze, trained):
    structure = structure_of(small("sa", places))
    chosen = is_trained(structure, freeze, False)
    assert chosen.keys() == flatten(structure.shapes).keys()
    for path, value in chosen.items():
        assert value == any(path.startswith(name) or path.endswith(name) for name in trained), path


def test_parts_are_split_and_merged_again():
    tree = {"frames": {"convs": {0: {"kernel": 1}, 1: {"kernel": 2}}}, "nets": {"S": {"bias": 3}}}
    chosen = {"frames.convs.0.kernel": True, "frames.convs.1.kernel": False, "nets.S.bias": True}
    one, other = split(tree, chosen)
    assert one == {"frames": {"convs": {0: {"kernel": 1}}}, "nets": {"S": {"bias": 3}}}
    assert other == {"frames": {"convs": {1: {"kernel": 2}}}}
    assert merge(one, other) == tree
    assert merge(tree, {"nets": {"S": {"bias": 4}}})["nets"] == {"S": {"bias": 4}}


def test_a_run_starts_from_the_seed_and_its_encoders_do_not(places):
    config, other = small("sa", places), small("sa", places, seed=1)
    structure = structure_of(config)
    one, again, another = (flatten(initial(c, structure)) for c in (config, config, other))
    for path, x in one.items():
        np.testing.assert_array_equal(x, again[path])
        if path.startswith(("frames", "sound")):
            np.testing.assert_array_equal(x, another[path])
    assert any((x != another[path]).any() for path, x in one.items())


def test_a_run_starts_from_a_model_where_that_fits(places, tmp_path):
    """The classifier of other classes keeps its random numbers; a net of another name has nothing in common."""
    config = small("sa", places, net__classes=3)
    model = random_model(tmp_path / "model", config, seed=5)
    theirs = flatten(folder.read(model).variables)
    wider = small("sa", places, net__classes=4, init=str(model))
    structure = structure_of(wider)
    fresh = flatten(initial(small("sa", places, net__classes=4), structure))
    for path, x in flatten(initial(wider, structure)).items():
        own = ".classifier." in path or path == "nets.SA.bias"
        np.testing.assert_array_equal(x, fresh[path] if own else theirs[path], err_msg=path)
    strange = small("st", places, net__classes=3, init=str(model))
    with pytest.raises(WeightsError, match=r"^init=.*model: nothing of its nets fits this one$"):
        initial(strange, structure_of(strange))


def test_encoders_take_their_weights_from_where_the_configuration_says(places, tmp_path):
    structure = structure_of(small("s", places))
    numbers = jax.tree.map(lambda x: np.full(x.shape, 0.5, np.float32), structure.shapes["frames"])
    write_params(tmp_path / "converted/params/frames.npz", numbers, dtype="float32")
    for place in (tmp_path / "converted", tmp_path / "converted/params/frames.npz"):
        found = initial(small("s", places, model__frames_weights=str(place)), structure)
        assert all((x == 0.5).all() for x in jax.tree.leaves(found["frames"]))

    def message(place):
        with pytest.raises(WeightsError) as caught:
            initial(small("s", places, model__frames_weights=place), structure)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    assert message("").startswith("model.frames_weights: where are the weights of tiny? `stajax weights` lists")
    assert "nowhere" in message(str(tmp_path / "nowhere"))
    assert "0 files in params/; the folder of one converted encoder is needed" in message(str(tmp_path))
    write_params(tmp_path / "other.npz", {"convs": {0: numbers["convs"][0]}}, dtype="float32")
    assert "these weights are not for this net: 4 missing" in message(str(tmp_path / "other.npz"))


# Norms.


@pytest.fixture
def normed(monkeypatch):
    monkeypatch.setitem(FRAME_ENCODERS, "normed", "training.normed:Normed")


@pytest.mark.usefixtures("normed")
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_trained_norms_use_the_batch_and_move_as_flax_does(places, dtype):
    """Statistics of the whole batch, in float32 whatever the computation is in: 0.99 old + 0.01 new, written out in float64."""
    made = ready(small("s", places, model__frames="normed", model__norm="trained", dtype=dtype, freeze=("sound",)))
    old = flatten(made.state["statistics"])
    assert set(old) == {"frames.norm.mean", "frames.norm.var"}
    state, measured = made.step(made.state, made.fixed, made.batch)
    conv = flatten(made.state["trained"])
    squares = made.batch["views"].reshape(8, 8, 8, 8, 8, 3).astype(np.float64).mean((2, 4)) / 64
    x = squares @ np.float64(conv["frames.conv.kernel"][0, 0]) + conv["frames.conv.bias"]
    expected = {"mean": 0.99 * old["frames.norm.mean"] + 0.01 * x.mean((0, 1, 2))}
    expected["var"] = 0.99 * old["frames.norm.var"] + 0.01 * x.var((0, 1, 2))
    for name, moved in flatten(state["statistics"]).items():
        name = name.rpartition(".")[2]
        assert moved.dtype == np.float32
        far = np.abs(expected[name] - old[f"frames.norm.{name}"])
        assert (np.abs(moved - expected[name]) < (1e-4 if dtype == "float32" else 0.03) * far + 1e-6).all(), name
    assert np.isfinite(float(measured["loss"]))


@pytest.mark.usefixtures("normed")
def test_frozen_norms_stay_and_use_their_statistics(places):
    made = ready(small("s", places, model__frames="normed", freeze=("sound",)))
    assert "statistics" not in made.state
    variables = {**merge(made.fixed, made.state["trained"])}
    features = quick(lambda v, x: made.structure.encode_frames(v, x)["stride8"])
    views = made.batch["views"].reshape(8, 64, 64, 3)
    np.testing.assert_allclose(features(variables, views)[:2], features(variables, views[:2]), rtol=1e-5, atol=1e-6)


@pytest.mark.usefixtures("normed")
def test_an_encoder_with_moved_statistics_is_the_models_own(places, tmp_path, monkeypatch):
    """Its frozen kernels are as they ship, its statistics are not: the folder stores it."""
    for module in ("stajax.models.folder", "stajax.training.variables"):
        monkeypatch.setattr(f"{module}.WEIGHTS", tmp_path)
    structure = structure_of(small("s", places, model__frames="normed"))
    shipped = jax.tree.map(lambda x: np.ones(x.shape, np.float32), structure.shapes["frames"])
    write_params(tmp_path / "encoders/normed.npz", shipped, dtype="float32")
    options = {"model__frames": "normed", "model__frames_weights": "shared:normed", "model__norm": "trained"}
    result = train(small("s", places, steps=1, **options), tmp_path / "run", quiet=True)
    own = folder.read(result.model).variables["frames"]
    assert (own["conv"]["kernel"] == 1).all() and (own["norm"]["mean"] != 1).all()


# The audio switch.


@pytest.fixture(scope="module")
def switch(places, tmp_path_factory):
    """A folder of a switch that tells sounds apart."""
    return random_model(tmp_path_factory.mktemp("switch") / "model", small("switch", places), seed=3)


def test_a_trained_switch_is_heeded_and_stays(places, switch):
    made = ready(small("sa", places, switch=str(switch)))
    theirs = folder.read(switch)
    for path, x in flatten(theirs.variables["switch"]).items():
        np.testing.assert_array_equal(flatten(made.fixed)[f"switch.{path}"], x)
    assert set(made.state["trained"]) == {"nets"}
    assert is_trained(made.structure, (), heeds_switch(made.config))["switch.classifier.kernel"] is False
    audible = made.batch["audible"]
    decide = quick(lambda v, b: forward(theirs.structure, v, {**b, "switch": b["audible"]}, "switch").prediction)
    logits = np.asarray(decide(theirs.variables, made.batch))
    margin = logits[..., 1] - logits[..., 0]
    middle = np.median(margin[audible > 0])
    variables = merge(made.fixed, made.state["trained"])
    variables["switch"]["classifier"]["bias"] = variables["switch"]["classifier"]["bias"] - np.float32([0, middle])
    found = quick(lambda v, b: forward(made.structure, v, {**b, "switch": b["audible"]}, "SA"))
    phi = found(variables, made.batch).aux["phi"][:, 0]
    np.testing.assert_array_equal(phi, (margin > middle) * audible)
    assert 0 < phi.mean() < audible.mean()


def test_a_switch_that_does_not_fit_is_one_line(places, switch, tmp_path):
    assert network_config(with_classes(small("s", places, switch=str(switch)))).switch is None  # S hears nothing
    deaf = random_model(tmp_path / "deaf", small("sa", places))
    with pytest.raises(ConfigError, match=r"^switch=.*deaf: this model has no audio switch$"):
        network_config(with_classes(small("sa", places, switch=str(deaf))))
    config = small("sa", places, switch=str(switch))
    write_params(
        tmp_path / "frames.npz",
        jax.tree.map(lambda x: np.ones(x.shape, np.float32), structure_of(config).shapes["frames"]),
        dtype="float32",
    )
    other = small("sa", places, switch=str(switch), model__frames_weights=str(tmp_path / "frames.npz"))
    with pytest.raises(WeightsError, match=r"^switch=.*: made for other numbers of frames; its φ would mean nothing$"):
        initial(other, structure_of(other))
    with pytest.raises(WeightsError, match=r"nowhere: no such model folder"):
        network_config(with_classes(small("sa", places, switch=str(tmp_path / "nowhere"))))


def test_both_labels_of_the_switch_weigh_the_same(stage):
    data, (off, on) = stage("switch").data, stage("switch").weights
    entries = [data.training.records.entries[row] for row in data.training.rows]
    labels = np.concatenate([np.isin(data.training.heard[entry.name], entry.tags) for entry in entries])
    assert off * (1 - labels.mean()) == pytest.approx(on * labels.mean()) == pytest.approx(0.5)
    heard = {entry.name: np.full(4, entry.tags[0]) for entry in entries}
    training = dataclasses.replace(data, training=type("Heard", (), {**vars(data.training), "heard": heard})())
    with pytest.raises(
        ConfigError, match=r"every sound is heard as its clip's tag; the audio switch has nothing to tell apart"
    ):
        label_weights(training)


def test_sound_is_encoded_only_by_nets_that_listen(places):
    assert structure_of(small("s", places)).module.sound is None
    assert structure_of(small("sta", places, net__use_sound=False)).module.sound is None
    assert isinstance(structure_of(small("sta", places)).module, Network)
    assert structure_of(small("sta", places)).module.sound is not None
