"""The goldens of the metrics (`--metric-goldens DIR`, README there), and a count of the values compared."""

import json
import math
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

FILES = ("cases.npz", "expected.json", "pysaliency_values.json", "resize_postprocess.npz")
SECTIONS = ("octave", "matlab_resize_semantics", "derived")
SPREADS = ("AUC_Judd_default_std", "AUC_shuffled_default_std", "AUC_Borji_default_std", "n_repeat_of_default")


@dataclass
class MetricGoldens:
    arrays: dict
    expected: dict
    pysaliency: dict
    resize_postprocess: dict
    compared: set = field(default_factory=set)
    differing: set = field(default_factory=set)  # of the compared, those that are meant to differ

    @classmethod
    def read(cls, folder: Path):
        """ValueError, in one line, if one of the files is missing, unreadable or empty."""
        contents = []
        for file in FILES:
            try:
                path = folder / file
                contents.append(json.loads(path.read_text()) if path.suffix == ".json" else np.load(path))
            except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
                reason = getattr(error, "strerror", None) or "damaged"
                raise ValueError(f"--metric-goldens {folder}: cannot read {file}: {reason}") from error
            if not len(contents[-1]):
                raise ValueError(f"--metric-goldens {folder}: {file} is empty")
        return cls(*contents)

    def case(self, name):
        """The arrays of a case: saliency, fixations, density, other."""
        shape = self.expected[name]["fix_shape"]
        fixations, other = np.zeros(shape), np.zeros(shape)
        if self.expected[name].get("fix_all_ones"):
            fixations[:] = 1
        else:
            rows, columns, values = self.arrays[f"{name}/fix_rcv"].T
            fixations[rows, columns] = values
        other[tuple(self.arrays[f"{name}/other_rc"].T)] = 1
        return self._picture(f"{name}/sal"), fixations, self._picture(f"{name}/gt"), other

    def _picture(self, key):
        return self.arrays[f"{key}_u8"] / 255.0 if f"{key}_u8" in self.arrays else self.arrays[key]

    def jitter(self, name):
        if f"{name}/U" in self.arrays:
            return self.arrays[f"{name}/U"]
        return np.random.default_rng(self.expected[name]["jitter_seed"]).random(self.expected[name]["fix_shape"])

    def tolerance(self, key):
        """1e-9, of pixels 1e-13; of a mean over random calls, six standard errors (of 5 or 20 calls)."""
        file, case, section, name = key
        if file == "resize_postprocess":
            return 1e-13
        if not name.endswith("_default_mean"):
            return 1e-9
        calls = self.expected[case]["octave"]["n_repeat_of_default"]
        return 6 * (self.expected[case][section][name.replace("mean", "std")] or 0) / np.sqrt(calls) + 1e-9

    @cached_property
    def values(self):
        """(file, case, section, name) -> golden, of everything there is to compare; null is NaN, complex is real.

        The spread of the values that are means over random calls is no value; it says how exact the mean is.
        """
        found = {("pysaliency", case, "", name): v for case, row in self.pysaliency.items() for name, v in row.items()}
        for case, golden in self.expected.items():
            skipped = {*SPREADS, *(entry.split()[0] for entry in golden.get("skip", ()))}  # "name (why)"
            for section in SECTIONS:
                row = {name: _real(value) for name, value in golden.get(section, {}).items() if name not in skipped}
                found |= {("expected", case, section, name): value for name, value in row.items()}
            for name in ("judd_roc_tp", "judd_roc_fp"):
                if name in golden:
                    found["expected", case, "", name] = np.array(golden[name])
        for key in self.resize_postprocess:
            kind, case, name = key.split("/")
            if not name.startswith("in"):
                found["resize_postprocess", case, kind, name] = self.resize_postprocess[key]
        return found


def _real(value):
    return math.nan if value is None else value["re"] if isinstance(value, dict) else value
