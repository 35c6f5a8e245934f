"""`lodewell predict` as a user runs it: from any folder, without the extra, on what is no model."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ase.build import bulk, fcc111
from ase.io import write

WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from lodewell.cli import main; main()"
ROOT = Path(__file__).parents[2]


def run(*words: object, code: str = "from lodewell.cli import main; main()") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.mark.parametrize("verb", [("predict", "examples"), ("train", "--data", "examples"), ("show", "properties")])
def test_without_the_extra_one_line_says_so(verb):
    done = run(*verb, code=WITHOUT_TORCH)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.strip() == (
        "lodewell: property prediction needs torch and safetensors: pip install 'lodewell[predict]'"
    )


def test_the_package_and_its_help_need_no_torch():
    code = "import lodewell, lodewell.predict.run, lodewell.predict.calibrate, lodewell.predict.novelty; "
    assert run("predict", "--help", code=f"{code}{WITHOUT_TORCH}").returncode == 0


def test_examples_by_the_shipped_model(tmp_path):
    pytest.importorskip("torch")
    write(tmp_path / "slab.cif", fcc111("Al", (1, 1, 4), vacuum=8.0))
    write(tmp_path / "bulk.vasp", bulk("NaCl", "rocksalt", a=5.64))
    (tmp_path / "notes.cif").write_text("no crystal", encoding="utf-8")
    rows = {Path(row["file"]).name: row for row in json.loads(run("predict", tmp_path, "--json").stdout)}
    assert rows["bulk.vasp"]["error"] is None
    assert not rows["bulk.vasp"]["warnings"]
    assert "a slab in vacuum" in rows["slab.cif"]["warnings"][0]
    assert rows["notes.cif"]["error"]


def test_models_are_drawn_by_name(tmp_path):
    pytest.importorskip("torch")
    done = run("show", "properties", "--out", tmp_path / "shipped.svg")
    assert done.returncode == 0, done.stderr
    assert "crystals held out" in (tmp_path / "shipped.svg").read_text(encoding="utf-8")


def test_what_is_no_model_is_refused(tmp_path):
    pytest.importorskip("torch")
    done = run("predict", "examples/candidates", "--model", "spp")
    assert done.returncode == 2
    assert "no shipped model of that name" in done.stderr
    done = run("predict", "examples/candidates", "--model", "src/lodewell/data/spp.lodewell")
    assert done.returncode == 2
    assert "cannot be read as a model" in done.stderr
