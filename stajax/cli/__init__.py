"""`stajax <command>`: parses, calls one function, prints. One file a command. Exit code 0: done; 1: failed; 2: bad input."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from stajax import __version__
from stajax.cli import convert, doctor, evaluate, export, pipeline, predict, pseudofix, train, weights
from stajax.cli.arguments import dotted
from stajax.cli.progress import complain


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    arguments = _parser().parse_args(dotted(sys.argv[1:] if argv is None else list(argv)))
    from stajax.convert.errors import ConvertError
    from stajax.encoders.params import WeightsError
    from stajax.media import MediaError, OutputError

    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
    except OutputError as error:
        code = complain(error, 1)
    except (MediaError, WeightsError, ConvertError) as error:
        code = complain(error, 2)
    except KeyboardInterrupt:
        code = complain(f"interrupted{arguments.interrupted}", 1)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader (head, less) has gone
        code = 1
    except Exception:
        if not _others_wait():
            raise
        traceback.print_exc()
        code = 1
    if code and _others_wait():
        sys.stderr.flush()
        os._exit(code)  # at a normal exit JAX would wait for the other processes, five minutes, and they for this one
    return code


def _others_wait() -> bool:
    """Whether this is one of several processes that train together."""
    return "jax" in sys.modules and sys.modules["jax"].distributed.is_initialized()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="stajax", description="Where people look in a video with sound.")
    parser.add_argument("--version", action="version", version=f"stajax {__version__}")
    parser.set_defaults(interrupted="")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (predict, pseudofix, train, pipeline, evaluate, convert, weights, export, doctor):
        command.add(commands)
    return parser
