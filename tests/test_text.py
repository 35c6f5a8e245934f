"""Text from files and paths: spelt out where no encoding, screen or parser takes it."""

import json
import math
import os

import pytest

from lodewell.text import json_text, printable

NAME = os.fsdecode(b"caf\xe9.extxyz")


def test_bytes_that_are_not_utf8_and_control_characters_are_spelt_out():
    assert printable(NAME) == r"caf\udce9.extxyz"
    assert printable("a\x1b[31mb\x07\x9b\u202ec") == r"a\x1b[31mb\x07\x9b\u202ec"
    assert printable("Å…\n\t中") == "Å…\n\t中"


def test_json_is_valid_utf8_and_gives_the_very_name_back():
    text = json_text({"file": NAME, "Å": ["…", math.nan, (math.inf, 1.5)]})
    assert json.loads(text.encode("utf-8")) == {"file": NAME, "Å": ["…", None, [None, 1.5]]}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("5 Å ± 0.1 … −3 → é", "5 A +/- 0.1 ... -3 -> e"),
        ("10⁻³ µs", "10-3 us"),
        ("中" + NAME, r"\u4e2dcaf\udce9.extxyz"),
    ],
)
def test_a_screen_that_knows_ascii_only_gets_the_nearest(given, shown):
    assert given.encode("ascii", "lodewell.plain").decode() == shown
