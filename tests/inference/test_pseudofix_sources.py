"""Pseudo-fixations of chosen sources against the CAMs that the whole model gives of them, averaged and stretched by NumPy."""

import functools

import numpy as np
import pytest
from inference.tiny import variables

from stajax.data.synthetic import SyntheticConfig, synthetic_clip
from stajax.encoders.params import WeightsError
from stajax.inference.pseudofix import FINE, Settings, load, pseudo_fixations
from stajax.inference.source import RecordSource
from stajax.models import folder
from stajax.models.classifiers import ClassifierConfig, CompanyClassifierConfig
from stajax.models.network import NetworkConfig, Structure

S, SA = (("classifier", ClassifierConfig.tiny(source, 3)) for source in ("s", "sa"))
S_SHORT = ("classifier+", CompanyClassifierConfig.tiny("s", "short", 3))
MEMBERS = {"coarse": {"S": S, "SA": SA, "S+short": S_SHORT}, FINE: {"S": S, "SA": SA}}
PLAIN = {"fine": False, "selective": False}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    place = tmp_path_factory.mktemp("models") / "scam"
    for seed, (member, nets) in enumerate(MEMBERS.items()):
        structure = Structure(NetworkConfig(frames="tiny", sound="tiny", size=64, nets=nets))
        classes = {"a": (), "b": (), "c": ()}
        numbers = variables(structure, seed)
        folder.write(place / member, structure, numbers, name="tiny", model_card="", classes=classes, dtype="float32")
    folder.write_members(place, list(MEMBERS), name="scam", model_card="")
    return place


@pytest.fixture(scope="module")
def found(path):
    """Pseudo-fixations of a made clip, by settings."""
    clip = synthetic_clip(SyntheticConfig(size=64, fps=8, seconds=1, classes=3), 0, 0).clip

    @functools.cache  # compiling takes seconds
    def of(**settings):
        return pseudo_fixations(load(path, settings=Settings(**settings)), RecordSource(clip), 1)

    return of


def stretched(maps):
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    return (maps - low) / np.maximum(high - low, 1e-12)


@pytest.mark.parametrize("sources", [("S",), ("SA",), ("S+short",), ("S", "SA"), ("S", "S+short"), ("SA", "S", "S+short")])
def test_the_average_of_chosen_sources_is_that_of_their_cams(found, sources):
    whole, some = found(**PLAIN), found(**PLAIN, sources=sources)
    cams = whole.cams(range(len(whole.maps)))
    assert set(some.confidence) == set(sources) and set(cams) == {"S", "SA", "S+short"}
    expected = stretched(np.mean([cams[name].astype(np.float64) for name in sources], axis=0))
    np.testing.assert_allclose(some.maps, expected, atol=1e-5)
    assert some.maps.std() > 0.05 and some.valid.all()


def test_the_fine_stage_has_the_chosen_sources_alone_and_those_with_company_have_none(path):
    def nets(**settings):
        model = load(path, settings=Settings(**settings))
        return set(model.whole.nets), None if model.crops is None else set(model.crops.nets)

    assert nets() == ({"S", "SA", "S+short"}, {"S", "SA"})
    assert nets(sources=("S",)) == ({"S"}, {"S"})
    assert nets(sources=("S", "S+short")) == ({"S", "S+short"}, {"S"})
    assert nets(sources=("S+short",)) == ({"S+short"}, None)
    assert nets(sources=("S", "ST")) == ({"S"}, {"S"})  # of those the ones that there are


def test_none_of_the_sources_is_one_line(path):
    with pytest.raises(WeightsError, match=r"no classification nets in this model among ST, ST\+long; it makes no"):
        load(path, settings=Settings(sources=("ST", "ST+long")))
