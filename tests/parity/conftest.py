"""`pytest tests/parity --goldens DIR`: every golden in DIR, through the real converter, against the authors' own numbers.

A golden is a JSON and an npz: the JSON tells salt, batch, sizes and inputs, and lists taps, samples of a float64 run. The rule
for weights and inputs is in `detw.py`; the state-dict specs lie in DIR, beside it, or in tests/goldens/nets.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

ELSEWHERE = {"matlab_post": "box, paste and smoothing of pseudo-fixations: tests/cam"}


COMPARED: list[tuple[str, int, int, float]] = []  # golden, taps compared, its taps, the worst one's share of its tolerance


def pytest_terminal_summary(terminalreporter):
    """What was compared, golden by golden and in all."""
    for name, compared, total, worst in COMPARED:
        terminalreporter.write_line(f"{name}: {compared}/{total} taps compared, worst {worst:.3f} of the tolerance")
    if COMPARED:
        sums = [sum(row[k] for row in COMPARED) for k in (1, 2)]
        terminalreporter.write_line(
            f"goldens of the authors' nets: {sums[0]}/{sums[1]} taps compared in {len(COMPARED)} goldens"
        )


@dataclass(frozen=True)
class Golden:
    """A golden as it lies on disk, and the pass rule."""

    path: Path
    index: dict

    @property
    def name(self) -> str:
        return self.index.get("net") or self.index["name"]

    @property
    def taps(self) -> dict[str, dict]:
        return {tap["name"]: tap for tap in self.index["taps"]}

    def samples(self, tap: dict) -> np.ndarray:
        with np.load(self.path.with_suffix(".npz"), allow_pickle=False) as archive:
            return archive[tap["key"]]

    def spec(self, name: str | None = None) -> list[dict]:
        """Names and shapes of the tensors of a net, by default the golden's own."""
        own = Path(self.index["spec"]) if name is None else Path("state_dict_spec") / f"{name}.json"
        places = [folder / own for folder in (self.path.parent, self.path.parent.parent, goldens_of_the_project())]
        return json.loads(next(place for place in places if place.is_file()).read_text())["tensors"]

    def check(self, found: dict[str, np.ndarray], left_out: dict[str, str] | None = None) -> None:
        """`found`, tap name -> full array in PyTorch's layout, against the golden; `left_out`: tap -> why it is not there.

        Prints how many taps were compared. Fails for a tap off by more than 50 err32 + 2e-6 absmax, of another shape, or
        neither found nor left out with a reason.
        """
        left_out, wrong, worst = left_out or {}, [], 0.0
        for name, tap in self.taps.items():
            if name not in found:
                if name not in left_out:
                    wrong.append(f"{name}: not mapped")
                continue
            array = np.asarray(found[name])
            if list(array.shape) != tap["shape"]:
                wrong.append(f"{name}: shape {array.shape}, the golden's is {tuple(tap['shape'])}")
                continue
            ours = array.reshape(-1)[:: tap["stride"]].astype(np.float64)
            difference = np.abs(ours - self.samples(tap)).max()
            exact = tap.get("err32") == 0  # integers, or zero everywhere
            tolerance = 0.0 if exact else 50 * tap.get("err32", 0.0) + 2e-6 * tap["absmax"]
            worst = max(worst, difference / tolerance if tolerance else float(difference > 0))
            if not difference <= tolerance:
                wrong.append(f"{name}: off by {difference:.3g}, allowed {tolerance:.3g}")
        compared = len(self.taps.keys() & found.keys())
        COMPARED.append((self.path.stem, compared, len(self.taps), worst))
        for name, reason in left_out.items():
            print(f"  left out: {name} ({reason})")
        assert not wrong, f"{self.path.stem}: " + "; ".join(wrong)


def goldens_of_the_project() -> Path:
    return Path(__file__).parents[1] / "goldens/nets"


def read_goldens(folder: Path) -> list[Golden]:
    """All goldens of a folder. An unreadable one, or none at all, is an error."""
    if not folder.is_dir():
        raise pytest.UsageError(f"--goldens {folder}: no such folder")
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            index = json.loads(path.read_text())
            golden = Golden(path, index)
            assert golden.name and golden.taps
            with np.load(path.with_suffix(".npz"), allow_pickle=False) as archive:
                assert set(archive.files) >= {tap["key"] for tap in golden.taps.values()}
        except Exception as error:
            raise pytest.UsageError(f"--goldens: {path} or its npz cannot be read ({type(error).__name__}: {error})") from None
        found.append(golden)
    if all(golden.name in ELSEWHERE for golden in found):
        raise pytest.UsageError(f"--goldens {folder}: no golden (JSON and npz) of these tests in it")
    return found


def pytest_generate_tests(metafunc):
    """A test that asks for `golden` runs for each that its module `covers(name)`; `--fast` leaves out what is `slow(name)`."""
    if "golden" not in metafunc.fixturenames:
        return
    goldens = [golden for golden in read_goldens(metafunc.config.getoption("goldens")) if metafunc.module.covers(golden.name)]
    if metafunc.config.getoption("fast") and hasattr(metafunc.module, "slow"):
        goldens = [golden for golden in goldens if not metafunc.module.slow(golden.name)]
    metafunc.parametrize("golden", goldens, ids=lambda golden: golden.path.stem)
