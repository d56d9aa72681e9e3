"""OSIE's protocol (docs/evaluation.md) for maps on disk: an image is a video of one frame. Its truth: `evaluation/osie.py`."""

from __future__ import annotations

from stajax.data.osie import OSIE_SHAPE, load_osie, osie_split
from stajax.evaluation.osie import N_OTHER, SIGMA, truth
from stajax.evaluation.protocols.base import LEAVE_ONE_OUT, Observers, Training, Truth, Video


class OsieProtocol:
    """See `protocols/base.py`.

    Args:
        root: as for `stajax.data.osie.load_osie`.
        splits: of "train", "validation", "test"; default test.
        seed: of the other images that the shuffled AUC takes its negatives from.

    Raises:
        DataError: `load_osie`'s.
        ValueError: an unknown data set or split.
    """

    name, compat, empty = "osie", "mit", "drop"

    def __init__(self, root, datasets=None, splits=None, *, seed=0):
        if set(datasets or ()) - {"OSIE"}:
            raise ValueError(f"osie: no data set {', '.join(datasets)}; there is OSIE")
        self.osie, self.seed = load_osie(root), seed
        self.parts = osie_split(len(self.osie))
        splits = tuple(splits or ("test",))
        if unknown := set(splits) - set(self.parts):
            raise ValueError(f"osie: no split {', '.join(sorted(unknown))}; there are {', '.join(self.parts)}")
        self.settings = {"splits": list(splits), "seed": seed, "sigma": SIGMA, "other": f"{N_OTHER} other images"}
        self.settings["empty"] = self.empty
        self._place = {self.osie.names[i].rpartition(".")[0]: int(i) for split in splits for i in self.parts[split]}
        split_of = {int(i): split for split in splits for i in self.parts[split]}
        self.videos = tuple(Video("OSIE", name, range(1), (split_of[i],)) for name, i in self._place.items())

    def gather(self, video):
        return None

    def truth(self, video, frame, gathered):
        return Truth(*truth(self.osie, self._place[video.name], seed=self.seed))

    def image(self, video, frame):
        return self.osie.image(self._place[video.name])

    def picture(self, video, frame):
        return self.osie.picture(self._place[video.name])

    def observers(self, video, frame):
        i = self._place[video.name]
        return Observers(self.osie.fixations(i), self.osie.subjects(i), SIGMA, LEAVE_ONE_OUT)

    def training_part(self, video):
        return "train"

    def training(self, part):
        return Training([self.osie.fixations(i) for i in self.parts[part]], OSIE_SHAPE, SIGMA)
