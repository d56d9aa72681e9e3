"""From a checkpoint file to a model folder: read, recognise, map, write, report."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from flax import nnx

from stajax.convert.errors import ConvertError
from stajax.convert.families import Family, recognise
from stajax.convert.readers import Checkpoint, read_checkpoint
from stajax.convert.report import write_report
from stajax.convert.table import Entry, apply_table, left_over
from stajax.data.tags import AVE_CLASSES
from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor
from stajax.encoders.params import write_params
from stajax.models import folder
from stajax.models.network import Structure

REPORT = "conversion_report.json"
_CARD = """# {name}

{title}, converted by stajax {version} from `{source}`; `{report}` lists every tensor with its checksum. The numbers are the
checkpoint's own, and so are its licence and its limits: ask its authors.
"""


@dataclass(frozen=True)
class Converted:
    """What became of one checkpoint: where it lies, what it is, how many tensors went in and how many were left out."""

    path: Path
    title: str
    net: str
    tensors: int
    unused: int
    parameters: int


def convert(
    sources: Sequence[str | os.PathLike] | Mapping[str, str | os.PathLike],
    out: str | os.PathLike,
    *,
    dtype: str = "float32",
) -> list[Converted]:
    """Turn checkpoints into the model folder `out`: one gives a model, several the members of one model, fused by `predict`.

    Args:
        sources: files; or name -> file, which sets the names of the nets ("sta", "short", "long"). A net's usual name is its
            file's otherwise.
        dtype: "float32" keeps the numbers, "float16" halves the folder.

    Raises:
        ConvertError: a file that is no checkpoint of a net known to stajax, or does not fit it; two nets of one name.
        WeightsError: `out` exists and is no model.
    """
    out = Path(out)
    named = list(sources.items()) if isinstance(sources, Mapping) else [(None, source) for source in sources]
    if not named:
        raise ConvertError("no checkpoint given")
    if len(named) == 1:
        return [_convert(Path(named[0][1]), out, dtype, named[0][0])]
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.exists() and not (out / "config.json").is_file():
        raise ConvertError(f"{out}: exists and is no stajax model, so it is not replaced; choose another place")
    # Members go to a folder beside `out`, which is renamed when all of them are there.
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        done: list[Converted] = []
        for name, source in named:
            found = _convert(Path(source), temporary / "next", dtype, name)
            member = found.net or "switch"
            if (temporary / member).exists():
                raise ConvertError(f"{source}: a second {member} ({found.title}); name them, as in short=A.pth long=B.pth")
            if not found.net and found.title != "audio switch":
                raise ConvertError(f"{source}: {found.title} is an encoder, not a net; convert it into a folder of its own")
            os.replace(temporary / "next", temporary / member)
            done.append(Converted(out / member, *list(vars(found).values())[1:]))
        titles = ", ".join(one.title for one in done)
        card = _CARD.format(
            name=out.name, title=titles, version=version("stajax"), source="the files of its members", report=REPORT
        )
        folder.write_members(temporary, [one.path.name for one in done], name=out.name, model_card=card)
        os.chmod(temporary, 0o755)
        if out.exists():
            shutil.rmtree(out)
        os.replace(temporary, out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return done


def _convert(source: Path, out: Path, dtype: str, net: str | None) -> Converted:
    checkpoint = read_checkpoint(source)
    try:
        family = recognise(checkpoint.tensors, net)
        shapes = Structure(family.network).shapes if family.network else _encoder_shapes(family)
        variables, entries = apply_table(checkpoint.tensors, family.rows, shapes, unused=family.unused)
    except ConvertError as error:
        raise ConvertError(f"{source}: {error}") from None
    card = _CARD.format(name=out.name, title=family.title, version=version("stajax"), source=source.name, report=REPORT)
    if family.network:
        classes = dict.fromkeys(AVE_CLASSES, ()) if _classifies(family) else None
        folder.write(out, Structure(family.network), variables, model_card=card, classes=classes, dtype=dtype)
    else:
        _write_encoder(out, family, variables, card, dtype)
    unused = left_over(checkpoint.tensors, entries, unused=family.unused)
    write_report(out / REPORT, source, checkpoint, family.title, entries, unused)
    return _converted(out, family, checkpoint, entries, unused)


def _classifies(family: Family) -> bool:
    """Whether its channels are AVE's 28 classes."""
    return any(config.channels == len(AVE_CLASSES) for _, config in family.network.nets.values())


def _converted(out: Path, family: Family, checkpoint: Checkpoint, entries: list[Entry], unused: Mapping) -> Converted:
    parameters = sum(checkpoint.tensors[entry.source].size for entry in entries)
    return Converted(out, family.title, family.net, len(entries), len(unused), parameters)


def _encoder_shapes(family: Family) -> dict:
    known = FRAME_ENCODERS if family.part == "frames" else SOUND_ENCODERS
    module = nnx.eval_shape(lambda: constructor(family.encoder, known)(rngs=nnx.Rngs(0)))
    return nnx.to_pure_dict(nnx.state(module))


def _write_encoder(out: Path, family: Family, variables: dict, card: str, dtype: str) -> None:
    """A folder with an encoder alone: what training starts from. `models.folder.read` says so."""
    if out.exists() and not (out / "config.json").is_file():
        raise ConvertError(f"{out}: exists and is no stajax model, so it is not replaced; choose another place")
    place = f"params/{family.part}.npz"
    write_params(out / place, variables, dtype=dtype)
    config = {"format": folder.FORMAT, "stajax": version("stajax"), "name": out.name, "encoder": family.encoder}
    config["params"] = {family.part: place}
    (out / "model_card.md").write_text(card, encoding="utf-8")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
