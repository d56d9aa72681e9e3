"""Make the pictures of docs/story.md: `python docs/make_story_images.py SKIMAGE`, in the project's root.

SKIMAGE is the folder `skimage/data` of the wheel scikit-image 0.26, which has photographs that anybody may use.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

import stajax
from stajax.inference import pseudofix
from stajax.inference.pseudofix_outputs import strip
from stajax.inference.self_tagged import SelfTagged
from stajax.inference.source import ArraySource
from stajax.media import MediaWarning, contact_sheet, overlay, read_frames, read_sound

CLIP, IMAGES = Path("third_party/media/big_buck_bunny.mp4"), Path("docs/images")
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")


def main(skimage: Path) -> None:
    warnings.simplefilter("ignore", MediaWarning)  # photographs are silent
    photographs = [next(read_frames(skimage / name, max_side=420)).image for name in PHOTOGRAPHS]
    clip = [frame.image for frame in read_frames(CLIP, max_side=420)]
    _save("story_models.jpg", _models(photographs, clip))
    scam = pseudofix.load("scam-lite")
    of = {"clip": (ArraySource(clip, read_sound(CLIP), 25.0), "dog"), "cat": (ArraySource(photographs[1:2], None, 25.0), "dog")}
    for name, (source, tag) in of.items():
        found = pseudofix.pseudo_fixations(scam, source, tag)
        moments = np.unique(np.linspace(0, len(source.images) - 1, 5).astype(int))
        _save(f"story_{name}.jpg", strip(found, {int(i): source.images[i] for i in moments}))


def _models(photographs: list[np.ndarray], clip: list[np.ndarray]) -> np.ndarray:
    """A row for each picture: as it is, pseudo-fixations by tags of its own, weak-lite, sta-lite."""
    look, models, tiles = SelfTagged(), [stajax.load(name, batch=1) for name in ("weak-lite", "sta-lite")], []
    sound = read_sound(CLIP)
    of_clip = [model.predict(clip, sound=sound, fps=25).maps for model in models]
    rows = [(image, [model.predict(image[None]).maps[0] for model in models]) for image in photographs]
    rows += [(clip[at], [maps[at] for maps in of_clip]) for at in (30, 110)]
    for image, maps in rows:
        tiles += [image, *(overlay(image, saliency / saliency.max()) for saliency in (look(image)[0], *maps))]
    return contact_sheet(tiles, 4, ["picture", "pseudo-fixations", "weak-lite", "sta-lite"] * len(rows))


def _save(name: str, picture: np.ndarray) -> None:
    image = Image.fromarray(picture)
    image.thumbnail((1400, 2400))
    image.save(IMAGES / name, quality=85)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
