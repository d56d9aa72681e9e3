"""Running the scripts of launch/ as a user does."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
LAUNCH = ROOT / "launch"
SCRIPTS = ("tpu_vm.sh", "worker.sh", "local_multiprocess.sh", "gke/xpk.sh", "slurm.sbatch")


def run(script: str, *arguments, path: Path | None = None, timeout: float = 60, **environment) -> subprocess.CompletedProcess:
    """`launch/script arguments`; path: a folder of programs that come before the real ones."""
    environment = {**os.environ, **{name: str(value) for name, value in environment.items()}}
    environment.pop("TPU_ZONE", None)
    if path is not None:
        environment["PATH"] = f"{path}:{environment['PATH']}"
    command = ["bash", str(LAUNCH / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=environment, cwd=ROOT, check=False)


def program(path: Path, text: str) -> Path:
    """An executable bash script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/usr/bin/env bash\nset -euo pipefail\n" + text)
    path.chmod(0o755)
    return path
