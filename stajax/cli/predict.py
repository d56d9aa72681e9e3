"""`stajax predict`."""

from __future__ import annotations

import argparse

from stajax.cli import arguments
from stajax.cli.progress import ProgressPrinter, complain

EXAMPLES = """\
examples:
  stajax predict clip.mp4 -o out
  stajax predict holiday/ more/*.mov -o out --size 640x360 --png
  stajax predict clip.mp4 -o out --no-overlay --batch 64     # a GPU likes larger batches

writes, for each clip:
  out/<clip>/maps.npz      maps (T, h, w) float16 in [0, 1], time (T,) s, fps; numpy.load reads it
  out/<clip>/overlay.mp4   the clip under its maps, with its sound
A rerun skips what is done and repeats what was interrupted.
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "predict",
        help="fixation maps and overlay videos for clips",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", nargs="+", metavar="VIDEO", help="video or picture files, or folders of them")
    parser.add_argument("-o", "--out", default="out", metavar="DIR", help="where the results go (default: out)")
    parser.add_argument(
        "--weights", default="sta-lite", metavar="W", help="a model that ships, or a model folder (default: sta-lite)"
    )
    parser.add_argument("--nets", type=arguments.names, metavar="N,N", help="which nets of the model to run (default: all)")
    parser.add_argument(
        "--fusion",
        default="paper",
        metavar="F",
        help="how the maps of several nets become one: paper (Eq. 21, the default), paper_agg (Eq. 23), released_max",
    )
    parser.add_argument("--size", type=arguments.size, metavar="WxH", help="size of the maps (default: the net's output size)")
    parser.add_argument("--batch", type=arguments.count, default=16, metavar="N", help="frames per call, 1..1024 (default: 16)")
    parser.add_argument("--png", action="store_true", help="also write each map as a grey picture: DIR/<clip>/png/000000.png")
    parser.add_argument("--no-overlay", action="store_true", help="do not write overlay.mp4")
    parser.add_argument("--overwrite", action="store_true", help="predict again what is done, or over another clip's results")
    parser.set_defaults(run=_run, interrupted="; a rerun goes on with the clips that are not done")


def _run(given: argparse.Namespace) -> int:
    from stajax import inference
    from stajax.inference.clips import jobs
    from stajax.inference.compile_cache import enable

    jobs(given.clips, given.out)  # bad names fail before anything is loaded
    enable()
    try:
        model = inference.load(given.weights, batch=given.batch, nets=given.nets, fusion=given.fusion)
    except ValueError as error:
        return complain(error, 2)
    printer = ProgressPrinter(batch=given.batch)
    summary = inference.predict_clips(
        model,
        given.clips,
        given.out,
        size=given.size,
        overlay=not given.no_overlay,
        png=given.png,
        overwrite=given.overwrite,
        report=printer,
    )
    printer.close(summary, given.out)
    return 2 if summary.failed else 0
