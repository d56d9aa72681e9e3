"""Features of frozen encoders, made once for all frames and sound windows, so that training skips the encoders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable

import jax
import numpy as np
from ml_collections import ConfigDict

from stajax.data.feature_cache import Caches, FeatureCache
from stajax.data.heard import HOP, count_hops
from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Clip, Records
from stajax.encoders.params import flatten
from stajax.media import cut_windows, squash
from stajax.models.network import Network, NetworkConfig, Structure
from stajax.training.config import ConfigError
from stajax.training.data import all_sets, folders
from stajax.training.log import Log
from stajax.training.variables import encoder_variables

_BATCH = 16


def make_cache(
    folder: str | os.PathLike,
    records: Records,
    model: ConfigDict,
    *,
    process: int = 0,
    processes: int = 1,
    report: Callable[[int, int, str], None] = lambda done, count, name: None,
) -> FeatureCache:
    """Encode the clips that the cache does not hold yet; a killed run goes on where it stopped.

    Args:
        model: the encoders, `config.model` of a stage; all stages with the same ones may share a cache.
        process, processes: each process encodes its share of the clips.
        report: told (clips done, clips to do, name).

    Raises:
        DataError: the folder holds features made with other encoders or weights. WeightsError: no weights.
    """
    structure = Structure(NetworkConfig(frames=model.frames, sound=model.sound or None, size=model.size, nets={}))
    encoders = {part: encoder_variables(model, part, structure.shapes[part]) for part in ("frames", "sound") if model[part]}
    made_with = {"size": model.size}
    for part, variables in encoders.items():
        made_with |= {part: model[part], f"{part}_weights": _digest(variables)}
    cache = FeatureCache.create(folder, made_with)
    numbers = jax.device_put(encoders)

    @jax.jit
    def see(numbers, views):
        found = jax.lax.map(lambda x: structure.apply(numbers, lambda network, x: network.frames(x), x[None]), views)
        return {name: x[:, 0] for name, x in found.items()}

    hear = jax.jit(lambda numbers, windows: structure.apply(numbers, Network.encode_audio, windows))
    names = [entry.name for entry in records.entries]
    todo = [index for index in range(process, len(records), processes) if names[index] not in cache]
    for done, index in enumerate(todo, 1):
        clip = records.get(index)
        if clip is not None:
            seen = _in_batches(lambda views: see(numbers, views), [_view(clip, t, model.size) for t in range(len(clip.frames))])
            heard = None
            if "sound" in encoders:
                count = count_hops(clip.times[-1]) if len(clip.times) else 1
                windows = cut_windows(clip.waveform(), HOP * np.arange(count), structure.module.sound.window)
                heard = _in_batches(lambda windows: hear(numbers, windows), list(windows))
            cache.write(names[index], seen, heard)
        report(done, len(todo), names[index])
    return FeatureCache(folder)


def make_caches(config: ConfigDict, share: dict, log: Log) -> Caches:
    """The caches of a stage: of each of its sets of records the folder in the same place of `config.cache`."""
    sets, places = all_sets(config), folders(config.cache)
    if len(places) != len(sets):
        raise ConfigError(f"cache={config.cache}: a folder is needed for each of {len(sets)} sets of records")

    def report(done: int, count: int, name: str) -> None:
        if done % -(-count // 10) == 0:
            log.say(f"features of {done} of {count} clips")

    options = {"report": report, **share}
    return Caches([make_cache(at, Records(of), config.model, **options) for of, at in zip(sets, places, strict=True)])


def cached_levels(structure: Structure) -> tuple[str, ...]:
    """The levels that the stage's nets gather."""
    module = structure.module
    readers = [*module.nets.values(), *([module.switch] if module.switch is not None else [])]
    return tuple(sorted({name for reader in readers for name in reader.levels}))


def _view(clip: Clip, t: int, size: int) -> np.ndarray:
    return squash(decode_jpeg(clip.frames[t]), size)


def _in_batches(encode: Callable, items: list[np.ndarray]):
    """`encode` of batches of one size, as float16 arrays of all items."""
    parts = []
    for start in range(0, len(items), _BATCH):
        chunk = np.stack(items[start : start + _BATCH])
        padded = np.concatenate([chunk, np.repeat(chunk[-1:], _BATCH - len(chunk), axis=0)])
        found = encode(padded)
        parts.append(jax.tree.map(lambda x: np.asarray(x, np.float16)[: len(chunk)], found))  # noqa: B023 (used at once)
    return jax.tree.map(lambda *x: np.concatenate(x), *parts)


def _digest(tree: dict) -> str:
    digest = hashlib.sha256()
    for key, array in sorted(flatten(tree).items()):
        digest.update(key.encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
