"""YAML that stands for more than it says is refused before it is written out."""

import time

import pytest

from lodewell.config import read_config
from lodewell.errors import BadFile
from lodewell.relax.options import RelaxOptions
from lodewell.workers.cluster import read_queue_file
from lodewell.yaml_file import read_yaml

LAUGHS = "\n".join(["a: &a0 [x, x]"] + [f"b{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 9)}]" for k in range(1, 12)])
MERGES = "\n".join(["a: &a0 {x: 1}"] + [f"b{k}: &a{k} {{<<: [{', '.join([f'*a{k - 1}'] * 9)}]}}" for k in range(1, 12)])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (LAUGHS, "its aliases stand for more than 100,000 values"),
        (MERGES, "its aliases stand for more than 100,000 values"),
        ("a: &a [*a]", "an alias that holds itself"),
        ("a: " + "[" * 5000, "this is not YAML"),
        ("a: " + "[" * 60 + "]" * 60, "more than 50 deep"),
        ("a: 2001-99-99", "this is not YAML"),
        ("a: " + "9" * 5000, "this is not YAML"),
        ("a: \x00", "this is not YAML"),
        ("#" * 1_000_001, "holds more than 1 MB"),
    ],
    ids=["laughs", "merges", "itself", "deep", "closed", "date", "digits", "nul", "large"],
)
@pytest.mark.parametrize("reader", [read_yaml, read_queue_file, lambda p: read_config(p, RelaxOptions)])
def test_yaml_that_means_no_good_is_refused_at_once(tmp_path, text, why, reader):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    began = time.perf_counter()
    with pytest.raises(BadFile, match=why):
        reader(path)
    assert time.perf_counter() - began < 2.0


def test_aliases_as_people_use_them_are_read(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("base: &base {a: 1}\nmine:\n  <<: *base\n  b: *base\n")
    assert read_yaml(path)[0]["mine"] == {"a": 1, "b": {"a": 1}}
