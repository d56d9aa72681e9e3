"""docs/quickstart.ipynb runs as it stands, without Jupyter."""

import ast
import json
from pathlib import Path

NOTEBOOK = Path(__file__).parents[2] / "docs/quickstart.ipynb"


def run(source: str, names: dict):
    """As a notebook runs a cell: the value of its last expression is shown."""
    parsed = ast.parse(source)
    last = parsed.body.pop() if isinstance(parsed.body[-1], ast.Expr) else None
    exec(compile(parsed, str(NOTEBOOK), "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), str(NOTEBOOK), "eval"), names)


def test_the_quickstart_runs_and_shows_what_it_says(monkeypatch, capsys):
    monkeypatch.chdir(NOTEBOOK.parent)
    cells = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    names: dict = {}
    shown = [run(cell, names) for cell in cells]
    pictures = [x for x in shown if hasattr(x, "size") and hasattr(x, "mode")]
    assert len(pictures) == 2 and all(min(picture.size) > 200 for picture in pictures)
    printed = capsys.readouterr().out
    assert "(132, 64, 64) 5.24 s at 25 frames a second" in printed
    scores = {line.split()[0]: float(line.split()[1]) for line in printed.splitlines()[-4:]}
    assert list(scores) == ["NSS", "AUC-Judd", "CC", "SIM"] and scores["AUC-Judd"] > 0.5
