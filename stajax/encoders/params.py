"""Parameters on disk: a nested dict of arrays as one flat ``.npz``, and the encoder weights that ship with the package.

Keys are paths joined by dots (``blocks.3.expand.kernel``). float16 comes back as float32; an int8 ``kernel`` has a float32
``kernel_scale`` (per output channel) beside it and comes back multiplied. Nothing is ever unpickled.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

WEIGHTS = Path(__file__).resolve().parent.parent / "weights"
_SCALE = "_scale"


class WeightsError(ValueError):
    """A weight file that cannot be read or does not fit its net; the message is one line and says what to do."""


def read_params(path: str | os.PathLike) -> dict:
    """Nested dict of float32 (or integer) arrays from `path`. Raises WeightsError."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            flat = {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such weight file") from None
    except Exception as error:  # damaged bytes raise a dozen types, zlib.error and NotImplementedError among them
        raise WeightsError(f"{path}: not a readable .npz of arrays ({error}); fetch or convert it again") from None
    tree: dict = {}
    for key, array in flat.items():
        quantised = flat.get(key.removesuffix(_SCALE)) if key.endswith(_SCALE) else None
        if quantised is not None and quantised.dtype == np.int8:
            continue
        if array.dtype == np.int8 and key + _SCALE in flat:
            array = array.astype(np.float32) * flat[key + _SCALE]
        elif array.dtype == np.float16:
            array = array.astype(np.float32)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise WeightsError(f"{path}: {key} holds NaN or infinite values; the file is damaged or its training diverged")
        *parents, leaf = key.split(".")
        node = tree
        for name in parents:
            node = node.setdefault(name, {})
        node[leaf] = array
    return tree


def write_params(path: str | os.PathLike, tree: dict, *, dtype: str = "float16") -> None:
    """Write the nested dict `tree` to `path` as `dtype`, atomically. The inverse of `read_params` up to rounding.

    Raises WeightsError for a value that `dtype` cannot hold, for `read_params` would refuse the file.
    """
    flat = {}
    for key, leaf in flatten(tree).items():
        leaf = np.asarray(leaf)
        if leaf.dtype.kind == "f" and not key.endswith(_SCALE):
            with np.errstate(over="ignore"):
                leaf = leaf.astype(dtype)
            if not np.isfinite(leaf).all():
                raise WeightsError(f"{path}: {key} holds NaN, infinite or too large values for {dtype}; nothing was written")
        flat[key] = leaf
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.part")  # the same every time: a rerun overwrites what a killed run left
    try:
        with temporary.open("wb") as file:
            # The low bits of float32 are noise that does not compress, and takes its time over it.
            (np.savez_compressed if dtype == "float16" else np.savez)(file, **flat)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flatten(tree: dict, prefix: str = "") -> dict:
    """{"a": {"b": x}} -> {"a.b": x}; keys become strings."""
    flat = {}
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict):
            flat.update(flatten(value, path + "."))
        else:
            flat[path] = value
    return flat


def check_fit(found: dict, wanted: dict, source: str) -> dict:
    """`found` in the form of `wanted` (nested, leaves with a shape and a dtype), or a WeightsError that lists every misfit."""
    flat_found, flat_wanted = flatten(found), flatten(wanted)
    missing = sorted(flat_wanted.keys() - flat_found.keys())
    extra = sorted(flat_found.keys() - flat_wanted.keys())
    shapes = [
        f"{key} is {flat_found[key].dtype}{flat_found[key].shape}, not {flat_wanted[key].dtype}{flat_wanted[key].shape}"
        for key in sorted(flat_wanted.keys() & flat_found.keys())
        if flat_found[key].shape != flat_wanted[key].shape or flat_found[key].dtype.kind != flat_wanted[key].dtype.kind
    ]
    problems = [
        f"{len(items)} {kind} ({', '.join(items[:3])}{', ...' if len(items) > 3 else ''})"
        for kind, items in (("missing", missing), ("unknown", extra), ("misshapen", shapes))
        if items
    ]
    if problems:
        raise WeightsError(f"{source}: these weights are not for this net: {'; '.join(problems)}")

    def nest(node: dict, prefix: str) -> dict:
        return {
            key: nest(value, f"{prefix}{key}.") if isinstance(value, dict) else flat_found[f"{prefix}{key}"]
            for key, value in node.items()
        }

    return nest(wanted, "")
