"""One clip as a record: its frames as JPEG, its sound as 16 kHz mono, a `tf.train.Example` made by TFDS without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from stajax.data.fixations import DataError


@dataclass(frozen=True, eq=False)
class Clip:
    """One clip, as a record holds it."""

    name: str
    tags: np.ndarray  # (n,) int64, indices into the data set's classes; empty = untagged
    frames: list[bytes]  # JPEG of each kept frame
    times: np.ndarray  # (T,) float32 seconds from the start of the clip
    fps: float  # of the kept frames
    sound: np.ndarray  # (S,) int16 mono at 16 kHz, sample 0 at time 0; empty = no sound track
    maps: np.ndarray | None = None  # (T, h, w) uint8, pseudo-fixations times 255
    valid: np.ndarray | None = None  # (T,) bool: the frame has a map

    def waveform(self) -> np.ndarray:
        """(S,) float32 in [-1, 1], as the nets hear it."""
        return self.sound.astype(np.float32) / 32768


@cache
def features(maps: bool = False):
    """The record as a `tfds.features.FeaturesDict`; `maps`: with pseudo-fixations."""
    import tensorflow_datasets as tfds

    f = tfds.features
    raw = f.Encoding.BYTES  # a tenth of the time that a list of integers takes
    record = {
        "name": f.Text(),
        "tags": f.Tensor(shape=(None,), dtype=np.int64),
        "frames": f.Sequence(f.Text()),  # bytes; an Image feature needs TensorFlow
        "times": f.Tensor(shape=(None,), dtype=np.float32),
        "fps": np.float32,
        "sound": f.Tensor(shape=(None,), dtype=np.int16, encoding=raw),
    }
    if maps:
        record["maps"] = f.Tensor(shape=(None, None, None), dtype=np.uint8, encoding=raw)
        record["valid"] = f.Tensor(shape=(None,), dtype=np.bool_)
    return f.FeaturesDict(record)


def example(clip: Clip) -> dict:
    """`clip` as the dict that `features` encodes. Raises DataError where its parts do not fit together."""
    frames = len(clip.frames)
    values = {
        "name": clip.name,
        "tags": np.asarray(clip.tags, np.int64),
        "frames": list(clip.frames),
        "times": np.asarray(clip.times, np.float32),
        "fps": np.float32(clip.fps),
        "sound": np.asarray(clip.sound, np.int16),
    }
    if clip.maps is not None:
        values |= {"maps": np.asarray(clip.maps, np.uint8), "valid": np.asarray(clip.valid, np.bool_)}
    for what in ("times", "maps", "valid"):
        if what in values and values[what].shape[:1] != (frames,):
            raise DataError(f"clip {clip.name}: {frames} frames, but {what} of shape {values[what].shape}")
    return values


def encode(clip: Clip) -> bytes:
    """`clip` as one serialised record, always the same bytes. Raises DataError where its parts do not fit together."""
    kind = features(clip.maps is not None)
    message = _serializer(clip.maps is not None).get_tf_example(kind.encode_example(example(clip)))
    return message.SerializeToString(deterministic=True)  # `kind.serialize_example` orders the fields by chance


def decode(data: bytes) -> Clip:
    """The clip of a serialised record; its frames stay JPEG. Raises DataError for bytes that are no such record."""
    try:
        parsed = _parser().parse_example(data)
        kind = features(maps=parsed["valid"] is not None)
        values = kind.decode_example_np({key: parsed[key] for key in kind})
    except Exception as error:  # protobuf, TFDS and NumPy each have their own
        raise DataError(f"not a clip record ({reason(error)})") from error
    values |= {"name": values["name"].decode(), "frames": list(values["frames"])}
    return Clip(**values)


@cache
def _serializer(maps: bool):
    from tensorflow_datasets.core.example_serializer import ExampleSerializer

    return ExampleSerializer(features(maps).get_serialized_info())


@cache
def _parser():
    from tensorflow_datasets.core.example_parser import ExampleParserNp

    return ExampleParserNp(features(maps=True).get_serialized_info())


def reason(error: BaseException) -> str:
    """The first line of what is wrong."""
    return (str(error) or type(error).__name__).splitlines()[0]
