"""From a tag to pseudo-fixations: SCAM, first coarse, then fine (section 3), and SCAM+ (section 4).

The coarse stage runs S, ST and SA on whole frames, and with them the nets with company. A box around what their SCAM marks is
cut out of each frame, and S, ST and SA of the fine stage look into it. Their CAMs, pasted back, and those of the nets with
company are fused by the confidences of the tag.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stajax import cam
from stajax.data.tags import find_all
from stajax.encoders.params import WeightsError
from stajax.inference.bank import Bank
from stajax.inference.classification import target_maps
from stajax.inference.engine import Engine
from stajax.inference.predict import Shown, stream_clip, stream_of
from stajax.inference.source import Source
from stajax.layers.resize import resize
from stajax.media import squash
from stajax.models import folder

FINE = "fine"  # the member of a model whose nets look into the box
_CHUNK = 64  # frames fused at once


@dataclass(frozen=True)
class Settings:
    """Choices of the procedure; each row of the paper's Table 1 is one of these.

    sources: names of the nets that take part, such as ("S", "SA+long"), those of them that the model has; by default all.
    fine: the second stage; without it the coarse CAMs count. company: SCAM+ (Eq. 8) where the model has nets with company;
    without it SCAM (Eq. 2). selective: fused by soft-filtered confidences; without it the average of all CAMs (Eq. 22).
    activation: of the confidences. factor: of the hard threshold of the box. min_side: shortest side of a box, as a part of the
    frame's. steady: frames to each side that boxes are averaged over. smooth: the release's smoothing of finished maps.
    side: height and width of the maps; by default a quarter of the view's.
    """

    sources: tuple[str, ...] = ()
    fine: bool = True
    company: bool = True
    selective: bool = True
    activation: Literal["softmax", "sigmoid"] = "softmax"
    factor: float = 2.0
    min_side: float = 0.25
    steady: int = 2
    smooth: bool = False
    side: int | None = None


class PseudoFixations(NamedTuple):
    """What a tagged clip becomes."""

    maps: np.ndarray  # (T, h, w) float32 in [0, 1]; zeros where not valid
    valid: np.ndarray  # (T,) bool: some source was sure of the tag
    time: np.ndarray  # (T,) float64 seconds
    fps: float
    confidence: dict[str, np.ndarray]  # source -> (T, tags) float32, of each tag
    sure: dict[str, np.ndarray]  # source -> (T, tags) bool: the tag was its strict maximum
    cams: dict[str, np.ndarray]  # source -> (T, h, w) float16 in [0, 1], the mean over tags; those of the fine stage in place
    coarse: np.ndarray  # (T, h, w) float16, SCAM of the coarse stage
    boxes: np.ndarray  # (T, 4) float32 top, left, bottom, right as parts of the frame: around what the coarse maps mark
    views: dict[str, int]  # distinct views through the encoders, by stage and for banks


class _Found(NamedTuple):
    """What nets say of a clip: by source, of each frame and tag."""

    maps: dict[str, np.ndarray]  # (T, tags, h, w), the class's channel
    confidence: dict[str, np.ndarray]  # (T, tags, 2), of the tag and of the strongest other class
    phi: np.ndarray  # (T,) of the nets that listen, 0 where there are none
    time: np.ndarray


@dataclass(frozen=True, eq=False)
class PseudofixModel:
    """The classification nets of a model, ready. Made by `load`.

    whole: on whole frames. crops: the fine stage, None where the model has none. crossing: nets whose company comes from other
    clips.
    """

    name: str
    path: Path
    classes: Mapping[str, tuple[str, ...]]
    whole: Engine
    crops: Engine | None
    crossing: tuple[str, ...]
    settings: Settings
    fingerprint: str  # of all that the maps depend on

    @property
    def side(self) -> int:
        """Height and width of the maps."""
        return self.settings.side or max(self.whole.sizes) // 4

    def numbers(self, tags: str | int | Sequence[str | int]) -> tuple[int, ...]:
        """Numbers of the tags, names or aliases. Raises DataError that lists the known ones."""
        return find_all([tags] if isinstance(tags, str | int) else tags, self.classes)


def load(name_or_path: str | os.PathLike, *, batch: int = 16, settings: Settings = Settings()) -> PseudofixModel:
    """The classification nets of a model folder.

    The fine stage is its member called ``fine``, and ``fine-2`` and so on where its nets have encoders of their own.

    Raises:
        WeightsError: no such model, or one without classification nets, or with none of `settings.sources`.
    """
    members = {member.path.name: member for member in folder.members(name_or_path)}
    found = {
        name: [net for net, module in member.structure.module.nets.items() if module.predicts == "classes"]
        for name, member in members.items()
    }
    if settings.sources:
        found = {name: [net for net in nets if net in settings.sources] for name, nets in found.items()}
    # A member without nets is an audio switch, for all.
    switches = [member for name, member in members.items() if not member.structure.config.nets]
    whole = [member for name, member in members.items() if not _is_fine(name) and found[name]]
    name, _ = folder.name_and_card(name_or_path)
    if not whole:
        wanted = f" among {', '.join(settings.sources)}" if settings.sources else ""
        raise WeightsError(
            f"{folder.find(name_or_path)}: no classification nets in this model{wanted}; it makes no pseudo-fixations"
        )

    def engine(chosen: Sequence[folder.ModelFolder], keep: Callable[[str], bool] = lambda net: True) -> Engine:
        nets = [net for member in chosen for net in found.get(member.path.name, ()) if keep(net)]
        networks = [(m.structure, m.variables) for m in chosen]
        return Engine(networks, batch=batch, nets=nets, output=_output(nets, settings.activation))

    modules = {net: module for member in whole for net, module in member.structure.module.nets.items()}
    has_company = {net for net, module in modules.items() if len(module.span.nodes) + module.bank > 1}
    crossing = [net for net, module in modules.items() if getattr(module.config, "granularity", "") == "cross"]
    fine = [member for name, member in members.items() if _is_fine(name) and found[name] and settings.fine]
    return PseudofixModel(
        name=name,
        path=folder.find(name_or_path),
        classes=whole[0].classes,
        whole=engine([*whole, *switches], lambda net: settings.company or net not in has_company),
        crops=engine(fine) if fine else None,
        crossing=tuple(crossing) if settings.company else (),
        settings=settings,
        fingerprint=f"{name} {folder.fingerprint(members.values())} {settings}",
    )


def _is_fine(member: str) -> bool:
    return member == FINE or member.startswith(f"{FINE}-")


def _output(nets: Sequence[str], activation: str) -> Callable:
    activate = {"softmax": jax.nn.softmax, "sigmoid": jax.nn.sigmoid}[activation]

    def output(predictions: dict, aux: dict, tags: jax.Array) -> dict:
        """The tags' (n,) maps and confidences of each net."""

        def of(net: str) -> dict:
            scores = activate(predictions[net][:, 0])  # (B, classes)
            is_tag = tags[:, None] == jnp.arange(scores.shape[-1])
            other = jnp.where(is_tag, -jnp.inf, scores[:, None]).max(-1)
            maps = jnp.moveaxis(target_maps(aux[net])[..., tags], -1, 1)
            return {"maps": maps, "confidence": jnp.stack([scores[:, tags], other], -1), "phi": aux[net]["phi"][:, 0]}

        return {net: of(net) for net in nets}

    return output


def pseudo_fixations(
    model: PseudofixModel,
    source: Source,
    tags: str | int | Sequence[str | int],
    *,
    banks: Mapping[str, Bank] | None = None,
    report: Callable[[str, int], None] = lambda stage, frames: None,
) -> PseudoFixations:
    """Where people would look in a clip, from nothing but its tags.

    A clip with several tags gets the maps of each, averaged over the tags that some source is sure of.

    Args:
        tags: names, aliases or numbers of the model's classes.
        banks: cross-term company, node states of other clips with the tag, by net; a net without one takes long-term company
            from the clip itself.
        report: told the stage ("coarse", "fine") and the frames done.

    Raises:
        DataError: an unknown tag. MediaError: the clip cannot be used. ValueError: no tag.
    """
    settings, side = model.settings, model.side
    numbers = model.numbers(tags)
    if not numbers:
        raise ValueError(f"{source.path}: no tag; without one there are no pseudo-fixations")
    views = {}
    stream = stream_of(model.whole, source, banks, context=np.array(numbers))
    found = _collect(model.whole.nets, stream_clip(stream, source), lambda frames: report("coarse", frames))
    views |= {"coarse": stream.views_encoded, "bank": stream.bank_views}
    own = [name for name in found.maps if not _has_company(model.whole, name)] or list(found.maps)
    coarse = _fuse(found, own, settings.selective, side)
    boxes = _boxes(coarse, settings, side)
    cams = {name: _on_grid(found.maps[name], side) for name in found.maps}
    confidence = dict(found.confidence)
    if model.crops is not None:
        # The audio switch has looked at whole frames; what it said of them holds for the crops.
        stream = stream_of(model.crops, source, context=np.array(numbers), phi=lambda number: float(found.phi[number]))
        size = max(model.crops.sizes)

        def view(number: int, image: np.ndarray) -> np.ndarray:
            height, width = image.shape[:2]
            return squash(image, size, box=(boxes[number] * [height, width, height, width]).tolist())

        shown = stream_clip(stream, source, view=view)
        inside = _collect(model.crops.nets, shown, lambda frames: report("fine", frames))
        views["fine"] = stream.views_encoded
        cams |= {name: _pasted(maps, boxes, side) for name, maps in inside.maps.items()}
        confidence |= inside.confidence
    maps, valid = _fuse_cams(cams, confidence, settings.selective)
    if settings.smooth:
        maps = np.asarray(cam.recursive_smooth(jnp.asarray(maps)))
    return PseudoFixations(
        maps=maps,
        valid=valid,
        time=found.time,
        fps=source.fps,
        confidence={name: x[..., 0] for name, x in confidence.items()},
        sure={name: x[..., 0] > x[..., 1] for name, x in confidence.items()},
        cams={name: x.mean(1).astype(np.float16) for name, x in cams.items()},
        coarse=coarse[0].astype(np.float16),
        boxes=boxes,
        views=views,
    )


def _has_company(engine: Engine, net: str) -> bool:
    return net in engine.banked or len(engine.spans[net].nodes) > 1


def _collect(nets: Sequence[str], shown: Iterable[Shown], report: Callable[[int], None]) -> _Found:
    """All that a stream says of a clip, in memory; the pictures are let go."""
    time, parts = [], []
    for number, frame in enumerate(shown, 1):
        time.append(frame.time)
        parts.append(jax.tree.map(lambda x: x.astype(np.float32), frame.map))
        report(number)
    found = jax.tree.map(lambda *x: np.stack(x), *parts)
    maps, confidence = ({net: found[net][what] for net in nets} for what in ("maps", "confidence"))
    return _Found(maps, confidence, np.max([found[net]["phi"] for net in nets], axis=0), np.array(time))


def _fuse(found: _Found, nets: Sequence[str], selective: bool, side: int) -> tuple[np.ndarray, np.ndarray]:
    """SCAM of some nets on a grid: maps (T, side, side), valid (T,)."""
    return _fuse_cams({n: _on_grid(found.maps[n], side) for n in nets}, {n: found.confidence[n] for n in nets}, selective)


def _fuse_cams(
    cams: Mapping[str, np.ndarray], confidence: Mapping[str, np.ndarray], selective: bool
) -> tuple[np.ndarray, np.ndarray]:
    """CAMs (T, tags, h, w) of each source to maps (T, h, w) and valid (T,), chunk by chunk, so that one size is compiled."""
    stacked = np.stack([cams[name] for name in cams], 2)
    sureness = np.stack([confidence[name] for name in cams], 2)
    parts = [_fuse_chunk(*_padded(stacked[i : i + _CHUNK], sureness[i : i + _CHUNK]), selective) for i in _chunks(stacked)]
    maps, valid = (np.concatenate(part)[: len(stacked)] for part in zip(*parts, strict=True))
    return maps, valid


@partial(jax.jit, static_argnames="selective")
def _fuse_chunk(cams: jax.Array, confidence: jax.Array, selective: bool) -> tuple[jax.Array, jax.Array]:
    """cams (T, tags, K, h, w), confidence (T, tags, K, 2) -> maps (T, h, w), valid (T,)."""
    if selective:
        chosen = cam.fuse_scam(cams, confidence, jnp.zeros(cams.shape[:2], int))
        maps, valid = chosen.maps, chosen.valid
    else:
        maps = cam.min_max(cam.fuse_average(cams))
        valid = maps.max((-2, -1)) > 0
    total = (maps * valid[..., None, None]).sum(1)
    return cam.min_max(total), valid.any(1)


@partial(jax.jit, static_argnames="side")
def _grid_chunk(maps: jax.Array, side: int) -> jax.Array:
    return resize(cam.min_max(maps)[..., None], (side, side))[..., 0]


def _on_grid(maps: np.ndarray, side: int) -> np.ndarray:
    """Eq. 1's CAMs of (T, tags, h, w) class maps, stretched to (T, tags, side, side)."""
    parts = [np.asarray(_grid_chunk(*_padded(maps[i : i + _CHUNK]), side)) for i in _chunks(maps)]
    return np.concatenate(parts)[: len(maps)]


@partial(jax.jit, static_argnames="side")
def _paste_chunk(maps: jax.Array, boxes: jax.Array, side: int) -> jax.Array:
    boxes = jnp.broadcast_to(boxes[:, None] * side, (*maps.shape[:2], 4))
    return cam.paste(cam.min_max(maps), boxes, (side, side), method="bilinear")


def _pasted(maps: np.ndarray, boxes: np.ndarray, side: int) -> np.ndarray:
    """CAMs of (T, tags, h, w) class maps of crops, back in their frames: (T, tags, side, side)."""
    parts = [np.asarray(_paste_chunk(*_padded(maps[i : i + _CHUNK], boxes[i : i + _CHUNK]), side)) for i in _chunks(maps)]
    return np.concatenate(parts)[: len(maps)]


def _boxes(coarse: tuple[np.ndarray, np.ndarray], settings: Settings, side: int) -> np.ndarray:
    """(T, 4) as parts of the frame: around what the coarse maps mark, wide enough and steady; the whole where not valid."""
    maps, valid = coarse
    boxes = cam.widen_boxes(cam.coarse_boxes(maps, settings.factor), (side, side), settings.min_side * side)
    boxes = jnp.where(jnp.asarray(valid)[:, None], boxes, jnp.float32([0, 0, side, side]))
    return np.asarray(cam.temporal_mean(boxes, settings.steady, jnp.asarray(valid)) / side, np.float32)


def _chunks(array: np.ndarray) -> range:
    return range(0, len(array), _CHUNK)


def _padded(*arrays: np.ndarray) -> list[np.ndarray]:
    """To `_CHUNK` rows, the last one repeated."""
    return [np.concatenate([x, np.repeat(x[-1:], _CHUNK - len(x), axis=0)]) for x in arrays]
