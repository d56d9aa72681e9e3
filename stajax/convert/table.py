"""Mapping tables: which foreign tensor becomes which of ours, one row per family of tensors."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from stajax.convert.errors import ConvertError, listed
from stajax.encoders.params import flatten

_ALWAYS_UNUSED = r"(.*\.)?num_batches_tracked"  # torch counts batches; nothing here needs the count
_CHUNK = 1 << 20  # values at once in float64


def conv(x: np.ndarray) -> np.ndarray:
    """2-D convolution kernel: (out, in / groups, kh, kw) -> (kh, kw, in / groups, out)."""
    return x.transpose(2, 3, 1, 0)


def conv3d(x: np.ndarray) -> np.ndarray:
    """3-D convolution kernel: (out, in / groups, kd, kh, kw) -> (kd, kh, kw, in / groups, out)."""
    return x.transpose(2, 3, 4, 1, 0)


def transposed_conv(x: np.ndarray) -> np.ndarray:
    """ConvTranspose2d kernel: (in, out, kh, kw) -> (kh, kw, out, in), as for ``transpose_kernel=True`` in lax."""
    return x.transpose(2, 3, 1, 0)


def linear(x: np.ndarray) -> np.ndarray:
    """Linear kernel: (out, in) -> (in, out)."""
    return x.transpose(1, 0)


def vector(x: np.ndarray) -> np.ndarray:
    """As it is: biases, batch norm, anything of the same layout."""
    return x


@dataclass(frozen=True)
class Row:
    r"""One family of tensors.

    source: regular expression that the whole foreign name matches. target: dotted path in our variables, ``\1`` for groups.
    transform: foreign layout -> ours (a view will do); None for `vector`.
    """

    source: str
    target: str
    transform: Callable[[np.ndarray], np.ndarray] | None = None


@dataclass(frozen=True)
class Entry:
    """A tensor that was converted: its names, its foreign shape, its L2 norm in float64, the SHA-256 of its foreign bytes.

    The bytes are those of the array as read, in C order: of a bfloat16 tensor, its float32 values.
    """

    source: str
    target: str
    shape: tuple[int, ...]
    norm: float
    sha256: str


def apply_table(
    tensors: Mapping[str, np.ndarray], rows: Sequence[Row], shapes: Mapping, *, unused: Iterable[str] = ()
) -> tuple[dict, list[Entry]]:
    """(variables, entries): `tensors` as a nested dict of the form of `shapes`, and what went where, in the order of `tensors`.

    The first row that matches a name counts. shapes: nested dict whose leaves have a ``.shape``, such as ``Structure.shapes``.
    unused: regular expressions of whole names that may be there and are left out; so is ``num_batches_tracked``. Values are
    new float32 arrays in C order.

    Raises ConvertError, one line with all that is wrong: tensors without a row, two for one target, targets that no tensor
    fills or that are not in `shapes`, wrong shapes, values that are not finite in float32.
    """
    wanted = {target: tuple(leaf.shape) for target, leaf in flatten(dict(shapes)).items()}
    rows = [(re.compile(row.source), row) for row in rows]
    allowed = _allowed(unused)
    filled: dict[str, np.ndarray] = {}
    sources: dict[str, str] = {}
    entries: list[Entry] = []
    unmapped, unknown, twice, misshapen, not_finite = [], [], [], [], []
    for source, tensor in tensors.items():
        if _reason(source, allowed):
            continue
        target, transform = _mapped(source, rows)
        if target is None:
            unmapped.append(source)
        elif target in sources:
            twice.append(f"{target} from {sources[target]} and {source}")
        elif target not in wanted:
            unknown.append(f"{source} -> {target}")
        else:
            sources[target] = source
            ours = _transformed(tensor, transform)
            if ours is None or ours.shape != wanted[target]:
                becomes = "" if ours is None else f" -> {ours.shape}"
                misshapen.append(f"{source} {tensor.shape}{becomes}, {target} is {wanted[target]}")
                continue
            with np.errstate(over="ignore"):
                filled[target] = np.array(ours, dtype=np.float32, order="C")
            if not np.isfinite(filled[target]).all():
                not_finite.append(source)
            entries.append(_entry(source, target, tensor))
    _raise_all(
        {
            "unmapped": unmapped,
            "mapped to a target that the net does not have": unknown,
            "for one target twice": twice,
            "unfilled": [target for target in wanted if target not in sources],
            "misshapen": misshapen,
            "not finite in float32": not_finite,
        }
    )
    return _nested(shapes, filled), entries


def left_over(
    tensors: Iterable[str], entries: Iterable[Entry], unused: Iterable[str] | Mapping[str, str] = ()
) -> dict[str, str]:
    """Name -> reason of the tensors that `apply_table` left out. `unused` may map its patterns to reasons."""
    converted = {entry.source for entry in entries}
    allowed = _allowed(unused)
    return {name: _reason(name, allowed) or "no row" for name in tensors if name not in converted}


def _allowed(unused: Iterable[str] | Mapping[str, str]) -> list[tuple[re.Pattern, str]]:
    reasons = unused if isinstance(unused, Mapping) else dict.fromkeys(unused, "not used by this net")
    reasons = {_ALWAYS_UNUSED: "torch's count of batches", **reasons}
    return [(re.compile(pattern), reason) for pattern, reason in reasons.items()]


def _reason(name: str, allowed: list[tuple[re.Pattern, str]]) -> str | None:
    return next((reason for pattern, reason in allowed if pattern.fullmatch(name)), None)


def _mapped(source: str, rows: list[tuple[re.Pattern, Row]]) -> tuple[str | None, Callable]:
    for pattern, row in rows:
        if match := pattern.fullmatch(source):
            return match.expand(row.target), row.transform or vector
    return None, vector


def _transformed(tensor: np.ndarray, transform: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
    """None where the tensor has not the number of axes that the transform needs."""
    try:
        return transform(tensor)
    except (ValueError, IndexError):
        return None


def _entry(source: str, target: str, tensor: np.ndarray) -> Entry:
    flat = np.ascontiguousarray(tensor).reshape(-1)
    squares = 0.0
    for start in range(0, flat.size, _CHUNK):  # in pieces: a float64 copy of the largest tensors takes half a gigabyte
        squares += float(np.square(flat[start : start + _CHUNK], dtype=np.float64).sum())
    return Entry(source, target, tensor.shape, math.sqrt(squares), hashlib.sha256(flat.data).hexdigest())


def _raise_all(problems: dict[str, list[str]]) -> None:
    found = "; ".join(f"{len(items)} {what} ({listed(items)})" for what, items in problems.items() if items)
    if found:
        raise ConvertError(f"these tensors are not those of this net: {found}")


def _nested(shapes: Mapping, filled: dict[str, np.ndarray], prefix: str = "") -> dict[str, Any]:
    return {
        key: _nested(value, filled, f"{prefix}{key}.") if isinstance(value, Mapping) else filled[f"{prefix}{key}"]
        for key, value in shapes.items()
    }
