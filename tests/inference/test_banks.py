"""Banks: streams with company from elsewhere against the direct computation, in which it is further fragments."""

from fractions import Fraction

import jax
import numpy as np
import pytest
from inference.tagged import FPS, frames, record, source
from inference.tiny import swelling, variables
from media.made import clip

from stajax.data.company import draw_from_bank, draw_from_tag_bank
from stajax.encoders.params import WeightsError
from stajax.inference.bank import SIZE, Bank, Banks, of_clip, of_clips, together
from stajax.inference.engine import Engine
from stajax.inference.predict import stream_clip, stream_of
from stajax.inference.source import ArraySource, RecordSource, VideoSource
from stajax.inference.stream import Stream
from stajax.inference.tag_banks import digest, read_banks, write_banks
from stajax.media import cut_windows, probe, read_frames, read_moments, squash
from stajax.models.fixation import STAConfig, STAPlusConfig
from stajax.models.fragments import Fragments
from stajax.models.network import Network, NetworkConfig, Structure

LONG = ("STA+", STAPlusConfig.tiny("long"))
N, HOP = 90, 0.2


@pytest.fixture(scope="module")
def structure():
    return Structure(NetworkConfig("tiny", "tiny", 64, nets={"long": LONG}))


@pytest.fixture(scope="module")
def numbers(structure):
    return variables(structure, 4)


@pytest.fixture(scope="module")
def engine(structure, numbers):
    return Engine([(structure, numbers)], batch=5)


@pytest.fixture(scope="module")
def direct(structure, numbers):
    """maps = direct(clip, company): frame t with the frames company[t] (T, n) as further fragments, all in one call."""

    @jax.jit
    @jax.default_matmul_precision("highest")
    def call(views, windows, fragments):
        features = structure.apply(numbers, Network.encode_frames, views)
        audio = structure.apply(numbers, Network.encode_audio, windows)
        return jax.nn.sigmoid(structure.apply(numbers, Network.__call__, features, audio, {"long": fragments})[0]["long"][:, 0])

    def maps(clip, company):
        count = len(clip.images)
        moments = np.concatenate([np.arange(count)[:, None], company], 1)
        rows = np.clip(moments[..., None] + np.array([-1, 0, 1]), 0, count - 1)
        centres = [float((Fraction(t) / Fraction(clip.fps) * 5 + Fraction(1, 2)) // 1) / 5 for t in range(count)]
        windows = cut_windows(clip.waveform, centres, 1600)
        loud = np.abs(windows).max(1) >= 1e-3
        fragments = Fragments.of(rows, rows[..., 1], loud[rows[..., 1]])
        return np.asarray(call(np.stack([squash(image, 64) for image in clip.images]), windows, fragments))

    return maps


def streamed(engine, clip, banks=None):
    stream = stream_of(engine, clip, banks)
    return np.stack([shown.map for shown in stream_clip(stream, clip)]), stream


# Long-term company from moments read by seeking


def test_a_stream_with_a_long_term_bank_equals_the_direct_computation(engine, direct):
    clip = source(N, 2)
    bank = of_clip(engine, clip).banks["long"]
    assert len(bank.moments) == SIZE < N and bank.clips == ()
    company = bank.moments[draw_from_bank(bank.moments, np.arange(N), 2, seed=0)]
    assert (np.abs(company - np.arange(N)[:, None]) > 4).all()
    maps, stream = streamed(engine, clip)
    np.testing.assert_allclose(maps, direct(clip, company), atol=1e-4)
    assert (stream.views_encoded, stream.bank_views) == (N, 3 * SIZE)
    other = direct(clip, np.roll(company, 1, axis=0))
    assert np.abs(maps - other).max() > 1e-3, "whose company it is must matter for this test to mean something"


def test_the_moments_of_a_bank_are_spread_over_the_clip_one_in_each_part(engine):
    for count in (SIZE, N, 200):
        moments = of_clip(engine, source(count)).banks["long"].moments
        assert (moments * SIZE / count < np.arange(1, SIZE + 1)).all() and (moments + 1 >= np.arange(SIZE) * count / SIZE).all()
    assert of_clip(engine, source(7)).banks["long"].moments.tolist() == list(range(7))
    seeds = [of_clip(engine, source(N), seed=seed).banks["long"].moments for seed in (0, 0, 1)]
    assert np.array_equal(seeds[0], seeds[1]) and not np.array_equal(seeds[0], seeds[2])


def test_the_moments_of_a_file_are_where_read_moments_says(engine, tmp_path):
    """Node states of a clip on disk against those of the frames that reading all of it gives, at the bank's moments."""
    path = clip(tmp_path / "a.mkv", n=50, sound=swelling(2.0)[None], rate=16000, sound_codec="pcm_s16le")
    info = probe(path)
    found = of_clip(engine, VideoSource(info)).banks["long"]
    images = [frame.image for frame in read_frames(path)]
    triplets = list(read_moments(info, (found.moments / info.fps).tolist()))
    for moment, triplet in zip(found.moments, triplets, strict=True):
        for offset, frame in zip((-1, 0, 1), triplet, strict=True):
            np.testing.assert_array_equal(frame.image, images[np.clip(moment + offset, 0, 49)])
    whole = ArraySource(images, np.concatenate(list(VideoSource(info).sound())), info.fps)
    expected = of_clip(engine, whole).banks["long"]
    np.testing.assert_array_equal(found.moments, expected.moments)
    np.testing.assert_allclose(found.nodes, expected.nodes, atol=1e-4)


def test_a_file_and_its_frames_give_the_same_maps(structure, numbers, tmp_path):
    from stajax.inference.predict import Model

    model = Model("tiny", "", (), Engine([(structure, numbers)], batch=5))
    path = clip(tmp_path / "a.mkv", n=40, sound=swelling(1.6)[None], rate=16000, sound_codec="pcm_s16le")
    pictures = [frame.image for frame in read_frames(path)]
    sound = np.concatenate(list(VideoSource(probe(path)).sound()))
    maps = model.predict(path).maps
    np.testing.assert_allclose(model.predict(np.stack(pictures), sound=sound).maps, maps, atol=1e-6)
    growing = model.predict(iter(pictures), sound=sound).maps
    assert growing.shape == maps.shape and np.abs(growing - maps).max() > 1e-3


@pytest.mark.parametrize("batch", [1, 2, 3, 16])
def test_node_states_do_not_hang_on_the_batch(structure, numbers, engine, batch):
    other = of_clip(Engine([(structure, numbers)], batch=batch), source(11)).banks["long"]
    np.testing.assert_allclose(other.nodes, of_clip(engine, source(11)).banks["long"].nodes, atol=1e-4)


def test_the_shapes_of_nodes_are_told_without_computing(engine):
    assert engine.node_shapes() == {"long": of_clip(engine, source(3)).banks["long"].nodes.shape[1:]}


# Growing banks


def grown(engine, pushes, count=200):
    """The moments in the bank after each push of so many frames, and the rows that targets drew."""
    stream, seen = Stream(engine, fps=FPS), []
    pictures, start = frames(count), 0
    drawn = []
    rows = stream.banks.rows

    def noted(name, targets):
        found = rows(name, targets)
        inverse = {row: moment for moment, row in stream.banks._slots.items()}
        drawn.append((targets.tolist(), np.vectorize(inverse.get)(found)))
        return found

    stream.banks.rows = noted
    for size in pushes:
        stream.push(pictures[start : start + size])
        start += size
        seen.append(sorted(stream.banks._slots))
    stream.finish()
    return seen, drawn, stream


def test_a_growing_bank_spans_what_has_passed(engine):
    seen, drawn, stream = grown(engine, [5] * 40)
    for passed, moments in zip(range(5, 201, 5), seen, strict=True):
        done = passed - engine.ahead
        assert moments[0] == 0 and len(moments) <= SIZE
        gaps = np.diff([*moments, done])
        assert gaps.max() <= max(1, 2 * -(-done // SIZE)), "no long stretch without a moment"
        assert len(moments) >= min(done, SIZE // 2), "it is never emptier than half"
    for targets, company in drawn:
        assert (company <= np.max(targets)).all(), "what has not passed keeps nobody company"
    assert stream.bank_views == 0


def test_a_growing_bank_is_the_same_however_frames_are_pushed(engine):
    runs = [grown(engine, pushes, 60) for pushes in ([60], [1] * 60, [7] * 8 + [4], [60])]
    for _, drawn, stream in runs[1:]:
        for (targets, company), (first, expected) in zip(drawn, runs[0][1], strict=True):
            assert targets == first
            np.testing.assert_array_equal(company, expected)
        np.testing.assert_array_equal(stream.banks.nodes["long"], runs[0][2].banks.nodes["long"])


def test_the_rows_of_a_growing_bank_hold_the_moments_own_states(engine, direct):
    """Its maps against the direct computation with the company that was drawn."""
    clip = ArraySource(frames(60), swelling(7), FPS)
    _, drawn, _ = grown(engine, [60], 60)
    company = np.zeros((60, 2), int)
    for targets, found in drawn:
        company[targets] = found
    stream = Stream(engine, fps=FPS, sound=True)
    stream.push((), sound=clip.waveform)
    stream.close_sound()
    maps = np.concatenate([stream.push(clip.images).maps, stream.finish().maps])
    np.testing.assert_allclose(maps, direct(clip, company), atol=1e-4)


# Banks over clips


def test_a_bank_over_clips_has_as_many_moments_of_each(engine):
    clips = [RecordSource(record(f"clip {k}", [0], 20, k)) for k in range(5)]
    made = of_clips(engine, ["long"], clips, count=5)
    bank = made.banks["long"]
    assert [bank.clips.count(f"clip {k}") for k in range(5)] == [7, 7, 6, 6, 6] and made.views == 3 * SIZE
    first = of_clips(engine, ["long"], clips, count=5).banks["long"]
    np.testing.assert_array_equal(first.moments, bank.moments)
    parts = [tuple(bank.moments[[clip == f"clip {k}" for clip in bank.clips]]) for k in range(2, 5)]
    assert len(set(parts)) > 1, "each clip has its own moments"
    single = of_clip(engine, clips[3], size=20).banks["long"]
    rows = [k for k, clip in enumerate(bank.clips) if clip == "clip 3"]
    np.testing.assert_allclose(np.asarray(bank.nodes)[rows], single.nodes[bank.moments[rows]], atol=1e-4)


def test_of_many_clips_no_more_are_read_than_a_bank_holds_and_bad_ones_are_left_out(engine):
    read = []

    def clips():
        for k in range(100):
            read.append(k)
            yield RecordSource(record(f"{k}", [0], 0 if k == 3 else 3, k))

    bank = of_clips(engine, ["long"], clips(), count=100).banks["long"]
    assert len(read) == SIZE and len(bank.moments) == SIZE - 1 and "3" not in bank.clips
    assert not of_clips(engine, ["long"], [], count=0).banks


def test_cross_company_comes_from_other_clips_and_equals_the_further_fragments(engine, direct):
    """The target's clip and the others as one long clip for the direct computation."""
    clips = [source(20, k) for k in range(3)]
    for k, one in enumerate(clips):
        one.name = one.path = f"clip {k}"
    bank = of_clips(engine, ["long"], clips, count=3).banks["long"]
    maps, _ = streamed(engine, clips[1], {"long": bank})
    rows = draw_from_tag_bank(bank.clips, np.arange(20), 2, seed=0, clip="clip 1")
    assert "clip 1" not in {bank.clips[row] for row in rows.ravel()}
    from_whole = np.array([20 * int(bank.clips[row][-1]) + bank.moments[row] for row in range(len(bank.moments))])
    seconds = 20 / FPS
    sounds = [one.waveform[: round(16000 * seconds)] for one in clips]
    joined = ArraySource(np.concatenate([one.images for one in clips]), np.concatenate(sounds), FPS)
    company = np.zeros((60, 2), int)
    company[20:40] = from_whole[rows]
    inside = slice(3, 17)  # at its ends the clip's own frames and sound are repeated, not its neighbours'
    edges = np.isin(company[20:40] % 20, [0, 1, 18, 19]).any(1)[inside]
    found, expected = maps[inside][~edges], direct(joined, company)[20:40][inside][~edges]
    assert len(found) > 3
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_several_banks_together_give_from_each_in_turn():
    one = Bank(np.arange(5.0)[:, None], np.arange(5), tuple("aaaab"))
    two = Bank(10 + np.arange(2.0)[:, None], np.arange(2), tuple("cd"))
    both = together([one, two], size=6)
    assert both.nodes[:, 0].tolist() == [0, 10, 1, 11, 2, 3] and both.clips == tuple("acadaa")
    assert both.moments.tolist() == [0, 0, 1, 1, 2, 3]


def test_a_short_bank_compiles_nothing_new_and_its_empty_rows_are_never_drawn(engine):
    bank = Bank(np.ones((3, 8, 8, 4), np.float16), np.array([0, 20, 40]), ())
    banks = Banks(engine, {"long": bank})
    assert banks.nodes["long"].shape[0] == SIZE and banks.nodes["long"].dtype == np.float32
    assert set(banks.rows("long", np.arange(50)).ravel().tolist()) <= {0, 1, 2}
    before = engine._predict._cache_size()
    for count in (2, 9, 33):
        streamed(engine, source(count))
    assert engine._predict._cache_size() == max(before, 1)


def test_nets_without_company_ask_for_no_bank(structure):
    plain = Structure(NetworkConfig("tiny", "tiny", 64, nets={"sta": ("STA", STAConfig.tiny())}))
    made = of_clip(Engine([(plain, variables(plain))], batch=2), source(5))
    assert (made.banks, made.views, made.why_not) == ({}, 0, "")


# Banks that a model folder carries


@pytest.fixture
def bank():
    rng = np.random.default_rng(0)
    return Bank(rng.normal(size=(4, 8, 8, 4)).astype(np.float32), np.arange(4), ("a", "a", "b", "c/d"))


def test_banks_on_disk_are_what_was_written_in_float16(bank, tmp_path):
    names = ["Bark", "Frying (food)", "Baby cry, infant cry", "and/or", ".."]
    write_banks(tmp_path, {name: {"x": bank, "y": bank} for name in names})
    for name in names:
        found = read_banks(tmp_path, name, {"x": (8, 8, 4)})
        assert list(found) == ["x"] and found["x"].clips == bank.clips
        np.testing.assert_array_equal(found["x"].nodes, bank.nodes.astype(np.float16))
        np.testing.assert_array_equal(found["x"].moments, bank.moments)
    assert sorted(path.name for path in (tmp_path / "banks").iterdir())[1:4] == [
        "Baby cry, infant cry.npz",
        "Bark.npz",
        "Frying (food).npz",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["banks"]
    assert read_banks(tmp_path, "Cat", {"x": (8, 8, 4)}) == read_banks(tmp_path, "Bark", {"z": (8, 8, 4)}) == {}
    first = digest(tmp_path, ["Bark", "Cat"])
    write_banks(tmp_path, {"Bark": {"x": bank}})
    assert first and digest(tmp_path, ["Bark", "Cat"]) != first and digest(tmp_path, ["Cat"]) == ""


def test_banks_of_other_nets_and_broken_ones_are_one_line(bank, tmp_path):
    def says(part, shape=(8, 8, 4)):
        with pytest.raises(WeightsError, match=part) as caught:
            read_banks(tmp_path, "Bark", {"x": shape})
        assert "\n" not in str(caught.value) and str(tmp_path / "banks/Bark.npz") in str(caught.value)

    write_banks(tmp_path, {"Bark": {"x": bank}})
    says(r"x has nodes of \(4, 8, 8, 4\) float16; finite ones of \(K, 16, 16, 28\) are needed", (16, 16, 28))
    write_banks(tmp_path, {"Bark": {"x": Bank(np.full((4, 8, 8, 4), np.nan), bank.moments, bank.clips)}})
    says("finite ones")
    write_banks(tmp_path, {"Bark": {"x": Bank(bank.nodes, bank.moments[:3], bank.clips)}})
    says("4 nodes, 3 moments and 4 clips")
    file = tmp_path / "banks/Bark.npz"
    file.write_bytes(file.read_bytes()[:100])
    says("not a readable bank")
    file.write_bytes(b"")
    says("not a readable bank")


def test_a_bank_is_never_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("it was run",))

    (tmp_path / "banks").mkdir()
    np.savez(tmp_path / "banks/Bark.npz", **{"x.nodes": np.array([Trap()], object)})
    with pytest.raises(WeightsError, match="not a readable bank"):
        read_banks(tmp_path, "Bark", {"x": (8, 8, 4)})
