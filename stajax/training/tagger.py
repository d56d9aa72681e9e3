"""YAMNet as the off-the-shelf sound tagger that makes the audio switch's labels (section 3.3, where it is VGGSound's)."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import jax
import numpy as np
from flax import nnx

from stajax.data.heard import HOP, THRESHOLD, columns, count_hops, heard, read_heard, write_heard
from stajax.data.records import Clip, Records
from stajax.encoders.params import WEIGHTS, check_fit, read_params
from stajax.encoders.yamnet import YAMNet
from stajax.media import cut_windows

BATCH = 32  # windows a call: 0.2 s apart, over 6 s of sound
_SAVED_EVERY = 64  # clips between two writings of the file


@cache
def sound_names() -> tuple[str, ...]:
    """AudioSet's display names of YAMNet's 521 classes."""
    return tuple(json.loads((WEIGHTS / "encoders" / "yamnet_classes.json").read_text()))


def sound_scores(waveform: np.ndarray, count: int) -> np.ndarray:
    """YAMNet's scores of the windows around 0, 0.2, 0.4, ... s.

    Args:
        waveform: (S,) float32 in [-1, 1] at 16 kHz; silence beyond its ends.
        count: of windows, A.

    Returns:
        (A, 521) float32 in (0, 1).
    """
    classify, variables = _yamnet()
    windows = cut_windows(waveform, HOP * np.arange(count), YAMNet.window)
    whole = np.pad(windows, ((0, -count % BATCH), (0, 0)))  # batches of one size: one compilation
    scores = [classify(variables, whole[i : i + BATCH]) for i in range(0, len(whole), BATCH)]
    return np.concatenate([np.zeros((0, len(sound_names())), np.float32), *scores])[:count]


def heard_in(clip: Clip, sounds: list[tuple[int, ...]], threshold: float = THRESHOLD) -> np.ndarray:
    """(A,) int32 for a clip: which class is heard in each hop, -1 throughout where it has no sound. sounds: see `columns`."""
    count = count_hops(clip.times[-1] if len(clip.times) else 0.0)
    if not len(clip.sound):
        return np.full(count, -1, np.int32)
    return heard(sound_scores(clip.waveform(), count), sounds, clip.tags, threshold=threshold)


def tag_records(
    records: Records,
    folder: str | os.PathLike | None = None,
    *,
    threshold: float = THRESHOLD,
    report: Callable[[int, int], None] = lambda done, count: None,
) -> dict[str, np.ndarray]:
    """What is heard in every clip of a set of records, kept in its `heard.npz`.

    Clips that the file has already, made with the same classes and threshold, are not heard again; a killed run loses 64 clips
    at most. Damaged records are left out, see `Records.get`.

    Args:
        folder: of the file; by default the records' own.
        report: called with the number of clips done and of all.

    Returns:
        {clip: (A,) int32}.

    Raises:
        DataError: the file is there and cannot be read. OutputError: it cannot be written.
    """
    folder = records.shards[0].parent if folder is None else Path(folder)
    sounds = columns(records.classes, sound_names())
    made_of = hashlib.sha256(json.dumps([sounds, threshold, HOP]).encode()).hexdigest()[:16]
    found = read_heard(folder, made_of=made_of)
    todo = [i for i, entry in enumerate(records.entries) if entry.name not in found]
    for done, index in enumerate(todo, 1):
        clip = records.get(index)
        if clip is not None:
            found[clip.name] = heard_in(clip, sounds, threshold)
        if done % _SAVED_EVERY == 0:
            write_heard(folder, found, made_of=made_of)
        report(len(records) - len(todo) + done, len(records))
    if todo or not found:
        write_heard(folder, found, made_of=made_of)
    return found


@cache
def _yamnet() -> tuple[Callable, dict]:
    """(compiled windows -> scores, its variables)."""
    graph, shapes = nnx.split(nnx.eval_shape(lambda: YAMNet(rngs=nnx.Rngs(0))))
    variables = check_fit(read_params(WEIGHTS / "encoders" / "yamnet.npz"), nnx.to_pure_dict(shapes), "yamnet")

    @jax.jit
    def classify(variables: dict, windows: jax.Array) -> jax.Array:
        net = nnx.merge(graph, variables)
        return jax.nn.sigmoid(net.classify(net(windows)))

    return classify, variables
