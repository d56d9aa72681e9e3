"""Scoring frames: a prediction's maps and the baselines' against a protocol's truth. Runs in worker processes; NumPy only."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from functools import cache, partial
from typing import NamedTuple

import numpy as np

from stajax.data.fixations import DataError
from stajax.evaluation import baselines
from stajax.evaluation.blank import at_chance, blank
from stajax.evaluation.metrics import BESIDE, measure, why_missing
from stajax.evaluation.protocols.base import CANVAS
from stajax.evaluation.results import METRICS


class Scores(NamedTuple):
    """Of one model on some frames of a video. values: (frames, metrics) float64; notes: a str per frame."""

    values: np.ndarray
    notes: list[str]


@dataclass
class Scorer:
    """What a worker needs to know.

    Attributes:
        protocol: see `protocols/base.py`.
        compat: see `stajax.evaluation.compat`.
        baselines: names out of BASELINES.
        also: names out of `metrics.BESIDE`, scored beside METRICS.
        strict: a missing or broken map, or a broken truth, is a DataError instead of a note.
        priors: training part -> centre prior, or a str: why there is none.
    """

    protocol: object
    compat: str
    baselines: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    strict: bool = False
    priors: dict = field(default_factory=dict)

    @property
    def metrics(self):
        return METRICS + tuple(name for name in BESIDE if name in self.also)

    @property
    def needs_prior(self):
        return "centre_prior" in self.baselines or "info_gain" in self.also

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
        values = np.array([[[scores[metric] for metric in self.metrics] for scores, _ in row] for row in rows])
        notes = [[note for _, note in row] for row in rows]
        return {model: Scores(values[:, i], [row[i] for row in notes]) for i, model in enumerate(models)}

    def _score_frame(self, video, frame, parts, gathered, problem):
        """(metric -> value, note) of each part of the prediction, then of each baseline."""
        try:
            truth = None if problem else self.protocol.truth(video, frame, gathered)
        except DataError as error:
            problem = self._problem("broken truth", video, frame, error)
        if problem:
            return [(self._nothing, problem)] * (len(parts) + len(self.baselines))
        predicted = [self._score_prediction(video, frame, maps, truth) for maps in parts.values()]
        return predicted + [self._score_baseline(name, video, frame, truth) for name in self.baselines]

    def _score_prediction(self, video, frame, maps, truth):
        if maps is None or frame not in maps.frames:
            return self._nothing, self._problem("no prediction", video, frame)
        try:
            return self._score_map(maps.read(frame), video, truth)
        except ValueError as error:
            return self._nothing, self._problem("broken prediction", video, frame, error)

    def _score_map(self, saliency, video, truth):
        reason = blank(saliency)
        if reason and self.protocol.blank == "chance":
            values = at_chance(self.metrics, *truth, baseline=self._baseline_of_gain(video))
            return self._without_fixations(values, truth, [reason, "counted at chance"])
        if reason == "NaN in the map":
            raise ValueError("NaN or infinity in the map")
        if self.compat == "stavis" and (saliency.min() < -1e-3 or saliency.max() > 1 + 1e-3):
            raise ValueError(f"values outside [0, 1]: {saliency.min():g}..{saliency.max():g}, STAViS would clip them")
        values = self._measure(video, saliency, *truth)
        reasons = [reason for reason in why_missing(values, saliency, *truth).values() if reason]
        return self._without_fixations(values, truth, reasons)

    def _without_fixations(self, values, truth, reasons):
        """The scores and the note of a frame, by the protocol's rule for frames without fixations."""
        if np.any(np.asarray(truth.fixations) > 0):
            return values, ", ".join(dict.fromkeys(reasons))
        left_out = {"kl_divergence"} | ({"similarity"} if self.protocol.empty == "drop" else set())
        values = values | {metric: np.nan for metric in left_out if metric in values}
        reasons = [*reasons, "no fixation", *(["SIM counted as 0"] if values["similarity"] == 0 else [])]
        return values, ", ".join(dict.fromkeys(reasons))

    def _measure(self, video, saliency, *truth):
        prior = self._baseline_of_gain(video)
        names = [name for name in self.metrics if prior is not None or name != "info_gain"]
        return self._nothing | measure(names, saliency, *truth, baseline=prior, compat=self.compat)

    def _baseline_of_gain(self, video):
        """The map that the information gain is over; None if that is not asked for, or could not be fitted."""
        prior = self.priors[self.protocol.training_part(video)] if "info_gain" in self.also else None
        return None if isinstance(prior, str) else prior

    @property
    def _nothing(self):
        return dict.fromkeys(self.metrics, np.nan)

    def _problem(self, kind, video, frame, error=None):
        where = f"{video.dataset} {video.name}, frame {frame}"
        error = error and str(error).removeprefix("prediction: ")  # the kind says so
        if self.strict:
            raise DataError(f"{kind}: {where}" + (f": {error}" if error else ""))
        return f"{kind}: {error}" if error else kind

    def _score_baseline(self, name, video, frame, truth):
        if name == "human":
            return self._score_observers(video, frame, truth)
        try:
            return self._score_map(self.baseline(name, video, frame, np.shape(truth.fixations)), video, truth)
        except DataError as error:
            kind = "no centre prior" if name == "centre_prior" else "no picture"
            return self._nothing, self._problem(kind, video, frame, error)

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
        saliency = getattr(baselines, name)(self.protocol.image(video, frame)).astype(np.float64)
        low, high = saliency.min(), saliency.max()
        return (saliency - low) / (high - low) if high > low else saliency

    def _score_observers(self, video, frame, truth):
        try:
            points, observers, sigma, how = self.protocol.observers(video, frame)
            if len(np.unique(observers)) < 2:
                return self._nothing, "fewer than two observers"
            how = how | {"sigma": sigma, "measure": partial(self._measure, video)}
            values = baselines.human(points, observers, np.shape(truth.fixations), truth.other, **how)
        except ValueError as error:
            return self._nothing, f"no human score: {error}"
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


def check_names(what, names, known):
    """ValueError: a name that is not among those known, or twice. what: "baseline"."""
    for name in names:
        if name not in known:
            raise ValueError(f"no {what} {name!r}; there are {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ValueError(f"a {what} is named twice")
