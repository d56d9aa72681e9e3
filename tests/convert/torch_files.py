"""Torch's two file formats (and safetensors) by hand: what torch.save would write, and what it never would."""

import pickle
import struct
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
    "bool": "BoolStorage",
    "complex64": "ComplexFloatStorage",
}


@dataclass(frozen=True)
class Named:
    """A global."""

    module: str
    name: str


@dataclass(frozen=True)
class Call:
    """REDUCE: a call of `function`, then BUILD with `state` unless it is None."""

    function: Named
    args: tuple
    state: Any = None


@dataclass(frozen=True)
class New(Call):
    """NEWOBJ instead of REDUCE."""


@dataclass(frozen=True)
class Raw:
    """Opcodes as they are; they must leave one value on the stack."""

    opcodes: bytes


@dataclass(frozen=True)
class Persistent:
    identifier: tuple


ORDERED = Call(Named("collections", "OrderedDict"), ())


@dataclass
class Storages:
    """The storages of one file: key -> bytes; gone once it is written."""

    legacy: bool = False
    blobs: dict = field(default_factory=dict)
    item_sizes: dict = field(default_factory=dict)

    def put(self, array, dtype=None) -> Persistent:
        """The values of `array` as a storage of torch's type `dtype`."""
        key, dtype = str(len(self.blobs)), dtype or array.dtype.name
        self.blobs[key], self.item_sizes[key] = array.tobytes(), array.dtype.itemsize
        return self.claim(key, dtype, array.size)

    def claim(self, key, dtype, size) -> Persistent:
        type_ = Named("torch", STORAGES.get(dtype, dtype))
        return Persistent(("storage", type_, key, "cpu", size, *([None] if self.legacy else [])))

    def tensor(self, array, dtype=None) -> Call:
        strides = tuple(s // array.dtype.itemsize for s in np.empty(array.shape, array.dtype).strides)
        return view(self.put(np.ascontiguousarray(array), dtype), 0, array.shape, strides)

    def write(self, path, content):
        (write_legacy if self.legacy else write_zip)(path, dumps(content), self)
        self.blobs, self.item_sizes = {}, {}
        return path


def view(storage, offset, shape, stride, metadata=ORDERED) -> Call:
    return Call(Named("torch._utils", "_rebuild_tensor_v2"), (storage, offset, shape, stride, False, metadata))


def parameter(tensor) -> Call:
    return Call(Named("torch._utils", "_rebuild_parameter"), (tensor, True, ORDERED))


def module(name, parameters=(), buffers=(), children=(), passing=()) -> New:
    """A pickled torch.nn.Module of the class `name` ("package.Class")."""
    package, _, cls = name.rpartition(".")
    state = {
        "training": True,
        "_parameters": dict(parameters),
        "_buffers": dict(buffers),
        "_non_persistent_buffers_set": Call(Named("__builtin__", "set"), (list(passing),)),
        "_forward_hooks": ORDERED,
        "_modules": dict(children),
    }
    return New(Named(package, cls), (), state)


def write_zip(path, data, storages=None, *, extra=(), name="archive"):
    members = {"data.pkl": data, "byteorder": b"little", **(storages.blobs if storages else {})}
    with zipfile.ZipFile(path, "w") as archive:
        for key, blob in members.items():
            archive.writestr(f"{name}/{key}" if not key.isdigit() else f"{name}/data/{key}", blob)
        for key, blob in dict(extra).items():
            archive.writestr(f"{name}/{key}", blob)
        archive.writestr(f"{name}/version", b"3\n")
    return path


def write_legacy(path, data, storages=None):
    blobs = storages.blobs if storages else {}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(MAGIC, 2), pickle.dumps(1001, 2), pickle.dumps(system, 2), data, pickle.dumps(list(blobs), 2)]
    for key, blob in blobs.items():
        parts += [struct.pack("<q", len(blob) // storages.item_sizes[key]), blob]
    path.write_bytes(b"".join(parts))
    return path


def safetensors_file(path, kind, shape, data, header_length=0):
    header = f'{{"x":{{"dtype":"{kind}","shape":{shape},"data_offsets":[0,{len(data)}]}}}}'.encode().ljust(header_length)
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def dumps(value) -> bytes:
    """`value` as a pickle of protocol 2; the classes above become what they stand for, without being looked up."""
    return b"\x80\x02" + pickled(value) + b"."


def pickled(value) -> bytes:
    """The opcodes of `value`."""
    match value:
        case Named():
            return f"c{value.module}\n{value.name}\n".encode()
        case Call():
            made = pickled(value.function) + pickled(value.args) + (b"\x81" if isinstance(value, New) else b"R")
            return made if value.state is None else made + pickled(value.state) + b"b"
        case Raw():
            return value.opcodes
        case Persistent():
            return pickled(value.identifier) + b"Q"
        case tuple():
            return b"(" + b"".join(map(pickled, value)) + b"t"
        case list():
            return b"](" + b"".join(map(pickled, value)) + b"e"
        case dict():
            return b"}(" + b"".join(pickled(x) for item in value.items() for x in item) + b"u"
        case _:
            return pickle.dumps(value, 2)[2:-1]  # without its PROTO and STOP
