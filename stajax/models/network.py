"""A network: encoders and the nets that read them, as three calls (encode frames, encode sound, predict).

Nets that share an encoder share its pass. Networks are used functionally: `Structure` is one without its numbers, made without
computing anything; its `initialise` gives random variables, its `apply` calls a method on plain nested dicts of arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
from flax import nnx

from stajax.encoders import FRAME_ENCODERS, SOUND_ENCODERS, constructor
from stajax.models.fixation import STA, STAConfig
from stajax.models.fragments import Fragments
from stajax.models.switch import AudioSwitch, SwitchConfig

# kind of net in config.json -> (class, its config class)
NETS: dict[str, tuple[type, type]] = {"STA": (STA, STAConfig)}


@dataclass(frozen=True)
class NetworkConfig:
    """What `config.json` holds of the structure. Frozen, plain values only.

    frames, sound: names in `encoders`. size: side of the views in pixels. hop: seconds between sound windows, which frames
    share. nets: name -> (kind, config). switch: config of a trained audio switch, None for φ = 1 wherever there is sound.
    """

    frames: str = "efficientnet_lite0"
    sound: str = "yamnet"
    size: int = 256
    hop: float = 0.2
    nets: Mapping[str, tuple[str, Any]] = field(default_factory=lambda: {"sta": ("STA", STAConfig.lite())})
    switch: SwitchConfig | None = None

    def to_json(self) -> dict:
        nets = {name: {"kind": kind, **dataclasses.asdict(config)} for name, (kind, config) in self.nets.items()}
        switch = None if self.switch is None else dataclasses.asdict(self.switch)
        return {**{k: getattr(self, k) for k in ("frames", "sound", "size", "hop")}, "nets": nets, "switch": switch}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> NetworkConfig:
        """Inverse of `to_json`. Raises ValueError, one line, for a kind or field that this version does not know."""
        values, nets = dict(values), {}
        if not values.get("nets"):
            raise ValueError("a network without nets predicts nothing; name at least one under 'nets'")
        for name, entry in values.pop("nets").items():
            entry = dict(entry)
            kind = entry.pop("kind", None)
            if kind not in NETS:
                raise ValueError(f"net {name!r} is of the unknown kind {kind!r}; known: {', '.join(NETS)}")
            nets[name] = (kind, _plain(NETS[kind][1], entry))
        switch = values.pop("switch", None)
        return _plain(cls, {**values, "nets": nets, "switch": None if switch is None else _plain(SwitchConfig, switch)})


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
        self.sound = constructor(config.sound, SOUND_ENCODERS)(rngs=rngs)
        self.nets = nnx.Dict(
            {name: NETS[kind][0](net, self.frames, self.sound, rngs=rngs) for name, (kind, net) in config.nets.items()}
        )
        self.switch = AudioSwitch(config.switch, self.frames, self.sound, rngs=rngs) if config.switch else None

    def encode_frames(self, views: jax.Array) -> dict[str, jax.Array]:
        """`views` (F, size, size, 3) uint8 RGB -> levels (F, h, w, C). Each distinct view comes here once."""
        return self.frames(views)

    def encode_audio(self, windows: jax.Array) -> jax.Array:
        """`windows` (A, window) float32 at 16 kHz -> (A, D)."""
        return self.sound(windows)

    def __call__(
        self, features: dict[str, jax.Array], audio: jax.Array | None, fragments: Mapping[str, Fragments]
    ) -> tuple[dict[str, jax.Array], dict[str, dict]]:
        """Logits (B, nodes, H, W) and aux of every net named in `fragments`."""
        logits, aux = {}, {}
        for name, net_fragments in fragments.items():
            if self.switch is not None and audio is not None:
                phi, _ = self.switch(features, audio, net_fragments)
                net_fragments = dataclasses.replace(net_fragments, switch=net_fragments.switch * phi)
            logits[name], aux[name] = self.nets[name](features, audio, net_fragments)
        return logits, aux


_CPU_GROUP = 2  # views at once inside a call on CPU: a pair's activations stay in its cache, 16 views' do not


class Structure:
    """A network without its numbers. `variables` everywhere below is a nested dict of arrays of the form of `shapes`."""

    def __init__(self, config: NetworkConfig):
        self.config = config
        self.module = nnx.eval_shape(lambda: Network(config, rngs=nnx.Rngs(0)))
        self.graphdef, state = nnx.split(self.module)
        self.shapes: dict = nnx.to_pure_dict(state)
        self._make = jax.jit(lambda key: nnx.to_pure_dict(nnx.state(Network(config, rngs=nnx.Rngs(key)))))

    def initialise(self, seed: int) -> dict:
        """Random variables; the same seed gives the same ones."""
        return self._make(jax.random.key(seed))

    def apply(self, variables: dict, method: Callable, *args):
        """`method`, such as ``Network.encode_frames``, on the network with `variables`. Pure: jit it outside."""
        return method(nnx.merge(self.graphdef, variables), *args)

    def encode_frames(self, variables: dict, views: jax.Array) -> dict[str, jax.Array]:
        """``Network.encode_frames`` of a batch of views; on CPU a few at a time, which is faster there (`_CPU_GROUP`)."""
        batch = len(views)
        group = batch if jax.default_backend() != "cpu" else _CPU_GROUP if batch % _CPU_GROUP == 0 else 1
        groups = views.reshape(batch // group, group, *views.shape[1:])
        levels = jax.lax.map(lambda x: self.apply(variables, Network.encode_frames, x), groups)
        return jax.tree.map(lambda x: x.reshape(batch, *x.shape[2:]), levels)
