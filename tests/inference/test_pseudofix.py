"""Pseudo-fixations of a clip against the direct computation: all frames at once, no stream, no bank, fused in float64 NumPy."""

import dataclasses
import warnings

import jax
import numpy as np
import pytest
from inference.tagged import CLASSES, FPS, SIDE, frames, record, source

from stajax import cam
from stajax.data.company import draw_from_bank
from stajax.data.fixations import DataError
from stajax.inference import pseudofix
from stajax.inference.pseudofix import Settings, pseudo_fixations
from stajax.inference.source import ArraySource, RecordSource
from stajax.layers.resize import resize
from stajax.media import MediaError, MediaWarning, cut_windows, squash
from stajax.models import folder
from stajax.models.fragments import Fragments
from stajax.models.network import Network

N, HOP = 21, 0.2  # frames, fewer than a bank holds, so that a bank holds them all
OWN = ("S", "ST", "SA")

pytestmark = pytest.mark.filterwarnings("ignore:.*gets long-term company")


# The direct computation


def z(maps):
    low, high = maps.min((-2, -1), keepdims=True), maps.max((-2, -1), keepdims=True)
    return np.where(high > low, (maps - low) / np.where(high > low, high - low, 1), 0)


@pytest.fixture(scope="module")
def said(members):
    """said(member, clip, views, phi): of every net class maps (T, h, w, classes) and softmax scores (T, classes), and φ (T,).

    Always of N frames, the last one repeated, so that it compiles once.
    """

    def compiled(member):
        def call(views, windows, fragments):
            features = member.structure.apply(member.variables, Network.encode_frames, views)
            audio = member.structure.apply(member.variables, Network.encode_audio, windows)
            return member.structure.apply(member.variables, Network.__call__, features, audio, fragments)

        return jax.jit(jax.default_matmul_precision("highest")(call))

    calls = {name: compiled(member) for name, member in members.items()}

    def of(name, clip, views, phi=1.0):
        count, nets = len(views), members[name].structure.module.nets
        moments = np.minimum(np.arange(N), count - 1)
        windows = cut_windows(clip.waveform, [np.floor(t / FPS / HOP + 0.5 + 1e-6) * HOP for t in moments], 1600)
        loud = (np.abs(windows).max(1) >= 1e-3) * np.resize(phi, N)
        fragments = {}
        for net, module in nets.items():
            rows = [moments[:, None] + np.array(node) for node in module.span.nodes]
            if module.bank:  # company as further fragments
                company = draw_from_bank(moments[:count], moments, module.bank, seed=0)
                rows += [moment[:, None] + np.array([-1, 0, 1]) for moment in company.T]
            rows = np.clip(np.stack(rows, 1), 0, count - 1)
            fragments[net] = Fragments.of(rows, rows[..., 1], loud[rows[..., 1]])
        logits, aux = jax.device_get(calls[name](np.stack(views)[moments], windows, fragments))
        scores = {net: np.exp(x[:count, 0].astype(np.float64)) for net, x in logits.items()}
        scores = {net: x / x.sum(-1, keepdims=True) for net, x in scores.items()}
        maps = {net: aux[net]["class_maps"][:count, 0].astype(np.float64) for net in nets}
        return maps, scores, np.asarray(aux["SA"]["phi"])[:count, 0]

    return of


def scam_of(cams, scores, tag):
    """Eqs. 2, 3 and 8: cams and scores by source -> maps (T, h, w), valid (T,)."""
    weights = {net: np.where(x[:, tag] > np.delete(x, tag, 1).max(1), x[:, tag], 0.0) for net, x in scores.items()}
    above = sum(weights[net][:, None, None] * cams[net] for net in cams) + 1e-4
    below = sum(weights[net] for net in cams) + 1e-4
    valid = sum(weights[net] for net in cams) > 0
    return z(above / below[:, None, None]) * valid[:, None, None], valid


def box_of(maps, valid, min_side=0.25, steady=2):
    boxes = np.zeros((len(maps), 4))
    for t, one in enumerate(maps):
        rows, columns = np.nonzero(one > 2 * one.mean())
        edges = np.array([0.0, 0, SIDE, SIDE])
        if valid[t] and len(rows):
            edges = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1], float)
        for axis in (0, 1):
            lack = max(min_side * SIDE - (edges[axis + 2] - edges[axis]), 0)
            near, far = edges[axis] - lack / 2, edges[axis + 2] + lack / 2
            move = max(-near, 0) - max(far - SIDE, 0)
            edges[axis], edges[axis + 2] = near + move, far + move
        boxes[t] = edges
    steadied = boxes.copy()
    for t in range(len(boxes)):
        near = [k for k in range(max(t - steady, 0), min(t + steady, len(boxes) - 1) + 1) if valid[k]]
        if near:
            steadied[t] = boxes[near].mean(0)
    return steadied / SIDE


def enlarged(maps):
    return np.asarray(resize(z(maps).astype(np.float32)[..., None], (SIDE, SIDE))[..., 0], np.float64)


@pytest.fixture(scope="module")
def direct(said):
    def of(clip, tag):
        maps, scores, phi = said("coarse", clip, [squash(image, 64) for image in clip.images])
        cams = {net: enlarged(x[..., tag]) for net, x in maps.items()}
        coarse, certain = scam_of({net: cams[net] for net in OWN}, scores, tag)
        boxes = box_of(coarse, certain)
        height, width = clip.images[0].shape[:2]
        pixels = (boxes.astype(np.float32) * [height, width, height, width]).tolist()
        crops = [squash(image, 96, box=box) for image, box in zip(clip.images, pixels, strict=True)]
        maps, inside, _ = said("fine", clip, crops, phi)
        for net in OWN:
            placed = cam.paste(z(maps[net][..., tag]).astype(np.float32), boxes * SIDE, (SIDE, SIDE), method="bilinear")
            cams[net] = np.asarray(placed, np.float64)
        scores |= inside
        scam, _ = scam_of({net: cams[net] for net in OWN}, scores, tag)
        plus, valid = scam_of(cams, scores, tag)
        return {"coarse": coarse, "boxes": boxes, "scam": scam, "maps": plus, "valid": valid, "scores": scores, "phi": phi}

    return of


@pytest.fixture(scope="module")
def members(scam_folder):
    return {member.path.name: member for member in folder.members(scam_folder)}


@pytest.fixture(scope="module")
def clip():
    return source(N)


@pytest.mark.parametrize("tag", range(len(CLASSES)))
def test_a_clip_equals_the_direct_computation(scam, direct, clip, tag):
    expected, found = direct(clip, tag), pseudo_fixations(scam, clip, tag)
    assert list(found.confidence) == [*OWN, "S+short", "SA+long", "ST+cross"] and found.own == OWN
    for net, confidence in found.confidence.items():
        np.testing.assert_allclose(confidence[:, 0], expected["scores"][net][:, tag], atol=1e-3)
        sure = expected["scores"][net].argmax(1) == tag
        np.testing.assert_array_equal(found.sure[net][:, 0], sure)
    np.testing.assert_allclose(found.boxes, expected["boxes"], atol=1e-5)
    np.testing.assert_array_equal(found.valid, expected["valid"])
    np.testing.assert_allclose(found.coarse, expected["coarse"], atol=2e-3)
    np.testing.assert_allclose(found.scam, expected["scam"], atol=3e-3)
    np.testing.assert_allclose(found.maps, expected["maps"], atol=2e-3)
    np.testing.assert_allclose(found.time, np.arange(N) / FPS)
    assert found.views == {"coarse": N, "bank": 3 * N, "fine": N}
    assert np.abs(found.maps - found.scam).max() > 0.05


def test_the_oracle_meets_frames_of_every_kind(direct, clip):
    """Valid ones and others, boxes, an audio switch that is now open, now closed: else the test above shows little."""
    found = [direct(clip, tag) for tag in range(len(CLASSES))]
    valid = np.array([one["valid"] for one in found])
    assert 0 < valid[0].mean() < 1 and valid.mean(1).max() == 1
    assert set(np.unique(found[0]["phi"])) == {0, 1}
    assert all(np.ptp(found[tag]["boxes"], axis=0).max() > 0.1 for tag in (0, 1))


# What must hold of it


def test_what_is_not_valid_is_zeros_and_nothing_is_nan(scam):
    clip = source(40, 3)
    found = pseudo_fixations(scam, clip, "dog")
    assert found.maps.dtype == np.float32 and not found.valid.all() and found.valid.any()
    np.testing.assert_array_equal(found.maps[~found.valid], 0)
    assert np.isfinite(found.maps).all() and (found.maps[found.valid].max((1, 2)) == 1).all()
    sure = np.any(list(found.sure.values()), axis=0)[:, 0]
    np.testing.assert_array_equal(found.valid, sure)


def test_several_tags_are_the_mean_of_those_that_some_source_is_sure_of(scam, clip):
    found = [pseudo_fixations(scam, clip, tag) for tag in (0, 2)]
    both = pseudo_fixations(scam, clip, ["Bark", "mare"])
    np.testing.assert_array_equal(both.valid, found[0].valid | found[1].valid)
    for net in both.confidence.keys() - set(OWN):  # those look into the boxes, which are those of both
        expected = np.concatenate([one.confidence[net] for one in found], axis=1)
        np.testing.assert_allclose(both.confidence[net], expected, atol=1e-5)
    coarse = z(sum(one.coarse.astype(np.float64) for one in found))
    np.testing.assert_allclose(both.coarse, coarse, atol=3e-3)


def test_five_tags_compile_no_more_than_one(scam, clip):
    """Classes may be named twice here, as numbers; the nets are asked about four at a time."""
    before = scam.whole._predict._cache_size()
    pseudo_fixations(scam, clip, [0, 1, 2])
    assert scam.whole._predict._cache_size() == before == 1


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_short_clips_have_a_map_for_every_frame(scam, direct, count):
    clip = source(count, 5)
    found, expected = pseudo_fixations(scam, clip, 2), direct(clip, 2)
    assert found.maps.shape == (count, SIDE, SIDE) and found.views == {"coarse": count, "bank": 3 * count, "fine": count}
    np.testing.assert_array_equal(found.valid, expected["valid"])
    np.testing.assert_allclose(found.maps, expected["maps"], atol=2e-3)


@pytest.mark.parametrize("sound", [None, np.zeros(16000, np.float32)], ids=["no sound", "silence"])
def test_without_sound_the_switch_is_off(scam, direct, sound):
    images = frames(7, 1)
    found = pseudo_fixations(scam, ArraySource(images, sound, FPS), 2)
    expected = direct(ArraySource(images, np.zeros(16000, np.float32), FPS), 2)
    assert not expected["phi"].any()
    np.testing.assert_allclose(found.maps, expected["maps"], atol=2e-3)


def test_odd_frames_and_a_record_give_what_their_pictures_give(scam):
    clip = record("a", [1], 6)
    images = [frame.image for frame in RecordSource(clip).frames()]
    one = pseudo_fixations(scam, RecordSource(clip), 1)
    other = pseudo_fixations(scam, ArraySource(images, clip.waveform(), FPS), 1)
    np.testing.assert_allclose(one.maps, other.maps, atol=1e-6)
    odd = ArraySource([image[:37, :53] for image in images], None, FPS)
    assert pseudo_fixations(scam, odd, 1).maps.shape == (6, SIDE, SIDE)


def test_settings_leave_out_stages_and_company(scam_folder, scam, clip):
    whole = pseudo_fixations(scam, clip, 1)
    model = pseudofix.load(scam_folder, batch=4, settings=Settings(company=False))
    found = pseudo_fixations(model, clip, 1)
    np.testing.assert_allclose(found.maps, whole.scam, atol=1e-3)
    assert found.views == {"coarse": N, "bank": 0, "fine": N} and found.own == OWN == tuple(found.confidence)
    model = dataclasses.replace(model, crops=None, settings=Settings(company=False, fine=False))
    coarse = pseudo_fixations(model, clip, 1)
    np.testing.assert_allclose(coarse.maps, whole.coarse, atol=1e-3)
    assert coarse.views == {"coarse": N, "bank": 0}
    larger = dataclasses.replace(model, settings=dataclasses.replace(model.settings, side=24))
    smooth = dataclasses.replace(model, settings=dataclasses.replace(larger.settings, smooth=True))
    plain = pseudo_fixations(larger, clip, 1).maps
    assert plain.shape == (N, 24, 24)
    np.testing.assert_allclose(pseudo_fixations(smooth, clip, 1).maps, cam.recursive_smooth(plain), atol=1e-5)
    average = dataclasses.replace(model, settings=dataclasses.replace(model.settings, selective=False))
    found = pseudo_fixations(average, clip, 1)
    np.testing.assert_allclose(found.maps, z(sum(x.astype(np.float64) for x in found.cams(range(N)).values())), atol=1e-4)


def test_cams_are_those_that_were_fused(scam, clip):
    """The mean over one tag is the CAM itself; in the fine stage what lies outside the box is zero."""
    found = pseudo_fixations(scam, clip, 0)
    cams, some = found.cams(range(N)), found.cams([3, 11])
    for net in found.confidence:
        np.testing.assert_array_equal(cams[net][[3, 11]], some[net])
    weights = {net: found.confidence[net][:, 0] * found.sure[net][:, 0] for net in cams}
    total = sum(weights.values())
    fused = (sum(weights[net][:, None, None] * cams[net] for net in cams) + 1e-4) / (total + 1e-4)[:, None, None]
    np.testing.assert_allclose(found.maps, z(fused) * found.valid[:, None, None], atol=1e-4)
    pixels = (np.arange(SIDE) + 0.5) / SIDE
    outside = pixels < found.boxes[:, :1] - 1 / SIDE
    assert outside.any() and not np.moveaxis(cams["S"], 1, 1)[outside].any()


# Sources that cannot be seeked, and errors


class Unseekable(ArraySource):
    moves = True

    def moments(self, times):
        raise MediaError(f"{self.path}: it is a pipe")


def test_without_seeking_banks_grow_and_say_so(scam, clip):
    blind = Unseekable(clip.images, clip.waveform, FPS)
    with pytest.warns(MediaWarning) as caught:
        found = pseudo_fixations(scam, blind, 1)
    messages = [str(warning.message) for warning in caught]
    assert messages == [
        "frames: no other clip of its tag at hand; ST+cross gets long-term company",
        "frames: it is a pipe; long-term company comes from what has passed",
    ]
    seen = pseudo_fixations(scam, clip, 1)
    assert found.views == {"coarse": N, "bank": 0, "fine": N}
    np.testing.assert_allclose(found.scam, seen.scam, atol=1e-6)
    assert not np.array_equal(found.confidence["SA+long"], seen.confidence["SA+long"])


def test_a_clip_with_company_of_other_clips_says_nothing(scam, clip):
    from stajax.inference.bank import of_clips

    banks = of_clips(scam.whole, scam.crossing, [RecordSource(record("b", [1], 9, 7))], count=1).banks
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pseudo_fixations(scam, clip, 1, banks=banks)
    alone = pseudo_fixations(scam, clip, 1)
    assert np.abs(found.confidence["ST+cross"] - alone.confidence["ST+cross"]).max() > 1e-3
    np.testing.assert_allclose(found.confidence["SA+long"], alone.confidence["SA+long"], atol=1e-6)


def test_bad_tags_are_one_line(scam, clip):
    for tag, says in (
        ("Zebra", "unknown tag 'Zebra'; the model tiny-scam knows: Bark; Cat; Horse"),
        ([], "frames: no tag; without"),
    ):
        with pytest.raises(ValueError, match=says) as caught:
            pseudo_fixations(scam, clip, tag)
        assert "\n" not in str(caught.value)
    with pytest.raises(DataError, match="class 3"):
        pseudo_fixations(scam, clip, 3)


def test_one_network_is_a_model_without_a_fine_stage(scam_folder, clip):
    model = pseudofix.load(scam_folder / "coarse", batch=4, settings=Settings(company=False))
    assert model.crops is None and model.name == "coarse"
    found = pseudo_fixations(model, clip, 0)
    np.testing.assert_allclose(found.maps, found.coarse, atol=1e-3)
