"""The layouts in which published sets lie in JSON, read whole and in pieces: every crystal with its own name."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from lodewell.crystals import read
from lodewell.crystals.read import Record, chunks, read_crystals

NAMES = ["m0", "m1", "m2"]
EDGES = [4.1, 4.2, 4.3]


def structure(edge: float) -> dict[str, Any]:
    sites = [
        {"species": [{"element": e, "occu": 1}], "abc": [x, x, x], "label": e} for e, x in (("Cs", 0.0), ("Cl", 0.5))
    ]
    matrix = [[edge, 0, 0], [0, edge, 0], [0, 0, edge]]
    return {"@module": "pymatgen.core.structure", "@class": "Structure", "lattice": {"matrix": matrix}, "sites": sites}


def cif(edge: float) -> str:
    lengths = "".join(
        f"_cell_length_{x} {edge}\n_cell_angle_{y} 90\n" for x, y in zip("abc", ("alpha", "beta", "gamma"), strict=True)
    )
    sites = "".join(f"_atom_site_{x}\n" for x in ("label", "fract_x", "fract_y", "fract_z"))
    return f"data_x\n_space_group_name_H-M_alt 'P 1'\n{lengths}loop_\n{sites}Cs 0 0 0\nCl 0.5 0.5 0.5\n"


S = [structure(edge) for edge in EDGES]
PAIRS = list(zip(NAMES, S, strict=True))


def entry(name: str, inner: dict[str, Any]) -> dict[str, Any]:
    return {"@class": "ComputedStructureEntry", "entry_id": None, "energy": -6.5, "structure": inner,
            "data": {"mat_id": name, "e_above_hull": 0.0}}  # fmt: skip


LAYOUTS: dict[str, Any] = {
    "documents": [{"material_id": name, "structure": s} for name, s in PAIRS],
    "structures as text": [{"material_id": name, "structure": json.dumps(s)} for name, s in PAIRS],
    "another name for the structure": [{"_id": name, "gap": 1.0, "relaxed cell": s} for name, s in PAIRS],
    "table by identifier": dict(PAIRS),
    "table of documents": {name: {"structure": s, "gap": 1.0} for name, s in PAIRS},
    "MPtrj": {"mp-1": {"m0": {"structure": S[0], "force": [[0, 0, 0]]}, "m1": {"structure": S[1], "magmom": None}},
              "mp-2": {"m2": {"structure": S[2], "stress": [0]}}},
    "Alexandria": {"entries": [entry(*pair) for pair in PAIRS]},
    "answer of a server": {"meta": {"total": 3}, "data": [{"material_id": n, "structure": s} for n, s in PAIRS],
                           "included": [{"id": "x"}]},
    "pandas split": {"columns": ["structure", "gap"], "index": NAMES, "data": [[s, 1.0] for s in S]},
    "pandas columns": {"material_id": {str(k): n for k, n in enumerate(NAMES)},
                       "gap": {str(k): 1.0 for k in range(3)},
                       "computed_structure_entry": {str(k): entry("", s) for k, s in enumerate(S)}},
    "pandas columns by name": {"initial_structure": dict(PAIRS)},
    "pandas table": {"schema": {"fields": [{"name": "index"}]},
                     "data": [{"mp_id": name, "structure": s} for name, s in PAIRS]},
    "job store": [{"uuid": name, "name": "relax", "output": {"structure": s, "input": {"structure": S[0]}}}
                  for name, s in PAIRS],
    "pairs": [[name, s] for name, s in PAIRS],
    "lists by name": {"m": S[:2], "n": S[2:]},
    "fireworks": [{"fw_id": name, "state": "READY", "spec": {"structure": s}} for name, s in PAIRS],
    "CIF as text": [{"material_id": name, "gap": 1.0, "cif": cif(edge)}
                    for name, edge in zip(NAMES, EDGES, strict=True)],
    "tasks of atomate": [{"task_id": name, "input": {"crystal": S[0]}, "output": {"crystal": s}} for name, s in PAIRS],
}  # fmt: skip


def told(records: list[Record]) -> list[tuple[int, str, float]]:
    return [(r.frame, str(r.atoms.info["id"]), r.atoms.cell.array[0, 0]) for r in records if r.atoms is not None]


def in_pieces(path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    monkeypatch.setattr(read, "LARGE_JSON", 10)
    return [record for chunk in chunks(path, size=2) for record in chunk.read()]


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_crystal_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, indent: int | None
) -> None:
    path = tmp_path / "a.json.gz"
    path.write_bytes(gzip.compress(json.dumps(LAYOUTS[layout], indent=indent).encode()))
    names = ["m-0", "m-1", "n-0"] if layout == "lists by name" else NAMES
    expected = list(zip(range(3), names, EDGES, strict=True))
    assert told(list(read_crystals(path))) == expected
    if layout in ("pairs", "lists by name"):  # nobody publishes large ones
        return
    assert told(in_pieces(path, monkeypatch)) == expected


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.ndjson", "a.jsonl.gz", "a.dat"])
def test_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    lines = [json.dumps(document) for document in LAYOUTS["documents"]]
    lines[1:1] = ["", "{broken", '{"material_id": "none"}']
    text = ("\n".join(lines) + "\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    expected = [(0, "m0", 4.1), (3, "m1", 4.2), (4, "m2", 4.3)]
    whole = list(read_crystals(tmp_path / name))
    assert told(whole) == expected
    assert [record.error or "" for record in whole][1].startswith("line 3 is no JSON")
    pieces = in_pieces(tmp_path / name, monkeypatch)
    assert told(pieces) == expected
    assert len(pieces) == 5


def test_json_lines_cut_short_keep_what_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(json.dumps(document) for document in LAYOUTS["documents"]).encode()
    (tmp_path / "a.jsonl").write_bytes(text[:-50])
    for records in (list(read_crystals(tmp_path)), in_pieces(tmp_path / "a.jsonl", monkeypatch)):
        assert [record.atoms is not None for record in records] == [True, True, False]


def test_a_broken_entry_has_its_row_beside_sound_ones(tmp_path: Path) -> None:
    broken = {"structure": {"lattice": {"matrix": "?"}}}
    for document in (
        [LAYOUTS["documents"][0], broken],
        {"m0": {"structure": S[0]}, "m1": broken},
        {"mp-1": {"m0": {"structure": S[0]}, "m1": broken}},
    ):
        (tmp_path / "a.json").write_text(json.dumps(document))
        good, bad = read_crystals(tmp_path / "a.json")
        assert good.atoms is not None
        assert "no crystal" in (bad.error or "")


def test_what_a_document_states_on_the_way_to_its_structure_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(LAYOUTS["Alexandria"]))
    infos = [r.atoms.info for r in read_crystals(tmp_path / "a.json") if r.atoms is not None]
    assert infos == [{"id": name, "e_above_hull": 0.0} for name in NAMES]


def test_entries_of_optimade_without_positions_say_which_fields_to_ask_for(tmp_path: Path) -> None:
    for attributes in (None, {"nsites": 2}, {"cartesian_site_positions": None, "species_at_sites": None}):
        (tmp_path / "a.json").write_text(
            json.dumps({"data": [{"id": "1", "type": "structures", "attributes": attributes}]})
        )
        (record,) = read_crystals(tmp_path / "a.json")
        assert "ask the server for both fields" in (record.error or "")
