"""Mapping tables against hand-made cases, torch's layouts restated, and norms and hashes of the standard library."""

import hashlib
import math

import jax
import numpy as np
import pytest

from stajax.convert import ConvertError, Row, apply_table, left_over
from stajax.convert.table import conv, conv3d, linear, transposed_conv, vector

RNG = np.random.default_rng(0)
KERNEL, BIAS, FC = (RNG.standard_normal(shape).astype(np.float32) for shape in ((4, 3, 2, 5), (4,), (7, 6)))
ROWS = (
    Row(r"features\.(\d+)\.weight", r"blocks.\1.conv.kernel", conv),
    Row(r"features\.(\d+)\.bias", r"blocks.\1.conv.bias"),
    Row(r"fc\.weight", "head.kernel", linear),
)
TENSORS = {"features.0.weight": KERNEL, "features.0.bias": BIAS, "fc.weight": FC}
SHAPES = {
    "head": {"kernel": jax.ShapeDtypeStruct((6, 7), np.float32)},
    "blocks": {0: {"conv": {"bias": np.zeros(4), "kernel": np.zeros((2, 5, 3, 4))}}},
}


def refusal(tensors=TENSORS, rows=ROWS, shapes=SHAPES, **options):
    with pytest.raises(ConvertError) as caught:
        apply_table(tensors, rows, shapes, **options)
    return str(caught.value)


def test_variables_have_the_form_of_the_shapes_and_the_values_of_the_file():
    variables, entries = apply_table(TENSORS, ROWS, SHAPES)
    assert list(variables) == ["head", "blocks"] and list(variables["blocks"]) == [0]
    np.testing.assert_array_equal(variables["head"]["kernel"], FC.T)
    np.testing.assert_array_equal(variables["blocks"][0]["conv"]["bias"], BIAS)
    np.testing.assert_array_equal(variables["blocks"][0]["conv"]["kernel"][1, 4, 2, 3], KERNEL[3, 2, 1, 4])
    assert [(e.source, e.target) for e in entries] == [
        ("features.0.weight", "blocks.0.conv.kernel"),
        ("features.0.bias", "blocks.0.conv.bias"),
        ("fc.weight", "head.kernel"),
    ]


@pytest.mark.parametrize(
    ("transform", "ours"),  # ours: the foreign axis that each of our axes is; foreign sizes are 2, 3, 4, 5, 6
    [(conv, (2, 3, 1, 0)), (conv3d, (2, 3, 4, 1, 0)), (transposed_conv, (2, 3, 1, 0)), (linear, (1, 0)), (vector, (0,))],
)
def test_transforms_against_element_by_element_copies(transform, ours):
    foreign = RNG.standard_normal([2, 3, 4, 5, 6][: len(ours)])
    expected = np.empty([foreign.shape[axis] for axis in ours])
    for index in np.ndindex(*foreign.shape):
        expected[tuple(index[axis] for axis in ours)] = foreign[index]
    np.testing.assert_array_equal(transform(foreign), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.bool_, ">f4"])
def test_values_become_new_float32_arrays_in_c_order(dtype):
    x = (RNG.standard_normal((5, 6)) * 3).astype(dtype)[::2, ::-1]
    x.flags.writeable = False
    variables, _ = apply_table({"x": x}, [Row("x", "y", linear)], {"y": np.zeros((6, 3))})
    y = variables["y"]
    assert y.dtype == np.float32 and y.dtype.isnative
    assert y.flags.c_contiguous and y.flags.aligned and y.flags.writeable and not np.shares_memory(x, y)
    np.testing.assert_array_equal(y, x.T.astype(np.float32))


def test_entries_against_fsum_and_hashlib():
    x = RNG.standard_normal((3, 700, 800)).astype(np.float32)[:, ::2]  # longer than one piece of the sum
    _, [entry] = apply_table({"x": x}, [Row("x", "y")], {"y": x})
    assert (entry.source, entry.target, entry.shape) == ("x", "y", (3, 350, 800))
    assert entry.norm == pytest.approx(math.sqrt(math.fsum(float(v) ** 2 for v in x.reshape(-1))), rel=1e-12)
    assert entry.sha256 == hashlib.sha256(x.tobytes()).hexdigest()


def test_a_scalar_is_a_tensor_too():
    variables, [entry] = apply_table({"x": np.float32(2).reshape(())}, [Row("x", "y")], {"y": np.zeros(())})
    assert variables["y"] == 2 and entry.norm == 2 and entry.sha256 == hashlib.sha256(np.float32(2).tobytes()).hexdigest()


def test_the_first_row_that_matches_counts():
    rows = (Row(r"fc\.weight", "special", linear), Row(r"fc\.(.*)", r"fc.\1"))
    variables, _ = apply_table({"fc.weight": FC, "fc.b": BIAS}, rows, {"special": np.zeros((6, 7)), "fc": {"b": np.zeros(4)}})
    np.testing.assert_array_equal(variables["special"], FC.T)


def test_a_row_matches_whole_names_only():
    assert "2 unmapped (xw, wx)" in refusal({"xw": BIAS, "wx": BIAS}, [Row("w", "w")], {})


def test_unused_tensors_are_left_out_by_whole_name_before_any_row_and_reported():
    extra = {
        "bn.num_batches_tracked": np.int64(3),
        "num_batches_tracked": np.int64(3),
        "old.fc.weight": FC,
        "features.9.bias": BIAS,
    }
    tensors, unused = TENSORS | extra, (r"old\..*", r"features\.9\..*")
    variables, entries = apply_table(tensors, ROWS, SHAPES, unused=unused)
    assert list(variables["blocks"]) == [0]
    left = left_over(tensors, entries, {unused[0]: "never called", unused[1]: "of the training loop"})
    assert left == {
        "bn.num_batches_tracked": "torch's count of batches",
        "num_batches_tracked": "torch's count of batches",
        "old.fc.weight": "never called",
        "features.9.bias": "of the training loop",
    }
    assert set(left_over(tensors, entries, unused)) == set(left)
    assert "unmapped (my.old.fc.weight)" in refusal(TENSORS | {"my.old.fc.weight": FC}, unused=unused)


def test_everything_that_is_wrong_is_said_at_once():
    rows = (*ROWS, Row("twin", "head.kernel", linear), Row("lost", "nowhere"), Row("flat", "vector", conv))
    tensors = {
        "features.0.weight": KERNEL[:, :2],
        "fc.weight": np.where(FC > 0, np.nan, FC),
        "twin": FC,
        "stranger": BIAS,
        "lost": BIAS,
        "flat": BIAS,
    }
    message = refusal(tensors, rows, SHAPES | {"vector": np.zeros(4)})
    assert "\n" not in message
    for part in (
        "1 unmapped (stranger)",
        "1 mapped to a target that the net does not have (lost -> nowhere)",
        "1 for one target twice (head.kernel from fc.weight and twin)",
        "1 unfilled (blocks.0.conv.bias)",
        "2 misshapen (features.0.weight (4, 2, 2, 5) -> (2, 5, 2, 4), blocks.0.conv.kernel is (2, 5, 3, 4), "
        "flat (4,), vector is (4,))",
        "1 not finite in float32 (fc.weight)",
    ):
        assert part in message


def test_long_lists_are_cut_with_a_count():
    message = refusal({f"t{i}": BIAS for i in range(20)}, [], {})
    assert "20 unmapped (t0, t1, t2, t3, t4, t5, t6, t7 and 12 more)" in message


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan, 1e39])
def test_values_that_float32_cannot_hold_are_refused(bad):
    assert "1 not finite in float32 (x)" in refusal({"x": np.array([1.0, bad])}, [Row("x", "y")], {"y": np.zeros(2)})
