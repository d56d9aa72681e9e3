"""`stajax export`."""

from __future__ import annotations

import argparse

from stajax.cli import arguments
from stajax.cli.progress import complain

EXAMPLES = """\
examples:
  stajax export sta-lite -o sta-lite.stajax
  stajax export stanet-plus -o plus.stajax --nets sta,short --fusion released_max --platforms cuda

One file with the nets as StableHLO and their weights; jax and NumPy run it, without stajax and flax: docs/export.md.
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "export",
        help="a model as one self-contained StableHLO file",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", help="a model that ships, or a model folder")
    parser.add_argument("-o", "--out", required=True, metavar="FILE", help="the file to write, NAME.stajax")
    parser.add_argument("--nets", type=arguments.names, metavar="N,N", help="which nets of the model (default: all)")
    parser.add_argument("--fusion", default="paper", metavar="F", help="paper (the default), paper_agg or released_max")
    parser.add_argument("--platforms", type=arguments.names, metavar="P,P", help="where it is to run (default: cpu,cuda,tpu)")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from stajax.inference.export import PLATFORMS, export
    from stajax.media import OutputError

    try:
        made = export(given.model, given.out, nets=given.nets, fusion=given.fusion, platforms=given.platforms or PLATFORMS)
    except OutputError as error:
        return complain(error, 1)
    except ValueError as error:
        return complain(error, 2)
    print(f"{made.path}: {made.size / 1e6:.1f} MB for {', '.join(made.platforms)}; docs/export.md tells how to run it")
    return 0
