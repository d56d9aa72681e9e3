"""From a tag to pseudo-fixations: SCAM, first coarse, then fine (section 3), and SCAM+ (section 4).

The coarse stage runs S, ST and SA on whole frames, and with them the nets with company. A box around what their SCAM marks is
cut out of each frame, and S, ST and SA of the fine stage look into it. Their CAMs, pasted back, and those of the nets with
company are fused by the confidences of the tag (`evidence.py`).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from stajax.data.tags import find
from stajax.encoders.params import WeightsError
from stajax.inference.bank import Bank, together
from stajax.inference.classification import target_maps
from stajax.inference.engine import Engine
from stajax.inference.evidence import Evidence, coarse_boxes, fused, on_grid, smoothed
from stajax.inference.predict import Shown, stream_clip, stream_of
from stajax.inference.source import Source
from stajax.inference.tag_banks import digest, read_banks
from stajax.media import MediaWarning, squash
from stajax.models import folder

FINE = "fine"  # the member of a model whose nets look into the box
_TAGS = 4  # the nets are asked about so many at once, or a multiple, so that hardly any number of tags is compiled anew


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

    maps: np.ndarray  # (T, h, w) float32 in [0, 1]: SCAM+, or SCAM where no net has company; zeros where not valid
    valid: np.ndarray  # (T,) bool: some source was sure of the tag
    time: np.ndarray  # (T,) float64 seconds
    fps: float
    confidence: dict[str, np.ndarray]  # source -> (T, tags) float32, of each tag
    sure: dict[str, np.ndarray]  # source -> (T, tags) bool: the tag was its strict maximum
    coarse: np.ndarray  # (T, h, w) float16, SCAM of the coarse stage
    scam: np.ndarray  # (T, h, w) float16, SCAM of the last stage, without company
    boxes: np.ndarray  # (T, 4) float32 top, left, bottom, right as parts of the frame: around what the coarse maps mark
    evidence: Evidence  # what the nets say
    own: tuple[str, ...]  # the sources of SCAM; the others have company
    views: dict[str, int]  # distinct views through the encoders, by stage and for banks

    def cams(self, frames: Sequence[int]) -> dict[str, np.ndarray]:
        """The CAMs of some frames: source -> (n, h, w) float32 in [0, 1], the mean over tags; of the fine stage in place."""
        found = on_grid(self.evidence.of(np.asarray(frames)), self.maps.shape[1])
        return {name: found[name].mean(1) for name in self.confidence}


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
        tags = [tags] if isinstance(tags, str | int) else tags
        return tuple(dict.fromkeys(find(tag, self.classes, what=f"the model {self.name}") for tag in tags))

    def banks(self, numbers: Iterable[int]) -> dict[str, Bank]:
        """The cross-term banks of these classes that the model folder carries. Raises WeightsError for those of other nets."""
        shapes = {name: shape for name, shape in self.whole.node_shapes().items() if name in self.crossing}
        found = [read_banks(self.path, name, shapes) for name in self._named(numbers)] if shapes else []
        return {net: together([of[net] for of in found if net in of]) for net in shapes if any(net in of for of in found)}

    def banks_digest(self, numbers: Iterable[int]) -> str:
        """Of the banks that `banks` would give."""
        return digest(self.path, self._named(numbers)) if self.crossing else ""

    def _named(self, numbers: Iterable[int]) -> list[str]:
        return [list(self.classes)[number] for number in numbers]


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
    fine = [member for name, member in members.items() if _is_fine(name) and found[name] and settings.fine]
    coarse = engine([*whole, *switches], lambda net: settings.company or net not in has_company)
    return PseudofixModel(
        name=name,
        path=folder.find(name_or_path),
        classes=whole[0].classes,
        whole=coarse,
        crops=engine(fine) if fine else None,
        crossing=tuple(net for net in coarse.banked if getattr(modules[net].config, "granularity", "") == "cross"),
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

    A clip with several tags gets the maps of each, averaged over the tags that some source is sure of. What is held in memory
    grows with the clip: some 30 kB a frame at 64x64, no pictures.

    Args:
        tags: names, aliases or numbers of the model's classes.
        banks: cross-term company, node states of other clips with the tag, by net; by default what the model folder carries.
            A net without one takes long-term company from the clip itself, with one MediaWarning.
        report: told the stage ("coarse", "fine") and the frames done.

    Raises:
        DataError: an unknown tag. MediaError: the clip cannot be used. ValueError: no tag.
    """
    settings, side = model.settings, model.side
    numbers = model.numbers(tags)
    if not numbers:
        raise ValueError(f"{source.path}: no tag; without one there are no pseudo-fixations")
    banks = model.banks(numbers) if banks is None else banks
    if lacking := [net for net in model.crossing if net not in banks]:
        message = f"{source.path}: no other clip of its tag at hand; {', '.join(lacking)} gets long-term company"
        warnings.warn(message, MediaWarning, stacklevel=2)
    asked = np.resize(numbers, -(-len(numbers) // _TAGS) * _TAGS)
    stream = stream_of(model.whole, source, banks, context=asked)
    shown = stream_clip(stream, source)
    whole = _heard(model.whole.nets, shown, len(numbers), lambda frames: report("coarse", frames))
    views = {"coarse": stream.views_encoded, "bank": stream.bank_views}
    own = tuple(name for name in whole.maps if not _has_company(model.whole, name)) or tuple(whole.maps)
    evidence = Evidence(whole.maps, {}, np.tile(np.float32([0, 0, 1, 1]), (len(whole.time), 1)), whole.confidence)
    coarse, certain = fused(evidence.only(own), side, settings.selective)
    boxes = coarse_boxes(coarse, certain, settings.factor, settings.min_side, settings.steady)
    scam, valid = coarse, certain
    if model.crops is not None:
        # The audio switch has looked at whole frames; what it said of them holds for the crops.
        stream = stream_of(model.crops, source, context=asked, phi=lambda number: float(whole.phi[number]))
        size = max(model.crops.sizes)

        def view(number: int, image: np.ndarray) -> np.ndarray:
            height, width = image.shape[:2]
            return squash(image, size, box=(boxes[number] * [height, width, height, width]).tolist())

        shown = stream_clip(stream, source, view=view)
        inside = _heard(model.crops.nets, shown, len(numbers), lambda frames: report("fine", frames))
        views["fine"] = stream.views_encoded
        evidence = Evidence(whole.maps, inside.maps, boxes, whole.confidence | inside.confidence)
        own = tuple(dict.fromkeys((*own, *inside.maps)))
        scam, valid = fused(evidence.only(own), side, settings.selective)
    maps = scam
    if len(own) < len(evidence.confidence):
        maps, valid = fused(evidence, side, settings.selective)
    return PseudoFixations(
        maps=smoothed(maps) if settings.smooth else maps,
        valid=valid,
        time=whole.time,
        fps=source.fps,
        confidence={name: x[..., 0] for name, x in evidence.confidence.items()},
        sure={name: x[..., 0] > x[..., 1] for name, x in evidence.confidence.items()},
        coarse=coarse.astype(np.float16),
        scam=scam.astype(np.float16),
        boxes=boxes,
        evidence=evidence,
        own=own,
        views=views,
    )


def _has_company(engine: Engine, net: str) -> bool:
    return net in engine.banked or len(engine.spans[net].nodes) > 1


class _Heard(NamedTuple):
    """What the nets of a stage say of a clip: by source, of each frame and tag."""

    maps: dict[str, np.ndarray]  # (T, tags, h, w) float32, the class's channel
    confidence: dict[str, np.ndarray]  # (T, tags, 2) float32, of the tag and of the strongest other class
    phi: np.ndarray  # (T,) of the nets that listen, 0 where there are none
    time: np.ndarray


def _heard(nets: Sequence[str], shown: Iterable[Shown], tags: int, report: Callable[[int], None]) -> _Heard:
    """All that a stream says of a clip, in memory; the pictures are let go."""
    time, parts = [], []
    for number, frame in enumerate(shown, 1):
        time.append(frame.time)
        parts.append(frame.map)
        report(number)

    def of(net: str, what: str) -> np.ndarray:
        return np.stack([part[net][what][:tags] for part in parts]).astype(np.float32)

    phi = np.max([[part[net]["phi"] for part in parts] for net in nets], axis=0)
    return _Heard({net: of(net, "maps") for net in nets}, {net: of(net, "confidence") for net in nets}, phi, np.array(time))
