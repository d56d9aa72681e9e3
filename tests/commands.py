"""`stajax <command>` as a user sees it: exit code and both outputs."""

import io
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace

from stajax import cli


def stajax(*arguments):
    """Exit code, standard output and standard error of a command, and the lines of the latter."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as stop:  # argparse
            code = stop.code
    return SimpleNamespace(code=code, out=out.getvalue(), err=err.getvalue(), lines=err.getvalue().splitlines())


def bad(*arguments, code=2):
    """The one line of a command that fails with `code`: on standard error, without a traceback."""
    result = stajax(*arguments)
    assert result.code == code and "Traceback" not in result.err and result.lines[-1].startswith("stajax")
    return result.lines[-1] if result.lines[0].startswith("usage:") else "".join(result.lines)  # else there is one line only
