"""`stajax convert`: what stands on the screen, and that a bad file is one line, exit code 2, and no folder."""

import os
import pickle
import shutil
import sys

import numpy as np
import pytest
from commands import stajax
from convert.authors import save, spec
from convert.torch_files import write_zip
from inference.tiny import no_file_over

from stajax.convert import checkpoint
from stajax.models import folder

pytestmark = pytest.mark.usefixtures("without_torch")


@pytest.fixture
def without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    yield save(root / "S+.pth", {name: np.zeros(shape, np.float32) for name, shape in spec("Splus").items()})
    shutil.rmtree(root)


def refused(folder, *arguments, code=2):
    """The one line of a failed `convert ... -o folder/out`; nothing new lies in `folder`."""
    before = sorted(folder.rglob("*"))
    result = stajax("convert", *arguments, "-o", folder / "out")
    assert (result.code, result.out) == (code, "") and "Traceback" not in result.err
    assert sorted(folder.rglob("*")) == before
    *progress, line = result.lines
    assert line.startswith("stajax: ") and all(": reading" in said or "parameters in" in said for said in progress)
    return line.removeprefix("stajax: ")


def test_a_checkpoint_becomes_a_folder_and_the_screen_says_so(net, tmp_path):
    result = stajax("convert", net, "-o", tmp_path / "s-plus")
    assert (result.code, result.out) == (0, f"S+ (2022) -> {tmp_path / 's-plus'}; conversion_report.json lists every tensor\n")
    assert result.lines == [f"{net}: reading", f"{net}: S+ (2022), 21.8 M parameters in 53 tensors"]
    assert folder.read(tmp_path / "s-plus").name == "s-plus"
    again = stajax("convert", net, "-o", tmp_path / "s-plus", "--float16")  # a model is replaced
    assert again.code == 0 and (tmp_path / "s-plus/params/frames.npz").stat().st_size < 1e6  # compressed zeros


def test_names_of_nets_and_files_with_an_equals_sign(net, tmp_path):
    odd = shutil.copy(net, tmp_path / "a=b.pth")
    result = stajax("convert", odd, f"long={net}", "-o", tmp_path / "both")
    assert result.code == 0 and result.out.startswith("S+ (2022), S+ (2022, long company) -> ")
    assert [list(member.config.nets) for member in folder.members(tmp_path / "both")] == [["s_plus"], ["long"]]


def payload(path, made):
    """A file that makes the file `made` where it is unpickled without care."""

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {made}",)

    return write_zip(path, pickle.dumps({"state_dict": Evil()}, 2))


def test_a_malicious_pickle_is_refused_and_runs_nothing(tmp_path):
    made = tmp_path / "made"
    line = refused(tmp_path, payload(tmp_path / "27001.pt", made))
    assert line.startswith(f"{tmp_path / '27001.pt'}: ") and "it may be malicious" in line and "system" in line
    assert not made.exists()


def test_files_that_are_no_checkpoint_or_damaged(net, tmp_path):
    whole = net.read_bytes()
    files = {
        "cut.pth": (whole[: len(whole) // 2], "a zip archive that is cut short or damaged; fetch it again"),
        "flipped.pth": (whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], "is damaged (wrong checksum)"),
        "page.pth": (b"<!DOCTYPE html><html>sign in</html>", "an HTML page, not a checkpoint"),
        "empty.pth": (b"", "an empty file; fetch it again"),
        "noise.pth": (bytes(range(256)) * 9, "unknown bytes"),
    }
    for name, (content, says) in files.items():
        (tmp_path / name).write_bytes(content)
        line = refused(tmp_path, tmp_path / name)
        assert line.startswith(f"{tmp_path / name}: ") and says in line
        (tmp_path / name).unlink()
    assert refused(tmp_path, tmp_path / "none.pth") == f"{tmp_path / 'none.pth'}: no such file"
    assert "a folder, not a checkpoint file" in refused(tmp_path, tmp_path)


def test_tensors_of_another_net_are_told_in_one_line(tmp_path):
    """A ResNet-18, and a VGG-16 with four things wrong."""
    save(tmp_path / "resnet18.pth", {"conv1.weight": np.zeros((64, 3, 7, 7), np.float32), "fc.bias": np.zeros(9, np.float32)})
    line = refused(tmp_path, tmp_path / "resnet18.pth")
    assert "resnet18.pth: no net known to stajax has these 2 tensors, conv1.weight, fc.bias; docs/convert.md lists" in line
    tensors = {name: np.zeros(shape, np.float32) for name, shape in spec("vgg16_D1").items()}
    del tensors["features.0.bias"]
    tensors["features.2.bias"], tensors["fc"] = np.zeros((64, 1), np.float32), np.zeros(1, np.float32)
    tensors["features.28.bias"][0] = np.inf
    line = refused(tmp_path, save(tmp_path / "vgg.pth", tensors))
    for part in ("1 unmapped (fc)", "1 unfilled (convs.0.bias)", "1 misshapen (features.2.bias", "1 not finite in float32 ("):
        assert part in line


def test_names_and_companions_that_do_not_go_together(net, tmp_path):
    assert refused(tmp_path, net, net) == f"{net}: a second s_plus (S+ (2022)); name both: short=FILE long=FILE"
    assert "'my-net' is no name for a net; use letters, digits and _" in refused(tmp_path, f"my-net={net}")
    assert refused(tmp_path, "short=none.pth") == "none.pth: no such file"


def test_the_folder_cannot_be_written(net, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").touch()
    assert "exists and is no stajax model, so it is not replaced" in refused(tmp_path, net)
    shutil.rmtree(tmp_path / "out")
    with no_file_over(1 << 20):
        line = refused(tmp_path, net, code=1)
    assert line == f"{tmp_path / 'out'}: cannot be written (File too large); check free space and permissions"


def test_control_c_is_one_line(net, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "write_report", interrupted)
    assert refused(tmp_path, net, code=1) == "interrupted"


def test_nothing_to_convert():
    for arguments in ([], ["x.pth"]):
        result = stajax("convert", *arguments)
        assert result.code == 2 and "required: " in result.lines[-1]
