"""Model folders out of the nets that stages trained: nets on the same encoders become one network and share their pass."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from stajax.encoders.params import WeightsError
from stajax.models import folder
from stajax.models.folder import ModelFolder
from stajax.models.network import Structure


def assemble(
    out: Path,
    parts: Mapping[str, Sequence[Path]],
    *,
    switch: Path | None = None,
    name: str,
    model_card: str = "",
    classes: Mapping[str, tuple[str, ...]] | None = None,
    dtype: str = "float16",
) -> None:
    """Write a model folder of the nets in other model folders.

    Args:
        parts: member's name -> folders of its nets. Those with equal encoders become one network, further ones become members
            NAME-2 and so on. A model of one network has no members.
        switch: folder of a trained audio switch. It joins the networks that have its encoders at its size; where none has, it
            is a member of its own, for all.
    """
    phi = folder.read(switch) if switch is not None else None
    networks: dict[str, list[ModelFolder]] = {}
    for member, paths in parts.items():
        groups: list[list[ModelFolder]] = []
        for read in map(folder.read, paths):
            group = next((group for group in groups if _may_share([*group, read])), None)
            groups.append([read]) if group is None else group.append(read)
        networks |= {member if k == 0 else f"{member}-{k + 1}": group for k, group in enumerate(groups)}
    heeded = {member: phi is not None and _may_share([*group, phi]) for member, group in networks.items()}
    if phi is not None and not any(heeded.values()):
        networks["switch"], heeded["switch"] = [phi], True
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    options = {"name": name, "model_card": model_card, "classes": classes, "dtype": dtype}
    if len(networks) == 1:
        ((member, group),) = networks.items()
        _write(part, group, phi if heeded[member] else None, **options)
    else:
        for member, group in networks.items():
            _write(part / member, group, phi if heeded[member] else None, **{**options, "name": member, "model_card": ""})
        folder.write_members(part, list(networks), name=name, model_card=model_card)
    folder.replace(out, part)


def _may_share(group: Sequence[ModelFolder]) -> bool:
    """Whether networks may become one: other nets, the same views, equal encoders."""
    nets = [net for member in group for net in member.config.nets]
    views = {(member.config.frames, member.config.size, member.config.hop) for member in group}
    hearing = [member for member in group if member.config.sound]
    if len(set(nets)) < len(nets) or len(views) > 1 or len({member.config.sound for member in hearing}) > 1:
        return False
    same = [(group, "frames"), (hearing, "sound")]
    return all(folder.equal(m.variables[part], members[0].variables[part]) for members, part in same for m in members[1:])


def _write(path: Path, group: Sequence[ModelFolder], switch: ModelFolder | None, **options) -> None:
    everyone = [*group, *([switch] if switch is not None else [])]
    base = next((member for member in everyone if member.config.sound), everyone[0])
    nets = {net: kind for member in group for net, kind in member.config.nets.items()}
    config = dataclasses.replace(base.config, nets=nets, switch=switch.config.switch if switch is not None else None)
    variables = {part: base.variables[part] for part in ("frames", "sound") if part in base.variables}
    variables["nets"] = {net: member.variables["nets"][net] for member in group for net in member.config.nets}
    if not nets:
        variables.pop("nets")
    if switch is not None:
        variables["switch"] = switch.variables["switch"]
    shared = {part: getattr(config, part) for part in ("frames", "sound") if _ships(config, part, variables)}
    folder.write(path, Structure(config), variables, shared=shared, **options)


def _ships(config, part: str, variables: dict) -> bool:
    """Whether an encoder is as it comes with the package."""
    if part not in variables:
        return False
    try:
        return folder.equal(variables[part], folder.read_shared(getattr(config, part)))
    except WeightsError:
        return False
