"""A trained model on disk: a folder of `config.json`, `model_card.md` and `params/`.

Encoder weights that are as they came are stored once, in `stajax/weights/encoders/`, and a folder refers to them as
``shared:NAME``; so is the audio switch of the models that ship, in `stajax/weights/switches/`. An encoder that was fine-tuned
lies in the folder's own `params/`. A name such as ``sta-lite`` means the folder of that name in `stajax/weights/`. A net
without weights is an error, never random weights.

Nets that see pictures of different sizes, or that have encoders of their own, are networks of their own. A folder whose
`config.json` lists `members` holds such networks as folders inside it, to be used together.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from stajax.encoders.params import WEIGHTS, WeightsError, check_fit, flatten, read_params, write_params
from stajax.models.network import NetworkConfig, Structure

FORMAT = 1


@dataclass(frozen=True)
class ModelFolder:
    """A model as read: its name, where it lies, its structure, its variables (nested dict of NumPy arrays)."""

    name: str
    path: Path
    structure: Structure
    variables: dict
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # class -> aliases

    @property
    def config(self) -> NetworkConfig:
        return self.structure.config

    @property
    def model_card(self) -> str:
        return name_and_card(self.path)[1]


def shipped() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.parent.name for path in WEIGHTS.glob("*/config.json"))


def find(name_or_path: str | os.PathLike) -> Path:
    """The folder that a name or a path means. Raises WeightsError."""
    path = Path(name_or_path)
    try:
        if (path / "config.json").is_file():
            return path
        if path.name == str(name_or_path) and (WEIGHTS / path / "config.json").is_file():
            return WEIGHTS / path
    except OSError as error:  # no permission, or a name that is too long
        raise WeightsError(f"{str(path)[:200]}: cannot be read ({error.strerror})") from None
    if path.is_dir():
        raise WeightsError(f"{path}: no config.json in this folder, so it is no stajax model")
    if path.is_file():
        raise WeightsError(f"{path}: a file, not a model folder")
    raise WeightsError(f"{name_or_path}: no such model folder, nor a model that ships ({', '.join(shipped()) or 'none'})")


def members(name_or_path: str | os.PathLike) -> list[ModelFolder]:
    """Read all networks of a model: those that it lists as `members`, or the one that it is. Raises WeightsError."""
    path = find(name_or_path)
    config = _config(path)
    if "members" not in config:
        return [read(path)]
    names = config["members"]
    if not (isinstance(names, list) and names and all(_is_name(name) for name in names)):
        raise WeightsError(f"{path / 'config.json'}: members must list the folders inside this one, not {names!r}")
    return [read(path / name) for name in names]


def _is_name(name: object) -> bool:
    """Whether `name` may be that of a folder inside another."""
    return isinstance(name, str) and name not in ("", ".", "..") and Path(name).name == name


def fingerprint(members: Iterable[ModelFolder]) -> str:
    """Of structure and numbers; those of encoders that are stored elsewhere count too."""
    digest = hashlib.sha256()
    for member in members:
        digest.update(json.dumps(member.config.to_json(), sort_keys=True).encode())
        for key, array in sorted(flatten(member.variables).items()):
            digest.update(key.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def name_and_card(name_or_path: str | os.PathLike) -> tuple[str, str]:
    """A model's name and its `model_card.md`, "" if it has none. Raises WeightsError."""
    path = find(name_or_path)
    card = path / "model_card.md"
    return _config(path).get("name", path.name), card.read_text(encoding="utf-8") if card.is_file() else ""


def write_members(path: str | os.PathLike, names: Sequence[str], *, name: str | None = None, model_card: str = "") -> None:
    """Make a folder, in which the folders `names` lie already, a model of these members."""
    path = Path(path)
    config = {"format": FORMAT, "stajax": version("stajax"), "name": name or path.name, "members": list(names)}
    (path / "model_card.md").write_text(model_card, encoding="utf-8")
    (path / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def _config(path: Path) -> dict:
    """`config.json` of a folder, as far as all folders have it in common. Raises WeightsError."""
    with _reading_config(path):
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise WeightsError(f"{path}: model format {config['format']}; this version of stajax reads format {FORMAT}")
        return config


@contextmanager
def _reading_config(path: Path) -> Iterator[None]:
    """Turn what goes wrong inside with a folder's `config.json` into a WeightsError of one line."""
    try:
        yield
    except WeightsError:
        raise
    except KeyError as error:
        raise WeightsError(f"{path / 'config.json'}: {error} is missing; a net without weights cannot be used") from None
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(f"{path / 'config.json'}: {error}") from None


def read(name_or_path: str | os.PathLike) -> ModelFolder:
    """Read a model folder, by path or by the name of one that ships. Raises WeightsError, one line, when it does not fit."""
    path = find(name_or_path)
    config = _config(path)
    if "members" in config:
        raise WeightsError(
            f"{path}: holds several networks ({', '.join(map(str, config['members']))}); name one of its folders"
        )
    if "encoder" in config:
        raise WeightsError(f"{path}: holds the encoder {config['encoder']} and no net; convert a net")
    with _reading_config(path):
        structure = Structure(NetworkConfig.from_json(config["network"]))
        places = config["params"]
        parts = ["frames", *(["sound"] if structure.config.sound else [])]
        found = {part: read_params(_place(path, places[part])) for part in parts}
        found["nets"] = {name: read_params(_place(path, places["nets"][name])) for name in structure.config.nets}
        if structure.config.switch:
            found["switch"] = read_params(_place(path, places["switch"], "switch"))
        classes = {name: tuple(aliases) for name, aliases in config.get("classes", {}).items()}
    return ModelFolder(
        name=config.get("name", path.name),
        path=path,
        structure=structure,
        variables=check_fit(found, structure.shapes, str(path)),
        classes=classes,
    )


def write(
    path: str | os.PathLike,
    structure: Structure,
    variables: dict,
    *,
    name: str | None = None,
    model_card: str = "",
    classes: Mapping[str, tuple[str, ...]] | None = None,
    shared: Mapping[str, str] | None = None,
    dtype: str = "float16",
) -> None:
    """Write a model folder; a model that is there is replaced. What lies at `path` is at all times whole or absent.

    A write that fails before the renames leaves what was there. Replacing takes two renames, the old folder's and the new
    one's: a run that ends between them leaves nothing at `path`, and the old model whole beside it as ``.NAME.old.*``; rename
    it back. A run that is killed may also leave a ``.NAME.*`` that nothing reads.

    shared: encoders that are as they ship, e.g. {"frames": "efficientnet_lite0", "sound": "yamnet"}, and the switch likewise;
        the others are stored.
    dtype: of the stored numbers; "float32" keeps them exactly, at twice the size.

    Raises WeightsError when `variables` do not fit `structure`, when an encoder in `shared` is not the one that ships, or when
    something else than a model is there.
    """
    path, shared = Path(path), shared or {}
    refuse_strangers(path)
    variables = check_fit(variables, structure.shapes, str(path))
    parts = {part: variables[part] for part in ("frames", "sound", "switch") if part in structure.shapes}
    for part in parts.keys() & shared.keys():
        if not equal(parts[part], read_params(_place(path, f"shared:{shared[part]}", part))):
            raise WeightsError(
                f"{path}: {part}: weights differ from the shipped {shared[part]}; store them: leave {part} out of shared"
            )
    places: dict = {part: f"shared:{shared[part]}" if part in shared else f"params/{part}.npz" for part in parts}
    nets = variables.get("nets", {})
    places["nets"] = {net: f"params/nets/{net}.npz" for net in nets}
    config = {
        "format": FORMAT,
        "stajax": version("stajax"),  # `stajax.__version__` would import the top of the house
        "name": name or path.name,
        "network": structure.config.to_json(),
        "params": places,
        "classes": {key: list(aliases) for key, aliases in (classes or {}).items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        for part, place in places.items():
            if part != "nets" and not place.startswith("shared:"):
                write_params(temporary / place, parts[part], dtype=dtype)
        for net, place in places["nets"].items():
            write_params(temporary / place, nets[net], dtype=dtype)
        (temporary / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        (temporary / "model_card.md").write_text(model_card, encoding="utf-8")
        os.chmod(temporary, 0o755)
        replace(path, temporary)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def refuse_strangers(path: Path) -> None:
    """WeightsError if something else than a model lies at `path`, for that is never replaced."""
    if path.is_file() or (path.is_dir() and any(path.iterdir()) and not (path / "config.json").is_file()):
        raise WeightsError(f"{path}: exists and is no stajax model, so it is not replaced; choose another place")


def replace(path: Path, new: Path) -> None:
    """Put the folder `new` at `path`, in place of the model that may be there."""
    if not path.exists():
        os.replace(new, path)
        return
    # A folder cannot replace a full one in one step; the old one steps aside and is deleted last. See `write`.
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
    os.replace(path, aside)
    os.replace(new, path)
    shutil.rmtree(aside)


def read_shared(name: str) -> dict:
    """The weights of an encoder that ships. Raises WeightsError."""
    return read_params(shared_path(name))


def equal(ours: dict, shipped: dict) -> bool:
    """Whether both hold the same values under the same names, exactly."""
    a, b = flatten(ours), flatten(shipped)
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def shared_path(name: str, part: str = "frames") -> Path:
    """Where the weights lie that several models share: a part's, frames or sound (encoders) or switch."""
    return WEIGHTS / ("switches" if part == "switch" else "encoders") / f"{name}.npz"


def _place(folder: Path, place: str, part: str = "frames") -> Path:
    return shared_path(place.removeprefix("shared:"), part) if place.startswith("shared:") else folder / place
