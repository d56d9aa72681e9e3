"""Numbers of the paper's Table 7, as printed there, to stand beside what was measured under the protocol of STAViS."""

from __future__ import annotations

from typing import NamedTuple


class Printed(NamedTuple):
    """A row of the table on one data set. kind: of supervision; values: in the order of `results.METRICS`."""

    method: str
    kind: str
    values: tuple[float, float, float, float, float]


_METHODS = (
    ("ITTI", "unsupervised"),
    ("GBVS", "unsupervised"),
    ("WSSA", "weakly supervised"),
    ("STANet", "weakly supervised"),
    ("STANet+", "weakly supervised"),
    ("DeepNet", "fully supervised"),
    ("SalGAN", "fully supervised"),
    ("ACLNet", "fully supervised"),
)

# Lines in the order of _METHODS; columns AUC-J, SIM, s-AUC, CC, NSS.
_VALUES = {
    "AVAD": """
        0.688 0.170 0.533 0.131 0.611
        0.854 0.247 0.572 0.337 1.556
        0.807 0.261 0.574 0.285 1.339
        0.873 0.334 0.580 0.438 2.018
        0.887 0.361 0.595 0.490 2.318
        0.869 0.256 0.561 0.383 1.850
        0.886 0.360 0.579 0.491 2.550
        0.905 0.446 0.560 0.580 3.170""",
    "DIEM": """
        0.663 0.217 0.583 0.137 0.555
        0.830 0.318 0.605 0.356 1.277
        0.767 0.305 0.608 0.311 1.178
        0.861 0.391 0.658 0.469 1.716
        0.884 0.436 0.679 0.544 2.042
        0.832 0.318 0.622 0.407 1.520
        0.857 0.393 0.660 0.486 1.890
        0.869 0.427 0.622 0.522 2.020""",
    "SumMe": """
        0.666 0.151 0.559 0.097 0.436
        0.808 0.221 0.567 0.272 1.134
        0.755 0.225 0.585 0.231 1.058
        0.854 0.294 0.627 0.368 1.647
        0.866 0.323 0.634 0.402 1.761
        0.848 0.227 0.645 0.332 1.550
        0.875 0.289 0.688 0.397 1.970
        0.868 0.296 0.609 0.379 1.790""",
    "ETMD": """
        0.661 0.127 0.582 0.083 0.425
        0.856 0.226 0.613 0.299 1.398
        0.793 0.201 0.622 0.222 1.075
        0.908 0.318 0.682 0.448 2.176
        0.910 0.328 0.683 0.452 2.297
        0.889 0.225 0.699 0.387 1.900
        0.903 0.311 0.746 0.476 2.460
        0.915 0.329 0.675 0.477 2.360""",
    "Coutrot1": """
        0.616 0.178 0.529 0.082 0.319
        0.798 0.253 0.526 0.272 1.055
        0.701 0.180 0.535 0.169 0.780
        0.829 0.306 0.542 0.339 1.376
        0.840 0.315 0.552 0.354 1.429
        0.824 0.273 0.559 0.346 1.410
        0.853 0.332 0.579 0.416 1.850
        0.850 0.361 0.542 0.425 1.920""",
    "Coutrot2": """
        0.694 0.142 0.530 0.040 0.331
        0.819 0.189 0.577 0.183 1.071
        0.797 0.185 0.571 0.180 1.263
        0.850 0.247 0.597 0.273 1.475
        0.862 0.267 0.612 0.349 1.952
        0.896 0.201 0.600 0.301 1.820
        0.933 0.290 0.618 0.439 2.960
        0.926 0.322 0.594 0.448 3.160""",
}


def printed(dataset: str) -> list[Printed]:
    """The rows of STANet, STANet+ and some of their competitors; [] for a data set that Table 7 does not have."""
    if dataset not in _VALUES:
        return []
    lines = _VALUES[dataset].split("\n")[1:]
    return [
        Printed(method, kind, tuple(float(value) for value in line.split()))
        for (method, kind), line in zip(_METHODS, lines, strict=True)
    ]
