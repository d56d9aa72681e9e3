"""The golden `matlab_post`: the release's MATLAB steps restated in float64, of boxes, pasting, smoothing and fusing."""

import json
import zlib

import jax.numpy as jnp
import numpy as np
import pytest

from stajax import cam
from stajax.inference.fusion import released_max
from stajax.layers.resize import imresize

# The probabilities of the params are those of V (spatial), A, T.
COARSE, FINAL = ("V", "A", "T"), ("pf0", "pf1", "pf2")


@pytest.fixture(scope="module")
def golden(request):
    folder = request.config.getoption("goldens")
    if not (folder / "matlab_post.json").is_file():
        pytest.skip(f"no matlab_post in {folder}")
    index = json.loads((folder / "matlab_post.json").read_text())
    with np.load(folder / "matlab_post.npz") as archive:
        return index, {tap["name"]: (tap, archive[tap["key"]]) for tap in index["taps"]}


def deterministic_map(index, name):
    """The golden's `map_rule`: blocks of |normal|."""
    size = index["params"]["size"]
    seed = zlib.crc32(f"{index['salt']}in:{name}".encode())
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal((6, 6)).astype(np.float32)
    block = np.arange(size) * 6 // size
    return np.abs(values.astype(np.float64))[block][:, block]


def check(golden, name, found):
    """The pass rule of tests/parity: 50 err32 + 2e-6 absmax, over the samples that the golden keeps."""
    tap, samples = golden[1][name]
    found = np.asarray(found)
    assert list(found.shape) == tap["shape"]
    difference = np.abs(found.reshape(-1)[:: tap["stride"]].astype(np.float64) - samples).max()
    assert difference <= 50 * tap.get("err32", 0) + 2e-6 * tap["absmax"], f"{name}: off by {difference:.3g}"


def coarse_map(index):
    cams = cam.min_max(jnp.asarray(np.stack([deterministic_map(index, name) for name in COARSE]), jnp.float32))
    weights = jnp.asarray(index["params"]["probs_S_A_T"])
    return cam.min_max(cam.fuse_weighted(cams, weights, index["params"]["lam"]))


def test_coarse_map_equals_the_golden(golden):
    check(golden, "coarse_F", coarse_map(golden[0]))


def test_coarse_box_equals_the_golden(golden):
    top, left, bottom, right = np.asarray(cam.coarse_boxes(coarse_map(golden[0]))).astype(int)
    check(golden, "box_1based_minrow_maxrow_mincol_maxcol", [top + 1, bottom, left + 1, right])


def test_recover_and_paste_equal_the_golden(golden):
    fine = deterministic_map(golden[0], "fine")
    first_row, last_row, first_column, last_column = golden[1]["box_1based_minrow_maxrow_mincol_maxcol"][1]
    box = (first_row - 1, first_column - 1, last_row, last_column)
    check(golden, "recovered", cam.recover(fine, box, fine.shape))
    check(golden, "recovered", cam.paste(fine, np.asarray(box), fine.shape))


def test_imresize_equals_the_golden(golden):
    fine = deterministic_map(golden[0], "fine")
    check(golden, "imresize_up", imresize(fine[:20, :24], (33, 50)))
    check(golden, "imresize_down", imresize(fine, (25, 30)))


def test_smoothing_leaves_nothing_of_such_flat_maps_as_in_the_golden(golden):
    """Its maps, whose names it does not tell, have means over a third: all is cut. `test_smooth` holds the recursion itself."""
    maps = np.stack([deterministic_map(golden[0], f"frame{frame}") for frame in range(1, 17)])
    smoothed = cam.recursive_smooth(jnp.asarray(maps, jnp.float32))
    for frame in range(4, 11):
        check(golden, f"smooth_frame{frame}", smoothed[frame - 1])


def test_fusions_of_the_fixation_maps_equal_the_golden(golden):
    maps = jnp.asarray(np.stack([deterministic_map(golden[0], name) for name in FINAL]), jnp.float32)
    check(golden, "final_max (as released)", released_max(list(maps)))
    each = cam.min_max(maps)
    check(golden, "final_commented (Z(Z(sum)+Z(prod)))", cam.min_max(cam.min_max(each.sum(0)) + cam.min_max(each.prod(0))))


def test_no_tap_of_the_golden_is_left_out(golden):
    covered = {"coarse_F", "box_1based_minrow_maxrow_mincol_maxcol", "recovered", "imresize_up", "imresize_down"}
    covered |= {"final_max (as released)", "final_commented (Z(Z(sum)+Z(prod)))"} | {f"smooth_frame{t}" for t in range(4, 11)}
    assert golden[1].keys() == covered
