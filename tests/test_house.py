"""The house: rooms import rooms below them, no module imports itself in a circle, files and functions stay short."""

import ast
from collections.abc import Iterator
from pathlib import Path

import lodewell

ROOT = Path(lodewell.__file__).parent
# From the ground up; rooms on one line do not know each other. What is not named is a single file, on the ground.
FLOORS = (
    {"ground"},
    {"workers"},
    {"crystals"},
    {"descriptors"},
    {"potentials"},
    {"interop", "md"},
    {"fit", "relax", "derive"},
    {"judge", "predict"},
    {"report"},
    {"cli"},
)
# Figures are methods of what they show, such as `errors.figure("parity.png")`, and import what draws when asked.
BACK_UP = {("judge", "report")}
# The one file on the ground that opens workers, when a run asks for them; and the public face.
EXEMPT = {"lodewell", "lodewell.record", "lodewell.__main__"}
MOST_LINES, MOST_LINES_OF_A_FUNCTION = 400, 105


def modules() -> dict[str, Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (ROOT / parts[1]).is_dir() else "ground"


def imports(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lodewell":
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in MODULES else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "lodewell")


def at_import(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield the statements that run when a module is imported: none in functions, none for type checkers."""
    for node in body:
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from at_import(node.body + node.orelse)
        elif isinstance(node, ast.Try | ast.With):
            yield from at_import(node.body)


def test_every_room_has_its_floor():
    rooms = {path.name for path in ROOT.iterdir() if path.is_dir() and any(path.glob("*.py"))}
    assert rooms <= set().union(*FLOORS)


def test_rooms_import_rooms_below_them_only():
    floor = {name: number for number, rooms in enumerate(FLOORS) for name in rooms}
    up = set()
    for module, tree in TREES.items():
        if module in EXEMPT:
            continue
        for wanted in imports(ast.walk(tree)):
            a, b = room(module), room(wanted)
            if a != b and floor[b] >= floor[a] and wanted != "lodewell":
                up.add((a, b))
    assert up <= BACK_UP, f"these rooms import what stands above or beside them: {sorted(up - BACK_UP)}"
    assert up == BACK_UP, f"these exceptions are not needed any more: {sorted(BACK_UP - up)}"


def test_no_module_imports_itself_in_a_circle():
    edges = {name: set(imports(at_import(tree.body))) & set(MODULES) - {name} for name, tree in TREES.items()}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for wanted in sorted(edges[name]):
                walk(wanted, (*path, name))
            done.add(name)

    for name in sorted(edges):
        walk(name, ())


def test_the_verb_is_in_its_run():
    for verb in (
        "derive",
        "relax",
        "predict",
        "predict.train",
        *(f"judge.{v}" for v in ("score", "test", "compare", "check", "map")),
    ):
        name = f"lodewell.{verb}.run"
        assert name in MODULES, f"{verb}/run.py holds the verb"
        functions = {node.name for node in TREES[name].body if isinstance(node, ast.FunctionDef)}
        assert functions & {verb.rpartition(".")[2], "map_crystals"}, name
    for family in ("uf", "gap", "meam"):
        assert f"fit_{family}" in {
            n.name for n in TREES[f"lodewell.fit.{family}.run"].body if isinstance(n, ast.FunctionDef)
        }


def test_files_and_functions_stay_short():
    for name, path in MODULES.items():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        assert lines <= MOST_LINES, f"{name} has {lines} lines: look for the second thing in it"
        for node in ast.walk(TREES[name]):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= MOST_LINES_OF_A_FUNCTION, f"{name}.{node.name} has {length} lines"
