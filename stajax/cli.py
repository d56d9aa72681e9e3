"""`stajax <command>`: parses, calls one function, prints. Exit code 0: done; 1: failed; 2: bad input."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from stajax import __version__

PREDICT_EXAMPLES = """\
examples:
  stajax predict clip.mp4 -o out
  stajax predict holiday/ more/*.mov -o out --size 640x360 --png
  stajax predict clip.mp4 -o out --no-overlay --batch 64     # a GPU likes larger batches

writes, for each clip:
  out/<clip>/maps.npz      maps (T, h, w) float16 in [0, 1], time (T,) s, fps; numpy.load reads it
  out/<clip>/overlay.mp4   the clip under its maps, with its sound
A rerun skips what is done and repeats what was interrupted.
"""

CONVERT_EXAMPLES = """\
examples:
  stajax convert STANet.pth -o stanet
  stajax convert STANet.pth STAGCN.pth 27001.pt -o stanet-plus     # STA, STA+ and the audio switch: one model, fused
  stajax convert short=A.pth long=B.pth -o both                    # names of the nets, where two are of one kind
  stajax predict clip.mp4 --weights stanet-plus --fusion released_max

Reads .pth, .pt, .pth.tar, .safetensors and .npz, and runs nothing that is in them. What the net is, its tensors tell:
S, SA, ST, S+, SA+, ST+, STA, STA+ and the audio switch of both releases, VGG-16, ResNet-50, ResNeXt-101 32x8d, VGGSound's net.
Writes a model folder with conversion_report.json: every tensor, where it went, its shape, norm and checksum.
"""

DOCTOR_EXAMPLES = """\
example:
  stajax doctor

Prints versions and devices, then makes a one-second clip with a moving square and a tone, predicts it and checks the result.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = _parser().parse_args(argv)
    from stajax.convert.errors import ConvertError
    from stajax.encoders.params import WeightsError
    from stajax.media import MediaError, OutputError

    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except OutputError as error:
        return _complain(error, 1)
    except (MediaError, WeightsError, ConvertError) as error:
        return _complain(error, 2)
    except KeyboardInterrupt:
        return _complain("interrupted; a rerun goes on with the clips that are not done", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader (head, less) has gone
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stajax", description="Where people look in a video with sound.")
    parser.add_argument("--version", action="version", version=f"stajax {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    raw = argparse.RawDescriptionHelpFormatter

    predict = commands.add_parser(
        "predict", help="fixation maps and overlay videos for clips", epilog=PREDICT_EXAMPLES, formatter_class=raw
    )
    predict.add_argument("clips", nargs="+", metavar="VIDEO", help="video or picture files, or folders of them")
    predict.add_argument("-o", "--out", default="out", metavar="DIR", help="where the results go (default: out)")
    predict.add_argument(
        "--weights", default="sta-lite", metavar="W", help="a model that ships, or a model folder (default: sta-lite)"
    )
    predict.add_argument("--nets", type=_names, metavar="N,N", help="which nets of the model to run (default: all)")
    predict.add_argument(
        "--fusion",
        default="paper",
        metavar="F",
        help="how the maps of several nets become one: paper (Eq. 21, the default), paper_agg (Eq. 23), released_max",
    )
    predict.add_argument("--size", type=_size, metavar="WxH", help="size of the maps (default: the net's output size)")
    predict.add_argument("--batch", type=_batch, default=16, metavar="N", help="frames per call, 1..1024 (default: 16)")
    predict.add_argument("--png", action="store_true", help="also write each map as a grey picture: DIR/<clip>/png/000000.png")
    predict.add_argument("--no-overlay", action="store_true", help="do not write overlay.mp4")
    predict.add_argument("--overwrite", action="store_true", help="predict again what is done, or over another clip's results")
    predict.set_defaults(run=_predict)

    convert = commands.add_parser(
        "convert", help="a PyTorch checkpoint to a model folder", epilog=CONVERT_EXAMPLES, formatter_class=raw
    )
    convert.add_argument("files", nargs="+", metavar="[NET=]FILE", help="checkpoint files; NET= sets the name of its net")
    convert.add_argument("-o", "--out", required=True, metavar="DIR", help="the model folder to write")
    convert.add_argument("--float16", action="store_true", help="halve the folder; rounds the numbers to 3 digits")
    convert.set_defaults(run=_convert)

    doctor = commands.add_parser(
        "doctor", help="check the installation and the devices", epilog=DOCTOR_EXAMPLES, formatter_class=raw
    )
    doctor.set_defaults(run=_doctor)
    return parser


def _predict(arguments: argparse.Namespace) -> int:
    from stajax import inference
    from stajax.inference.clips import jobs
    from stajax.inference.compile_cache import enable

    jobs(arguments.clips, arguments.out)  # bad names fail before anything is loaded
    enable()
    try:
        model = inference.load(arguments.weights, batch=arguments.batch, nets=arguments.nets, fusion=arguments.fusion)
    except ValueError as error:
        return _complain(error, 2)
    printer = ProgressPrinter(batch=arguments.batch)
    summary = inference.predict_clips(
        model,
        arguments.clips,
        arguments.out,
        size=arguments.size,
        overlay=not arguments.no_overlay,
        png=arguments.png,
        overwrite=arguments.overwrite,
        report=printer,
    )
    printer.close(summary, arguments.out)
    return 2 if summary.failed else 0


def _convert(arguments: argparse.Namespace) -> int:
    from stajax.convert import convert

    # A file may have "=" in its name: what exists is a file.
    sources = [(None, x) if Path(x).exists() or "=" not in x else tuple(x.split("=", 1)) for x in arguments.files]
    done = convert(
        sources,
        arguments.out,
        dtype="float16" if arguments.float16 else "float32",
        report=lambda message: print(message, file=sys.stderr),
    )
    print(f"{', '.join(made.title for made in done)} -> {arguments.out}; conversion_report.json lists every tensor")
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from stajax.inference.doctor import examine

    healthy = True
    for finding in examine():
        print(f"{'ok  ' if finding.ok else 'BAD '} {finding.what}")
        if finding.mend:
            print(f"     {finding.mend}")
        healthy &= finding.ok
    return 0 if healthy else 1


class ProgressPrinter:
    """Prints what `predict_clips` reports: a live line on a terminal, one line per clip elsewhere.

    batch: frames that arrive at once. The first of a clip may wait for the compilation, so the rate of a clip of at least
    three batches leaves them out.
    """

    def __init__(self, stream=None, *, batch: int = 16):
        self.stream, self.batch = stream or sys.stderr, batch
        self.live = self.stream.isatty()
        self.begun = self.warm = self.shown = 0.0  # of this clip: its start, the end of its first batch; the last live line
        self.finished, self.spent = 0, 0.0  # clips predicted so far, and the seconds they took

    def __call__(self, progress) -> None:
        now, name = time.monotonic(), f"[{progress.number}/{progress.count}] {progress.clip.name}"
        if progress.kind == "start":
            self.begun = now
        elif progress.kind == "frame":
            if progress.frames == self.batch:
                self.warm = now
            if self.live and now - self.shown > 0.2:
                self.shown = now
                text = f"{name}: {self._frames(progress, now)}"
                self._line(text[: shutil.get_terminal_size().columns - 1], end="")  # of two rows only one can be erased
        elif progress.kind == "done":
            self.finished, self.spent = self.finished + 1, self.spent + now - self.begun
            self._line(f"{name}: {progress.frames} frames, {self._rate(progress.frames, now):.0f} frames/s")
        elif progress.kind == "skipped":
            self._line(f"{name}: {progress.message or 'done already'}")
        elif progress.kind in ("warning", "failed"):
            self._line(f"stajax: {'warning: ' if progress.kind == 'warning' else ''}{progress.message}")

    def _rate(self, frames: int, now: float) -> float:
        if frames < 3 * self.batch:
            return frames / max(now - self.begun, 1e-3)
        return (frames - self.batch) / max(now - self.warm, 1e-3)

    def _frames(self, progress, now: float) -> str:
        rate = self._rate(progress.frames, now)
        if not progress.expected or progress.frames > progress.expected:
            return f"{progress.frames} frames, {rate:.0f} frames/s"
        left = (progress.expected - progress.frames) / rate
        text = f"{progress.frames}/{progress.expected} frames, {rate:.0f} frames/s, {_clock(left)} left"
        if self.finished and progress.number < progress.count:
            left += (progress.count - progress.number) * self.spent / self.finished
            text += f", about {_clock(left)} left in all"
        return text

    def close(self, summary, out: str) -> None:
        counts = [(len(summary.done), "predicted"), (len(summary.skipped), "skipped"), (len(summary.failed), "failed")]
        print(", ".join(f"{count} {what}" for count, what in counts if count) + f"; results in {Path(out)}")

    def _line(self, text: str, end: str = "\n") -> None:
        erase = "\r\x1b[K" if self.live else ""
        print(f"{erase}{text}", end=end, file=self.stream, flush=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}" if minutes >= 60 else f"{minutes}:{seconds:02d}"


def _complain(error, code: int) -> int:
    erase = "\r\x1b[K" if sys.stderr.isatty() else ""  # the progress line, if one stands there
    print(f"{erase}stajax: {error}", file=sys.stderr)
    return code


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; give WIDTHxHEIGHT, for example 640x360") from None
    if not (1 <= width <= 8192 and 1 <= height <= 8192):
        raise argparse.ArgumentTypeError(f"{text}: width and height must lie in 1..8192")
    return width, height


def _batch(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number in 1..1024")
    return int(text)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names no net; give for example sta, or leave the option out")
    return names


if __name__ == "__main__":
    sys.exit(main())
