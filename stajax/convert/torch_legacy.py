"""Torch files before 1.6: five pickles, then the storages.

The pickles are a magic number, a version, the machine, the object and the storage keys, in whose order the storages lie. Each
storage is its count of values as int64, then the values, little-endian.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from stajax.convert import tensors, unpickle
from stajax.convert.errors import ConvertError

MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
PLAIN_PICKLE = "a plain pickle, not a file of torch.save; load it where it was made and save its arrays with numpy.savez"


def parse(path: Path) -> tuple[Any, dict[str, memoryview]]:
    """The saved object with its tensors undone, and storage key -> its bytes in the mapped file.

    Raises ConvertError for a pickle that is no torch file, for another version, and for a file that ends early.
    """
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    if unpickle.load(mapped) != MAGIC:
        raise ConvertError(PLAIN_PICKLE)
    if (version := unpickle.load(mapped)) != _VERSION:
        found = f" {version}" if isinstance(version, int) else ""
        raise ConvertError(f"torch's file version{found}, not {_VERSION}; load and save it again in torch")
    unpickle.load(mapped)  # sizes of C types; the storages do not depend on them
    content, claimed = tensors.load(mapped)
    keys = unpickle.load(mapped)
    stored = _stored(mapped, keys, {storage.key: storage.dtype.itemsize for storage in claimed})
    tensors.check(claimed, stored)
    return content, stored


def _stored(mapped: mmap.mmap, keys: list, item_sizes: dict[str, int]) -> dict[str, memoryview]:
    """The bytes of each storage, in the order of `keys`."""
    stored, whole, position = {}, memoryview(mapped), mapped.tell()
    if not all(isinstance(key, str | int) for key in keys):
        raise ValueError("a storage without a key")
    for key in map(str, keys):
        begin = position + 8
        position = begin + int.from_bytes(whole[position:begin], "little") * item_sizes[key]
        if position > len(whole):
            raise ConvertError(f"the file ends within storage {key!r}: it is cut short; fetch it again")
        stored[key] = whole[begin:position]
    return stored
