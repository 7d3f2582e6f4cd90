"""Options of a recipe follow its signature."""

import argparse
from typing import Literal

import pytest

from saltation_train._options import add_recipe_options


def recipe(
    *,
    hidden: int = 30,
    rate: float = 1e-3,
    kind: Literal["a", "b"] = "a",
    sizes: tuple[int, ...] = (3, 4),
    delay: str | None = None,
    limit: int | None = None,
    scale: int | float = 1,
    flag: bool = True,
    guessed=2.5,
    seed: int = 0,
    function=print,
):
    """A recipe."""


def parse(*arguments):
    parser = argparse.ArgumentParser()
    names = add_recipe_options(parser, recipe)
    return names, vars(parser.parse_args(arguments))


def test_what_is_left_out_keeps_the_recipe_s_default():
    names, given = parse()
    assert given == {}
    assert names == ["hidden", "rate", "kind", "sizes", "delay", "limit", "scale", "flag", "guessed"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--hidden", "5"], {"hidden": 5}),
        (["--rate", "1e-4"], {"rate": 1e-4}),
        (["--kind", "b"], {"kind": "b"}),
        (["--sizes", "784", "350", "10"], {"sizes": (784, 350, 10)}),
        (["--delay", "axonal"], {"delay": "axonal"}),
        (["--delay", "none"], {"delay": None}),
        (["--limit", "none"], {"limit": None}),
        (["--limit", "7"], {"limit": 7}),
        (["--scale", "0.5"], {"scale": 0.5}),
        (["--no-flag"], {"flag": False}),
        (["--guessed", "3"], {"guessed": 3.0}),
    ],
)
def test_values_have_the_type_of_the_argument(arguments, expected):
    _, given = parse(*arguments)
    assert given == expected and [type(value) for value in given.values()] == [
        type(value) for value in expected.values()
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--hidden", "5.5"], "got '5.5'; expected a whole number"),
        (["--rate", "fast"], "got 'fast'; expected a number"),
        (["--kind", "c"], "invalid choice"),
        (["--limit", "x"], "expected a whole number or none"),
    ],
)
def test_wrong_values_are_named(arguments, message, capsys):
    with pytest.raises(SystemExit):
        parse(*arguments)
    assert message in capsys.readouterr().err
