"""Any checkpoint file as named NumPy arrays: torch (both formats), safetensors, npz. Nothing in a file is ever run.

A torch file first goes through the restricted reader (`unpickle.py` has the policy), which refuses what is dangerous, damaged
or forged. Where torch is installed, the tensors then come from ``torch.load(weights_only=True)``; where it is not, or where it
refuses (a whole pickled module), from the restricted reader. Both give the same.
"""

from __future__ import annotations

import mmap
import os
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stajax.convert import tensors, torch_legacy, torch_zip, unpickle
from stajax.convert.contents import named_tensors, strip_module
from stajax.convert.errors import ConvertError, listed

_EXPANSION = 16  # tensors may hold this many times the bytes of their file (views of one storage), compressed ones 16 MiB more
_SLACK = 1 << 24
_SAFETENSORS = ("F64", "F32", "F16", "BF16", "I64", "U64", "I32", "U32", "I16", "U16", "I8", "U8", "BOOL")
_PICTURES = {b"\xff\xd8\xff": "a JPEG picture", b"\x89PNG": "a PNG picture", b"GIF8": "a GIF picture", b"RIFF": "a RIFF file"}
_FOREIGN = _PICTURES | {
    b"\x1f\x8b": "gzip-compressed; unpack it first",
    b"BZh": "bzip2-compressed; unpack it first",
    b"\xfd7zXZ": "xz-compressed; unpack it first",
    b"\x89HDF": "HDF5 (Keras or MATLAB)",
    b"\x93NUMPY": "one bare .npy array; put named ones into an .npz",
    b"%PDF": "a PDF",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself; run git lfs pull",
}


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    tensors: name -> array in the file's layout and order; bfloat16 as float32, everything else in its own type. Arrays may be
    views of the mapped file (read-only, any strides, not aligned): copy before use, and keep the file until then.
    format: "torch zip", "torch legacy", "safetensors" or "npz". entry: the keys that the tensors lay under, "" at the top.
    """

    tensors: dict[str, np.ndarray]
    format: str
    entry: str


def read_checkpoint(path: str | os.PathLike) -> Checkpoint:
    """Read a checkpoint, recognised by its content whatever its name. A leading ``module.`` is stripped from the names.

    Raises ConvertError, one line: no such file, damaged or cut short, no checkpoint, TorchScript, no tensors in it, a name
    twice, values that are no real numbers, sizes that the file cannot hold, or a pickle that names something dangerous.
    """
    path = Path(path)
    try:
        return _read(path)
    except ConvertError as error:
        raise ConvertError(f"{path}: {error}") from None
    except FileNotFoundError:
        raise ConvertError(f"{path}: no such file") from None
    except OSError as error:
        raise ConvertError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # damaged bytes raise a dozen types
        reason = f"{type(error).__name__}: {error}"[:200]
        raise ConvertError(f"{path}: damaged or cut short ({reason}); fetch it again") from None


def _read(path: Path) -> Checkpoint:
    if path.is_dir():
        raise ConvertError("a folder, not a checkpoint file; name the file in it, or the .pth that it was unpacked from")
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        raise ConvertError("an empty file; fetch it again")
    if head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= size - 8:  # no zip archive has a "{" there
        return _read_safetensors(path)
    if head.startswith(b"PK"):
        return _read_zip(path)
    if head.startswith(b"\x80"):
        return _read_torch(path, "torch legacy", *torch_legacy.parse(path))
    raise ConvertError(_not_a_checkpoint(path, head))


def _read_zip(path: Path) -> Checkpoint:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise ConvertError("a zip archive that is cut short or damaged; fetch it again") from None
    with archive:
        names = archive.namelist()
        if (folder := torch_zip.folder(names)) is not None:
            torch_zip.check(archive, folder)
            return _read_torch(path, "torch zip", *torch_zip.parse(path, archive, folder))
        if names and all(name.endswith(".npy") for name in names):
            return _read_npz(path, archive)
        raise ConvertError(f"a zip archive, but not of torch or NumPy; it holds {listed(names) or 'nothing'}; unpack it first")


def _read_torch(path: Path, format: str, content: Any, stored: dict[str, memoryview]) -> Checkpoint:
    """With torch where it is installed and willing, else from `content` and `stored`, what the restricted reader gave.

    The restricted reader comes first in either case: torch.load(mmap=True) believes a storage's size and reads beyond it.
    """
    limit = _EXPANSION * path.stat().st_size
    if (loaded := _torch_load(path, mapped=format == "torch zip")) is not None:
        import torch

        found, entry = named_tensors(loaded, lambda value: isinstance(value, torch.Tensor))
        return Checkpoint(_arrays(found, _of_torch, lambda t: t.numel() * t.element_size(), limit), format, entry)

    def array(tensor: tensors.StoredTensor | tensors.OtherTensor) -> np.ndarray:
        if isinstance(tensor, tensors.OtherTensor):
            raise tensors.unreadable(tensor.kind)
        return tensors.view(tensor, stored[tensor.storage.key])

    found, entry = named_tensors(content, lambda value: isinstance(value, (tensors.StoredTensor, tensors.OtherTensor)))
    return Checkpoint(_arrays(found, array, lambda t: t.nbytes, limit), format, entry)


def _torch_load(path: Path, *, mapped: bool) -> Any:
    """What ``torch.load(weights_only=True)`` gives; None without torch, or when it refuses (the other reader then says why)."""
    try:
        import torch
    except (ImportError, OSError):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch to itself
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped or None)
    except Exception:
        return None


def _of_torch(tensor: Any) -> np.ndarray:
    """A torch.Tensor as an array that shares its memory; bfloat16 as a float32 copy."""
    import torch

    if tensor.is_quantized or tensor.layout != torch.strided or tensor.is_meta:
        kind = "quantised" if tensor.is_quantized else "meta" if tensor.is_meta else "sparse"
        raise tensors.unreadable(f"a {kind} tensor")
    if (dtype := str(tensor.dtype).removeprefix("torch.")) not in tensors.DTYPES:
        raise tensors.unreadable(f"values of type {dtype}")
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensors.plain(tensor.detach().resolve_neg().numpy())


def _arrays(
    found: dict[str, Any], array: Callable[[Any], np.ndarray], nbytes: Callable[[Any], int], limit: int
) -> dict[str, np.ndarray]:
    """`array` of every tensor, once each. Raises ConvertError, with the tensor's name; also for over `limit` bytes in all."""
    distinct = {id(tensor): tensor for tensor in found.values()}
    if (claimed := sum(map(nbytes, distinct.values()))) > limit:
        raise ConvertError(f"its tensors claim {claimed} bytes, many times what the file holds: damaged or forged; not read")
    made: dict[int, np.ndarray] = {}
    for name, tensor in found.items():
        if id(tensor) not in made:
            try:
                made[id(tensor)] = array(tensor)
            except ConvertError as error:
                raise ConvertError(f"{name}: {error}") from None
    return {name: made[id(tensor)] for name, tensor in found.items()}


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import safe_open

    with safe_open(path, framework="np") as file:  # tensors.py imports ml_dtypes, which teaches NumPy the name "bfloat16"
        arrays = {}
        for name in file.keys():  # noqa: SIM118 (no dict: it cannot be iterated)
            kind = file.get_slice(name).get_dtype()
            if kind not in _SAFETENSORS:
                raise ConvertError(f"{name}: values of type {kind}; save them as float32")
            arrays[name] = tensors.plain(file.get_tensor(name))
    return _plain_checkpoint(arrays, "safetensors")


def _read_npz(path: Path, archive: zipfile.ZipFile) -> Checkpoint:
    if sum(info.file_size for info in archive.infolist()) > _EXPANSION * path.stat().st_size + _SLACK:
        raise ConvertError("its arrays would be many times the file's size: damaged or forged; not read")
    with np.load(path, allow_pickle=False) as arrays:
        return _plain_checkpoint({name: tensors.plain(arrays[name]) for name in arrays.files}, "npz")


def _plain_checkpoint(arrays: dict[str, np.ndarray], format: str) -> Checkpoint:
    if not arrays:
        raise ConvertError("no tensors in it")
    return Checkpoint(strip_module(arrays), format, "")


def _not_a_checkpoint(path: Path, head: bytes) -> str:
    """One line on what the file is instead. A pickle of an old protocol is read as data, so that a malicious one is named."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return (
            "an HTML page, not a checkpoint: the download gave a web page (a login, a quota or an error) instead of the file; "
            "open the link in a browser and download it there"
        )
    for magic, what in _FOREIGN.items():
        if head.startswith(magic):
            return f"not a checkpoint but {what}"
    if head[257:262] == b"ustar":
        return "a tar archive; unpack it first"
    try:
        with path.open("rb") as file:
            unpickle.load(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return torch_legacy.PLAIN_PICKLE
    except ConvertError as error:
        return str(error)
    except Exception:
        text = all(byte >= 32 or byte in b"\t\r\n\f" for byte in head)
        return f"not a checkpoint but {'text' if text else 'unknown bytes'}; torch files, safetensors and .npz are read"
