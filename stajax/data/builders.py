"""TFDS builders of tagged clips, without TensorFlow: `Ave`, and `TaggedFolder` for clips of one's own.

    builder = Ave(data_dir="data", workers=8)
    builder.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir="AVE_Dataset"))
    Records(builder.data_dir, name="ave-train")          # or builder.as_data_source("train")

They make the records that `prepare` makes, under TFDS's names and in its folders; TFDS begins a killed run anew, where
`prepare` goes on. With `beam=True` they run as an Apache Beam pipeline, on any runner
(`DownloadConfig(beam_runner=..., beam_options=...)`). Importing this module imports TFDS.
"""

from __future__ import annotations

import abc
import dataclasses
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import tensorflow_datasets as tfds
from etils import epath

from stajax.data.ave import SPLITS, read_ave
from stajax.data.clip import decode, example, features
from stajax.data.clip_lists import ListedClip, check_tags, read_clips, tag_names
from stajax.data.fixations import DataError
from stajax.data.preparation import Decoders, make_record
from stajax.data.recording import DEFAULT, Recording
from stajax.data.shards import CLASSES
from stajax.data.tags import AVE, Classes, table
from stajax.media import MediaWarning


@dataclasses.dataclass(eq=False)
class ClipsConfig(tfds.core.BuilderConfig):
    """What a builder makes. recording: what a record keeps of a clip. clips, classes: for `TaggedFolder`."""

    recording: Recording = DEFAULT
    clips: str | Mapping[str, str] | None = None  # a folder or CSV for `read_clips`, or one for each split
    classes: Classes | None = None  # by default the tags of the clips


class _Clips(tfds.core.GeneratorBasedBuilder):
    """Splits of listed clips to records.

    Args:
        workers: processes that decode, see `prepare`.
        beam: make it as a Beam pipeline instead.
    """

    VERSION = tfds.core.Version("1.0.0")
    code_path = epath.Path(__file__)  # TFDS 4.9.10 looks for it with importlib_resources, which it does not require

    def __init__(self, *, workers: int = 1, beam: bool = False, file_format: str = "array_record", **arguments):
        self._workers, self._beam = workers, beam
        super().__init__(file_format=file_format, **arguments)

    @abc.abstractmethod
    def classes(self) -> dict[str, tuple[str, ...]]:
        """{class: aliases}, in the order of their numbers."""

    def skipped(self, split: str) -> dict[str, str]:
        """{clip: why there is no record of it} of a split that was made."""
        lines = epath.Path(self.data_dir, f"{split}.skipped").read_text().splitlines()
        return dict(line.split("\t", 1) for line in lines)

    def _info(self) -> tfds.core.DatasetInfo:
        names = list(self.classes())
        tags = tfds.features.Sequence(tfds.features.ClassLabel(names=names))  # stored as the numbers that they are
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict({**features(), "tags": tags}), description=" ".join(type(self).__doc__.split())
        )

    def _generate_examples(self, split: str, clips: Sequence[ListedClip]):
        check_tags(clips, self.classes())
        record = partial(make_record, recording=self.builder_config.recording, classes=self.classes())
        folder = epath.Path(self.data_dir)  # a temporary one, until all is there
        folder.joinpath(CLASSES).write_text(json.dumps(self.classes(), ensure_ascii=False))
        skipped = folder / f"{split}.skipped"
        return _pipeline(clips, record, skipped) if self._beam else self._generate(clips, record, skipped)

    def _generate(self, clips, record, skipped: epath.Path) -> Iterator[tuple[str, dict]]:
        lines = []
        with Decoders(record, self._workers) as decoders:
            for clip, (data, notes) in decoders.results(clips):
                for note in notes:
                    warnings.warn(note if data is not None else f"skipped {note}", MediaWarning, stacklevel=2)
                if data is None:
                    lines.append(f"{clip.name}\t{notes[0]}\n")
                else:
                    yield clip.name, example(decode(data))
        skipped.write_text("".join(lines))


class Ave(_Clips):
    """AVE, 4143 clips of 10 s with the 28 categories of what is seen and heard in them (Tian et al., ECCV 2018)."""

    BUILDER_CONFIGS = [ClipsConfig(name="default")]  # noqa: RUF012, TFDS reads it
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"manual_dir is the unpacked AVE_Dataset: AVE/<VideoID>.mp4 and {', '.join(SPLITS.values())}."
    )

    def classes(self) -> dict[str, tuple[str, ...]]:
        return table(AVE)

    def _split_generators(self, dl_manager) -> dict:
        splits = [split for split in SPLITS if split != "all"]
        return {split: self._generate_examples(split, read_ave(dl_manager.manual_dir, split)) for split in splits}


class TaggedFolder(_Clips):
    """Clips of one's own with their tags: a folder with a subfolder for each tag, or a CSV of paths and tags."""

    def classes(self) -> dict[str, tuple[str, ...]]:
        listed = self._listed()
        classes = self.builder_config.classes or tag_names(clip for clips in listed.values() for clip in clips)
        return {name: tuple(classes[name]) if isinstance(classes, Mapping) else () for name in classes}

    def _listed(self) -> dict[str, list[ListedClip]]:
        clips = self.builder_config and self.builder_config.clips
        if not clips:
            raise DataError('TaggedFolder: no clips; give config=ClipsConfig(name="mine", clips="folder or CSV")')
        return {split: read_clips(path) for split, path in (clips if isinstance(clips, Mapping) else {"train": clips}).items()}

    def _split_generators(self, dl_manager) -> dict:
        return {split: self._generate_examples(split, clips) for split, clips in self._listed().items()}


def _pipeline(clips, record, skipped: epath.Path):
    """The same as a Beam transform; lines of skipped clips go to a file, and to the counter stajax/skipped."""
    import apache_beam as beam

    recorded = "Clips" >> beam.Create(list(clips)) | beam.Reshuffle() | "Record" >> beam.Map(_recorded, record)

    @beam.ptransform_fn
    def examples(begin):
        results = begin | recorded
        write = beam.io.WriteToText(str(skipped), num_shards=1, shard_name_template="")
        _ = results | "Skipped" >> beam.FlatMap(_skipped) | "Write names" >> write
        return results | "Examples" >> beam.FlatMap(_examples)

    return examples()


def _recorded(clip: ListedClip, record) -> tuple:
    return clip.name, *record(clip)


def _skipped(result: tuple) -> Iterator[str]:
    from apache_beam.metrics import Metrics

    name, data, notes = result
    for note in notes:
        logging.getLogger(__name__).warning(note if data is not None else f"skipped {note}")
    if data is None:
        Metrics.counter("stajax", "skipped").inc()
        yield f"{name}\t{notes[0]}"


def _examples(result: tuple) -> Iterator[tuple[str, dict]]:
    name, data, _ = result
    if data is not None:
        yield name, example(decode(data))
