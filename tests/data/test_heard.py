"""The class heard in each hop, against a loop over the definition; `heard.npz` comes back; labels follow the tags."""

import numpy as np
import pytest

from stajax.data.fixations import DataError
from stajax.data.heard import HEARD, HOP, columns, count_hops, heard, hops, read_heard, switch_labels, write_heard

SOUNDS = [(0, 3), (1,), (), (4, 5), (4,)]  # the third class cannot be heard; the last two share a column


def by_definition(scores, tags, threshold, among):
    found = []
    for row in scores:
        of_class = {c: max(row[j] for j in sound) for c, sound in enumerate(SOUNDS) if sound}
        best = max(of_class.values())
        winners = [c for c, score in of_class.items() if score == best]
        mine = [tag for tag in tags if tag in winners]
        if best < threshold or (among == "all" and best < max(row)):
            found.append(-1)
        elif mine:
            found.append(mine[0])
        else:
            found.append(winners[0] if len(winners) == 1 else -1)
    return found


@pytest.mark.parametrize("among", ["classes", "all"])
@pytest.mark.parametrize("tags", [(), (0,), (4,), (3,), (4, 3), (2,)])
def test_heard_is_the_loudest_class(tags, among):
    scores = np.random.default_rng(0).choice([0.0, 0.05, 0.2, 0.5, 0.9], (400, 7))
    found = heard(scores, SOUNDS, tags, threshold=0.1, among=among)
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, by_definition(scores, tags, 0.1, among))
    assert len(set(found)) >= 3


def test_speech_is_of_the_sex_that_the_clip_is_tagged_with():
    classes = {"Male speech, man speaking": (), "Female speech, woman speaking": (), "Bark": ()}
    sounds = columns(classes, ["Speech", "Dog", "Bark"])
    assert sounds == [(0,), (0,), (2, 1)]
    scores = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.2]])
    assert [heard(scores, sounds, tags).tolist() for tags in ((0,), (1,), (2,), ())] == [[0, 2], [1, 2], [-1, 2], [-1, 2]]


def test_nothing_is_heard_of_classes_without_sounds():
    np.testing.assert_array_equal(heard(np.ones((3, 2)), [(), ()]), [-1, -1, -1])
    assert heard(np.ones((0, 2)), [(0,), (1,)]).shape == (0,)


def test_every_frame_has_a_hop_of_its_own_clip():
    for last in (0.0, 0.09, 0.11, 9.96, 10.0):
        times = np.append(np.arange(0, last, 0.04), last)
        count = count_hops(last)
        found = hops(times, count)
        np.testing.assert_array_equal(found, np.rint(times / HOP))  # none is clipped
        assert found.max() == count - 1


def test_labels_are_one_where_a_tag_is_heard():
    found = np.array([-1, 3, 2, 3, 0], np.int32)
    np.testing.assert_array_equal(switch_labels(found, (3, 0)), [0, 1, 0, 1, 1])
    np.testing.assert_array_equal(switch_labels(found, ()), np.zeros(5))
    np.testing.assert_array_equal(switch_labels(found, (2,), [0.29, 0.31, 0.5, 9.0]), [0, 1, 1, 0])  # 0.5 -> hop 2


def test_the_file_comes_back_whatever_clips_are_called(tmp_path):
    wanted = {name: np.arange(n, dtype=np.int32) - 1 for n, name in enumerate(["file", "dog/1 é", "a.npy", "x"], 1)}
    write_heard(tmp_path, wanted, made_of="this")
    for found in (read_heard(tmp_path), read_heard(tmp_path, made_of="this")):
        assert found.keys() == wanted.keys()
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
            assert found[name].dtype == np.int32
    assert read_heard(tmp_path, made_of="that") == read_heard(tmp_path / "nowhere", made_of="this") == {}


def test_a_file_of_plain_numpy_is_read(tmp_path):
    np.savez(tmp_path / HEARD, a=np.array([1, -1]))
    np.testing.assert_array_equal(read_heard(tmp_path)["a"], [1, -1])
    assert read_heard(tmp_path, made_of="this") == {}


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "no file"),
        (lambda path: path.write_text("nothing"), "not a readable npz"),
        (lambda path: np.savez(path, a=np.zeros(3)), "row of whole numbers for each clip, unlike for a"),
        (lambda path: np.savez(path, a=np.zeros((3, 1), int)), "unlike for a"),
        (lambda path: np.savez(path, a=np.zeros(0, int)), "unlike for a"),
    ],
)
def test_what_is_no_such_file_is_one_line(tmp_path, write, message):
    write(tmp_path / HEARD)
    with pytest.raises(DataError, match=message) as error:
        read_heard(tmp_path)
    assert "\n" not in str(error.value)
