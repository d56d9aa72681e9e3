"""Blocks of the authors' nets alone: deterministic weights, through the converter's tables, against the authors' own blocks."""

from __future__ import annotations

import re
from dataclasses import replace
from types import SimpleNamespace

import detw
import jax
import numpy as np
from flax import nnx
from part_inputs import part_inputs

from stajax.convert.families import recognise
from stajax.convert.table import Row, apply_table
from stajax.convert.tables.layers import conv
from stajax.models.frl import fixation_refine
from stajax.models.network import NETS
from stajax.models.released.reasoning import ConvGRU, Reasoning
from stajax.models.released.temporal import scrambled_stack

# What a net asks of its encoders when it is built. The encoders themselves are not needed, and take long to build.
FRAMES = {
    "vgg16_d1": SimpleNamespace(size=256, strides=(8,), channels=(512,)),
    "resnext101_32x8d": SimpleNamespace(size=256, strides=(8, 16, 32), channels=(512, 1024, 2048)),
}
SOUND = SimpleNamespace(features=8192)


def covers(name: str) -> bool:
    return name in ("ConvGRUCell", "FRL", "attention_blocks")


def test_the_block_equals_the_authors_code(golden):
    taps = {"ConvGRUCell": _conv_gru, "FRL": _frl, "attention_blocks": _attention_blocks}[golden.name]
    inputs = {name: _nhwc(x) for name, x in part_inputs(golden).items()}
    with jax.default_matmul_precision("highest"):
        golden.check(taps(golden, inputs))


def _conv_gru(golden, inputs: dict) -> dict:
    channels = inputs["gru_in"].shape[-1]
    weights = detw.weights(golden.spec("ConvGRUCell28"), golden.index["salt"])
    graphdef, shapes = _split(nnx.eval_shape(lambda: ConvGRU(channels, rngs=nnx.Rngs(0))))
    variables, _ = apply_table(weights, conv("(update|reset|out)_gate", r"\1"), shapes)
    gru = nnx.merge(graphdef, variables)
    return {"out": _nchw(gru(inputs["gru_in"], inputs["gru_prev"])), "out_none": _nchw(gru(inputs["gru_in"]))}


def _frl(golden, inputs: dict) -> dict:
    found = {}
    for case, params in golden.index["params"].items():
        x, rate = inputs[f"frl_{case}"], params["refine_rate"]
        result = np.asarray(fixation_refine(x, rate=rate, threshold=params["refine_thresh"]))
        # The attention is not returned: it is what the result, (x attention + x) / 2, has of x along x.
        attention = (x * (2 * result - x)).sum(-1) / np.square(x).sum(-1)
        open_attention = 1 / (1 + np.exp(-x.mean(-1)))
        low = attention < (1 + rate) / 2 * open_attention
        assert low.sum((1, 2)).tolist() == params["mask_ones"], f"case {case}: positions with low responses, per item"
        found[f"out_{case}"] = _nchw(result)
    return found


def _attention_blocks(golden, inputs: dict) -> dict:
    found = {**_pairs_and_rounds(golden, inputs), **_stacks(golden, inputs)}
    for tap in golden.taps:
        if match := re.fullmatch(r"AVfusion_(\w+)", tap):
            found[tap] = _av_fusion(golden, match[1], inputs)
        elif match := re.fullmatch(r"my_fcn_(\d+)", tap):
            found[tap] = _readout(golden, inputs, int(match[1]))
    return found


def _pairs_and_rounds(golden, inputs: dict) -> dict:
    net = _with_parts(golden, "Splus", "attention", "gate", "reasoning")
    without = Reasoning(net.config.channels, gru=False, rngs=nnx.Rngs(0))
    without.attention, without.fusion = net.reasoning.attention, net.reasoning.fusion

    @jax.jit
    def blocks(*nodes):
        exemplar, query, _ = nodes
        found = {
            "generate_attention(exemplar,query)": net.reasoning.attention(exemplar, query, net.gate)[0],
            "generate_attention(query,exemplar)": net.reasoning.attention(query, exemplar, net.gate)[0],
            "self_attention(exemplar)": net.attention(exemplar, net.gate)[0],
        }
        for kind, reasoning in (("gru", net.reasoning), ("nogru", without)):
            states = reasoning(nodes, net.gate)[1]["FRL"]  # of every round and node, one after the other
            for index in range(states.shape[1]):
                round_, node = divmod(index, len(nodes))
                found[f"reason_{kind}_round{round_}_{('TA', 'MG1', 'MG2')[node]}"] = states[:, index]
        return found

    found = blocks(*(inputs[name] for name in ("ga_exemplar", "ga_query", "ga_query1")))
    return {name: _nchw(array) for name, array in found.items()}


def _stacks(golden, inputs: dict) -> dict:
    found = {}
    for tap in golden.taps:
        if not tap.startswith("incat_view_"):
            continue
        net = tap.removeprefix("incat_view_")
        stack = scrambled_stack(*(inputs[f"st_{net}_{k}"] for k in range(3)))
        view = np.asarray(stack).transpose(0, 4, 1, 2, 3)
        sample = view.reshape(-1)[:: golden.taps[tap]["stride"]]
        np.testing.assert_array_equal(sample, golden.samples(golden.taps[tap]), err_msg=tap)  # nothing is computed
        refined = jax.jit(_with_parts(golden, net, "refine").refine.__call__)(stack)
        found |= {tap: view, f"refineST_{net}": _nchw(refined)[:, :, None]}  # theirs keeps the axis of time
    return found


def _av_fusion(golden, net: str, inputs: dict) -> np.ndarray:
    sound = inputs[f"av_audio_{net}"]
    sound = sound / np.linalg.norm(sound, axis=-1, keepdims=True)
    fusion = _with_parts(golden, net, "sound").sound
    mask = jax.jit(lambda fusion, v, a: fusion(fusion.see(v), a)[0])(fusion, np.maximum(inputs[f"av_visual_{net}"], 0), sound)
    return _nchw(mask)


def _readout(golden, inputs: dict, size: int) -> np.ndarray:
    """STA+'s map of a node whose state is `ga_exemplar` and whose features are `ga_query`."""
    net = _with_parts(golden, "STAplus", "readout", "norm", "classifier")
    net.output_size = (size, size)
    maps = jax.jit(lambda state, x: net._read_out(state, x)["maps"])(inputs["ga_exemplar"], inputs["ga_query"])
    return np.asarray(maps)[:, None]


def _with_parts(golden, spec: str, *parts: str) -> nnx.Module:
    """The authors' net of `spec`, of which `parts` are filled; the rest, up to 370 million numbers, stays empty."""
    shapes = {entry["name"]: tuple(entry["shape"]) for entry in golden.spec(spec)}
    family = recognise({name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()})
    prefix = f"nets.{family.net}."
    rows = [_without(prefix, row) for row in family.rows if row.target.startswith(tuple(f"{prefix}{part}." for part in parts))]
    sources = re.compile("|".join(f"(?:{row.source})" for row in rows))
    tensors = {
        name: detw.tensor_for(name, shape, shapes, golden.index["salt"])
        for name, shape in shapes.items()
        if sources.fullmatch(name)
    }
    kind, config = family.network.nets[family.net]
    frames = FRAMES[family.network.frames]
    graphdef, empty = _split(nnx.eval_shape(lambda: NETS[kind][0](config, frames, SOUND, rngs=nnx.Rngs(0))))
    filled, _ = apply_table(tensors, rows, {part: empty[part] for part in parts})
    return nnx.merge(graphdef, {**empty, **filled})


def _without(prefix: str, row: Row) -> Row:
    return replace(row, target=row.target.removeprefix(prefix))


def _split(module: nnx.Module) -> tuple[nnx.GraphDef, dict]:
    graphdef, state = nnx.split(module)
    return graphdef, nnx.to_pure_dict(state)


def _nhwc(x: np.ndarray) -> np.ndarray:
    return x.transpose(0, 2, 3, 1) if x.ndim == 4 else x


def _nchw(x) -> np.ndarray:
    return np.asarray(x).transpose(0, 3, 1, 2)
