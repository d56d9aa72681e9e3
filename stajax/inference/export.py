"""A model as one file that JAX runs without stajax or Flax: `export` writes a ``.stajax`` artefact, `load` reads one.

The file is a zip of ``manifest.json``, which says what goes in and comes out, and for each function NAME its StableHLO as
`jax.export` serialises it, ``NAME.export``, and its weights, ``NAME.npz``. There are several, so that an encoder still sees
each frame and each sound window once:

    features = encode_frames(weights, views)                  views {size: (f, size, size, 3) uint8}
    audio    = encode_audio(weights, windows)                 windows {samples: (a, samples) float32}
    maps     = predict(weights, features, audio, fragments)   (b, h, w) float32 in [0, 1]

and of a model with nets whose company lies elsewhere (section 4.2) one more, whose rows make their banks:

    nodes    = nodes(weights, features, audio, fragments)     {net: (b, h, w, C)}
    maps     = predict(weights, features, audio, fragments, banks)       banks {net: (k, h, w, C)}

f, a, b and k are symbolic: any number of at least 1. What comes out of the encoders is a dict, NETWORK/NAME -> (f, ...) and
NETWORK -> (a, D); `predict` takes it as it is. docs/export.md reads an artefact with JAX and NumPy alone.
"""

from __future__ import annotations

import copy
import io
import json
import os
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.export  # `import jax` alone does not bring it
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stajax.encoders.params import WeightsError, flatten
from stajax.inference.engine import Engine
from stajax.layers.conv import Implementation
from stajax.media import SAMPLE_RATE, SILENCE
from stajax.media.atomic import replacing, writing
from stajax.models import folder
from stajax.models.fragments import Fragments
from stajax.models.network import Network, Structure

FORMAT = 1
SUFFIX = ".stajax"
PLATFORMS = ("cpu", "cuda", "tpu")

Weights = Mapping[str, jax.Array]  # NETWORK/PATH -> array
Spec = Any  # arrays, or shapes and dtypes of arrays, in nested dicts

_MEANING = {
    "views": "RGB, 0 to 255: each distinct frame once, its aspect ignored, at each size in pixels",
    "windows": "mono sound in [-1, 1] at sample_rate, each distinct window once, at each length in samples",
    "features": "what encode_frames gave, NETWORK/NAME",
    "audio": "what encode_audio gave, by network; of windows of zeros where there is no sound; empty if it does not hear",
    "fragments": "for each net and prediction: rows of features, rows of audio, and the audio switch, 0 without sound; "
    "company, of a net with a bank: rows of it",
    "nodes": "node states of the targets, of each net with a bank: rows for its bank",
    "banks": "for each net with a bank: what nodes gave of moments elsewhere",
    "maps": "fixation maps in [0, 1], of all nets fused",
}


class Exported(NamedTuple):
    """What `export` wrote."""

    path: Path
    size: int  # bytes
    functions: dict[str, int]  # name -> bytes of StableHLO
    platforms: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Artefact:
    """An artefact as read: `manifest` and its functions, compiled at the first call with new sizes, weights put in already."""

    manifest: dict
    encode_frames: Callable[[dict], dict]
    encode_audio: Callable[[dict], dict] | None  # None: the model does not hear
    predict: Callable[..., jax.Array]  # of features, audio, fragments, and banks if there is `nodes`
    nodes: Callable[[dict, dict, dict], dict] | None = None  # None: no net wants a bank


def export(
    name_or_path: str | os.PathLike,
    path: str | os.PathLike,
    *,
    nets: str | Sequence[str] | None = None,
    fusion: str = "paper",
    platforms: str | Sequence[str] = PLATFORMS,
    precision: str = "highest",
) -> Exported:
    """Write a model to `path`, which must end in ``.stajax``, whole or not at all.

    Args:
        name_or_path, nets, fusion: as for `stajax.load`.
        platforms: that the artefact is to run on; none of them needs to be there now.
        precision: of matrix products and convolutions; the default keeps float32 on accelerators.

    Raises:
        WeightsError: no such model. ValueError: no fixation net, an unknown net, fusion or platform, another suffix.
        OutputError: the file cannot be written.
    """
    path, platforms = Path(path), (platforms,) if isinstance(platforms, str) else tuple(platforms)
    if path.suffix != SUFFIX:
        raise ValueError(f"{path}: an artefact's name ends in {SUFFIX}; try {path.with_suffix(SUFFIX).name}")
    unknown = sorted(set(platforms) - set(PLATFORMS))
    if unknown or not platforms:
        raise ValueError(f"unknown platforms {', '.join(unknown) or '(none given)'}; known: {', '.join(PLATFORMS)}")
    members = folder.members(name_or_path)
    engine = Engine([(m.structure, m.variables) for m in members], batch=1, nets=nets, fusion=fusion, precision=precision)
    with replacing(path) as part:
        functions = _functions(engine, platforms, precision)
        manifest = {**_heading(name_or_path, engine, precision, functions), **_contents(functions)}
        with writing(path), zipfile.ZipFile(part, "w") as archive:
            archive.writestr("manifest.json", json.dumps(manifest, indent=2) + "\n")
            for name, function in functions.items():
                archive.writestr(f"{name}.export", function.stablehlo)
                with archive.open(f"{name}.npz", "w", force_zip64=True) as file:
                    np.savez_compressed(file, **{key: _smallest(value) for key, value in function.weights.items()})
    sizes = {name: len(function.stablehlo) for name, function in functions.items()}
    return Exported(path, path.stat().st_size, sizes, platforms)


def load(path: str | os.PathLike) -> Artefact:
    """Read an artefact from a source you trust: JAX does not check what its functions do.

    Raises WeightsError, one line, for a file that is no artefact or that this version of JAX cannot read.
    """
    manifest: dict = {}
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
            if manifest["format"] != FORMAT:
                raise WeightsError(
                    f"{path}: artefact format {manifest['format']}; this version of stajax reads format {FORMAT}"
                )
            functions = {name: _read(archive, name) for name in manifest["functions"]}
    except (WeightsError, ImportError):
        raise
    except FileNotFoundError:
        raise WeightsError(f"{path}: no such file") from None
    except Exception as error:  # damaged bytes raise a dozen types
        wrote = f", written by jax {manifest['jax']}, this is {jax.__version__}" if "jax" in manifest else ""
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(f"{path}: not a readable artefact{wrote} ({reason}); export it again") from None
    encode_audio, nodes = functions.get("encode_audio"), functions.get("nodes")
    return Artefact(manifest, functions["encode_frames"], encode_audio, functions["predict"], nodes)


def _read(archive: zipfile.ZipFile, name: str) -> Callable:
    call = jax.jit(jax.export.deserialize(bytearray(archive.read(f"{name}.export"))).call)
    with np.load(io.BytesIO(archive.read(f"{name}.npz")), allow_pickle=False) as arrays:
        weights = {key: arrays[key].astype(np.float32) for key in arrays.files}
    return partial(call, jax.device_put(weights))


class _Function(NamedTuple):
    stablehlo: bytes
    weights: dict[str, np.ndarray]  # those that it reads
    exported: jax.export.Exported
    arguments: dict[str, Spec]
    result: tuple[str, Spec]


def _functions(engine: Engine, platforms: Sequence[str], precision: str) -> dict[str, _Function]:
    """The functions, exported and serialised: no `encode_audio` if the model does not hear, no `nodes` without banks."""
    names = [_label(structure) for structure in engine.structures]
    variables = zip(names, engine.variables, strict=True)
    weights = {f"{name}/{key}": np.asarray(x) for name, own in variables for key, x in flatten(own).items()}

    def exported(function: Callable, result: str, **arguments: Spec) -> _Function:
        exact = jax.jit(jax.default_matmul_precision(precision)(function))
        own = _read_by(exact, weights, *arguments.values())
        made = jax.export.export(exact, platforms=platforms)(_shapes(own), *arguments.values())
        return _Function(
            bytes(made.serialize()), own, made, arguments, (result, jax.tree.unflatten(made.out_tree, made.out_avals))
        )

    f, a, b, k = jax.export.symbolic_shape("f, a, b, k")
    array = jax.ShapeDtypeStruct
    views = {str(size): array((f, size, size, 3), jnp.uint8) for size in engine.sizes}
    functions = {"encode_frames": exported(_rows(engine, names, _encode_frame), "features", views=views)}
    audio: Spec = {}
    if engine.listens:
        windows = {str(window): array((a, window), jnp.float32) for window in engine.windows}
        functions["encode_audio"] = exported(_rows(engine, names, _encode_window), "audio", windows=windows)
        audio = functions["encode_audio"].result[1]
    fragments = {
        net: {
            "frames": array((b, len(span.nodes), 3), jnp.int32),
            "audio": array((b, len(span.nodes)), jnp.int32),
            "switch": array((b, len(span.nodes)), jnp.float32),
        }
        for net, span in engine.spans.items()
    }
    seen = {"features": functions["encode_frames"].result[1], "audio": audio}
    banks: Spec = {}
    if engine.banked:
        targets = {net: fragments[net] for net in engine.banked}
        functions["nodes"] = exported(_nodes(engine, names), "nodes", **seen, fragments=targets)
        nodes = functions["nodes"].result[1]
        banks = {"banks": {net: array((k, *x.shape[1:]), x.dtype) for net, x in nodes.items()}}
        fragments |= {net: {**fragments[net], "company": array((b, n), jnp.int32)} for net, n in engine.banked.items()}
    functions["predict"] = exported(_predict(engine, names), "maps", **seen, fragments=fragments, **banks)
    return functions


def _label(structure: Structure) -> str:
    """A network's name in the artefact: its nets', which no other network has, or ``switch``, which no net may be called."""
    return "+".join(structure.config.nets) or "switch"


def _rows(engine: Engine, names: Sequence[str], encode: Callable) -> Callable[[Weights, Spec], Spec]:
    """An encoder of one frame or window as one of any number of them, made for each platform as it likes it.

    On CPU depthwise and grouped convolutions are taps and rows go one after another, so that activations stay in the cache;
    elsewhere they are native and all rows go at once. Both ways are in the artefact, whatever machine writes it.
    """

    def encoder(implementation: Implementation) -> Callable:
        structures = [_implemented(structure, implementation) for structure in engine.structures]

        def encode_row(weights: Weights, row: Spec) -> Spec:
            results = {}
            for name, structure in zip(names, structures, strict=True):
                results |= encode(name, structure, _variables(weights, structure.shapes, f"{name}/"), row)
            return results

        return encode_row

    taps, native = encoder("taps"), encoder("native")
    return lambda weights, rows: jax.lax.platform_dependent(
        weights,
        rows,
        cpu=lambda weights, rows: jax.lax.map(partial(taps, weights), rows),
        default=lambda weights, rows: jax.vmap(native, (None, 0))(weights, rows),
    )


def _encode_frame(name: str, structure: Structure, variables: dict, views: Spec) -> dict[str, jax.Array]:
    view = views[str(structure.config.size)]
    features = structure.apply(variables, Network.encode_frames, view[None])
    return {f"{name}/{key}": x[0] for key, x in features.items()}


def _encode_window(name: str, structure: Structure, variables: dict, windows: Spec) -> dict[str, jax.Array]:
    if structure.module.sound is None:
        return {}
    window = windows[str(structure.module.sound.window)]
    return {name: structure.apply(variables, Network.encode_audio, window[None])[0]}


def _predict(engine: Engine, names: Sequence[str]) -> Callable[..., jax.Array]:
    """`Engine.predict` of flat dicts."""

    def predict(weights: Weights, features: Spec, audio: Spec, fragments: Spec, banks: Spec | None = None) -> jax.Array:
        return engine._predict(*_unflat(engine, names, weights, features, audio, fragments), banks or {}, None)

    return predict


def _nodes(engine: Engine, names: Sequence[str]) -> Callable[..., dict[str, jax.Array]]:
    """`Engine.nodes` of flat dicts."""
    return lambda *flat: engine._nodes(*_unflat(engine, names, *flat))


def _unflat(engine: Engine, names: Sequence[str], weights: Weights, features: Spec, audio: Spec, fragments: Spec) -> tuple:
    """Variables, features and sound vectors of each network, and fragments of each net."""
    variables = [_variables(weights, s.shapes, f"{name}/") for name, s in zip(names, engine.structures, strict=True)]
    seen = [{key.removeprefix(f"{n}/"): x for key, x in features.items() if key.startswith(f"{n}/")} for n in names]
    heard = [audio.get(name) for name in names]
    rows = {net: Fragments(**own, valid=jnp.ones(own["switch"].shape, bool)) for net, own in fragments.items()}
    return variables, seen, heard, rows


def _implemented(structure: Structure, implementation: Implementation) -> Structure:
    """A structure whose depthwise and grouped convolutions are made that way, whatever ``auto`` means on this machine."""
    module = nnx.merge(structure.graphdef, structure.shapes)
    for _, part in nnx.iter_modules(module):
        if hasattr(part, "implementation"):
            part.implementation = implementation
    decided = copy.copy(structure)
    decided.graphdef = nnx.split(module)[0]
    return decided


def _variables(weights: Weights, shapes: dict, prefix: str) -> dict:
    """Nested variables of the form of `shapes` from flat weights; what a function does not read is zeros."""
    variables = {}
    for key, leaf in shapes.items():
        name = f"{prefix}{key}"
        if isinstance(leaf, dict):
            variables[key] = _variables(weights, leaf, f"{name}.")
        else:
            variables[key] = weights[name] if name in weights else jnp.zeros(leaf.shape, leaf.dtype)
    return variables


def _read_by(function: Callable, weights: Mapping[str, np.ndarray], *arguments: Spec) -> dict[str, np.ndarray]:
    """The weights that a function reads, sorted as JAX sorts dicts. `jax.export` tells them only where all sizes are known."""

    def known(x) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct([n if isinstance(n, int) else 1 for n in x.shape], x.dtype)

    made = jax.export.export(function)(_shapes(weights), *jax.tree.map(known, arguments))
    names = sorted(weights)
    return {names[index]: weights[names[index]] for index in made.module_kept_var_idx if index < len(names)}


def _shapes(weights: Mapping[str, np.ndarray]) -> dict[str, jax.ShapeDtypeStruct]:
    return {name: jax.ShapeDtypeStruct(x.shape, jnp.float32) for name, x in weights.items()}


def _smallest(x: np.ndarray) -> np.ndarray:
    """float16 where that holds the same numbers, as it does for weights that were stored so."""
    with np.errstate(over="ignore"):
        half = x.astype(np.float16)
    return half if np.array_equal(half, x) else x


def _heading(name_or_path, engine: Engine, precision: str, functions: Mapping[str, _Function]) -> dict:
    """What the manifest says of the model."""
    name, card = folder.name_and_card(name_or_path)
    network_of = {net: _label(structure) for structure in engine.structures for net in structure.config.nets}
    encoder = functions["encode_frames"].exported
    return {
        "format": FORMAT,
        "stajax": version("stajax"),
        "jax": jax.__version__,
        "calling_convention_version": encoder.calling_convention_version,
        "platforms": list(encoder.platforms),
        "precision": precision,
        "name": name,
        "nets": {
            net: {"network": network_of[net], "nodes": span.nodes, "company": engine.banked.get(net, 0)}
            for net, span in engine.spans.items()
        },
        "fusion": engine.fusion,
        "sizes": engine.sizes,
        "windows": engine.windows if engine.listens else [],
        "sample_rate": SAMPLE_RATE,
        "hop": engine.hop,
        "silence": SILENCE,
        "model_card": card,
    }


def _contents(functions: Mapping[str, _Function]) -> dict:
    """What the manifest says of the functions."""
    symbols = {"f": "distinct frames", "a": "distinct sound windows", "b": "predictions", "k": "moments in a bank"}
    described = {}
    for name, function in functions.items():
        result, arrays = function.result
        described[name] = {
            "arguments": {argument: _describe(argument, spec) for argument, spec in function.arguments.items()},
            "result": {result: _describe(result, arrays)},
        }
    return {"symbols": symbols, "functions": described}


def _describe(name: str, spec: Spec) -> dict:
    return {"meaning": _MEANING[name], "arrays": _arrays(spec)}


def _arrays(spec: Spec) -> dict:
    if isinstance(spec, dict):
        return {key: _arrays(value) for key, value in spec.items()}
    return {"shape": [n if isinstance(n, int) else str(n) for n in spec.shape], "dtype": str(spec.dtype)}
