"""OSIE's protocol (docs/evaluation.md) for maps on disk: an image is a video of one frame. Its truth: `evaluation/osie.py`."""

from __future__ import annotations

from stajax.data.osie import OSIE_SHAPE, load_osie, osie_split
from stajax.evaluation.osie import N_OTHER, SIGMA, truth
from stajax.evaluation.protocols.base import LEAVE_ONE_OUT, Observers, Training, Truth, Video
from stajax.evaluation.protocols.others import Others, read_map


class OsieProtocol:
    """See `protocols/base.py`.

    Args:
        root: as for `stajax.data.osie.load_osie`.
        splits: of "train", "validation", "test"; default test.
        other, n_random, seed: see `others.py`. Other images are those of the same split, the draw is that of
            `evaluation.osie`, and "video" means nothing.

    Raises:
        DataError: `load_osie`'s.
        ValueError: an unknown data set or split; other="video".
    """

    name, compat, empty, blank = "osie", "mit", "drop", "drop"

    def __init__(self, root, datasets=None, splits=None, *, other="n_random", n_random=N_OTHER, seed=0):
        if set(datasets or ()) - {"OSIE"}:
            raise ValueError(f"osie: no data set {', '.join(datasets)}; there is OSIE")
        if other == "video":
            raise ValueError("osie: an image has no other frames; give other=n_random, dataset or the path of a map")
        self.osie, self.others = load_osie(root), Others(other, n_random, seed)
        self.parts = osie_split(len(self.osie))
        splits = tuple(splits or ("test",))
        if unknown := set(splits) - set(self.parts):
            raise ValueError(f"osie: no split {', '.join(sorted(unknown))}; there are {', '.join(self.parts)}")
        images = {"n_random": f"{n_random} other images of the same split, drawn at random (seed {seed})"}
        images["dataset"] = "all other images of the same split"
        self.settings = {"splits": list(splits), "sigma": f"{SIGMA} px", "other": images.get(other, str(self.others))}
        self._place = {self.osie.names[i].rpartition(".")[0]: int(i) for split in splits for i in self.parts[split]}
        split_of = {int(i): split for split in splits for i in self.parts[split]}
        self.videos = tuple(Video("OSIE", name, range(1), (split_of[i],)) for name, i in self._place.items())

    def pool(self, dataset):
        return self.videos

    def gather(self, video):
        return None

    def truth(self, video, frame, gathered):
        n_other = self.others.n_random if self.others.source == "n_random" else len(self.osie)
        found = Truth(*truth(self.osie, self._place[video.name], n_other=n_other, seed=self.others.seed))
        from_file = self.others.source not in ("n_random", "dataset")
        return found._replace(other=read_map(self.others.source, OSIE_SHAPE)) if from_file else found

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
