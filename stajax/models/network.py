"""A network: encoders and the nets that read them, as three calls (encode frames, encode sound, predict).

Nets that share an encoder share its pass, and what a net makes of each frame by itself (`heads`) is made in that pass too.
Networks are used functionally: `Structure` is one without its numbers, made without computing anything; its `initialise` gives
random variables, its `apply` calls a method on plain nested dicts of arrays.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
from flax import nnx

from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor
from stajax.models.classifiers import Classifier, ClassifierConfig, CompanyClassifier, CompanyClassifierConfig
from stajax.models.fixation import STA, STAConfig, STAPlus, STAPlusConfig
from stajax.models.fragments import Fragments
from stajax.models.released import classifiers, company, sta, staplus
from stajax.models.released.base import ReleasedConfig
from stajax.models.released.switch import ReleasedSwitch, ReleasedSwitchConfig
from stajax.models.switch import AudioSwitch, SwitchConfig

# kind in config.json -> (class, its config class)
NETS: dict[str, tuple[type, type]] = {
    "classifier": (Classifier, ClassifierConfig),
    "classifier+": (CompanyClassifier, CompanyClassifierConfig),
    "STA": (STA, STAConfig),
    "STA+": (STAPlus, STAPlusConfig),
    "released.S": (classifiers.S, ReleasedConfig),
    "released.SA": (classifiers.SA, ReleasedConfig),
    "released.ST": (classifiers.ST, ReleasedConfig),
    "released.S+": (company.SPlus, ReleasedConfig),
    "released.SA+": (company.SAPlus, ReleasedConfig),
    "released.ST+": (company.STPlus, ReleasedConfig),
    "released.STA": (sta.STA, ReleasedConfig),
    "released.STA2021": (sta.STA2021, ReleasedConfig),
    "released.STA+": (staplus.STAPlus, ReleasedConfig),
}
SWITCHES: dict[str, tuple[type, type]] = {
    "AudioSwitch": (AudioSwitch, SwitchConfig),
    "released": (ReleasedSwitch, ReleasedSwitchConfig),
}


@dataclass(frozen=True)
class NetworkConfig:
    """What `config.json` holds of the structure. Frozen, plain values only.

    frames, sound: names in `encoders`; sound None is a network that never listens. size: side of the views in pixels. hop:
    seconds between sound windows, which frames share. nets: name -> (kind, config). switch: config of a trained audio switch,
    None for φ = 1 wherever there is sound. A network without nets is a switch that others use.
    """

    frames: str = "efficientnet_lite0"
    sound: str | None = "yamnet"
    size: int = 256
    hop: float = 0.2
    nets: Mapping[str, tuple[str, Any]] = field(default_factory=lambda: {"sta": ("STA", STAConfig.lite())})
    switch: SwitchConfig | ReleasedSwitchConfig | None = None

    def __post_init__(self):
        if not (isinstance(self.size, int) and self.size > 0):
            raise ValueError(f"size {self.size!r}; the views' side is a positive whole number of pixels")
        if not (isinstance(self.hop, int | float) and 0 < self.hop < math.inf):
            raise ValueError(f"hop {self.hop!r}; sound windows lie a positive number of seconds apart")

    def to_json(self) -> dict:
        nets = {name: {"kind": kind, **dataclasses.asdict(config)} for name, (kind, config) in self.nets.items()}
        switch = None
        if self.switch is not None:
            kind = next(kind for kind, (_, config) in SWITCHES.items() if isinstance(self.switch, config))
            switch = {"kind": kind, **dataclasses.asdict(self.switch)}
        return {**{k: getattr(self, k) for k in ("frames", "sound", "size", "hop")}, "nets": nets, "switch": switch}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """Inverse of `to_json`. Raises ValueError, one line, for a kind or field that this version does not know."""
        values = dict(values)
        if not values.get("nets") and not values.get("switch"):
            raise ValueError("a network without nets predicts nothing; name at least one under 'nets'")
        nets = {name: _of_kind(entry, NETS, f"net {name!r}") for name, entry in values.pop("nets").items()}
        if "switch" in nets:
            raise ValueError("a net cannot be called 'switch'; that is the audio switch's name")
        switch = values.pop("switch", None)
        if switch is not None:
            _, switch = _of_kind({"kind": "AudioSwitch", **switch}, SWITCHES, "the switch")
        return _plain(cls, {**values, "nets": nets, "switch": switch})


def _of_kind(entry: Mapping[str, Any], kinds: Mapping[str, tuple[type, type]], what: str) -> tuple[str, Any]:
    """kind and config of an entry in config.json."""
    entry = dict(entry)
    kind = entry.pop("kind", None)
    if kind not in kinds:
        raise ValueError(f"{what} is of the unknown kind {kind!r}; known: {', '.join(kinds)}")
    return kind, _plain(kinds[kind][1], entry)


def _plain(cls: type, values: Mapping[str, Any]):
    """A config of `cls` from JSON: lists become tuples, unknown fields are an error."""
    known = {f.name for f in dataclasses.fields(cls)}
    if unknown := sorted(set(values) - known):
        raise ValueError(f"{cls.__name__} has no field {', '.join(unknown)}; written by a newer version?")
    return cls(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


class Network(nnx.Module):
    """Encoders, nets by name, and optionally a trained audio switch."""

    def __init__(self, config: NetworkConfig, *, rngs: nnx.Rngs):
        self.config = config
        self.frames = constructor(config.frames, FRAME_ENCODERS)(size=config.size, rngs=rngs)
        self.sound = constructor(config.sound, SOUND_ENCODERS)(rngs=rngs) if config.sound else None
        self.nets = nnx.Dict(
            {name: NETS[kind][0](net, self.frames, self.sound, rngs=rngs) for name, (kind, net) in config.nets.items()}
        )
        switch = next((net for net, kind in SWITCHES.values() if isinstance(config.switch, kind)), None)
        self.switch = switch(config.switch, self.frames, self.sound, rngs=rngs) if switch else None

    def encode_frames(self, views: jax.Array) -> dict[str, jax.Array]:
        """`views` (F, size, size, 3) uint8 RGB -> features, F rows each: the encoder's levels that nets read, ``stride8`` and
        so on (F, h, w, C), and what nets made of each frame, ``NET.x``. Each distinct view comes here once.
        """
        return self.read_levels(self.frames(views))

    def read_levels(self, levels: dict[str, jax.Array]) -> dict[str, jax.Array]:
        """The features of `encode_frames` from the encoder's levels."""
        readers = {**self.nets, **({"switch": self.switch} if self.switch is not None else {})}
        kept = {name: levels[name] for reader in readers.values() for name in reader.levels}
        for name, reader in readers.items():
            heads, _ = reader.heads(levels)
            kept |= {f"{name}.{key}": value for key, value in heads.items()}
        return kept

    def encode_audio(self, windows: jax.Array) -> jax.Array:
        """`windows` (A, window) float32 at 16 kHz -> (A, D)."""
        return self.sound(windows)

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Mapping[str, Fragments]
    ) -> tuple[dict[str, jax.Array], dict[str, dict]]:
        """The prediction, such as logits (B, nodes, H, W), and aux of every net in `fragments`, with the φ that it heeded."""
        predictions, aux = {}, {}
        for name, net_fragments in fragments.items():
            own = self._switched(features, audio, net_fragments)
            predictions[name], found = self.nets[name](_own(features, name), audio, own)
            aux[name] = {**found, "phi": own.switch}
        return predictions, aux

    def nodes(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Mapping[str, Fragments]
    ) -> dict[str, jax.Array]:
        """Node states before reasoning, (B, nodes, h, w, C), of the nets named in `fragments`: the rows of their banks."""
        return {
            name: self.nets[name].nodes(_own(features, name), audio, self._switched(features, audio, own))
            for name, own in fragments.items()
        }

    def _switched(self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Fragments) -> Fragments:
        """With the φ of the network's own audio switch, if it has one."""
        if self.switch is None or audio is None:
            return fragments
        phi = self.decide(features, audio, fragments)
        return dataclasses.replace(fragments, switch=fragments.switch * phi)

    def decide(self, features: dict[str, jax.Array], audio: jax.Array, fragments: Fragments) -> jax.Array:
        """φ (B, nodes) of the network's audio switch: 1 where the sound belongs to the picture, else 0."""
        return self.decision(features, audio, fragments)[0]

    def decision(self, features: dict[str, jax.Array], audio: jax.Array, fragments: Fragments) -> tuple[jax.Array, dict]:
        """As `decide`, with the switch's aux: its logits and maps."""
        return self.switch(_own(features, "switch"), audio, fragments)


def _own(features: Mapping[str, jax.Array], name: str) -> dict[str, jax.Array]:
    """The encoder's levels and what the reader `name` made of each frame, by its own names for it."""
    prefix = f"{name}."
    return {key.removeprefix(prefix): x for key, x in features.items() if "." not in key or key.startswith(prefix)}


def jit_draws(function: Callable) -> Callable:
    """`function`, which draws random variables, compiled without much ado: XLA's CPU backend optimises draws for 15 seconds."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None)


_CPU_GROUP = 2  # views at once inside a call on CPU: a pair's activations stay in its cache, 16 views' do not


class Structure:
    """A network without its numbers. `variables` everywhere below is a nested dict of arrays of the form of `shapes`.

    statistics: the part of `shapes` that no gradient changes, running means and variances of batch norms.
    """

    def __init__(self, config: NetworkConfig):
        self.config = config
        self.module = nnx.eval_shape(lambda: Network(config, rngs=nnx.Rngs(0)))
        self.graphdef, state = nnx.split(self.module)
        self.shapes: dict = nnx.to_pure_dict(state)
        self.statistics: dict = nnx.to_pure_dict(nnx.state(self.module, nnx.Not(nnx.Param)))

    def initialise(self, seed: int, *, encoders: bool = True) -> dict:
        """Random variables; the same seed gives the same ones. encoders: False leaves theirs out."""
        make = self._make_all if encoders else self._make_own
        return make(jax.random.key(seed))

    @cached_property
    def _make_all(self) -> Callable:
        return jit_draws(lambda key: nnx.to_pure_dict(nnx.state(Network(self.config, rngs=nnx.Rngs(key)))))

    @cached_property
    def _make_own(self) -> Callable:
        def make(key):
            variables = nnx.to_pure_dict(nnx.state(Network(self.config, rngs=nnx.Rngs(key))))
            return {part: x for part, x in variables.items() if part not in ("frames", "sound")}

        return jit_draws(make)

    def apply(self, variables: dict, method: Callable, *args):
        """`method`, such as ``Network.encode_frames``, on the network with `variables`. Pure: jit it outside."""
        return method(nnx.merge(self.graphdef, variables), *args)

    def apply_training(self, variables: dict, method: Callable, *args):
        """As `apply`, but batch norms use the batch and move their statistics: -> (result, the new `statistics`). Pure."""
        network = nnx.merge(self.graphdef, variables)
        network.train()
        result = method(network, *args)
        return result, nnx.to_pure_dict(nnx.state(network, nnx.Not(nnx.Param)))

    def encode_frames(self, variables: dict, views: jax.Array, *, together: bool = False) -> dict[str, jax.Array]:
        """``Network.encode_frames`` of a batch of views; on CPU a few at a time, which is faster there (`_CPU_GROUP`).

        together: all at once there too, as a batch that lies on several devices needs.
        """
        batch = len(views)
        if together or jax.default_backend() != "cpu":
            return self.apply(variables, Network.encode_frames, views)
        group = _CPU_GROUP if batch % _CPU_GROUP == 0 else 1
        groups = views.reshape(batch // group, group, *views.shape[1:])
        levels = jax.lax.map(lambda x: self.apply(variables, Network.encode_frames, x), groups)
        return jax.tree.map(lambda x: x.reshape(batch, *x.shape[2:]), levels)
