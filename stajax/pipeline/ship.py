"""Put the models that a pipeline made where those lie that ship with the package.

    stajax pipeline --config configs/shipped_lite.py --workdir runs/shipped
    python -m stajax.pipeline.ship runs/shipped

To keep the package small, the audio switch, which they all have, is stored once, as encoders are, and the nets with cross-term
company are left out: of a single clip they have no other clips to keep them company.

The cards of the models that ship are written by people; they stay, and their numbers must be looked at anew.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

from stajax.models import folder

SHIPS = {"scam": "scam-lite", "model": "weak-lite", "tuned": "sta-lite"}  # folder of a pipeline -> name
SWITCH = "switch_lite"


def ship(workdir: Path) -> dict[str, int]:
    """Name -> bytes of each model that `workdir` has. Raises WeightsError for one that cannot be read."""
    sizes, weights = {}, folder.WEIGHTS
    for made, name in SHIPS.items():
        if not (workdir / made).is_dir():
            continue
        out, part = weights / name, weights / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(workdir / made, part)
        for place in part.rglob("config.json"):
            config = _lighter(place.parent, json.loads(place.read_text(encoding="utf-8")), weights / "encoders")
            name_here = name if place.parent == part else config["name"]
            place.write_text(json.dumps({**config, "name": name_here}, indent=2) + "\n", encoding="utf-8")
        if (out / "model_card.md").is_file():
            shutil.copyfile(out / "model_card.md", part / "model_card.md")
        folder.members(part)  # it can be read
        folder.replace(out, part)
        sizes[name] = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return sizes


def _lighter(place: Path, config: dict, shared: Path) -> dict:
    """The config of a model folder without its nets with cross-term company and its own switch, whose files go."""
    if "members" in config:
        return config
    network, params = config["network"], config["params"]
    for net in [net for net, settings in network["nets"].items() if settings.get("granularity") == "cross"]:
        (place / params["nets"].pop(net)).unlink()
        del network["nets"][net]
    if "switch" in params:
        shared.mkdir(exist_ok=True)
        os.replace(place / params["switch"], shared / f"{SWITCH}.npz")
        params["switch"] = f"shared:{SWITCH}"
    return config


def main(workdir: str) -> None:
    for name, size in ship(Path(workdir)).items():
        print(f"{folder.WEIGHTS / name}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
