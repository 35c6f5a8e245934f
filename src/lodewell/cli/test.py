"""`lodewell test`: errors of a potential on labelled crystals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lodewell.cli.options import AsJson, ContradictionsOption, FigureFile, OnContradiction, PotentialArgument

if TYPE_CHECKING:
    from lodewell.judge.test.errors import Errors, Group
    from lodewell.judge.test.tally import Error

SHOWN = 8  # lines about frames left out


def command(
    potential: PotentialArgument,
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="DATA...",
            help="Files, folders or patterns of crystals with energies, forces or stresses.",
            show_default=False,
        ),
    ],
    figure: FigureFile = None,
    as_json: AsJson = False,
    energy: Annotated[
        str, typer.Option("--energy-key", metavar="KEY", help="Name of the energies.", show_default="found")
    ] = "",
    forces: Annotated[
        str, typer.Option("--forces-key", metavar="KEY", help="Name of the forces.", show_default="found")
    ] = "",
    stress: Annotated[
        str, typer.Option("--stress-key", metavar="KEY", help="Name of the stresses.", show_default="found")
    ] = "",
    virial: Annotated[
        str, typer.Option("--virial-key", metavar="KEY", help="Name of the virials.", show_default="found")
    ] = "",
    config_type: Annotated[
        str, typer.Option("--config-type-key", metavar="KEY", help="Name of the kind of frame.", show_default="found")
    ] = "",
    contradictions: ContradictionsOption = OnContradiction.refuse,
) -> None:
    """Test a potential: MAE and RMSE of energies, forces and stresses on labelled crystals.

    Where the potential knows its own uncertainty, its error bars are judged as well. Frames that cannot be compared
    cost a row each.
    """
    from functools import partial

    from lodewell.cli.progress import progress
    from lodewell.cli.screen import print_json
    from lodewell.crystals.count import about_how_many
    from lodewell.crystals.labels.keys import LabelKeys
    from lodewell.judge.test.run import test

    keys = LabelKeys(energy=energy, forces=forces, stress=stress, virial=virial, config_type=config_type)
    with progress("testing", partial(about_how_many, data)) as bar:
        errors = test(
            potential, data, keys=keys, contradictions=contradictions.value, progress=bar,
            points=100_000 if figure else 0,
        )  # fmt: skip
    if figure is not None:
        figure = errors.figure(figure)
    if as_json:
        print_json(errors.json())
    else:
        show_errors(errors, figure)


def show_errors(errors: Errors, figure: Path | None) -> None:
    """Print the table of errors, what hides behind the means, and what was left out."""
    from rich.table import Table

    from lodewell.cli.tables import console, marked

    screen = console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "frames", "atoms", "energy MAE", "RMSE", "force MAE", "RMSE", "|ΔF| MAE", "stress MAE", "RMSE"):
        table.add_column(name, justify="left" if not name else "right")
    unit = "meV/atom" if errors.calibrated else "10⁻³ kT/atom"
    force, stress = ("eV/Å", "GPa") if errors.calibrated else ("kT/Å", "GPa if kT = 1 eV")
    table.add_row("", "", "", unit, unit, force, force, force, stress, stress, style="dim")
    for name, group in errors.by_config_type.items():
        table.add_row(name, *_cells(group))
    table.add_row("all", *_cells(errors.overall), style="bold")
    screen.print(table)
    _notes(errors, screen)
    for note in errors.notes:
        screen.print(f"note: {note}", markup=False)
    left_out = _left_out(errors)
    for line in left_out[:SHOWN]:
        screen.print(marked("red", "left out:", f" {line}"))
    if len(left_out) > SHOWN:
        screen.print(f"… and more for other reasons ({len(errors.refused):,} frames in all; --json tells each)")
    if figure is not None:
        screen.print(f"written: {figure}")


def _left_out(errors: Errors) -> list[str]:
    """Say what was left out, frames of one file with one reason together."""
    from lodewell.crystals.names import tails

    tail = tails({r.file for r in errors.refused if r.file})
    frames: dict[tuple[str, str], list[int]] = {}
    for r in errors.refused:
        frames.setdefault((r.file, r.why), []).append(r.frame)
    lines = []
    for (file, why), numbers in frames.items():
        few = ", ".join(map(str, numbers[:5])) + (f" … {numbers[-1]} ({len(numbers):,} frames)" if numbers[5:] else "")
        lines.append(f"{tail[file] + ', ' if file else ''}frame{'s' if numbers[1:] else ''} {few}: {why}")
    return lines


def _cells(group: Group) -> list[str]:
    from ase.units import GPa

    milli, giga = 1e3, 1.0 / GPa
    return [
        f"{group.frames:,}", f"{group.atoms:,}",
        number(group.energy.mae, milli), number(group.energy.rmse, milli),
        number(group.force.mae), number(group.force.rmse), number(group.vector.mae),
        number(group.stress.mae, giga), number(group.stress.rmse, giga),
    ]  # fmt: skip


def number(value: float | None, scale: float = 1.0) -> str:
    """Write three figures, without powers of ten."""
    if value is None:
        return "–"
    value *= scale
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value >= 1e-4 or not value else f"{value:.1e}"


def _notes(errors: Errors, screen: Any) -> None:
    """Say what hides behind the means."""
    from ase.units import GPa

    if not errors.calibrated:
        screen.print("\nnote: the energies of this potential are no eV; it was never fitted to any", style="yellow")
    elif doubts := errors.doubts():
        screen.print()
        for doubt in doubts:
            screen.print(doubt, markup=False, style="bold red")
    energy = errors.energy
    if _shifted(energy):
        screen.print(
            f"\nenergies are off by {1e3 * (energy.shift or 0.0):+,.1f} meV/atom in the mean; without that shift the "
            f"RMSE is {number(energy.rmse_shifted, 1e3)} meV/atom"
        )
    pressure = errors.overall.pressure
    if _shifted(pressure):
        screen.print(
            f"pressures are off by {(pressure.shift or 0.0) / GPa:+.2f} GPa in the mean: stresses and energies of "
            "the data may not agree (basis set), or the potential is too stiff or too soft"
        )
    if len(errors.by_element) > 1:
        parts = ", ".join(f"{name} {number(e.mae)}" for name, e in errors.by_element.items())
        screen.print(f"force MAE by element (eV/Å): {parts}")
    for kind, c in errors.calibration.items():
        verdict = "about right" if 0.7 < c.z_rms < 1.4 else "too short" if c.z_rms > 1.0 else "too long"
        screen.print(
            f"error bars of the {kind}: {verdict} (error/σ has rms {c.z_rms:.2f}; {100 * c.within(1.0):.0f} % of the "
            f"errors within σ, {100 * c.within(2.0):.0f} % within 2σ; 68 % and 95 % would be right)"
        )
    if errors.calibration_by_config_type:
        _bars(errors, screen)
    above = errors.extrapolated.get("above 1")
    if above is not None and above.count:
        screen.print(
            f"{above.count // 3:,} atoms are unlike all training data: their force RMSE is {number(above.rmse)} eV/Å, "
            f"that of the others {number(errors.extrapolated['up to 1'].rmse)} eV/Å"
        )


def _bars(errors: Errors, screen: Any) -> None:
    """Print how right the error bars are for each kind of frame."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rms of error/σ (1 is right)")
    for kind in errors.calibration:
        table.add_column(kind, justify="right")
    for name, bars in errors.calibration_by_config_type.items():
        table.add_row(name, *(f"{bars[k].z_rms:.2f}" if k in bars else "–" for k in errors.calibration))
    screen.print(table)


def _shifted(error: Error) -> bool:
    """Tell whether the mean error is most of the error, and so deserves a line."""
    return abs(error.shift or 0.0) > 2.0 * (error.rmse_shifted or 0.0) and error.count > 1
