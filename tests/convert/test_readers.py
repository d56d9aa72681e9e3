"""`read_checkpoint` without torch, against what was written into the files by hand."""

import os
import pickle
import subprocess
import sys
import zipfile

import ml_dtypes
import numpy as np
import pytest
from torch_files import (
    Call,
    Named,
    New,
    Persistent,
    Raw,
    Storages,
    dumps,
    module,
    parameter,
    pickled,
    safetensors_file,
    view,
    write_zip,
)

from stajax.convert import read_checkpoint

RNG = np.random.default_rng(0)
W, B = RNG.standard_normal((2, 3, 1, 1), np.float32), RNG.standard_normal(2, np.float32)

pytestmark = pytest.mark.usefixtures("without_torch")


# Files written by hand


def test_state_dict_has_the_values_that_were_written(tmp_path, storages, same):
    written = storages.write(tmp_path / "net.bin", {"conv.weight": storages.tensor(W), "conv.bias": storages.tensor(B)})
    found = read_checkpoint(written)
    same(found.tensors, {"conv.weight": W, "conv.bias": B})
    assert (found.format, found.entry) == ("torch legacy" if storages.legacy else "torch zip", "")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "bool"])
def test_dtypes_stay_as_written(tmp_path, storages, dtype, same):
    x = (RNG.standard_normal((3, 2)) * 4).astype(dtype)
    same(read_checkpoint(storages.write(tmp_path / "x.pt", {"x": storages.tensor(x)})).tensors, {"x": x})


def test_bfloat16_comes_as_float32(tmp_path, storages, same):
    x = RNG.standard_normal((3, 2)).astype(ml_dtypes.bfloat16)
    file = storages.write(tmp_path / "x.pt", {"x": storages.tensor(x)})
    same(read_checkpoint(file).tensors, {"x": x.astype(np.float32)})


def test_views_of_one_storage_against_numpy_slices(tmp_path, storages, same):
    x = RNG.standard_normal((4, 5)).astype(np.float32)
    on = storages.put(x)
    content = {
        "whole": view(on, 0, (4, 5), (5, 1)),
        "transposed": view(on, 0, (5, 4), (1, 5)),
        "slice": view(on, 6, (3, 2), (5, 2)),
        "scalar": view(on, 19, (), ()),
        "expanded": view(on, 3, (2, 3), (0, 0)),
        "none": view(on, 0, (0, 7), (7, 1)),
    }
    expected = {
        "whole": x,
        "transposed": x.T,
        "slice": x[1:, 1:4:2],
        "scalar": x[3, 4],
        "expanded": np.full((2, 3), x[0, 3]),
        "none": np.zeros((0, 7), np.float32),
    }
    same(read_checkpoint(storages.write(tmp_path / "x.pt", content)).tensors, expected)


@pytest.mark.parametrize("entry", ["state_dict", "model_state_dict", "model", "net", "params"])
def test_entries_are_unwrapped_and_named(tmp_path, storages, entry, same):
    optimiser = {"state": {0: {"exp_avg": storages.tensor(W)}}, "param_groups": [{"lr": 0.1, "params": [0]}]}
    content = {"epoch": 7, "optimizer": optimiser, entry: {"module.w": storages.tensor(W)}, "step": storages.tensor(B[0])}
    found = read_checkpoint(storages.write(tmp_path / "x.pth.tar", content))
    same(found.tensors, {"w": W})
    assert found.entry == entry


def test_entries_within_entries(tmp_path, storages):
    found = read_checkpoint(
        storages.write(tmp_path / "x.pt", {"model": {"state_dict": {"w": storages.tensor(W)}, "version": 1}})
    )
    assert found.entry == "model.state_dict" and list(found.tensors) == ["w"]


def test_a_parameter_may_be_called_as_an_entry(tmp_path, storages, same):
    same(read_checkpoint(storages.write(tmp_path / "x.pt", {"params": storages.tensor(W)})).tensors, {"params": W})


def test_only_one_leading_module_is_stripped(tmp_path, storages):
    content = {"module.module.w": storages.tensor(W), "a.module.b": storages.tensor(B)}
    assert list(read_checkpoint(storages.write(tmp_path / "x.pt", content)).tensors) == ["module.w", "a.module.b"]


def test_names_with_and_without_module_are_an_error(tmp_path, storages, refusal):
    file = storages.write(tmp_path / "x.pt", {"module.w": storages.tensor(W), "w": storages.tensor(W)})
    assert "both with and without 'module.' (w)" in refusal(file)


def test_pickled_modules_give_their_state_dict(tmp_path, storages, same):
    """Parameters, buffers that persist, children: the order of state_dict. The class is unknown, DataParallel is around it."""
    mean, extra = np.zeros(2, np.float32), np.ones((1, 2), np.float32)
    norm = module("torch.nn.modules.batchnorm.BatchNorm2d", {"weight": None}, {"running_mean": storages.tensor(mean)})
    conv = module(
        "torch.nn.modules.conv.Conv2d", {"weight": parameter(storages.tensor(W)), "bias": parameter(storages.tensor(B))}
    )
    net = module(
        "__main__.att_Model",
        {"extra": parameter(storages.tensor(extra))},
        {"passing": storages.tensor(W), "kept": storages.tensor(B)},
        {"conv": conv, "empty": None, "norm": norm},
        passing=["passing"],
    )
    wrapped = module("torch.nn.parallel.data_parallel.DataParallel", children={"module": net})
    found = read_checkpoint(storages.write(tmp_path / "27001.pt", wrapped))
    same(found.tensors, {"extra": extra, "kept": B, "conv.weight": W, "conv.bias": B, "norm.running_mean": mean})
    assert found.entry == ""


def test_a_pickled_module_may_be_an_entry(tmp_path, storages, same):
    net = module("__main__.Net", {"w": parameter(storages.tensor(W))})
    found = read_checkpoint(storages.write(tmp_path / "x.pt", {"epoch": 3, "net": net}))
    same(found.tensors, {"w": W})
    assert found.entry == "net"


def test_keys_of_any_kind_beside_the_names(tmp_path, storages, same):
    """A pickle may have keys that Python could not hash: they are never hashed by value, since a deep one would not end."""
    keys = "w", 3, (1, [2]), ()
    opcodes = b"".join(pickled(key) + pickled(storages.tensor(W)) + b"s" for key in keys)
    same(read_checkpoint(storages.write(tmp_path / "x.pt", Raw(b"}" + opcodes))).tensors, {"w": W})


def test_no_class_of_a_pickled_module_is_imported(tmp_path, storages, monkeypatch, same):
    (tmp_path / "att_model_of_the_test.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    net = module("att_model_of_the_test.Net", {"w": storages.tensor(W)})
    same(read_checkpoint(storages.write(tmp_path / "x.pt", net)).tensors, {"w": W})
    assert "att_model_of_the_test" not in sys.modules


def test_a_function_of_torch_kept_in_a_module_is_left_alone(tmp_path, storages, same):
    relu = Call(Named("__builtin__", "getattr"), (Named("torch._C", "_VariableFunctions"), "relu"))
    net = module("models.Net", {"w": storages.tensor(W)})
    net.state["activation"] = relu
    same(read_checkpoint(storages.write(tmp_path / "x.pt", net)).tensors, {"w": W})


def test_parameters_of_torch_before_0_4_and_python_2_dicts(tmp_path, storages, same):
    """Parameter(data) with a state, `_rebuild_tensor`, an OrderedDict given as pairs."""
    on = storages.put(W)
    tensor = Call(Named("torch._utils", "_rebuild_tensor"), (on, 0, W.shape, (3, 1, 1, 1)))
    old = New(Named("torch.nn.parameter", "Parameter"), (tensor,), (True, False, None))
    pairs = Call(Named("collections", "OrderedDict"), ([["w", old]],))
    same(read_checkpoint(storages.write(tmp_path / "x.pt", pairs)).tensors, {"w": W})


def test_storage_views_of_old_legacy_files(tmp_path, same):
    storages = Storages(legacy=True)
    kind, type_, key, device, size, _ = storages.put(np.arange(10, dtype=np.float32)).identifier
    on = Persistent((kind, type_, key, device, size, ("seen", 4, 3)))
    file = storages.write(tmp_path / "x.pt", {"x": view(on, 1, (2,), (1,)), "b": storages.tensor(B)})
    same(read_checkpoint(file).tensors, {"x": np.float32([5, 6]), "b": B})


def test_npz_and_safetensors_have_the_values_that_were_written(tmp_path, same):
    from safetensors.numpy import save_file

    arrays = {"module.w": W, "module.b": B, "module.n": np.array(3)}
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    save_file(arrays, tmp_path / "b.safetensors")
    expected = {"w": W, "b": B, "n": arrays["module.n"]}
    same(read_checkpoint(tmp_path / "a.npz").tensors, expected)
    found = read_checkpoint(tmp_path / "b.safetensors")
    same(dict(sorted(found.tensors.items())), dict(sorted(expected.items())))
    assert (found.format, read_checkpoint(tmp_path / "a.npz").format) == ("safetensors", "npz")


def test_bfloat16_of_safetensors_comes_as_float32(tmp_path, same):
    x = RNG.standard_normal((3, 2)).astype(ml_dtypes.bfloat16)
    file = safetensors_file(tmp_path / "x.safetensors", "BF16", [3, 2], x.tobytes())
    same(read_checkpoint(file).tensors, {"x": x.astype(np.float32)})


def test_safetensors_whose_header_length_begins_like_a_zip_archive(tmp_path, same):
    length = int.from_bytes(b"PK", "little")
    file = safetensors_file(tmp_path / "x.safetensors", "F32", [2, 3, 1, 1], W.tobytes(), header_length=length)
    assert file.read_bytes()[:2] == b"PK"
    same(read_checkpoint(file).tensors, {"x": W})


def test_a_name_says_nothing(tmp_path):
    np.savez(tmp_path / "a.npz", w=W)
    os.rename(tmp_path / "a.npz", tmp_path / "a.pth")
    assert read_checkpoint(tmp_path / "a.pth").format == "npz"


def test_reading_imports_neither_torch_nor_a_device(tmp_path):
    storages = Storages()
    file = storages.write(tmp_path / "x.pt", {"w": storages.tensor(W)})
    code = (
        f"import sys; sys.modules['torch'] = None; from stajax.convert import read_checkpoint; read_checkpoint({str(file)!r}); "
    )
    run = subprocess.run([sys.executable, "-c", code + "assert 'jax' not in sys.modules"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


# Files that are no checkpoints


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(100), "a JPEG picture"),
        (b"\n<!DOCTYPE html><html><title>Google Drive - Quota exceeded</title>", "an HTML page"),
        (b"<html><head>", "the download gave a web page"),
        (b'{"error": "not found"}', "not a checkpoint but text"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"\x1f\x8b\x08\0" + bytes(50), "gzip"),
        (b"\0\1\2\3" * 20, "unknown bytes"),
        (b"PK\x03\x04" + bytes(60), "cut short or damaged"),
        (pickle.dumps({"a": [1, 2]}), "a plain pickle"),
        (pickle.dumps({"a": [1, 2]}, 0), "a plain pickle"),
        (b"\x80\x02", "damaged or cut short"),
    ],
)
def test_what_is_no_checkpoint_is_named(tmp_path, content, words, refusal):
    (tmp_path / "net.pth").write_bytes(content)
    assert words in refusal(tmp_path / "net.pth")


def test_missing_files_and_folders(tmp_path, refusal):
    assert refusal(tmp_path / "net.pth") == "no such file"
    assert "a folder" in refusal(tmp_path)


def test_other_zip_archives(tmp_path, refusal):
    with zipfile.ZipFile(tmp_path / "code.zip", "w") as archive:
        archive.writestr("STANet/README.md", "hello")
    assert "it holds STANet/README.md" in refusal(tmp_path / "code.zip")


@pytest.mark.parametrize("member", ["constants.pkl", "code/__torch__.py"])
def test_torchscript_is_named_with_its_mend(tmp_path, member, refusal):
    file = write_zip(tmp_path / "x.pt", dumps({}), extra={member: b"x"})
    assert "TorchScript" in refusal(file) and "torch.jit.load(FILE).state_dict()" in refusal(file)


def test_no_tensors_lists_the_keys(tmp_path, storages, refusal):
    file = storages.write(tmp_path / "x.pt", {"epoch": 3, "weights": {"w": storages.tensor(W)}})
    assert "its top-level keys: epoch, weights" in refusal(file)
    assert "it is a list" in refusal(storages.write(tmp_path / "y.pt", [storages.tensor(W)]))


def test_tensors_that_have_no_real_array_are_named(tmp_path, storages, same, refusal):
    complex_ = {"good": storages.tensor(W), "bad": storages.tensor(np.ones(2, np.complex64))}
    assert "bad: values of type complex64" in refusal(storages.write(tmp_path / "c.pt", complex_))
    quantised = {"bad": Call(Named("torch._utils", "_rebuild_qtensor"), (1, 2))}
    assert "bad: a quantised tensor" in refusal(storages.write(tmp_path / "q.pt", quantised))
    unused = {"optimizer": {"bad": storages.tensor(np.ones(2, np.complex64))}, "state_dict": {"w": storages.tensor(W)}}
    same(read_checkpoint(storages.write(tmp_path / "u.pt", unused)).tensors, {"w": W})


def test_kinds_of_safetensors_and_npz_that_have_no_real_array(tmp_path, refusal):
    assert "x: values of type F8_E4M3" in refusal(safetensors_file(tmp_path / "x", "F8_E4M3", [4], bytes(4)))
    np.savez(tmp_path / "y.npz", text=np.array(["a"]))
    assert "values of type <U1" in refusal(tmp_path / "y.npz")
    np.savez(tmp_path / "z.npz", objects=np.array([{}], dtype=object))
    assert "damaged" in refusal(tmp_path / "z.npz") or "allow_pickle" in refusal(tmp_path / "z.npz")


def test_big_endian_archives_are_refused(tmp_path, refusal):
    file = write_zip(tmp_path / "x.pt", dumps({}), extra={"version2": b""})
    with zipfile.ZipFile(tmp_path / "big.pt", "w") as archive:
        for name, blob in {"data.pkl": dumps({}), "byteorder": b"big"}.items():
            archive.writestr(f"archive/{name}", blob)
    assert "big-endian" in refusal(tmp_path / "big.pt") and "no tensors" in refusal(file)
