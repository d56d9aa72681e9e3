"""docs/training.md and docs/launch.md: their commands can be typed, their tables name all fields that there are, no others."""

import re
import shlex
from pathlib import Path

import pytest

from stajax.cli import _parser
from stajax.cli.arguments import dotted
from stajax.pipeline.config import pipeline_config
from stajax.training.config import STAGES, flat, load, stage_config

ROOT = Path(__file__).parents[2]
TRAINING = (ROOT / "docs/training.md").read_text()


@pytest.mark.parametrize("page", ["training", "launch"])
def test_commands_can_be_typed_and_their_changes_fit(page):
    text = (ROOT / f"docs/{page}.md").read_text().replace("\\\n", " ").replace("configs/FILE.py", "")
    found = re.findall(r"(?:stajax |slurm\.sbatch |-- |COMMAND=\")((?:train|pipeline) --config c[^\n`#\"]*)", text)
    assert len(found) >= 4
    for words in found:
        given = _parser().parse_args(dotted(shlex.split(words)))
        load(str(ROOT / given.config), given.changes)
    for path in re.findall(r"(?:launch|configs)/[\w./]+\.(?:py|sh|yaml|sbatch)", text):
        assert (ROOT / path).is_file(), path
    for link in re.findall(r"\]\(([\w.]+\.md)", text):
        assert (ROOT / "docs" / link).is_file(), link


def named(begin: str, end: str) -> set[str]:
    """Fields in the first column of the tables between two headings; ".b" after "`a.x`" is a.b."""
    fields = set()
    for cell in re.findall(r"^\| (`[^|]+) \|", TRAINING.split(begin)[1].split(end)[0], re.M):
        parent = ""
        for name in re.findall(r"`([\w.*]+)`", cell):
            parent = name.rpartition(".")[0] if not name.startswith(".") else parent
            fields.add(f"{parent}{name}" if name.startswith(".") else name)
    return fields


def test_every_field_of_a_stage_is_explained_and_no_other():
    groups = {"net": "net.*"}  # one row for all
    there = {groups.get(field.split(".")[0], field) for stage in STAGES for field in flat(stage_config(stage, "tiny"))}
    assert named("## Fields of a configuration", "## What a run leaves") == there - {"stage", "size"}


def test_every_field_of_a_pipeline_is_explained():
    groups = {"pseudofix": "pseudofix.*", "stages": "stages.STAGE"}
    config = pipeline_config("lite")
    there = {groups.get(field.split(".")[0], field) for field in flat(config)}
    known = {field for field in there if not field.startswith("data.synthetic")} - {"size"} | {"data.synthetic.*"}
    assert named("## Pipelines", "## Ablations") == known
