"""Torch files since 1.6: an uncompressed zip archive of ``NAME/data.pkl`` and one member ``NAME/data/KEY`` per storage."""

from __future__ import annotations

import io
import mmap
import zipfile
from pathlib import Path
from typing import Any

from stajax.convert import tensors
from stajax.convert.errors import ConvertError


def folder(names: list[str]) -> str | None:
    """NAME with its slash, where ``NAME/data.pkl`` is among `names`; None where there is none, so that it is no torch file."""
    return next((name.removesuffix("data.pkl") for name in names if name.rpartition("/")[2] == "data.pkl"), None)


def check(archive: zipfile.ZipFile, folder: str) -> None:
    """Raise ConvertError for TorchScript, for compressed or big-endian archives, and for members whose checksum is wrong."""
    names = archive.namelist()
    if len(set(names)) < len(names) or sum(name.rpartition("/")[2] == "data.pkl" for name in names) > 1:
        raise ConvertError("two entries of one name in the archive, which torch.save never writes: damaged or forged; not read")
    if f"{folder}constants.pkl" in names or any(name.startswith(f"{folder}code/") for name in names):
        raise ConvertError(
            "a TorchScript archive (a program, not a checkpoint); in torch: "
            "torch.save(torch.jit.load(FILE).state_dict(), 'state_dict.pth'), then convert that"
        )
    if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
        raise ConvertError("a compressed torch archive, which torch.save never writes; load and save it again in torch")
    if f"{folder}byteorder" in names and archive.read(f"{folder}byteorder").strip() != b"little":
        raise ConvertError("written on a big-endian machine; load and save it again in torch on another one")
    if damaged := archive.testzip():
        raise ConvertError(f"{damaged!r} in the archive is damaged (wrong checksum); fetch the file again")


def parse(path: Path, archive: zipfile.ZipFile, folder: str) -> tuple[Any, dict[str, memoryview]]:
    """The saved object with its tensors undone, and storage key -> its bytes in the mapped file."""
    content, claimed = tensors.load(io.BytesIO(archive.read(f"{folder}data.pkl")))
    with path.open("rb") as file:
        mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    stored: dict[str, memoryview] = {}
    for key in {storage.key for storage in claimed}:
        if (info := archive.NameToInfo.get(f"{folder}data/{key}")) is None:
            continue  # `tensors.check` says so
        header = mapped[info.header_offset : info.header_offset + 30]
        begin = info.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        stored[key] = mapped[begin : begin + info.file_size]
    tensors.check(claimed, stored)
    return content, stored
