"""Every stage on eight pretended devices: one device's loss, the mesh's shardings, and nothing moved but gradients."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stajax.training.config import STAGES


def on_eight(fsdp: int, *stages: str) -> list[dict]:
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, Path(__file__).parent / "eight_devices.py", str(fsdp), *stages]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert found.returncode == 0, found.stderr[-3000:]
    return [json.loads(line) for line in found.stdout.splitlines()]


@pytest.mark.slow
def test_a_step_of_every_stage_on_eight_devices_is_that_of_one_and_moves_gradients_alone():
    found = on_eight(1)
    assert sum(line["loss"][1] is not None for line in found) == 3
    assert [line["stage"] for line in found] == list(STAGES)
    for line in found:
        together, alone = line["loss"]
        assert np.isfinite(together) and (alone is None or together == pytest.approx(alone, rel=1e-5)), line
        assert line["kinds"] == ["all-reduce"] and line["elsewhere"] == 0 and line["rows"] == [1], line


@pytest.mark.slow
def test_parameters_are_split_over_fsdp_with_the_same_loss():
    (line,) = on_eight(2, "sta_plus_short")
    assert line["loss"][0] == pytest.approx(line["loss"][1], rel=1e-5)
    assert line["elsewhere"] == 0 and line["split"] >= 1 and set(line["kinds"]) > {"all-reduce"}, line
