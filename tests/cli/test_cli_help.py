"""Every command's help shows an example that its own parser takes."""

import re
import shlex

import pytest
from commands import bad, stajax

from stajax.cli import _parser
from stajax.cli.arguments import dotted

COMMANDS = ("predict", "pseudofix", "train", "pipeline", "evaluate", "convert", "weights", "export", "doctor")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_the_parser_takes_every_one(command):
    result = stajax(command, "--help")
    assert (result.code, result.err) == (0, "") and "examples:\n" in result.out
    examples = re.findall(r"^  stajax (.+)$", result.out, re.M)
    assert any(example.split()[0] == command for example in examples)
    for example in examples:
        _parser().parse_args(dotted(shlex.split(example, comments=True)))


def test_help_names_every_command_and_no_other():
    result = stajax("--help")
    assert result.code == 0 and tuple(re.findall(r"^    (\w+)\b", result.out, re.M)) == COMMANDS


def test_an_unknown_command_lists_those_that_exist():
    line = bad("train-me")
    assert all(f"'{command}'" in line for command in COMMANDS)
