"""Maps that say nothing and frames without fixations: what they score under each policy, and that all of them are counted."""

import math
from pathlib import Path

import numpy as np
import pytest

from stajax.data.fixations import DataError
from stajax.evaluation import metrics
from stajax.evaluation.blank import at_chance, blank
from stajax.evaluation.evaluate import evaluate
from stajax.evaluation.report import write_html
from stajax.evaluation.results import METRICS

DATA = Path(__file__).parents[1] / "goldens/metrics/stavis_mini/data"
RNG = np.random.default_rng(0)
FIXATIONS, OTHER = (RNG.random((2, 30, 40)) < 0.01) * 1.0
DENSITY = RNG.random((30, 40)) ** 4
PRIOR = np.outer(np.hanning(12), np.hanning(16))
ALL = metrics.FIVE + metrics.BESIDE


def test_blank_tells_which_maps_say_nothing():
    flat = np.zeros((3, 4))
    broken = flat.copy()
    broken[1, 1] = np.nan
    infinite = np.where(np.isnan(broken), np.inf, 0)
    maps = (flat, flat + 0.5, broken, infinite, DENSITY)
    assert [blank(one) for one in maps] == ["all-zero map", "constant map", "NaN in the map", "NaN in the map", ""]


@pytest.mark.parametrize("name", ["auc_judd", "auc_shuffled", "nss", "cc", "auc", "auc_borji"])
def test_at_chance_is_the_mean_over_random_maps(name):
    rng = np.random.default_rng(1)
    scores = [metrics.measure([name], rng.random((30, 40)), FIXATIONS, DENSITY, OTHER)[name] for _ in range(1500)]
    (value,) = at_chance([name], FIXATIONS, DENSITY, OTHER).values()
    assert abs(np.mean(scores) - value) < 4 * np.std(scores) / np.sqrt(1500) + 1e-9


def test_at_chance_is_the_same_density_everywhere_where_there_is_no_common_level():
    values = at_chance(ALL, FIXATIONS, DENSITY, OTHER, baseline=PRIOR)
    share = (DENSITY - DENSITY.min()) / (DENSITY - DENSITY.min()).sum()
    assert values["similarity"] == pytest.approx(sum(min(g, 1 / 1200) for g in share.ravel()), rel=1e-12)
    plain = DENSITY / DENSITY.sum()
    assert values["kl_divergence"] == pytest.approx(np.sum(plain * np.log(plain * 1200)), rel=1e-9)
    # A map that is nearly the same everywhere: its lowest pixel, which is scaled to 0, is not fixated.
    nearly = np.ones((30, 40))
    nearly[tuple(np.argwhere(FIXATIONS == 0)[0])] = 0
    assert values["info_gain"] == pytest.approx(metrics.info_gain(nearly, FIXATIONS, PRIOR), abs=2e-3)
    assert values["auc_judd"] == values["auc_judd_chance"] == metrics.auc_judd_chance(FIXATIONS.sum())
    assert list(values) == list(ALL)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"fixations": FIXATIONS * 0}, {"auc_judd", "auc_shuffled", "nss", "auc", "auc_judd_chance", "auc_borji", "info_gain"}),
        ({"other": OTHER * 0}, {"auc_shuffled"}),
        ({"fixations": FIXATIONS + 1}, {"auc_judd", "auc_judd_chance", "auc"}),
        ({"density": DENSITY * 0 + 0.5}, {"cc", "similarity"}),
        ({"density": DENSITY * 0}, {"cc"}),
        ({"fixations": np.eye(1200)[7].reshape(30, 40)}, {"auc_borji"}),
    ],
)
def test_at_chance_has_no_value_where_the_truth_has_none(change, missing):
    """The same that a map with values lacks, by `metrics.measure`."""
    truth = {"fixations": FIXATIONS, "density": DENSITY, "other": OTHER, "baseline": PRIOR} | change
    values = at_chance(ALL, **truth)
    assert {name for name, value in values.items() if math.isnan(value)} == missing
    measured = metrics.measure(ALL, RNG.random((30, 40)), **truth)
    assert {name for name, value in measured.items() if math.isnan(value)} == missing


@pytest.fixture
def pred(tmp_path):
    """V1, frames 9 to 14: an all-zero map, a constant one, one with NaN, three with values. V2's frame 10 has no fixation."""
    maps = np.random.default_rng(3).random((15, 12, 16))
    for name in ("V1", "V2"):
        (tmp_path / "pred" / name).mkdir(parents=True)
    np.savez(tmp_path / "pred/V2/maps.npz", maps=maps)
    maps[8], maps[9], maps[10, 3, 3] = 0, 0.25, np.nan
    np.savez(tmp_path / "pred/V1/maps.npz", maps=maps[:14])
    return tmp_path / "pred"


def scored(pred, **options):
    return evaluate(pred, DATA, "stavis", datasets=["AVAD"], splits=["1"], options=options)


def test_blank_maps_are_left_out_by_default(pred):
    e = scored(pred)
    rows = e.select(video="V1")
    assert rows["note"].tolist() == [
        "all-zero map",
        "constant map",
        "broken prediction: NaN or infinity in the map",
        "",
        "",
        "",
    ]
    assert np.isnan(rows["nss"]).tolist() == [True] * 3 + [False] * 3
    assert e.settings["blank"] == "drop"
    with pytest.raises(DataError, match="V1, frame 11: NaN or infinity in the map"):
        evaluate(pred, DATA, "stavis", datasets=["AVAD"], splits=["1"], strict=True)


def test_blank_maps_count_at_chance_if_asked(pred):
    e, default = scored(pred, blank="chance"), scored(pred)
    rows, before = e.select(video="V1"), default.select(video="V1")
    reasons = ("all-zero map", "constant map", "NaN in the map")
    assert rows["note"].tolist() == [f"{reason}, counted at chance" for reason in reasons] + ["", "", ""]
    assert rows["nss"][:3].tolist() == rows["cc"][:3].tolist() == [0, 0, 0]
    assert rows["auc_shuffled"][:3].tolist() == [0.5] * 3
    for metric in METRICS:
        np.testing.assert_array_equal(rows[metric][3:], before[metric][3:])
        assert np.isfinite(rows[metric]).all()
    assert sum(e.notes[f"{reason}, counted at chance"] for reason in reasons) == 3
    video = e.per_video()
    assert video["nss"][0] == pytest.approx(rows["nss"][3:].sum() / 6)


@pytest.mark.parametrize(("policy", "similarity"), [("zero", 0), ("drop", math.nan)])
def test_a_frame_without_fixations_counts_as_zero_or_not(pred, policy, similarity, tmp_path):
    e = scored(pred, empty=policy)
    rows = e.select(video="V2")
    empty = rows["frame"] == 10
    np.testing.assert_array_equal(rows["similarity"][empty], [similarity])
    note = "no fixation, SIM counted as 0" if policy == "zero" else "no fixation"
    assert rows["note"][empty].tolist() == [note] and e.notes[note] == 1
    default = scored(pred)  # zero, as STAViS
    for metric in set(METRICS) - {"similarity"}:
        np.testing.assert_array_equal(e.rows[metric], default.rows[metric])
    kept = rows["similarity"][~empty]
    mean = kept.mean() if policy == "drop" else kept.sum() / (len(kept) + 1)
    video = e.per_video()
    assert video["similarity"][video["video"] == "V2"] == pytest.approx(mean)
    write_html(e, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert ("A frame without fixations is left out" in page) == (policy == "drop") and note in page


def test_a_blank_map_on_a_frame_without_fixations_follows_both_policies(pred):
    maps = np.random.default_rng(3).random((15, 12, 16))
    maps[9] = 0.5
    np.savez(pred / "V2/maps.npz", maps=maps)
    for empty, similarity in (("zero", 0.0), ("drop", math.nan)):
        e = scored(pred, blank="chance", empty=empty)
        rows = e.select(video="V2")
        here = rows["frame"] == 10
        np.testing.assert_array_equal([rows[metric][here][0] for metric in METRICS], [math.nan, similarity, *[math.nan] * 3])
        assert "constant map, counted at chance, no fixation" in rows["note"][here][0]


def test_a_divergence_from_nothing_is_no_score(pred):
    """An all-zero density divided by its sum would give 0, the best there is."""
    e = evaluate(pred, DATA, "stavis", datasets=["AVAD"], splits=["1"], also=["kl_divergence"])
    rows = e.select(video="V2")
    assert np.isnan(rows["kl_divergence"]).tolist() == (rows["frame"] == 10).tolist()
