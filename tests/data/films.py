"""Small video files that tell which frame is which, good and bad ones."""

from pathlib import Path

import av
import numpy as np

from stajax.data.jpeg import decode_jpeg


def film(path, *, frames=10, fps=25, size=(64, 48), seconds=None, level=0.5, faststart=False):
    """An mp4 whose frame i is grey 20 + 6 i, its top left quarter red; `seconds` of a 440 Hz tone, None for no sound track."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "+faststart"} if faststart else {}) as output:
        video = output.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "10", "g": "5"}
        audio = None if seconds is None else output.add_stream("aac", rate=16000, layout="mono")
        packets = []
        for i in range(frames):
            image = np.full((size[1], size[0], 3), 20 + 6 * (i % 40), np.uint8)
            image[: size[1] // 2, : size[0] // 2] = (220, 20, 20)
            packets += video.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))
        packets += video.encode(None)
        if audio is not None:
            tone = (level * np.sin(2 * np.pi * 440 * np.arange(round(seconds * 16000)) / 16000)).astype(np.float32)
            for first in range(0, len(tone), 1024):
                block = av.AudioFrame.from_ndarray(tone[None, first : first + 1024], format="fltp", layout="mono")
                block.sample_rate, block.pts = 16000, first
                packets += audio.encode(block)
            packets += audio.encode(None)
        for packet in sorted(packets, key=lambda packet: float(packet.dts * packet.time_base)):
            output.mux(packet)
    return path


def turned(path):
    """The file with the matrix of a phone that was held upright: turn by 90 degrees clockwise."""
    path, one, unit = Path(path), 1 << 16, (1 << 30).to_bytes(4, "big")
    pack = lambda *v: b"".join(x.to_bytes(4, "big", signed=True) for x in v)  # noqa: E731
    data = path.read_bytes()
    at = data.index(pack(one, 0, 0, 0, one, 0, 0, 0) + unit, data.index(b"tkhd"))
    path.write_bytes(data[:at] + pack(0, one, 0, -one, 0, 0, 0, 0) + data[at + 32 :])
    return path


def truncated(path, kept=0.6):
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: int(len(data) * kept)])
    return Path(path)


def without_frames(path):
    """A whole index of frames that are not there."""
    data = Path(path).read_bytes()
    Path(path).write_bytes(data[: data.index(b"mdat") + 4] + b"\0" * 4)
    return Path(path)


def numbers(frames):
    """Which frames of a `film` these JPEGs are."""
    return [round((decode_jpeg(data)[-10:, -10:].mean() - 20) / 6) for data in frames]
