"""Progress as people and programs hear it: stages in order, steps that only grow, totals that are true."""

import inspect
from collections.abc import Callable
from itertools import groupby

import pytest

import lodewell
from lodewell.progress import silent
from tests.conftest import made_up_crystals

VERBS = (
    *(
        "check",
        "compare",
        "derive",
        "fit_gap",
        "fit_meam",
        "fit_uf",
        "map_crystals",
        "predict",
        "relax",
        "score",
        "test",
    ),
    "train",
)
Told = list[tuple[str, int, int | None]]


def told(run: Callable[..., object]) -> Told:
    heard: Told = []
    run(lambda stage, done=0, total=None, /: heard.append((stage, done, total)))
    return heard


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_the_same_listener(verb):
    parameters = inspect.signature(getattr(lodewell, verb)).parameters
    assert parameters["progress"].default is silent
    assert parameters["progress"].kind is inspect.Parameter.KEYWORD_ONLY
    assert not {"report", "resume", "advance", "looked"} & parameters.keys()


def test_relax_tells_of_every_crystal(table):
    crystals = made_up_crystals(each=1)
    heard = told(lambda hear: lodewell.relax(crystals, table, max_steps=2, progress=hear))
    check(heard)
    assert heard[-1][:2] == ("relaxing crystals", len(crystals))


def test_derive_tells_its_stages():
    crystals = made_up_crystals(each=1)
    heard = told(lambda hear: lodewell.derive(crystals, recipe="spp-2024", cutoff=6.0, progress=hear))
    check(heard)
    assert heard[0][0] == "mining crystals"
    assert ("mining crystals", len(crystals), None) in heard


def check(heard: Told) -> None:
    """No stage comes twice, and within one the steps grow up to the total."""
    stages = [name for name, _ in groupby(heard, lambda one: one[0])]
    assert len(stages) == len(set(stages)) > 0
    for _, steps in groupby(heard, lambda one: one[0]):
        counts = [(done, total) for _, done, total in steps]
        assert counts == sorted(counts, key=lambda step: step[0])
        assert all(total is None or done <= total for done, total in counts)


def test_whatever_a_listener_raises_ends_the_run(table):
    def weary(stage, done=0, total=None, /):
        raise RuntimeError(stage)

    with pytest.raises(RuntimeError, match="relaxing"):
        lodewell.relax(made_up_crystals(each=1), table, max_steps=2, progress=weary)
