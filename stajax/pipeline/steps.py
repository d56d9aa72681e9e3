"""The steps of a pipeline: records, SCAM's nets, crops, fine nets, company, pseudo-fixations, fixation nets, their maps."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict

from stajax.data import tags
from stajax.data.clip_lists import of_frequent_tags, read_clips, tag_names
from stajax.data.composites import Composites
from stajax.data.photographs import Pans, Photographs, pictures_in
from stajax.data.pictures import read_colour
from stajax.data.preparation import prepare
from stajax.data.recording import Recording
from stajax.data.records import Records, write_records
from stajax.data.split import held_out
from stajax.data.synthetic import SyntheticAVE, SyntheticConfig, write_synthetic
from stajax.inference.clips import Progress
from stajax.inference.crops import crop_records
from stajax.inference.predict import load
from stajax.inference.pseudofix import FINE, Settings
from stajax.inference.pseudofix import load as load_pseudofix
from stajax.inference.pseudofix_records import pseudofix_records
from stajax.inference.record_shards import Made
from stajax.inference.self_tagged import SIZES, SelfTagged
from stajax.media.atomic import replacing, writing
from stajax.pipeline.assemble import assemble
from stajax.pipeline.config import taking_part
from stajax.pipeline.humans import agreed_records, osie_records
from stajax.pipeline.manifest import digest
from stajax.pipeline.predicted import predict_records
from stajax.pipeline.run import Step
from stajax.pipeline.synthetic import score
from stajax.training.config import STAGES, ConfigError
from stajax.training.tagger import tag_records
from stajax.training.train import train

Say = Callable[[str], None]


def steps_of(config: ConfigDict, workdir: Path, say: Say) -> list[Step]:
    """All steps of a pipeline, in order. Raises ConfigError for a configuration that makes no sense."""
    return _Steps(config, workdir, say).all()


class _Steps:
    """Makes steps that know where the others put their results."""

    def __init__(self, config: ConfigDict, workdir: Path, say: Say):
        self.config, self.workdir, self.say = config, workdir, say
        self.share = {"process": jax.process_index(), "processes": jax.process_count()}
        self.synthetic = config.data.clips == "synthetic" and not config.data.records
        self.records = Path(config.data.records) if config.data.records else workdir / "records"
        self.sets = {"records": self.records}  # what the nets learn tags from: name -> folder
        if config.data.composites:
            self.sets["composites"] = workdir / "composites"
        if renamed := [name for name, stage in config.stages.items() if stage.stage != name]:
            raise ConfigError(f"stages.{renamed[0]}.stage={config.stages[renamed[0]].stage!r}: it must be its own name")
        if not (config.data.clips or config.data.records):
            raise ConfigError("data.clips: which clips? give a CSV of path,tag, a folder of TAG/CLIP, or data.records=FOLDER")

    def all(self) -> list[Step]:
        stages = taking_part(self.config)
        switch = [name for name in stages if STAGES[name].task == "switch"]
        fixation = [name for name in stages if STAGES[name].task == "fixation"]
        classes = [name for name in stages if STAGES[name].task == "classification"]
        fine = [name for name in classes if STAGES[name].fine]
        company = [name for name in classes if STAGES[name].granularity != "none"]
        own = [name for name in classes if name not in fine and name not in company]
        if not (own or company):
            raise ConfigError("stages: pseudo-fixations need a classification net, such as s or s_plus_long")
        if fine and not own:
            raise ConfigError(f"stages: {', '.join(fine)} look into the boxes of s, st or sa, of which none takes part")
        steps = [self._records(), *([self._composites()] if self.config.data.composites else [])]
        steps += [self._heard(tuple(self.sets))] if self.config.switch else []
        data = [step.name for step in steps]
        steps += [self._train(name, data) for name in (*switch, *own)]
        if fine:
            steps += [self._model("coarse", {"coarse": own}, switch), self._crops(data)]
            steps += [*(self._train(name, [*data, "crops"], "crops") for name in fine)]
        steps += [self._train(name, data) for name in company]
        steps.append(self._model("scam", {"coarse": [*own, *company], FINE: fine}, switch))
        steps.append(self._pseudofix(data))
        pictures = [self._pictures()] if self.config.data.pictures and fixation else []
        steps += pictures
        needs = [*data, "pseudofix", *(step.name for step in pictures)]
        steps += [self._train(name, needs, "pseudo") for name in fixation]
        if fixation:
            steps += [self._model("model", {"nets": fixation}, switch), self._predict()]
        if fixation and self.config.data.humans:
            steps += self._tuned(fixation, switch, data)
        if self.synthetic:
            controls = [self._spatial(fixation[0], needs)] if fixation else []
            steps += [*controls, self._score(fixation, [step.name for step in controls])]
        return steps

    # Data.

    def _records(self) -> Step:
        data = self.config.data
        if data.records:
            made_of = [entry._asdict() for entry in Records(data.records).entries]
            return Step("records", (), made_of, lambda place: {"clips": len(made_of)}, "records", f"records in {data.records}")
        if self.synthetic:
            return Step("records", (), self._synthetic_settings(), self._write_synthetic, "records", "synthetic clips")
        listed = of_frequent_tags(read_clips(data.clips, tuple(data.columns)), data.least)
        if not listed:
            raise ConfigError(f"data.least={data.least}: no tag has so many clips in {data.clips}")
        files = [(clip.name, clip.tags, clip.path.stat().st_size if clip.path.is_file() else -1) for clip in listed]
        kept = {key: data[key] for key in ("fps", "short_side", "seconds", "classes")}

        def run(place: Path) -> Mapping[str, Any]:
            recording = Recording(fps=data.fps or None, short_side=data.short_side or None, seconds=data.seconds or None)
            options = {"recording": recording, "shards": data.shards, "workers": max(1, data.workers)}
            process = (self.share["process"], self.share["processes"])
            found = prepare(listed, self._classes(listed), place, process=process, report=self._prepared, **options)
            return {"clips": found.records, "frames": found.frames, "skipped": len(found.skipped)}

        return Step("records", (), [files, kept], run, "records", f"{len(listed)} clips of {data.clips} as records")

    def _classes(self, listed) -> dict[str, tuple[str, ...]]:
        """Those that the configuration names, else the tags of the clips; with the aliases that stajax knows for them."""
        names = tags.split(self.config.data.classes) or tag_names(listed)
        known = {tag.name.lower(): tag for table in (tags.ESC10, tags.CLIPS, tags.AVE) for tag in table}
        return {name: known[name.lower()].aliases if name.lower() in known else () for name in names}

    def _prepared(self, progress) -> None:
        if progress.kind == "skipped":
            self.say(f"   skipped: {progress.message}")

    def _synthetic_settings(self) -> dict:
        return {**self.config.data.synthetic.to_dict(), "seed": self.config.seed}

    def _clips(self, *, test: bool = False) -> SyntheticAVE:
        """The training set, or an eighth as many other clips to score on."""
        settings = self._synthetic_settings()
        count, seed = settings.pop("clips"), settings.pop("seed")
        return SyntheticAVE(-(-count // 8) if test else count, seed=2 * seed + test, config=SyntheticConfig(**settings))

    def _write_synthetic(self, place: Path) -> Mapping[str, Any]:
        if self.share["process"] == 0:
            write_synthetic(place, self._clips(), shards=self.config.data.shards)
            write_synthetic(place / "test", self._clips(test=True))
        return {"clips": self.config.data.synthetic.clips}

    def _composites(self) -> Step:
        count, size = self.config.data.composites, max(stage.model.size for stage in self.config.stages.values())

        def run(place: Path) -> Mapping[str, Any]:
            if self.share["process"] == 0:
                records = Records(self.records)
                every = max(stage.validation for stage in self.config.stages.values())
                rows = held_out(records.entries, every)["training"].tolist() if every else None
                made = Composites(records, count, rows=rows, size=size, seed=self.config.seed)
                write_records(place, made, records.classes, made_of=f"composites in pairs {count} {size} {self.config.seed}")
            return {"clips": count}

        what = "two clips in a picture, with the sound of one, then of the other"
        return Step("composites", ("records",), ["pairs", count, size, self.config.seed], run, "composites", what)

    def _pictures(self) -> Step:
        files = pictures_in(self.config.data.pictures)
        pans = Pans(size=self.config.stages[next(iter(self.config.stages))].model.size)

        def run(place: Path) -> Mapping[str, Any]:
            if self.share["process"] == 0:
                look, names = SelfTagged(), [file.stem for file in files]
                saliency = cache(lambda number: look(read_colour(files[number]))[0])  # of its mirror image and pans, too
                image = lambda number: read_colour(files[number])  # noqa: E731
                photographs = Photographs(names, image, saliency, pans=pans, seed=self.config.seed)
                write_records(place, photographs, Records(self.records).classes, made_of=digest([str(f) for f in files]))
            return {"pictures": len(files)}

        what = f"pseudo-fixations of {len(files)} pictures without tags"
        return Step("pictures", ("records",), [[file.name for file in files], SIZES, self.config.seed], run, "pictures", what)

    def _heard(self, sets: tuple[str, ...]) -> Step:
        def run(place: Path) -> Mapping[str, Any]:
            if self.config.tagger == "given":
                return {}
            every = lambda done, count: done % 50 or self.say(f"   heard {done} of {count} clips")  # noqa: E731
            hops = 0
            for folder in self.sets.values() if self.share["process"] == 0 else ():
                hops += sum(map(len, tag_records(Records(folder), report=every).values()))
            return {"hops": hops}

        if self.config.tagger not in ("yamnet", "given"):
            raise ConfigError(f"tagger={self.config.tagger!r}: known: yamnet, given")
        return Step("heard", sets, self.config.tagger, run, "heard", "what the sound tagger hears, for the audio switch")

    def _crops(self, data: Sequence[str]) -> Step:
        def run(place: Path) -> Mapping[str, Any]:
            model = load_pseudofix(self.workdir / "coarse", settings=self._settings())
            size = max(
                self.config.stages[name].model.size for name, stage in self.config.stages.items() if STAGES[stage.stage].fine
            )
            options = {"size": size, **self._maps()}
            return _summed(crop_records(model, Records(of), place / name, **options) for name, of in self.sets.items())

        return Step("crops", (*data, "coarse"), self._settings_dict(), run, "crops", "boxes of the coarse stage, cut out")

    # Nets.

    def _train(self, name: str, needs: Sequence[str], records: str = "records", stage: ConfigDict | None = None) -> Step:
        """Train `stage`, by default the one of this name, on the clips, their "crops" or their maps ("pseudo")."""
        stage = stage or self.config.stages[name].copy_and_resolve_references()
        places = [self.workdir / records / name for name in self.sets] if records != "records" else list(self.sets.values())
        # The frames of pseudo-fixations are the clips' own. Features lie in what they were made of, and go with it.
        seen = places if records == "crops" else list(self.sets.values())
        if records == "pseudo" and self.config.data.pictures:
            places, seen = [*places, self.workdir / "pictures"], [*seen, self.workdir / "pictures"]
        return self._stage(name, stage, needs, places, seen)

    def _stage(self, name: str, stage: ConfigDict, needs: Sequence[str], places: Sequence[Path], seen: Sequence[Path]) -> Step:
        """Train `stage` on the records in `places`; `seen`: where the features of its frames lie, of each set."""
        with stage.unlocked():
            stage.records, stage.heard = (";".join(map(str, folders)) for folders in (places, self.sets.values()))
            stage.seed, stage.switch = self.config.seed, stage.switch if self.config.switch else "open"
            if self.config.cache and {"frames", "sound"} <= set(stage.freeze):
                features = f"features-{stage.model.frames}-{stage.model.size}"
                stage.cache = ";".join(str(folder / features) for folder in seen)
        settings = json.loads(stage.to_json())
        for key in ("records", "heard", "cache", "init", "validation_records", "workers", "log", "checkpoint"):
            settings.pop(key)

        def run(place: Path) -> Mapping[str, Any]:
            result = train(stage, place)
            return {"step": result.step, **result.metrics}

        what = f"train {STAGES[stage.stage].net} for {stage.steps} steps"
        return Step(name, tuple(needs), settings, run, f"train/{name}", what)

    def _spatial(self, stage: str, needs: Sequence[str]) -> Step:
        """The control of a score: a fixation net that learns from the same maps and sees neither motion nor sound."""
        changed = self.config.stages[stage].copy_and_resolve_references()
        changed.net.use_temporal = changed.net.use_sound = False
        return self._train("spatial", needs, "pseudo", changed)._replace(what=f"train {stage} without motion and sound")

    def _tuned(self, fixation: Sequence[str], switch: list[str], data: Sequence[str]) -> list[Step]:
        """Fine-tuning on people's fixations.

        First the first net on photographs alone. What it and the pseudo-fixations agree on for the clips are targets that keep
        motion and sound alive; then all nets on both.
        """
        kind, _, root = self.config.data.humans.partition(":")
        if kind != "osie":
            raise ConfigError(f"data.humans={self.config.data.humans}: give osie:FOLDER")
        pans = Pans(size=self.config.stages[fixation[0]].model.size)

        def humans(place: Path) -> Mapping[str, Any]:
            if self.share["process"] == 0:
                osie_records(root, place, Records(self.records).classes, pans=pans, seed=self.config.seed)
            return {}

        def agreed(place: Path) -> Mapping[str, Any]:
            people = load(self.workdir / "train" / "people" / "model")
            sets = ((Records(self.workdir / "pseudo" / name), place / name) for name in self.sets)
            return _summed(agreed_records(people, of, to, **self._maps()) for of, to in sets)

        train, held = self.workdir / "humans" / "training", self.workdir / "humans" / "validation"
        clips = [self.workdir / "agreed" / name for name in self.sets]

        def tuned(stage: str, name: str, sets: Sequence[Path], seen: Sequence[Path], needs: Sequence[str]) -> Step:
            tuning, photographs = self.config.tuning, len(sets) == 1
            changed = self.config.stages[stage].copy_and_resolve_references()
            with changed.unlocked():
                changed.init, changed.validation_records = str(self.workdir / "train" / stage / "model"), str(held)
                changed.steps = tuning.steps
                changed.repeats = () if photographs else (tuning.repeats[0], *[tuning.repeats[1]] * (len(sets) - 1))
            return self._stage(name, changed, [*needs, "humans", stage], sets, [*seen, held])

        steps = [
            Step(
                "humans", ("records",), [root, dataclasses.asdict(pans)], humans, "humans", "people's fixations on photographs"
            )
        ]
        steps.append(tuned(fixation[0], "people", [train], [train], []))
        what = "maps of the clips that people's fixations and tags agree on"
        steps.append(Step("agreed", ("pseudofix", "people"), [], agreed, "agreed", what))
        names = [f"tuned_{stage}" for stage in fixation]
        own = list(self.sets.values())
        steps += [
            tuned(stage, name, [train, *clips], [train, *own], [*data, "agreed"])
            for stage, name in zip(fixation, names, strict=True)
        ]
        return [*steps, self._model("tuned", {"nets": names}, switch)]

    def _model(self, name: str, members: Mapping[str, list[str]], switch: list[str]) -> Step:
        parts = {member: stages for member, stages in members.items() if stages}
        models = lambda stages: [self.workdir / "train" / stage / "model" for stage in stages]  # noqa: E731

        def run(place: Path) -> Mapping[str, Any]:
            if self.share["process"] == 0:
                paths, phi = {member: models(stages) for member, stages in parts.items()}, next(iter(models(switch)), None)
                assemble(place, paths, switch=phi, name=name, classes=Records(self.records).classes)
            return {"nets": sum(len(stages) for stages in parts.values())}

        needs = (*switch, *(stage for stages in parts.values() for stage in stages))
        return Step(name, needs, parts, run, name, "put the nets into one model")

    # Maps.

    def _maps(self) -> dict[str, Any]:
        """How maps of all clips are made."""
        return {"shards": self.config.data.shards, "report": self._told, **self.share}

    def _told(self, progress: Progress) -> None:
        if progress.kind == "failed":
            self.say(f"   left out: {progress.message}")
        elif progress.kind == "done" and progress.number % 20 == 0:
            self.say(f"   {progress.number} of {progress.count} clips")

    def _settings(self) -> Settings:
        return Settings(**{key: value or None if key == "side" else value for key, value in self.config.pseudofix.items()})

    def _settings_dict(self) -> dict:
        return dataclasses.asdict(self._settings())

    def _pseudofix(self, data: Sequence[str]) -> Step:
        def run(place: Path) -> Mapping[str, Any]:
            model = load_pseudofix(self.workdir / "scam", settings=self._settings())
            sets = ((Records(of), place / name) for name, of in self.sets.items())
            return _summed(pseudofix_records(model, of, to, **self._maps()) for of, to in sets)

        return Step("pseudofix", (*data, "scam"), self._settings_dict(), run, "pseudo", "pseudo-fixations of all clips")

    def _predict(self) -> Step:
        def run(place: Path) -> Mapping[str, Any]:
            if self.share["process"] > 0:
                return {}
            return predict_records(self.workdir / "model", self._unseen(), place, fusion=self.config.fusion)

        return Step(
            "predict", ("model",), self.config.fusion, run, "predict", "fixation maps of clips that no net has learned from"
        )

    def _unseen(self) -> Records:
        return Records(self.records / "test") if self.synthetic else Records(self.records)

    def _score(self, fixation: list[str], controls: list[str]) -> Step:
        def run(place: Path) -> Mapping[str, Any]:
            if self.share["process"] > 0:
                return {}
            scores = score(self.workdir, self.records / "test", fixation, controls, self._settings())
            place.mkdir(parents=True, exist_ok=True)
            with replacing(place / "hits.json") as part, writing(place):
                part.write_text(json.dumps(scores, indent=1) + "\n")
            return scores

        needs = ("scam", *fixation, *controls, *(["model"] if fixation else []))
        return Step("score", needs, self._settings_dict(), run, "score", "how often a map's peak lies in the sounding object")


def _summed(made: Iterable[Made]) -> dict[str, Any]:
    parts = list(made)
    clips, frames, valid = (sum(getattr(part, name) for part in parts) for name in ("clips", "frames", "valid"))
    return {"clips": clips, "frames": frames, "valid": valid / max(frames, 1)}
