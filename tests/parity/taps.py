"""Where each tap of the authors' nets is among the values of ours.

A tap ``module@i`` is the output of a module of theirs at its i-th call. Ours come from one pass: `stages` of the encoders and
what the net's `heads` made, both with a row for each view, and the net's `aux`, with a row for each fragment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RESNET = {3: "maxpool", 4: "layer1", 5: "layer2", 6: "layer3", 7: "layer4"}
VGG = {4: "pool1", 9: "pool2", 16: "pool3", 23: "pool4"}
SHARED = {"extra_projf": "projf", "extra_projg": "projg", "extra_projh": "projh", "self_attention": "self_attention"}
AV = {
    "extra_convv": "convv",
    "extra_lineara": "lineara",
    "extra_linearv": "linearv",
    "extra_gateav": "gateav",
    "AVfusion": "AVfusion",
}
ROUNDS = {
    "generate_attention": "generate_attention",
    "extra_conv_fusion": "round_fusion",
    "extra_ConvGRU": "round_gru",
    "extra_FRL": "FRL",
}
READOUT = {"extra_conv1": "readout", "extra_bn1": "readout_norm", "extra_main_classifier1": "classifier"}


@dataclass(frozen=True)
class Net:
    """How to call one of the authors' nets, and where its taps are.

    frames: the images of each node's three frames (t-1, t, t+1), by their number. sounds: the sound of each node, or of each of
    its frames. encoder: module names of the frame encoder's stages. own: of the frame's heads: theirs -> ours, at call i for
    image `of_call[i]`. rest: of aux: theirs -> ours, where calls lie along axis 1 if `stacked`. rounds: whether it reasons.
    outputs: theirs -> function of prediction and aux.
    """

    frames: list
    sounds: list | None
    encoder: dict[str, str]
    own: dict[str, str]
    rest: dict[str, str]
    outputs: dict[str, Callable]
    of_call: tuple[int, ...] = tuple(range(9))
    rounds: bool = False
    stacked: bool = True
    audio: str = "audio_model"


def _resnet(prefix: str = "features", last: int = 7) -> dict[str, str]:
    named = {f"{prefix}.{i}": stage for i, stage in RESNET.items() if i <= last}
    return {**named, prefix: RESNET[last]}


_VGG = {**{f"features.{i}": stage for i, stage in VGG.items()}, "features": "conv5_3"}
_STA_RESNET = {
    **{f"features0.{i}": RESNET[i] for i in (3, 4, 5)},
    "features0": "layer2",
    "features1": "layer3",
    "features2": "layer4",
}


def _logits_and_maps(count: int) -> dict[str, Callable]:
    """Of S+ and SA+: per node the logits before and after, then the maps of node 0."""
    outputs = {}
    for node in range(count):
        outputs[f"x{node + 1}ss"] = lambda p, aux, n=node: aux["logits_x"][:, n]
        outputs[f"x{node + 1}sss"] = lambda p, aux, n=node: aux["logits_h"][:, n]
    return {**outputs, "map_1": lambda p, aux: aux["map_1"], "map_all_1": lambda p, aux: aux["map_2"]}


def _nine_logits() -> dict[str, Callable]:
    """Of ST+ and STA+: x<group>_<frame>ss, and x<group>_1sss after the reasoning."""
    outputs = {}
    for g in range(3):
        for k in range(3):
            outputs[f"x{g}_{k}ss"] = lambda p, aux, g=g, k=k: aux["logits_x"][:, g, k]
        outputs[f"x{g}_1sss"] = lambda p, aux, g=g: aux["logits_h"][:, g]
    return outputs


def _two_heads() -> dict[str, Callable]:
    return {name: lambda p, aux, name=name: aux[name] for name in ("logits_1", "logits_2", "map_1", "map_2")}


_GROUPS = [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
_ALONE = [[0] * 3, [1] * 3, [2] * 3]
_GATE = {**SHARED, "extra_gate": "self_gate"}
_2021 = {"extra_audio_d": "audio_d", "extra_bilinear": "bilinear", "extra_refineSA": "one_channel"}
_ST_OUT = {
    **{f"x{i + 1}ss": lambda p, aux, i=i: aux["logits_x"][:, i] for i in range(3)},
    **{f"x{i + 1}sss": lambda p, aux, i=i: aux["logits_y"][:, i] for i in range(3)},
    "map_1": lambda p, aux: aux["map_1"],
    "map_all_1": lambda p, aux: aux["map_2"],
}
_STA_OUT = {f"out{i}_{s}": lambda p, aux, i=i, s=s: aux["outputs"][:, i, 1 - s] for i in range(3) for s in range(2)}
_STA_2021_OUT = {f"p{i}{s}": lambda p, aux, i=i, s=s: aux["outputs"][:, i, 4 - s] for i in range(3) for s in (4, 3, 2)}
_STAPLUS_OUT = {**_nine_logits(), **{f"map_sal{g}": lambda p, aux, g=g: aux["maps"][:, g] for g in range(3)}}
_COMPANY = {"extra_convs": "x"}
_MIDDLE = (1, 4, 7)

NETS: dict[str, Net] = {
    "S": Net(
        [[0] * 3],
        None,
        _resnet(last=6),
        {**_GATE, "extra_convs": "x", "extra_conv_fusion": "fusion", "extra_ConvGRU": "gru"},
        {},
        _two_heads(),
    ),
    "SA": Net(
        [[0] * 3],
        [0],
        _resnet(),
        {**_GATE, "extra_video_d": "x"},
        {**AV, "extra_conv_fusion": "fusion", "extra_ConvGRU": "gru"},
        _two_heads(),
        stacked=False,
    ),
    "SA_2021": Net(
        [[0] * 3],
        [0],
        _resnet(),
        {**_GATE, "extra_video_d": "x"},
        {
            "extra_audio_d": "audio_d",
            "Aup": "Aup",
            "extra_convs": "one_channel",
            "extra_conv_fusion": "fusion",
            "extra_ConvGRU": "gru",
        },
        _two_heads(),
        stacked=False,
    ),
    "ST": Net(
        [[1, 0, 2]],
        None,
        _resnet(),
        {**_GATE, "extra_convs": "x"},
        {"extra_refineST": "refineST", "extra_conv_fusion": "fusion", "extra_ConvGRU": "gru"},
        _ST_OUT,
    ),
    "Splus": Net(_ALONE, None, _VGG, {**_GATE, **_COMPANY}, {}, _logits_and_maps(3), rounds=True),
    "SAplus": Net(
        _ALONE,
        [0, 1, 2],
        _VGG,
        {**_GATE, **_COMPANY},
        {**AV, "extra_conv_safusion": "fusion"},
        _logits_and_maps(3),
        rounds=True,
    ),
    "SAplus_2021": Net(
        _ALONE,
        [0, 1, 2],
        _VGG,
        {**_GATE, **_COMPANY},
        {**_2021, "extra_conv_safusion": "fusion"},
        _logits_and_maps(3),
        rounds=True,
    ),
    "STplus": Net(
        _GROUPS,
        None,
        _VGG,
        {**_GATE, **_COMPANY},
        {"extra_refineST": "refineST", "extra_conv_stfusion": "fusion"},
        {**_nine_logits(), "map_0_1": lambda p, aux: aux["map_1"], "map_all_0_1": lambda p, aux: aux["map_2"]},
        of_call=_MIDDLE,
        rounds=True,
    ),
    "STA": Net(
        [[1, 0, 2]],
        [[1, 0, 2]],
        _STA_RESNET,
        {**SHARED, "extra_gates": "self_gate", "extra_convsd0": "s0", "extra_convsd1": "s1", "extra_convs": "x"},
        {
            **AV,
            "extra_refineST": "refineST",
            "extra_conv_fusion": "fusion",
            "extra_ConvGRU": "gru",
            **{f"extra_{name}": name for name in ("refine1", "refine0", "out1", "out0")},
        },
        _STA_OUT,
    ),
    "STA_2021": Net(
        [[1, 0, 2]],
        [[1, 0, 2]],
        _STA_RESNET,
        {**_GATE, "extra_video_d0": "s0", "extra_video_d1": "s1", "extra_video_d2": "x"},
        {
            "extra_audio_d": "audio_d",
            "Aup": "Aup",
            "extra_convs": "one_channel",
            "extra_refineST": "refineST",
            "extra_conv_fusion": "fusion",
            **{f"extra_{name}{scale}": f"{name}{scale}" for name in ("refine", "predict") for scale in (4, 3, 2)},
        },
        _STA_2021_OUT,
    ),
    "STAplus": Net(
        _GROUPS,
        [0, 1, 2],
        _VGG,
        {**SHARED, "extra_gates": "self_gate", **_COMPANY},
        {**AV, **READOUT, "extra_gate": "pair_gate", "extra_refineST": "refineST", "extra_conv_stafusion": "fusion"},
        _STAPLUS_OUT,
        of_call=_MIDDLE,
        rounds=True,
    ),
    "STAplus_2021": Net(
        _GROUPS,
        [0, 1, 2],
        _VGG,
        {**_GATE, **_COMPANY},
        {**_2021, **READOUT, "extra_refineST": "refineST", "extra_conv_stafusion": "fusion"},
        _STAPLUS_OUT,
        of_call=_MIDDLE,
        rounds=True,
    ),
    "att_Model": Net(
        [[0] * 3],
        [0],
        _resnet("layerV"),
        {"layerV": "pooled", "layerV_d": "picture"},
        {"layerA_d": "sound", "extra_bilinear": "bilinear", "fc": "logits"},
        {"switch": lambda p, aux: p, "logits": lambda p, aux: aux["logits"]},
        audio="layerA",
        stacked=False,
    ),
}
ONCE_A_FRAME = {
    "extra_convs",
    "extra_convsd0",
    "extra_convsd1",
    "extra_video_d",
    "extra_video_d0",
    "extra_video_d1",
    "extra_video_d2",
}


def in_torch_layout(array: np.ndarray, shape: list[int]) -> np.ndarray:
    """Channels last -> first, then the golden's shape, if the number of values is the same."""
    array = np.moveaxis(array, -1, 1) if array.ndim == 4 else array
    return array.reshape(shape) if array.size == np.prod(shape, dtype=int) else array


def find(name: str, net: Net, batch: int, values: dict) -> np.ndarray | None:
    """The value of tap `name`, still channels last; None if this net has no such tap.

    values: "frames" and "sounds", stages of the encoders; "heads"; "aux"; "prediction".
    """
    if name.startswith("OUT:"):
        function = net.outputs.get(name.removeprefix("OUT:"))
        return None if function is None else function(values["prediction"], values["aux"])
    module, call = name.rsplit("@", 1)
    call = int(call)

    def of_view(array: np.ndarray, view: int) -> np.ndarray:
        return array[view * batch : (view + 1) * batch]

    if module in net.own:
        view = call if module in ONCE_A_FRAME else net.of_call[call]
        return of_view(values["heads"][net.own[module]], view)
    if module in net.encoder:
        return of_view(values["frames"][net.encoder[module]], call)
    if module == net.audio or module.startswith(f"{net.audio}."):
        child = module.removeprefix(net.audio).lstrip(".")
        return of_view(values["sounds"]["netvlad" if not child else RESNET[int(child)]], call)
    if module in net.rest:
        array = values["aux"][net.rest[module]]
        return array[:, call] if net.stacked else array
    if net.rounds and module in ROUNDS:
        return values["aux"][ROUNDS[module]][:1, call]  # theirs loops over the batch; the taps are of its first item
    return None
