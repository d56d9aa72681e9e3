"""Worker processes that die, and whose parent dies: each ends, which a limit of time shows, and the error names the causes."""

import signal
import subprocess
import sys

import numpy as np
import pytest

LIMIT = 120  # s; without the mends the processes would wait for ever


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A clip whose fixations, which every worker gets, are more than a pipe holds (64 KB)."""
    root, n = tmp_path_factory.mktemp("plain"), 8000
    (root / "fixations").mkdir()
    rows = np.stack([np.arange(n) % 200, np.arange(n) % 8, np.arange(n) % 6], axis=1)
    np.savetxt(root / "fixations/a.csv", rows, "%d", ",", header="frame,x,y", comments="")
    (root / "sizes.csv").write_text("name,width,height\na,8,6\n")
    return root


def test_a_script_without_guard_is_told_so(plain, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(f"""
from stajax.evaluation.evaluate import evaluate
evaluate(None, {str(plain)!r}, "plain", baselines=["chance"], workers=2)
""")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=LIMIT)
    assert run.returncode == 1
    last = run.stderr.splitlines()[-1]
    assert last.startswith("RuntimeError: a worker process died") and 'if __name__ == "__main__":' in last


def test_workers_end_with_their_parent(plain, tmp_path):
    """The workers hold the standard output, so it ends when they have."""
    script = tmp_path / "run.py"
    script.write_text(f"""
import os, signal
from stajax.evaluation.evaluate import evaluate
if __name__ == "__main__":
    die = lambda progress: os.kill(os.getpid(), signal.SIGKILL)
    evaluate(None, {str(plain)!r}, "plain", baselines=["chance"], workers=2, progress=die)
""")
    run = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=LIMIT)
    assert run.returncode == -signal.SIGKILL
