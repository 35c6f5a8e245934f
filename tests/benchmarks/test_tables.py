"""The tables of the README are made from results, and their places survive being filled."""

import sys

from benchmarks import harness, tables

RESULT = {
    "title": "Speed",
    "columns": ["what", "time"],
    "rows": [["a|b", "1 s"]],
    "note": "Medians.",
    "machine": {"processor": "Slide rule", "cores": 1, "python": "3.11", "date": "2026-01-01"},
}
PAGE = "before\n<!-- table: speed -->\nold\n<!-- end -->\nbetween\n<!-- table: other -->\n<!-- end -->\nafter\n"


def test_a_page_is_filled():
    page = tables.fill(PAGE, {"speed": RESULT}, details=True)
    table = (
        "**Speed**\n\n| what | time |\n|---|---|\n| a\\|b | 1 s |\n\nMedians.\n\n"
        "*Slide rule, 1 cores, Python 3.11, 2026-01-01.*"
    )
    assert page == (
        f"before\n<!-- table: speed -->\n\n{table}\n\n<!-- end -->\nbetween\n"
        "<!-- table: other -->\n\n*Not measured yet.*\n\n<!-- end -->\nafter\n"
    )
    assert tables.fill(page, {"speed": RESULT}, details=True) == page


def test_contenders_are_timed_in_turns():
    order = []
    timings = harness.race({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, runs=3)
    assert "".join(order) == "ab" + "ababab"
    assert len(timings["a"].runs) == 3
    assert harness.ratios(timings, to="a")["a"] == 1.0


def test_a_command_is_measured_with_its_children():
    child = "import time; x = b'x' * 200_000_000; sum(range(3_000_000)); time.sleep(0.3)"
    code = f"import subprocess, sys; print(subprocess.run([sys.executable, '-c', {child!r}]).returncode)"
    measured = harness.run_command([sys.executable, "-c", code])
    assert measured["returncode"] == 0
    assert measured["output"] == "0\n"
    assert 200 < measured["peak_MB"] < 300
    assert measured["cpu_seconds"] > 0.02
    assert measured["seconds"] > 0.3
