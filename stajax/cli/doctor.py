"""`stajax doctor`."""

from __future__ import annotations

import argparse

from stajax.cli.progress import complain

EXAMPLES = """\
examples:
  stajax doctor
  stajax doctor stavis/data --protocol stavis

Without a data set: prints versions and devices, then makes a one-second clip with a moving square and a tone, predicts it and
checks the result. With one: frame counts against lists, missing and empty maps, odd sizes, videos listed twice or never,
sound that is missing; each finding with its file and what mends it.
"""


def add(commands) -> None:
    parser = commands.add_parser(
        "doctor",
        help="check the installation and the devices, or a data set",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", nargs="?", metavar="DATASET", help="folder of a data set; without it, the installation")
    parser.add_argument("--protocol", metavar="P", help="how the data set is laid out: stavis, osie, ucf, diem, plain")
    parser.set_defaults(run=_run)


def _run(given: argparse.Namespace) -> int:
    if given.dataset is None and given.protocol is not None:
        return complain("doctor --protocol P needs a DATASET, its folder", 2)
    if given.dataset is None:
        return _installation()
    if given.protocol is None:
        return complain("doctor DATASET needs --protocol: stavis, osie, ucf, diem or plain", 2)
    return _dataset(given.dataset, given.protocol)


def _installation() -> int:
    from stajax.inference.doctor import examine

    healthy = True
    for finding in examine():
        print(f"{'ok  ' if finding.ok else 'BAD '} {finding.what}")
        if finding.mend:
            print(f"     {finding.mend}")
        healthy &= finding.ok
    return 0 if healthy else 1


def _dataset(root: str, protocol: str) -> int:
    """Exit code 1 for findings that stop scoring or make it wrong, 0 for warnings alone."""
    from stajax.evaluation.dataset_doctor import examine

    counts = {"error": 0, "warning": 0}
    try:
        for finding in examine(root, protocol):
            counts[finding.severity] += 1
            print(f"{'BAD ' if finding.severity == 'error' else 'odd '} {finding.file}: {finding.problem}")
            print(f"     {finding.mend}", flush=True)
    except ValueError as error:
        return complain(error, 2)
    print(f"{counts['error']} errors, {counts['warning']} warnings" if any(counts.values()) else f"ok   {root}: in order")
    return 1 if counts["error"] else 0
