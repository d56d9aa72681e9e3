"""The company of a target: which moments form the short-, long- and cross-term nodes beside it (section 4.2).

A moment is a frame's number in its clip; a node is the fragment around one. Every draw is a function of its arguments alone: a
candidate is ranked by a hash of (seed, clip, target, candidate), and the first n are taken. So the same call gives the same
company whatever was asked before, and for many targets at once what it gives for each.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

Source = Literal["s", "st", "sa", "sta"]
Granularity = Literal["none", "short", "long", "cross"]

NEIGHBOURS = 4  # frames to each side of a target that are its neighbours, 8 in all: long-term company lies outside
STRIDE = {"s": 1, "sa": 1, "st": 3, "sta": 3}  # a node of st and sta takes 3 frames, so that the 8 neighbours make 2 more
REACH = {"s": (0,), "sa": (0,), "st": (-1, 0, 1), "sta": (-1, 0, 1)}  # the frames of a node, from its moment

_FAR = np.uint64(1) << np.uint64(63)


class Cross(NamedTuple):
    """Company from other clips."""

    clips: np.ndarray  # (n,) int64, numbers of clips
    moments: np.ndarray  # (n,) int64, in those clips
    alone: bool  # no other clip has the tag: this is long-term company, from the target's own clip


class Partners:
    """Which other clips have a tag in common: `partners[clip]` is their numbers, (m,) int64, ascending.

    tags: of each clip, numbers of classes.
    """

    def __init__(self, tags: Sequence[Sequence[int]]):
        self.tags = [tuple(of_clip) for of_clip in tags]
        self.clips: dict[int, list[int]] = {}
        for clip, of_clip in enumerate(self.tags):
            for tag in of_clip:
                self.clips.setdefault(tag, []).append(clip)

    def __getitem__(self, clip: int) -> np.ndarray:
        sharing = {other for tag in self.tags[clip] for other in self.clips[tag]} - {clip}
        return np.array(sorted(sharing), np.int64)


def short_company(targets, n: int, source: Source, length: int) -> np.ndarray:
    """The nearest nodes: t-1, t+1, t-2, t+2.. for s and sa; t-3, t+3, t-6, t+6.. for st and sta, frame by frame disjoint.

    Args:
        targets: a moment, or (M,) moments.
        n: how many nodes.
        source: what the nodes are made of.
        length: frames of the clip.

    Returns:
        (n,) or (M, n) int64; what lies beyond an end of the clip is the frame at that end.
    """
    rank = np.arange(n)
    offsets = (rank // 2 + 1) * np.where(rank % 2, 1, -1) * STRIDE[source]
    return np.clip(np.asarray(targets, np.int64)[..., None] + offsets, 0, length - 1)


def long_company(targets, n: int, length: int, *, seed: int, clip: str | int = 0) -> np.ndarray:
    """Moments anywhere in the clip but not among the target's 8 neighbours: `draw_from_bank` of all its frames.

    Returns:
        (n,) or (M, n) int64, different from each other as far as the clip goes.
    """
    return draw_from_bank(np.arange(length), targets, n, seed=seed, clip=clip)


def draw_from_bank(bank_frames, targets, n: int, *, seed: int, clip: str | int = 0) -> np.ndarray:
    """Long-term company from a bank of moments: n of them at random, more than `NEIGHBOURS` frames from the target.

    Where fewer lie that far, the farthest of the others follow, and where the bank has fewer than n, it starts again.

    Args:
        bank_frames: (K,) the moments of the bank, in frames of the targets' clip.
        targets: a moment, or (M,) moments.
        n: how many nodes.
        seed: any whole number.
        clip: the clip's name or number.

    Returns:
        (n,) or (M, n) int64, rows of the bank.

    Raises:
        ValueError: the bank is empty.
    """
    bank, targets = np.asarray(bank_frames, np.int64), np.asarray(targets, np.int64)
    if not len(bank):
        raise ValueError("long-term company: the bank is empty; give at least one moment")
    distance = np.abs(bank - targets[..., None])
    rank = _hash(seed, clip, targets[..., None], np.arange(len(bank))) >> np.uint64(1)
    near = distance <= NEIGHBOURS
    # Those outside come first, by hash; then the others, the farthest first.
    rank[near] = _FAR + (NEIGHBOURS - distance[near]).astype(np.uint64)
    return _first(rank, n)


def draw_from_tag_bank(bank_clips: Sequence[str | int], targets, n: int, *, seed: int, clip: str | int) -> np.ndarray:
    """Cross-term company from a bank of moments of many clips with one tag: n of them at random, those of `clip` last.

    Args:
        bank_clips: (K,) the clip of each moment of the bank.
        targets: a moment of `clip`, or (M,) moments.
        n: how many nodes; a bank with fewer starts again.
        seed: any whole number.
        clip: the clip of the targets.

    Returns:
        (n,) or (M, n) int64, rows of the bank.

    Raises:
        ValueError: the bank is empty.
    """
    own = np.array([other == clip for other in bank_clips], bool)
    if not len(own):
        raise ValueError("cross-term company: the bank is empty; give at least one moment")
    rank = _hash(seed, clip, np.asarray(targets, np.int64)[..., None], np.arange(len(own))) >> np.uint64(1)
    return _first(rank + np.where(own, _FAR, np.uint64(0)), n)


def cross_company(target: int, n: int, lengths: Sequence[int], partners: Sequence[int], *, seed: int, clip: int) -> Cross:
    """Moments of other clips with a tag in common: n different clips as far as there are, each at a random moment.

    A clip that comes again comes with another moment. Without partners it is the long-term company of the target's own clip.

    Args:
        target: a moment of `clip`.
        n: how many nodes.
        lengths: frames of each clip.
        partners: numbers of the clips to draw from, as `Partners` gives them.
        seed: any whole number.
        clip: number of the target's clip.
    """
    if not len(partners):
        moments = long_company(target, n, lengths[clip], seed=seed, clip=clip)
        return Cross(np.full(n, clip, np.int64), moments, True)
    partners = np.asarray(partners, np.int64)
    clips = partners[_first(_hash(seed, clip, target, partners), n)]
    moments = np.empty(n, np.int64)
    for other in np.unique(clips):
        rank = _hash(seed, clip, target, other, np.arange(lengths[other]))
        moments[clips == other] = _first(rank, int((clips == other).sum()))
    return Cross(clips, moments, False)


def node_frames(moments, source: Source, length: int) -> np.ndarray:
    """The frames of each node: `moments` (...,) -> (..., f) int64, f = 1 for s and sa, 3 (t-1, t, t+1) for st and sta.

    What lies beyond an end of the clip is the frame at that end.
    """
    return np.clip(np.asarray(moments, np.int64)[..., None] + np.array(REACH[source]), 0, length - 1)


def _first(rank: np.ndarray, n: int) -> np.ndarray:
    """Places of the n smallest along the last axis, in ascending order, from the start again where there are fewer."""
    order = np.argsort(rank, axis=-1, kind="stable")
    return order[..., np.arange(n) % order.shape[-1]]


def _hash(*words) -> np.ndarray:
    """64 well mixed bits of whole numbers, strings and integer arrays, broadcast: SplitMix64's finaliser after each."""
    mixed = np.zeros(1, np.uint64)
    for word in words:
        if isinstance(word, str):
            word = zlib.crc32(word.encode())
        # In arrays, since NumPy warns of overflow in scalars; it is meant here.
        mixed = mixed + np.asarray(word).astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed
