"""Features of frozen encoders, made once for all frames and sound windows, so that training skips the encoders."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence

import jax
import numpy as np

from stajax.data.feature_cache import FeatureCache
from stajax.data.heard import HOP, count_hops
from stajax.data.jpeg import decode_jpeg
from stajax.data.records import Clip, Records
from stajax.encoders.params import flatten
from stajax.media import cut_windows, squash
from stajax.models.network import Network, Structure

_BATCH = 16


def make_cache(
    folder: str | os.PathLike,
    records: Records,
    structure: Structure,
    variables: dict,
    *,
    levels: Sequence[str] | None = None,
    process: int = 0,
    processes: int = 1,
    report: Callable[[int, int, str], None] = lambda done, count, name: None,
) -> FeatureCache:
    """Encode the clips that the cache does not hold yet; a killed run goes on where it stopped.

    Args:
        levels: of the frame encoder to keep, such as ("stride32",); by default all that it has.
        process, processes: each process encodes its share of the clips.
        report: told (clips done, clips, name).

    Raises:
        DataError: the folder holds features made with other encoders, weights or levels.
    """
    encoders = {part: variables[part] for part in ("frames", "sound") if part in variables}
    levels = sorted(levels or (f"stride{stride}" for stride in structure.module.frames.strides))
    config = structure.config
    made_with = {"frames": config.frames, "size": config.size, "levels": levels, "frame_weights": _digest(encoders["frames"])}
    if "sound" in encoders:
        made_with |= {"sound": config.sound, "sound_weights": _digest(encoders["sound"])}
    cache = FeatureCache.create(folder, made_with)
    nothing = jax.tree.map(
        lambda x: np.zeros(x.shape, x.dtype), {k: v for k, v in structure.shapes.items() if k not in encoders}
    )
    numbers = jax.device_put({**nothing, **encoders})

    @jax.jit
    def see(numbers, views):
        found = jax.lax.map(lambda x: structure.apply(numbers, lambda network, v: network.frames(v), x[None]), views)
        return {name: found[name][:, 0] for name in levels}

    hear = jax.jit(lambda numbers, windows: structure.apply(numbers, Network.encode_audio, windows))
    own = range(process, len(records), processes)
    for done, index in enumerate(own, 1):
        name = records.entries[index].name
        clip = None if name in cache else records.get(index)
        if clip is not None:
            seen = _in_batches(
                lambda views: see(numbers, views), [_view(clip, t, config.size) for t in range(len(clip.frames))]
            )
            heard = None
            if "sound" in encoders:
                count = count_hops(clip.times[-1]) if len(clip.times) else 1
                windows = cut_windows(clip.waveform(), HOP * np.arange(count), structure.module.sound.window)
                heard = _in_batches(lambda windows: hear(numbers, windows), list(windows))
            cache.write(name, seen, heard)
        report(done, len(own), name)
    return FeatureCache(folder)


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
