"""`stajax pipeline`."""

from __future__ import annotations

import argparse

from stajax.cli import arguments
from stajax.cli.progress import complain

EXAMPLES = """\
examples:
  stajax pipeline --config configs/synthetic_tiny.py --workdir runs/tiny            # everything, on made clips, on a CPU
  stajax pipeline --config configs/real_lite.py --workdir runs/real --config.data.clips=clips.csv --until pseudofix
  stajax pipeline --config configs/real_lite.py --workdir runs/real --config.data.clips=clips.csv --dry-run

A rerun skips what is done and still valid, and goes on where a killed run stopped; WORKDIR/manifest.json says what was made
of what.
The models: WORKDIR/scam (pseudo-fixations of tagged clips), WORKDIR/model (fixations of any clip).
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "pipeline",
        help="every stage in order: tagged clips to pseudo-fixations to a trained predictor",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a configuration, such as configs/real_lite.py")
    parser.add_argument("--workdir", required=True, metavar="DIR", help="where everything goes")
    parser.add_argument("--from", dest="begin", metavar="S", help="run from this step on, even what is done")
    parser.add_argument("--until", metavar="S", help="the last step to run")
    parser.add_argument(
        "--like", action="append", default=[], metavar="DIR", help="take what was made alike in DIR or its folders"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done about each step")
    arguments.add_processes(parser)
    parser.set_defaults(run=_run, interrupted="; the same command goes on from there")


def _run(given: argparse.Namespace) -> int:
    from stajax.inference.compile_cache import enable
    from stajax.pipeline.run import run
    from stajax.training.config import load
    from stajax.training.preflight import PreflightError, connect
    from stajax.training.train import Diverged, Interrupted

    try:
        config = load(given.config, given.changes)
        connect(**arguments.processes(given))
        enable()
        run(config, given.workdir, begin=given.begin, until=given.until, like=given.like, dry=given.dry_run)
    except (Interrupted, Diverged, PreflightError) as error:
        return complain(error, 1)
    except ValueError as error:
        return complain(error, 2)
    return 0
