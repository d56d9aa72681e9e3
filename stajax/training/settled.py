"""The configuration of a run, kept in its working directory: a rerun must mean the same."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from ml_collections import ConfigDict

from stajax.media.atomic import replacing, writing
from stajax.training.checkpoint import FOLDER
from stajax.training.config import ConfigError, flat

FILE = "config.json"
# What may be another at a rerun: it changes how fast or how long, not what is learned until then.
FREE = ("steps", "workers", "fsdp", "cache", "checkpoint.", "log.", "eval.")


def settle(config: ConfigDict, workdir: Path, *, writes: bool = True) -> None:
    """Compare with what the working directory was begun with, and write it down. Raises ConfigError that lists what differs.

    Before the first checkpoint nothing depends on it: a run that could not begin may be given what it lacked.
    """
    check_workdir(workdir)
    path, ours = workdir / FILE, json.loads(config.to_json())
    if path.is_file() and any((workdir / FOLDER).glob("*")):
        try:
            theirs = json.loads(path.read_text())
        except ValueError:
            raise ConfigError(f"{path}: not readable; delete the working directory, or give another") from None
        old, new = flat(theirs), flat(ours)
        differ = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key) and not key.startswith(FREE)]
        if differ:
            changes = ", ".join(f"{key} was {old.get(key)!r}, now {new.get(key)!r}" for key in differ[:4])
            raise ConfigError(f"{workdir}: begun with another configuration ({changes}); give another --workdir")
    if writes:
        with writing(workdir):
            workdir.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part, writing(path):
            part.write_text(json.dumps(ours, indent=2, sort_keys=True) + "\n")


def check_workdir(workdir: str | os.PathLike) -> None:
    """Raises ConfigError for an address such as gs://bucket: it would become a folder of that name here."""
    if re.match(r"[a-z0-9]+:/", os.fspath(workdir)):
        raise ConfigError(
            f"{os.fspath(workdir)}: a working directory is a path; mount the bucket and give its folder (docs/launch.md)"
        )
