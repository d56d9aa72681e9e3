"""tpu_vm.sh and worker.sh with two pretended workers, whose machines are folders: what is run where, and after a preemption.

`gcloud`, `uv`, `gcsfuse` and `sudo` are stand-ins; ssh, the copying, processes, signals and exit codes are real.
"""

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripts import program, run

GCLOUD = """
echo "$*" >>"$CLOUD/calls"
state=$CLOUD/state
case "$3 $4" in
  "queued-resources create") echo ACTIVE >"$state"; mkdir -p "$CLOUD/0" "$CLOUD/1" ;;
  "queued-resources describe") cat "$state" ;;
  "queued-resources delete")
    for worker in 0 1; do kill -KILL -- "-$(<"$CLOUD/$worker/stajax-run/pid")" 2>/dev/null || true; done
    rm -rf "$state" "$CLOUD/0" "$CLOUD/1"
    ;;
  "tpu-vm scp") for worker in 0 1; do cp "$5" "$CLOUD/$worker/${6#*:}"; done ;;
  "tpu-vm ssh")
    [[ $(<"$state") == ACTIVE ]]
    for word in "$@"; do
      case $word in
        --worker=*) worker=${word#*=} ;;
        --command=*) command=${word#*=} ;;
      esac
    done
    [[ $worker == all ]] && worker="0 1"
    for one in $worker; do (export HOME=$CLOUD/$one WORKER=$one && cd "$HOME" && bash -c "$command"); done
    ;;
  *) exit 9 ;;
esac
"""
# `uv pip install` puts a stajax into the environment that does what the test says: the script $CLOUD/stajax.
UV = """
echo "$WORKER: uv $*" >>"$CLOUD/installed"
case "$1 $2" in
  venv*) mkdir -p "${!#}/bin"; touch "${!#}/bin/python"; chmod +x "${!#}/bin/python" ;;
  "pip install") cp "$CLOUD/stajax" "$HOME/stajax-env/bin/stajax" ;;
  "pip freeze") cat "$CLOUD/versions-$WORKER" ;;
esac
"""
POLL = 0.2
ALL = ("--zone", "z", "--type", "v6e-8", "--bucket", "b", "--poll", POLL)


@pytest.fixture
def cloud(tmp_path):
    """stajax(text): what the command does on a worker, in bash, with WORKER 0 or 1."""
    place = tmp_path / "cloud"
    place.mkdir()
    programs = tmp_path / "bin"
    program(programs / "gcloud", GCLOUD)
    program(programs / "uv", UV)
    program(programs / "sudo", '"$@"\n')
    program(programs / "gcsfuse", 'echo "$WORKER: gcsfuse $*" >>"$CLOUD/mounted"\n')
    program(programs / "mkdir", f'[[ $* == *"/gcs"* ]] || exec {_real("mkdir")} "$@"\n')
    program(programs / "chown", "true\n")
    for worker in (0, 1):
        (place / f"versions-{worker}").write_text("jax==0.10.2\nstajax @ file:///somewhere\n")

    def stajax(text: str) -> None:
        program(place / "stajax", text)

    def call(command: str, *arguments, timeout: float = 60):
        return run("tpu_vm.sh", command, "sta", *arguments, path=programs, timeout=timeout, CLOUD=place)

    def lines(name: str) -> list[str]:
        path = place / name
        return path.read_text().splitlines() if path.exists() else []

    stajax('echo "$WORKER $JAX_COORDINATOR_PORT $PWD $*" >>"$CLOUD/ran"\n')
    yield SimpleNamespace(place=place, stajax=stajax, call=call, lines=lines)
    for pid in place.glob("*/stajax-run/pid"):  # of a test that failed
        with suppress(ProcessLookupError):
            os.killpg(int(pid.read_text()), 9)


def _real(name: str) -> str:
    return next(f"{folder}/{name}" for folder in ("/bin", "/usr/bin") if Path(f"{folder}/{name}").exists())


def calls(cloud) -> list[str]:
    """Which of Google's commands, without those that only look."""
    found = [" ".join(line.split()[2:4]) for line in cloud.lines("calls")]
    return [call for call in found if call != "queued-resources describe"]


def test_step_by_step_every_worker_gets_the_source_the_versions_the_bucket_and_the_command(cloud):
    for command in ("create", "wait", "setup"):
        found = cloud.call(command, *ALL)
        assert found.returncode == 0, found.stderr
    assert re.search(r"sta: versions [0-9a-f]{16} on all workers", found.stderr)
    for worker in (0, 1):
        assert (cloud.place / f"{worker}/stajax/pyproject.toml").is_file()
        assert not (cloud.place / f"{worker}/stajax/.git").exists()
        (install,) = (line for line in cloud.lines("installed") if line.startswith(f"{worker}: uv pip install"))
        assert re.search(r"--exclude-newer \d{4}-\d\d-\d\dT\S+ \S+/stajax\[tpu\]$", install)
    assert cloud.lines("mounted") == [
        f"{worker}: gcsfuse --implicit-dirs --rename-dir-limit=200000 b /gcs" for worker in (0, 1)
    ]
    assert cloud.call("run", *ALL, "--", "train", "--workdir", "/gcs/a b").returncode == 0
    wait_for(lambda: len(cloud.lines("ran")) == 2)
    assert sorted(cloud.lines("ran")) == [
        f"{worker} 8476 {cloud.place}/{worker}/stajax train --workdir /gcs/a b --distributed" for worker in (0, 1)
    ]
    wait_for(lambda: cloud.call("status", *ALL).stdout.split("\n") == ["ACTIVE", "finished 0", "finished 0", ""])
    assert cloud.call("delete", *ALL).returncode == 0
    assert not (cloud.place / "state").exists()


def wait_for(condition, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_workers_with_other_versions_are_refused(cloud):
    (cloud.place / "versions-1").write_text("jax==0.11.0\n")
    cloud.call("create", *ALL)
    found = cloud.call("setup", *ALL)
    assert found.returncode == 1 and "workers have other versions than each other" in found.stderr


def test_stop_asks_first_and_state_tells_the_exit_code(cloud):
    cloud.stajax(
        'trap \'echo "$WORKER saved" >>"$CLOUD/ran"; exit 1\' TERM\necho up >>"$CLOUD/ran"\nwhile true; do sleep 0.1; done\n'
    )
    cloud.call("create", *ALL)
    cloud.call("setup", *ALL)
    cloud.call("run", *ALL, "--", "train")
    wait_for(lambda: cloud.lines("ran") == ["up", "up"])
    assert cloud.call("status", *ALL).stdout.split() == ["ACTIVE", "running", "running"]
    assert cloud.call("stop", *ALL).returncode == 0
    assert sorted(cloud.lines("ran"))[:2] == ["0 saved", "1 saved"]
    assert cloud.call("status", *ALL).stdout.split() in (["ACTIVE", *["finished", "1"] * 2], ["ACTIVE", "nothing", "nothing"])


def keep(cloud, *more):
    return cloud.call("keep", *ALL, *more, "--", "train", "--workdir", "/gcs/sta", timeout=120)


def test_after_a_preemption_all_begins_again_on_a_new_slice(cloud):
    # The first time the slice is taken away while the command runs.
    cloud.stajax(
        """
echo "$WORKER" >>"$CLOUD/ran"
[[ $(wc -l <"$CLOUD/ran") -gt 2 ]] && exit 0
sleep 0.5
echo SUSPENDED >"$CLOUD/state"
exec sleep 60
"""
    )
    found = keep(cloud, "--spot")
    assert found.returncode == 0, found.stderr
    assert "sta: preempted; again" in found.stderr and "sta: done" in found.stderr
    setup_and_run = ["tpu-vm scp", *["tpu-vm ssh"] * 4]
    once = [call for call in calls(cloud) if call != "tpu-vm ssh"]
    assert once == ["queued-resources create", "tpu-vm scp", "queued-resources delete"] * 2
    assert calls(cloud)[2 : 2 + len(setup_and_run)] == setup_and_run  # after a look whether the command runs already
    assert sorted(cloud.lines("ran")) == ["0", "0", "1", "1"]


def test_a_failure_begins_again_on_the_same_slice_so_many_times(cloud):
    cloud.stajax('echo "$WORKER" >>"$CLOUD/ran"; exit 1\n')
    found = keep(cloud, "--restarts", 1)
    assert found.returncode == 1
    assert (
        "sta: failed, 1 of 1 allowed; again" in found.stderr and "sta: failed 2 times; the slice is still there" in found.stderr
    )
    assert [call for call in calls(cloud) if call.startswith("queued")] == ["queued-resources create"]
    assert sorted(cloud.lines("ran")) == ["0", "0", "1", "1"]


def test_bad_input_is_not_tried_again(cloud):
    cloud.stajax('echo "stajax: no such configuration file" >&2; exit 2\n')
    found = keep(cloud)
    assert found.returncode == 2
    assert "stajax: no such configuration file" in found.stderr and "its input is bad" in found.stderr
    assert [call for call in calls(cloud) if call == "tpu-vm scp"] == ["tpu-vm scp"]


def test_keep_goes_on_watching_what_runs_already(cloud):
    cloud.stajax('echo "$WORKER" >>"$CLOUD/ran"; sleep 3\n')
    for command in (("create", *ALL), ("setup", *ALL), ("run", *ALL, "--", "train")):
        cloud.call(*command)
    found = keep(cloud)
    assert found.returncode == 0 and "sta: the command runs already" in found.stderr
    assert sorted(cloud.lines("ran")) == ["0", "1"]
