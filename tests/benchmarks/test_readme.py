"""The map from claim to script to result is whole, and what scripts and pages name is there."""

import ast
import importlib
import re
from pathlib import Path

import pytest

from benchmarks.tables import PAGES, PLACE

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
README = (BENCHMARKS / "README.md").read_text(encoding="utf-8")
SCRIPTS = sorted(path for path in BENCHMARKS.rglob("*.py") if path.name != "__init__.py")
ROWS = [line for line in README.splitlines() if line.startswith("|") and ".py`" in line]
DOCUMENTS = sorted({
    *ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *BENCHMARKS.rglob("*.md"), *(ROOT / "tests").rglob("*.md"),
})  # fmt: skip


def named(text: str, endings: str) -> set[str]:
    """Return what stands between backticks and ends so."""
    return set(re.findall(rf"`([\w./-]+(?:{endings}))`", text))


def test_the_readme_names_every_script_and_every_result() -> None:
    scripts = {str(path.relative_to(BENCHMARKS)) for path in SCRIPTS}
    assert {name for name in named(README, r"\.py") if "/" in name or name in scripts} == scripts
    kept = {f"results/{path.name}{'/' * path.is_dir()}" for path in (BENCHMARKS / "results").iterdir()}
    assert not kept - named(README, r"\.\w+|/")


def test_what_the_readme_names_is_there() -> None:
    for name in named(README, r"\.\w+|/") - {"results/NAME.json"}:
        assert (BENCHMARKS / name).exists() or (ROOT / name).exists(), name
    for page in re.findall(r"\]\((\.\./[\w./-]+)", README):
        assert (BENCHMARKS / page).exists(), page


def test_every_table_of_a_page_has_its_row_and_its_script() -> None:
    for page in PAGES:
        for place in PLACE.finditer(page.read_text(encoding="utf-8")):
            (row,) = [row for row in ROWS if f"`results/{place['name']}.json`" in row]
            assert f"](../{page.relative_to(ROOT)}" in row, f"{page.name} has {place['name']}, its row does not say so"
            script = BENCHMARKS / re.search(r"`([\w/]+\.py)`", row)[1]
            sources = [path.read_text(encoding="utf-8") for path in script.parent.glob("*.py")]
            assert any(f'"{place["name"]}"' in source for source in sources), f"{script} does not write {place['name']}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_page_names_a_script_that_is_not_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    there = [f"/{path.relative_to(ROOT)}" for folder in ("src", "tests", "benchmarks", "examples", "docs")
             for path in (ROOT / folder).rglob("*.py")]  # fmt: skip
    for name in named(text, r"\.py"):
        assert "THEME" in name or any(path.endswith(f"/{name}") for path in there), name
    for module in re.findall(r"python -m (benchmarks[\w.]+)", text):
        assert "THEME" in module or (ROOT / f"{module.replace('.', '/')}.py").exists(), module


def defined(script: Path) -> set[str]:
    """Return what a module binds, without running it."""
    tree = ast.parse(script.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    variables = (node for node in ast.walk(tree) if isinstance(node, ast.Name))
    return names | {node.id for node in variables if isinstance(node.ctx, ast.Store)}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(BENCHMARKS)))
def test_whatever_a_script_imports_of_ours_is_there(script: Path) -> None:
    """Imports inside functions too, which only a run of minutes would meet."""
    text = script.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        module = (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names if module.startswith("benchmarks") else ():
            whole = ROOT.joinpath(*module.split("."), f"{alias.name}.py")
            assert whole.exists() or alias.name in defined(whole.parent.with_suffix(".py")), ast.unparse(node)
        for alias in node.names if module.startswith("lodewell") else ():
            if not hasattr(importlib.import_module(module), alias.name):
                importlib.import_module(f"{module}.{alias.name}")
    for command in re.findall(r"python -m (benchmarks[\w.]+)", text):
        assert (ROOT / f"{command.replace('.', '/')}.py").exists(), command
