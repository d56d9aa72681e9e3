"""Cross-term banks that a model folder carries: ``banks/CLASS.npz``, node states of some moments of clips of that class.

An archive holds, of each net that wants a bank, ``NET.nodes`` (K, h, w, C) float16, ``NET.moments`` (K,) frame numbers and
``NET.clips`` (K,) names.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import numpy as np

from stajax.encoders.params import WeightsError
from stajax.inference.bank import Bank
from stajax.media.atomic import replacing, writing

FOLDER = "banks"


def path_of(folder: str | os.PathLike, name: str) -> Path:
    """Where a model folder keeps the bank of the class `name`."""
    return Path(folder) / FOLDER / f"{quote(name, safe=' ,()')}.npz"


def write_banks(folder: str | os.PathLike, banks: Mapping[str, Mapping[str, Bank]]) -> None:
    """Put banks into a model folder: class -> net -> bank. Those of other classes stay.

    Raises:
        OutputError: they cannot be written.
    """
    with writing(Path(folder) / FOLDER):
        (Path(folder) / FOLDER).mkdir(exist_ok=True)
    for name, nets in banks.items():
        arrays = {}
        for net, bank in nets.items():
            arrays[f"{net}.nodes"] = np.asarray(bank.nodes, np.float16)
            arrays[f"{net}.moments"] = np.asarray(bank.moments, np.int64)
            arrays[f"{net}.clips"] = np.array(bank.clips, np.str_)
        path = path_of(folder, name)
        with replacing(path) as part, writing(path), part.open("wb") as file:
            np.savez_compressed(file, **arrays)


def read_banks(folder: str | os.PathLike, name: str, shapes: Mapping[str, tuple[int, int, int]]) -> dict[str, Bank]:
    """The banks of one class that a model folder carries, net -> bank; empty where it has none. Nothing is unpickled.

    Args:
        shapes: (h, w, C) of a node, of the nets that want a bank; others in the file are not read.

    Raises:
        WeightsError: a file that is no bank, or not of this model's nets.
    """
    path, banks = path_of(folder, name), {}
    if not path.exists():
        return banks
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a readable bank ({error}); delete it, or make it again") from None
    for net, shape in shapes.items():
        if f"{net}.nodes" not in parts:
            continue
        nodes, moments, clips = (parts.get(f"{net}.{what}", np.zeros(0)) for what in ("nodes", "moments", "clips"))
        if nodes.shape[1:] != shape or nodes.dtype.kind != "f" or not np.isfinite(nodes).all():
            wanted = ", ".join(map(str, ("K", *shape)))
            raise WeightsError(
                f"{path}: {net} has nodes of {nodes.shape} {nodes.dtype}; finite ones of ({wanted}) are needed; "
                "the banks are of another model: delete them, or make them again"
            )
        if not len(nodes) == len(moments) == len(clips) > 0:
            raise WeightsError(f"{path}: {net} has {len(nodes)} nodes, {len(moments)} moments and {len(clips)} clips")
        banks[net] = Bank(nodes, moments, tuple(map(str, clips)))
    return banks


def digest(folder: str | os.PathLike, names: Iterable[str]) -> str:
    """Of the banks of some classes as they lie in a model folder; "" where it has none of them."""
    there = [path for name in names if (path := path_of(folder, name)).is_file()]
    return hashlib.sha256(b"".join(path.read_bytes() for path in there)).hexdigest()[:16] if there else ""
