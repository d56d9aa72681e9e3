"""launch/sweep.py: the commands of a sweep, running them, going on after a failure or a kill, and the table of results."""

import json
import runpy
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from scripts import LAUNCH, ROOT, program

from stajax.cli import _parser
from stajax.cli.arguments import dotted
from stajax.training.config import ConfigError, load

SWEEP = runpy.run_path(str(LAUNCH / "sweep.py"))

CONFIG = """
from stajax.training.config import stage_from

def get_config(arg="tiny"):
    return stage_from(arg, s="s")

def sweep():
    return [{"name": "slow", "optimiser.rate": 0.001}, {"name": "fast", "optimiser.rate": 0.1}]
"""


@pytest.fixture
def place(tmp_path):
    (tmp_path / "mine.py").write_text(CONFIG)
    return tmp_path


def sweep(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, str(LAUNCH / "sweep.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)


def test_the_commands_are_ones_that_stajax_takes_and_mean_the_rows(tmp_path):
    file = f"{ROOT}/configs/ablations/table1.py:tiny"
    found = sweep("--config", file, "--workdir", tmp_path, "--config.seed=3", "--share")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert len(lines) == 25
    for line in lines:
        given = _parser().parse_args(dotted(shlex.split(line)[1:]))
        config = load(given.config, given.changes)
        assert config.seed == 3 and given.like == [str(tmp_path)]
        name = Path(given.workdir).name
        if name == "16_SA+long":
            assert (config.pseudofix.sources, config.pseudofix.fine, config.nets) == (("SA+long",), False, ("sta",))
        if name == "21_SCAMs_without_FRL":
            assert config.stages.sa_plus_long.net.refine is False
    assert not list(tmp_path.iterdir())  # nothing was run


def test_runs_are_started_once_with_their_own_overrides_and_go_on_after_a_failure(place):
    # A stand-in for stajax that says what it was told, and fails the first time for the second run.
    stajax = program(
        place / "stajax",
        f"""
echo "$*" >>"{place}/ran"
work=$5
[[ $work == */fast && ! -e $work/tried ]] && {{ touch "$work/tried"; echo "the machine is full" >&2; exit 1; }}
echo '{{"step": 5, "loss": 0.5}}' >"$work/metrics.jsonl"
echo '{{"step": 5, "eval/loss": 0.25, "eval/accuracy": 0.75}}' >>"$work/metrics.jsonl"
""",
    )
    words = ("--config", place / "mine.py", "--workdir", place / "runs", "--program", stajax, "--run", "--config.seed=2")
    first = sweep(*words)
    assert first.returncode == 1 and "fast: failed with exit code 1: the machine is full" in first.stdout
    assert "fast (not done)" in first.stdout
    second = sweep(*words)
    assert second.returncode == 0 and second.stdout.startswith("1 of 2 runs are done")
    third = sweep(*words)
    assert third.returncode == 0 and third.stdout.startswith("2 of 2 runs are done")
    told = f"train --config {place}/mine.py --workdir {place}/runs/"
    slow, fast = (
        f"{told}{name} --config.seed=2 --config.optimiser.rate={rate}" for name, rate in (("slow", 0.001), ("fast", 0.1))
    )
    assert (place / "ran").read_text().splitlines() == [slow, fast, fast]
    assert (place / "runs/results.csv").read_text().splitlines() == [
        "run,step,eval/loss,eval/accuracy",
        "slow,5,0.25,0.75",
        "fast,5,0.25,0.75",
    ]
    rows = [line.split() for line in third.stdout.splitlines() if line.startswith(("slow", "fast"))]
    assert rows == [["slow", "5", "0.25", "0.75"], ["fast", "5", "0.25", "0.75"]]
    # Another command is another run.
    assert sweep(*words[:-1], "--config.seed=4").stdout.startswith("0 of 2 runs are done")


def test_several_at_a_time(place):
    """Each waits for the other, so that they end only together."""
    stajax = program(
        place / "stajax",
        f"""
touch "{place}/at-$(basename "$5")"
for ((i = 0; i < 300; i++)); do
  [[ -e {place}/at-slow && -e {place}/at-fast ]] && exit 0
  sleep 0.1
done
exit 1
""",
    )
    found = sweep("--config", place / "mine.py", "--workdir", place / "runs", "--program", stajax, "--run", "--jobs", 2)
    assert found.returncode == 0, found.stdout


def test_an_interrupted_sweep_lets_its_runs_save_and_goes_on(place):
    stajax = program(
        place / "stajax",
        f"""
[[ $5 == */slow ]] || exit 0
[[ -e {place}/saved ]] && exit 0
trap 'touch "{place}/saved"; exit 1' TERM
touch "{place}/up"
while true; do sleep 0.1; done
""",
    )
    words = ("--config", place / "mine.py", "--workdir", place / "runs", "--program", stajax, "--run")
    command = [sys.executable, str(LAUNCH / "sweep.py"), *map(str, words)]
    heeds = lambda: signal.signal(signal.SIGINT, signal.default_int_handler)  # noqa: E731 (a shell's background job does not)
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heeds)
    until = time.monotonic() + 300
    while not (place / "up").exists():
        assert time.monotonic() < until
        time.sleep(0.1)
    started.send_signal(signal.SIGINT)
    _, error = started.communicate(timeout=300)
    assert started.returncode == 1 and error.endswith("interrupted; the same command goes on from there\n")
    assert (place / "saved").exists()
    assert sweep(*words).returncode == 0


def test_of_a_pipeline_the_table_shows_what_follows_the_pseudo_fixations(place):
    run = SWEEP["Run"]("a", ("stajax",), place / "a")
    run.folder.mkdir()
    steps = {"s": {"accuracy": 0.5}, "pseudofix": {"valid": 0.9}, "sta": {"cc": 0.61}, "score": {"hits": 0.4, "note": "text"}}
    entries = {name: {"made_of": "x", "state": "done", "notes": notes} for name, notes in steps.items()}
    (run.folder / "manifest.json").write_text(json.dumps({"steps": entries}))
    measured = SWEEP["results"](run)
    assert measured == {"s.accuracy": 0.5, "pseudofix.valid": 0.9, "sta.cc": 0.61, "score.hits": 0.4}
    head, row = SWEEP["table"]([run], [measured]).splitlines()
    assert head.split() == ["pseudofix.valid", "sta.cc", "score.hits"]
    assert row.split() == ["a", "(not", "done)", "0.9", "0.61", "0.4"]
    assert SWEEP["results"](SWEEP["Run"]("b", (), place / "b")) == {}


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ('[{"optimiser.pace": 1}]', {}, "no field 'optimiser.pace' in this configuration"),
        ('[{"name": "a/b"}]', {}, "'a/b' names a folder; letters, digits and _.+=- are allowed"),
        ('[{"name": "a"}, {"name": "a"}]', {}, "two runs are called a"),
        ('[{"name": "a"}]', {"share": True}, "--share: single nets share nothing; it is for pipelines"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_one_line(place, rows, options, message):
    (place / "mine.py").write_text(CONFIG.split("def sweep")[0] + f"def sweep():\n    return {rows}\n")
    with pytest.raises(ConfigError) as caught:
        SWEEP["runs_of"](str(place / "mine.py"), place, **options)
    assert message in str(caught.value)


def test_rows_without_a_name_are_named_by_what_they_change(place):
    (place / "mine.py").write_text(
        CONFIG.split("def sweep")[0] + 'def sweep():\n    return [{"seed": 1, "optimiser.rate": 0.5}]\n'
    )
    (run,) = SWEEP["runs_of"](str(place / "mine.py"), place)
    assert run.name == "seed=1-rate=0.5"


def test_help_and_an_unknown_run(place):
    assert "examples:" in sweep("--help").stdout
    found = sweep("--config", place / "mine.py", "--workdir", place, "--only", "medium")
    assert (found.returncode, found.stderr) == (2, "sweep.py: --only medium: no such run; there are slow, fast\n")
