"""Which moments keep a target company, held against section 4.2 spelled out in Python."""

import numpy as np
import pytest

from stajax.data.company import (
    Partners,
    cross_company,
    draw_from_bank,
    draw_from_tag_bank,
    long_company,
    node_frames,
    short_company,
)


def far(moments, target):
    return np.abs(np.asarray(moments) - np.asarray(target)[..., None]) > 4


def test_short_company_of_the_paper():
    """Section 4.2: the 2 neighbouring frames for S+; t-4..t+4 in 3 groups of 3 consecutive frames for ST+."""
    np.testing.assert_array_equal(short_company(50, 2, "s", 100), [49, 51])
    groups = node_frames(np.append(50, short_company(50, 2, "st", 100)), "st", 100)
    assert sorted(groups.ravel().tolist()) == list(range(46, 55))
    np.testing.assert_array_equal(groups[0], [49, 50, 51])
    np.testing.assert_array_equal(short_company(50, 2, "sta", 100), [47, 53])


@pytest.mark.parametrize(("source", "n", "offsets"), [("s", 1, [-1]), ("s", 4, [-1, 1, -2, 2]), ("st", 3, [-3, 3, -6])])
def test_short_company_goes_outwards(source, n, offsets):
    np.testing.assert_array_equal(short_company(50, n, source, 100), 50 + np.array(offsets))


def test_short_company_repeats_the_frames_at_the_ends():
    np.testing.assert_array_equal(short_company([0, 1, 9], 2, "st", 10), [[0, 3], [0, 4], [6, 9]])
    np.testing.assert_array_equal(node_frames([0, 5, 9], "sta", 10), [[0, 0, 1], [4, 5, 6], [8, 9, 9]])
    np.testing.assert_array_equal(node_frames([0, 5], "sa", 10), [[0], [5]])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_long_company_lies_outside_the_neighbours(n):
    targets = np.arange(40)
    moments = long_company(targets, n, 40, seed=3, clip="a")
    assert moments.shape == (40, n) and moments.min() >= 0 and moments.max() < 40
    assert far(moments, targets).all()
    assert all(len(set(row)) == n for row in moments.tolist())


def test_long_company_is_uniform_over_the_moments_outside():
    """Chi-square of 4000 draws over the 31 moments that target 20 of 40 leaves; its mean is 30, its deviation 7.7."""
    drawn = np.concatenate([long_company(20, 2, 40, seed=seed) for seed in range(2000)])
    counts = np.bincount(drawn, minlength=40)
    allowed = np.abs(np.arange(40) - 20) > 4
    assert not counts[~allowed].any()
    expected = 4000 / allowed.sum()
    assert ((counts[allowed] - expected) ** 2 / expected).sum() < 30 + 5 * 7.7


@pytest.mark.parametrize(
    ("length", "target", "expected"),
    [
        (1, 0, [{0}, {0}]),
        (2, 0, [{1}, {0}]),
        (5, 0, [{4}, {3}]),  # nothing is more than 4 away: the farthest
        (5, 2, [{0, 4}, {0, 4}]),
        (6, 0, [{5}, {4}]),  # one moment outside, then the farthest inside
        (7, 0, [{5, 6}, {5, 6}]),
    ],
)
def test_short_clips_give_the_farthest_moments_there_are(length, target, expected):
    moments = long_company(target, 2, length, seed=0)
    assert all(moment in allowed for moment, allowed in zip(moments.tolist(), expected, strict=True))
    assert len(set(moments.tolist())) == min(length, 2)


def test_a_draw_depends_on_its_arguments_alone():
    bank, targets = np.arange(0, 320, 10), np.arange(0, 320, 7)
    together = draw_from_bank(bank, targets, 2, seed=5, clip="clip")
    alone = [draw_from_bank(bank, target, 2, seed=5, clip="clip") for target in targets[::-1]][::-1]
    np.testing.assert_array_equal(together, alone)
    for other in ({"seed": 6, "clip": "clip"}, {"seed": 5, "clip": "clap"}):
        assert (draw_from_bank(bank, targets, 2, **other) != together).any(axis=1).mean() > 0.8


def test_bank_rows_obey_the_rule_of_the_moments():
    bank = np.array([100, 3, 50, 8, 7, 0])
    for target in range(110):
        rows = draw_from_bank(bank, target, 2, seed=1)
        outside = np.abs(bank - target) > 4
        assert outside[rows].sum() == min(outside.sum(), 2)
        if outside.sum() == 1:
            nearest = np.abs(bank - target)[~outside]
            assert abs(bank[rows[1]] - target) == nearest.max()
    np.testing.assert_array_equal(draw_from_bank([7], [0, 7], 3, seed=1), np.zeros((2, 3)))


def test_cross_company_is_of_other_clips_with_the_tag():
    tags = [[0], [0, 1], [1], [2], []]
    lengths = [30, 40, 50, 60, 70]
    partners = [Partners(tags)[clip].tolist() for clip in range(5)]
    assert partners == [[1], [0, 2], [1], [], []]
    seen = set()
    for target in range(30):
        cross = cross_company(target, 2, lengths, partners[1], seed=0, clip=1)
        assert sorted(cross.clips.tolist()) == [0, 2] and not cross.alone
        assert all(moment < lengths[clip] for clip, moment in zip(cross.clips, cross.moments, strict=True))
        seen |= set(zip(cross.clips.tolist(), cross.moments.tolist(), strict=True))
    assert len(seen) > 25


def test_a_clip_that_comes_again_comes_with_another_moment():
    for target in range(20):
        cross = cross_company(target, 3, [20, 4], [1], seed=0, clip=0)
        assert cross.clips.tolist() == [1, 1, 1] and len(set(cross.moments.tolist())) == 3


def test_cross_company_falls_back_to_long_and_says_so():
    cross = cross_company(10, 2, [30, 40], [], seed=4, clip=0)
    assert cross.alone and cross.clips.tolist() == [0, 0]
    np.testing.assert_array_equal(cross.moments, long_company(10, 2, 30, seed=4, clip=0))


def test_a_tag_bank_gives_other_clips_first():
    bank = ["a", "b", "a", "c", "a"]
    rows = draw_from_tag_bank(bank, np.arange(50), 2, seed=0, clip="a")
    assert {tuple(sorted(row)) for row in rows.tolist()} == {(1, 3)}
    rows = draw_from_tag_bank(bank, np.arange(50), 3, seed=0, clip="b")
    assert not (rows == 1).any() and set(rows.ravel().tolist()) == {0, 2, 3, 4}


@pytest.mark.parametrize("draw", [draw_from_bank, draw_from_tag_bank])
def test_an_empty_bank_is_an_error(draw):
    with pytest.raises(ValueError, match="the bank is empty; give at least one moment"):
        draw([], 0, 2, seed=0, clip="a")
