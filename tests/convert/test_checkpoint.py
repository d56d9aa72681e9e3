"""`convert`: what does not fit is one line with all that is wrong, and whatever happens, what lies at the folder is whole."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from convert.authors import constants, save, spec
from inference.tiny import no_file_over

from stajax.convert import ConvertError, checkpoint, convert
from stajax.convert.families import recognise
from stajax.encoders.params import WeightsError, flatten
from stajax.media import OutputError
from stajax.models import folder
from stajax.models.network import Structure

pytestmark = pytest.mark.usefixtures("without_torch")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Torch files of S+, ST+ and VGG-16, their numbers zeros, which take no time."""
    root = tmp_path_factory.mktemp("files")
    yield {name: save(root / f"{name}.pth", zeros(spec(name))) for name in ("Splus", "STplus", "vgg16_D1")}
    shutil.rmtree(root)


def zeros(shapes):
    return {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}


def refusal(sources, out, error=ConvertError):
    """The one line that `convert` raises; nothing is at `out` or beside it that was not there before."""
    before = sorted(out.parent.iterdir())
    with pytest.raises(error) as caught:
        convert(sources, out)
    assert sorted(out.parent.iterdir()) == before
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_all_that_does_not_fit_is_one_line_with_the_files_name(tmp_path):
    tensors = zeros(spec("vgg16_D1"))
    del tensors["features.0.weight"]
    tensors["features.2.bias"] = np.zeros(65, np.float32)
    tensors["features.5.bias"][3] = np.nan
    tensors["features.30.weight"] = np.zeros(3, np.float32)
    file = save(tmp_path / "mine.pth", tensors)
    line = refusal([file], tmp_path / "out")
    assert line == (
        f"{file}: these tensors are not those of this net: 1 unmapped (features.30.weight); 1 unfilled (convs.0.kernel); "
        "1 misshapen (features.2.bias (65,) -> (65,), convs.1.bias is (64,)); 1 not finite in float32 (features.5.bias)"
    )


def test_another_architecture_is_told_by_its_tensors(tmp_path):
    resnet18 = {"conv1.weight": (4, 3, 7, 7), "bn1.weight": (4,), "layer4.1.conv2.weight": (4, 4, 3, 3), "fc.bias": (10,)}
    file = save(tmp_path / "resnet18.pth", zeros(resnet18))
    line = refusal([file], tmp_path / "out")
    assert line == (
        f"{file}: no net known to stajax has these 4 tensors, bn1.weight, conv1.weight, fc.bias, layer4.1.conv2.weight; "
        "docs/convert.md lists those it knows"
    )


@pytest.mark.parametrize("shape", [None, (), (14,), (14, 0, 1, 1), (14, 1, 1, 1), (14, 10**9, 1, 1), (14, 56, 1, 1)])
def test_one_wrong_projection_does_not_change_the_width_of_the_net(shape):
    """The width is read off the projections; 32 in STA, where nothing else has the usual 28."""
    shapes = spec("STA") | {"extra_projf.weight": shape}
    family = recognise(constants({name: shape for name, shape in shapes.items() if shape is not None}))
    ((_, config),) = family.network.nets.values()
    assert config.channels == 32


def test_a_net_of_other_classes_has_its_own_width_and_no_class_names(tmp_path):
    shapes = {
        key: tuple(10 if n == 28 else 20 if n == 56 else 5 if n == 14 else n for n in s) for key, s in spec("Splus").items()
    }
    convert([save(tmp_path / "own.pth", zeros(shapes))], tmp_path / "own")
    model = folder.read(tmp_path / "own")
    assert model.config.nets["s_plus"][1].channels == 10 and not model.classes


# Several files, and names


def test_several_files_become_members_of_one_model_with_the_names_that_were_given(tmp_path, files):
    done = convert([("next", files["Splus"]), ("long", files["STplus"])], tmp_path / "both")
    assert [made.member for made in done] == ["next", "long"]
    members = folder.members(tmp_path / "both")
    assert [list(member.config.nets) for member in members] == [["next"], ["long"]]
    assert [member.config.nets[name][0] for name, member in zip(("next", "long"), members, strict=True)] == [
        "released.S+",
        "released.ST+",
    ]
    assert members[0].config.nets["next"][1].granularity == "short" and members[1].config.nets["long"][1].granularity == "long"
    name, card = folder.name_and_card(tmp_path / "both")
    assert name == "both" and "S+ (2022), ST+ (2022, long company), converted by stajax" in card
    assert "`Splus.pth, STplus.pth`" in card
    assert {path.name for path in (tmp_path / "both").iterdir()} == {"config.json", "model_card.md", "next", "long"}
    assert all((tmp_path / "both" / name / "conversion_report.json").is_file() for name in ("next", "long"))
    with pytest.raises(WeightsError, match=r"both: holds several networks \(next, long\); name one of its folders"):
        folder.read(tmp_path / "both")


def test_the_name_says_which_company_and_only_to_nets_that_have_some():
    def granularity(net, name):
        return next(iter(recognise(constants(spec(net)), name).network.nets.values()))[1].granularity

    for name, expected in ((None, "short"), ("short", "short"), ("along", "short"), ("long", "long"), ("my_cross", "cross")):
        assert granularity("STAplus", name) == granularity("SAplus_2021", name) == granularity("Splus", name) == expected
        assert granularity("STA", name) == granularity("ST", name) == "short"


def test_two_nets_of_one_name_are_refused(tmp_path, files):
    line = refusal([files["Splus"], files["Splus"]], tmp_path / "out")
    assert line == f"{files['Splus']}: a second s_plus (S+ (2022)); name both: short=FILE long=FILE"


def test_two_nets_with_company_and_two_switches_are_refused(tmp_path, monkeypatch):
    """By their tensors alone, for the files would be large."""
    tensors = {"a.pth": "STAplus", "b.pth": "STAplus_2021", "c.pt": "att_Model"}
    read = {name: checkpoint.Checkpoint(constants(spec(net)), "torch zip", "") for name, net in tensors.items()}
    monkeypatch.setattr(checkpoint, "read_checkpoint", lambda path: read[Path(path).name])

    def converted(source, found, family, out, name, dtype):
        out.mkdir()
        return checkpoint.Converted(family.member, family.title, 0, 0, 0)

    monkeypatch.setattr(checkpoint, "_convert", converted)
    line = refusal(["a.pth", "b.pth"], tmp_path / "out")
    assert line == "b.pth: a second short (STA+ (December 2021)); name both: short=FILE long=FILE"
    assert refusal(["c.pt", "c.pt"], tmp_path / "out") == "c.pt: a second switch (audio switch); a model has one"
    line = refusal([("mine", "c.pt")], tmp_path / "out")
    assert line == "c.pt: mine=FILE: this checkpoint is the audio switch, whose name is switch"
    assert [made.member for made in convert([("switch", "c.pt")], tmp_path / "out")] == ["switch"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a-b", "'a-b' is no name for a net; use letters, digits and _"),
        ("", "'' is no name for a net"),
        ("../x", "'../x' is no name for a net"),
        ("switch", "switch=FILE: this checkpoint is not the audio switch, whose name that is"),
    ],
)
def test_names_that_a_net_cannot_have(tmp_path, files, name, says):
    assert f"{files['Splus']}: {says}" in refusal([(name, files["Splus"])], tmp_path / "out")


def test_an_encoder_goes_alone_and_without_a_name(tmp_path, files):
    line = refusal([files["Splus"], files["vgg16_D1"]], tmp_path / "out")
    assert line == f"{files['vgg16_D1']}: VGG-16 is an encoder, not a net; convert it into a folder of its own"
    line = refusal([("eyes", files["vgg16_D1"])], tmp_path / "out")
    assert line == f"{files['vgg16_D1']}: eyes=FILE names a net, but this checkpoint is no net of the authors"


def test_no_file_at_all(tmp_path):
    assert "name at least one checkpoint file" in refusal([], tmp_path / "out")


# The folder


def test_a_folder_of_other_things_is_left_alone(tmp_path, files):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis/chapter1.tex").write_text("text")
    line = refusal([files["Splus"]], tmp_path / "thesis", WeightsError)
    assert line.startswith(f"{tmp_path / 'thesis'}: exists and is no stajax model, so it is not replaced")
    assert (tmp_path / "thesis/chapter1.tex").read_text() == "text"


@pytest.mark.parametrize("out", ["file/below", "file/deep/below"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path, files, out):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"^[^\n]+below: cannot be written \([^\n]+$"):
        convert([files["Splus"]], tmp_path / out)


@pytest.mark.parametrize("limit", [1 << 20, 4096], ids=["in the weights", "in the report"])
def test_a_full_disk_is_one_line_and_leaves_the_old_model(tmp_path, files, limit, monkeypatch):
    convert([files["STplus"]], tmp_path / "out")
    card = (tmp_path / "out/model_card.md").read_text()
    if limit == 4096:
        monkeypatch.setattr(folder, "write_params", lambda path, tree, dtype: None)
    with no_file_over(limit):
        line = refusal([files["Splus"]], tmp_path / "out", OutputError)
    assert "cannot be written (File too large)" in line
    assert (tmp_path / "out/model_card.md").read_text() == card
    folder.read(tmp_path / "out")


def test_ctrl_c_leaves_the_old_model_and_nothing_else(tmp_path, files, monkeypatch):
    convert([files["STplus"]], tmp_path / "out")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "write_report", interrupted)
    refusal([files["Splus"]], tmp_path / "out", KeyboardInterrupt)
    assert list(folder.read(tmp_path / "out").config.nets) == ["st_plus"]


def test_a_kill_leaves_nothing_at_the_folder_and_a_rerun_does_it(tmp_path, files):
    script = f"""
import os, sys
sys.modules["torch"] = None
from stajax.convert import checkpoint
checkpoint.folder.replace = lambda path, new: os.kill(os.getpid(), {int(signal.SIGKILL)})  # all is written by then
checkpoint.convert([{str(files["Splus"])!r}], {str(tmp_path / "out")!r})
"""
    run = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    assert not (tmp_path / "out").exists() and all(path.name.startswith(".out.") for path in tmp_path.iterdir())
    convert([files["Splus"]], tmp_path / "out")
    folder.read(tmp_path / "out")


def test_float16_rounds_and_refuses_what_it_cannot_hold(tmp_path):
    tensors = zeros(spec("Splus"))
    tensors["extra_convs.6.bias"][:] = np.random.default_rng(0).standard_normal(28)
    save(tmp_path / "net.pth", tensors)
    convert([tmp_path / "net.pth"], tmp_path / "half", dtype="float16")
    found = flatten(folder.read(tmp_path / "half").variables)["nets.s_plus.head.classifier.bias"]
    np.testing.assert_array_equal(found, tensors["extra_convs.6.bias"].astype(np.float16).astype(np.float32))
    tensors["extra_convs.6.bias"][3] = 1e5
    save(tmp_path / "net.pth", tensors)
    with pytest.raises(ConvertError) as caught:
        convert([tmp_path / "net.pth"], tmp_path / "out", dtype="float16")
    where = "nets.s_plus.head.classifier.bias"
    assert str(caught.value) == f"{tmp_path / 'net.pth'}: values too large for float16 in {where}; convert to float32"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half", "net.pth"]


def test_the_report_and_the_card_tell_the_source_and_the_same_file_gives_the_same_report(tmp_path, files):
    said = []
    (made,) = convert([files["Splus"]], tmp_path / "a", report=said.append)
    convert([files["Splus"]], tmp_path / "b")
    assert said == [f"{files['Splus']}: reading", f"{files['Splus']}: S+ (2022), 21.8 M parameters in {made.tensors} tensors"]
    report = (tmp_path / "a/conversion_report.json").read_bytes()
    assert report == (tmp_path / "b/conversion_report.json").read_bytes() and str(tmp_path).encode() not in report
    card = (tmp_path / "a/model_card.md").read_text()
    assert "S+ (2022), converted by stajax" in card and "`Splus.pth`" in card
    unused = spec("Splus").keys() & {"extra_conv_stfusion.weight", "extra_conv_stfusion.bias"}
    assert made.unused == len(unused)
    assert not (tmp_path / "a").stat().st_mode & 0o022 and (tmp_path / "a").stat().st_mode & 0o055 == 0o055
    structure = Structure(folder.read(tmp_path / "a").config)
    assert made.parameters == sum(int(np.prod(leaf.shape)) for leaf in flatten(structure.shapes).values())
