"""Put the models that a pipeline made where those lie that ship with the package.

    stajax pipeline --config configs/shipped_lite.py --workdir runs/shipped
    python -m stajax.pipeline.ship runs/shipped

The cards of the models that ship are written by people; they stay, and their numbers must be looked at anew.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from stajax.encoders.params import WEIGHTS
from stajax.models import folder

SHIPS = {"scam": "scam-lite", "model": "weak-lite", "tuned": "sta-lite"}  # folder of a pipeline -> name


def ship(workdir: Path, weights: Path = WEIGHTS) -> dict[str, int]:
    """Name -> bytes of each model that `workdir` has. Raises WeightsError for one that cannot be read."""
    sizes = {}
    for made, name in SHIPS.items():
        if not (workdir / made).is_dir():
            continue
        folder.members(workdir / made)
        out, part = weights / name, weights / f".{name}.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(workdir / made, part)
        config = json.loads((part / "config.json").read_text(encoding="utf-8"))
        (part / "config.json").write_text(json.dumps({**config, "name": name}, indent=2) + "\n", encoding="utf-8")
        if (out / "model_card.md").is_file():
            shutil.copyfile(out / "model_card.md", part / "model_card.md")
        folder.replace(out, part)
        sizes[name] = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    return sizes


def main(workdir: str) -> None:
    for name, size in ship(Path(workdir)).items():
        print(f"{WEIGHTS / name}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
