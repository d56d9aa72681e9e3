"""Scoring frames: a prediction's maps and the baselines' against a protocol's truth. Runs in worker processes; NumPy only."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple

import numpy as np

from stajax.data.fixations import DataError
from stajax.evaluation import baselines
from stajax.evaluation.metrics import five, why_missing
from stajax.evaluation.protocols.base import CANVAS
from stajax.evaluation.results import METRICS

BASELINES = ("chance", "centre_prior", "spectral_residual", "itti", "gbvs", "human")
_NOTHING = dict.fromkeys(METRICS, np.nan)


class Scores(NamedTuple):
    """Of one model on some frames of a video. values: (frames, 5) float64 in the order of METRICS; notes: a str per frame."""

    values: np.ndarray
    notes: list[str]


@dataclass
class Scorer:
    """What a worker needs to know.

    Attributes:
        protocol: see `protocols/base.py`.
        compat: see `stajax.evaluation.compat`.
        baselines: names out of BASELINES.
        strict: a missing or broken map, or a broken truth, is a DataError instead of a note.
        priors: training part -> centre prior, or a str: why there is none.
    """

    protocol: object
    compat: str
    baselines: tuple[str, ...] = ()
    strict: bool = False
    priors: dict = field(default_factory=dict)

    def gather(self, video):
        """What the video's frames share, and "", or None and what is wrong with its files."""
        try:
            return self.protocol.gather(video), ""
        except DataError as error:
            if self.strict:
                raise
            return None, f"broken truth: {error}"

    def score(self, video, frames, parts, gathered, problem="") -> dict[str, Scores]:
        """Scores some frames of a video.

        Args:
            video: `Video`.
            frames: their numbers.
            parts: part of the prediction -> its maps of this video, or None if there are none.
            gathered, problem: of `gather`.

        Returns:
            part -> `Scores`, and baseline -> `Scores`.
        """
        models = [*parts, *self.baselines]
        rows = [self._score_frame(video, frame, parts, gathered, problem) for frame in frames]
        return {
            model: Scores(np.array([[row[i][0][metric] for metric in METRICS] for row in rows]), [row[i][1] for row in rows])
            for i, model in enumerate(models)
        }

    def _score_frame(self, video, frame, parts, gathered, problem):
        """(metric -> value, note) of each part of the prediction, then of each baseline."""
        try:
            truth = None if problem else self.protocol.truth(video, frame, gathered)
        except DataError as error:
            problem = self._problem("broken truth", video, frame, error)
        if problem:
            return [(_NOTHING, problem)] * (len(parts) + len(self.baselines))
        predicted = [self._score_prediction(video, frame, maps, truth) for maps in parts.values()]
        return predicted + [self._score_baseline(name, video, frame, truth) for name in self.baselines]

    def _score_prediction(self, video, frame, maps, truth):
        if maps is None or frame not in maps.frames:
            return _NOTHING, self._problem("no prediction", video, frame)
        try:
            return self._score_map(maps.read(frame), truth)
        except ValueError as error:
            return _NOTHING, self._problem("broken prediction", video, frame, error)

    def _score_map(self, saliency, truth):
        if self.compat == "stavis" and (saliency.min() < -1e-3 or saliency.max() > 1 + 1e-3):
            raise ValueError(f"values outside [0, 1]: {saliency.min():g}..{saliency.max():g}, STAViS would clip them")
        values = five(saliency, *truth, compat=self.compat)
        empty = not np.any(np.asarray(truth.fixations) > 0)
        if empty and self.protocol.empty == "drop":
            values["similarity"] = np.nan
        reasons = [reason for reason in why_missing(values, saliency, *truth).values() if reason]
        if empty and values["similarity"] == 0:
            reasons.append("SIM counted as 0")
        return values, ", ".join(dict.fromkeys(reasons))

    def _problem(self, kind, video, frame, error=None):
        where = f"{video.dataset} {video.name}, frame {frame}"
        if self.strict:
            raise DataError(f"{kind}: {where}" + (f": {error}" if error else ""))
        return f"{kind}: {error}" if error else kind

    def _score_baseline(self, name, video, frame, truth):
        if name == "human":
            return self._score_observers(video, frame, truth)
        try:
            return self._score_map(self.baseline(name, video, frame, np.shape(truth.fixations)), truth)
        except DataError as error:
            kind = "no centre prior" if name == "centre_prior" else "no picture"
            return _NOTHING, self._problem(kind, video, frame, error)

    def baseline(self, name, video, frame, shape):
        """The map of a baseline other than "human" for a frame whose truth has this shape: (h, w) in [0, 1]."""
        if name == "centre_prior":
            prior = self.priors[self.protocol.training_part(video)]
            if isinstance(prior, str):
                raise DataError(prior)
            return prior
        if name == "chance":  # needs no picture, only a size
            seed = zlib.crc32(f"{video.dataset}/{video.name}/{frame}".encode())
            return baselines.chance(np.zeros((*shape, 3), np.uint8), seed=seed)
        saliency = baselines.IMAGE_BASELINES[name](self.protocol.image(video, frame)).astype(np.float64)
        low, high = saliency.min(), saliency.max()
        return (saliency - low) / (high - low) if high > low else saliency

    def _score_observers(self, video, frame, truth):
        try:
            points, observers, sigma, how = self.protocol.observers(video, frame)
            if len(np.unique(observers)) < 2:
                return _NOTHING, "fewer than two observers"
            values = baselines.human(points, observers, np.shape(truth.fixations), truth.other, sigma=sigma, **how)
        except ValueError as error:
            return _NOTHING, f"no human score: {error}"
        return values, "no value for any observer" if np.isnan(list(values.values())).any() else ""


def fit_prior(protocol, part):
    """The centre prior for a training part; for None, where there is nothing to fit to, `fixed_prior`."""
    if part is None:
        return fixed_prior()
    training = protocol.training(part)
    return baselines.centre_prior(training.points, training.shape, sigma=training.sigma)


@cache
def fixed_prior():
    """A Gaussian at the centre with a quarter of the width and height as its standard deviations, on CANVAS."""
    y, x = (np.exp(-0.5 * (((np.arange(n) + 0.5) / n - 0.5) / 0.25) ** 2) for n in CANVAS)
    return np.outer(y, x)


def check_baselines(names):
    """ValueError: a name that is not in BASELINES, or twice."""
    for name in names:
        if name not in BASELINES:
            raise ValueError(f"no baseline {name!r}; there are {', '.join(BASELINES)}")
    if len(set(names)) < len(names):
        raise ValueError("a baseline is named twice")
