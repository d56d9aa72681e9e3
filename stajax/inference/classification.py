"""Class maps of a classification net over a clip, as the authors' test scripts export them: where the net sees the tag."""

from __future__ import annotations

import os
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stajax.data.tags import find
from stajax.inference.engine import Engine
from stajax.inference.predict import stream_clip, stream_of
from stajax.inference.source import VideoSource
from stajax.media import probe
from stajax.models import folder


class ClassMaps(NamedTuple):
    """Maps of one class, frame by frame."""

    maps: np.ndarray  # (T, h, w) float32 in [0, 1], at the size of the net's maps
    valid: np.ndarray  # (T,) bool: the net takes the frame for this class; the release leaves the other frames out
    confidence: np.ndarray  # (T,) float32 in (0, 1), softmax of the frame's likeliest class
    predicted: np.ndarray  # (T,) int32, number of that class
    time: np.ndarray  # (T,) float64 seconds


def class_maps(name_or_path: str | os.PathLike, clip: str | os.PathLike, tag: str | int, *, batch: int = 8) -> ClassMaps:
    """The maps of the class `tag` that a classification net (S, SA, ST, S+, SA+, ST+) makes of a clip.

    A map is ReLU of the net's class map (of an authors' net, of the mean of those before and after fusion), at the tag's
    channel, over its maximum + 1e-8; the release then rounds it to 8 bits and enlarges it to 220x220: `stajax.cam`. Each frame
    is encoded once; company is that which the net's config names, of the authors' nets by default the release's short one.

    Args:
        name_or_path: a model folder with one classification net, as `stajax convert` makes it of S.pth and so on.
        tag: name or alias of one of the model's classes, or its number.

    Raises:
        WeightsError: no such model. MediaError: the clip cannot be used. ValueError: the model has no classification net, or
        does not know the tag.
    """
    model = folder.read(name_or_path)
    nets = model.structure.module.nets
    names = [name for name, net in nets.items() if net.predicts == "classes"]
    if len(names) != 1:
        raise ValueError(f"{model.path}: {len(names)} classification nets in this model; one is needed")
    (name,) = names
    index = find(tag, model.classes, what="this model", count=classes_of(nets[name]))

    def output(predictions: dict, aux: dict, index: jax.Array) -> dict[str, jax.Array]:
        probabilities = jax.nn.softmax(predictions[name][:, 0], axis=-1)
        maps = jax.nn.relu(target_maps(aux[name])[..., index])
        predicted = probabilities.argmax(-1)
        return {
            "maps": maps / (maps.max((1, 2), keepdims=True) + 1e-8),
            "valid": predicted == index,
            "confidence": probabilities.max(-1),
            "predicted": predicted.astype(jnp.int32),
        }

    engine = Engine([(model.structure, model.variables)], batch=batch, nets=names, output=output)
    source = VideoSource(probe(clip))
    stream = stream_of(engine, source, context=np.int32(index))
    shown = [(frame.time, frame.map) for frame in stream_clip(stream, source)]
    found = jax.tree.map(lambda *parts: np.stack(parts), *(values for _, values in shown))
    return ClassMaps(**found, time=np.array([time for time, _ in shown]))


def classes_of(net) -> int:
    """How many classes a classification net tells apart."""
    return getattr(net.config, "classes", None) or net.config.channels  # the released nets' channels are their classes


def target_maps(aux: dict[str, jax.Array]) -> jax.Array:
    """The class maps (B, h, w, classes) of the target, from a classification net's aux: what a CAM is a channel of.

    Of an authors' net it is the mean of those before and after fusion or reasoning, as their scripts take it.
    """
    return aux["class_maps"][:, 0] if "class_maps" in aux else (aux["map_1"] + aux["map_2"]) / 2
