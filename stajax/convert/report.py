"""`conversion_report.json`: what a model was converted from, tensor by tensor."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path

from stajax.convert.readers import Checkpoint
from stajax.convert.table import Entry
from stajax.media.atomic import replacing


def write_report(
    path: str | os.PathLike,
    source: str | os.PathLike,
    checkpoint: Checkpoint,
    net: str,
    entries: Iterable[Entry],
    unused: Mapping[str, str],
) -> None:
    """Write the report of the conversion of the file `source` to `path`, whole or not at all; the same input, the same bytes.

    net: what the checkpoint was recognised as. unused: name -> reason of the tensors that were left out (`table.left_over`).
    Raises OSError when `source` cannot be read, media.errors.OutputError when `path` cannot be written.
    """
    source = Path(source)
    report = {
        "stajax": version("stajax"),
        "net": net,
        "source": {
            "name": source.name,  # not its folder: a report travels with the model
            "bytes": source.stat().st_size,
            "sha256": _sha256(source),
            "format": checkpoint.format,
            "entry": checkpoint.entry,
        },
        "tensors": [
            {"from": e.source, "to": e.target, "shape": list(e.shape), "norm": e.norm, "sha256": e.sha256}
            for e in sorted(entries, key=lambda e: e.target)
        ],
        "unused": [
            {"name": name, "shape": list(checkpoint.tensors[name].shape), "reason": unused[name]} for name in sorted(unused)
        ],
    }
    with replacing(path) as part:
        part.write_text(_json(report), encoding="utf-8")


def _json(report: dict) -> str:
    """Indented, but one tensor a line."""
    lines = {key: [json.dumps(item, ensure_ascii=False) for item in report[key]] for key in ("tensors", "unused")}
    head = json.dumps({key: value for key, value in report.items() if key not in lines}, indent=2, ensure_ascii=False)
    lists = [f'  "{key}": [' + ("\n    " + ",\n    ".join(items) + "\n  ]" if items else "]") for key, items in lines.items()]
    return head.removesuffix("\n}") + ",\n" + ",\n".join(lists) + "\n}\n"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
