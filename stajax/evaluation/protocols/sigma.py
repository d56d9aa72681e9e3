"""How wide the Gaussian is that makes a density map out of fixations: in pixels, or in degrees of visual angle."""

from __future__ import annotations

from dataclasses import dataclass

from stajax.data.fixations import pixels_per_degree
from stajax.evaluation.protocols.base import default_sigma


@dataclass(frozen=True)
class Sigma:
    """The choice; a fortieth of the frame's width where nothing is given.

    Attributes:
        sigma: px of the frame as the data set has it.
        sigma_degrees: degrees of visual angle, instead of `sigma`. How many pixels a degree has is either stated, as
            `pixels_per_degree`, or follows from the screen:
        screen_cm, distance_cm: how wide the picture was on it, and how far the eye from it.

    Raises:
        ValueError: a combination that does not say how many pixels.
    """

    sigma: float | None = None
    sigma_degrees: float | None = None
    pixels_per_degree: float | None = None
    screen_cm: float | None = None
    distance_cm: float | None = None

    def __post_init__(self):
        screen = [value for value in (self.screen_cm, self.distance_cm) if value is not None]
        told = (self.pixels_per_degree is not None) + bool(screen)
        if self.sigma_degrees is None and told:
            raise ValueError("pixels_per_degree, screen_cm and distance_cm belong to sigma_degrees, which is not given")
        if self.sigma_degrees is not None and (self.sigma is not None or told != 1 or len(screen) == 1):
            raise ValueError("sigma_degrees needs pixels_per_degree, or screen_cm and distance_cm, and no sigma beside it")

    def pixels(self, shape: tuple[int, int], shown: int | None = None) -> float:
        """Sigma on frames of a shape, px. shown: pixels across `screen_cm`; the frame's width if it filled the screen."""
        if self.sigma_degrees is None:
            return self.sigma or default_sigma(shape)
        degree = self.pixels_per_degree or pixels_per_degree(shown or shape[1], self.screen_cm, self.distance_cm)
        return float(self.sigma_degrees * degree)

    def __str__(self):
        if self.sigma_degrees is None:
            return f"{self.sigma:g} px" if self.sigma else "width / 40"
        if self.pixels_per_degree:
            return f"{self.sigma_degrees:g}° of {self.pixels_per_degree:g} px"
        return f"{self.sigma_degrees:g}° on a screen {self.screen_cm:g} cm wide, {self.distance_cm:g} cm away"
