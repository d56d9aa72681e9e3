"""Make docs/images/report.png, a report with made-up scores: `python docs/make_report_image.py`, in the project's root.

Needs Chromium on the path.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import stajax
from stajax.evaluation.report import example_frames, write_html
from stajax.evaluation.results import COLUMNS, Evaluation, rows_of
from stajax.evaluation.shown import Shown

CLIP = Path("third_party/media/big_buck_bunny.mp4")
IMAGE = Path("docs/images/report.png")
TITLE = "Example with made-up scores"
WIDTH, HEIGHT = 1000, 3440  # px, of the picture
WINDOW = 6500  # px, higher than the page, which then cannot scroll to the video that the link names
COLOURS = 128  # keeps the file under 200 kB

FRAMES, FPS = 150, 25
TYPICAL = {  # AUC-J, SIM, s-AUC, CC, NSS
    "your-model": (0.86, 0.34, 0.58, 0.45, 2.1),
    "centre_prior": (0.83, 0.28, 0.51, 0.33, 1.4),
    "spectral_residual": (0.74, 0.22, 0.56, 0.20, 0.9),
}


def main() -> None:
    evaluation = made_up()
    with tempfile.TemporaryDirectory() as folder:
        page, shot = Path(folder) / "report.html", Path(folder) / "report.png"
        write_html(evaluation, page, title=TITLE, pictures=example_frames(evaluation, look()))
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        size = f"--window-size={WIDTH},{WINDOW}"
        options = [
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--virtual-time-budget=5000",
            size,
            f"--screenshot={shot}",
        ]
        subprocess.run(
            [chromium, *options, f"{page.as_uri()}#sort=NSS&order=descending&video=clip_5"], check=True, capture_output=True
        )
        picture = Image.open(shot).convert("RGB").crop((0, 0, WIDTH, HEIGHT)).quantize(COLOURS, dither=Image.Dither.NONE)
        picture.save(IMAGE, optimize=True)


def made_up() -> Evaluation:
    """Six videos whose scores wander about typical ones; one lacks four maps."""
    rng, columns = np.random.default_rng(3), {column: [] for column in COLUMNS}
    ease = 1 + rng.normal(0, 0.1, (6, 5)) * (0.2, 1, 0.3, 1, 1)
    for model, typical in TYPICAL.items():
        for video in range(6):
            steps = rng.normal(0, 0.06, (FRAMES, 5)) * (0.15, 1, 0.2, 1, 1)
            wander = np.zeros(5)
            for i, step in enumerate(steps):
                wander = 0.93 * wander + step
                scores, note = typical * ease[video] * (1 + wander), ""
                scores[[0, 2]] = np.clip(scores[[0, 2]], 0.3, 0.97)
                if model == "your-model" and video == 4 and 60 <= i < 64:
                    scores, note = np.full(5, np.nan), "no prediction"
                row = (model, "AVAD", "1", f"clip_{video + 1}", i + 9, (i + 8) / FPS, *scores, note)
                for column, value in zip(COLUMNS, row, strict=True):
                    columns[column].append(value)
    settings = {"first_frame": 9, "other": "all frames of the same video", "empty": "zero", "blank": "drop"}
    return Evaluation("stavis", "stavis", tuple(TYPICAL), rows_of(columns), {"no prediction": 4}, settings)


def look():
    """Frames of the bundled clip under the maps of sta-lite, with fixations drawn from these maps."""
    shown = list(stajax.load("sta-lite").shown(CLIP, max_side=420))
    rng = np.random.default_rng(0)

    def frame(dataset, split, video, number):
        image, saliency = (getattr(shown[(number * 7) % len(shown)], name) for name in ("image", "map"))
        chance = np.float64(saliency).ravel() ** 2
        fixations = np.zeros(saliency.shape)
        fixations.ravel()[rng.choice(saliency.size, 12, p=chance / chance.sum())] = 1
        return Shown(image, saliency, fixations, None)

    return frame


if __name__ == "__main__":
    main()
