"""stajax/encoders/params.py: round trips by value, and one-line errors for every way a weight file can be wrong."""

import os
import stat

import numpy as np
import pytest

from stajax.encoders.params import WeightsError, check_fit, flatten, read_params, write_params

RNG = np.random.default_rng(0)
TREE = {
    "blocks": {"0": {"kernel": RNG.normal(size=(3, 3, 2, 4)).astype(np.float32)}, "11": {"bias": np.float32([-1.5, 6e4, 0])}},
    "steps": np.arange(4),
}


def one_line(path_or_tree, *parts, call=read_params):
    """The message of the WeightsError that `call` raises: one line that holds `parts`."""
    with pytest.raises(WeightsError) as caught:
        call(path_or_tree)
    message = str(caught.value)
    assert "\n" not in message
    for part in parts:
        assert part in message
    return message


class Fires:
    """Unpickling this makes a folder named `fired` in the working folder."""

    def __reduce__(self):
        return os.mkdir, ("fired",)


def test_round_trip_is_float16_rounding_of_floats_and_exact_integers(tmp_path):
    write_params(tmp_path / "new/net.npz", TREE)
    flat = flatten(read_params(tmp_path / "new/net.npz"))
    assert set(flat) == {"blocks.0.kernel", "blocks.11.bias", "steps"}
    np.testing.assert_array_equal(flat["blocks.0.kernel"], TREE["blocks"]["0"]["kernel"].astype(np.float16).astype(np.float32))
    assert flat["blocks.0.kernel"].dtype == np.float32
    np.testing.assert_array_equal(flat["steps"], np.arange(4))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["net.npz"]


def test_round_trip_as_float32_is_exact(tmp_path):
    write_params(tmp_path / "net.npz", TREE, dtype="float32")
    for key, value in flatten(read_params(tmp_path / "net.npz")).items():
        np.testing.assert_array_equal(value, flatten(TREE)[key])


def test_int8_comes_back_multiplied_by_its_scale_per_output_channel(tmp_path):
    kernel, scale = RNG.integers(-127, 128, (3, 3, 2, 4)).astype(np.int8), RNG.random(4).astype(np.float32)
    write_params(tmp_path / "net.npz", {"layer": {"kernel": kernel, "kernel_scale": scale}})
    flat = flatten(read_params(tmp_path / "net.npz"))
    assert set(flat) == {"layer.kernel"}
    np.testing.assert_array_equal(flat["layer.kernel"], kernel.astype(np.float32) * scale)


def test_a_parameter_named_scale_beside_a_floating_one_is_kept(tmp_path):
    write_params(tmp_path / "net.npz", {"logit": np.ones(2, np.float32), "logit_scale": np.float32(3)})
    assert set(flatten(read_params(tmp_path / "net.npz"))) == {"logit", "logit_scale"}


def test_writing_replaces_whole_with_the_users_permissions(tmp_path, monkeypatch):
    path = tmp_path / "net.npz"
    write_params(path, TREE)
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    before = path.read_bytes()

    def killed(file, **arrays):
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", killed)
    with pytest.raises(KeyboardInterrupt):
        write_params(path, TREE)
    assert path.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} == {"net.npz", "plain"}


@pytest.mark.parametrize("value", [7e4, np.nan, np.inf])
def test_writing_refuses_what_reading_would_refuse(tmp_path, value):
    tree = {"net": {"bias": np.float32([0, value])}}
    one_line(tree, "net.bias", "float16", call=lambda tree: write_params(tmp_path / "net.npz", tree))
    assert not list(tmp_path.iterdir())


def test_a_missing_file_and_a_folder(tmp_path):
    one_line(tmp_path / "none.npz", "none.npz: no such weight file")
    one_line(tmp_path, str(tmp_path), "not a readable .npz")


def test_truncation_anywhere(tmp_path):
    write_params(tmp_path / "net.npz", TREE)
    whole = (tmp_path / "net.npz").read_bytes()
    for length in range(len(whole)):
        (tmp_path / "cut.npz").write_bytes(whole[:length])
        one_line(tmp_path / "cut.npz", "cut.npz: not a readable .npz")


def test_damaged_bytes_raise_nothing_else_and_change_no_value(tmp_path):
    write_params(tmp_path / "net.npz", TREE)
    whole, expected = (tmp_path / "net.npz").read_bytes(), flatten(read_params(tmp_path / "net.npz"))
    refused = 0
    for position in range(0, len(whole), 2):
        damaged = bytearray(whole)
        damaged[position] ^= 1 + position % 255
        (tmp_path / "bad.npz").write_bytes(damaged)
        try:
            flat = flatten(read_params(tmp_path / "bad.npz"))
        except WeightsError as error:
            refused += 1
            assert "\n" not in str(error)
        else:  # a field of the zip that nothing reads
            for key in flat.keys() & expected.keys():
                np.testing.assert_array_equal(flat[key], expected[key])
    assert refused > len(whole) / 4


def test_a_pickle_inside_is_never_unpickled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("net.npz", a=np.array([Fires()], dtype=object))
    one_line("net.npz", "not a readable .npz", "allow_pickle=False")
    np.array([Fires()], dtype=object).dump("dump.npz")
    one_line("dump.npz", "not a readable .npz")
    assert not os.path.exists("fired")


def test_a_renamed_npy(tmp_path):
    with (tmp_path / "net.npz").open("wb") as file:
        np.save(file, np.ones(3))
    one_line(tmp_path / "net.npz", "net.npz: not a readable .npz")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_nan_and_infinity_name_the_array(tmp_path, value, dtype):
    np.savez(tmp_path / "net.npz", **{"good": np.ones(2), "a.b": np.array([1, value], dtype)})
    one_line(tmp_path / "net.npz", "a.b holds NaN or infinite values")


def test_misfits_are_listed_together_in_one_line():
    wanted = {"a": {"x": np.zeros(3), "y": np.zeros((2, 2))}, "b": np.zeros(1), "c": np.zeros(4), "kernel": np.zeros(2)}
    found = {"a": {"x": np.zeros(3), "y": np.zeros((2, 3))}, "b": np.zeros(1), "d": np.zeros(1), "kernel": np.zeros(2, np.int8)}
    message = one_line(found, call=lambda found: check_fit(found, wanted, "net.npz"))
    assert message == (
        "net.npz: these weights are not for this net: 1 missing (c); 1 unknown (d); "
        "2 misshapen (a.y is float64(2, 3), not float64(2, 2), kernel is int8(2,), not float64(2,))"
    )
    many = one_line({f"k{i}": np.zeros(1) for i in range(9)}, call=lambda found: check_fit(found, {}, "x"))
    assert "9 unknown (k0, k1, k2, ...)" in many


def test_a_fit_takes_the_form_of_the_net_whose_lists_have_integer_keys():
    wanted = {"blocks": {0: {"kernel": np.zeros(2)}, 11: {"kernel": np.zeros(3)}}}
    found = {"blocks": {"11": {"kernel": np.arange(3.0)}, "0": {"kernel": np.arange(2.0)}}}
    fitted = check_fit(found, wanted, "net")
    assert list(fitted["blocks"]) == [0, 11]
    np.testing.assert_array_equal(fitted["blocks"][11]["kernel"], np.arange(3.0))
