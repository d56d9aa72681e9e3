"""A plain folder of clips or images with fixations (`stajax.data.plain`).

Where there are no density maps, they are made of the fixations. Unless `other` says what else, the shuffled AUC takes its
negatives from all frames of the same clip, as STAViS has it; for an image, which has one frame, from frames of others drawn at
random, as the MIT benchmark has it. A clip's frames without any fixation are not scored.
"""

from __future__ import annotations

from stajax.data.plain import load_plain
from stajax.evaluation.protocols.base import (
    CANVAS,
    LEAVE_ONE_OUT,
    Observers,
    Training,
    Video,
    default_sigma,
    on_canvas,
)
from stajax.evaluation.protocols.others import N_RANDOM, Others, gather, truth_of_points, video_fixations
from stajax.evaluation.protocols.sigma import Sigma


class Plain:
    """See `protocols/base.py`.

    Args:
        root: the folder.
        sigma, sigma_degrees, pixels_per_degree, screen_cm, distance_cm: of density maps made of fixations, see `sigma.py`;
            `screen_cm` is the width of the picture as shown.
        other, n_random, seed: see `others.py`; None: "video" for a clip, "n_random" for an image.

    Raises:
        DataError: `load_plain`'s.
        ValueError: a data set or split is asked for; `Sigma`'s.
    """

    name, compat, empty, blank = "plain", "mit", "drop", "drop"

    def __init__(
        self,
        root,
        datasets=None,
        splits=None,
        *,
        sigma=None,
        sigma_degrees=None,
        pixels_per_degree=None,
        screen_cm=None,
        distance_cm=None,
        other=None,
        n_random=N_RANDOM,
        seed=0,
    ):
        if datasets or splits:
            raise ValueError("plain: a folder is one data set without splits")
        self.clips = load_plain(root)
        self.sigma = Sigma(sigma, sigma_degrees, pixels_per_degree, screen_cm, distance_cm)
        self.others = Others(other, n_random, seed)
        self.settings = {"sigma": str(self.sigma), "other": str(self.others)}
        self.videos = tuple(self._video(clip) for clip in self.clips.values())

    def _video(self, clip):
        frames = clip.frames()
        stems = {frame: clip.pictures[frame].stem for frame in frames if frame < len(clip.pictures)}
        return Video("plain", clip.name, frames, fps=clip.fps, stems=stems)

    def _sigma(self, clip):
        return self.sigma.pixels(clip.shape)

    def pool(self, dataset):
        return self.videos

    def fixations(self, video):
        clip = self.clips[video.name]
        return video_fixations(clip.shape, clip.frame, clip.points, max(video.frames, default=-1) + 1)

    def gather(self, video):
        return gather(self, video)

    def truth(self, video, frame, gathered):
        clip = self.clips[video.name]
        points, density = clip.fixations(frame), clip.density(frame)
        return truth_of_points(self, video, frame, gathered, points, clip.shape, self._sigma(clip), density)

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
