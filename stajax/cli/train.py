"""`stajax train`."""

from __future__ import annotations

import argparse

from stajax.cli import arguments
from stajax.cli.progress import complain

EXAMPLES = """\
examples:
  stajax train --config configs/s.py:lite --workdir runs/s --config.records=records
  stajax train --config configs/sta.py:lite --workdir runs/sta --config.records=pseudo --config.steps=4000
  stajax train --config configs/sta.py:paper --workdir /gcs/sta --distributed               # on every worker of a TPU slice

--config.FIELD=VALUE changes a field of the configuration; docs/training.md lists them. A run that was interrupted goes on when
the same command is typed again. The model lies in WORKDIR/model, curves in WORKDIR/tensorboard and WORKDIR/metrics.jsonl.
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "train",
        help="train any net of the paper",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a configuration, such as configs/sta.py:lite")
    parser.add_argument("--workdir", required=True, metavar="DIR", help="where checkpoints, curves and the model go")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    arguments.add_processes(parser)
    parser.set_defaults(run=_run, interrupted="; the same command goes on from the last checkpoint")


def _run(given: argparse.Namespace) -> int:
    from stajax.inference.compile_cache import enable
    from stajax.training.config import load
    from stajax.training.preflight import PreflightError, connect
    from stajax.training.train import Diverged, Interrupted, train

    try:
        config = load(given.config, given.changes)
        connect(**arguments.processes(given))
        enable()
        result = train(config, given.workdir, quiet=given.quiet)
    except (Interrupted, Diverged, PreflightError) as error:
        return complain(error, 1)
    except ValueError as error:
        return complain(error, 2)
    print(f"{result.model}: step {result.step}, " + ", ".join(f"{name} {value:.4g}" for name, value in result.metrics.items()))
    return 0
