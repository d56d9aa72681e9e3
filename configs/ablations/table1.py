"""Table 1: the components of SCAM and SCAM+, line by line. The configuration itself is line 25, the whole procedure.

    python launch/sweep.py --config configs/ablations/table1.py:lite --workdir runs/table1 --share \
        --config.data.records=RECORDS

In lines 1 to 24 STA learns from the pseudo-fixations of the line, in line 25 all three nets do, and are fused: the paper's
numbers of lines 11 and 25 are those of STANet and STANet+ in Table 7. The columns, and what switches them:

    S, SA, ST    pseudofix.sources; with SC, LC, CC the nets with company in their place, with SCAM+ beside them
    CO, FI       pseudofix.fine
    AS           switch
    AC, CAM'     pseudofix.selective=False: the average of the CAMs, of one source its CAM as it is
    SCAM, SCAM', SCAM+    pseudofix.selective=True
    FRL          net.refine of the stages in question

The paper's rows 14 and 17 tick SA where only ST can be meant (SA+ has no short-term net, and line 16 is its long-term one).
Arguments: paper, lite (the default) or tiny. Time and scores: not measured.
"""

from stajax.pipeline.config import COMPANY, pipeline_config
from stajax.training.config import STAGES

OWN = ("S", "SA", "ST")
WITH_COMPANY = tuple(STAGES[stage].net for stage in COMPANY)


def get_config(arg: str = "lite"):
    return pipeline_config(arg)


def sweep() -> list[dict]:
    without_frl = {f"stages.{stage}.net.refine": False for stage in COMPANY}
    return [
        _line(1, "S", ("S",)),
        _line(2, "SA", ("SA",)),
        _line(3, "ST", ("ST",)),
        _line(4, "AC", OWN),
        _line(5, "SCAM", OWN, selective=True),
        _line(6, "S_fine", ("S",), fine=True),
        _line(7, "SA_fine", ("SA",), fine=True),
        _line(8, "ST_fine", ("ST",), fine=True),
        _line(9, "SCAM_fine_without_AS", OWN, fine=True, selective=True) | {"switch": False},
        _line(10, "AC_fine", OWN, fine=True),
        _line(11, "SCAM_fine", OWN, fine=True, selective=True),
        _line(12, "S_FRL", ("S",)) | {"stages.s.net.refine": True},
        _line(13, "S+short", ("S+short",)),
        _line(14, "ST+short", ("ST+short",)),
        _line(15, "S+long", ("S+long",)),
        _line(16, "SA+long", ("SA+long",)),
        _line(17, "ST+long", ("ST+long",)),
        _line(18, "S+cross", ("S+cross",)),
        _line(19, "SA+cross", ("SA+cross",)),
        _line(20, "ST+cross", ("ST+cross",)),
        _line(21, "SCAMs_without_FRL", WITH_COMPANY, selective=True) | without_frl,
        _line(22, "SCAMs_without_AS", WITH_COMPANY, selective=True) | {"switch": False},
        _line(23, "CAMs", WITH_COMPANY),
        _line(24, "SCAMs", WITH_COMPANY, selective=True),
        {"name": "25_SCAM+"},
    ]


def _line(number: int, name: str, sources: tuple[str, ...], *, fine: bool = False, selective: bool = False) -> dict:
    return {
        "name": f"{number:02}_{name}",
        "pseudofix.sources": sources,
        "pseudofix.fine": fine,
        "pseudofix.selective": selective,
        "nets": ("sta",),
    }
