"""Make the pictures of the README from the bundled clip: `python docs/make_images.py`, in the project's root."""

from pathlib import Path

import numpy as np

import stajax
from stajax.inference.outputs import Display
from stajax.media import contact_sheet, overlay, save_png

CLIP = Path("third_party/media/big_buck_bunny.mp4")
IMAGES = Path("docs/images")


def main() -> None:
    display, rows = Display(), []
    for index, shown in enumerate(stajax.load("sta-lite").shown(CLIP, max_side=420)):
        bright = display.scale(shown.map)
        if index in (30, 75):
            height, width = shown.image.shape[:2]
            alone = overlay(np.zeros((height, width, 3), np.uint8), bright, strength=1.0)
            rows += [shown.image, overlay(shown.image, bright), alone]
    labels = ["frame", "overlay", "map"] * 2
    IMAGES.mkdir(exist_ok=True)
    save_png(IMAGES / "overlay.png", contact_sheet(rows, 3, labels))


if __name__ == "__main__":
    main()
