"""Cached features come back as they were put in, and what is wrong with a cache is one line."""

import pickle

import numpy as np
import pytest

from stajax.data.feature_cache import FeatureCache
from stajax.data.fixations import DataError

MADE_WITH = {"frames": "tiny", "size": 32, "levels": ["stride8"]}


@pytest.fixture
def cache(tmp_path):
    return FeatureCache.create(tmp_path / "cache", MADE_WITH)


@pytest.fixture
def levels():
    rng = np.random.default_rng(0)
    return {"stride8": rng.random((6, 4, 4, 3), np.float32), "stride16": rng.random((6, 2, 2, 5), np.float32)}


@pytest.mark.parametrize("name", ["clip", "../Bark/100%", ".hidden", "räv / x"])
def test_features_come_back(cache, levels, name):
    vectors = np.random.default_rng(1).random((4, 7), np.float32)
    assert name not in cache
    cache.write(name, levels, vectors)
    again = FeatureCache(cache.folder)
    assert name in again and again.made_with == MADE_WITH
    frames = np.array([[0, 0, 1], [4, 5, 5]])
    found = again.features(name, frames)
    assert found.keys() == levels.keys()
    for level, array in levels.items():
        np.testing.assert_array_equal(found[level], array.astype(np.float16)[frames])
    np.testing.assert_array_equal(again.vectors(name, [0.0, 0.31, 9]), vectors.astype(np.float16)[[0, 2, 3]])
    assert {path.name for path in cache.folder.parent.iterdir()} == {"cache"}


def test_a_clip_written_again_is_read_again(cache, levels):
    cache.write("clip", levels)
    cache.features("clip", [0])
    cache.write("clip", {"stride8": levels["stride8"] + 1})
    found = cache.features("clip", [3])
    assert list(found) == ["stride8"]
    np.testing.assert_array_equal(found["stride8"][0], (levels["stride8"][3] + 1).astype(np.float16))


def test_open_features_are_not_pickled(cache, levels):
    cache.write("clip", levels)
    cache.features("clip", [0])
    assert len(pickle.dumps(cache)) < 1000


def test_only_the_levels_asked_for_are_read(cache, levels):
    cache.write("clip", levels)
    assert list(FeatureCache(cache.folder, ["stride16"]).features("clip", [0])) == ["stride16"]
    with pytest.raises(DataError, match=r"no cached features of clip clip \(no stride4\); encode it again"):
        FeatureCache(cache.folder, ["stride4"]).features("clip", [0])


def test_what_is_not_there_is_named(cache, levels):
    cache.write("clip", levels)
    with pytest.raises(DataError, match=r"clip other \(it holds no level\)"):
        cache.features("other", [0])
    with pytest.raises(DataError, match=r"clip clip \(no vectors\)"):
        cache.vectors("clip", 0.0)
    with pytest.raises(DataError, match="stride16 has 6 frames, number 6 is asked for"):
        cache.features("clip", [6])
    (cache.folder / "clip" / "stride8.npy").write_bytes(b"broken")
    with pytest.raises(DataError, match="no cached features of clip clip"):
        cache.features("clip", [0])


def test_a_killed_run_leaves_no_clip_behind(cache, levels, monkeypatch):
    """Written again, the clip is whole; what was left over does not stay."""

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", killed)
        with pytest.raises(KeyboardInterrupt):
            cache.write("clip", levels)
    assert "clip" not in cache
    cache.write("clip", {"stride8": levels["stride8"]})
    cache.write("clip", levels)
    assert sorted(path.name for path in (cache.folder / "clip").iterdir()) == ["stride16.npy", "stride8.npy"]
    assert sorted(path.name for path in cache.folder.iterdir()) == ["cache.json", "clip"]


def test_features_made_with_something_else_are_refused(cache):
    assert FeatureCache.create(cache.folder, MADE_WITH).made_with == MADE_WITH
    with pytest.raises(DataError, match="holds features made with another size; delete it or give another folder"):
        FeatureCache.create(cache.folder, MADE_WITH | {"size": 64})


@pytest.mark.parametrize(("content", "message"), [(None, "no cache.json here"), ("{", "cannot be read"), ("3", "not a table")])
def test_a_folder_that_is_no_cache_is_one_line(tmp_path, content, message):
    if content:
        (tmp_path / "cache.json").write_text(content)
    with pytest.raises(DataError, match=message) as error:
        FeatureCache(tmp_path)
    assert "\n" not in str(error.value)
