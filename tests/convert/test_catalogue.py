"""The catalogue against torchvision's naming, the encoders that exist, and the files that ship."""

import re
import shlex
from pathlib import Path

import pytest

from stajax.convert import ConvertError, catalogue
from stajax.convert.packaged import MAKERS
from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS
from stajax.encoders.params import WEIGHTS, read_params


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STAJAX_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_names_and_files_are_unique():
    for attribute in ("name", "file"):
        values = [getattr(entry, attribute) for entry in catalogue.CATALOGUE]
        assert len(values) == len(set(values))


def test_sha256_against_the_digits_in_torchvisions_file_names():
    in_names = {
        entry.name: match[1] for entry in catalogue.CATALOGUE if (match := re.search(r"-([0-9a-f]{8})\.pth$", entry.origin))
    }
    assert set(in_names) == {"vgg16", "resnext101_32x8d_wsl", "resnext101_32x8d", "resnet50"}
    for name, digits in in_names.items():
        entry = catalogue.entry(name)
        assert entry.sha256.startswith(digits) and entry.file in entry.origin


def test_every_sha256_is_whole_or_eight_digits():
    for entry in catalogue.CATALOGUE:
        assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{8}|[0-9a-f]{64}", entry.sha256), entry.name


def test_every_entry_has_one_way_to_be_had_and_an_encoder_that_exists():
    for entry in catalogue.CATALOGUE:
        ways = [
            entry.ships,
            entry.by_hand,
            entry.package is not None,
            entry.origin.startswith("https://") and not entry.by_hand,
        ]
        assert ways.count(True) == 1, entry.name
        if not entry.by_hand:
            assert set(entry.encoder.split(" or ")) <= FRAME_ENCODERS.keys() | SOUND_ENCODERS.keys(), entry.name
    assert {entry.name for entry in catalogue.CATALOGUE if entry.package} == MAKERS.keys()


def test_what_ships_is_what_lies_in_the_package():
    shipped = {status.path for status in catalogue.listing() if status.entry.ships}
    assert shipped == set((WEIGHTS / "encoders").glob("*.npz"))
    for path in shipped:
        read_params(path)


def test_a_file_is_looked_for_in_the_users_folder_before_the_package(folder):
    assert catalogue.find(catalogue.entry("yamnet")) == WEIGHTS / "encoders/yamnet.npz"
    assert catalogue.find(catalogue.entry("vgg16")) is None
    folder.mkdir()
    for file in ("yamnet.npz", "vgg16-397923af.pth"):
        (folder / file).write_bytes(b"12345")
    found = {status.entry.name: status for status in catalogue.listing()}
    assert (found["yamnet"].path, found["yamnet"].size) == (folder / "yamnet.npz", 5)
    assert (found["vgg16"].path, found["vgg16"].size) == (folder / "vgg16-397923af.pth", 5)
    assert found["resnet50"].path is None and found["resnet50"].size == 102_530_333
    assert found["vggsound"].path is None and found["vggsound"].size is None


def test_the_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("STAJAX_WEIGHTS", "~/mine")
    assert catalogue.folder() == tmp_path / "mine"
    monkeypatch.setenv("STAJAX_WEIGHTS", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert catalogue.folder() == tmp_path / "xdg/stajax/weights"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert catalogue.folder() == tmp_path / ".cache/stajax/weights"


def test_the_table_says_of_every_entry_where_it_is_and_whose(folder):
    text = catalogue.table(catalogue.listing())
    head, *blocks = text.split("\n\n")
    assert str(folder) in head and len(blocks) == len(catalogue.CATALOGUE)
    for entry, block in zip(catalogue.CATALOGUE, blocks, strict=True):
        assert block.split()[0] == entry.name
        for part in (entry.title, entry.origin, entry.licence, entry.note):
            assert part in block
        assert (str(WEIGHTS) if entry.ships else "not here") in block.splitlines()[0]
        assert entry.ships or (entry.sha256 or "sha256   not known") in block
    size = dict.fromkeys(("vggsound", "authors_switch"), "not known") | {"vgg16": "553.4 MB", "yamnet": "3.3 MB"}
    for name, shown in size.items():
        assert re.search(rf"^{name} +{shown} ", text, re.MULTILINE)


def test_unknown_name_lists_the_names():
    with pytest.raises(ConvertError, match=r"^no weights called 'vgg19'; known: efficientnet_lite0, yamnet, "):
        catalogue.entry("vgg19")


def test_the_convert_line_survives_a_shell():
    path = Path("/home/a user/STANet.pth")
    line = catalogue.convert_line(catalogue.entry("authors_stanet"), path)
    assert shlex.split(line) == ["stajax", "convert", str(path), "-o", "stanet"]
    assert catalogue.convert_line(catalogue.entry("efficientnet_lite0_float32"), path) is None


def test_the_documentation_names_every_file():
    text = (Path(__file__).parents[2] / "docs/convert.md").read_text(encoding="utf-8")
    assert [entry.file for entry in catalogue.CATALOGUE if not entry.ships and f"`{entry.file}`" not in text] == []
