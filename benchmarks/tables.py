"""Write the tables of `benchmarks/results/*.json` into README.md and the documentation.

A table goes wherever a line `<!-- table: NAME -->` and a later line `<!-- end -->` stand; what was between them is
replaced. A name without a result keeps its place and says that it has not been measured.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from benchmarks.harness import RESULTS, ROOT, machine_line

PAGES = (ROOT / "README.md", ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "predicting.md")
PLACE = re.compile(r"(?P<open><!-- table: (?P<name>[\w-]+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL)


def as_markdown(result: dict[str, Any], details: bool) -> str:
    """Write one result as a table with its title above, and its note and, with `details`, its machine below."""

    def line(cells: list[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    lines = [f"**{result['title']}**", "", line(result["columns"]), "|" + "---|" * len(result["columns"])]
    lines += [line(row) for row in result["rows"]]
    if result.get("note"):
        lines += ["", result["note"]]
    if details:
        lines += ["", f"*{machine_line(result['machine'])}.*"]
    return "\n".join(lines)


def fill(page: str, results: dict[str, dict[str, Any]], details: bool) -> str:
    """Put the tables into their places in the text of a page."""

    def replace(match: re.Match[str]) -> str:
        result = results.get(match["name"])
        table = "*Not measured yet.*" if result is None else as_markdown(result, details)
        return f"{match['open']}\n{table}\n\n{match['close']}"

    return PLACE.sub(replace, page)


def main() -> None:
    """Fill the pages and say which results have no place."""
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))}
    results = {name: result for name, result in results.items() if isinstance(result, dict) and "columns" in result}
    placed: set[str] = set()
    for path in PAGES:
        before = path.read_text(encoding="utf-8")
        placed |= {match["name"] for match in PLACE.finditer(before)}
        path.write_text(fill(before, results, details=path.name != "README.md"), encoding="utf-8")
    for name in sorted(set(results) - placed):
        print(
            f"benchmarks/results/{name}.json has no place: add <!-- table: {name} --> and <!-- end -->", file=sys.stderr
        )


if __name__ == "__main__":
    main()
