"""Which net a checkpoint is, by its keys: the files carry no name, and one name has stood for two generations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from stajax.convert.errors import ConvertError, listed
from stajax.convert.table import Row
from stajax.convert.tables import encoders, released
from stajax.models.fragments import Granularity
from stajax.models.network import NetworkConfig
from stajax.models.released.base import ReleasedConfig
from stajax.models.released.switch import ReleasedSwitchConfig

SWITCH = "switch"  # the member's name of the audio switch; no net may have it
HOP = 0.04  # seconds: the release cuts a sound window for every frame, of clips at 25 to 30 frames/s


@dataclass(frozen=True)
class Family:
    """A kind of checkpoint.

    title: as people know it. rows, unused: of its table. net: the net's name in the model folder, "" for the audio switch.
    network: what is made of it; None for an encoder alone, which is then `encoder` in `encoders`, a frame or a sound encoder
    by `part`, "frames" or "sound".
    """

    title: str
    rows: tuple[Row, ...]
    unused: tuple[str, ...]
    net: str = ""
    network: NetworkConfig | None = None
    part: str = ""
    encoder: str = ""

    @property
    def member(self) -> str:
        """Its name among the members of a model, "" for an encoder."""
        return "" if self.network is None else self.net or SWITCH


def recognise(tensors: Mapping[str, np.ndarray], net: str | None = None) -> Family:
    """The family of a checkpoint. net: name of the net in the model folder, instead of the usual one. A net with company gets
    long- or cross-term company if its name says so: ``long``, ``s_plus_cross``.

    Raises ConvertError that tells the keys that were found, for a checkpoint of no known net.
    """
    if net is not None and not re.fullmatch(r"\w+", net):
        raise ConvertError(f"{net!r} is no name for a net; use letters, digits and _")
    kind = _released(tensors)
    if net is not None and (net == SWITCH) != (kind == SWITCH):
        right = "the audio switch, whose name is switch" if kind == SWITCH else "not the audio switch, whose name that is"
        raise ConvertError(f"{net}=FILE: this checkpoint is {right}")
    if kind:
        return _released_family(kind, tensors, net)
    if net:
        raise ConvertError(f"{net}=FILE names a net, but this checkpoint is no net of the authors")
    return _encoder(tensors)


def _released(tensors: Mapping[str, np.ndarray]) -> str | None:
    def has(*keys: str) -> bool:
        return all(key in tensors for key in keys)

    edition = "" if has("extra_convv.weight") else " 2021"
    if has("extra_convsd0.weight"):
        return "STA"
    if has("extra_predict4.weight"):
        return "STA 2021"
    if has("extra_main_classifier1.weight"):
        return "STA+" + edition
    if has("extra_conv_safusion.weight"):
        return "SA+" + edition
    if has("extra_video_d.0.weight"):
        return "SA" + edition
    if has("extra_refineST.0.weight"):
        return "ST+" if has("extra_conv_stfusion.weight") else "ST"
    if has("extra_conv_stfusion.weight"):
        return "S+"
    if has("extra_convs.weight", "features.6.0.conv1.weight"):
        return "S"
    if has("layerV_d.weight"):
        return "switch"
    return None


# kind -> (kind of net in config.json, its usual name in a folder, frame encoder, side of its views, whether it hears)
_NETWORKS = {
    "S": ("released.S", "s", "resnext101_32x8d_layer3", 256, False),
    "SA": ("released.SA", "sa", "resnext101_32x8d", 256, True),
    "ST": ("released.ST", "st", "resnext101_32x8d", 256, False),
    "S+": ("released.S+", "s_plus", "vgg16_d1", 256, False),
    "SA+": ("released.SA+", "sa_plus", "vgg16_d1", 256, True),
    "ST+": ("released.ST+", "st_plus", "vgg16_d1", 256, False),
    "STA": ("released.STA", "sta", "resnext101_32x8d", 356, True),
    "STA 2021": ("released.STA2021", "sta", "resnext101_32x8d", 356, True),
    "STA+": ("released.STA+", "short", "vgg16_d1", 256, True),
    "switch": ("", "", "resnext101_32x8d", 356, True),
}


def _released_family(kind: str, tensors: Mapping[str, np.ndarray], net: str | None) -> Family:
    name, _, generation = kind.partition(" ")
    entry, usual, frames, size, hears = _NETWORKS.get(kind) or _NETWORKS[name]
    sound = "vggsound" if hears else None
    if kind == "switch":
        network = NetworkConfig(frames, sound, size, HOP, nets={}, switch=ReleasedSwitchConfig())
        rows = released.rows(kind, "switch.") + encoders.resnet_children("layerV", target="frames.")
        rows += encoders.vggsound_children("layerA", "sound.")
        return Family("audio switch", rows, released.UNUSED[kind], network=network)
    net = net or usual
    granularity = _granularity(net) if name.endswith("+") else "short"
    config = ReleasedConfig(int(generation or 2022), _channels(tensors), granularity)
    rows = released.rows(kind, f"nets.{net}.")
    if frames == "vgg16_d1":
        rows += encoders.vgg16("frames.")
    elif name == "STA":
        stages = [r"features0\.4", r"features0\.5", "features1", "features2"]
        rows += encoders.resnet(r"features0\.0", r"features0\.1", stages, "frames.")
    else:
        rows += encoders.resnet_children("features", 3 if name == "S" else 4, "frames.")
    if hears:
        rows += encoders.vggsound_children("audio_model", "sound.")
    network = NetworkConfig(frames, sound, size, HOP, nets={net: (entry, config)})
    told = "" if granularity == "short" else f", {granularity} company"
    title = f"{name} ({'December 2021' if generation else '2022'}{told})"
    return Family(title, rows, released.UNUSED[kind], net, network)


def _granularity(net: str) -> Granularity:
    """Of the company, by the net's name: the tensors are the same."""
    return next((word for word in net.split("_") if word in ("long", "cross")), "short")


def _channels(tensors: Mapping[str, np.ndarray]) -> int:
    """Channels of the net: most of its three projections say so, for one may be missing or broken; 28 where none does."""
    shapes = [np.shape(tensors.get(f"extra_proj{letter}.weight")) for letter in "fgh"]
    widths = Counter(shape[1] for shape in shapes if len(shape) == 4 and 1 < shape[1] < 4096)
    return int(widths.most_common(1)[0][0]) if widths else ReleasedConfig.channels


def _encoder(tensors: Mapping[str, np.ndarray]) -> Family:
    if "audnet.avgpool.centroids" in tensors:
        name = "vggsound_309" if "audnet.fc_.weight" in tensors else "vggsound"
        return Family("VGGSound ResNet-18 with NetVLAD", encoders.vggsound(), (), part="sound", encoder=name)
    if "conv1_1/kernel" in tensors:
        return Family("VGG-16", encoders.vgg16_hwio(), (), part="frames", encoder="vgg16")
    if "features.28.weight" in tensors:
        return Family("VGG-16", encoders.vgg16(), (r"classifier\..*",), part="frames", encoder="vgg16")
    if "layer3.5.conv3.weight" in tensors:
        name = "resnext101_32x8d" if "layer3.22.conv3.weight" in tensors else "resnet50"
        classifier = "_imagenet" if "fc.weight" in tensors else ""
        title = "ResNeXt-101 32x8d" if name.startswith("resnext") else "ResNet-50"
        return Family(title, encoders.torchvision_resnet(), (), part="frames", encoder=name + classifier)
    found = f"{len(tensors)} tensors, {listed(sorted(tensors))}"
    raise ConvertError(f"no net known to stajax has these {found}; docs/convert.md lists those it knows")
