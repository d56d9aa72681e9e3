"""stajax/models/folder.py: what is written is what is read, whole or not at all, and every bad folder is one line."""

import dataclasses
import json
import os
import shutil

import jax
import numpy as np
import pytest

from stajax.encoders.params import WEIGHTS, WeightsError, flatten, read_params
from stajax.models import folder
from stajax.models.fixation import STAConfig
from stajax.models.network import NetworkConfig, Structure
from stajax.models.switch import SwitchConfig

CONFIG = NetworkConfig(
    frames="tiny",
    sound="tiny",
    size=64,
    # a net may have the name of an encoder
    nets={"sta": ("STA", STAConfig.tiny()), "frames": ("STA", dataclasses.replace(STAConfig.tiny(), width=3))},
    switch=SwitchConfig.tiny(),
)


def random_numbers(shapes, seed=0):
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)


@pytest.fixture(scope="module")
def structure():
    return Structure(CONFIG)


@pytest.fixture(scope="module")
def variables(structure):
    return random_numbers(structure.shapes)


@pytest.fixture
def written(tmp_path, structure, variables):
    folder.write(
        tmp_path / "model", structure, variables, name="mine", model_card="# A card\n", classes={"Bark": ("dog", "woof")}
    )
    return tmp_path / "model"


def one_line(path, *parts):
    with pytest.raises(WeightsError) as caught:
        folder.read(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message


def edit(path, **changes):
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, **changes}))


def test_round_trip_is_float16_rounding(written, structure, variables):
    model = folder.read(written)
    assert (model.name, model.path, model.config, model.model_card) == ("mine", written, CONFIG, "# A card\n")
    assert model.classes == {"Bark": ("dog", "woof")}
    assert jax.tree.structure(model.variables) == jax.tree.structure(structure.shapes)
    found = flatten(model.variables)
    for key, value in flatten(variables).items():
        np.testing.assert_array_equal(found[key], value.astype(np.float16).astype(np.float32))
        assert found[key].dtype == np.float32


def test_a_second_round_trip_is_exact_and_so_is_the_first_as_jax_arrays(tmp_path, written, structure):
    once = folder.read(written)
    folder.write(tmp_path / "again", structure, jax.device_put(once.variables))
    twice = folder.read(tmp_path / "again")
    jax.tree.map(np.testing.assert_array_equal, once.variables, twice.variables)
    assert (twice.name, twice.model_card, twice.classes) == ("again", "", {})


def test_a_folder_lists_every_file_it_needs_and_no_other(written):
    files = sorted(str(path.relative_to(written)) for path in written.rglob("*") if path.is_file())
    nets = [f"params/nets/{name}.npz" for name in ("frames", "sta")]
    assert files == ["config.json", "model_card.md", "params/frames.npz", *nets, "params/sound.npz", "params/switch.npz"]
    assert sorted(path.name for path in written.parent.iterdir()) == ["model"]
    assert not (written.stat().st_mode ^ 0o755) & 0o777


def test_shared_encoders_are_read_from_the_package_and_not_stored(tmp_path):
    structure = Structure(NetworkConfig(nets={"sta": ("STA", dataclasses.replace(STAConfig.lite(), width=2))}))
    shipped = {"frames": "efficientnet_lite0", "sound": "yamnet"}
    encoders = {part: read_params(WEIGHTS / "encoders" / f"{name}.npz") for part, name in shipped.items()}
    folder.write(tmp_path / "m", structure, {**encoders, "nets": random_numbers(structure.shapes["nets"])}, shared=shipped)
    assert [path.name for path in (tmp_path / "m/params").rglob("*.npz")] == ["sta.npz"]
    found = flatten(folder.read(tmp_path / "m").variables)
    for part in shipped:
        for key, value in flatten(encoders[part], f"{part}.").items():
            np.testing.assert_array_equal(found[key], value)


@pytest.mark.parametrize(("part", "name"), [("frames", "efficientnet_lite0"), ("sound", "yamnet")])
def test_a_shared_encoder_that_was_changed_is_refused_and_can_be_stored(tmp_path, part, name):
    structure = Structure(NetworkConfig(nets={"sta": ("STA", dataclasses.replace(STAConfig.lite(), width=2))}))
    shipped = {"frames": "efficientnet_lite0", "sound": "yamnet"}
    encoders = {part: read_params(WEIGHTS / "encoders" / f"{name}.npz") for part, name in shipped.items()}
    leaf = next(value for value in flatten(encoders[part]).values() if value.ndim == 4)
    leaf.flat[-1] = np.nextafter(leaf.flat[-1], np.float32(9))  # a fine-tuned encoder differs by more than the last bit
    variables = {**encoders, "nets": random_numbers(structure.shapes["nets"])}
    with pytest.raises(WeightsError) as caught:
        folder.write(tmp_path / "m", structure, variables, shared=shipped)
    message = f"m: {part}: weights differ from the shipped {name}; store them: leave {part} out of shared"
    assert str(caught.value).endswith(message) and not list(tmp_path.iterdir())
    folder.write(tmp_path / "m", structure, variables, shared={p: n for p, n in shipped.items() if p != part})
    assert (tmp_path / f"m/params/{part}.npz").is_file()


def test_a_shared_encoder_of_another_kind_or_of_no_name_is_refused(tmp_path, structure, variables):
    with pytest.raises(WeightsError, match="frames: weights differ from the shipped yamnet"):
        folder.write(tmp_path / "m", structure, variables, shared={"frames": "yamnet"})
    with pytest.raises(WeightsError, match=r"resnet\.npz: no such weight file"):
        folder.write(tmp_path / "m", structure, variables, shared={"frames": "resnet"})
    assert not list(tmp_path.iterdir())


def test_a_model_is_replaced(written, structure):
    new = random_numbers(structure.shapes, seed=1)
    folder.write(written, structure, new)
    kernel = "frames.convs.0.kernel"
    np.testing.assert_array_equal(flatten(folder.read(written).variables)[kernel], np.float16(flatten(new)[kernel]))
    assert [path.name for path in written.parent.iterdir()] == ["model"]


def test_an_empty_folder_is_filled(tmp_path, structure, variables):
    (tmp_path / "model").mkdir()
    folder.write(tmp_path / "model", structure, variables)
    assert folder.read(tmp_path / "model").config == CONFIG


@pytest.mark.parametrize("failure", [KeyboardInterrupt, OSError])
def test_a_failed_write_leaves_the_old_model_and_nothing_else(written, structure, monkeypatch, failure):
    before = folder.read(written).variables
    calls = []

    def fails(path, tree, dtype):
        calls.append(path)
        if len(calls) == 3:
            raise failure

    monkeypatch.setattr(folder, "write_params", fails)
    with pytest.raises(failure):
        folder.write(written, structure, random_numbers(structure.shapes, seed=1))
    jax.tree.map(np.testing.assert_array_equal, folder.read(written).variables, before)
    assert [path.name for path in written.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("killed", [False, True])
def test_an_end_between_the_two_renames_leaves_the_old_model_whole_beside(written, structure, monkeypatch, killed):
    before, rename = folder.read(written).variables, os.replace

    def ends(source, target):
        if target == written:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "replace", ends)
    if killed:  # a killed process cleans nothing up
        monkeypatch.setattr(shutil, "rmtree", lambda path, **_: None)
    with pytest.raises(KeyboardInterrupt):
        folder.write(written, structure, random_numbers(structure.shapes, seed=1))
    assert not written.exists()
    (old,) = written.parent.glob(".model.old.*")
    jax.tree.map(np.testing.assert_array_equal, folder.read(old).variables, before)
    assert len(list(written.parent.iterdir())) == 1 + killed


def test_a_folder_of_other_things_is_never_replaced(tmp_path, structure, variables):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").touch()
    (tmp_path / "file").touch()
    for name in ("thesis", "file"):
        with pytest.raises(WeightsError, match=r"^[^\n]+ exists and is no stajax model, so it is not replaced[^\n]+$"):
            folder.write(tmp_path / name, structure, variables)
    assert (tmp_path / "thesis/chapter1.tex").exists()


def test_variables_that_do_not_fit_are_not_written(tmp_path, structure, variables):
    nets = {"sta": variables["nets"]["sta"]}
    with pytest.raises(WeightsError, match=r"missing \(nets\.frames\."):
        folder.write(tmp_path / "model", structure, {**variables, "nets": nets})
    assert not list(tmp_path.iterdir())


def test_no_folder_no_config_and_a_file(tmp_path):
    one_line(tmp_path, str(tmp_path), "no config.json in this folder")
    (tmp_path / "model.ckpt").touch()
    one_line(tmp_path / "model.ckpt", "a file, not a model folder")
    one_line(tmp_path / "nowhere", "nowhere: no such model folder")


def test_an_unknown_name_lists_what_ships(monkeypatch, tmp_path):
    for name in ("b-model", "a-model"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").touch()
    (tmp_path / "encoders").mkdir()
    monkeypatch.setattr(folder, "WEIGHTS", tmp_path)
    assert folder.shipped() == ["a-model", "b-model"]
    assert folder.find("a-model") == tmp_path / "a-model"
    one_line("c-model", "c-model: no such model folder, nor a model that ships (a-model, b-model)")


def test_a_net_without_a_weight_file(written):
    (written / "params/nets/sta.npz").unlink()
    one_line(written, "sta.npz: no such weight file")


def test_a_net_without_a_place_for_its_weights(written):
    places = json.loads((written / "config.json").read_text())["params"]
    del places["nets"]["sta"]
    edit(written, params=places)
    one_line(written, "'sta' is missing; a net without weights cannot be used")


def test_weights_of_another_shape(written):
    network = json.loads((written / "config.json").read_text())["network"]
    network["nets"]["sta"]["width"] = 5
    edit(written, network=network)
    one_line(written, str(written), "misshapen (nets.sta.branch.cov.bias is float32(4,), not float32(5,)")


def test_damaged_weights(written):
    whole = (written / "params/sound.npz").read_bytes()
    (written / "params/sound.npz").write_bytes(whole[: len(whole) // 2])
    one_line(written, "sound.npz: not a readable .npz")


@pytest.mark.parametrize("number", [2, "1", None])
def test_another_format(written, number):
    edit(written, format=number)
    one_line(written, f"model format {number}; this version of stajax reads format 1")


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b"7", b"{}", b'{"format": 1}', b'{"format": 1, "network": 3}', b"\xff\xfe\x00", b"[" * 9999],
)
def test_garbage_in_place_of_the_config(written, text):
    (written / "config.json").write_bytes(text)
    one_line(written, "config.json")


@pytest.mark.parametrize(
    "changes",
    [
        {"network": {"nets": {"sta": {"kind": "LSTM"}}}},
        {"network": {"nets": {"sta": {"kind": ["STA"]}}}},
        {"network": {"nets": {"s": {"kind": "classifier", "source": "v"}}}},
        {"network": {"nets": {"s+": {"kind": "classifier+", "granularity": "medium"}}}},
        {"network": {"nets": {"sta+": {"kind": "STA+", "company": "two"}}}},
        {"network": {"nets": ["sta"]}},
        {"network": {"nets": {}}},
        {"network": {**CONFIG.to_json(), "size": 100}},
        {"network": {**CONFIG.to_json(), "size": "large"}},
        {"network": {**CONFIG.to_json(), "frames": 3}},
        {"params": ["frames"]},
        {"params": {"frames": 3}},
        {"classes": ["Bark"]},
        {"classes": {"Bark": 3}},
    ],
)
def test_a_config_with_wrong_values(written, changes):
    edit(written, **changes)
    one_line(written, str(written))
