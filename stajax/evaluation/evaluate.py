"""`stajax evaluate`: scores a folder of predicted maps, and baselines, on a data set under a protocol, in several processes."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stajax.data.fixations import DataError
from stajax.evaluation import workers as processes
from stajax.evaluation.baselines import BASELINES
from stajax.evaluation.compat import COMPAT
from stajax.evaluation.metrics import BESIDE
from stajax.evaluation.predictions import Broken, Predictions
from stajax.evaluation.protocols import open_protocol
from stajax.evaluation.results import Evaluation, columns_with, count_notes, rows_of
from stajax.evaluation.scoring import Scorer, check_names
from stajax.media.atomic import writing

CHUNK = 32  # frames that a worker scores at a time


class Progress(NamedTuple):
    """What `evaluate` reports while it works: frames scored so far and in all, and the video of the last ones."""

    done: int
    total: int
    video: str


def evaluate(
    pred: str | os.PathLike | None,
    truth: str | os.PathLike,
    protocol: str,
    *,
    compat: str | None = None,
    workers: int = 1,
    baselines: Sequence[str] = (),
    also: Sequence[str] = (),
    progress: Callable[[Progress], None] | None = None,
    datasets: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    name: str | None = None,
    strict: bool = False,
    options: dict | None = None,
) -> Evaluation:
    """Scores predictions on a data set.

    Videos of the data set that have no prediction at all are left out of all rows and listed in
    settings["videos_without_prediction"]; a frame that is missing or broken has a row of NaN with the reason.

    Args:
        pred: the folder of predictions (`predictions.py`); None to score baselines only.
        truth: the data set's folder, as the protocol needs it.
        protocol: "stavis", "diem", "osie", "ucf" or "plain" (`protocols/`).
        compat: conventions of the metrics (`compat.py`); None for those that the protocol is usually scored with.
        workers: processes. 1 works in this one; more are started anew, so a script needs `if __name__ == "__main__":`. The
            scores are the same.
        baselines: out of `baselines.BASELINES`.
        also: metrics beside the five, out of `metrics.BESIDE`. The baseline of "info_gain" is the centre prior.
        progress: called with a `Progress` after every few frames.
        datasets, splits: which of the protocol's to score; None for its default.
        name: the prediction's in the results; None for the folder's.
        strict: raise on the first map that is missing or broken, and on a broken truth.
        options: of the protocol, such as {"sigma": 32, "other": "dataset"}; all are in `protocols.options.OPTIONS`.

    Returns:
        An `Evaluation`; models are the prediction's name, if there is one, then `baselines`.

    Raises:
        ValueError: an unknown protocol, baseline, metric, data set or option; nothing to score; a baseline that the protocol
            has nothing for.
        DataError: a folder that is missing, empty or not as the protocol or `predictions.py` says; no frame to score; a
            prediction of which no frame has a score; under `strict` see there.
        ImportError: a baseline needs a package that is not installed.
        RuntimeError: a worker process died.
    """
    check_names("baseline", baselines, BASELINES)
    check_names("metric beside the five", also, BESIDE)
    if workers < 1:
        raise ValueError(f"{workers} workers; at least 1 is needed")
    rules = _open(truth, protocol, datasets, splits, options)
    if (compat or rules.compat) not in COMPAT:
        raise ValueError(f"compat is {compat!r}, give one of {', '.join(COMPAT)}")
    predictions = Predictions(pred) if pred is not None else None
    if predictions is None and not baselines:
        raise ValueError("nothing to score: give predictions or baselines")
    name = name or ("" if pred is None else Path(pred).resolve().name)
    models = ((name,) if predictions else ()) + tuple(baselines)
    if predictions and name in BASELINES:
        raise ValueError(f"the prediction has the name of a baseline, {name}; give it another")

    jobs, missing = _jobs(rules, predictions, strict)
    scorer = Scorer(rules, compat or rules.compat, tuple(baselines), tuple(also), strict)
    if missing and strict:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise DataError(f"{predictions.root}: no prediction for {missing[0]}{more}")
    _check_sources(scorer, jobs)
    scores = _run(scorer, jobs, workers, progress)
    rows = _rows(jobs, scores, models, name if predictions else None, scorer.metrics)
    _check_scored(rows, models[0], predictions, scorer.metrics)
    settings = {
        "pred": None if pred is None else str(Path(pred).resolve()),
        "truth": str(Path(truth).resolve()),
        "datasets": list(datasets) if datasets else None,
        "splits": list(splits) if splits else None,
        "options": options or {},
        "prediction_splits": list(predictions.splits) if predictions else [],
        "videos_without_prediction": missing,
        **rules.settings,
        **_fitted_to(scorer, jobs),
    }
    return Evaluation(protocol, scorer.compat, models, rows, count_notes(rows["note"][rows["model"] == models[0]]), settings)


def possible_baselines(
    truth: str | os.PathLike,
    protocol: str,
    datasets: Sequence[str] | None = None,
    splits: Sequence[str] | None = None,
    options: dict | None = None,
) -> list[str]:
    """The baselines that a data set has everything for (pictures, observers) and that are installed. Raises as `evaluate`."""
    rules = _open(truth, protocol, datasets, splits, options)
    jobs = [(video, {}) for video in rules.videos if video.frames]
    possible = []
    for name in BASELINES:
        try:
            _check_sources(Scorer(rules, rules.compat, (name,)), jobs)
        except (ValueError, ImportError):
            continue
        possible.append(name)
    return possible


def write(evaluation: Evaluation, folder: str | os.PathLike) -> list[Path]:
    """Writes results.json, per_frame.csv and per_video.csv into a folder, made if need be; returns their paths.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = Path(folder)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    evaluation.write_json(folder / "results.json")
    evaluation.write_csv(folder)
    return [folder / name for name in ("results.json", "per_frame.csv", "per_video.csv")]


def _open(truth, protocol, datasets, splits, options):
    rules = open_protocol(protocol, truth, datasets, splits, **(options or {}))
    if not any(video.frames for video in rules.videos):
        raise DataError(f"{protocol}: no frame to score in {truth}: its videos are too short, or have no fixation")
    return rules


def _jobs(rules, predictions, strict):
    """What to score: (video, part of the prediction -> maps or None); and the names of videos without any prediction."""
    jobs, missing = [], []
    for video in rules.videos:
        if not video.frames:  # shorter than the protocol's first frame
            continue
        if predictions is None:
            jobs.append((video, {}))
            continue
        parts = [split for split in video.splits if split in predictions.splits] if predictions.splits else [""]
        maps = {part: _find(predictions, video, part, strict) for part in parts}
        if any(maps.values()):
            jobs.append((video, maps))
        else:
            missing.append(f"{video.dataset}/{video.name}")
    if not jobs:
        example = rules.videos[0]
        wanted = f"{example.name}.png" if len(example.frames) == 1 else f"{example.name}/*.png"
        wanted = f"{example.name}/maps.npz or {wanted}"
        raise DataError(f"{predictions.root}: no prediction for any of {len(rules.videos)} videos; looked for such as {wanted}")
    return jobs, missing


def _find(predictions, video, part, strict):
    try:
        return predictions.find(video, part or None)
    except DataError as error:
        if strict:
            raise
        return Broken(video.frames, str(error))


def _fitted_to(scorer, jobs):
    """What the settings say about the centre prior."""
    if not scorer.needs_prior:
        return {}
    parts = sorted({part for video, _ in jobs if (part := scorer.protocol.training_part(video)) is not None})
    return {"centre_prior": parts or "a Gaussian of a quarter of width and height: there is no training split"}


def _check_sources(scorer, jobs):
    """Asks for a map of each baseline here, so that what is not installed, or not there, shows at once and in one line."""
    for name in scorer.baselines:
        problems = []
        for video, _ in jobs:
            try:
                _check_source(scorer, name, video)
                break
            except DataError as error:
                problems.append(error)
        else:
            raise problems[0]


def _check_source(scorer, name, video):
    if name == "human":
        scorer.protocol.observers(video, video.frames[0])
    elif name != "centre_prior":
        scorer.baseline(name, video, video.frames[0], (1, 1))


def _check_scored(rows, model, predictions, metrics):
    """Refuses a prediction, or baselines if there is none, without a single score."""
    mine = rows["model"] == model if predictions else slice(None)
    if np.isnan([rows[metric][mine] for metric in metrics]).all():
        dataset, video, frame, reason = (rows[name][mine][0] for name in ("dataset", "video", "frame", "note"))
        what, first = predictions.root if predictions else "baselines", f"{dataset} {video}, frame {frame}"
        raise DataError(f"{what}: no frame could be scored; the first, {first}: {reason}")


def _run(scorer, jobs, workers, progress):
    """(job, place of its chunk's first frame) -> the chunk's scores."""
    total, done, scores = sum(len(video.frames) for video, _ in jobs), 0, {}
    with processes.executor(scorer, workers) as pool:
        priors = _priors(scorer, jobs, pool)
        waiting, pending = deque(range(len(jobs))), {}
        while waiting or pending:
            while waiting and len(pending) < 2 * workers:
                job = waiting.popleft()
                pending[pool.submit(processes.gather, jobs[job][0])] = job, None
            for future in processes.finished(pending):
                (job, start), result = pending.pop(future), future.result()
                video, maps = jobs[job]
                if start is None:
                    chunks = {start: video.frames[start : start + CHUNK] for start in range(0, len(video.frames), CHUNK)}
                    for start, frames in chunks.items():
                        task = pool.submit(processes.score, video, frames, maps, *result, priors.get(job))
                        pending[task] = job, start
                    continue
                scores[job, start] = result
                done += len(video.frames[start : start + CHUNK])
                if progress:
                    progress(Progress(done, total, video.name))
    return scores


def _priors(scorer, jobs, pool):
    """job -> (training part, its centre prior or why there is none); {} if nothing needs one."""
    if not scorer.needs_prior:
        return {}
    parts = {job: scorer.protocol.training_part(video) for job, (video, _) in enumerate(jobs)}
    fitting = {part: pool.submit(processes.fit, part) for part in sorted(set(parts.values()), key=str)}
    fitted = {part: future.result() for part, future in fitting.items()}
    return {job: (part, fitted[part]) for job, part in parts.items()}


def _rows(jobs, scores, models, name, metrics):
    """The columns of `Evaluation.rows`: by model, video, split, frame. name: the prediction's among the models, or None."""
    pieces = {column: [] for column in columns_with(metrics)}
    for model in models:
        for job, (video, maps) in enumerate(jobs):
            for split in video.splits:
                key = (split if split in maps else "") if model == name else model
                if model == name and key not in maps:
                    continue  # a split that the prediction does not have
                chunks = [scores[job, start][key] for start in range(0, len(video.frames), CHUNK)]
                n = len(video.frames)
                piece = {"model": [model] * n, "dataset": [video.dataset] * n, "split": [split] * n, "video": [video.name] * n}
                piece |= {"frame": video.frames, "time": [video.time(frame) for frame in video.frames]}
                piece |= zip(metrics, np.concatenate([chunk.values for chunk in chunks]).T, strict=True)
                piece["note"] = [note for chunk in chunks for note in chunk.notes]
                for column, values in rows_of(piece).items():
                    pieces[column].append(values)
    return {column: np.concatenate(values) for column, values in pieces.items()}
