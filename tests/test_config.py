"""Options from YAML files and flags: what is understood, what is refused, and which comes first."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import pytest
import typer
from typer.testing import CliRunner

from lodewell.cli.fields import explained, takes
from lodewell.config import convert, make_options, read_config
from lodewell.errors import BadFile, BadOption
from lodewell.fit.labelled_options import LabelledOptions


@dataclass(frozen=True)
class Curves(LabelledOptions):
    """Options of a made-up family.

    Attributes:
        cutoff: where curves end, Å.
        knots: distances, Å.
        starts: how many; left out, one a core.
        shape: of the curve.
        box: three lengths.
        fast: hurry.
        seed: of this family.
    """

    cutoff: float = 5.0
    knots: tuple[float, ...] = ()
    starts: int | None = None
    shape: Literal["cubic", "quintic"] = "cubic"
    box: tuple[int, int, int] = (1, 1, 1)
    fast: bool = False
    scale: Mapping[str, int] = field(default_factory=lambda: {"a": 1})
    seed: int = 7


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "uf.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "uf.yaml"


def test_every_type_of_option(tmp_path):
    path = written(tmp_path, """
# as a person writes it
cutoff: 6            # a whole number is a number
energy-weight: 1e-3  # which YAML itself takes for text
knots: [1.5, 2, 3e0]
starts: 4
shape: quintic
box: [1, 2, 3]
fast: true
config_weights: {Vacancy: 2, Elastic: 0.5}
reference_energies: Si=-0.8, O=-1.5
stress: none
""")  # fmt: skip
    options = make_options(Curves, path)
    assert options == Curves(
        cutoff=6.0, energy_weight=1e-3, knots=(1.5, 2.0, 3.0), starts=4, shape="quintic", box=(1, 2, 3), fast=True,
        config_weights={"Vacancy": 2.0, "Elastic": 0.5}, reference_energies={"Si": -0.8, "O": -1.5}, stress="none",
    )  # fmt: skip
    assert isinstance(options.cutoff, float)
    assert make_options(Curves, written(tmp_path, "starts:\n")).starts is None
    assert make_options(Curves, written(tmp_path, "# nothing yet\n")) == Curves()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("seed: 1\ncutof: 5\n", "line 2: there is no option 'cutof' (did you mean 'cutoff'?); known are energy_key"),
        ("config_weight: {A: 1}\n", "line 1: there is no option 'config_weight' (did you mean 'config_weights'?)"),
        ("cutoff: wide\n", "line 1: cutoff is 'wide', but a number is wanted"),
        ("cutoff: true\n", "cutoff is True, but a number is wanted"),
        ("cutoff: [5]\n", "cutoff is [5], but a number is wanted"),
        ("seed: 1.5\n", "seed is 1.5, but a whole number is wanted"),
        ("fast: 1\n", "fast is 1, but true or false is wanted"),
        ("shape: qintic\n", "shape is 'qintic' (did you mean 'quintic'?), but it must be cubic or quintic"),
        ("energy_key: 5\n", "energy_key is 5, but text (put it in quotes) is wanted"),
        ("box: [1, 2]\n", "box is [1, 2], but a list of 3 is wanted"),
        ("config_weights: 3\n", "config_weights is 3, but NAME=VALUE is wanted"),
        ("config_weights: {Vacancy: much}\n", "config_weights of Vacancy is 'much', but a number is wanted"),
        ("seed: 1\n\nseed: 2\n", "line 3: 'seed' is given twice; keep one"),
    ],
)
def test_what_does_not_fit_is_named_with_its_line(tmp_path, text, why):
    path = written(tmp_path, text)
    with pytest.raises(BadOption) as refusal:
        read_config(path, Curves)
    assert str(refusal.value).startswith(str(path))
    assert why in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cutoff: [5\n", "this is not YAML"),
        ("just words\n", "keys and values are wanted"),
        ("- 5\n", "keys and values"),
    ],
)
def test_what_is_no_yaml_of_options(tmp_path, text, why):
    with pytest.raises(BadFile, match=why):
        read_config(written(tmp_path, text), Curves)
    with pytest.raises(BadFile, match=r"none.yaml: cannot be read \(No such file or directory\)"):
        read_config(tmp_path / "none.yaml", Curves)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"energy_weight": -1.0}, "energy_weight must be a number of 0 or more"),
        ({"config_weights": {"A": float("nan")}}, "the weight of config_type A must be a number"),
        ({"reference_energies": {"Si": float("inf")}}, "the reference energy of Si must be a number of eV"),
        ({"stress": "half"}, "stress must be full, deviatoric or none, not 'half'"),
        ({"max_bad": 10.0}, "max_bad is a share between 0 and 1"),
        ({"folds": 1}, "cross-validation needs 2 folds or more"),
    ],
)
def test_options_out_of_range(options, why):
    with pytest.raises(BadOption, match=why):
        LabelledOptions(**options)


def test_what_is_given_comes_before_the_file_and_the_file_before_defaults(tmp_path):
    path = written(tmp_path, "cutoff: 6\nstarts: 3\n")
    assert make_options(Curves, path, {"starts": 9}) == Curves(cutoff=6.0, starts=9)


def test_a_type_that_cannot_be_written_is_a_fault_of_ours():
    with pytest.raises(TypeError, match="cannot be written in YAML"):
        convert(complex, "1j", "phase")


# Flags.


def test_explanations_come_from_the_class_and_its_bases():
    text = explained(Curves)
    assert text["knots"] == "distances, Å."
    assert text["seed"] == "of this family."
    assert text["folds"] == "number of parts in cross-validation."


app = typer.Typer(rich_markup_mode=None)


@app.command()
@takes(Curves, config=True)
def command(name: Annotated[str, typer.Argument()] = "x", options: Curves = Curves()) -> None:
    """Print the options."""
    print(name, options)


def test_flags_of_every_type(tmp_path):
    path = written(tmp_path, "cutoff: 6\nshape: quintic\nconfig_weights: {A: 3}\nfast: true\n")
    run = CliRunner().invoke
    assert run(app, []).output == f"x {Curves()}\n"
    words = ["--knots", "1,2.5", "--starts", "2", "--box", "1,2,3", "--config-weights", "A=2", "--config-weights",
             "B=1,C=0", "--cutoff", "5"]  # fmt: skip
    expected = Curves(knots=(1.0, 2.5), starts=2, box=(1, 2, 3), config_weights={"A": 2.0, "B": 1.0, "C": 0.0})
    assert run(app, words).output == f"x {expected}\n"
    assert run(app, ["y", "--config", str(path), "--cutoff", "5.0", "--no-fast"]).output == (
        f"y {Curves(shape='quintic', config_weights={'A': 3.0})}\n"  # a flag that repeats the default counts as well
    )
    refused = run(app, ["--config-weights", "A"])
    assert isinstance(refused.exception, BadOption)
    assert "--config-weights is 'A', but NAME=VALUE is wanted" in str(refused.exception)
    shown = run(app, ["--help"]).output
    assert shown.index("--cutoff") < shown.index("--energy-key")  # the family's own first
    assert "[default: a=1]" in shown
    assert "NAME=VALUE" in shown


def test_options_import_no_science():
    code = "import sys, lodewell.fit.labelled_options, lodewell.config, lodewell.cli.fields; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"numpy", "ase", "numba", "yaml"}.isdisjoint(loaded)
