"""Put the models that a pipeline made where those lie that ship with the package.

    stajax pipeline --config configs/shipped_lite.py --workdir runs/shipped
    python -m stajax.pipeline.ship runs/shipped

To keep the package small, the audio switch, which they all have, is stored once, as encoders are, and the nets with cross-term
company are left out: of a single clip they have no other clips to keep them company.

The cards of the models that ship are written by people; they stay, and their numbers must be looked at anew.
"""

from __future__ import annotations

import dataclasses
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from stajax.encoders.params import write_params
from stajax.models import folder
from stajax.models.network import Structure

SHIPS = {"scam": "scam-lite", "model": "weak-lite", "tuned": "sta-lite"}  # folder of a pipeline -> name
SWITCH = "lite"


def ship(workdir: Path) -> dict[str, int]:
    """Name -> bytes of each model that `workdir` has. Raises WeightsError for one that cannot be read."""
    sizes, weights = {}, folder.WEIGHTS
    found = {name: folder.members(workdir / made) for made, name in SHIPS.items() if (workdir / made).is_dir()}
    switches = [member.variables["switch"] for members in found.values() for member in members if member.config.switch]
    shared = folder.shared_path(SWITCH, "switch")
    if switches and (len(found) == len(SHIPS) or not shared.exists()):  # else models that stay would get another one
        write_params(shared, switches[0], dtype="float16")
    for name, members in found.items():
        out, part = weights / name, weights / f".{name}.part"
        card = folder.name_and_card(out)[1] if (out / "config.json").is_file() else ""
        shutil.rmtree(part, ignore_errors=True)
        if len(members) == 1:
            _write(part, members[0], name, card)
        else:
            for member in members:
                _write(part / member.path.name, member, member.path.name, "")
            folder.write_members(part, [member.path.name for member in members], name=name, model_card=card)
        folder.replace(out, part)
        sizes[name] = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return sizes


def _write(place: Path, member: folder.ModelFolder, name: str, card: str) -> None:
    """A network without its nets with cross-term company, and with the one switch."""
    nets = {net: kind for net, kind in member.config.nets.items() if not _crosses(member, net)}
    structure = Structure(dataclasses.replace(member.config, nets=nets))
    variables = {**member.variables, "nets": {net: member.variables["nets"][net] for net in nets}}
    folder.write(place, structure, variables, name=name, model_card=card, classes=member.classes, shared=_shared(member))


def _crosses(member: folder.ModelFolder, net: str) -> bool:
    return getattr(member.structure.module.nets[net].config, "granularity", "") == "cross"


def _shared(member: folder.ModelFolder) -> Mapping[str, str]:
    """What is stored once: the encoders that ship, and the switch."""
    encoders = {part: getattr(member.config, part) for part in ("frames", "sound")}
    ship = {part: name for part, name in encoders.items() if name and folder.shared_path(name).is_file()}
    return {**ship, "switch": SWITCH} if member.config.switch else ship


def main(workdir: str) -> None:
    for name, size in ship(Path(workdir)).items():
        print(f"{folder.WEIGHTS / name}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
