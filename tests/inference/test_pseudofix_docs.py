"""docs/pseudofix.md: its commands can be typed, it names all options that there are, its Python runs."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from inference.tagged import CLASSES, record, write_scam
from inference.tiny import swelling
from media.made import clip

from stajax.cli import _parser
from stajax.data.records import Records, write_records
from stajax.inference.self_tagged import SelfTagged
from stajax.inference.tag_banks import read_banks

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "pseudofix.md").read_text()
COMMANDS = re.findall(r"^stajax (pseudofix [^\n#]*)", PAGE, re.MULTILINE)


def test_commands_can_be_typed_and_links_lead_somewhere():
    assert len(COMMANDS) >= 8
    for words in COMMANDS:
        _parser().parse_args(shlex.split(words))
    for link in re.findall(r"\]\(([\w.]+\.md)", PAGE):
        assert (DOCS / link).is_file(), link


def test_every_option_has_an_example_and_no_other_is_named():
    (commands,) = (action for action in _parser()._actions if getattr(action, "choices", None))
    there = {option for action in commands.choices["pseudofix"]._actions for option in action.option_strings} - {"-h", "--help"}
    typed = {word for words in COMMANDS for word in words.split() if word.startswith("-")}
    assert (there - {"--out"}) - typed == set()
    assert set(re.findall(r"`(--[a-z-]+)", PAGE)) <= there


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """What the examples ask for, tiny."""
    folder = tmp_path_factory.mktemp("docs")
    write_scam(folder / "runs/mine/scam")
    sound = {"sound": swelling(0.24)[None], "rate": 16000, "sound_codec": "pcm_s16le", "format": "matroska"}
    clip(folder / "dog.mp4", n=6, size=(96, 64), **sound)
    write_records(folder / "records", [record(name, [0], 3, k) for k, name in enumerate("abc")], list(CLASSES))
    return folder


@pytest.fixture
def run(workplace, monkeypatch):
    """names = run(what the example mentions)."""

    def of(word):
        (code,) = (code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if word in code)
        names: dict = {}
        monkeypatch.chdir(workplace)
        exec(code, names)
        return names

    return of


@pytest.mark.filterwarnings("ignore:.*gets long-term company")
def test_the_example_of_a_clip_runs(run, capsys):
    found = run("pseudo_fixations(")["found"]
    assert found.maps.shape == (6, 16, 16) and set(found.views) == {"coarse", "fine", "bank"}
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 2 + len(found.confidence) and printed[0].startswith("(6, 16, 16) ")


def test_the_example_of_a_set_runs(run, workplace):
    names = run("write_banks(")
    assert names["made"].clips == 3 and len(Records(workplace / "pseudo").entries) == 3
    assert names["maps"].shape == (3, 16, 16) and 0 <= names["maps"].min() <= names["maps"].max() <= 1
    shape = names["model"].whole.node_shapes()["ST+cross"]
    assert set(read_banks(workplace / "runs/mine/scam", "Bark", {"ST+cross": shape})["ST+cross"].clips) == set("abc")


@pytest.mark.slow
def test_the_example_of_an_untagged_picture_runs(run):
    names = run("SelfTagged")
    assert isinstance(names["look"], SelfTagged) and names["confidence"].shape == (4,)
    assert names["saliency"].shape == (64, 64)
    np.testing.assert_allclose((names["saliency"].min(), names["saliency"].max()), (0, 1), atol=1e-6)
