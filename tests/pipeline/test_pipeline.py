"""The whole chain, a few steps of each stage: clips, tags, pseudo-fixations, fused maps; what is done is not done again."""

import io
import json
import shutil

import numpy as np
import pytest

from stajax.models import folder
from stajax.pipeline.manifest import Manifest
from stajax.pipeline.run import plan, run
from stajax.pipeline.ship import ship
from stajax.pipeline.steps import steps_of
from stajax.training.config import ConfigError

STEPS = ["records", "heard", "switch", "s", "sa", "coarse", "crops", "sa_fine", "scam", "pseudofix", "sta", "model", "predict"]
STEPS += ["spatial", "score"]


def actions(config, workdir) -> dict[str, str]:
    return {p.step.name: p.action for p in plan(steps_of(config, workdir, print), Manifest(workdir))}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("pipeline") / "run"


@pytest.mark.slow
def test_the_chain_ends_in_fused_maps_and_a_rerun_does_nothing(tiny, made, tmp_path):
    assert list(actions(tiny(), made)) == STEPS
    said = io.StringIO()
    steps = run(tiny(), made, stream=said)
    assert list(steps) == STEPS and {step["state"] for step in steps.values()} == {"done"}
    assert [net for member in folder.members(made / "model") for net in member.config.nets] == ["sta"]
    maps = sorted((made / "predict").glob("*/maps.npz"))
    assert len(maps) == 2
    with np.load(maps[0]) as file:
        assert file["maps"].shape == (10, 16, 16) and np.isfinite(file["maps"]).all()
    scores = json.loads((made / "score/hits.json").read_text())
    rows = ("centre prior", "pseudo-fixations", "sta", "spatial", "fused")
    assert {*rows, "pseudo-fixations, silent", "sta, silent", "fused, silent"} < set(scores)
    assert all(0 <= score <= 1 for score in scores.values())
    assert "== 15/15 score: how often a map's peak lies in the sounding object" in said.getvalue()

    again = io.StringIO()
    assert run(tiny(), made, stream=again) == steps and again.getvalue() == ""
    assert set(actions(tiny(), made).values()) == {"done"}

    # As if it had been killed when STA began: the same from there on.
    other = tmp_path / "run"
    shutil.copytree(made, other)
    for place in ("train/sta", "model", "predict", "train/spatial", "score"):
        shutil.rmtree(other / place)
    kept = {name: step for name, step in steps.items() if STEPS.index(name) < STEPS.index("sta")}
    kept["sta"] = {"made_of": steps["sta"]["made_of"], "state": "begun"}
    (other / "manifest.json").write_text(json.dumps({"steps": kept}))
    expected = dict.fromkeys(STEPS[: STEPS.index("sta")], "done") | {"sta": "resume"}
    assert actions(tiny(), other) == expected | dict.fromkeys(STEPS[STEPS.index("sta") + 1 :], "run")
    found = run(tiny(), other, stream=None)
    assert json.loads((other / "score/hits.json").read_text()) == scores
    assert {name: step["notes"] for name, step in found.items()} == {name: step["notes"] for name, step in steps.items()}


@pytest.mark.slow
def test_a_change_makes_again_what_depends_on_it_alone(tiny, made):
    dirty = {name for name, action in actions(tiny(pseudofix__factor=3.0), made).items() if action != "done"}
    assert dirty == set(STEPS) - {"records", "heard", "switch", "s", "sa", "coarse", "s_plus_long", "scam"} | {
        "sa_fine",
        "scam",
    }
    dirty = {name for name, action in actions(tiny(stages__sta__optimiser__rate=0.5), made).items() if action != "done"}
    assert dirty == {"sta", "model", "predict", "spatial", "score"}
    assert set(actions(tiny(stages__sta__log__every=7), made).values()) == {"done"}


def test_before_anything_runs_what_is_wrong_with_the_configuration_is_one_line(tiny, tmp_path):
    for change, line in (
        ({"nets": ("sta", "stb")}, "nets: no stage trains stb; there are sta"),
        ({"pseudofix__sources": ("S", "ST")}, "pseudofix.sources: no stage trains ST; there are "),
        ({"pseudofix__sources": ("SA",), "stages__s__stage": "st"}, "stages.s.stage='st': it must be its own name"),
        ({"data__clips": ""}, "data.clips: which clips? give a CSV of path,tag, a folder of TAG/CLIP, or data.records=FOLDER"),
        ({"tagger": "ears"}, "tagger='ears': known: yamnet, given"),
    ):
        with pytest.raises(ConfigError) as error:
            run(tiny(**change), tmp_path / "run", stream=None)
        assert str(error.value).startswith(line) and "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"--until stb: no such step; this pipeline has records, heard, switch, s, sa"):
        run(tiny(), tmp_path / "run", until="stb", stream=None)
    with pytest.raises(ValueError, match=r"--from sa: records, heard, switch, s not made yet"):
        run(tiny(), tmp_path / "run", begin="sa", stream=None)
    assert not (tmp_path / "run").exists()


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(tiny, tmp_path, capsys):
    run(tiny(switch=False, pseudofix__fine=False), tmp_path / "run", dry=True)
    lines = capsys.readouterr().out.splitlines()
    left_out = {"heard", "switch", "coarse", "crops", "sa_fine"}
    assert [line.split()[:2] for line in lines] == [["run", name] for name in STEPS if name not in left_out]
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_models_ship_under_names_of_their_own_and_share_the_switch_and_cards_stay(tiny, made, tmp_path, monkeypatch):
    run(tiny(), made, stream=None)  # nothing, after the first test
    monkeypatch.setattr(folder, "WEIGHTS", tmp_path)
    (tmp_path / "weak-lite").mkdir()
    shutil.copyfile(made / "model/config.json", tmp_path / "weak-lite/config.json")
    (tmp_path / "weak-lite/model_card.md").write_text("written by hand")
    assert list(ship(made)) == ["scam-lite", "weak-lite"]
    assert folder.name_and_card("weak-lite") == ("weak-lite", "written by hand")
    for of, name in (("scam", "scam-lite"), ("model", "weak-lite")):
        assert folder.fingerprint(folder.members(name)) == folder.fingerprint(folder.members(made / of))
    assert [path.name for path in (tmp_path / "switches").iterdir()] == ["lite.npz"]
    assert not list(tmp_path.glob("*-lite/**/switch.npz"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scam-lite", "switches", "weak-lite"]
