"""`stajax weights`."""

from __future__ import annotations

import argparse
import sys

from stajax.cli.progress import Counter

EXAMPLES = """\
examples:
  stajax weights                        # what there is, under which licence, and where it is looked for
  stajax weights list vgg16 vggsound    # of these two
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
    parser.add_argument("names", nargs="*", metavar="NAME", help="of checkpoints, as listed (list: default all)")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    from stajax.convert import catalogue
    from stajax.convert.errors import ConvertError
    from stajax.convert.fetch import fetch

    wanted = [catalogue.entry(name) for name in given.names]
    if given.action == "list":
        print(catalogue.table([status for status in catalogue.listing() if status.entry in wanted or not wanted]))
        return 0
    if not given.names:
        raise ConvertError("fetch what? `stajax weights` lists the names")
    for entry in wanted:
        counter = Counter("bytes")
        print(f"{entry.name}: {entry.origin}", file=sys.stderr)
        path = fetch(entry.name, counter)
        counter.close()
        print(path)
        if line := catalogue.convert_line(entry, path):
            print(f"next: {line}", file=sys.stderr)
    return 0
