"""Values on the command line: read, or refused with a word on what to type."""

from __future__ import annotations

import argparse


def size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; give WIDTHxHEIGHT, for example 640x360") from None
    if not (1 <= width <= 8192 and 1 <= height <= 8192):
        raise argparse.ArgumentTypeError(f"{text}: width and height must lie in 1..8192")
    return width, height


def count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number in 1..1024")
    return int(text)


def names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"{text!r} names nothing; give names between commas, or leave the option out")
    return names


def dotted(argv: list[str]) -> list[str]:
    """ "--config.FIELD=VALUE" as "--change FIELD=VALUE", which argparse can collect."""
    return [part for word in argv for part in (["--change", word[9:]] if word.startswith("--config.") else [word])]


def add_processes(parser: argparse.ArgumentParser) -> None:
    """Changes of the configuration, and how several processes find each other."""
    parser.add_argument("--change", dest="changes", action="append", default=[], help=argparse.SUPPRESS)
    group = parser.add_argument_group("several processes (start the same command in each)")
    group.add_argument(
        "--distributed", action="store_true", help="on Cloud TPU or under Slurm, where JAX finds the others itself"
    )
    group.add_argument("--coordinator", default="", metavar="HOST:PORT", help="of process 0, elsewhere; with the next two")
    group.add_argument("--processes", type=int, default=0, metavar="N", help="how many there are")
    group.add_argument("--process", type=int, default=-1, metavar="I", help="which of them this is, from 0")


def processes(given: argparse.Namespace) -> dict:
    """The arguments of `preflight.connect`."""
    return {name: getattr(given, name) for name in ("distributed", "coordinator", "processes", "process")}
