"""Checkpoints that were cut short, changed or forged: one line each, or the values that were written."""

import os

import numpy as np
import pytest
from torch_files import Storages, module, parameter, safetensors_file

from stajax.convert import ConvertError, read_checkpoint

RNG = np.random.default_rng(0)
W, B = RNG.standard_normal((2, 3, 1, 1), np.float32), RNG.standard_normal(2, np.float32)


def test_files_cut_short_are_refused_wherever_they_end(tmp_path, storages, refusal):
    whole = storages.write(tmp_path / "x.pt", {"w": storages.tensor(W), "b": storages.tensor(B)}).read_bytes()
    for length in np.linspace(1, len(whole) - 1, 30).astype(int):
        (tmp_path / "x.pt").write_bytes(whole[:length])
        refusal(tmp_path / "x.pt")


def test_npz_and_safetensors_cut_short_are_refused_wherever_they_end(tmp_path, refusal):
    np.savez(tmp_path / "x.npz", w=W, b=B)
    for file in (tmp_path / "x.npz", safetensors_file(tmp_path / "x.st", "F32", [2, 3, 1, 1], W.tobytes())):
        whole = file.read_bytes()
        for length in np.linspace(1, len(whole) - 1, 30).astype(int):
            file.write_bytes(whole[:length])
            refusal(file)


def flipped(whole, count):
    """`count` copies of `whole`, each with one byte changed; each again with five."""
    rng = np.random.default_rng(1)
    for places in (1, 5):
        for _ in range(count):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), places):
                damaged[place] ^= int(rng.integers(1, 256))
            yield bytes(damaged)


def test_flipped_bytes_of_a_zip_are_refused_or_do_no_harm(tmp_path, either_way, same):
    """The archive's checksums cover all values: what is read at all is right."""
    storages = Storages()
    whole = storages.write(tmp_path / "x.pt", {"w": storages.tensor(W), "b": storages.tensor(B)}).read_bytes()
    read = 0
    for damaged in flipped(whole, 150):
        (tmp_path / "x.pt").write_bytes(damaged)
        try:
            found = read_checkpoint(tmp_path / "x.pt")
        except ConvertError as error:
            assert "\n" not in str(error)
        else:
            same(found.tensors, {"w": W, "b": B})
            read += 1
    assert 0 < read < 300


@pytest.mark.parametrize("kind", ["legacy", "plain module", "safetensors", "npz"])
def test_flipped_bytes_raise_nothing_but_convert_error(tmp_path, kind, either_way):
    storages, file = Storages(legacy=True), tmp_path / "x"
    if kind == "legacy":
        storages.write(file, {"w": storages.tensor(W), "b": storages.tensor(B)})
    elif kind == "plain module":
        storages.write(file, module("__main__.Net", {"w": parameter(storages.tensor(W))}, children={"a": module("a.B")}))
    elif kind == "safetensors":
        safetensors_file(file, "F32", [2, 3, 1, 1], W.tobytes())
    else:
        np.savez(tmp_path / "x.npz", w=W)
        os.rename(tmp_path / "x.npz", file)
    outcomes = set()
    for damaged in flipped(file.read_bytes(), 150):
        file.write_bytes(damaged)
        try:
            outcomes.add(type(read_checkpoint(file)).__name__)
        except ConvertError:
            outcomes.add("ConvertError")
    assert outcomes == {"Checkpoint", "ConvertError"}


def test_a_damaged_member_is_named(tmp_path, refusal):
    storages = Storages()
    file = storages.write(tmp_path / "x.pt", {"w": storages.tensor(W)})
    file.write_bytes(file.read_bytes().replace(W.tobytes(), (W + 1).tobytes()))
    assert "'archive/data/0' in the archive is damaged (wrong checksum)" in refusal(file)
