"""Options of protocols: taken or refused in one line, all named by the command's help; sigma in degrees against pixels."""

import re
from pathlib import Path

import numpy as np
import pytest
from commands import stajax

from stajax.data.fixations import density_map
from stajax.evaluation.baselines import BASELINES
from stajax.evaluation.metrics import BESIDE
from stajax.evaluation.protocols import PROTOCOLS, class_of, open_protocol, options_of
from stajax.evaluation.protocols.options import OPTIONS

DATA = Path(__file__).parents[1] / "goldens/metrics/stavis_mini/data"


def test_the_list_of_options_is_what_the_protocols_take():
    assert {name for protocol in PROTOCOLS for name in options_of(class_of(protocol))} == set(OPTIONS)


def test_the_help_of_the_command_names_all_options_values_metrics_and_baselines():
    text = stajax("evaluate", "--help").out
    told = re.split(r"^options of protocols", text, flags=re.M)[1]
    for name, option in OPTIONS.items():
        assert re.search(rf"\b{name}\b", told) and all(re.search(rf"\b{word}\b", told) for word in option.values), name
    words = " ".join(text.split())
    assert ", ".join(BESIDE) in words and ", ".join(BASELINES) in words


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigma": 3}, "stavis: no option sigma; there are first_frame, all, other, n_random, seed, empty, blank"),
        ({"first_frame": 0}, "stavis: first_frame is 0, it must be a whole number of at least 1"),
        ({"first_frame": 1.5}, "stavis: first_frame is 1.5, it must be a whole number"),
        ({"first_frame": float("inf")}, "stavis: first_frame is inf, it must be a whole number"),
        ({"seed": "x"}, "stavis: seed is x, it must be a whole number of at least 0"),
        ({"other": "nowhere.png"}, "stavis: other is nowhere.png, give video, dataset, n_random or the path of a map"),
        ({"other": 3}, "stavis: other is 3, give video"),
        ({"all": 2}, "stavis: all is 2, give 0 or 1"),
        ({"empty": "nan"}, "stavis: empty is nan, give zero or drop"),
        ({"blank": "zero"}, "stavis: blank is zero, give drop or chance"),
    ],
)
def test_what_an_option_does_not_take_is_one_clear_line(given, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}[^\n]*$"):
        open_protocol("stavis", DATA, **given)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "fixations").mkdir()
    (tmp_path / "fixations/a.csv").write_text("x,y\n700,400\n")
    (tmp_path / "sizes.csv").write_text("name,width,height\na,1600,900\n")
    return tmp_path


def density(rules):
    return rules.truth(rules.videos[0], 0, None).density


def test_sigma_in_degrees_is_the_gaussian_of_so_many_pixels(folder):
    """A screen 52 cm wide, 90 cm away, as the angle of its middle pixel has it."""
    pixel = 2 * np.degrees(np.arctan(52.0 / 1600 / 2 / 90))
    wanted = density_map([(700, 400)], (900, 1600), 1.5 / pixel)
    by_screen = open_protocol("plain", folder, sigma_degrees=1.5, screen_cm=52, distance_cm=90)
    np.testing.assert_allclose(density(by_screen), wanted, atol=1e-3)
    stated = open_protocol("plain", folder, sigma_degrees=1.5, pixels_per_degree=40)
    np.testing.assert_array_equal(density(stated), density(open_protocol("plain", folder, sigma=60)))
    assert by_screen.settings["sigma"] == "1.5° on a screen 52 cm wide, 90 cm away"
    assert stated.settings["sigma"] == "1.5° of 40 px"


def test_the_screen_of_diem_is_1280_px_wide_whatever_the_video(tmp_path):
    gaze = np.full((2, 1, 6), 6400, np.int16)
    np.savez(tmp_path / "clip_640x480.npz", gaze_x10_i16=gaze, event=np.ones((2, 1, 2), np.int8))
    rules = open_protocol("diem", tmp_path, sigma_degrees=2, screen_cm=40, distance_cm=90)
    expected = 2 * 1280 / 40 * 90 * np.tan(np.pi / 180)
    np.testing.assert_allclose(density(rules), density(open_protocol("diem", tmp_path, sigma=expected)), atol=1e-12)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sigma_degrees": 1}, "sigma_degrees needs pixels_per_degree, or screen_cm and distance_cm, and no sigma beside it"),
        ({"sigma_degrees": 1, "screen_cm": 50}, "sigma_degrees needs pixels_per_degree"),
        ({"sigma_degrees": 1, "pixels_per_degree": 30, "screen_cm": 50, "distance_cm": 90}, "sigma_degrees needs"),
        ({"sigma_degrees": 1, "pixels_per_degree": 30, "sigma": 3}, "and no sigma beside it"),
        ({"pixels_per_degree": 30}, "pixels_per_degree, screen_cm and distance_cm belong to sigma_degrees"),
        ({"sigma_degrees": 0, "pixels_per_degree": 30}, "plain: sigma_degrees is 0, it must be a positive number"),
        ({"sigma": "wide"}, "plain: sigma is wide, it must be a positive number"),
    ],
)
def test_a_sigma_that_says_no_pixels_is_one_clear_line(folder, given, message):
    with pytest.raises(ValueError, match=f"^[^\n]*{message}[^\n]*$"):
        open_protocol("plain", folder, **given)
