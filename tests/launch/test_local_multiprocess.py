"""local_multiprocess.sh: what each process is told, one that fails, an interruption; and two processes that really train."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time

import pytest
from scripts import LAUNCH, ROOT, program, run

from stajax.data.synthetic import SyntheticAVE, SyntheticConfig, write_synthetic
from stajax.training.log import read_metrics


def processes(*arguments, **options):
    return run("local_multiprocess.sh", *arguments, **options)


def alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    return True


def test_every_process_is_told_which_it_is_and_the_first_ones_words_are_shown(tmp_path):
    said = program(tmp_path / "said", 'echo "$JAX_PLATFORMS $STAJAX_CPU_DEVICES $*"\n')
    found = processes("--devices", 3, "--logs", tmp_path / "logs", 2, "--", said, "a b", "c")
    assert found.returncode == 0, found.stderr
    logs = [(tmp_path / f"logs/process-{i}.log").read_text() for i in (0, 1)]
    port = logs[0].split("127.0.0.1:")[1].split()[0]
    assert logs == [f"cpu 3 a b c --coordinator 127.0.0.1:{port} --processes 2 --process {i}\n" for i in (0, 1)]
    assert found.stdout == logs[0] and 1024 < int(port) < 65536


def test_one_that_fails_ends_the_others_and_gives_its_exit_code(tmp_path):
    fails = program(
        tmp_path / "fails",
        f"""
echo $$ >"{tmp_path}/pid-${{!#}}"
[[ ${{!#}} == 0 ]] || {{ sleep 0.5; echo "no such records" >&2; exit 2; }}
trap 'touch "{tmp_path}/saved"; exit 1' TERM
while true; do sleep 0.1; done
""",
    )
    found = processes(2, "--", fails)
    assert found.returncode == 2
    assert "a process ended with exit code 2; the others are stopped" in found.stderr and "no such records" in found.stderr
    assert (tmp_path / "saved").exists() and not alive((tmp_path / "pid-0").read_text())


def test_one_that_does_not_stop_is_ended(tmp_path):
    deaf = program(
        tmp_path / "deaf", f'trap "" TERM\necho $$ >"{tmp_path}/pid-${{!#}}"\n[[ ${{!#}} == 0 ]] && exec sleep 60 || exit 3\n'
    )
    since = time.monotonic()
    found = processes("--grace", 1, 2, "--", deaf)
    assert found.returncode == 3 and time.monotonic() - since < 30
    assert not alive((tmp_path / "pid-0").read_text())


def test_an_interruption_lets_all_save(tmp_path):
    saves = program(
        tmp_path / "saves",
        f"""
trap 'touch "{tmp_path}/saved-${{!#}}"; exit 1' TERM
touch "{tmp_path}/up-${{!#}}"
while true; do sleep 0.1; done
""",
    )
    command = ["bash", LAUNCH / "local_multiprocess.sh", "2", "--", saves]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 30
    while not all((tmp_path / f"up-{i}").exists() for i in (0, 1)):
        assert time.monotonic() < until
        time.sleep(0.1)
    started.send_signal(signal.SIGTERM)
    started.communicate(timeout=60)
    assert started.returncode == 143 and all((tmp_path / f"saved-{i}").exists() for i in (0, 1))


@pytest.mark.slow
def test_two_processes_train_a_net_as_one_does(tmp_path):
    """The losses of 6 steps on made clips, and the evaluation, to 1e-5; one model folder."""
    small = SyntheticConfig(size=64, seconds=0.8, fps=10, classes=3)
    write_synthetic(tmp_path / "records", SyntheticAVE(15, config=small))
    fields = {"records": tmp_path / "records", "steps": 6, "batch": 8, "log.every": 1, "eval.every": 6, "eval.moments": 2}
    words = ["train", "--config", ROOT / "configs/s.py:tiny", *(f"--config.{key}={value}" for key, value in fields.items())]
    words = [sys.executable, "-m", "stajax", *words]
    found = processes("--logs", tmp_path / "logs", 2, "--", *words, "--workdir", tmp_path / "two", timeout=300)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "2 process(es), 2 x cpu, mesh data 2 x fsdp 1" in found.stdout
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    subprocess.run([*map(str, words), "--workdir", tmp_path / "one", "--quiet"], check=True, env=environment, timeout=300)
    one, two = read_metrics(tmp_path / "one"), read_metrics(tmp_path / "two")
    assert [line["step"] for line in one] == [line["step"] for line in two] and len(one) >= 7
    for line, other in zip(one, two, strict=True):
        assert line.keys() == other.keys()
        for key in line.keys() & {"loss", "accuracy", "confidence", "rate", "eval/loss", "eval/accuracy", "eval/confidence"}:
            assert other[key] == pytest.approx(line[key], rel=1e-5, abs=1e-7), (line["step"], key)
    assert json.loads((tmp_path / "two/model/config.json").read_text()) == json.loads(
        (tmp_path / "one/model/config.json").read_text()
    )


@pytest.mark.slow
def test_one_of_two_that_cannot_go_on_does_not_keep_the_other_waiting(tmp_path):
    """The second one's records are missing. At a normal exit JAX would wait for the first one, and that for the second."""
    write_synthetic(tmp_path / "records", SyntheticAVE(6, config=SyntheticConfig(size=64, seconds=0.5, fps=10, classes=3)))
    words = shlex.join([sys.executable, "-m", "stajax", "train", "--config", f"{ROOT}/configs/s.py:tiny", "--config.steps=2"])
    each = program(
        tmp_path / "each",
        f"""
[[ ${{!#}} == 0 ]] && records={tmp_path}/records || records={tmp_path}/nowhere
exec {words} --workdir {tmp_path}/run --config.records=$records "$@"
""",
    )
    found = processes("--grace", 5, 2, "--", each, timeout=200)
    assert found.returncode == 2, found.stderr
    assert "process-1.log: stajax: " in found.stderr and "nowhere" in found.stderr
