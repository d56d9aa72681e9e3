"""The command line: what it prints, where, and with which exit code; never a traceback for bad input."""

import functools
import io
import json
import re
import shutil
from contextlib import redirect_stderr
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from commands import bad, stajax
from inference.tiny import no_file_over, write_model
from media.made import clip, pictures, tone

from stajax import inference
from stajax.cli import progress
from stajax.encoders.params import WEIGHTS
from stajax.inference.clips import Progress, Summary
from stajax.media import read_frames, save_png

SHIPS = (WEIGHTS / "sta-lite" / "config.json").exists()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(autouse=True, scope="module")
def prepared(tmp_path_factory):
    """A compile cache of our own, and each model compiled once, not once per call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STAJAX_CACHE", str(tmp_path_factory.mktemp("cache")))
        load, loaded = inference.load, {}

        def load_once(path, *, batch, nets, fusion):
            key = (str(path), batch, tuple(nets or ()), fusion)
            if key not in loaded:
                loaded[key] = load(path, batch=batch, nets=nets, fusion=fusion)
            return loaded[key]

        patch.setattr(inference, "load", load_once, raising=False)
        yield


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    return Path(clip(tmp_path_factory.mktemp("clips") / "short.mp4", n=12, sound=tone(0.5, 16000)[None], rate=16000))


# One run over everything that people feed to it


def turned(path):
    """A phone's mp4 that says "turn clockwise by 90 degrees" in the matrix of its track header."""
    one, unit = 1 << 16, (1 << 30).to_bytes(4, "big")
    pack = lambda *v: b"".join(x.to_bytes(4, "big", signed=True) for x in v)  # noqa: E731
    data = path.read_bytes()
    at = data.index(pack(one, 0, 0, 0, one, 0, 0, 0) + unit, data.index(b"tkhd"))
    path.write_bytes(data[:at] + pack(0, one, 0, -one, 0, 0, 0, 0) + data[at + 32 :])


@pytest.fixture(scope="module")
def zoo(tmp_path_factory, weights):
    """Every kind of file in one folder, and what a run over it said: .of(name) gives its lines."""
    folder = tmp_path_factory.mktemp("zoo") / "in"
    folder.mkdir()
    pcm = {"sound_codec": "pcm_s16le"}
    whole = Path(clip(folder / "cut.mp4", n=75, sound=tone(3, 48000)[None], options={"movflags": "+faststart"})).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (folder / "empty.mp4").touch()
    (folder / "text.mp4").write_text("this is no film\n" * 50)
    clip(folder / "only_sound.mp4", n=0, sound=tone(1, 48000)[None])
    emptied = Path(clip(folder / "frameless.mp4", n=2, options={"movflags": "+faststart"}))
    emptied.write_bytes(emptied.read_bytes()[: emptied.read_bytes().index(b"mdat") + 4])
    clip(folder / "one_frame.mp4", n=1, sound=tone(0.04, 48000)[None])
    clip(folder / "odd.mkv", n=6, size=(65, 49), pix_fmt="yuv444p", sound=tone(0.3, 8000)[None], rate=8000, **pcm)
    clip(folder / "irregular.mp4", n=8, times=[0, 0.04, 0.3, 0.31, 0.5, 1.2, 1.21, 1.9], sound=tone(2, 48000)[None])
    clip(folder / "timelapse.mkv", n=8, times=[0, 1, 45, 46, 47, 100, 101, 102], sound=tone(103, 8000)[None], rate=8000, **pcm)
    turned(Path(clip(folder / "turned.mp4", n=3, sound=tone(0.2, 48000)[None])))
    clip(folder / "surround.mkv", n=6, sound=np.tile(tone(0.3, 48000), (6, 1)), layout="5.1")
    clip(folder / "silence.mp4", n=6, sound=np.zeros((1, 16000), np.float32), rate=16000)
    clip(folder / "mute.mp4", n=6)
    save_png(folder / "picture.png", pictures(1, 64, 48)[0])
    (folder / "notes.txt").write_text("no clip by its suffix")
    out = folder.parent / "out"
    result = stajax("predict", folder, "-o", out, "--weights", weights)

    def of(name):
        return [line.replace(f"{folder}/", "") for line in result.lines if name in line]

    def maps(stem):
        with np.load(out / stem / "maps.npz") as archive:
            return archive["maps"], archive["time"]

    return SimpleNamespace(folder=folder, out=out, of=of, maps=maps, said=result.out, code=result.code, err=result.err)


def test_the_zoo_as_a_whole(zoo):
    assert zoo.code == 2 and "Traceback" not in zoo.err
    assert zoo.said == f"10 predicted, 4 failed; results in {zoo.out}\n"


@pytest.mark.parametrize(
    "name, says",
    [
        ("empty.mp4", "the file is empty"),
        ("text.mp4", "not a readable media file"),
        ("only_sound.mp4", "only sound in this file"),
        ("frameless.mp4", "holds no frames"),
    ],
)
def test_what_cannot_be_used_is_one_line(zoo, name, says):
    (line,) = zoo.of(name)
    assert line.startswith(f"stajax: {name}: ") and says in line
    assert not (zoo.out / Path(name).stem).exists()


@pytest.mark.parametrize(
    "name, frames",
    [
        ("one_frame.mp4", 1),
        ("odd.mkv", 6),
        ("irregular.mp4", 8),
        ("timelapse.mkv", 8),
        ("turned.mp4", 3),
        ("surround.mkv", 6),
        ("silence.mp4", 6),
        ("picture.png", 1),
    ],
)
def test_what_is_unusual_is_predicted_without_a_word(zoo, name, frames):
    (line,) = zoo.of(name)
    assert re.fullmatch(rf"\[\d+/14\] {name}: {frames} frames, \d+ frames/s", line)
    maps, time = zoo.maps(Path(name).stem)
    assert maps.shape == (frames, 16, 16) and 0 <= maps.min() < maps.max() <= 1
    source, shown = list(read_frames(zoo.folder / name)), list(read_frames(zoo.out / Path(name).stem / "overlay.mp4"))
    assert np.array_equal(time, [frame.time for frame in source])
    np.testing.assert_allclose([frame.time for frame in shown], time, atol=1e-3)
    assert source[0].image.shape == shown[0].image.shape


def test_a_truncated_file_is_predicted_up_to_there_with_one_warning(zoo):
    warning, done = zoo.of("cut.mp4")
    frames = len(zoo.maps("cut")[0])
    assert 20 < frames < 70 and f"{frames} frames" in done
    assert warning.startswith("stajax: warning: cut.mp4: ") and f"stopped after {frames} frames" in warning


def test_a_clip_without_sound_has_one_warning(zoo):
    warning, done = zoo.of("mute.mp4")
    assert warning == "stajax: warning: mute.mp4: no sound track; treated as silence" and "6 frames" in done


# Bad arguments


def test_bad_inputs(tmp_path, weights):
    (tmp_path / "empty").mkdir()
    assert "nowhere.mp4: no such file or folder" in bad("predict", tmp_path / "nowhere.mp4", "--weights", weights)
    assert "no clips in this folder" in bad("predict", tmp_path / "empty", "--weights", weights)


def test_bad_weights(short, tmp_path, weights):
    out = ["-o", tmp_path / "out", "--weights"]
    line = bad("predict", short, *out, "sta-huge")
    assert "no such model folder" in line and ("sta-lite" in line) == SHIPS
    (tmp_path / "empty").mkdir()
    assert "no config.json" in bad("predict", short, *out, tmp_path / "empty")
    assert "not a model folder" in bad("predict", short, *out, short)

    corrupt = shutil.copytree(weights, tmp_path / "corrupt")
    file = corrupt / "params/nets/sta.npz"
    file.write_bytes(file.read_bytes()[:200])
    assert "not a readable .npz" in bad("predict", short, *out, corrupt)

    diverged = shutil.copytree(weights, tmp_path / "diverged")
    file = diverged / "params/nets/sta.npz"
    with np.load(file) as archive:
        arrays = dict(archive)
    arrays[next(iter(arrays))].flat[0] = np.nan
    np.savez(file, **arrays)
    assert "NaN" in bad("predict", short, *out, diverged)

    foreign = shutil.copytree(weights, tmp_path / "foreign")
    np.savez(foreign / "params/nets/sta.npz", other=np.zeros(3))
    assert "not for this net" in bad("predict", short, *out, foreign)

    newer = shutil.copytree(weights, tmp_path / "newer")
    config = json.loads((newer / "config.json").read_text())
    (newer / "config.json").write_text(json.dumps({**config, "format": 99}))
    assert "format 99" in bad("predict", short, *out, newer)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--nets", "ghost"], "no net ghost in this model; it has sta"),
        (["--size", "640"], "'640' is not a size; give WIDTHxHEIGHT"),
        (["--size", "0x5"], "must lie in 1..8192"),
        (["--size", "9999x5"], "must lie in 1..8192"),
        (["--size", "-1x5"], "must lie in 1..8192"),
        (["--nets", ""], "'' names nothing"),
        (["--nets", " , "], "names nothing"),
        (["--batch", "0"], "'0' is not a whole number in 1..1024"),
        (["--batch", "1025"], "'1025' is not a whole number in 1..1024"),
        (["--batch", "-3"], "not a whole number"),
        (["--batch", "many"], "not a whole number"),
        (["--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_bad_options(short, weights, arguments, says):
    arguments = [f"{arguments[0]}={arguments[1]}"] if len(arguments) == 2 else arguments
    assert says in bad("predict", short, "--weights", weights, *arguments)


def test_no_command_and_no_clip():
    assert "COMMAND" in bad()
    assert "VIDEO" in bad("predict")


# Good runs and failures


def test_predict_and_rerun(short, weights, tmp_path):
    out = tmp_path / "out"
    arguments = ["predict", short, "-o", out, "--weights", weights, "--png", "--size", "8x6", "--nets", "sta"]
    first, second = stajax(*arguments), stajax(*arguments)
    assert (first.code, first.out) == (0, f"1 predicted; results in {out}\n")
    assert re.fullmatch(r"\[1/1\] short\.mp4: 12 frames, \d+ frames/s\n", first.err)
    assert (second.code, second.out, second.err) == (
        0,
        f"1 skipped; results in {out}\n",
        "[1/1] short.mp4: done already\n",
    )
    with np.load(out / "short/maps.npz") as archive:
        assert archive["maps"].shape == (12, 6, 8)
    assert len(list((out / "short/png").iterdir())) == 12
    assert stajax(*arguments, "--overwrite").out.startswith("1 predicted")


def test_a_clip_of_the_same_name_does_not_overwrite(short, weights, tmp_path):
    other = Path(shutil.copy2(short, tmp_path / "short.mp4"))
    arguments = ["-o", tmp_path / "out", "--weights", weights, "--no-overlay"]
    assert stajax("predict", short, *arguments).code == 0
    line = f"stajax: {other}: {tmp_path / 'out/short'} holds the results of {short}; give another -o, or --overwrite"
    result = stajax("predict", other, *arguments)
    assert (result.code, result.lines) == (2, [line])
    assert stajax("predict", other, *arguments, "--overwrite").code == 0


def test_no_overlay_and_another_batch(short, weights, tmp_path):
    assert stajax("predict", short, "-o", tmp_path, "--weights", weights, "--no-overlay", "--batch", 5).code == 0
    assert [path.name for path in (tmp_path / "short").iterdir()] == ["maps.npz"]


@pytest.mark.parametrize(
    "limit, file, options",
    [(8192, "maps.npz", ["--no-overlay", "--size", "64x64"]), (3000, "overlay.mp4", ["--size", "4x4"])],
    ids=["maps", "overlay"],
)
def test_a_full_disk_is_one_line_and_leaves_nothing(short, weights, tmp_path, limit, file, options):
    command = ["predict", short, "--weights", weights, "-o"]
    stajax(*command, tmp_path / "warm")  # compiles, and fills the compile cache
    with no_file_over(limit):
        line = bad(*command, tmp_path / "out", *options, code=1)
    assert f"{file}: cannot be written (File too large)" in line
    assert not list((tmp_path / "out").rglob("*"))


def test_an_output_folder_that_is_a_file(short, weights, tmp_path):
    (tmp_path / "out").write_text("in the way")
    assert "cannot be written" in bad("predict", short, "-o", tmp_path / "out", "--weights", weights, code=1)


def test_control_c_is_one_line(short, weights, tmp_path, monkeypatch):
    def interrupt(self, progress):
        if progress.frames == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.ProgressPrinter, "__call__", interrupt)
    line = bad("predict", short, "-o", tmp_path / "out", "--weights", weights, code=1)
    assert line == "stajax: interrupted; a rerun goes on with the clips that are not done"
    assert not list((tmp_path / "out").rglob("*"))


# Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def reports(stream, monkeypatch):
    """What the printer writes for a clip of 100 frames at 10 frames/s and a broken one."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    say = functools.partial(Progress, clip=Path("in/a.mp4"), number=1, count=2)
    printer = progress.ProgressPrinter(stream)
    printer(say("start", expected=100))
    for frames in range(1, 101):
        now[0] += 0.1
        printer(say("frame", frames=frames, expected=100))
    printer(say("warning", message="in/a.mp4: odd"))
    printer(say("done", frames=100))
    printer(Progress("failed", Path("in/b.mp4"), 2, 2, message="in/b.mp4: broken"))
    return stream.getvalue()


def test_quiet_where_nobody_watches(monkeypatch):
    assert reports(io.StringIO(), monkeypatch).splitlines() == [
        "stajax: warning: in/a.mp4: odd",
        "[1/2] a.mp4: 100 frames, 10 frames/s",
        "stajax: in/b.mp4: broken",
    ]


def test_a_live_line_on_a_terminal(monkeypatch):
    text = reports(Terminal(), monkeypatch)
    live = text.split("\r\x1b[K")[1:]
    assert "[1/2] a.mp4: 33/100 frames, 10 frames/s, 0:07 left" in live
    assert 25 <= sum("left" in line for line in live) <= 50  # at most every 0.2 s
    assert [line for line in live if line.endswith("\n")] == [
        "stajax: warning: in/a.mp4: odd\n",
        "[1/2] a.mp4: 100 frames, 10 frames/s\n",
        "stajax: in/b.mp4: broken\n",
    ]


def test_an_unknown_or_wrong_length_gives_no_time_left():
    for expected in (None, 0, 5):
        told = Progress("frame", Path("a"), 1, 1, frames=10, expected=expected)
        assert progress.ProgressPrinter(io.StringIO())._frames(told, 2.0) == "10 frames, 5 frames/s"


def printed(monkeypatch, events, *, count=1, batch=10, stream=None):
    """What the printer writes for events (second, kind, clip number, frames); all clips have 100 frames."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    printer = progress.ProgressPrinter(stream or io.StringIO(), batch=batch)
    for now[0], kind, number, frames in events:
        printer(Progress(kind, Path(f"{number}.mp4"), number, count, frames, 100))
    return printer.stream.getvalue()


def test_the_rate_leaves_out_the_compilation(monkeypatch):
    """A minute until the first batch, then a batch a second."""
    frames = [(60 + k // 10, "frame", 1, k + 1) for k in range(100)]
    assert printed(monkeypatch, [(0, "start", 1, 0), *frames, (69, "done", 1, 100)]).endswith("100 frames, 10 frames/s\n")


def test_a_clip_of_few_batches_has_no_silly_rate(monkeypatch):
    for k in (1, 10, 29):
        frames = [(4, "frame", 1, n) for n in range(1, k + 1)]
        text = printed(monkeypatch, [(0, "start", 1, 0), *frames, (4, "done", 1, k)])
        assert text == f"[1/1] 1.mp4: {k} frames, {k / 4:.0f} frames/s\n"
    assert "1 frames, 1000 frames/s" in printed(monkeypatch, [(0, "start", 1, 0), (0, "frame", 1, 1), (0, "done", 1, 1)])


def test_several_clips_have_an_overall_estimate_from_the_second_on(monkeypatch):
    events = [(1, "start", 1, 0), (21, "frame", 1, 20), (101, "done", 1, 100), (101, "skipped", 2, 0)]
    events += [
        (101, "start", 3, 0),
        (121, "frame", 3, 20),
        (201, "done", 3, 100),
        (201, "start", 40, 0),
        (221, "frame", 40, 20),
    ]
    live = printed(monkeypatch, events, count=40, stream=Terminal()).split("\r\x1b[K")
    assert "[1/40] 1.mp4: 20/100 frames, 1 frames/s, 1:20 left" in live
    assert "[2/40] 2.mp4: done already\n" in live
    assert "[3/40] 3.mp4: 20/100 frames, 1 frames/s, 1:20 left, about 1:03:00 left in all" in live
    assert "[40/40] 40.mp4: 20/100 frames, 1 frames/s, 1:20 left" in live


def test_the_live_line_is_one_row(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    live = printed(monkeypatch, [(0, "start", 1, 0), (20, "frame", 1, 20)], stream=Terminal())
    assert live == "\r\x1b[K[1/1] 1.mp4: 20/100 frames, 1"


def test_a_clip_of_another_run_says_so():
    printer = progress.ProgressPrinter(io.StringIO())
    printer(Progress("skipped", Path("a.mp4"), 1, 1, message="another run is at it"))
    assert printer.stream.getvalue() == "[1/1] a.mp4: another run is at it\n"


def test_the_error_after_a_live_line_stands_alone(monkeypatch):
    terminal = Terminal()
    with redirect_stderr(terminal):
        progress.complain("no space", 1)
    assert terminal.getvalue() == "\r\x1b[Kstajax: no space\n"


def test_the_closing_line_counts(capsys):
    printer = progress.ProgressPrinter(io.StringIO())
    printer.close(Summary(done=[Path("a")], skipped=[Path("b"), Path("c")], failed={Path("d"): "broken"}), "out/")
    assert capsys.readouterr().out == "1 predicted, 2 skipped, 1 failed; results in out\n"


# Doctor


@pytest.mark.skipif(not SHIPS, reason="no stajax/weights/sta-lite yet")
def test_doctor_finds_a_healthy_installation(monkeypatch):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")  # on purpose, whatever this machine has
    result = stajax("doctor")
    assert result.code == 0, result.out
    lines = result.out.splitlines()
    assert all(line.startswith("ok  ") for line in lines) and len(lines) == 5
    for line, part in zip(
        lines, ["stajax 0", "jax ", "devices: ", "compile cache ", "sta-lite: a synthetic clip"], strict=True
    ):
        assert part in line


def test_doctor_says_what_is_bad_and_what_to_do(monkeypatch, tmp_path):
    from stajax.inference import doctor

    (tmp_path / "file").touch()
    monkeypatch.setenv("STAJAX_CACHE", str(tmp_path / "file" / "below"))
    monkeypatch.setattr(doctor, "REQUIRED", ("numpy", "no-such-package"))
    monkeypatch.setattr(doctor, "_prediction", lambda: doctor.Finding(True, "predicted"))
    result = stajax("doctor")
    assert result.code == 1
    assert "     missing: no-such-package; run: pip install no-such-package" in result.out.splitlines()
    assert "BAD  compile cache" in result.out and "set STAJAX_CACHE" in result.out


def test_doctor_calls_nothing_bad_that_predict_does_not_need(monkeypatch):
    from stajax.inference import doctor

    monkeypatch.setattr(doctor, "FOR_TRAINING", ("no-such-package", "nor-this"))
    finding = doctor._packages()
    assert finding.ok and finding.mend == "not installed, and not needed to predict: no-such-package, nor-this"


@pytest.mark.parametrize(
    "packages, listed, says",
    [
        (["numpy", "jax"], None, ""),
        (["numpy", "jax"], "No devices found.\n", ""),
        (["jax_cuda12_plugin", "jax"], None, "jax-cuda12-plugin installed, yet JAX uses the CPU; check the driver"),
        (["libtpu"], None, "libtpu installed"),
        (["jax-rocm7-pjrt"], "GPU 0: x\n", "jax-rocm7-pjrt installed"),
        (["jax"], "GPU 0: NVIDIA H200 (UUID: GPU-1)\n", "run: pip install 'stajax[cuda]'"),
    ],
)
def test_doctor_misses_an_accelerator_that_jax_does_not_use(monkeypatch, packages, listed, says):
    from stajax.inference import doctor

    def run(*args, **options):
        if listed is None:
            raise FileNotFoundError("nvidia-smi")
        return SimpleNamespace(stdout=listed)

    monkeypatch.setattr(doctor.importlib.metadata, "distributions", lambda: [SimpleNamespace(name=name) for name in packages])
    monkeypatch.setattr(doctor.subprocess, "run", run)
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    finding = doctor._devices()
    assert finding.ok == (not says) and says in finding.mend and ("JAX_PLATFORMS=cpu" in finding.mend) == bool(says)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert doctor._devices().ok
    monkeypatch.delenv("JAX_PLATFORMS")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert doctor._devices().ok
