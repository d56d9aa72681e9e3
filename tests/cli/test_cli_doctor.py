"""`stajax doctor DATASET --protocol P`: each finding with file and mend, and the exit code."""

import shutil
from pathlib import Path

import pytest
from commands import bad, stajax
from PIL import Image

DATA = Path(__file__).parents[1] / "goldens/metrics/stavis_mini/data"


@pytest.fixture
def data(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "data"))


@pytest.fixture
def plain(tmp_path):
    """A plain folder in order."""
    for folder in ("fixations", "stimuli"):
        (tmp_path / "plain" / folder).mkdir(parents=True)
    (tmp_path / "plain/fixations/a.csv").write_text("x,y\n1,2\n3,4\n")
    Image.new("RGB", (12, 8)).save(tmp_path / "plain/stimuli/a.png")
    return tmp_path / "plain"


def test_a_data_set_in_order(plain):
    result = stajax("doctor", plain, "--protocol", "plain")
    assert (result.code, result.out, result.err) == (0, f"ok   {plain}: in order\n", "")


def test_oddities_are_warnings_and_the_exit_code_is_0(data):
    result = stajax("doctor", data, "--protocol", "stavis")
    *lines, total = result.out.splitlines()
    assert (result.code, total) == (0, "0 errors, 7 warnings")
    findings, mends = lines[::2], lines[1::2]
    assert len(findings) == 7 and all(line.startswith(f"odd  {data}") for line in findings)
    assert all(line.startswith("     ") and line.strip() for line in mends)


def test_errors_have_file_and_mend_and_the_exit_code_is_1(data):
    v1 = data / "annotations/AVAD/V1"
    (v1 / "maps/eyeMap_00003.jpg").unlink()
    (v1 / "fixMap_00002.mat").write_bytes(b"nothing")
    Image.new("RGB", (64, 48)).save(v1 / "maps/eyeMap_00004.jpg")
    result = stajax("doctor", data, "--protocol", "stavis")
    assert result.code == 1 and result.err == ""
    lines = result.out.splitlines()
    broken = [line for line in lines if line.startswith("BAD  ")]
    assert f"BAD  {v1 / 'maps/eyeMap_00003.jpg'}: no density map of frame 3; the list says 14 frames" in broken
    assert any("fixMap_00002.mat is not a readable .mat file" in line for line in broken)
    assert all(lines[lines.index(line) + 1].startswith("     ") for line in broken)
    assert lines[-1] == f"{len(broken)} errors, 7 warnings"


def test_a_folder_that_is_not_there(tmp_path):
    line = bad("doctor", tmp_path / "none", "--protocol", "ucf", code=2)
    assert line == f"stajax: {tmp_path / 'none'}: no such folder; name the folder of the data set"
    assert "a file, not a folder" in bad("doctor", __file__, "--protocol", "ucf", code=2)


def test_bad_arguments(data):
    assert "no protocol 'x'; there are stavis, diem, osie, ucf, plain" in bad("doctor", data, "--protocol", "x")
    assert "doctor DATASET needs --protocol: stavis, osie, ucf, diem or plain" in bad("doctor", data)
    assert "doctor --protocol P needs a DATASET" in bad("doctor", "--protocol", "stavis")
