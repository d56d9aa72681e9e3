"""Tensors as a torch pickle describes them (a storage, an offset, a shape, strides), and as NumPy views of the file's bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, BinaryIO

import ml_dtypes  # comes with jax
import numpy as np

from stajax.convert import unpickle
from stajax.convert.errors import ConvertError
from stajax.convert.unpickle import Global

_FLOATS = (np.float64, np.float32, np.float16, ml_dtypes.bfloat16, np.complex64, np.complex128)
_INTEGERS = (np.int64, np.int32, np.int16, np.int8, np.uint64, np.uint32, np.uint16, np.uint8, np.bool_)
DTYPES = {np.dtype(kind).name: np.dtype(kind) for kind in _FLOATS + _INTEGERS}
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "UntypedStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "int8",
    "QUInt8Storage": "uint8",
    "QInt32Storage": "int32",
}
_PARAMETERS = (
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch.nn.parameter.Parameter",  # torch before 0.4, and the next two
    "torch.nn.parameter.Variable",
    "torch.autograd.variable.Variable",
)


@dataclass(frozen=True)
class Storage:
    """A run of `size` values in the file: those from `start` of what is stored under `key`."""

    key: str
    dtype: np.dtype
    size: int
    start: int = 0


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A strided view of a storage. offset and stride count values of `dtype`, which may differ from the storage's."""

    storage: Storage
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True, eq=False)
class OtherTensor:
    """A tensor of a kind that has no plain array; an error only where its value is wanted."""

    kind: str
    nbytes = 0


def load(file: BinaryIO) -> tuple[Any, list[Storage]]:
    """The object of the torch pickle at the position of `file`, its tensors as above, and all storages that it names."""
    claimed: list[Storage] = []

    def persistent(identifier: Any) -> Any:
        found = _persistent(identifier)
        if isinstance(found, Storage):
            claimed.append(found)
        return found

    return unpickle.load(file, persistent, _build), claimed


def check(claimed: list[Storage], stored: dict[str, memoryview]) -> None:
    """Raise ConvertError where the pickle claims a storage that the file has not, or more of one than it has."""
    for storage in claimed:
        if storage.key not in stored:
            raise ConvertError(f"storage {storage.key!r} is missing: the file is damaged; fetch it again")
        held, needed = len(stored[storage.key]), (storage.start + storage.size) * storage.dtype.itemsize
        if needed > held:
            claim = f"storage {storage.key!r} holds {held} bytes where the pickle claims {needed}"
            raise ConvertError(f"{claim}: the file is damaged or forged; fetch it again")


def _persistent(identifier: Any) -> Any:
    """What a persistent id of a torch pickle stands for: a `Storage`, or the class of a pickled module.

    The id is ("storage", type, key, device, size[, None or (key, start, size) of a view]) or ("module", class, file, source).
    """
    kind, type_, *rest = identifier
    if kind in ("module", b"module"):
        return type_
    if kind not in ("storage", b"storage") or not isinstance(type_, Global) or type_.name not in _STORAGES:
        name = f" {str(type_)[:80]!r}" if isinstance(type_, Global) else ""
        raise ConvertError(f"a storage of the unknown type{name}; load it in torch and save float32 tensors")
    key, _, size, *view = rest
    if not isinstance(key, str | int):  # never formatted: nested tuples take exponential time
        raise ValueError("a storage without a key")
    start = 0
    if view and view[0]:
        _, start, size = view[0]
    dtype = DTYPES[_STORAGES[type_.name]]
    if not all(type(n) is int and n >= 0 for n in (size, start)):
        raise ValueError("a storage without a size")
    return Storage(str(key), dtype, size, start)


def _build(function: Global, args: tuple) -> Any:
    """What torch's own constructors give, matched by name; None for any other function. See `unpickle.load`."""
    name = str(function)
    if name == "torch._tensor._rebuild_from_type_v2" and isinstance(args[0], Global):
        return _build(args[0], args[2])
    if name in ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2"):
        stored, offset, shape, stride = args[:4]
        return _tensor(stored, stored.dtype, offset, shape, stride)
    if name == "torch._utils._rebuild_tensor_v3":
        stored, offset, shape, stride, _, _, dtype = args[:7]
        if dtype.name not in DTYPES:
            return OtherTensor(f"values of type {dtype.name}")
        return _tensor(stored, DTYPES[dtype.name], offset, shape, stride)
    if name in _PARAMETERS:
        return args[0] if args else None
    if name == "torch._utils._rebuild_qtensor":
        return OtherTensor("a quantised tensor")
    if name.startswith("torch._utils._rebuild_"):
        return OtherTensor(f"a tensor made by {name}")
    if name == "torch.Size":
        return tuple(args[0])
    return None


def _tensor(stored: Storage, dtype: np.dtype, offset: int, shape: tuple, stride: tuple) -> StoredTensor:
    if not isinstance(stored, Storage) or not all(type(n) is int and n >= 0 for n in (offset, *shape, *stride)):
        raise ValueError("a tensor without a storage, a shape or strides")
    if len(shape) != len(stride):
        raise ValueError(f"a tensor with {len(shape)} sizes and {len(stride)} strides")
    return StoredTensor(stored, dtype, offset, tuple(shape), tuple(stride))


def view(tensor: StoredTensor, stored: memoryview) -> np.ndarray:
    """The tensor as a read-only view of `stored`, the bytes under its storage's key; bfloat16 as a float32 copy.

    Raises ConvertError for values that have no place here (see `plain`) and for a tensor that reaches beyond its storage.
    """
    size, first = tensor.storage.dtype.itemsize, tensor.storage.start
    flat = np.frombuffer(stored, np.uint8)[first * size : (first + tensor.storage.size) * size]
    flat = flat[: len(flat) // tensor.dtype.itemsize * tensor.dtype.itemsize].view(tensor.dtype)
    if math.prod(tensor.shape) == 0:
        return plain(np.zeros(tensor.shape, tensor.dtype))
    last = tensor.offset + sum((n - 1) * step for n, step in zip(tensor.shape, tensor.stride, strict=True))
    if last >= len(flat):
        raise ConvertError("a tensor that reaches beyond its storage: the file is damaged; fetch it again")
    strides = [step * tensor.dtype.itemsize for step in tensor.stride]
    return plain(np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides, writeable=False))


def plain(array: np.ndarray) -> np.ndarray:
    """`array`, bfloat16 made float32. Raises ConvertError for anything but real numbers, integers and booleans."""
    if array.dtype == DTYPES["bfloat16"]:
        return array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise unreadable(f"values of type {array.dtype}")
    return array


def unreadable(kind: str) -> ConvertError:
    """The error for a tensor of a `kind` that has no plain real array."""
    return ConvertError(f"{kind} cannot be converted; load it in torch and save float32 tensors")
