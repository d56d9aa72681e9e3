"""Runs that were stopped go on with the losses that they would have had: after a signal, a kill, on other devices, workers."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from training.small import small

from stajax.data.records import Records
from stajax.encoders.params import flatten
from stajax.models import folder
from stajax.training.config import ConfigError
from stajax.training.log import read_metrics
from stajax.training.train import Diverged, Interrupted, train

CONFIG = Path(__file__).parents[2] / "configs/s.py"
SAME = {"loss", "accuracy", "confidence", "gradient", "rate"}


def assert_same_losses(one: Path, other: Path, steps: int) -> None:
    lines = [[line for line in read_metrics(run) if "loss" in line] for run in (one, other)]
    assert [line["step"] for line in lines[0]] == [line["step"] for line in lines[1]] == list(range(1, steps + 1))
    for line, found in zip(*lines, strict=True):
        for key in SAME:
            assert found[key] == pytest.approx(line[key], rel=1e-5, abs=1e-7), (line["step"], key)


@pytest.fixture(scope="module")
def whole(places, tmp_path_factory):
    """A run of S that nothing disturbed."""
    workdir = tmp_path_factory.mktemp("runs") / "whole"
    return workdir, train(small("s", places, steps=8), workdir, quiet=True)


def test_a_run_that_was_asked_to_stop_goes_on_with_other_workers(places, whole, tmp_path):
    workdir = tmp_path / "run"
    with pytest.raises(Interrupted, match=r"stopped after step 5 of 8; the same command goes on from there"):
        train(small("s", places, steps=8), workdir, quiet=True, stop=lambda step: step == 5)
    assert not (workdir / "model").exists()
    result = train(small("s", places, steps=8, workers=1), workdir, quiet=True)
    assert_same_losses(whole[0], workdir, 8)
    assert result.step == 8 and result.metrics == pytest.approx(whole[1].metrics, rel=1e-5, abs=1e-7)
    found, expected = (flatten(folder.read(path).variables) for path in (result.model, whole[1].model))
    for path, x in expected.items():
        np.testing.assert_allclose(found[path], x, rtol=1e-4, atol=1e-6, err_msg=path)


def test_a_finished_run_is_not_made_again(places, whole):
    assert train(small("s", places, steps=8), whole[0], quiet=True, stop=pytest.fail).step == 8


def test_a_working_directory_that_was_begun_otherwise_is_one_line(places, whole):
    with pytest.raises(ConfigError, match=r"begun with another configuration \(seed was 0, now 1\); give another --workdir"):
        train(small("s", places, steps=8, seed=1), whole[0], quiet=True)
    with pytest.raises(ConfigError, match=r"steps=4: this run has made 8 already"):
        train(small("s", places, steps=4), whole[0], quiet=True)


def test_a_loss_that_is_no_number_names_its_clips_and_saves_nothing(places, tmp_path):
    config = small("s", places, steps=8, optimiser__name="released_sgd", optimiser__rate=1e30, optimiser__clip=0.0)
    with pytest.raises(Diverged, match=r"the loss of step \d .* is no finite number; its clips: synthetic_1_000") as error:
        train(config, tmp_path / "run", quiet=True)
    step = int(str(error.value).split("step ")[1].split()[0])
    assert all(int(path.name) < step for path in (tmp_path / "run/checkpoints").glob("*") if path.name.isdigit())
    assert not (tmp_path / "run/model").exists()


def test_a_damaged_record_is_named_skipped_and_counted(places, tmp_path, capfd):
    (shard,) = Records(places.records).shards
    torn = tmp_path / "records"
    torn.mkdir()
    for path in places.records.iterdir():
        if path.is_file():
            (torn / path.name).write_bytes(path.read_bytes())
    data = bytearray((torn / shard.name).read_bytes())
    at = len(data) // 2
    data[at : at + 64] = bytes(64)
    (torn / shard.name).write_bytes(bytes(data))
    with pytest.warns(match=r"synthetic_1_000\d\d"):
        train(small("s", places, records=str(torn), heard=str(torn), steps=3), tmp_path / "run", quiet=True)
    assert sum(line["skipped"] for line in read_metrics(tmp_path / "run")) >= 1


@pytest.mark.slow
def test_a_killed_run_goes_on_on_fewer_devices(places, tmp_path):
    """Four devices, kill -9 in the middle, then two: the losses of one device, which nobody disturbed."""
    fields = {"records": places.records, "steps": 40, "batch": 8, "validation": 0, "log.every": 1, "checkpoint.every": 3}
    words = [sys.executable, "-m", "stajax", "train", "--config", f"{CONFIG}:tiny", "--quiet"]
    words += [f"--config.{key}={value}" for key, value in fields.items()]

    def command(workdir: str, devices: int, **options):
        environment = {**os.environ, "JAX_PLATFORMS": "cpu", "STAJAX_CPU_DEVICES": str(devices)}
        return subprocess.Popen([*words, "--workdir", tmp_path / workdir], env=environment, **options)

    running, until = command("run", 4), time.monotonic() + 300
    while not list((tmp_path / "run").glob("checkpoints/[0-9]*")):
        assert running.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL and not (tmp_path / "run/model").exists()
    before = len(read_metrics(tmp_path / "run"))
    assert 3 <= before < 40
    assert command("run", 2).wait(300) == 0
    assert command("whole", 1).wait(300) == 0
    assert_same_losses(tmp_path / "whole", tmp_path / "run", 40)
