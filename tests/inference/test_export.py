"""Artefacts: the same maps as the model that they were made from, with and without stajax."""

import dataclasses
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import jax
import numpy as np
import pytest
from inference.tiny import CONFIG, FAMILY, noise, swelling, variables, write_model

import stajax
from stajax.data.company import draw_from_bank
from stajax.encoders.params import WeightsError, flatten
from stajax.inference import export
from stajax.inference.bank import of_clip
from stajax.inference.engine import Engine
from stajax.inference.source import ArraySource
from stajax.media import OutputError, cut_windows, squash
from stajax.models import folder
from stajax.models.fixation import STAConfig
from stajax.models.fragments import Fragments
from stajax.models.network import Network, NetworkConfig, Structure
from stajax.models.switch import SwitchConfig

DOCS = Path(__file__).parents[2] / "docs" / "export.md"
FPS = 10.0
DEAF = dataclasses.replace(STAConfig.tiny(), use_sound=False)


@pytest.fixture(scope="module")
def artefact(model_folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("artefacts") / "tiny.stajax"
    export.export(model_folder, path)
    return path


@pytest.fixture(scope="module")
def clip():
    """12 frames of the tiny model's size, and sound that is silent for part of the time."""
    sound = swelling(1.2)
    sound[5000:11000] = 0
    return noise(12, (64, 64)), sound


def without_stajax(artefact: Path, frames: np.ndarray, sound: np.ndarray, workplace: Path) -> np.ndarray:
    """Maps by the script of docs/export.md, in a process that can import neither Flax nor stajax."""
    (script,) = (code for code in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL) if "deserialize" in code)
    workplace.mkdir(exist_ok=True)
    (workplace / "model.stajax").write_bytes(artefact.read_bytes())
    (workplace / "script.py").write_text(f"import sys\nsys.modules['flax'] = sys.modules['stajax'] = None\n{script}")
    np.savez(workplace / "clip.npz", frames=frames, sound=sound, fps=FPS)
    run = subprocess.run([sys.executable, "script.py"], cwd=workplace, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return np.load(workplace / "maps.npy")


def test_the_script_of_the_docs_without_flax_gives_the_maps_of_load(artefact, model, clip, tmp_path):
    frames, sound = clip
    expected = model.predict(frames, sound=sound, fps=FPS).maps
    np.testing.assert_allclose(without_stajax(artefact, frames, sound, tmp_path), expected, atol=1e-5)
    deaf = model.predict(frames, fps=FPS).maps
    assert np.abs(expected - deaf).max() > 1e-3, "the sound must matter for this test to mean something"


def fragments_of(count: int, nets=("sta",), *, heard: bool = True) -> dict:
    """Of STA, for `count` frames that hear one window each."""
    rows = np.clip(np.arange(count)[:, None, None] + [-1, 0, 1], 0, count - 1).astype(np.int32)
    audio = rows[..., 1] if heard else np.zeros_like(rows[..., 1])
    return {net: {"frames": rows, "audio": audio, "switch": np.full(audio.shape, heard, np.float32)} for net in nets}


def test_any_batch_gives_the_numbers_of_a_batch_of_one(artefact):
    net = export.load(artefact)
    frames, windows = noise(7, (64, 64)), swelling(0.7).reshape(7, 1600)

    def maps(size):
        views = [net.encode_frames({"64": frames[i : i + size]}) for i in range(0, 7, size)]
        sounds = [net.encode_audio({"1600": windows[i : i + size]}) for i in range(0, 7, size)]
        features, audio = (jax.tree.map(lambda *parts: np.concatenate(parts), *each) for each in (views, sounds))
        own = fragments_of(7)["sta"]
        parts = [{"sta": {key: x[i : i + size] for key, x in own.items()}} for i in range(0, 7, size)]
        return np.concatenate([net.predict(features, audio, part) for part in parts])

    one = maps(1)
    assert np.ptp(one, axis=0).max() > 1e-3
    for size in (3, 7):
        np.testing.assert_allclose(maps(size), one, atol=1e-5)


def test_several_networks_a_switch_and_a_fusion_give_the_maps_of_load(tmp_path):
    """A network of two nets, one with pictures of another size, and one that switches the sound for all."""
    sta, switch = ("STA", STAConfig.tiny()), SwitchConfig.tiny()
    configs = {
        "first": NetworkConfig(frames="tiny", sound="tiny", size=64, nets={"sta": sta, "more": sta}),
        "second": NetworkConfig(frames="tiny", sound="tiny", size=32, nets={"deaf": ("STA", DEAF)}),
        "switch": NetworkConfig(frames="tiny", sound="tiny", size=64, nets={}, switch=switch),
    }
    for seed, (name, config) in enumerate(configs.items()):
        structure = Structure(config)
        folder.write(tmp_path / "model" / name, structure, variables(structure, seed))
    folder.write_members(tmp_path / "model", list(configs))
    path = tmp_path / "several.stajax"
    export.export(tmp_path / "model", path, fusion="paper_agg")
    frames, sound = noise(6), swelling(1.2)
    model = stajax.load(tmp_path / "model", batch=3, fusion="paper_agg")
    expected = model.predict(frames, sound=sound, fps=1 / CONFIG.hop).maps  # so that each frame has a sound window of its own
    net = export.load(path)
    features = net.encode_frames({str(size): np.stack([squash(frame, size) for frame in frames]) for size in (64, 32)})
    audio = net.encode_audio({"1600": cut_windows(sound, CONFIG.hop * np.arange(6), 1600)})
    maps = net.predict(features, audio, fragments_of(6, ("sta", "more", "deaf")))
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    networks = {name: own["network"] for name, own in net.manifest["nets"].items()}
    assert networks == {"sta": "sta+more", "more": "sta+more", "deaf": "deaf"}


@pytest.fixture(scope="module")
def family(tmp_path_factory):
    """A model of three nets, one with company from a bank, and its artefact."""
    folder = tmp_path_factory.mktemp("family")
    write_model(folder / "model", nets=FAMILY, seed=1)  # of seed 4 rounding is 1.1e-5 on some CPUs
    export.export(folder / "model", folder / "family.stajax", platforms="cpu")
    return folder


def test_a_net_with_company_from_a_bank_gives_the_maps_of_load(family):
    model, net = stajax.load(family / "model", batch=5), export.load(family / "family.stajax")
    count, spans = 45, model.engine.spans
    images, fps = noise(count, (64, 64)), 1 / CONFIG.hop  # so that each frame has a sound window of its own
    sound = swelling(count * CONFIG.hop)
    expected = model.predict(images, sound=sound, fps=fps).maps
    features = net.encode_frames({"64": images})
    audio = net.encode_audio({"1600": cut_windows(sound, CONFIG.hop * np.arange(count), 1600)})

    def fragments(moments):
        rows = {n: np.clip(moments[:, None, None] + np.array(span.nodes), 0, count - 1) for n, span in spans.items()}
        return {
            n: {"frames": x.astype(np.int32), "audio": x[..., 1].astype(np.int32), "switch": np.ones(x.shape[:2], np.float32)}
            for n, x in rows.items()
        }

    bank = of_clip(model.engine, ArraySource(images, sound, fps)).banks["long"]
    nodes = net.nodes(features, audio, {"long": fragments(bank.moments)["long"]})
    np.testing.assert_allclose(nodes["long"], bank.nodes, atol=1e-5)
    own = fragments(np.arange(count))
    own["long"]["company"] = draw_from_bank(bank.moments, np.arange(count), 2, seed=0).astype(np.int32)
    np.testing.assert_allclose(net.predict(features, audio, own, nodes), expected, atol=1e-5)
    own["long"]["company"] = own["long"]["company"][::-1]
    assert np.abs(net.predict(features, audio, own, nodes) - expected).max() > 1e-3, "whose company it is must matter"
    assert net.manifest["nets"]["long"] == {"network": "sta+short+long", "nodes": [[-1, 0, 1]], "company": 2}


def test_the_script_of_the_docs_makes_a_bank_that_equals_further_fragments(family, tmp_path):
    member, count = folder.read(family / "model"), 40
    images, sound = noise(count, (64, 64)), swelling(count / FPS)
    moments = np.unique(np.linspace(0, count - 1, 32).astype(int))
    near = np.abs(np.arange(count)[:, None] - moments) <= 4
    company = moments[np.argsort(near + np.random.default_rng(0).random(near.shape), axis=1)[:, :2]]
    engine = Engine([(member.structure, member.variables)], batch=1)

    @jax.jit
    @jax.default_matmul_precision("highest")
    def direct(views, windows, fragments):
        features = member.structure.apply(member.variables, Network.encode_frames, views)
        audio = member.structure.apply(member.variables, Network.encode_audio, windows)
        logits, _ = member.structure.apply(member.variables, Network.__call__, features, audio, fragments)
        return engine._fixation_maps(logits, {}, None)

    fragments = {}
    for name, span in engine.spans.items():
        rows = np.arange(count)[:, None, None] + np.array(span.nodes)
        if name == "long":
            rows = np.concatenate([rows, company[..., None] + [-1, 0, 1]], axis=1)
        rows = np.clip(rows, 0, count - 1)
        fragments[name] = Fragments.of(rows, rows[..., 1])
    centres = np.floor(np.arange(count) / FPS / CONFIG.hop + 0.5 + 1e-6) * CONFIG.hop
    expected = direct(images, cut_windows(sound, centres, 1600), fragments)
    np.testing.assert_allclose(without_stajax(family / "family.stajax", images, sound, tmp_path), expected, atol=1e-4)


def test_a_net_that_does_not_hear_has_no_sound_encoder_and_gives_the_maps_of_load(tmp_path):
    structure = Structure(dataclasses.replace(CONFIG, nets={"sta": ("STA", DEAF)}))
    folder.write(tmp_path / "deaf", structure, variables(structure))
    export.export(tmp_path / "deaf", tmp_path / "deaf.stajax")
    net, frames = export.load(tmp_path / "deaf.stajax"), noise(5, (64, 64))
    assert net.encode_audio is None and net.manifest["windows"] == []
    maps = net.predict(net.encode_frames({"64": frames}), {}, fragments_of(5, heard=False))
    np.testing.assert_allclose(maps, stajax.load(tmp_path / "deaf", batch=5).predict(frames).maps, atol=1e-5)


def test_a_clip_without_sound_as_the_docs_say_gives_the_maps_of_load(artefact, model):
    net, frames = export.load(artefact), noise(5, (64, 64))
    depth = net.manifest["functions"]["encode_audio"]["result"]["audio"]["arrays"]["sta"]["shape"][1]
    audio = {"sta": np.zeros((1, depth), np.float32)}
    maps = net.predict(net.encode_frames({"64": frames}), audio, fragments_of(5, heard=False))
    np.testing.assert_allclose(maps, model.predict(frames).maps, atol=1e-5)


def test_the_artefact_is_for_all_three_platforms(artefact):
    """Here only the CPU's can be run."""
    for name in ("encode_frames", "encode_audio", "predict"):
        assert read(artefact, name).platforms == ("cpu", "cuda", "tpu")
    assert export.load(artefact).manifest["platforms"] == ["cpu", "cuda", "tpu"]


def test_each_platform_has_its_convolutions_whatever_machine_writes(tmp_path):
    """EfficientNet-Lite0 has a depthwise convolution in each of its 16 blocks: none is whole on CPU, all are elsewhere."""
    network = NetworkConfig(frames="efficientnet_lite0", sound="tiny", size=64, nets=CONFIG.nets)
    structure = Structure(network)
    folder.write(tmp_path / "model", structure, variables(structure))
    whole = {}
    for platform in ("cpu", "cuda"):
        path = tmp_path / f"{platform}.stajax"
        export.export(tmp_path / "model", path, platforms=(platform,))
        whole[platform] = grouped(read(path, "encode_frames"))
    assert whole == {"cpu": 0, "cuda": 16}


def read(artefact: Path, name: str) -> jax.export.Exported:
    with zipfile.ZipFile(artefact) as archive:
        return jax.export.deserialize(bytearray(archive.read(f"{name}.export")))


def grouped(exported: jax.export.Exported) -> int:
    return sum(int(groups) > 1 for groups in re.findall(r"feature_group_count = (\d+)", exported.mlir_module()))


def test_weights_that_the_maps_do_not_need_stay_behind_and_the_others_are_those_of_the_folder(artefact, model_folder, tmp_path):
    member = folder.read(model_folder)
    with zipfile.ZipFile(artefact) as archive:
        parts = [dict(np.load(io.BytesIO(archive.read(f"{n}.npz")))) for n in ("encode_frames", "encode_audio", "predict")]
    stored = {key: x for part in parts for key, x in part.items()}
    wanted = {f"sta/{key}": x for key, x in flatten(member.variables).items()}
    assert stored.keys() == wanted.keys() and sum(map(len, parts)) == len(wanted)
    for key, x in wanted.items():
        np.testing.assert_array_equal(stored[key].astype(np.float32), x)
        assert stored[key].dtype == np.float16, "a folder stores float16"


def test_the_manifest_says_what_the_functions_take(artefact, model):
    manifest = export.load(artefact).manifest
    for name, described in manifest["functions"].items():
        exported = read(artefact, name)
        (_, *arguments), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
        said = leaves([argument["arrays"] for argument in described["arguments"].values()])
        for array, words in zip(jax.tree.leaves(arguments), said, strict=True):
            assert list(map(str, array.shape)) == list(map(str, words["shape"])) and str(array.dtype) == words["dtype"]
    assert manifest["model_card"] == model.model_card and manifest["nets"]["sta"]["nodes"] == [[-1, 0, 1]]
    assert (manifest["hop"], manifest["sizes"], manifest["windows"]) == (CONFIG.hop, [64], [1600])


def leaves(tree) -> list[dict]:
    return jax.tree.leaves(tree, is_leaf=lambda node: isinstance(node, dict) and "dtype" in node)


@pytest.mark.parametrize(
    ("model", "options", "error", "says"),
    [
        ("no-such-model", {}, WeightsError, "no such model folder"),
        ("tiny", {"nets": "staplus"}, ValueError, "no net staplus"),
        ("tiny", {"fusion": "mean"}, ValueError, "unknown fusion 'mean'"),
        ("tiny", {"platforms": ("cpu", "gpu")}, ValueError, "unknown platforms gpu; known: cpu, cuda, tpu"),
        ("classes", {}, ValueError, "predicts classes"),
    ],
)
def test_what_cannot_be_exported_gives_one_line_and_leaves_the_old_file(
    model, options, error, says, model_folder, tmp_path, request
):
    path = tmp_path / "old.stajax"
    path.write_bytes(b"old")
    source = {"tiny": model_folder, "classes": tmp_path / "classes"}.get(model, model)
    if model == "classes":
        structure = Structure(NetworkConfig.from_json({**CONFIG.to_json(), "nets": {"s": {"kind": "released.S"}}}))
        folder.write(source, structure, variables(structure))
    with pytest.raises(error, match=re.escape(says)) as caught:
        export.export(source, path, **options)
    assert "\n" not in str(caught.value) and path.read_bytes() == b"old"
    assert sorted(tmp_path.glob("*.stajax*")) + sorted(tmp_path.glob(".*")) == [path]


def test_a_wrong_name_or_a_missing_folder_is_told_before_any_work(model_folder, tmp_path):
    with pytest.raises(ValueError, match=r"ends in \.stajax; try tiny\.stajax"):
        export.export(model_folder, tmp_path / "tiny.zip")
    with pytest.raises(OutputError, match="no folder"):
        export.export(model_folder, tmp_path / "none" / "tiny.stajax")


def test_a_failure_while_writing_leaves_nothing(model_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(export.np, "savez_compressed", _full)
    with pytest.raises(OutputError, match="No space left"):
        export.export(model_folder, tmp_path / "tiny.stajax")
    assert list(tmp_path.iterdir()) == []


def _full(*_, **__):
    raise OSError(28, "No space left on device")


def test_files_that_are_no_artefacts_give_one_line(artefact, tmp_path):
    whole = artefact.read_bytes()
    bad = {"empty": b"", "text": b"hello", "half": whole[: len(whole) // 2]}
    for name, data in bad.items():
        (tmp_path / name).write_bytes(data)
    _rewrite(artefact, tmp_path / "newer", "manifest.json", lambda data: data.replace(b'"format": 1', b'"format": 2'))
    _rewrite(artefact, tmp_path / "damaged", "predict.export", lambda data: data[:100])
    for name in [*bad, "newer", "damaged", "missing"]:
        with pytest.raises(WeightsError, match=name) as caught:
            export.load(tmp_path / name)
        assert "\n" not in str(caught.value)


def _rewrite(artefact: Path, path: Path, entry: str, change) -> None:
    with zipfile.ZipFile(artefact) as old, zipfile.ZipFile(path, "w") as new:
        for item in old.namelist():
            new.writestr(item, change(old.read(item)) if item == entry else old.read(item))


@pytest.mark.slow
def test_sta_lite_without_flax_gives_the_maps_of_load(tmp_path):
    frames, sound = noise(6, (256, 256)), swelling(0.6)
    nets = ("sta",)  # long-term company the docs' script draws in another way
    export.export("sta-lite", tmp_path / "lite.stajax", nets=nets)
    expected = stajax.load("sta-lite", batch=6, nets=nets).predict(frames, sound=sound, fps=FPS).maps
    found = without_stajax(tmp_path / "lite.stajax", frames, sound, tmp_path / "work")
    np.testing.assert_allclose(found, expected, atol=1e-6)
