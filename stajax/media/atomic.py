"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stajax.media.errors import OutputError


@contextmanager
def replacing(path, *, shared: bool = False) -> Iterator[Path]:
    """Give a temporary path beside `path`; rename it to `path` at success, remove it at any exception.

    The temporary name is always the same, so the rerun of a killed process overwrites what that one left; it is this process's
    own where several may write the same file at once (`shared`).

    Raises:
        OutputError: the folder is missing, or the file cannot be put there.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise OutputError(f"{path}: no folder {path.parent}; make it first")
    part = path.with_name(f".{path.name}.{os.getpid()}.part" if shared else f".{path.name}.part")
    try:
        yield part
        with writing(path):
            os.replace(part, path)
    except BaseException:
        with suppress(OSError):  # the error that is on its way says more
            part.unlink()
        raise


@contextmanager
def writing(path, *errors: type[Exception]) -> Iterator[None]:
    """Turn an OSError (or one of `errors`) inside into an OutputError of one line about `path`."""
    try:
        yield
    except (OSError, *errors) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written ({reason}); check free space and permissions") from error
