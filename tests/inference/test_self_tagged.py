"""Pictures that tag themselves: what becomes of the looks, in float64 NumPy. (docs/pseudofix.md runs the net itself.)"""

import numpy as np
import pytest
from inference.tiny import noise

from stajax.inference import self_tagged
from stajax.inference.self_tagged import COARSE, FINE, PARTS, SelfTagged
from stajax.media import squash

SIDE = 20  # each part has whole pixels there


def z(x):
    return (x - x.min()) / (x.max() - x.min())


def placed(values, box, side=SIDE):
    """One value over a box (top, left, bottom, right as parts), zero elsewhere, and where the box is."""
    top, left, bottom, right = np.rint(np.asarray(box, float) * side).astype(int)
    inside = np.zeros((side, side))
    inside[top:bottom, left:right] = 1
    return values * inside, inside


@pytest.fixture
def looked(monkeypatch):
    """views and answers by size: the net is one that finds `answers` (CAM, confidence), one after another."""
    seen, answers = {COARSE: [], FINE: []}, {COARSE: [], FINE: []}

    def compiled(size):
        def look(view):
            seen[size].append(view[0])
            value, confidence = answers[size][len(seen[size]) - 1]
            return np.full((1, 4, 4), value, np.float32), np.float32([confidence])

        return look

    monkeypatch.setattr(self_tagged, "_compiled", compiled)
    return seen, answers


def test_looks_are_weighted_by_confidence_over_the_parts_that_show_a_pixel_and_the_box_is_looked_into(looked):
    seen, answers = looked
    answers[COARSE] = [(1.0, 0.5), (9.0, 0.9), (2.0, 0.1), (0.5, 0.3), (1.0, 0.2), (4.0, 0.7)]
    answers[FINE] = [(3.0, 0.6)]
    image = noise(1, (100, 60))[0]
    saliency, confidence = SelfTagged(side=SIDE, factor=1.0, min_side=0.4)(image)
    np.testing.assert_allclose(confidence, [0.5, 0.9, 0.1, 0.3, 0.2, 0.7, 0.6], rtol=1e-6)
    above, below = np.zeros((SIDE, SIDE)), np.zeros((SIDE, SIDE))
    for (value, sure), part in zip(answers[COARSE], PARTS, strict=True):
        inside, shown = placed(value, part)
        above, below = above + sure * inside, below + sure * shown
    coarse = z(above / below)
    for view, (top, left, bottom, right) in zip(seen[COARSE], PARTS.tolist(), strict=True):
        np.testing.assert_array_equal(view, squash(image, COARSE, box=(100 * top, 60 * left, 100 * bottom, 60 * right)))
    rows, columns = np.nonzero(coarse > coarse.mean())
    box = np.array([rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]) / SIDE
    assert (box[2:] - box[:2] >= 0.4).all() and (box[2:] - box[:2]).min() < 1, "neither widened nor all of it"
    scaled = (np.float32(box) * [100, 60, 100, 60]).tolist()
    np.testing.assert_array_equal(seen[FINE][0], squash(image, FINE, box=scaled))
    fine, _ = placed(1.0, box)  # a constant CAM fills its box, and Z makes 1 of it
    np.testing.assert_allclose(saliency, z(coarse + fine), atol=1e-5)


def test_a_picture_in_which_nothing_is_found_gives_zeros(looked):
    _, answers = looked
    answers[COARSE], answers[FINE] = [(0.0, 0.1)] * 6, [(0.0, 0.1)]
    saliency, _ = SelfTagged(side=SIDE)(noise(1, (32, 32))[0])
    assert not saliency.any()
