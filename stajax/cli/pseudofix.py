"""`stajax pseudofix`."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from stajax.cli import arguments
from stajax.cli.progress import ProgressPrinter, complain

EXAMPLES = """\
examples:
  stajax pseudofix dog.mp4 --tag Bark -o out
  stajax pseudofix duo.mp4 --tag "Violin; Flute" -o out --scam --no-overlay
  stajax pseudofix --manifest clips.csv -o pseudo --shards 8           # path,tag -> records to train on
  stajax pseudofix --records records -o pseudo --shards 8 --process 0 --processes 4

writes, for each clip:
  out/<clip>/pseudo.npz    maps (T, h, w) float16 in [0, 1], valid (T,), time (T,) s, confidence of each source, boxes
  out/<clip>/overlay.mp4   the clip under its maps, with its sound
  out/<clip>/strip.png     the procedure in pictures: box, CAM and confidence of each source, SCAM, SCAM+
or, of a whole set, records with frames, sound, maps and valid. A rerun keeps what is done: docs/pseudofix.md.
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "pseudofix",
        help="maps of where people would look in clips, from nothing but a tag",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("clips", nargs="*", metavar="VIDEO", help="video or picture files, or folders of them")
    parser.add_argument("--tag", metavar="TAG", help="what they show; several with ; between them")
    parser.add_argument("--manifest", metavar="CSV", help="instead: a CSV with path and tag, or a folder of TAG/CLIP")
    parser.add_argument("--records", metavar="DIR", help="instead: prepared records")
    parser.add_argument("-o", "--out", default="out", metavar="DIR", help="where the results go (default: out)")
    parser.add_argument(
        "--weights", default="scam-lite", metavar="W", help="a model that ships, or a model folder (default: scam-lite)"
    )
    parser.add_argument("--batch", type=arguments.count, default=16, metavar="N", help="frames per call, 1..1024 (default: 16)")
    choices = parser.add_argument_group("the procedure")
    choices.add_argument("--sources", type=arguments.names, metavar="S,S", help="which nets take part, such as S,SA+long")
    choices.add_argument("--scam", action="store_true", help="SCAM: without the nets with company")
    choices.add_argument("--coarse", action="store_true", help="the coarse stage alone")
    choices.add_argument("--average", action="store_true", help="the average of all CAMs, whatever their confidence")
    choices.add_argument("--smooth", action="store_true", help="smooth the maps over time, as the authors' scripts do")
    choices.add_argument("--side", type=arguments.count, metavar="N", help="height and width of the maps (default: 64)")
    single = parser.add_argument_group("clips")
    single.add_argument("--no-overlay", action="store_true", help="do not write overlay.mp4")
    single.add_argument("--overwrite", action="store_true", help="make again what is done, or over another clip's results")
    sets = parser.add_argument_group("sets")
    sets.add_argument("--shards", type=arguments.count, metavar="N", help="files to write (default: one for each 16 clips)")
    sets.add_argument("--workers", type=arguments.count, default=1, metavar="N", help="processes that decode (default: 1)")
    sets.add_argument("--processes", type=arguments.count, default=1, metavar="N", help="runs that share the shards")
    sets.add_argument("--process", type=int, default=0, metavar="I", help="which of them this is, from 0")
    sets.add_argument("--distributed", action="store_true", help="JAX finds both itself: on Cloud TPU, or under Slurm")
    parser.set_defaults(run=_run, interrupted="; a rerun goes on with what is not done")


def _run(given: argparse.Namespace) -> int:
    from stajax.inference import pseudofix
    from stajax.inference.compile_cache import enable
    from stajax.media import OutputError

    if wrong := _misfit(given):
        return complain(wrong, 2)
    settings = pseudofix.Settings(
        sources=tuple(given.sources or ()),
        fine=not given.coarse,
        company=not given.scam,
        selective=not given.average,
        smooth=given.smooth,
        side=given.side,
    )
    try:
        share = _share(given)
        enable()
        model = pseudofix.load(given.weights, batch=given.batch, settings=settings)
        return _clips(given, model) if given.clips else _set(given, model, share)
    except OutputError:
        raise
    except RuntimeError as error:
        return complain(error, 1)
    except ValueError as error:
        return complain(error, 2)


def _misfit(given: argparse.Namespace) -> str:
    """What is wrong with the arguments together."""
    if sum(map(bool, (given.clips, given.manifest, given.records))) != 1:
        return "give clips and their --tag, or --manifest CSV, or --records DIR"
    if bool(given.clips) != (given.tag is not None):
        return (
            "--tag is missing: what do the clips show?" if given.clips else "--tag goes with clips; sets bring their own tags"
        )
    if not 0 <= given.process < given.processes:
        return f"--process {given.process} of {given.processes}: they count from 0 to {given.processes - 1}"
    return ""


def _share(given: argparse.Namespace) -> dict[str, int]:
    if not given.distributed:
        return {"process": given.process, "processes": given.processes}
    import jax

    from stajax.training.preflight import connect

    connect(distributed=True)
    return {"process": jax.process_index(), "processes": jax.process_count()}


def _clips(given: argparse.Namespace, model) -> int:
    from stajax.data.tags import split
    from stajax.inference.pseudofix_clips import pseudofix_clips

    printer = ProgressPrinter(batch=given.batch, verb="done")
    options = {"overlay": not given.no_overlay, "overwrite": given.overwrite}
    summary = pseudofix_clips(model, given.clips, split(given.tag), given.out, report=printer, **options)
    printer.close(summary, given.out)
    return 2 if summary.failed else 0


def _set(given: argparse.Namespace, model, share: dict[str, int]) -> int:
    from stajax.data.clip_lists import read_clips
    from stajax.data.records import Records
    from stajax.inference.clip_sets import ListedSet, RecordSet
    from stajax.inference.pseudofix_records import pseudofix_records

    if given.records:
        clips = RecordSet(Records(given.records))
    else:
        clips = ListedSet(read_clips(given.manifest), model.classes, workers=given.workers)
    begun = time.monotonic()
    made = pseudofix_records(model, clips, given.out, shards=given.shards, report=ProgressPrinter(batch=given.batch), **share)
    print(_told(made, time.monotonic() - begun, given.out))
    return 2 if made.skipped else 0


def _told(made, seconds: float, out: str) -> str:
    """The summary of a set."""
    kept = f" ({made.kept} from an earlier run)" if made.kept else ""
    left_out = f", {len(made.skipped)} left out" if made.skipped else ""
    lines = [f"{made.clips} clips{kept}{left_out}, {made.frames} frames, {made.valid / max(made.frames, 1):.1%} valid"]
    if made.frames and made.clips > made.kept:
        clips, frames = made.clips - made.kept, made.frames - made.kept_frames
        lines.append(f"{clips / seconds:.2f} clips/s, {frames / seconds:.1f} frames/s")
    if made.frames:
        views = (f"{stage} {count / made.frames:.2f}" for stage, count in made.counts.items() if stage != "valid")
        lines.append(f"views through the encoders per frame: {', '.join(views)}")
    return "\n".join([*lines, f"results in {Path(out)}"])
