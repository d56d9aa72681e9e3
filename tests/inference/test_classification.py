"""Class maps of the classification nets, on tiny encoders, against calling the net by hand on the same frames."""

import dataclasses
import shutil
from collections import Counter

import jax
import numpy as np
import pytest
from commands import bad
from inference.tiny import swelling, variables, write_model
from media.made import clip

import stajax
from stajax.data.tags import AVE_CLASSES, find
from stajax.encoders.params import WeightsError
from stajax.inference import class_maps
from stajax.media import MediaError, cut_windows, probe, read_frames, read_sound, save_png, squash
from stajax.models import folder
from stajax.models.fragments import Fragments
from stajax.models.network import Network, NetworkConfig, Structure
from stajax.models.released.base import ReleasedConfig

COUNT, HOP = 9, 0.04
KINDS = {"S": "s", "SA": "sa", "S+": "s_plus", "ST+": "st_plus"}  # one frame, sound, company of frames and of groups of three


def config(kind):
    hears = "A" in kind
    return NetworkConfig("tiny", "tiny" if hears else None, 64, HOP, nets={KINDS[kind]: (f"released.{kind}", ReleasedConfig())})


def write(path, kind, **options):
    structure = Structure(config(kind))
    classes = dict.fromkeys(AVE_CLASSES, ()) | {"Bark": ("dog", "woof")}
    options = {"classes": classes, "dtype": "float32", **options}
    folder.write(path, structure, variables(structure), name="tiny", **options)
    return path


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {kind: write(root / KINDS[kind], kind) for kind in KINDS}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    path = tmp_path_factory.mktemp("clips") / "film.mkv"
    return clip(path, n=COUNT, sound=swelling(COUNT / 25)[None], rate=16000, sound_codec="pcm_s16le")


def by_hand(path, film):
    """logits (COUNT, 28), the mean of the two maps (COUNT, h, w, 28), frames and times: all in one call of the net."""
    model = folder.read(path)
    structure, numbers = model.structure, model.variables
    ((name, net),) = structure.module.nets.items()
    pairs = list(read_frames(film))
    views = np.stack([squash(image, 64) for image, _ in pairs])
    centres = [np.floor(time / HOP + 0.5 + 1e-6) * HOP for _, time in pairs]
    windows = cut_windows(read_sound(film), centres, 1600)
    t = np.arange(COUNT)
    rows = np.clip(t[:, None, None] + np.asarray(net.span.nodes), 0, COUNT - 1)

    @jax.jit
    def call(numbers):
        features = structure.apply(numbers, Network.encode_frames, views)
        audio = structure.apply(numbers, Network.encode_audio, windows) if net.listens else None
        return structure.apply(numbers, Network.__call__, features, audio, {name: Fragments.of(rows, rows[..., 1])})

    with jax.default_matmul_precision("highest"):
        predictions, aux = jax.device_get(call(numbers))
    return predictions[name][:, 0], (aux[name]["map_1"] + aux[name]["map_2"]) / 2, pairs


@pytest.fixture
def encoded(monkeypatch):
    """view -> how often an encoder saw it."""
    seen, encode = Counter(), Structure.encode_frames

    def encode_frames(self, numbers, views):
        jax.debug.callback(lambda batch: seen.update(view.tobytes() for view in batch), views)
        return encode(self, numbers, views)

    monkeypatch.setattr(Structure, "encode_frames", encode_frames)
    return seen


@pytest.mark.parametrize("kind", ["S", "SA", "ST+"])
def test_class_maps_against_the_net_by_hand(models, film, encoded, kind):
    """In three full batches, so that nothing but the frames is encoded, and each of them once."""
    logits, means, pairs = by_hand(models[kind], film)
    predicted = logits.argmax(1)
    tag = int(predicted[-1])
    found = class_maps(models[kind], film, tag, batch=3)
    positive = np.maximum(means[..., tag], 0)
    expected = positive / (positive.max((1, 2), keepdims=True) + 1e-8)
    np.testing.assert_allclose(found.maps, expected, atol=1e-3)
    assert found.maps.dtype == np.float32 and found.maps.min() >= 0 and found.maps.max() <= 1
    assert np.ptp(expected, axis=0).max() > 1e-2  # the frames differ
    np.testing.assert_array_equal(found.predicted, predicted)
    np.testing.assert_array_equal(found.valid, predicted == tag)
    likely = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(found.confidence, (likely / likely.sum(1, keepdims=True)).max(1), rtol=1e-3)
    np.testing.assert_array_equal(found.time, [time for _, time in pairs])
    jax.effects_barrier()
    assert encoded == Counter(squash(image, 64).tobytes() for image, _ in pairs) and len(encoded) == COUNT


@pytest.mark.parametrize("tag", ["Bark", "bark", " BARK ", "woof", "Dog", np.int64(4), 4])
def test_a_class_by_its_name_its_alias_and_its_number_is_the_same_class(models, tag):
    assert find(tag, folder.read(models["S"]).classes, count=28) == AVE_CLASSES.index("Bark") == 4


def test_a_picture_is_a_clip_of_one_frame(models, tmp_path):
    save_png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8))
    found = class_maps(models["SA"], tmp_path / "a.png", "Clock")
    assert len(found.maps) == len(found.valid) == 1 and probe(tmp_path / "a.png").has_sound is False


# Errors


def one_line(call, error=ValueError):
    with pytest.raises(error) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unknown_tags_list_the_classes(models, film):
    line = one_line(lambda: class_maps(models["S"], film, "Zebra"))
    assert line.startswith("unknown tag 'Zebra'; this model knows: Accordion; Acoustic guitar; Baby cry, infant cry; ")
    for number in (28, -1, 10**12):
        assert one_line(lambda n=number: class_maps(models["S"], film, n)) == f"class {number}: this model has classes 0..27"


def test_a_net_whose_classes_have_no_names_goes_by_number(tmp_path, film):
    structure = Structure(dataclasses.replace(config("S"), nets={"s": ("released.S", ReleasedConfig(channels=10))}))
    folder.write(tmp_path / "own", structure, variables(structure))
    assert find(9, folder.read(tmp_path / "own").classes, count=10) == 9
    assert one_line(lambda: class_maps(tmp_path / "own", film, 10)) == "class 10: this model has classes 0..9"
    line = one_line(lambda: class_maps(tmp_path / "own", film, "Bark"))
    assert line == "unknown tag 'Bark'; this model names no classes; give a number in 0..9"


def test_a_model_without_a_classification_net_or_with_several(models, film, tmp_path):
    path = write_model(tmp_path / "tiny")
    assert one_line(lambda: class_maps(path, film, 0)) == f"{path}: 0 classification nets in this model; one is needed"
    for kind in ("S", "S+"):
        shutil.copytree(models[kind], tmp_path / "two" / KINDS[kind])
    folder.write_members(tmp_path / "two", ["s", "s_plus"])
    line = one_line(lambda: class_maps(tmp_path / "two", film, 0), WeightsError)
    assert line == f"{tmp_path / 'two'}: holds several networks (s, s_plus); name one of its folders"


def test_a_file_that_is_no_clip(models, tmp_path):
    assert "no such file" in one_line(lambda: class_maps(models["S"], tmp_path / "no.mp4", 0), MediaError)


def test_a_classification_net_predicts_no_fixations(models, film, tmp_path):
    says = "s_plus predicts classes, not fixations: see stajax.inference.class_maps"
    assert one_line(lambda: stajax.load(models["S+"])) == says
    assert bad("predict", film, "--weights", models["S+"], "-o", tmp_path / "out") == f"stajax: {says}"
    assert bad("export", models["S+"], "-o", tmp_path / "a.stajax") == f"stajax: {says}"
    assert not list(tmp_path.iterdir())
