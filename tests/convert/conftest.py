"""Torch files with and without torch, and what both readers are held to."""

import sys

import numpy as np
import pytest
from torch_files import Storages

from stajax.convert import ConvertError, read_checkpoint


@pytest.fixture(params=["zip", "legacy"])
def storages(request):
    """For a file in each of torch's two formats."""
    return Storages(legacy=request.param == "legacy")


@pytest.fixture
def without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


@pytest.fixture(params=["without torch", "with torch"])
def either_way(request):
    """Reading without torch, and with torch where it is installed."""
    if request.param == "with torch":
        pytest.importorskip("torch")
    else:
        request.getfixturevalue("without_torch")


@pytest.fixture(scope="session")
def same():
    """Holds tensors that were read to those that are expected: names and their order, types, shapes, values."""

    def check(found, expected):
        assert list(found) == list(expected)
        for name, array in expected.items():
            assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
            np.testing.assert_array_equal(found[name], array, err_msg=name)

    return check


@pytest.fixture(scope="session")
def refusal():
    """The one line, without the file's name, of the ConvertError that reading a file raises."""

    def message(path):
        with pytest.raises(ConvertError) as caught:
            read_checkpoint(path)
        text = str(caught.value)
        assert text.startswith(f"{path}: ") and text.isprintable()
        return text.removeprefix(f"{path}: ")

    return message
