"""How crystals lie in JSON files: alone, in lists, in tables by identifier, in tables of pandas, within one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lodewell.crystals.formats.json import pymatgen
from lodewell.crystals.formats.json.documents import is_crystal
from lodewell.crystals.formats.json.pymatgen import decoded

SIDE = frozenset({"meta", "links", "included", "schema"})  # what servers and pandas add to their data
DEEPEST = 5  # levels between the outermost bracket and a crystal


def entries(value: Any, key: str | None = None) -> Iterator[tuple[Any, str | None]]:
    """Yield every crystal entry of a JSON value, good or bad, with the key that names it.

    Understood are one crystal, lists, tables by identifier of any depth (MPtrj has frames within materials), answers of
    servers, ComputedStructureEntries of Alexandria, and what pandas writes by rows, by columns and split (matbench).
    """
    value = decoded(value)
    if is_crystal(value) or not isinstance(value, dict | list):
        yield value, key
    elif isinstance(value, list):
        yield from _items(value, None)
    elif (rows := _rows(value)) is not None:
        for name, row in rows:
            yield row, name
    else:
        yield from _within(value, key)


def _items(items: list[Any], key: str | None) -> Iterator[tuple[Any, str | None]]:
    """Yield the entries of a list; under a key that names it, they are numbered; a pair is a name and its crystal."""
    if len(items) == 2 and isinstance(items[0], str) and is_crystal(items[1]):
        yield items[1], items[0]
        return
    if not any(isinstance(item, dict | list) for item in items):
        items = [items] if items else []
    for k, item in enumerate(items):
        name = None if key is None else f"{key}-{k}"
        if _holds_crystal(item):
            yield from entries(item, name)
        else:
            yield item, name


def _within(value: dict[str, Any], key: str | None) -> Iterator[tuple[Any, str | None]]:
    """Yield the entries of a table by identifier, or of the lists and tables within a document."""
    rooms = {name: room for name, room in value.items() if name not in SIDE and isinstance(room, dict | list)}
    table = len(rooms) == len(value.keys() - SIDE) and all(isinstance(room, dict) for room in rooms.values())
    holding = {name: room for name, room in rooms.items() if _holds_crystal(room)}
    if not holding and isinstance(value.get("data"), list | dict):  # an answer without any sound crystal
        yield from entries(value["data"])
    elif not holding:
        yield value, key
    own = _name(pymatgen.identifier([value])) or key
    for name, room in holding.items() if not table else rooms.items() if holding else ():
        if isinstance(room, list):
            yield from _items(room, name if len(holding) > 1 else None)
        elif len(holding) == 1 and not table:  # the document's, whatever it calls its room
            yield from entries(room, own)
        elif name in holding:
            yield from entries(room, name)
        else:
            yield room, name


def _holds_crystal(value: Any, depth: int = DEEPEST) -> bool:
    if is_crystal(value):
        return True
    if depth == 0 or not isinstance(value, dict | list):
        return False
    inner = value if isinstance(value, list) else [room for name, room in value.items() if name not in SIDE]
    return any(_holds_crystal(item, depth - 1) for item in inner)


def _rows(table: dict[str, Any]) -> list[tuple[str | None, dict[str, Any]]] | None:
    """Return the rows of a table that pandas wrote split or by columns, None for anything else."""
    columns, data = table.get("columns"), table.get("data")
    if isinstance(columns, list) and isinstance(data, list) and all(isinstance(row, list) for row in data):
        index = table.get("index")
        names: Sequence[Any] = index if isinstance(index, list) and len(index) == len(data) else [None] * len(data)
        return [
            (_name(name), dict(zip(map(str, columns), row, strict=False)))
            for name, row in zip(names, data, strict=True)
        ]
    if _columns_of(table, dict) and len({tuple(column) for column in table.values()}) == 1:
        return [(row, {name: column[row] for name, column in table.items()}) for row in next(iter(table.values()))]
    if _columns_of(table, list) and len({len(column) for column in table.values()}) == 1:
        values = zip(*table.values(), strict=True)
        return [(None, dict(zip(table, row, strict=True))) for row in values]
    return None


def _columns_of(table: dict[str, Any], kind: type) -> bool:
    """Tell columns from entries: one column holds the crystals, by its name or beside columns of plain values."""
    columns = {name: _values(column) for name, column in table.items() if isinstance(column, kind) and column}
    if not table or len(columns) < len(table) or any(map(is_crystal, table.values())):
        return False
    crystals = {name for name, values in columns.items() if any(is_crystal(decoded(value)) for value in values)}
    plain = any(
        not any(isinstance(value, dict | list) for value in columns[name]) for name in columns.keys() - crystals
    )
    return bool(crystals) and (plain or crystals <= set(pymatgen.STRUCTURES))


def _values(column: Any) -> list[Any]:
    return list(column.values()) if isinstance(column, dict) else list(column)


def _name(name: Any) -> str | None:
    return str(name) if isinstance(name, str | int) else None
