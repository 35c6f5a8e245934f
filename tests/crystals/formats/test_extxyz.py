"""The quick reader of extended XYZ against ASE's own, on real and on generated frames."""

import gzip
import io
import math
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.constraints import FixAtoms, FixCartesian
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.crystals.same import assert_same

from lodewell.crystals.formats.extxyz import read as extxyz
from lodewell.crystals.formats.extxyz.read import cut_frames, parse_frames
from lodewell.crystals.formats.extxyz.write import extxyz_text

DATA = Path(__file__).parents[2] / "data"


def text_of(path: Path) -> bytes:
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def through_ase(text: bytes) -> list[Atoms]:
    return ase.io.read(io.StringIO(text.decode()), index=":", format="extxyz")


def only_quick(text: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Atoms]:
    """Read with ASE's parser out of reach, so that the comparison is one of two readers."""

    def refuse(raw: bytes) -> Atoms:
        raise AssertionError(f"left to ASE: {raw[:200]!r}")

    monkeypatch.setattr(extxyz, "_through_ase", refuse)
    frames = list(parse_frames(text))
    assert not [frame for frame in frames if isinstance(frame, str)]
    return frames


@pytest.mark.parametrize("path", sorted(DATA.glob("*.extxyz*")), ids=lambda path: path.name)
def test_real_files_give_what_ase_gives(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = text_of(path)
    ours, theirs = only_quick(text, monkeypatch), through_ase(text)
    assert len(ours) == len(theirs) > 0
    for mine, other in zip(ours, theirs, strict=True):
        assert_same(mine, other)


finite = st.floats(-1e6, 1e6, allow_subnormal=False)
words = st.text(
    st.characters(codec="ascii", categories=["L", "N"], include_characters="-_.:/+"), min_size=1, max_size=12
)
scalars = st.one_of(
    finite,
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**12), 10**12),
    st.booleans(),
    words,
    st.tuples(words, words).map(" ".join),
    st.lists(finite, min_size=2, max_size=9).map(np.array),
    st.lists(st.integers(-99, 99), min_size=2, max_size=9).map(np.array),
    st.lists(st.booleans(), min_size=2, max_size=4).map(np.array),
)
keys = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True).filter(
    lambda k: k not in ("Lattice", "Properties", "pbc", "stress", "virial", "comment") and k not in extxyz.PER_CRYSTAL
)


@st.composite
def crystals(draw: st.DrawFn) -> Atoms:
    count = draw(st.integers(1, 6))
    rows = st.lists(st.tuples(finite, finite, finite), min_size=count, max_size=count)
    atoms = Atoms(
        draw(st.lists(st.sampled_from(["H", "Li", "O", "Fe", "U", "Og", "X"]), min_size=count, max_size=count)),
        positions=draw(rows),
        cell=draw(
            st.one_of(st.just(np.zeros((3, 3))), st.lists(st.tuples(finite, finite, finite), min_size=3, max_size=3))
        ),
        pbc=draw(st.tuples(st.booleans(), st.booleans(), st.booleans())),
        info=draw(st.dictionaries(keys, scalars, max_size=4)),
    )
    if draw(st.booleans()):
        atoms.new_array("REF_forces", np.array(draw(rows)))
    if draw(st.booleans()):
        atoms.new_array(
            "tag2", np.array(draw(st.lists(st.integers(-999, 999), min_size=count, max_size=count)), np.int32)
        )
    if draw(st.booleans()):
        atoms.new_array("flag", np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count))))
    if draw(st.booleans()):
        atoms.info["REF_stress"] = np.array(draw(st.lists(finite, min_size=9, max_size=9)))
    if draw(st.booleans()):
        forces, stress = np.array(draw(rows)), np.array(draw(st.lists(finite, min_size=6, max_size=6)))
        atoms.calc = SinglePointCalculator(atoms, energy=draw(finite), forces=forces, stress=stress)
    if draw(st.booleans()):
        atoms.set_constraint(FixAtoms([0]))
    return atoms


@given(st.lists(crystals(), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_frames_written_by_ase_are_read_alike(images: list[Atoms]) -> None:
    stream = io.StringIO()
    ase.io.write(stream, images, format="extxyz")
    text = stream.getvalue().encode()
    for mine, other in zip(parse_frames(text), through_ase(text), strict=True):
        assert isinstance(mine, Atoms), mine
        assert_same(mine, other)


@given(st.lists(crystals(), min_size=1, max_size=3))
@settings(max_examples=150, deadline=None)
def test_our_frames_are_read_by_ase_as_its_own(images: list[Atoms]) -> None:
    ours, theirs = io.StringIO(extxyz_text(images)), io.StringIO()
    ase.io.write(theirs, images, format="extxyz")
    theirs.seek(0)
    for mine, other in zip(
        ase.io.read(ours, ":", format="extxyz"), ase.io.read(theirs, ":", format="extxyz"), strict=True
    ):
        assert_same(mine, other)


@given(
    st.one_of(
        st.floats(), st.decimals(allow_nan=False, allow_infinity=False).map(str), st.text("0123456789.eE+-", min_size=1)
    )
)
@settings(max_examples=400, deadline=None)
def test_numbers_are_read_to_the_last_bit(number: float | str) -> None:
    text = f"1\nProperties=species:S:1:pos:R:3\nH 0 0 {number}\n".encode()
    try:
        expected = float(number)
    except ValueError:
        expected = None
    (frame,) = parse_frames(text)
    if expected is None:
        assert isinstance(frame, str)
    else:
        got = frame.positions[0, 2]
        assert got == expected or (math.isnan(got) and math.isnan(expected))


def test_move_mask_becomes_constraints() -> None:
    text = b"2\nProperties=species:S:1:pos:R:3:move_mask:L:1\nH 0 0 0 T\nH 1 1 1 F\n"
    (frame,) = parse_frames(text)
    assert isinstance(frame.constraints[0], FixAtoms)
    assert frame.constraints[0].index.tolist() == [1]
    text = b"1\nProperties=species:S:1:pos:R:3:move_mask:L:3\nH 0 0 0 T F T\n"
    (frame,) = parse_frames(text)
    assert isinstance(frame.constraints[0], FixCartesian)
    assert_same(frame, through_ase(text)[0])


def test_labels_take_the_places_ase_gives_them() -> None:
    header = 'Lattice="4 0 0 0 4 0 0 0 4" Properties=species:S:1:pos:R:3:forces:R:3:dft_forces:R:3 energy=-3.5 '
    header += 'dft_energy=-4.0 stress="1 2 3 2 5 6 3 6 9" virial="1 2 3 4 5 6 7 8 9" REF_stress="1 2 3 4 5 6 7 8 9"'
    text = f"1\n{header}\nSi 0 0 0 1 2 3 4 5 6\n".encode()
    (frame,) = parse_frames(text)
    assert_same(frame, through_ase(text)[0])
    assert frame.get_potential_energy() == -3.5
    assert frame.get_forces().tolist() == [[1, 2, 3]]
    assert frame.get_stress().tolist() == [1, 5, 9, 6, 3, 2]
    assert frame.info["REF_stress"].tolist() == list(range(1, 10))
    assert frame.arrays["dft_forces"].tolist() == [[4, 5, 6]]


def frame_text(name: str, count: int = 2, claimed: int | None = None) -> str:
    header = f'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 id={name}'
    atoms = "".join(f"O {i}.5 0.0 0.0\n" for i in range(count))
    return f"{count if claimed is None else claimed}\n{header}\n{atoms}"


GOOD = [frame_text("first"), frame_text("last")]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (frame_text("bad", 2, 3), "announces 3 atoms but holds 2"),
        (frame_text("bad", 2, 40), "announces 40 atoms but holds 2"),
        (frame_text("bad", 3, 2), "announces 2 atoms but holds 3"),
        (frame_text("bad").replace("O 1.5", "Oq 1.5"), "no known element"),
        (frame_text("bad").replace("1.5", "1.5x"), "where a number belongs"),
        (frame_text("bad").replace("O 1.5 0.0 0.0", "O 1.5 0.0"), "too few columns"),
        (frame_text("bad", 0), "no atoms"),
        ("two\n" + frame_text("bad")[2:], "expected the number of atoms"),
        (frame_text("bad").replace('Lattice="9', 'Lattice="'), "not extended XYZ"),
        ("\x00\xff\x00 binary\n\x00\x01\n", "expected the number of atoms"),
    ],
)
def test_a_bad_frame_costs_itself_and_not_its_neighbours(bad: str, reason: str) -> None:
    text = (GOOD[0] + bad + GOOD[1]).encode("latin-1")
    frames = list(parse_frames(text))
    assert [f.info["id"] for f in (frames[0], frames[-1])] == ["first", "last"]
    assert len(frames) == 3
    assert reason in frames[1]


def test_text_cut_in_the_last_frame_keeps_the_others() -> None:
    text = (GOOD[0] + GOOD[1])[:-8].encode()
    first, second = parse_frames(text)
    assert first.info["id"] == "first"
    assert isinstance(second, str)


@given(st.integers(1, 60), st.integers(1, 5))
@settings(deadline=None, max_examples=50)
def test_cutting_does_not_depend_on_where_pieces_end(step: int, size: int) -> None:
    text = "".join(frame_text(f"n{i}", 1 + i % 3) for i in range(7)).encode() + b"\n\n"
    pieces = [text[i : i + step] for i in range(0, len(text), step)]
    numbers, names = [], []
    for first, count, part in cut_frames(pieces, size):
        numbers.append(first)
        assert count == len(list(parse_frames(part)))
        names += [frame.info["id"] for frame in parse_frames(part)]
    assert names == [f"n{i}" for i in range(7)]
    assert numbers == list(range(0, 7, size))


def test_windows_line_ends_blank_lines_and_plain_xyz() -> None:
    plain = "3\nwater molecule\nO 0 0 0\nh 0 0 1\nH 0 1 0 extra\n\n"
    frames = list(parse_frames((plain + GOOD[0]).replace("\n", "\r\n").encode()))
    assert frames[0].get_chemical_formula() == "H2O"
    assert not frames[0].pbc.any()
    assert frames[1].info["id"] == "first"
    assert frames[1].pbc.all()
