"""Changes to a configuration: what they reach, and one line for those that reach nothing."""

import pytest

from stajax.training.config import ConfigError, change, stage_config


def test_texts_become_the_fields_types_and_a_star_stands_for_any_name():
    config = change(stage_config("sta", "tiny"), ["steps=7", "optimiser.rate=1", "freeze='frames'", "eval.every=3"])
    assert (config.steps, config.optimiser.rate, config.freeze, config.eval.every) == (7, 1.0, ("frames",), 3)
    change(config, {"*.every": 5})
    assert config.eval.every == config.checkpoint.every == config.log.every == 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("stepz=3", "no field 'stepz' in this configuration; did you mean steps?"),
        ("optimizer.rate=3", "no field 'optimizer.rate' in this configuration; did you mean optimiser.rate or optimiser.name?"),
        ("eval.xyz=3", "no field 'eval.xyz' in this configuration; eval has every, keep, moments"),
        ("eval=3", "no field 'eval' in this configuration; eval has every, keep, moments"),
        ("freeze=(frames", "freeze=(frames: a tuple is needed, such as ('frames', 'sound')"),
        ("steps=many", "steps=many: a whole number is needed, such as 600"),
        ("steps=1.5", "steps=1.5: a whole number is needed, such as 600"),
    ],
)
def test_what_cannot_be_is_one_line(text, line):
    with pytest.raises(ConfigError) as error:
        change(stage_config("sta", "tiny"), [text])
    assert str(error.value) == line
