"""The first model's supervision: composites, targets and splits against what their docstrings state."""

import numpy as np
import pytest

from stajax.training.supervision import MAP, SIZE, WINDOW, Clip, halves, held_out, moving_discs, silent, sounding_halves, still


class FakeEncoders:
    """Features that say which view they came from, vectors that say which sound."""

    def frames(self, views):
        return {"stride32": np.stack([np.full((8, 8, 1), np.asarray(view).mean()) for view in views])}

    def audio(self, windows):
        return windows[:, :4]


def clip(tag, value):
    return Clip(tag, np.full((2, 3, SIZE, SIZE, 3), value, np.uint8), np.full((2, WINDOW), value, np.float32))


CLIPS = [clip("dog", 10), clip("dog", 20), clip("drum", 100), clip("baby", 200)]


@pytest.mark.parametrize("upright", [False, True])
def test_halves_average_pixel_pairs_of_each_view(upright):
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    result = halves(one, other, upright)
    assert result.shape == one.shape and result.dtype == np.uint8
    if upright:
        one, other, result = (x.swapaxes(0, 1) for x in (one, other, result))
    expected = (one[:, 0::2].astype(int) + one[:, 1::2]) // 2
    np.testing.assert_array_equal(result[:, : SIZE // 2], expected)
    np.testing.assert_array_equal(result[:, SIZE // 2 :], (other[:, 0::2].astype(int) + other[:, 1::2]) // 2)


def test_held_out_keeps_back_every_fourth_clip_of_a_tag_from_the_third_on():
    clips = [clip("dog", value) for value in range(9)] + [clip("drum", 50), clip("drum", 51), clip("drum", 52)]
    training, validation = held_out(clips)
    assert [c.triplets[0, 0, 0, 0, 0] for c in validation] == [2, 6, 52]
    assert len(training) + len(validation) == len(clips)


def test_sounding_halves_boosts_the_half_whose_sound_is_heard_and_nothing_else():
    teacher = lambda examples: np.ones((len(examples), MAP, MAP))  # noqa: E731
    count = 12
    examples, mask = sounding_halves(CLIPS, FakeEncoders(), np.random.default_rng(0), teacher, count, boost=4.0)
    target = examples.target.astype(float).reshape(4, count, MAP, MAP)
    assert len(examples) == 4 * count and mask.shape == (count, MAP, MAP)
    np.testing.assert_allclose(target[0], np.where(mask, 1, 0.25))
    np.testing.assert_allclose(target[1], np.where(mask, 0.25, 1))
    np.testing.assert_allclose(target[2:], 1)
    np.testing.assert_array_equal(examples.switch.reshape(4, count), np.repeat([[1], [1], [1], [0]], count, axis=1))
    heard = examples.audio[examples.sound][:, 0].reshape(4, count)
    assert all(len({value // 50 for value in sounds[:3]}) == 3 for sounds in heard.T), "three different tags"


class FakeOsie:
    def image(self, i):
        return np.random.default_rng(i).integers(0, 256, (300, 400, 3), np.uint8)


def test_only_one_disc_moves_and_it_draws_half_of_the_map():
    seen = []

    class Keeping(FakeEncoders):
        def frames(self, views):
            seen.extend(views)
            return super().frames(views)

    teacher = lambda examples: np.ones((len(examples), MAP, MAP))  # noqa: E731
    count = 6
    examples, places = moving_discs(FakeOsie(), np.arange(5), Keeping(), np.random.default_rng(0), teacher, count)
    rest, moving = examples.target.astype(float).reshape(2, count, MAP, MAP)
    np.testing.assert_allclose(rest, 1)
    np.testing.assert_array_equal(examples.frames[:count], still(3 * np.arange(count) + 1))
    np.testing.assert_array_equal(examples.frames[count:], np.arange(3 * count).reshape(count, 3))
    for n in range(count):
        before, _, after = np.asarray(seen[3 * n : 3 * n + 3], int)
        changed = np.abs(after - before).sum(-1).reshape(MAP, SIZE // MAP, MAP, SIZE // MAP).any((1, 3))
        moved, resting = places[n]
        assert changed[moved].mean() > 0.3 and not changed[resting & ~moved].any()
        drawn = moving[n] / moving[n].sum() - rest[n] / rest[n].sum() / 2  # what is left is the disc's half
        assert 0.3 < drawn[moved].sum() <= 0.5 + 1e-3


def test_a_batch_reads_only_its_own_rows():
    features = {"stride32": np.arange(5, dtype=np.float16)[:, None, None, None] * np.ones((1, 2, 2, 3), np.float16)}
    levels, audio, fragments, target = silent(features, still(np.arange(5))).batch(np.array([4, 1]))
    np.testing.assert_array_equal(levels["stride32"][:, 0, 0, 0], [4, 4, 4, 1, 1, 1])
    np.testing.assert_array_equal(fragments.frames, [[[0, 1, 2]], [[3, 4, 5]]])
    assert not np.any(fragments.switch) and audio.shape == (2, 1024) and target.shape == (2, MAP, MAP)
