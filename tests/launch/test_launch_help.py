"""Every script explains itself, prints what it would do, refuses what makes no sense; its files are well-formed and agree."""

import re
import shlex
import subprocess

import pytest
import yaml
from scripts import LAUNCH, ROOT, SCRIPTS, run

from stajax.cli import _parser
from stajax.cli.arguments import dotted

TPU = ("--zone", "us-east5-b", "--dry-run")
TRAIN = ("train", "--config", "configs/sta.py:lite", "--workdir", "/gcs/sta")


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_has_examples_and_bash_can_read_the_script(script):
    found = run(script, "--help")
    assert (found.returncode, found.stderr) == (0, "") and f"launch/{script}" in found.stdout
    assert subprocess.run(["bash", "-n", LAUNCH / script], check=False).returncode == 0
    assert "set -euo pipefail" in (LAUNCH / script).read_text()


@pytest.mark.parametrize("path", [*SCRIPTS, "skypilot.yaml", "gke/jobset.yaml", "sweep.py"])
def test_the_stajax_commands_in_help_and_examples_are_ones_that_stajax_takes(path):
    text = (LAUNCH / path).read_text().replace("\\\n", " ")
    found = re.findall(r"(?:-- |stajax |sbatch |COMMAND=\")((?:train|pipeline) --config[^\n\"`#]*)", text)
    if path == "gke/jobset.yaml":
        (pod,) = yaml.safe_load(text)["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]["containers"]
        assert pod["command"][0] == "stajax"
        found = [shlex.join(pod["command"][1:])]
    assert found or path in ("worker.sh", "sweep.py")
    for words in map(shlex.split, found):
        given = _parser().parse_args(dotted([word for word in words if word != "..."]))
        assert (ROOT / given.config.partition(":")[0]).is_file()


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("tpu_vm.sh", (), "tpu_vm.sh: which command? see --help"),
        ("tpu_vm.sh", ("create",), "tpu_vm.sh: create: the slice needs a name; see --help"),
        ("tpu_vm.sh", ("create", "a"), "tpu_vm.sh: where? give --zone, such as us-east5-b"),
        ("tpu_vm.sh", ("create", "a", *TPU), "tpu_vm.sh: which slice? give --type, such as v6e-16"),
        ("tpu_vm.sh", ("run", "a", *TPU), "tpu_vm.sh: run: what? give it after --, such as -- train --config"),
        (
            "tpu_vm.sh",
            ("dance", "a", *TPU),
            "tpu_vm.sh: dance: one of create, wait, setup, run, status, logs, stop, delete, keep",
        ),
        ("tpu_vm.sh", ("create", "a", *TPU, "--type", "tpu7x-8"), "tpu_vm.sh: tpu7x-8: which TPU software?"),
        (
            "tpu_vm.sh",
            ("keep", "a", *TPU, "--", "train", "--workdir", "runs"),
            "tpu_vm.sh: keep: --workdir must lie below /gcs",
        ),
        ("tpu_vm.sh", ("keep", "a", *TPU, "--", *TRAIN), "tpu_vm.sh: keep: which bucket is /gcs? give --bucket"),
        ("worker.sh", ("fly",), "worker.sh: fly: one of install, mount, start, stop, state, log; see --help"),
        ("local_multiprocess.sh", (), "local_multiprocess.sh: how many processes? see --help"),
        ("local_multiprocess.sh", ("2",), "local_multiprocess.sh: which command? give it after --; see --help"),
        ("local_multiprocess.sh", ("0", "--", "true"), "local_multiprocess.sh: 0: give a number of processes"),
        ("local_multiprocess.sh", ("2", "--port"), "local_multiprocess.sh: --port needs a value"),
        ("gke/xpk.sh", ("a", "--", "train"), "xpk.sh: give --cluster; see --help"),
    ],
)
def test_what_makes_no_sense_is_one_line(script, arguments, message):
    found = run(script, *arguments)
    assert found.returncode == 2 and found.stdout == ""
    assert found.stderr.startswith(message) and len(found.stderr.splitlines()) == 1


def printed(script: str, *arguments, **environment) -> list[list[str]]:
    """The commands of a dry run, as words."""
    found = run(script, *arguments, **environment)
    assert found.returncode == 0, found.stderr
    return [shlex.split(line) for line in found.stdout.splitlines()]


def test_a_dry_run_of_a_slice_prints_all_of_googles_commands_in_their_order():
    train = (*TRAIN, "--config.augment=a b")
    options = ("--project", "p", "--type", "v6e-16", "--bucket", "b", "--spot", "--valid-until", "6h")
    commands = printed("tpu_vm.sh", "keep", "sta", *TPU, *options, "--", *train)
    where = ["--zone=us-east5-b", "--project=p"]
    tpus = ["gcloud", "compute", "tpus"]
    create, wait, copy, unpack, install, mount, start, state, delete = commands
    asked = ["--node-id=sta", "--accelerator-type=v6e-16", "--runtime-version=v2-alpha-tpuv6e", "--async", "--spot"]
    assert create == [*tpus, "queued-resources", "create", "sta", *where, *asked, "--valid-until-duration=6h"]
    assert wait == [*tpus, "queued-resources", "describe", "sta", *where, "--format=value(state.state)"]
    assert copy[3:5] == ["tpu-vm", "scp"] and copy[6:] == ["sta:stajax.tgz", *where, "--worker=all"]
    for command in (unpack, install, mount, start, state):
        assert command[:-1] == [*tpus, "tpu-vm", "ssh", "sta", *where, "--worker=all"]
    date = subprocess.run(["git", "log", "-1", "--format=%cI"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert install[-1] == f"--command=bash stajax/launch/worker.sh install {date.strip()} tpu"
    assert mount[-1] == "--command=bash stajax/launch/worker.sh mount b"
    inner = shlex.split(start[-1].removeprefix("--command="))
    assert inner[:4] == ["cd", "stajax", "&&", "JAX_COORDINATOR_PORT=8476"]
    assert inner[4:] == ["bash", "launch/worker.sh", "start", "~/stajax-env/bin/stajax", *train, "--distributed"]
    assert state[-1] == "--command=bash stajax/launch/worker.sh state"
    assert delete == [*tpus, "queued-resources", "delete", "sta", *where, "--force", "--quiet"]


@pytest.mark.parametrize(
    ("kind", "software"),
    [
        ("v6e-16", "v2-alpha-tpuv6e"),
        ("v5p-32", "v2-alpha-tpuv5"),
        ("v5litepod-16", "v2-alpha-tpuv5-lite"),
        ("v4-32", "tpu-ubuntu2204-base"),
    ],
)
def test_the_software_follows_from_the_type(kind, software):
    (command,) = printed("tpu_vm.sh", "create", "a", *TPU, "--type", kind)
    assert f"--runtime-version={software}" in command
    (command,) = printed("tpu_vm.sh", "create", "a", *TPU, "--type", kind, "--runtime", "mine")
    assert "--runtime-version=mine" in command


def test_a_dry_run_of_processes_prints_one_command_each():
    commands = printed(
        "local_multiprocess.sh", "--dry-run", "--devices", 4, "--port", 9000, 2, "--", "stajax", "train", "--workdir", "a b"
    )
    environment, words = ["JAX_PLATFORMS=cpu", "STAJAX_CPU_DEVICES=4"], ["stajax", "train", "--workdir", "a b"]
    for process, command in enumerate(commands):
        others = ["--coordinator", "127.0.0.1:9000", "--processes", "2", "--process", str(process)]
        assert command == [*environment, *words, *others]
    assert len(commands) == 2


def test_a_dry_run_of_xpk_builds_the_image_and_submits_the_command():
    options = ("--cluster", "C", "--zone", "Z", "--project", "P", "--type", "v6e-16", "--image", "I", "--storage", "S")
    build, push, submit = printed("gke/xpk.sh", *options, "--dry-run", "sta", "--", *TRAIN)
    assert build == ["docker", "build", "-f", str(LAUNCH / "gke/Dockerfile"), "-t", "I", str(ROOT)] and push == [
        "docker",
        "push",
        "I",
    ]
    assert submit[:3] == ["xpk", "workload", "create"]
    assert submit[-1] == f"--command=cd /stajax && stajax {shlex.join(TRAIN)} --distributed"
    flags = {"--cluster=C", "--zone=Z", "--project=P", "--workload=sta", "--tpu-type=v6e-16", "--num-slices=1"}
    assert set(submit[3:-1]) == flags | {"--docker-image=I", "--max-restarts=50", "--storage=S"}
    assert len(printed("gke/xpk.sh", *options, "--no-build", "--dry-run", "sta", "--", *TRAIN)) == 1


def test_a_dry_run_under_slurm_prints_the_step():
    (command,) = printed("slurm.sbatch", *TRAIN, DRY_RUN=1, STAJAX_ENV="env")
    assert command == ["srun", "--kill-on-bad-exit=1", "--gpu-bind=none", "env/bin/stajax", *TRAIN, "--distributed"]


def test_a_dry_run_of_a_worker_prints_what_it_would_install_and_mount(tmp_path):
    install = printed("worker.sh", "--dry-run", "install", "2026-11-01", HOME=tmp_path)
    python = f"{tmp_path}/stajax-env/bin/python"
    assert ["uv", "venv", "--quiet", "--python", "3.12", f"{tmp_path}/stajax-env"] in install
    assert ["uv", "pip", "install", "--quiet", "--python", python, "--exclude-newer", "2026-11-01", f"{ROOT}[tpu]"] in install
    mount = printed("worker.sh", "--dry-run", "mount", "bucket", tmp_path / "gcs", HOME=tmp_path)
    assert mount[-1] == ["gcsfuse", "--implicit-dirs", "--rename-dir-limit=200000", "bucket", str(tmp_path / "gcs")]


def test_the_jobset_restarts_what_is_lost_and_not_what_is_wrong():
    spec = yaml.safe_load((LAUNCH / "gke/jobset.yaml").read_text())["spec"]
    (job,) = (replicated["template"]["spec"] for replicated in spec["replicatedJobs"])
    pod = job["template"]["spec"]
    (container,) = pod["containers"]
    assert job["completions"] == job["parallelism"] == 4 and job["backoffLimit"] == 0
    chips = int(container["resources"]["limits"]["google.com/tpu"]) * job["completions"]
    across, down = map(int, pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"].split("x"))
    assert chips == across * down
    assert job["podFailurePolicy"]["rules"][0]["onExitCodes"] == {
        "containerName": container["name"],
        "operator": "In",
        "values": [2],
    }
    assert spec["failurePolicy"]["rules"] == [{"action": "FailJobSet", "onJobFailureReasons": ["PodFailurePolicy"]}]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert container["command"][-1] == "--distributed"


def test_all_pin_the_port_that_tpu_firewalls_open():
    sky = yaml.safe_load((LAUNCH / "skypilot.yaml").read_text())
    assert sky["envs"]["JAX_COORDINATOR_PORT"] == "8476" and "$COMMAND --distributed" in sky["run"]
    assert "JAX_COORDINATOR_PORT=8476" in (LAUNCH / "gke/Dockerfile").read_text()
    assert "port=8476" in (LAUNCH / "tpu_vm.sh").read_text()


def test_the_image_gets_what_the_package_is_built_of():
    kept = {line[1:] for line in (LAUNCH / "gke/Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    assert {"pyproject.toml", "README.md", "LICENSE", "stajax", "configs", "launch"} == kept
    assert all((ROOT / name).exists() for name in kept)
