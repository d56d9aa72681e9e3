"""`stajax weights`: the list against the catalogue, and fetching without a network is one line."""

import urllib.error
import urllib.request

import pytest
from commands import bad, stajax

from stajax.convert import catalogue
from stajax.encoders.params import WEIGHTS


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The folder of weights; no network."""

    def offline(*_, **__):
        raise urllib.error.URLError(OSError(-2, "Name or service not known"))

    monkeypatch.setenv("STAJAX_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(urllib.request, "urlopen", offline)
    return tmp_path / "weights"


@pytest.mark.parametrize("command", [["weights"], ["weights", "list"]])
def test_the_list_holds_all_that_the_catalogue_does(here, command):
    result = stajax(*command)
    assert (result.code, result.err) == (0, "") and str(here) in result.out.splitlines()[0]
    for entry in catalogue.CATALOGUE:
        assert any(line.startswith(f"{entry.name} ") for line in result.out.splitlines())
        assert f"    from     {entry.origin}\n" in result.out and f"    licence  {entry.licence}\n" in result.out
    assert str(WEIGHTS / "encoders/yamnet.npz") in result.out


def test_some_of_the_list(here):
    here.mkdir()
    (here / "vgg16-397923af.pth").write_bytes(bytes(1_500_000))
    lines = stajax("weights", "list", "vggsound", "vgg16").out.splitlines()
    assert [line.split() for line in lines if line and not line.startswith(" ")][1:] == [
        ["vgg16", "1.5", "MB", str(here / "vgg16-397923af.pth")],
        ["vggsound", "not", "known", "not", "here"],
    ]


def test_what_is_here_needs_no_network():
    result = stajax("weights", "fetch", "yamnet", "efficientnet_lite0")
    places = [str(WEIGHTS / f"encoders/{name}.npz") for name in ("yamnet", "efficientnet_lite0")]
    assert (result.code, result.out.splitlines()) == (0, places)


def test_fetching_offline_is_one_line_and_leaves_nothing(here):
    result = stajax("weights", "fetch", "resnet50")
    origin = catalogue.entry("resnet50").origin
    place = here / "resnet50-0676ba61.pth"
    by_hand = f"download it in a browser and put it at {place}"
    assert (result.code, result.out) == (2, "")
    reason = f"stajax: {origin} cannot be reached (Name or service not known); {by_hand}"
    assert result.lines == [f"resnet50: {origin}", reason]
    assert not here.exists() or not list(here.iterdir())


def test_what_no_program_can_fetch_says_where_it_is(here):
    line = stajax("weights", "fetch", "authors_stanet").lines[-1]
    assert "no program can fetch STANet.pth; open https://" in line and str(here / "STANet.pth") in line


def test_bad_names():
    for action in ("list", "fetch"):
        line = bad("weights", action, "vgg17")
        assert line.startswith("stajax: no weights called 'vgg17'; known: efficientnet_lite0, yamnet, ")
    assert bad("weights", "fetch") == "stajax: fetch what? `stajax weights` lists the names"
    assert "invalid choice: 'get'" in bad("weights", "get")
