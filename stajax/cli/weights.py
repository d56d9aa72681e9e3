"""`stajax weights`."""

from __future__ import annotations

import argparse
import sys

from stajax.cli.progress import Counter

EXAMPLES = """\
examples:
  stajax weights                        # what there is, under which licence, and where it is looked for
  stajax weights fetch vgg16            # download it; then convert it:
  stajax convert ~/.cache/stajax/weights/vgg16-397923af.pth -o vgg16

STAJAX_WEIGHTS names another folder to look in and to download to.
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "weights",
        help="list and fetch encoder checkpoints",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", nargs="?", choices=("list", "fetch"), default="list", help="list (the default) or fetch")
    parser.add_argument("names", nargs="*", metavar="NAME", help="checkpoints to fetch, as listed")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from stajax.convert import catalogue
    from stajax.convert.errors import ConvertError
    from stajax.convert.fetch import fetch

    if given.action == "list":
        print(catalogue.table(catalogue.listing()))
        return 0
    if not given.names:
        raise ConvertError("fetch what? `stajax weights` lists the names")
    for name in given.names:
        counter = Counter("bytes")
        print(f"{name}: {catalogue.entry(name).origin}", file=sys.stderr)
        path = fetch(name, counter)
        counter.close()
        print(path)
        if line := catalogue.convert_line(catalogue.entry(name), path):
            print(f"next: {line}", file=sys.stderr)
    return 0
