"""State dicts of the authors' nets, by their names and shapes, and torch files of them as DataParallel saves them."""

import json
from pathlib import Path

import numpy as np
from convert.torch_files import Storages
from parity.detw import weights

SPECS = Path(__file__).parents[1] / "goldens/nets/state_dict_spec"


def spec(name: str) -> dict[str, tuple[int, ...]]:
    """Tensor -> shape of a net."""
    return {entry["name"]: tuple(entry["shape"]) for entry in json.loads((SPECS / f"{name}.json").read_text())["tensors"]}


def state_dict(name: str) -> dict[str, np.ndarray]:
    return weights([{"name": key, "shape": shape} for key, shape in spec(name).items()])


def constants(shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """A state dict of any size that takes no memory."""
    return {name: np.broadcast_to(np.float32(0.5), shape) for name, shape in shapes.items()}


def save(path: Path, tensors: dict[str, np.ndarray], *, legacy: bool = False, entry: str = "state_dict") -> Path:
    """`path`, as ``torch.save({"epoch": 3, entry: DataParallel(net).state_dict()}, path)`` would write it."""
    storages = Storages(legacy=legacy)
    return storages.write(
        path, {"epoch": 3, entry: {f"module.{k}": storages.tensor(np.asarray(v)) for k, v in tensors.items()}}
    )
