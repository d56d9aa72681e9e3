"""Several processes write `classes.json` of one folder at once, as those of a pod do: none fails, and it is whole."""

import subprocess
import sys

from stajax.data.shards import read_classes

WRITER = """
import sys
from pathlib import Path
from stajax.data.shards import write_classes
print("ready", flush=True)
sys.stdin.readline()
for i in range(200):
    write_classes(Path(sys.argv[1]) / str(i), {"a": ("b",), "c": ()})
"""


def test_processes_that_write_the_same_classes_do_not_disturb_each_other(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:  # all at once
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers:
        _, error = writer.communicate(timeout=120)
        assert writer.returncode == 0, error
    for i in range(200):
        assert read_classes(tmp_path / str(i)) == {"a": ("b",), "c": ()}
        assert [path.name for path in (tmp_path / str(i)).iterdir()] == ["classes.json"]
