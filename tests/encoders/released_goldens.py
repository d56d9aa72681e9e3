"""The released goldens of the backbones: their weights and inputs, nets filled with them, and the pass rule."""

import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor
from stajax.encoders.params import check_fit

FOLDER = Path(__file__).parents[1] / "goldens" / "nets"


def _load_detw():
    spec = importlib.util.spec_from_file_location("released_detw", Path(__file__).parents[1] / "parity" / "detw.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


detw = _load_detw()


def state_dict(spec):
    """The deterministic state dict of the net that `spec` names."""
    return detw.weights(json.loads((FOLDER / "state_dict_spec" / f"{spec}.json").read_text())["tensors"])


def without_numbers(name, **options):
    """(graphdef, shapes) of the encoder `name`."""
    make = constructor(name, {**FRAME_ENCODERS, **SOUND_ENCODERS})
    graphdef, state = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0), **options)))
    return graphdef, nnx.to_pure_dict(state)


def filled(name, tree, **options):
    """The encoder `name` with the parameters `tree`; one too many or too few is an error."""
    graphdef, shapes = without_numbers(name, **options)
    return nnx.merge(graphdef, check_fit(tree, shapes, name))


def level_shapes(name, size, batch=2):
    """What the encoder `name` announces of its levels, {stride: channels}, and the shapes of those it gives."""
    graphdef, shapes = without_numbers(name, size=size)
    views = jax.ShapeDtypeStruct((batch, size, size, 3), jnp.uint8)
    levels = jax.eval_shape(lambda variables, v: nnx.merge(graphdef, variables)(v), shapes, views)
    net = nnx.merge(graphdef, shapes)
    assert net.size == size
    return dict(zip(net.strides, net.channels, strict=True)), {key: value.shape for key, value in levels.items()}


def nested(named):
    """{"a.b": x} -> {"a": {"b": x}}"""
    tree = {}
    for path, value in named:
        *parents, leaf = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = jnp.asarray(value)
    return tree


NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}


def from_torch(state, rename):
    """PyTorch's tensors under our names and layouts; `rename` gives our name of a module from PyTorch's."""
    named = []
    for key, value in state.items():
        module, leaf = key.rsplit(".", 1)
        if leaf == "num_batches_tracked":
            continue
        if f"{module}.running_mean" in state:
            leaf = NORM[leaf]
        elif leaf == "weight":
            leaf, value = "kernel", value.transpose(2, 3, 1, 0) if value.ndim == 4 else value.T
        named.append((f"{rename(module)}.{leaf}", value))
    return nested(named)


def assert_taps(golden, arrays):
    """Every tap of `golden` in `arrays` (NHWC, by the tap's name) within 50 err32 + 2e-6 absmax."""
    index, stored = json.loads((FOLDER / f"{golden}.json").read_text()), np.load(FOLDER / f"{golden}.npz")
    assert index["taps"]
    for tap in index["taps"]:
        ours = np.asarray(arrays[tap["name"]])
        ours = ours.transpose(0, 3, 1, 2) if ours.ndim == 4 else ours
        assert list(ours.shape) == tap["shape"], tap["name"]
        tolerance = 50 * tap["err32"] + 2e-6 * tap["absmax"]
        sample, expected = ours.reshape(-1)[:: tap["stride"]], stored[tap["key"]]
        np.testing.assert_allclose(sample, expected, rtol=0, atol=tolerance, err_msg=tap["name"])
