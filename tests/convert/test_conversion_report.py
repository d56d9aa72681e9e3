"""`conversion_report.json` against the file and the tensors it speaks of."""

import hashlib
import json
from importlib.metadata import version

import numpy as np
import pytest
from torch_files import Storages

from stajax.convert import Row, apply_table, left_over, read_checkpoint, write_report
from stajax.media.errors import OutputError

TENSORS = {"module.b": np.arange(3.0, dtype=np.float32), "module.a": np.ones((2, 2), np.float32), "module.old": np.zeros(1)}
ROWS = (Row("a", "z"), Row("b", "y.bias"))
SHAPES = {"z": np.zeros((2, 2)), "y": {"bias": np.zeros(3)}}


@pytest.fixture
def converted(tmp_path):
    """(file, checkpoint, entries, unused)"""
    storages = Storages()
    file = storages.write(tmp_path / "net.pth.tar", {"state_dict": {k: storages.tensor(v) for k, v in TENSORS.items()}})
    checkpoint = read_checkpoint(file)
    _, entries = apply_table(checkpoint.tensors, ROWS, SHAPES, unused=["old"])
    return file, checkpoint, entries, left_over(checkpoint.tensors, entries, {"old": "never called"})


def test_report_against_the_file_and_its_tensors(tmp_path, converted):
    file, checkpoint, entries, unused = converted
    write_report(tmp_path / "conversion_report.json", file, checkpoint, "STA", entries, unused)
    report = json.loads((tmp_path / "conversion_report.json").read_text())
    digest = lambda data: hashlib.sha256(data).hexdigest()  # noqa: E731
    assert report == {
        "stajax": version("stajax"),
        "net": "STA",
        "source": {
            "name": "net.pth.tar",
            "bytes": file.stat().st_size,
            "sha256": digest(file.read_bytes()),
            "format": "torch zip",
            "entry": "state_dict",
        },
        "tensors": [
            {"from": "b", "to": "y.bias", "shape": [3], "norm": 5**0.5, "sha256": digest(TENSORS["module.b"].tobytes())},
            {"from": "a", "to": "z", "shape": [2, 2], "norm": 2.0, "sha256": digest(TENSORS["module.a"].tobytes())},
        ],
        "unused": [{"name": "old", "shape": [1], "reason": "never called"}],
    }


def test_the_same_input_gives_the_same_bytes_in_any_order(tmp_path, converted):
    file, checkpoint, entries, unused = converted
    write_report(tmp_path / "a.json", file, checkpoint, "STA", entries, unused)
    write_report(tmp_path / "b.json", file, checkpoint, "STA", entries[::-1], dict(reversed(unused.items())))
    text = (tmp_path / "a.json").read_text()
    assert text == (tmp_path / "b.json").read_text()
    assert str(tmp_path) not in text  # nothing of the machine
    assert sum('"from"' in line for line in text.splitlines()) == 2  # one tensor a line


def test_a_report_without_tensors_or_leftovers_is_json(tmp_path, converted):
    file, checkpoint, _, _ = converted
    write_report(tmp_path / "a.json", file, checkpoint, "STA", [], {})
    report = json.loads((tmp_path / "a.json").read_text())
    assert report["tensors"] == report["unused"] == []


def test_a_folder_that_is_not_there_is_named(tmp_path, converted):
    with pytest.raises(OutputError, match="no folder"):
        write_report(tmp_path / "none" / "a.json", converted[0], *converted[1:2], "STA", *converted[2:])
