"""From a checkpoint file to a model folder: read, recognise, map, write, report."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from flax import nnx

from stajax.convert.errors import ConvertError, listed
from stajax.convert.families import SWITCH, Family, recognise
from stajax.convert.readers import Checkpoint, read_checkpoint
from stajax.convert.report import write_report
from stajax.convert.table import apply_table, left_over
from stajax.data.tags import AVE_CLASSES
from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor
from stajax.encoders.params import flatten, write_params
from stajax.media.atomic import writing
from stajax.models import folder
from stajax.models.network import Structure

REPORT = "conversion_report.json"
_CARD = """# {name}

{title}, converted by stajax {version} from `{source}`. `{report}` lists every tensor with its checksum. The numbers are the
checkpoint's own, and so are its licence and its limits: ask its authors.
"""


@dataclass(frozen=True)
class Converted:
    """What became of one checkpoint.

    member: its name among the members of a model, the net's or "switch", "" for an encoder. title: what it was recognised as.
    tensors, unused: how many went in and how many were left out. parameters: numbers that went in.
    """

    member: str
    title: str
    tensors: int
    unused: int
    parameters: int


def convert(
    sources: Sequence[str | os.PathLike | tuple[str | None, str | os.PathLike]],
    out: str | os.PathLike,
    *,
    dtype: str = "float32",
    report: Callable[[str], None] = lambda message: None,
) -> list[Converted]:
    """Turn checkpoints into the model folder `out`: one gives a model, several the members of one model, fused by `predict`.

    Args:
        sources: files, or (name, file) where the name is the net's ("sta", "short", "long") in place of its usual one.
        dtype: "float32" keeps the numbers, "float16" halves the folder.
        report: told what is being done.

    Raises:
        ConvertError: a file that is no checkpoint of a net known to stajax, or does not fit it; two nets of one name.
        WeightsError: `out` exists and is no model. OutputError: it cannot be written.
    """
    out = Path(out).resolve()
    named = [source if isinstance(source, tuple) else (None, source) for source in sources]
    if not named:
        raise ConvertError("convert what? name at least one checkpoint file")
    if inside := [source for _, source in named if Path(source).resolve().is_relative_to(out)]:
        raise ConvertError(f"{inside[0]}: lies inside {out}, which would be replaced; move it out, or choose another place")
    with writing(out):
        folder.refuse_strangers(out)
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
        try:
            done = _convert_all(named, temporary, out.name, dtype, report)
            whole = _whole(temporary, done, named, out.name)
            os.chmod(whole, 0o755)
            folder.replace(out, whole)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return list(done.values())


def _convert_all(
    named: Sequence[tuple[str | None, str | os.PathLike]],
    temporary: Path,
    name: str,
    dtype: str,
    report: Callable[[str], None],
) -> dict[str, Converted]:
    """Each checkpoint to a folder of its member's name inside `temporary`."""
    done: dict[str, Converted] = {}
    for net, source in named:
        report(f"{source}: reading")
        checkpoint = read_checkpoint(source)
        with _naming(source):
            family = recognise(checkpoint.tensors, net)
            if len(named) > 1 and family.network is None:
                raise ConvertError(f"{family.title} is an encoder, not a net; convert it into a folder of its own")
            if family.member in done:
                how = "a model has one" if family.member == SWITCH else "name both: short=FILE long=FILE"
                raise ConvertError(f"a second {family.member} ({family.title}); {how}")
            made = _convert(Path(source), checkpoint, family, temporary / (family.member or "encoder"), name, dtype)
        report(f"{source}: {made.title}, {made.parameters / 1e6:.1f} M parameters in {made.tensors} tensors")
        done[made.member] = made
    return done


def _whole(temporary: Path, done: dict[str, Converted], named: Sequence[tuple], name: str) -> Path:
    """The folder to put in place: of one checkpoint its own, of several the one that holds them, made a model of members."""
    if len(done) == 1:
        return temporary / (next(iter(done)) or "encoder")
    titles = ", ".join(made.title for made in done.values())
    card = _card(name, titles, ", ".join(Path(source).name for _, source in named))
    folder.write_members(temporary, list(done), name=name, model_card=card)
    return temporary


@contextmanager
def _naming(source: str | os.PathLike) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except ConvertError as error:
        raise ConvertError(f"{source}: {error}") from None


def _convert(source: Path, checkpoint: Checkpoint, family: Family, out: Path, name: str, dtype: str) -> Converted:
    """One checkpoint to the folder `out`, whose model is called `name`."""
    structure = Structure(family.network) if family.network else None
    shapes = structure.shapes if structure else _encoder_shapes(family)
    variables, entries = apply_table(checkpoint.tensors, family.rows, shapes, unused=family.unused)
    _refuse_overflow(variables, dtype)
    card = _card(name, family.title, source.name)
    if structure:
        folder.write(out, structure, variables, name=name, model_card=card, classes=_classes(family), dtype=dtype)
    else:
        _write_encoder(out, family, variables, name, card, dtype)
    unused = left_over(checkpoint.tensors, entries, unused=family.unused)
    write_report(out / REPORT, source, checkpoint, family.title, entries, unused)
    parameters = sum(checkpoint.tensors[entry.source].size for entry in entries)
    return Converted(family.member, family.title, len(entries), len(unused), parameters)


def _refuse_overflow(variables: dict, dtype: str) -> None:
    """ConvertError for finite values that become infinite in `dtype`."""
    large = [name for name, x in flatten(variables).items() if np.abs(x).max(initial=0) > np.finfo(dtype).max]
    if large:
        raise ConvertError(f"values too large for {dtype} in {listed(large)}; convert to float32")


def _card(name: str, title: str, source: str) -> str:
    return _CARD.format(name=name, title=title, version=version("stajax"), source=source, report=REPORT)


def _classes(family: Family) -> dict[str, tuple[str, ...]]:
    """AVE's classes, if those are the net's channels."""
    channels = [config.channels for _, config in family.network.nets.values()]
    return dict.fromkeys(AVE_CLASSES, ()) if channels == [len(AVE_CLASSES)] else {}


def _encoder_shapes(family: Family) -> dict:
    known = FRAME_ENCODERS if family.part == "frames" else SOUND_ENCODERS
    module = nnx.eval_shape(lambda: constructor(family.encoder, known)(rngs=nnx.Rngs(0)))
    return nnx.to_pure_dict(nnx.state(module))


def _write_encoder(out: Path, family: Family, variables: dict, name: str, card: str, dtype: str) -> None:
    """A folder with an encoder alone: what training starts from. `models.folder.read` says so."""
    place = f"params/{family.part}.npz"
    write_params(out / place, variables, dtype=dtype)
    config = {"format": folder.FORMAT, "stajax": version("stajax"), "name": name, "encoder": family.encoder}
    config["params"] = {family.part: place}
    (out / "model_card.md").write_text(card, encoding="utf-8")
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
