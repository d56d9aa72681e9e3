"""The streaming engine against the direct computation: all frames at once, a window of sound per frame, one call of the net."""

from fractions import Fraction

import jax
import numpy as np
import pytest
from inference.tiny import CONFIG, noise, swelling, variables

from stajax.inference import Engine, Stream
from stajax.media import cut_windows, to_mono_16k
from stajax.models.fixation import STAConfig
from stajax.models.fragments import Fragments, Span
from stajax.models.network import Network, NetworkConfig, Structure

N = 3 * 16 + 5  # frames of the longest clip
LENGTHS = {batch: sorted({1, 2, 3, batch, batch + 1, 3 * batch + 5} | ({batch - 1} - {0})) for batch in (1, 2, 5, 16)}
FRAMES = noise(N, (64, 64))
SOUND = swelling(N / 25 + 1)


@pytest.fixture(scope="module")
def structure():
    return Structure(CONFIG)


@pytest.fixture(scope="module")
def engines(structure):
    made = {}

    def engine(batch):
        if batch not in made:
            made[batch] = Engine([(structure, variables(structure))], batch=batch)
        return made[batch]

    return engine


@pytest.fixture(scope="module")
def direct(structure):
    """maps = direct(times, sound): nothing streamed, nothing shared; always padded to N frames, so that it compiles once."""
    numbers = variables(structure)
    features = jax.jit(lambda x: structure.apply(numbers, Network.encode_frames, x))(FRAMES)
    vectors = jax.jit(lambda x: structure.apply(numbers, Network.encode_audio, x))
    net = jax.jit(lambda audio, fragments: structure.apply(numbers, Network.__call__, features, audio, {"sta": fragments})[0])

    def maps(times, sound):
        count = len(times)
        t = np.minimum(np.arange(N), count - 1)
        frames = np.stack([np.maximum(t - 1, 0), t, np.minimum(t + 1, count - 1)], -1)[:, None]
        centres = [float((Fraction(time) * 5 + Fraction(1, 2)) // 1) / 5 for time in times] + [0.0] * (N - count)
        windows = cut_windows(np.zeros(0, np.float32) if sound is None else sound, centres, 1600)
        loud = np.abs(windows).max(1) >= 1e-3  # the switch is off where the window is silent
        logits = net(vectors(windows), Fragments.of(frames, np.arange(N)[:, None], loud[:, None]))["sta"]
        return np.asarray(jax.nn.sigmoid(logits[:, 0]))[:count]

    return maps


def regular(count, fps=25):
    return [Fraction(k, fps) for k in range(count)]


def stream_all(engine, count, *, fps=25.0, sound=SOUND, times=None):
    stream = Stream(engine, fps=fps, sound=sound is not None)
    if sound is not None:
        stream.push((), sound=sound)
    parts = [stream.push(FRAMES[:count], times=times), stream.finish()]
    return np.concatenate([p.time for p in parts]), np.concatenate([p.maps for p in parts]), stream


def test_the_oracle_itself_tells_frames_neighbours_and_sounds_apart(direct):
    maps, silent, off = (direct(regular(N), s) for s in (SOUND, np.zeros(0, np.float32), None))
    middle = slice(1, N - 1)
    assert np.abs(np.diff(maps, axis=0)).max((1, 2)).min() > 1e-3
    assert np.abs(maps - silent)[middle].max((1, 2)).min() > 1e-4
    np.testing.assert_array_equal(silent, off)
    assert np.abs(direct(regular(5), SOUND)[4] - maps[4]).max() > 1e-3  # the last frame has another neighbour


@pytest.mark.parametrize("batch", LENGTHS)
def test_equals_the_direct_computation_at_every_length(engines, direct, batch):
    for count in LENGTHS[batch]:
        time, maps, stream = stream_all(engines(batch), count)
        np.testing.assert_allclose(time, np.arange(count) / 25, atol=1e-9)
        np.testing.assert_allclose(maps, direct(regular(count), SOUND), atol=1e-5, err_msg=f"{count} frames")
        assert stream.views_encoded == count


def test_nothing_recompiles(engines):
    for count in (1, 4, 5, 6, 20):
        for sound in (SOUND, None):
            stream_all(engines(5), count, sound=sound)
    engine = engines(5)
    assert [f._cache_size() for f in (engine._encode_frames, engine._encode_audio, engine._predict)] == [1, 1, 1]


PUSHES = {
    "frame by frame, sound in step": (1, 640, "step"),
    "in sevens": (7, 4480, "step"),
    "at once": (N, 10**6, "early"),
    "sound early": (1, 10**6, "early"),
    "sound late": (3, 10**6, "late"),
    "sound late in tiny pieces": (2, 97, "late"),
    "sound early in odd pieces": (N, 1001, "early"),
}


@pytest.mark.parametrize("how", PUSHES)
@pytest.mark.parametrize("in_flight", [0, 2])
def test_any_chunking_gives_the_same(engines, how, in_flight):
    size, samples, order = PUSHES[how]
    engine = engines(5)
    expected = stream_all(engine, N)
    stream = Stream(engine, fps=25, sound=True)
    frames = [{"frames": FRAMES[k : k + size]} for k in range(0, N, size)]
    frames = [{"frames": push["frames"][0]} if len(push["frames"]) == 1 and k % 2 else push for k, push in enumerate(frames)]
    sounds = [{"frames": (), "sound": SOUND[k : k + samples]} for k in range(0, len(SOUND), samples)]
    if order == "step":
        pushes = [{**frame, "sound": sound["sound"]} for frame, sound in zip(frames, sounds, strict=False)]
        pushes += sounds[len(frames) :]
    else:
        pushes = sounds + frames if order == "early" else frames + sounds
    parts = [stream.push(**push, in_flight=in_flight) for push in pushes] + [stream.finish()]
    time, maps = (np.concatenate([getattr(p, name) for p in parts]) for name in ("time", "maps"))
    assert np.array_equal(time, expected[0]) and np.array_equal(maps, expected[1])
    assert stream.windows_encoded == expected[2].windows_encoded


def test_maps_come_one_frame_late_at_a_batch_of_one(engines):
    stream = Stream(engines(1), fps=25)
    assert [len(stream.push(frame).maps) for frame in FRAMES[:4]] == [0, 1, 1, 1]
    assert len(stream.finish().maps) == 1


@pytest.mark.parametrize("fps", [Fraction(1, 4), 1, Fraction(30000, 1001), 240])
@pytest.mark.parametrize("batch", [5, 16])
def test_low_and_high_frame_rates(engines, direct, fps, batch):
    """At 1 fps every frame has a window of its own, and the ring of sound vectors goes round more than once."""
    times = [k / Fraction(fps) for k in range(N)]
    sound = swelling(float(times[-1]) + 1)
    _, maps, stream = stream_all(engines(batch), N, fps=float(fps), sound=sound)
    np.testing.assert_allclose(maps, direct(times, sound), atol=1e-5)
    assert stream.windows_encoded == len({(time * 5 + Fraction(1, 2)) // 1 for time in times})


def test_irregular_times_with_long_gaps(engines, direct):
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([0.001, 0.04, 0.3, 47.0], N, p=[0.3, 0.4, 0.2, 0.1]))
    sound = swelling(times[-1] + 1)
    for batch in (2, 16):
        time, maps, _ = stream_all(engines(batch), N, sound=sound, times=times)
        assert np.array_equal(time, times)
        np.testing.assert_allclose(maps, direct(times, sound), atol=1e-5)


def test_times_halfway_between_windows_do_not_hang_on_rounding(engines, direct):
    """At 30 fps every third frame of six lies halfway; its time is 0.1 or 0.09999999999999999, as one counts."""
    exact = regular(N, 30)
    counted = stream_all(engines(5), N, fps=30.0)[1]
    given = stream_all(engines(5), N, times=[float(time) for time in exact])[1]
    assert np.array_equal(counted, given)
    np.testing.assert_allclose(counted, direct(exact, SOUND), atol=1e-5)


def test_short_sound_goes_on_as_silence(engines, direct):
    short = SOUND[: round(0.7 * 16000)]
    padded = np.concatenate([short, np.zeros(5 * 16000, np.float32)])
    maps = stream_all(engines(5), N, sound=short)[1]
    assert np.array_equal(maps, stream_all(engines(5), N, sound=padded)[1])
    np.testing.assert_allclose(maps, direct(regular(N), short), atol=1e-5)


def test_quiet_windows_close_the_switch_and_loud_ones_open_it(engines, direct):
    quiet = SOUND.copy()
    quiet[: 16000 * N // 50] *= 1e-3 / np.abs(SOUND).max() * 0.9
    maps, off = stream_all(engines(5), N, sound=quiet)[1], stream_all(engines(5), N, sound=None)[1]
    assert np.array_equal(maps[: N // 2 - 5], off[: N // 2 - 5]) and np.abs(maps - off)[N // 2 + 5 :].max() > 1e-3
    np.testing.assert_allclose(maps, direct(regular(N), quiet), atol=1e-5)


@pytest.mark.parametrize("kind", ["int16", "stereo", "float"])
def test_sound_of_another_rate_in_blocks_equals_the_whole(engines, kind):
    """Blocks resampled one by one would drift: 100 of 1024 samples at 44.1 kHz are 37152 at 16 kHz, not 37200."""
    t = np.arange(round(44100 * (N / 25 + 1))) / 44100
    sound = 0.5 * np.sin(2 * np.pi * 300 * t * (1 + t))
    sound = {"int16": (sound * 32767).astype(np.int16), "stereo": np.stack([sound, 0 * sound], -1), "float": sound}[kind]
    stream, parts = Stream(engines(5), sound=True, rate=44100), []
    for k in range(0, len(sound), 1024):
        parts.append(stream.push((), sound=sound[k : k + 1024]))
    parts += [stream.push(FRAMES), stream.finish()]
    whole = stream_all(engines(5), N, sound=to_mono_16k(sound, 44100))[1]
    np.testing.assert_allclose(np.concatenate([p.maps for p in parts]), whole, atol=1e-5)


def test_a_net_of_several_nodes_gets_each_nodes_own_frames_and_sound(structure):
    """STA+ looks at three triplets: rows and switches against the definition, at every batch size, by values in the rings."""
    span = Span(((-1, 0, 1), (-4, -3, -2), (2, 3, 4)))
    for batch in (1, 3, 16):
        engine, seen = Engine([(structure, variables(structure))], batch=batch), []
        engine.spans, engine.behind, engine.ahead = {"sta": span}, span.behind, span.ahead
        engine.rows = -(-(batch + 8) // batch) * batch
        engine.sound_rows = (engine.rows // batch + 1) * -(-batch // engine.sound_group) * engine.sound_group
        frames, sounds = np.full(engine.rows, -1), np.full(engine.sound_rows, np.nan)
        views = {FRAMES[k].tobytes(): k for k in range(N)}

        def encode(ring, views_by_size, row, frames=frames, views=views):
            given = views_by_size[64]
            frames[row : row + len(given)] = [views[view.tobytes()] for view in given]
            return ring

        def listen(ring, windows_by_length, row, sounds=sounds):
            windows = windows_by_length[1600]
            sounds[row : row + len(windows)] = windows[:, 800]
            return ring

        def predict(features, audio, fragments, banks, context, engine=engine, frames=frames, sounds=sounds, seen=seen):
            (one,) = fragments.values()
            count = int(one.valid[:, 0].sum())
            seen.extend(zip(frames[one.frames][:count], sounds[one.audio][:count], one.switch[:count], strict=True))
            return np.zeros((engine.batch, 16, 16))

        engine.encode_frames, engine.encode_audio, engine.predict = encode, listen, predict
        ramp = np.linspace(0.1, 0.9, 16000 * 4).astype(np.float32)  # its value tells where a window was cut
        stream = Stream(engine, fps=10, sound=True)
        stream.push(FRAMES[:31], sound=ramp)
        stream.finish()
        assert len(seen) == 31
        for target, (rows, sound, switch) in enumerate(seen):
            wanted = np.clip(target + np.asarray(span.nodes), 0, 30)
            np.testing.assert_array_equal(rows, wanted)
            centres = np.floor(wanted[:, 1] / 10 / 0.2 + 0.5 + 1e-6) * 0.2
            np.testing.assert_allclose(sound, np.interp(centres * 16000, np.arange(64000), ramp), atol=1e-4)
            assert switch.all()


def test_closing_the_sound_lets_the_frames_go(engines):
    stream = Stream(engines(5), sound=True)
    assert len(stream.push(FRAMES[:20]).maps) == 0
    stream.close_sound()
    assert len(stream.push(()).maps) == 19
    assert len(stream.finish().maps) == 1


def test_without_sound_the_switch_is_off(engines, direct):
    _, maps, stream = stream_all(engines(5), N, sound=None)
    np.testing.assert_allclose(maps, direct(regular(N), None), atol=1e-5)
    assert stream.windows_encoded == 0


@pytest.mark.parametrize("deaf_to_the_switch", [False, True])
def test_without_sound_silence_is_encoded_for_nets_that_ignore_the_switch_alone(structure, monkeypatch, deaf_to_the_switch):
    engine = Engine([(structure, variables(structure))], batch=4)
    assert engine.hears_silence is False  # the paper's STA heeds its switch
    given = []
    monkeypatch.setattr(engine, "hears_silence", deaf_to_the_switch)
    monkeypatch.setattr(engine, "encode_audio", lambda rings, windows, row: given.append((windows, row)) or rings)
    Stream(engine, sound=False)
    Stream(engine, sound=True)
    assert len(given) == deaf_to_the_switch
    assert all(row == 0 and not windows[1600].any() for windows, row in given)


def test_a_net_without_sound_takes_it_and_keeps_none():
    deaf = NetworkConfig(
        frames="tiny",
        sound="tiny",
        size=64,
        nets={"sta": ("STA", STAConfig(width=4, output_size=(16, 16), use_sound=False))},
    )
    structure = Structure(deaf)
    engine = Engine([(structure, variables(structure))], batch=5)
    time, maps, stream = stream_all(engine, 12)
    assert len(time) == 12 and stream.windows_encoded == 0 and not len(stream.sound.samples)
    assert np.array_equal(maps, stream_all(engine, 12, sound=None)[1])


def test_a_stream_without_frames_gives_nothing(engines):
    stream = Stream(engines(5), sound=True)
    stream.push((), sound=SOUND)
    time, maps = stream.finish()
    assert time.shape == (0,) and maps.shape == (0, 16, 16)


def test_streams_of_one_engine_do_not_mix(engines):
    engine = engines(5)
    streams = [Stream(engine), Stream(engine)]
    clips = [FRAMES[:23], FRAMES[23:46]]
    parts = [[stream.push(frame) for stream, frame in zip(streams, pair, strict=True)] for pair in zip(*clips, strict=True)]
    parts.append([stream.finish() for stream in streams])
    for which, frames in enumerate(clips):
        stream = Stream(engine)
        alone = np.concatenate([stream.push(frames).maps, stream.finish().maps])
        assert np.array_equal(np.concatenate([part[which].maps for part in parts]), alone)


def test_each_frame_and_each_window_is_encoded_once(engines, monkeypatch):
    engine, views, windows = engines(5), [], []
    encode_frames, encode_audio = engine.encode_frames, engine.encode_audio
    monkeypatch.setattr(engine, "encode_frames", lambda ring, x, row: (views.append(x[64]), encode_frames(ring, x, row))[1])
    monkeypatch.setattr(engine, "encode_audio", lambda ring, x, row: (windows.append(x[1600]), encode_audio(ring, x, row))[1])
    count = 23
    stream = stream_all(engine, count)[2]
    assert len(views) == -(-count // 5) and {len(x) for x in views} == {5}
    seen = np.concatenate(views)
    assert np.array_equal(seen[:count], FRAMES[:count])
    assert all(np.array_equal(padding, FRAMES[count - 1]) for padding in seen[count:])
    heard = [x.tobytes() for x in np.concatenate(windows) if x.any()]
    assert len(heard) == len(set(heard)) == stream.windows_encoded == 1 + round((count - 1) / 25 / 0.2)


@pytest.mark.parametrize("fps", [25, 1])
def test_state_stays_bounded_over_a_long_stream(engines, fps):
    engine = engines(5)
    stream, second = Stream(engine, fps=fps, sound=True), SOUND[:16000]
    shapes = jax.tree.map(np.shape, (stream._features, stream._audio))
    samples, given = [], 0
    for k in range(500):
        sound = second[: 16000 // fps]
        given += len(stream.push(FRAMES[k % N], sound=sound).maps)
        samples.append(len(stream.sound.samples))
        assert len(stream._waiting) <= 2 * 5 and len(stream._heard) <= 1 and not stream._results
        assert len(stream._times) == len(stream._switch) == len(stream._sound_row) == engine.rows
    given += len(stream.finish().maps)
    assert given == 500
    assert max(samples[250:]) <= max(samples[:250]) <= 16000 * (2 * 5 / fps + 0.5)
    assert jax.tree.map(np.shape, (stream._features, stream._audio)) == shapes


def test_a_reused_buffer_is_not_kept(engines):
    """A frame of the net's own size is not resized, and a camera may write the next picture over it."""
    stream, buffer, parts = Stream(engines(5)), np.empty_like(FRAMES[0]), []
    for frame in FRAMES[:12]:
        buffer[:] = frame
        parts.append(stream.push(buffer))
    parts.append(stream.finish())
    assert np.array_equal(np.concatenate([p.maps for p in parts]), stream_all(engines(5), 12, sound=None)[1])


def failing(match, stream, *args, **kwargs):
    with pytest.raises(ValueError, match=match) as caught:
        stream.push(*args, **kwargs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((48, 64, 3), np.float32),
        np.zeros((48, 64, 4), np.uint8),
        np.zeros((5, 48, 64), np.uint8),
        np.zeros((48, 64), np.uint8),
        np.zeros((2, 2, 48, 64, 3), np.uint8),
        np.zeros((48, 64, 3), np.uint16),
    ],
    ids=lambda x: f"{x.shape} {x.dtype}",
)
def test_what_is_no_picture_is_refused(engines, frame):
    failing("uint8 is needed", Stream(engines(5)), frame)


def test_times_that_do_not_ascend_are_refused(engines):
    for times in ([0.0, 0.0], [0.1, 0.05], [0.0, np.nan], [0.0, np.inf], [-1.0, 0.0]):
        failing("must ascend", Stream(engines(5)), FRAMES[:2], times=times)
    stream = Stream(engines(5))
    stream.push(FRAMES[0], times=3.0)
    failing("must ascend", stream, FRAMES[1], times=2.0)
    stream.push(FRAMES[1])  # by default 1/fps after the last
    assert stream.finish().time.tolist() == [3.0, 3.04]


def test_times_must_fit_the_frames(engines):
    failing("2 frames but 1 times", Stream(engines(5)), FRAMES[:2], times=0.5)
    failing("1 frames but 3 times", Stream(engines(5)), FRAMES[0], times=[0.0, 1.0, 2.0])


def test_bad_sound_is_refused(engines):
    stream = Stream(engines(5), sound=True)
    failing("NaN", stream, (), sound=np.array([0.0, np.nan], np.float32))
    failing("NaN", stream, (), sound=np.array([np.inf], np.float32))
    failing("a sound array of shape", stream, (), sound=np.zeros((100, 2, 2), np.float32))
    failing("type", stream, (), sound=np.array(["a"]))
    assert stream.sound.end == 0
    stream.close_sound()
    failing("takes no sound", stream, (), sound=SOUND)
    failing("takes no sound", Stream(engines(5)), (), sound=SOUND)


def test_frames_far_ahead_of_their_sound_are_refused_before_they_pile_up(engines):
    stream = Stream(engines(5), fps=2, sound=True)
    stream.push((), sound=SOUND[:16000])
    failing("30 s ahead of their sound", stream, (FRAMES[k % N] for k in range(10**9)))
    assert len(stream._waiting) <= 2 * (30 + 1) + 5


def test_a_long_gap_between_frames_is_no_lack_of_sound(engines):
    """The window of the last frame is not there yet, but its sound is not 30 s away; the frames are."""
    sound, engine = swelling(50), engines(2)
    stream = Stream(engine, sound=True)
    waiting = stream.push(FRAMES[:2], times=[0.0, 47.0], sound=sound[: 47 * 16000])
    rest = stream.push((), sound=sound[47 * 16000 :])
    assert (len(waiting.maps), len(rest.maps), len(stream.finish().maps)) == (0, 1, 1)


def test_a_finished_stream_takes_nothing(engines):
    stream = Stream(engines(5))
    stream.push(FRAMES[:3])
    stream.finish()
    failing("finished", stream, FRAMES[0])


def test_bad_engines_and_rates_are_refused(structure, engines):
    numbers = variables(structure)
    with pytest.raises(ValueError, match="at least 1"):
        Engine([(structure, numbers)], batch=0)
    with pytest.raises(ValueError, match="no net ghost in this model; it has sta"):
        Engine([(structure, numbers)], nets=["ghost"])
    for fps in (0, -25, float("nan")):
        with pytest.raises(ValueError, match="must be positive"):
            Stream(engines(5), fps=fps)
