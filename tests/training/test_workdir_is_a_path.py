"""An address of a bucket is no working directory: it would become a folder called gs: here."""

from pathlib import Path

import pytest
from commands import bad

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    "command", [("train", "s.py:tiny", "--config.records=records", "--config.net.classes=4"), ("pipeline", "synthetic_tiny.py")]
)
def test_a_buckets_address_is_one_line_and_leaves_nothing(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    what, config, *changes = command
    line = bad(what, "--config", CONFIGS / config, "--workdir", "gs://bucket/run", *changes)
    assert "a working directory is a path; mount the bucket and give its folder" in line
    assert not list(tmp_path.iterdir())
