"""Tiny clips made on the fly."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def pictures(n, width, height):
    """n frames whose brightness tells their index (20 + 6 i) and whose top left quarter is red."""
    frames = np.empty((n, height, width, 3), np.uint8)
    frames[:] = (20 + 6 * np.arange(n)).astype(np.uint8)[:, None, None, None]
    frames[:, : height // 2, : width // 2] = (220, 20, 20)
    return frames


def tone(seconds, rate, hertz=440.0, level=0.5):
    return (level * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def clip(
    path,
    *,
    n=10,
    size=(64, 48),
    fps=25,
    times=None,
    codec="libx264",
    pix_fmt="yuv420p",
    aspect=None,
    sound=None,
    rate=48000,
    layout="mono",
    sound_codec="aac",
    sound_start=0.0,
    format=None,
    options=None,
):
    """Write `n` pictures (0: no video track) and `sound` (channels, samples); returns the path as a string."""
    with av.open(str(path), "w", format=format, options=options or {}) as output:
        packets = []
        if n:
            video = output.add_stream(codec, rate=fps)
            video.width, video.height, video.pix_fmt = *size, pix_fmt
            video.options = {"preset": "ultrafast", "crf": "10", "g": "5"} if codec == "libx264" else {"b": "800k"}
            if aspect is not None:
                video.codec_context.sample_aspect_ratio = Fraction(aspect)
            if times is not None:
                video.codec_context.time_base = Fraction(1, 90000)
        if sound is not None:
            audio = output.add_stream(sound_codec, rate=rate)
            audio.layout = layout
        if n:
            for i, image in enumerate(pictures(n, *size)):
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                if times is not None:
                    frame.pts, frame.time_base = round(times[i] * 90000), Fraction(1, 90000)
                packets += video.encode(frame)
            packets += video.encode(None)
        if sound is not None:
            kind = audio.codec_context.format.name
            if np.ndim(sound) == 2 and len(sound) >= 8:
                kind = kind.removesuffix("p")  # PyAV 18.1 cannot fill 8 planes; the encoder converts
            packed = not kind.endswith("p")
            data = np.atleast_2d(sound)
            if kind.startswith("s"):
                whole = np.dtype(f"int{kind[1:3]}")
                data = np.rint(data * np.float64(np.iinfo(whole).max)).astype(whole)
            for first in range(0, data.shape[1], 1024):
                block = data[:, first : first + 1024]
                block = np.ascontiguousarray(block.T.reshape(1, -1) if packed else block)
                frame = av.AudioFrame.from_ndarray(block, format=kind, layout=layout)
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(sound_start * rate) + first
                packets += audio.encode(frame)
            packets += audio.encode(None)
        for packet in sorted(packets, key=lambda p: float(p.dts * p.time_base)):
            output.mux(packet)
    return str(path)


def turned(path, degrees):
    """A phone's mp4 that says "turn clockwise by `degrees`" in the matrix of its track header."""
    one, unit = 1 << 16, (1 << 30).to_bytes(4, "big")
    a, b, c, d = {90: (0, one, -one, 0), 180: (-one, 0, 0, -one), 270: (0, -one, one, 0)}[degrees]
    pack = lambda *v: b"".join(x.to_bytes(4, "big", signed=True) for x in v)  # noqa: E731
    data = Path(path).read_bytes()
    at = data.index(pack(one, 0, 0, 0, one, 0, 0, 0) + unit, data.index(b"tkhd"))
    Path(path).write_bytes(data[:at] + pack(a, b, 0, c, d, 0, 0, 0) + data[at + 32 :])
