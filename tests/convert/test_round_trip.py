"""Every family of checkpoint: by its tensors alone, each number where it belongs; the small ones from a torch file to a run."""

import copy
import dataclasses
import functools
import hashlib
import json
import re

import jax
import numpy as np
import pytest
from convert.authors import constants, save, spec, state_dict
from flax import nnx

from stajax.convert import ConvertError, apply_table, convert, left_over
from stajax.convert.families import recognise
from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor
from stajax.encoders.params import check_fit, flatten, read_params
from stajax.models import folder
from stajax.models.fragments import Fragments
from stajax.models.network import NETS, Network, Structure
from stajax.models.released.switch import ReleasedSwitch

# spec -> (what it must be recognised as, its name among the members of a model)
FAMILIES = {
    "S": ("S (2022)", "s"),
    "SA": ("SA (2022)", "sa"),
    "SA_2021": ("SA (December 2021)", "sa"),
    "ST": ("ST (2022)", "st"),
    "Splus": ("S+ (2022)", "s_plus"),
    "SAplus": ("SA+ (2022)", "sa_plus"),
    "SAplus_2021": ("SA+ (December 2021)", "sa_plus"),
    "STplus": ("ST+ (2022)", "st_plus"),
    "STA": ("STA (2022)", "sta"),
    "STA_2021": ("STA (December 2021)", "sta"),
    "STAplus": ("STA+ (2022)", "short"),
    "STAplus_2021": ("STA+ (December 2021)", "short"),
    "att_Model": ("audio switch", "switch"),
    "resnext101_32x8d": ("ResNeXt-101 32x8d", ""),
    "vgg16_D1": ("VGG-16", ""),
    "vggsound_netvlad": ("VGGSound ResNet-18 with NetVLAD", ""),
}
COMPANY = ("Splus", "STplus", "STAplus")
LEAVES = {
    "weight": {"kernel", "scale"},
    "bias": {"bias"},
    "running_mean": {"mean"},
    "running_var": {"var"},
    "centroids": {"centroids"},
}


@functools.cache
def built(encoder):
    """An encoder without its numbers; ResNeXt takes seconds."""
    make = constructor(encoder, {**FRAME_ENCODERS, **SOUND_ENCODERS})
    return nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0)))


def shapes_of(family):
    """What `Structure` has, or the encoder alone, of encoders that are built once."""
    if family.network is None:
        return nnx.to_pure_dict(nnx.state(built(family.encoder)))
    config = family.network
    frames, sound = built(config.frames), built(config.sound) if config.sound else None
    shell = copy.copy(frames)
    shell.size = config.size  # of the views: nets read it
    parts = {"frames": frames, "sound": sound}
    if config.switch:
        parts["switch"] = nnx.eval_shape(lambda: ReleasedSwitch(config.switch, shell, sound, rngs=nnx.Rngs(0)))
    shapes = {part: nnx.to_pure_dict(nnx.state(module)) for part, module in parts.items() if module is not None}
    for name, (kind, net) in config.nets.items():
        module = nnx.eval_shape(lambda kind=kind, net=net: NETS[kind][0](net, shell, sound, rngs=nnx.Rngs(0)))
        shapes["nets"] = {name: nnx.to_pure_dict(nnx.state(module))}
    return shapes


def test_the_shapes_of_these_tests_are_those_of_the_network():
    family = recognise(constants(spec("STAplus")))
    found, expected = flatten(shapes_of(family)), flatten(Structure(family.network).shapes)
    assert {key: leaf.shape for key, leaf in found.items()} == {key: leaf.shape for key, leaf in expected.items()}


def small(shape):
    """Every side replaced by its number of bits. It keeps sides apart and commutes with a change of their order."""
    return tuple(int(side).bit_length() for side in shape)


def ours(x, name):
    """The array `name` of PyTorch in the layout of JAX: channels last, kernels (space, in, out)."""
    if name.endswith("extra_bilinear.weight"):
        return x[..., 0].T if x.shape[-1] == 1 else x  # a Bilinear with a scalar is linear; that of the switch keeps its layout
    if name.endswith("centroids") or x.ndim < 2:
        return x
    return np.moveaxis(x, (0, 1), (-1, -2))


def theirs(target, known):
    """The foreign name of a tensor of ours in an encoder, by torchvision's layout; None for another tensor."""
    leaf = {"kernel": "weight", "scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    *path, last = target.split(".")
    part, rest = ".".join(path[:1]), ".".join(path[1:])
    if last == "centroids" or part not in ("frames", "sound") or rest.startswith("netvlad"):
        return None
    if match := re.fullmatch(r"convs\.(\d+)", rest):
        layers = [i for i, width in enumerate("cc cc ccc ccc ccc".replace("c", "cr").replace(" ", "p")) if width == "c"]
        return f"features.{layers[int(match[1])]}.{leaf[last]}"
    rest = rest.removeprefix("trunk.")
    children = {"conv1": "0", "bn1": "1", **{f"layers.{n}": str(4 + n) for n in range(4)}}
    stem = next(stem for stem in children if re.match(rf"{stem}(\.|$)", rest))
    inner = rest.removeprefix(stem).replace("downsample.conv", "downsample.0").replace("downsample.bn", "downsample.1")
    prefixes = {"frames": ("features", "layerV", "features0"), "sound": ("audio_model", "layerA")}[part]
    prefix = next(p for p in prefixes if f"{p}.0.weight" in known)
    if prefix == "features0" and stem in ("layers.2", "layers.3"):  # STA has the last two stages by themselves
        return f"features{int(stem[-1]) - 1}{inner}.{leaf[last]}"
    return f"{prefix}.{children[stem]}{inner}.{leaf[last]}"


@pytest.mark.parametrize("name", FAMILIES)
def test_every_number_of_a_family_against_its_place_by_layout_and_name(name):
    """Every foreign tensor holds numbers of its own, in PyTorch's layout; each of ours must hold all of one, in JAX's."""
    foreign = spec(name)
    family = recognise(constants(foreign))
    assert (family.title, family.member) == FAMILIES[name]
    shapes = shapes_of(family)
    tensors, count = {}, 0
    for key, shape in foreign.items():
        size = int(np.prod(small(shape)))
        tensors[key] = np.arange(count, count + size, dtype=np.float32).reshape(small(shape))
        count += size
    assert count < 2**24  # float32 tells them apart
    wanted = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(small(leaf.shape), np.float32), shapes)
    variables, entries = apply_table(tensors, family.rows, wanted, unused=family.unused)
    found, full = flatten(variables), flatten(shapes)
    assert {entry.target for entry in entries} == set(full) and len(entries) == len(full)
    for entry in entries:
        np.testing.assert_array_equal(found[entry.target], ours(tensors[entry.source], entry.source), err_msg=entry.target)
        assert ours(np.broadcast_to(0.0, foreign[entry.source]), entry.source).shape == full[entry.target].shape
        assert entry.target.rsplit(".", 1)[-1] in LEAVES[entry.source.rsplit(".", 1)[-1]]
        if family.network:
            assert theirs(entry.target, foreign) in (None, entry.source)
    left = left_over(tensors, entries, unused=family.unused)
    assert set(left.values()) <= {"torch's count of batches", "not used by this net"}
    assert len(left) + len(entries) == len(foreign)


@pytest.mark.parametrize("name", COMPANY)
def test_a_state_dict_without_one_tensor_is_refused_whichever_it_is(name):
    """Save for tensors that the table lists as unused. Nothing else than a ConvertError, whatever the net is then taken for.

    Of the largest, every third tensor.
    """
    foreign, known = spec(name), {}

    def convertible(names):
        tensors = {key: np.broadcast_to(np.float32(0), small(foreign[key])) for key in names}
        family = recognise(constants({key: foreign[key] for key in names}))
        if family.title not in known:
            known[family.title] = jax.tree.map(
                lambda leaf: jax.ShapeDtypeStruct(small(leaf.shape), np.float32), shapes_of(family)
            )
        apply_table(tensors, family.rows, known[family.title], unused=family.unused)
        return family

    family = convertible(foreign)
    spare = (*family.unused, r"(.*\.)?num_batches_tracked")
    for missing in list(foreign)[:: 1 + len(foreign) // 100]:
        names = [key for key in foreign if key != missing]
        if not any(re.fullmatch(pattern, missing) for pattern in spare):
            with pytest.raises(ConvertError):
                convertible(names)
        elif missing != "extra_conv_stfusion.weight":  # by which S+ is recognised
            assert convertible(names).title == family.title


# From a torch file to a run


def by_hand(path, tensors):
    return save(path, tensors, legacy=True, entry="model_state_dict")


def real_torch(path, tensors):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": {f"module.{k}": torch.from_numpy(v.copy()) for k, v in tensors.items()}}, path)
    return path


def kept_exactly(path, tensors, known):
    """The report's checksums against those of the state dict, and every tensor told."""
    report = json.loads((path / "conversion_report.json").read_text())
    digests = {entry["from"]: entry["sha256"] for entry in report["tensors"]}
    assert digests == {k: hashlib.sha256(tensors[k].tobytes()).hexdigest() for k in digests}
    assert digests.keys() | {entry["name"] for entry in report["unused"]} == tensors.keys()
    targets = {entry["to"]: entry["from"] for entry in report["tensors"]}
    found = flatten(known)
    assert found.keys() == targets.keys()
    for target, source in targets.items():
        np.testing.assert_array_equal(found[target], ours(tensors[source], source), err_msg=target)


@pytest.fixture
def without_torch_if_by_hand(request, monkeypatch):
    if request.getfixturevalue("write") is not real_torch:
        request.getfixturevalue("without_torch")


@pytest.mark.usefixtures("without_torch_if_by_hand")
@pytest.mark.parametrize(
    ("name", "write"),
    [("Splus", real_torch), ("STplus", by_hand)],
    ids=["Splus-torch", "STplus-by-hand"],
)
def test_a_torch_file_becomes_a_model_that_runs(tmp_path, name, write):
    """The folder holds the state dict's numbers; the net's logits are the means of its maps, and it sees the picture."""
    tensors = state_dict(name)
    file = write(tmp_path / "net.pth.tar", tensors)
    (made,) = convert([file], tmp_path / "model")
    file.unlink()
    assert (made.title, made.member) == FAMILIES[name]
    (model,) = folder.members(tmp_path / "model")
    assert model.config == recognise(constants(spec(name))).network and len(model.classes) == 28
    kept_exactly(tmp_path / "model", tensors, model.variables)
    structure = Structure(dataclasses.replace(model.config, size=32))
    logits, aux = run(structure, model.variables, made.member)
    np.testing.assert_allclose(aux["map_2"].mean((1, 2)), logits[:, 0], rtol=1e-4, atol=1e-6)
    assert np.isfinite(logits).all() and np.abs(logits[0] - logits[1]).max() > 1e-3 * np.abs(logits).max()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def run(structure, variables, net):
    """Logits and aux of two predictions, each from nine frames of its own."""
    views = np.random.default_rng(0).integers(0, 256, (18, 32, 32, 3), np.uint8)
    windows = np.random.default_rng(1).normal(0, 0.1, (2, 8000)).astype(np.float32)
    frames = np.arange(18).reshape(2, 3, 3)

    @jax.jit
    def forward(variables):
        features = structure.encode_frames(variables, views)
        audio = structure.apply(variables, Network.encode_audio, windows) if structure.config.sound else None
        fragments = Fragments.of(frames, np.broadcast_to(np.arange(2)[:, None], (2, 3)))
        predictions, aux = structure.apply(variables, Network.__call__, features, audio, {net: fragments})
        return predictions[net], aux[net]

    with jax.default_matmul_precision("highest"):
        return jax.device_get(forward(variables))


@pytest.mark.usefixtures("without_torch")
@pytest.mark.parametrize(("name", "encoder"), [("vgg16_D1", "vgg16"), ("vggsound_netvlad", "vggsound_309")])
def test_a_torch_file_becomes_an_encoder_that_runs(tmp_path, name, encoder):
    tensors = state_dict(name)
    if encoder == "vgg16":  # torchvision's file has a classifier, which no net here reads
        tensors |= {f"classifier.{i}.{leaf}": np.ones(2, np.float32) for i in (0, 3, 6) for leaf in ("weight", "bias")}
    (made,) = convert([save(tmp_path / "net.pth", tensors)], tmp_path / "encoder")
    assert (made.title, made.member) == FAMILIES[name]
    config = json.loads((tmp_path / "encoder/config.json").read_text())
    assert config["encoder"] == encoder
    ((part, place),) = config["params"].items()
    numbers = read_params(tmp_path / "encoder" / place)
    kept_exactly(tmp_path / "encoder", tensors, numbers)
    graphdef, state = nnx.split(built(encoder))
    numbers = check_fit(numbers, nnx.to_pure_dict(state), encoder)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (2, 64, 64, 3), np.uint8) if part == "frames" else rng.normal(0, 0.1, (2, 8000)).astype(np.float32)
    for value in jax.tree.leaves(jax.device_get(jax.jit(lambda v: nnx.merge(graphdef, v)(x))(numbers))):
        assert np.isfinite(value).all() and np.abs(value[0] - value[1]).max() > 1e-3 * np.abs(value).max()
    with pytest.raises(ValueError, match=rf"encoder: holds the encoder {encoder} and no net"):
        folder.read(tmp_path / "encoder")
