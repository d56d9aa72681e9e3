"""The authors' nets, in both generations (`stajax.models.released`). Each function gives the rows of one net, without encoders.

UNUSED lists what their checkpoints carry and their forward passes never touch.
"""

from __future__ import annotations

import numpy as np

from stajax.convert.table import Row
from stajax.convert.tables.layers import conv, conv3d, linear, norm, transposed_conv

UNUSED: dict[str, tuple[str, ...]] = {
    "S": (),
    "SA": (r"extra_audio_d\..*", r"Aup\..*", r"extra_convs\..*"),
    "SA 2021": (),
    "ST": (),
    "S+": (r"extra_conv_stfusion\..*",),
    "SA+": (r"extra_audio_d\..*", r"extra_bilinear\..*", r"extra_refineSA\..*"),
    "SA+ 2021": (),
    "ST+": (r"extra_ConvGRU\..*",),
    "STA": (r"extra_audio_d\..*", r"extra_gate\..*", r"extra_refineSA\..*", r"extra_conv_stafusion\..*"),
    "STA 2021": (r"extra_ConvGRU\..*", r"extra_bilinear\..*"),
    "STA+": (r"extra_audio_d\..*", r"extra_bilinear\..*", r"extra_refineSA\..*"),
    "STA+ 2021": (),
    "switch": (),
}


def rows(net: str, target: str) -> tuple[Row, ...]:
    """The rows of `net`, a key of UNUSED, into the variables under `target`, such as ``nets.sta.``."""
    return tuple(Row(row.source, target + row.target, row.transform) for row in _NETS[net])


def _attention(gate: str = "extra_gate", target: str = "gate") -> tuple[Row, ...]:
    return (
        *conv("extra_proj([fgh])", r"attention.\1"),
        *conv(gate, target),
    )


def _gru(target: str = "gru") -> tuple[Row, ...]:
    return conv(r"extra_ConvGRU\.(update|reset|out)_gate", rf"{target}.\1")


def _head(source: str = "extra_convs") -> tuple[Row, ...]:
    convs = [row for i in range(3) for row in conv(rf"{source}\.{2 * i}", f"head.convs.{i}")]
    return (*convs, *conv(rf"{source}\.6", "head.classifier"))


def _reasoning(*, gru: bool = True) -> tuple[Row, ...]:
    pair = (*conv("extra_proja", "reasoning.attention.exemplar"), *conv("extra_projb", "reasoning.attention.query"))
    return (*pair, *conv("extra_conv_fusion", "reasoning.fusion"), *(_gru("reasoning.gru") if gru else ()))


_REFINE_ST = conv3d(r"extra_refineST\.(\d)", r"refine.convs.\1")
_AV_FUSION = (
    *conv("extra_convv", "sound.conv"),
    *linear("extra_lineara", "sound.sound"),
    *linear("extra_linearv", "sound.picture"),
    *conv(r"extra_gateav\.0", "sound.gate.0"),
    *conv(r"extra_gateav\.2", "sound.gate.1"),
)


def _deconvolved(layers: tuple[int, int, int]) -> tuple[Row, ...]:
    aup = [row for i, layer in enumerate(layers) for row in transposed_conv(rf"Aup\.{layer}", f"sound.layers.{i}")]
    return (*linear("extra_audio_d", "sound.linear"), *aup, *conv(r"extra_convs\.(\d)", r"sound.one_channel.convs.\1"))


def _over_positions(x: np.ndarray) -> np.ndarray:
    """PyTorch's Bilinear (out, in, 1) with a scalar second input -> the kernel (in, out) of a linear layer."""
    return x[:, :, 0].transpose(1, 0)


_BILINEAR = (
    *linear("extra_audio_d", "sound.linear"),
    Row(r"extra_bilinear\.weight", "sound.bilinear.kernel", _over_positions),
    Row(r"extra_bilinear\.bias", "sound.bilinear.bias"),
    *conv(r"extra_refineSA\.(\d)", r"sound.one_channel.convs.\1"),
)
_FUSED_GRU = (*conv("extra_conv_fusion", "fusion"), *_gru())
_STA_PLUS = (
    *_head(),
    *_REFINE_ST,
    *conv("extra_conv_stafusion", "fusion"),
    *_reasoning(),
    *conv("extra_conv1", "readout"),
    *norm("extra_bn1", "norm"),
    *conv("extra_main_classifier1", "classifier"),
)

_NETS: dict[str, tuple[Row, ...]] = {
    "S": (*conv("extra_convs", "classifier"), *_attention(), *_FUSED_GRU),
    "SA": (*_head("extra_video_d"), *_attention(), *_AV_FUSION, *_FUSED_GRU),
    "SA 2021": (*_head("extra_video_d"), *_attention(), *_deconvolved((0, 2, 4)), *_FUSED_GRU),
    "ST": (*_head(), *_attention(), *_REFINE_ST, *_FUSED_GRU),
    "S+": (*_head(), *_attention(), *_reasoning()),
    "SA+": (*_head(), *_attention(), *_AV_FUSION, *conv("extra_conv_safusion", "fusion"), *_reasoning()),
    "SA+ 2021": (*_head(), *_attention(), *_BILINEAR, *conv("extra_conv_safusion", "fusion"), *_reasoning()),
    "ST+": (*_head(), *_attention(), *_REFINE_ST, *conv("extra_conv_stfusion", "fusion"), *_reasoning(gru=False)),
    "STA": (
        *conv("extra_convsd([01])", r"reduce.\1"),
        *conv("extra_convs", "reduce.2"),
        *_attention("extra_gates"),
        *_AV_FUSION,
        *_REFINE_ST,
        *_FUSED_GRU,
        *conv(r"extra_refine([01])\.0", r"refine\1"),
        *conv("extra_out([01])", r"out\1"),
    ),
    "STA 2021": (
        *conv("extra_video_d([012])", r"reduce.\1"),
        *_attention(),
        *_deconvolved((0, 1, 2)),
        *conv3d("extra_refineST", "refine"),
        *conv("extra_conv_fusion", "fusion"),
        *conv("extra_refine([432])", r"refine\1"),
        *conv("extra_predict([432])", r"predict\1"),
    ),
    "STA+": (*_attention("extra_gates", "self_gate"), *conv("extra_gate", "gate"), *_AV_FUSION, *_STA_PLUS),
    "STA+ 2021": (*_attention(), *_BILINEAR, *_STA_PLUS),
    "switch": (
        *linear("layerA_d", "sound"),
        *linear("layerV_d", "picture"),
        Row(r"extra_bilinear\.(weight)", "bilinear.kernel"),
        Row(r"extra_bilinear\.bias", "bilinear.bias"),
        *linear("fc", "classifier"),
    ),
}
