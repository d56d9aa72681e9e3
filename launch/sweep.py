#!/usr/bin/env python
"""The runs of a configuration's `sweep()` as commands: printed, or run here one after the other, with a table at the end.

A run is `stajax train`, or `stajax pipeline` where the configuration has stages, in WORKDIR/NAME with the overrides of its row.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stajax.cli.arguments import count, dotted
from stajax.training.config import STAGES, ConfigError, change, load, sweep
from stajax.training.log import read_metrics

EXAMPLES = """\
examples:
  python launch/sweep.py --config configs/ablations/table4.py:lite --workdir runs/table4 --config.data.records=records --share
  python launch/sweep.py --config configs/ablations/table4.py:lite --workdir runs/table4 --config.data.records=records --run
  python launch/sweep.py --config configs/ablations/table1.py:tiny --workdir runs/table1 --only 05_SCAM,25_SCAM+ --run --jobs 2
  python launch/sweep.py --config configs/ablations/table4.py:lite --workdir runs/table4 --results
  python launch/sweep.py --config F --workdir D --program "launch/local_multiprocess.sh 4 -- stajax" --run

Without --run the commands are printed, for any scheduler. A run that is done is skipped; a killed one goes on when the same
command is typed again. --config.FIELD=VALUE changes a field of every run.
"""
DONE = "sweep.json"


class Run(NamedTuple):
    """folder: its working directory."""

    name: str
    command: tuple[str, ...]
    folder: Path

    def done(self) -> bool:
        """By this very command."""
        try:
            return json.loads((self.folder / DONE).read_text()) == list(self.command)
        except (OSError, ValueError):
            return False


def runs_of(
    file: str, workdir: Path, changes: Sequence[str] = (), *, program: Sequence[str] = ("stajax",), share: bool = False
) -> list[Run]:
    """The runs of a sweep. share: pipelines take from each other what is made alike.

    Raises ConfigError: an override that does not fit, two runs of one name, single nets that are to share.
    """
    found: list[Run] = []
    for row in sweep(file):
        overrides = {key: value for key, value in row.items() if key != "name"}
        config = change(load(file, changes), overrides)
        name = row.get("name") or "-".join(f"{key.rpartition('.')[2]}={value}" for key, value in overrides.items())
        if not re.fullmatch(r"[\w.+=-]+", name):
            raise ConfigError(f"{file}: {name!r} names a folder; letters, digits and _.+=- are allowed")
        if name in {run.name for run in found}:
            raise ConfigError(f"{file}: two runs are called {name}")
        if share and "stages" not in config:
            raise ConfigError("--share: single nets share nothing; it is for pipelines")
        what = "pipeline" if "stages" in config else "train"
        fields = [f"--config.{text}" for text in (*changes, *(f"{key}={value}" for key, value in overrides.items()))]
        like = ("--like", str(workdir)) if share else ()
        command = (*program, what, "--config", file, "--workdir", str(workdir / name), *fields, *like)
        found.append(Run(name, command, workdir / name))
    return found


def execute(runs: Sequence[Run], *, jobs: int, alone: bool = False, say=print) -> list[str]:
    """Run what is not done, at most `jobs` at a time; gives the names of those that failed.

    alone: where nothing is done yet, the first one goes by itself, so that the others find what it has made.
    """
    waiting = [run for run in runs if not run.done()]
    say(f"{len(runs) - len(waiting)} of {len(runs)} runs are done")
    alone = alone and len(waiting) == len(runs)
    running: dict[Run, subprocess.Popen] = {}
    failed: list[str] = []
    try:
        while waiting or running:
            while waiting and len(running) < (1 if alone else jobs):
                run = waiting.pop(0)
                run.folder.mkdir(parents=True, exist_ok=True)
                say(f"{run.name}: started, its output is in {run.folder / 'output.log'}")
                with (run.folder / "output.log").open("ab") as output:
                    running[run] = subprocess.Popen(run.command, stdout=output, stderr=output)
            time.sleep(0.1)
            for run in [run for run, process in running.items() if process.poll() is not None]:
                code, alone = running.pop(run).returncode, False
                if code == 0:
                    (run.folder / DONE).write_text(json.dumps(run.command))
                    say(f"{run.name}: done")
                else:
                    failed.append(run.name)
                    say(f"{run.name}: failed with exit code {code}: {_last_line(run.folder / 'output.log')}")
    finally:  # interrupted: each saves and stops
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        for process in running.values():
            process.wait()
    return failed


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no output"


def results(run: Run) -> dict[str, float]:
    """What a run measured: of a pipeline the notes of its manifest as "step.metric", of a training the last evaluation."""
    try:
        if (run.folder / "manifest.json").is_file():
            steps = json.loads((run.folder / "manifest.json").read_text())["steps"]
            return _numbers({f"{step}.{key}": value for step, entry in steps.items() for key, value in _notes(entry).items()})
        lines = read_metrics(run.folder)
    except OSError:
        return {}
    evaluations = [line for line in lines if any(key.startswith("eval/") for key in line)]
    return _numbers(evaluations[-1] if evaluations else lines[-1] if lines else {})


def _notes(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return entry.get("notes", {})


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in values.items() if isinstance(value, int | float) and not isinstance(value, bool)}


def table(runs: Sequence[Run], measured: Sequence[Mapping[str, float]]) -> str:
    """For people: of a pipeline the pseudo-fixations, the fixation nets and what follows; of a training all."""
    shown = {"pseudofix", "predict", "score", *(stage for stage, what in STAGES.items() if what.task == "fixation")}
    counts = ("step", "clips", "frames", "bce", "kl")  # the parts of a loss, and how much there was of what
    columns = [name for name in _columns(measured) if "." not in name or name.partition(".")[0] in shown]
    columns = [name for name in columns if name.partition(".")[2] not in counts]
    rows = [["", *columns]]
    for run, values in zip(runs, measured, strict=True):
        texts = [f"{values[name]:.4g}" if name in values else "-" for name in columns]
        rows.append([f"{run.name}{'' if run.done() else ' (not done)'}", *texts])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _columns(measured: Sequence[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for values in measured for name in values))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="sweep.py", description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", required=True, metavar="FILE[:ARG]", help="a configuration that has a sweep()")
    parser.add_argument("--workdir", required=True, type=Path, metavar="DIR", help="each run's working directory is DIR/NAME")
    parser.add_argument("--run", action="store_true", help="run the commands here; by default they are printed")
    parser.add_argument("--jobs", type=count, default=1, metavar="N", help="how many at a time (default 1)")
    parser.add_argument("--share", action="store_true", help="pipelines take from each other what is made alike")
    parser.add_argument("--only", default="", metavar="NAMES", help="these runs alone, with commas between")
    parser.add_argument("--results", action="store_true", help="show the table of what has been measured")
    parser.add_argument("--program", default="stajax", help="what to start in place of stajax; several words")
    parser.add_argument("--change", dest="changes", action="append", default=[], help=argparse.SUPPRESS)
    given = parser.parse_args(dotted(sys.argv[1:] if argv is None else list(argv)))
    try:
        program = shlex.split(given.program)
        runs = runs_of(given.config, given.workdir, given.changes, program=program, share=given.share)
        names = [name for name in given.only.split(",") if name]
        if unknown := sorted(set(names) - {run.name for run in runs}):
            raise ConfigError(f"--only {unknown[0]}: no such run; there are {', '.join(run.name for run in runs)}")
        runs = [run for run in runs if not names or run.name in names]
    except ConfigError as error:
        print(f"sweep.py: {error}", file=sys.stderr)
        return 2
    if not (given.run or given.results):
        for run in runs:
            print(shlex.join(run.command))
        return 0
    failed = execute(runs, jobs=given.jobs, alone=given.share) if given.run else []
    measured = [results(run) for run in runs]
    print(table(runs, measured))
    columns = _columns(measured)
    given.workdir.mkdir(parents=True, exist_ok=True)
    with (given.workdir / "results.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["run", *columns])
        for run, values in zip(runs, measured, strict=True):
            writer.writerow([run.name, *(values.get(name, "") for name in columns)])
    print(f"all numbers: {given.workdir / 'results.csv'}")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("sweep.py: interrupted; the same command goes on from there", file=sys.stderr)
        sys.exit(1)
