"""The one list of baselines. Each is the function of its name in `stajax.evaluation.baselines`."""

from typing import NamedTuple


class Baseline(NamedTuple):
    """needs: "size", "picture", "training" (where people looked on other pictures) or "observers"; title: what a report calls
    it; what: what it is, for a report."""

    needs: str
    title: str
    what: str


BASELINES = {
    "chance": Baseline("size", "chance", "A map of random numbers"),
    "centre_prior": Baseline(
        "training",
        "centre prior",
        "Where people looked in the training split, or a Gaussian at the centre where there is none",
    ),
    "spectral_residual": Baseline("picture", "spectral residual", "Hou and Zhang 2007"),
    "itti": Baseline("picture", "Itti-Koch", "Itti, Koch and Niebur 1998"),
    "gbvs": Baseline("picture", "GBVS", "Harel, Koch and Perona 2006"),
    "human": Baseline(
        "observers",
        "human ceiling",
        "Observers held against other observers; a ceiling rather than a rival. Only its NSS and s-AUC compare with a model’s: "
        "a single observer’s fixations are fewer, which raises AUC-J and lowers CC and SIM",
    ),
}
