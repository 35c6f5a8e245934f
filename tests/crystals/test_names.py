"""Names that tell crystals apart, in tables and on disk."""

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from lodewell.crystals.names import places, stems, tails


def row(file, frame=0, id=None, formula="NaCl"):
    return SimpleNamespace(file=file, frame=frame, id=id, formula=formula)


def test_a_tail_is_as_short_as_it_may_be():
    assert tails(["a/run1/POSCAR", "a/run2/POSCAR", "b/x.cif"]) == {
        "a/run1/POSCAR": "run1/POSCAR", "a/run2/POSCAR": "run2/POSCAR", "b/x.cif": "x.cif",
    }  # fmt: skip
    assert tails(["a/run1/POSCAR", "b/run1/POSCAR", "POSCAR"]) == {
        "a/run1/POSCAR": "a/run1/POSCAR", "b/run1/POSCAR": "b/run1/POSCAR", "POSCAR": "POSCAR",
    }  # fmt: skip


@given(st.lists(st.lists(st.sampled_from(["a", "b", "POSCAR"]), min_size=1, max_size=4), unique_by=tuple))
def test_tails_are_ends_and_never_the_same(paths):
    files = ["/".join(parts) for parts in paths]
    found = tails(files)
    assert len(set(found.values())) == len(files)
    assert all(file == tail or file.endswith("/" + tail) for file, tail in found.items())


def test_places_never_repeat():
    rows = [row("in/run1/POSCAR"), row("in/run2/POSCAR"), row("m.extxyz", 0, "a"), row("m.extxyz", 1, "b"),
            row("m.extxyz", 2, "b"), row("m.extxyz", 3), row(None, 5), row(None, 6, "mine")]  # fmt: skip
    assert places(rows) == [
        "run1/POSCAR", "run2/POSCAR", "a", "m.extxyz:1", "m.extxyz:2", "m.extxyz:3", "crystal:5", "mine",
    ]  # fmt: skip


def test_stems_say_index_formula_and_origin():
    rows = [row("in/run339/POSCAR", formula="Fe2O24P8"), row("in/run340/POSCAR", formula=None), row("x/a b.cif.gz"),
            row("m.extxyz", 0), row("m.extxyz", 1), row(None, 3, "../odd/\n name")]  # fmt: skip
    assert stems(rows) == [
        "0000-Fe2O24P8-run339", "0001-run340", "0002-NaCl-a_b", "0003-NaCl-m_0", "0004-NaCl-m_1",
        "0005-NaCl-odd__name",
    ]  # fmt: skip
    assert stems([row("POSCAR")]) == ["0000-NaCl"]
