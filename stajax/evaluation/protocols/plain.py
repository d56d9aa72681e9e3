"""A plain folder of clips or images with fixations (`stajax.data.plain`).

Where there are no density maps, they are made of the fixations. The shuffled AUC takes its negatives from all frames of the
same clip, as STAViS has it; for images, of which each has one frame, from 10 others drawn by `seed`, as the MIT benchmark has
it, scaled to the image's size. A clip's frames without any fixation are not scored.
"""

from __future__ import annotations

import numpy as np

from stajax.data.fixations import fixation_map
from stajax.data.plain import load_plain
from stajax.evaluation.protocols.base import (
    CANVAS,
    LEAVE_ONE_OUT,
    Observers,
    Training,
    Video,
    default_sigma,
    on_canvas,
    rescaled,
    truth_of_points,
)

N_OTHER = 10


class Plain:
    """See `protocols/base.py`.

    Args:
        root: the folder.
        sigma: of density maps made of fixations, px; default a fortieth of the frame's width. For degrees multiply with
            `stajax.data.fixations.pixels_per_degree`.
        seed: of the other images.

    Raises:
        DataError: `load_plain`'s.
        ValueError: a data set or split is asked for.
    """

    name, compat, empty = "plain", "mit", "drop"

    def __init__(self, root, datasets=None, splits=None, *, sigma=None, seed=0):
        if datasets or splits:
            raise ValueError("plain: a folder is one data set without splits")
        self.clips, self.sigma, self.seed = load_plain(root), sigma, seed
        self.settings = {"sigma": sigma or "width / 40", "seed": seed, "empty": self.empty}
        self.settings["other"] = f"all frames of the same clip; of an image, {N_OTHER} other images"
        self.videos = tuple(self._video(clip) for clip in self.clips.values())

    def _video(self, clip):
        frames = clip.frames()
        stems = {frame: clip.pictures[frame].stem for frame in frames if frame < len(clip.pictures)}
        return Video("plain", clip.name, frames, fps=clip.fps, stems=stems)

    def _sigma(self, clip):
        return self.sigma or default_sigma(clip.shape)

    def gather(self, video):
        """(h, w) bool: the pixels fixated on any frame of the clip, or on other images."""
        clip = self.clips[video.name]
        if len(video.frames) > 1:
            return fixation_map(clip.points, clip.shape)
        images = [other for other in self.clips.values() if len(other.frames()) == 1 and other is not clip]
        place = list(self.clips).index(video.name)
        chosen = np.random.default_rng([self.seed, place]).choice(len(images), min(N_OTHER, len(images)), replace=False)
        points = [rescaled(images[i].points, images[i].shape, clip.shape) for i in chosen]
        return fixation_map(np.concatenate([np.zeros((0, 2)), *points]), clip.shape)

    def truth(self, video, frame, gathered):
        clip = self.clips[video.name]
        truth = truth_of_points(clip.fixations(frame), clip.shape, self._sigma(clip), gathered, clip.density(frame))
        return truth if len(video.frames) > 1 or gathered is None else truth._replace(other=gathered)

    def image(self, video, frame):
        return self.clips[video.name].image(frame)

    def picture(self, video, frame):
        return self.clips[video.name].picture(frame)

    def observers(self, video, frame):
        clip = self.clips[video.name]
        return Observers(clip.fixations(frame), clip.observers(frame), self._sigma(clip), LEAVE_ONE_OUT)

    def training_part(self, video):
        return f"all but {video.name}" if len(self.clips) > 1 else None

    def training(self, part):
        """The other clips or images."""
        others = [clip for clip in self.clips.values() if part != f"all but {clip.name}"]
        points = [on_canvas(clip.fixations(frame), clip.shape) for clip in others for frame in clip.frames()]
        return Training(points, CANVAS, default_sigma(CANVAS))
